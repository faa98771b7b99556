"""Name clashes between inputs: found before any work, if one output would replace another."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from colorlab.files.errors import InputError


def check_names(files: Iterable[Path], name_of: Callable[[Path], str], what: str,
                folder: Path | None = None) -> None:
    """Raise InputError, with both files, where `name_of` gives two of `files` one name.

    what: the sentence after "FILE and FILE", in which {name} stands for the name. folder: where files of
    these names are to be written; two names that differ in capitals alone are one if that disk takes them for
    one. How accents are composed makes no difference.
    """
    files = list(files)
    fold = folder is not None and len(files) > 1 and ignores_case(folder)
    found: dict[str, Path] = {}
    for file in files:
        name = name_of(file)
        composed = unicodedata.normalize("NFC", name)
        key = composed.casefold() if fold else composed
        if key in found:
            raise InputError(f"{found[key]} and {file} {what.format(name=name)}")
        found[key] = file


def ignores_case(folder: Path) -> bool:
    """Whether a disk takes A.mp4 for a.mp4, as macOS and Windows do; tried with an empty file in the folder,
    which must be there."""
    probe = folder / f".colorlab-{secrets.token_hex(4)}-a"
    try:
        probe.touch()
    except OSError:  # not writable, which is reported on writing
        return False
    try:
        return probe.with_name(probe.name.upper()).exists()
    finally:
        probe.unlink(missing_ok=True)
