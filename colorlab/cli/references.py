"""Parsing `--reference`: pictures, the frames they belong to, and which methods need any."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from colorlab.files.errors import InputError
from colorlab.methods import record


class NamedReference(NamedTuple):
    """A reference by its file."""

    path: Path
    frame: int | None  # None for a picture that is not a frame of the film


def parse_reference(text: str, film: Path) -> NamedReference:
    """IMAGE or IMAGE@FRAME -> the picture's path and its frame. {name} stands for the film's name without its
    suffix.

    A picture whose own name contains an @ is recognised.
    """
    text = text.replace("{name}", film.stem)
    if Path(text).is_file():
        return NamedReference(Path(text), None)
    image, at, frame = text.rpartition("@")
    if at and image and frame.isascii() and frame.isdigit():
        if not Path(image).is_file():
            raise InputError(f"there is no reference picture {image}")
        return NamedReference(Path(image), int(frame))
    if at and image and Path(image).is_file():
        raise InputError(
            f"--reference {text}: what follows the @ is the number of a frame, from 0, not {frame!r}")
    raise InputError(f"there is no reference picture {text}")


def check_reference_use(method: str, given: int) -> None:
    """Raise InputError when a method needs a reference and gets none, or vice versa."""
    if not record(method).needs_reference and given:
        raise InputError(f"{method} paints its own reference; leave --reference out, or take another method")
    if record(method).needs_reference and not given:
        raise InputError(f"{method} colours after a picture; give one with --reference IMAGE, or take "
                         "--method tcavc, which needs none")


def check_frames(named: list[NamedReference], count: int) -> None:
    """Raise InputError for a reference to a frame that the film does not have, or two for one frame."""
    frames = [frame for _, frame in named if frame is not None]
    for path, frame in named:
        if frame is not None and frame >= count:
            raise InputError(f"--reference {path}@{frame}: the film has {count} frames, 0 to {count - 1}")
        if frames.count(frame) > 1:
            raise InputError(f"two references for frame {frame}; give each frame one")


def read_references(named: list[NamedReference]) -> list[np.ndarray | tuple[int, np.ndarray]] | None:
    """The pictures as `colorize` takes them, transparent ones with their alpha."""
    from colorlab.files.video import read_image

    pictures = [(frame, read_image(path, alpha=True)) for path, frame in named]
    return [picture if frame is None else (frame, picture) for frame, picture in pictures] or None


def references_identity(named: list[NamedReference]) -> str:
    """Hashes of the files' contents, with their frames."""
    return json.dumps([(hashlib.sha256(path.read_bytes()).hexdigest(), frame) for path, frame in named])


def parse_cuts(text: str, count: int | None = None) -> str | tuple[int, ...]:
    """auto, none, or the numbers of the frames with which scenes begin: 12,57."""
    if text == "auto":
        return text
    if text == "none":
        return ()
    parts = text.split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--cuts {text}: give auto, none, or the frames with which scenes begin, from 1, "
                         "such as 12,57")
    cuts = tuple(sorted({int(part) for part in parts}))
    if count is not None and cuts[-1] >= count:
        raise InputError(f"--cuts {cuts[-1]}: the film has {count} frames, 0 to {count - 1}")
    return cuts


def parse_stretch(text: str, count: int) -> tuple[int, int]:
    """A-B, two frames of the film, both included -> (first, last)."""
    first, dash, last = text.partition("-")
    if not (dash and all(part.strip().isascii() and part.strip().isdigit()
                         for part in (first, last)) and int(first) <= int(last)):
        raise InputError(
            f"--frames {text}: give the first and the last frame, counted from 0, such as 120-180")
    if int(last) >= count:
        raise InputError(f"--frames {text}: the film has {count} frames, 0 to {count - 1}")
    return int(first), int(last)


def parse_point(text: str) -> tuple[int, int, int]:
    """FRAME,Y,X -> three numbers."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--explain {text}: give FRAME,Y,X, three numbers from 0, such as 40,120,200")
    return tuple(int(part) for part in parts)
