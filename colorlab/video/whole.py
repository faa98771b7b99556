"""Output that appears whole under its name or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorlab.errors import InputError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Lend a temporary name beside `path`; what is written there (a file or a folder) gets its name at the end.

    When the body fails or is interrupted, what it wrote is removed and `path` stays as it was. The temporary name begins
    with a dot and keeps the suffix. Raises InputError when the folder to write into does not exist.
    """
    check_writable(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            path.rmdir()  # empty, as check_writable saw to; not every system renames over a folder
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise InputError when `path` cannot become an output: before the work, not after it."""
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir() and any(path.iterdir()):
        raise InputError(f"cannot write {path}: that folder is not empty; give a new name or empty it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot write {path}: no permission to write in {path.parent}")
