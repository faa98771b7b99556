"""Which clips are never trained on. The split is by clip, because neighbouring frames of a film are nearly
identical."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

# Of the footage that the course networks are trained on: a fifth, chosen before any training for what they
# show: fast pans, occlusion, hand-held blur, a still camera, deformation, crowds, portrait format; dull and
# vivid colour.
COURSE_VALIDATION = ("davis_bmx-trees", "davis_horsejump-high", "davis_lady-running", "sam2_coffee",
                     "ta_kitten", "vipseg_crowd", "cotracker_teddy")


def split(clips: Sequence[Path], held_out: Sequence[str] | None = None) -> tuple[list[Path], list[Path]]:
    """(to train on, to validate on). held_out: names of clips (of folders, or of films without suffix).

    None: those of COURSE_VALIDATION that are present; if there are none, about every tenth clip, chosen by
    its name and not at random or by order, so that it stays held out as the collection grows. A single clip
    is trained on.
    """
    if held_out is None:
        held_out = [clip_name(path) for path in clips if clip_name(path) in COURSE_VALIDATION]
        held_out = held_out or [
            clip_name(path) for path in clips if zlib.crc32(clip_name(path).encode()) % 10 == 0
        ]
    validation = [path for path in clips if clip_name(path) in held_out]
    if len(validation) == len(clips):
        return list(clips), []
    return [path for path in clips if path not in validation], validation


def clip_name(path: Path) -> str:
    """A clip's name: its folder's (the one above, where frames lie in a folder called "frames"), or the
    film's without suffix."""
    if path.suffix and not path.is_dir():
        return path.stem
    return path.parent.name if path.name == "frames" else path.name
