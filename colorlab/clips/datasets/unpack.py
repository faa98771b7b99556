"""Unpacking archives of data sets: nothing is written outside the folder, and the folder is created
atomically."""

from __future__ import annotations

import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from colorlab.files.errors import InputError
from colorlab.files.atomic import NO_ROOM, atomically

# What Python's readers of archives raise; RuntimeError for a password, NotImplementedError for a method that
# is not known.
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError,
           ValueError, struct.error, IndexError, KeyError, OverflowError, TypeError, AttributeError)


class Member(NamedTuple):
    name: str
    size: int
    open: Callable[[], IO[bytes]] | None  # None for a folder


def unpack(archive: str | Path, folder: str | Path, on_file: Callable[[str, int], None] | None = None,
           limit: int | None = None) -> int:
    """Unpack a .zip or .tar (also .tar.gz, .tgz, .tar.bz2, .tar.xz) into a new folder; returns how many
    files.

    Refused with InputError before the folder appears: a damaged archive, one that was cut between two
    members, a member that would land outside the folder (absolute, or through ..), links and devices, two
    members of one name, and archives that do not fit on the disk or hold more than `limit` bytes (None: a
    hundred times their own size, or 1 GiB). on_file is told each file's name and size.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already; remove it, or unpack somewhere else")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomically(folder) as partial:
        return _extract(archive, partial, on_file, limit)


def _extract(archive: Path, folder: Path, on_file: Callable[[str, int], None] | None,
             limit: int | None) -> int:
    folder.mkdir()
    seen: set[Path] = set()
    free, size = shutil.disk_usage(folder).free, 0
    try:
        for member in _members(archive):
            target = folder.joinpath(*safe_parts(archive, member.name))
            if member.open is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            if target in seen:
                raise InputError(f"{archive} holds {member.name} twice")
            seen.add(target)
            size += member.size
            if size > free:
                raise InputError(f"{archive} does not fit on the disk of {folder.parent}")
            if size > (most := max(1 << 30, 100 * archive.stat().st_size) if limit is None else limit):
                raise InputError(
                    f"{archive} holds more than {most / 1e9:.1f} GB; if that is as it should be, say "
                    "how much it may be with --limit GB")
            target.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            if on_file is not None:
                on_file(member.name, member.size)
    except InputError:
        raise
    except DAMAGED as error:
        if getattr(error, "errno", None) in NO_ROOM:
            raise
        raise InputError(f"{archive} is damaged or cannot be unpacked ({error or type(error).__name__}); "
                         "get it again") from error
    if not seen:
        raise InputError(f"{archive} holds no files")
    return len(seen)


def _members(archive: Path) -> Iterator[Member]:
    if not archive.is_file():
        raise InputError(f"there is no archive {archive}")
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if (info.external_attr >> 16) & 0o170000 == 0o120000:
                    raise InputError(f"{archive} holds a link, {info.filename}; links are not unpacked")
                yield Member(info.filename, info.file_size,
                             None if info.is_dir() else lambda info=info: opened.open(info))
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            for info in opened:
                if not (info.isfile() or info.isdir()):
                    raise InputError(
                        f"{archive} holds a link or a device, {info.name}; those are not unpacked")
                yield Member(info.name, info.size,
                             None if info.isdir() else lambda info=info: opened.extractfile(info))
            _check_end(archive, opened)
    else:
        raise InputError(f"{archive} is neither a zip nor a tar archive")


def _check_end(archive: Path, opened: tarfile.TarFile) -> None:
    """Raise InputError unless the last member is followed by the two empty blocks that end a tar.

    tarfile stops silently at a header that it cannot read, and also where an archive was cut between two
    members.
    """
    opened.fileobj.seek(opened.offset)
    end = opened.fileobj.read(2 * tarfile.BLOCKSIZE)
    if len(end) < 2 * tarfile.BLOCKSIZE or any(end):
        raise InputError(f"{archive} is damaged or cut short: after {len(opened.getmembers())} members it "
                         "neither goes on nor ends; get it again")
    while rest := opened.fileobj.read(1 << 20):  # to the end, where a compressed archive has its checksum
        if any(rest):
            raise InputError(f"{archive} is damaged: more follows where it ends, after "
                             f"{len(opened.getmembers())} members; get it again")


def safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """A member's path below the folder; InputError for one that leads out of it, on any system."""
    path = PurePosixPath(name)
    parts = tuple(part for part in path.parts if part != ".")
    if path.is_absolute() or ".." in parts or "\\" in name or ":" in name or "\0" in name:
        raise InputError(f"{archive} holds {name!r}, which would land outside its folder; such an archive "
                         "is not unpacked")
    return parts
