"""`colorlab COMMAND ...`: one module per command, each with `add_parser(subparsers)` and `run(args)`.

A failure is one line on the terminal: exit code 2 for input that cannot be used, 1 for work that failed, 130 for Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from colorlab.cli.terminal import open_standard_streams, stopped_like_ctrl_c
from colorlab.errors import InputError

COMMANDS = ("colorize", "evaluate", "train", "run", "sweep", "data", "weights", "doctor")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run one command; the exit code."""
    open_standard_streams()
    parser = argparse.ArgumentParser(prog="colorlab", description="Colour grey film, measure it, and run the workbook.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    given = list(sys.argv[1:] if arguments is None else arguments)
    asked = given[:1] if given[:1] and given[0] in COMMANDS else COMMANDS  # one command needs the imports of no other
    for name in asked:
        importlib.import_module(f"colorlab.cli.{name}").add_parser(subparsers)
    args = parser.parse_args(given)
    try:
        with stopped_like_ctrl_c():
            code = int(importlib.import_module(f"colorlab.cli.{args.command}").run(args) or 0)
            sys.stdout.flush()
        return code
    except InputError as error:
        return _fail(error, 2)
    except KeyboardInterrupt:
        return _fail("stopped; nothing half-written was left behind", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still to be said at the end goes nowhere, without a complaint
        return _fail("standard output was closed before all was said", 1)
    except OSError as error:  # a full disk, a folder that may not be written
        return _fail(error, 1)


def _fail(message: object, code: int) -> int:
    line = " ".join(str(message).split())
    sys.stderr.write(f"colorlab: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
