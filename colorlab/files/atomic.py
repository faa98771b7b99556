"""Atomic output: the one place where final files and folders are written.

Unfinished output has a temporary name beside the output, `.STEM.MACHINE-PROCESS-NUMBER.part.SUFFIX`. It is
synced to disk before it is renamed. Leftovers of a killed process are removed when the next one writes into
the same folder.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import secrets
import shutil
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from colorlab.files.errors import InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Libraries that write through C++ have their own messages for a full disk: torch's zip writer, Pillow's
# encoders, numpy, safetensors.
NO_ROOM_WORDS = ("PytorchStreamWriter", "unexpected pos", "encoder error", "requested and", "No space left",
                 "os error 28")
LEFT = re.compile(r"\..*\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.part(\.[^.]*)?")
_in_the_making: set[Path] = set()  # by this process
_looked_through: set[Path] = set()  # folders that were searched for leftovers
_one_at_a_time = threading.Lock()


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; what is written there (a file or a folder) is renamed at the end.

    When the body fails or is interrupted, what it wrote is removed and `path` stays as it was. The temporary
    name begins with a dot and keeps the suffix. Raises InputError when `path` cannot be written, or when the
    disk has no room.
    """
    path = Path(path)
    path = path.resolve() if path.is_symlink() else path  # a link is kept, and its target is replaced
    check_writable(path)
    remove_leftovers(path.parent)
    temporary = _temporary(path)
    try:
        with room_for(path):
            yield temporary
            to_disk(temporary)
            _put(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        _in_the_making.discard(temporary.absolute())


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield a scratch folder beside `path`; it is removed at the end, or by the next process if this one is
    killed."""
    remove_leftovers(path.parent)
    folder = _temporary(path)
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _in_the_making.discard(folder.absolute())


def write_text(path: Path, text: str) -> None:
    """Write a file atomically, with line ends as in `text`."""
    with atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


def read_json(path: Path) -> object:
    """The contents of a JSON file; None if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Context in which a full disk raises a one-line InputError that names `path`, whichever library finds it
    full."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if not (
            getattr(error, "errno", None) in NO_ROOM or any(word in str(error) for word in NO_ROOM_WORDS)
        ):
            raise
        raise InputError(f"cannot write {path}: no room is left on its disk (or in its quota); make room, "
                         "then give the same command again") from error


def to_disk(path: Path) -> None:
    """Wait until a file, or all files of a folder, have reached the disk (fsync)."""
    for file in (path, *path.rglob("*")) if path.is_dir() else (path,):
        if file.is_file():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())


def remove_leftovers(folder: Path) -> None:
    """Remove unfinished output of killed processes of this machine from a folder; done once per folder and
    process."""
    place = folder.absolute()
    with _one_at_a_time:
        if place in _looked_through:
            return
        _looked_through.add(place)
        with suppress(OSError):
            for entry in [entry for entry in place.iterdir() if _is_left(entry)]:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise InputError if `path` cannot be written, before the work and not after it."""
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir() and any(path.iterdir()):
        raise InputError(f"cannot write {path}: that folder is not empty; give a new name or empty it first")
    if path.exists() and not (path.is_dir() or path.is_file()):
        raise InputError(f"cannot write {path}: it is a device or a pipe, which nothing can be put in "
                         "place of; give the name of a file")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot write {path}: no permission to write in {path.parent}")


def lives(process: int) -> bool:
    """Whether a process with this id is running; a zombie is not."""
    import psutil

    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _put(temporary: Path, path: Path) -> None:
    if temporary.is_dir() and path.is_dir():
        path.rmdir()  # empty, as check_writable ensured; not every system can rename over a folder
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; give the name of a file")
    os.replace(temporary, path)
    with suppress(OSError):  # Windows opens no folders
        opened = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _temporary(path: Path) -> Path:
    """A temporary name beside `path`, within the length limit."""
    temporary = path.with_name(
        f".{path.stem[:40]}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    _in_the_making.add(temporary.absolute())
    return temporary


def _is_left(entry: Path) -> bool:
    found = LEFT.fullmatch(entry.name)
    if not found or found[1] != _machine() or entry.absolute() in _in_the_making:
        return False
    return int(found[2]) == os.getpid() or not lives(int(found[2]))


def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"
