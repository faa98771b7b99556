"""One process at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorlab.files.errors import InputError


@contextmanager
def alone(lock: Path, folder: Path, mend: str) -> Iterator[None]:
    """Hold `folder` against another process by the file `lock`, which may stay. A killed process lets go of
    it.

    mend: what to do where another has it, for the InputError. Windows, which has no such locks, holds
    nothing.
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
