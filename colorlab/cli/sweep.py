"""`colorlab sweep`: run a notebook for every combination of some parameters' values, with one table of
results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from colorlab import experiments
from colorlab.cli.run import named_once, positive, shown_path
from colorlab.files.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "sweep", help="execute a notebook for every combination of parameters, into one table",
        description="Execute a notebook once for every combination of the values given, several at a "
                    "time. OUT/table.csv and OUT/index.html hold all of them while they run; each "
                    "run's folder is beside them. Existing runs, made by the same notebook, "
                    "parameters and code, are not repeated. Exit code 1 when a run fails.")
    parser.add_argument("notebook", metavar="NOTEBOOK", help="an .ipynb file with a parameters cell")
    parser.add_argument("-g", "--grid", action="append", default=[], metavar="name=a,b,c", required=True,
                        help="the values that a parameter takes, read by its type; repeat for more. A value "
                             "that holds a comma goes into quotes; lists are written [1,2],[3,4]")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("name", "value"),
                        dest="parameters", help="set a parameter for all runs; repeat for more")
    parser.add_argument("--out", type=Path, metavar="DIR",
                        help="where the results go (default: runs/sweep-NOTEBOOK)")
    parser.add_argument("--jobs", type=positive, metavar="N",
                        help="runs at a time on this machine (default: one for every two cores)")
    parser.add_argument("--cluster", metavar="ADDRESS",
                        help="run on the Dask cluster whose scheduler is at tcp://HOST:PORT, or wrote this "
                             "scheduler file")
    parser.add_argument("--fresh", action="store_true", help="repeat existing runs")


def run(args: argparse.Namespace) -> int:
    if args.cluster and args.jobs:
        raise InputError("on a cluster the workers determine how many runs go at a time; omit --jobs")
    runs = experiments.sweep(args.notebook, experiments.read_grid(args.grid), named_once(args.parameters),
                             args.out, args.jobs, args.cluster, args.fresh, as_text=True)
    failed = [run for run in runs if not run.finished]
    for error in dict.fromkeys(run.error for run in failed):  # runs of a sweep often fail alike
        alike = [run for run in failed if run.error == error]
        times = f"{len(alike)} runs, the first of them " if len(alike) > 1 else ""
        sys.stderr.write(f"colorlab: {error} ({times}{shown_path(alike[0].job.folder)})\n")
    out = runs[0].job.folder.parent
    sys.stdout.write(f"{len(runs) - len(failed)} of {len(runs)} finished; look at "
                     f"{shown_path(out / 'index.html')} and {shown_path(out / 'table.csv')}\n")
    return 1 if failed else 0
