"""`colorlab COMMAND ...`: one module per command, each with `add_parser(subparsers)` and `run(args)`.

A failure is one line on the terminal: exit code 2 for input that cannot be used, 1 for work that failed, 130
for Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import warnings
from collections.abc import Sequence

from colorlab.cli.terminal import open_standard_streams, stopped_like_ctrl_c
from colorlab.files.errors import InputError, InputWarning

COMMANDS = ("colorize", "studio", "evaluate", "train", "run", "sweep", "data", "weights", "doctor")
_PYTHONS_OWN = warnings.showwarning
FILE_NAMED_LIKE_AN_OPTION = re.compile(
    r"-[^=]*\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|ogv|ts|wmv|flv|png|jpe?g|json|csv)", re.IGNORECASE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run one command; the exit code."""
    open_standard_streams()
    parser = argparse.ArgumentParser(
        prog="colorlab", description="Colour grey film, measure it, and run the workbook."
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    given = list(sys.argv[1:] if arguments is None else arguments)
    # import only the chosen command's dependencies
    asked = given[:1] if given[:1] and given[0] in COMMANDS else COMMANDS
    for name in asked:
        importlib.import_module(f"colorlab.cli.{name}").add_parser(subparsers)
    if (dashed := next((text for text in given if FILE_NAMED_LIKE_AN_OPTION.fullmatch(text)),
                       None)) is not None:
        return _fail(f"{dashed} looks like an option; if it is a file, write ./{dashed}", 2)
    args = parser.parse_args(given)
    warnings.showwarning = _warn
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
        # discard remaining output without a further error
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _fail("standard output was closed before all was said", 1)
    except OSError as error:  # a full disk, a folder that may not be written
        return _fail(error, 1)


def _warn(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
    """InputWarnings as one line; Python's default for all other warnings."""
    if issubclass(category, InputWarning):
        sys.stderr.write(f"colorlab: {message}\n")
    else:
        _PYTHONS_OWN(message, category, *where, **more)


def _fail(message: object, code: int) -> int:
    line = " ".join(str(message).split())
    sys.stderr.write(f"colorlab: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
