"""One process at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorlab.files.errors import InputError


@contextmanager
def alone(lock: Path, folder: Path, mend: str) -> Iterator[None]:
    """Lock `folder` against other processes through the file `lock`, which may remain. A killed process
    releases it.

    mend: what to do if another process holds it, for the InputError. On Windows, which has no such locks,
    nothing is locked.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"another run is at work in {folder}; {mend}") from error
        yield
