"""Unpacking archives of data sets: nothing escapes the folder, and the folder appears whole or not at all."""

from __future__ import annotations

import secrets
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from colorlab.errors import InputError


class Member(NamedTuple):
    name: str
    size: int
    open: Callable[[], IO[bytes]] | None  # None for a folder


def unpack(archive: str | Path, folder: str | Path, on_file: Callable[[str, int], None] | None = None) -> int:
    """Unpack a .zip or .tar (also .tar.gz, .tgz, .tar.bz2, .tar.xz) into a new folder; returns how many files.

    Refused with InputError before the folder appears: a damaged archive, a member that would land outside the folder (absolute, or
    through ..), links and devices, two members of one name, and archives that do not fit on the disk. on_file is told each
    file's name and size.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already; remove it, or unpack somewhere else")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        count = _extract(archive, partial, on_file)
        if folder.is_dir():
            folder.rmdir()
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return count


def _extract(archive: Path, folder: Path, on_file: Callable[[str, int], None] | None) -> int:
    folder.mkdir()
    seen: set[Path] = set()
    free = shutil.disk_usage(folder).free
    try:
        for member in _members(archive):
            target = folder.joinpath(*safe_parts(archive, member.name))
            if member.open is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            if target in seen:
                raise InputError(f"{archive} holds {member.name} twice")
            seen.add(target)
            free -= member.size
            if free < 0:
                raise InputError(f"{archive} does not fit on the disk of {folder.parent}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            if on_file is not None:
                on_file(member.name, member.size)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as error:  # Runtime: a password
        raise InputError(f"{archive} is damaged or cannot be unpacked ({error}); get it again") from error
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
                yield Member(info.filename, info.file_size, None if info.is_dir() else lambda info=info: opened.open(info))
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            for info in opened:
                if not (info.isfile() or info.isdir()):
                    raise InputError(f"{archive} holds a link or a device, {info.name}; those are not unpacked")
                yield Member(info.name, info.size, None if info.isdir() else lambda info=info: opened.extractfile(info))
    else:
        raise InputError(f"{archive} is neither a zip nor a tar archive")


def safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """A member's path below the folder; InputError for one that leads out of it, on any system."""
    path = PurePosixPath(name)
    parts = tuple(part for part in path.parts if part != ".")
    if path.is_absolute() or ".." in parts or "\\" in name or ":" in name or "\0" in name:
        raise InputError(f"{archive} holds {name!r}, which would land outside its folder; such an archive is not unpacked")
    return parts
