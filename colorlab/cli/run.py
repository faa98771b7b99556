"""`colorlab run`: execute notebooks headlessly, with parameters, and leave a folder and a page of results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from colorlab import experiments
from colorlab.files.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "run", help="execute notebooks, with parameters, into a folder with a page",
        description="Execute notebooks with papermill, several at a time. Each leaves OUT/NAME/ with "
                    "the executed notebook, run.json and metrics.json; OUT/index.html shows them "
                    "all. An existing run, made by the same notebook, parameters and "
                    "code, is not repeated. Exit code 1 when a cell fails, or a repetition has "
                    "other numbers.")
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK",
                        help="an .ipynb file, or a folder of them")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("name", "value"),
                        dest="parameters", help="set a parameter of every notebook named; repeat for more")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the results go (default: runs)")
    parser.add_argument("--jobs", type=positive, metavar="N",
                        help="notebooks at a time (default: one for every two cores)")
    parser.add_argument("--fresh", action="store_true", help="repeat existing runs")
    parser.add_argument("--repeat", type=Path, metavar="RUN.JSON",
                        help="repeat the run of this record (default --out: repeats, beside the run's "
                             "folder), and say what has changed since and whether the numbers are the same")
    parser.add_argument("--show-parameters", action="store_true",
                        help="list the notebooks' parameters and stop")
    parser.add_argument("--in-place", action="store_true",
                        help="write the outputs into the notebooks themselves, clean enough to commit")


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 up is wanted, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    parameters = named_once(args.parameters)
    if args.repeat:
        if args.notebooks or parameters or args.in_place or args.show_parameters:
            raise InputError(
                "--repeat takes notebook and parameters from the record; give no more than --out with it")
        return repeat(args.repeat, args.out)
    if not args.notebooks:
        raise InputError("no notebook is named; give .ipynb files or folders of them, or --repeat run.json")
    if args.show_parameters:
        sys.stdout.write("\n".join(map(described, experiments.find_notebooks(args.notebooks))) + "\n")
        return 0
    if args.in_place:
        if args.parameters:
            raise InputError("--in-place runs notebooks with their defaults; omit -p or --in-place")
        done = experiments.refresh(args.notebooks, args.jobs)
        sys.stdout.write(f"{len(done)} notebooks written\n")
        return 0
    out = args.out or Path("runs")
    runs = experiments.run(args.notebooks, parameters, out, args.jobs, args.fresh, as_text=True)
    failed = [run for run in runs if not run.finished]
    for run in failed:
        sys.stderr.write(f"colorlab: {run.error} (see {shown_path(run.job.folder)})\n")
    sys.stdout.write(f"{len(runs) - len(failed)} of {len(runs)} finished; look at "
                     f"{shown_path(out / 'index.html')}\n")
    return 1 if failed else 0


def named_once(parameters: list[list[str]]) -> dict[str, str]:
    """What was given as -p, by name."""
    names = [name for name, _ in parameters]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise InputError(f"-p {sorted(repeated)[0]} is given twice; give each parameter once")
    return dict(parameters)


def repeat(record: Path, out: Path | None) -> int:
    """Report what has changed, run again, report whether the numbers differ; returns the exit code."""
    with experiments.repetition(record, out) as again:
        for difference in again.differences or (
                "nothing: notebook, parameters, code, versions and machine are the same",):
            sys.stderr.write(f"differs      {difference}\n")
        done = again.run()
        changed = again.changed_numbers(done)
    if not done.finished:
        sys.stderr.write(f"colorlab: {done.error} (see {shown_path(done.job.folder)})\n")
        return 1
    for line in changed:
        sys.stderr.write(f"colorlab: {line}\n")
    same = "the same numbers" if again.recorded else "the notebook recorded no numbers to compare"
    sys.stdout.write(f"repeated, {'not the same numbers' if changed else same}; look at "
                     f"{shown_path(done.job.folder)}\n")
    return 1 if changed else 0


def described(notebook: Path) -> str:
    """A notebook's parameters, one to a line: name, type, default and the comment behind it."""
    found = experiments.read_parameters(notebook).values()
    rows = [
        f"  {parameter.name}: {parameter.kind} = {parameter.default!r}" +
        (f"  # {parameter.help}" if parameter.help else "") for parameter in found
    ]
    return "\n".join([notebook.name, *(rows or ["  takes no parameters"])])


def shown_path(path: Path) -> str:
    """Relative to the working directory if it is below it, for copying or clicking."""
    path, here = path.absolute(), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
