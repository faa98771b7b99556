"""`colorlab weights`: which weights there are, and what a network is made of."""

from __future__ import annotations

import argparse
import sys

from colorlab import weights as checkpoints
from colorlab.errors import InputError
from colorlab.methods import METHODS, PRESETS, load


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("weights", help="list weights, show a network's parameters by part")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="course and released weights: what is here, what is not and where it comes from")
    show = actions.add_parser("show", help="parameter counts of a network, part by part")
    show.add_argument("method", choices=METHODS)
    show.add_argument("--preset", choices=PRESETS, default="paper")


def run(args: argparse.Namespace) -> int:
    text = _list() if args.action == "list" else _show(args.method, args.preset)
    sys.stdout.write(text + "\n")
    return 0


def _list() -> str:
    lines = []
    for method in METHODS:
        if method in ("copy", "flow"):
            continue
        lines.append(f"{method:10} course    {_where(checkpoints.course_file, method)}")
        lines.append(f"{'':10} released  {_where(checkpoints.released_path, method)}")
    return "\n".join(lines)


def _where(find: object, method: str) -> str:
    try:
        return str(find(method))
    except InputError as error:
        return f"not here: {error}"


def _show(method: str, preset: str) -> str:
    model = load(method, preset)
    parts = [(name, sum(parameter.numel() for parameter in part.parameters())) for name, part in model.named_children()]
    total = sum(parameter.numel() for parameter in model.parameters())
    rows = [f"{name:32} {count:>13,}" for name, count in parts if count]
    return "\n".join([f"{method}, preset {preset}", *rows, f"{'total':32} {total:>13,}"])
