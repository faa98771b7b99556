"""`colorlab doctor`: what works on this machine, what does not, and how to fix it. Exit code 1 when something
will fail."""

from __future__ import annotations

import argparse
import json
import sys

from colorlab.teaching import doctor


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("doctor",
                                   help="what works on this machine, what does not, and how to fix it")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")


def run(args: argparse.Namespace) -> int:
    found = doctor.check()
    text = json.dumps([finding._asdict()
                       for finding in found], indent=2, ensure_ascii=False) if args.json else repr(found)
    sys.stdout.write(text + "\n")
    return 1 if found.problems else 0
