"""The files that an interrupted job left in its folder, and whether they are intact.

Each segment has a record, `000003.json`: the total number of frames so far, and size and checksum of every
file of the segment and of the model's state after it. A segment counts if its record and all earlier ones are
valid; one that is damaged, empty or foreign is treated as if it had never been made.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from colorlab.files.atomic import read_json, to_disk, write_json

STEPS = 1 << 20  # bytes read at a time


def keep_segment(folder: Path, number: int, frames: int, files: Mapping[str, Path]) -> None:
    """Record that segment `number` (from 1) is complete, with `frames` in total so far. files: by the name
    that each has or will have in `folder`."""
    facts = {}
    for name, file in files.items():
        to_disk(file)
        facts[name] = [file.stat().st_size, _checksum(file)]
    write_json(folder / f"{number:06d}.json", {"frames": frames, "files": facts})


def whole_segments(folder: Path, find: Callable[[str], Path]) -> list[int]:
    """The total number of frames after each whole segment, in order. find: maps a file name to its current
    path."""
    frames: list[int] = []
    while (counted := _whole(read_json(folder / f"{len(frames) + 1:06d}.json"), find,
                             f"{len(frames) + 1:06d}.state")) is not None:
        frames.append(counted)
    return frames


def whole_file(path: Path, facts: object) -> bool:
    """Whether a file has the size and the checksum that were recorded."""
    try:
        return [path.stat().st_size, _checksum(path)] == facts
    except OSError:
        return False


def _whole(record: object, find: Callable[[str], Path], state: str) -> int | None:
    """The number of frames in a record; None if it is not a record, or a file has changed. The state is
    checked separately."""
    if not isinstance(record, dict) or not isinstance(record.get("frames"), int) or not isinstance(
            record.get("files"), dict):
        return None
    return record["frames"] if all(
        whole_file(find(name), facts) for name, facts in record["files"].items() if name != state) else None


def _checksum(path: Path) -> int:
    facts = os.stat(path)
    return _checksum_as_it_is(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)


@lru_cache(maxsize=100_000)
def _checksum_as_it_is(path: Path, *_: int) -> int:
    """CRC-32 of a file, cached until the file changes."""
    found = 0
    with path.open("rb") as file:
        while piece := file.read(STEPS):
            found = zlib.crc32(piece, found)
    return found
