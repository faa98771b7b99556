"""Checks of a command's outputs: none may be an input, and no two may have one name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from colorlab.files.errors import InputError
from colorlab.files.video.folder import FILM_SUFFIXES, PICTURE_SUFFIXES


def check_outputs(outputs: Mapping[str, Path | None], *inputs: Path | None) -> None:
    """Raise InputError, before any work, if an output is an input, lies inside an input folder, or equals
    another output.

    outputs: by the option that names each. Names are compared as the file system compares them: after
    resolving links, and case-insensitively if it is.
    """
    given = {option: path for option, path in outputs.items() if path is not None}
    read = [path for path in inputs if path is not None and path.exists()]
    for option, path in given.items():
        for source in read:
            if leads_to(path, source):
                raise InputError(f"{option} {path} is what is read; give the output another name")
            if source.is_dir() and path.suffix.lower() in (*PICTURE_SUFFIXES, *FILM_SUFFIXES) and leads_to(
                    path.absolute().parent, source):
                raise InputError(
                    f"{option} {path} would lie among what is read from {source}; give it a place of its own")
    options = list(given)
    for number, option in enumerate(options):
        for other in options[:number]:
            if leads_to(given[option], given[other]):
                raise InputError(f"{other} and {option} both name {given[option]}; give two names")


def leads_to(one: Path, other: Path) -> bool:
    """Whether two paths are one file or folder, or would be if they were written."""
    if one.exists() and other.exists():
        return os.path.samefile(one, other)
    if one.exists() or other.exists():
        return False
    same_folder = one.parent.exists() and other.parent.exists() and os.path.samefile(one.parent, other.parent)
    return one.resolve() == other.resolve() or (same_folder and one.name.casefold() == other.name.casefold())
