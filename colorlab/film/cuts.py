"""Where a film cuts from one scene to the next, and which picture is most like a scene.

Two frames are compared by their lightness, small: how much of the later one cannot be matched near its place
in the earlier (structure), and how their histograms differ. Brightness and contrast are normalised first, so
flicker is not a cut. Flat frames are skipped: where a film fades to black and back, a new scene begins with
the first picture after it if that differs from the last one before. A cut is a single change that stands out
among its neighbours: a flash, a torn frame or a splice of a few frames makes two changes and is not a cut,
and a film in which everything always changes (noise) has no cuts.

Measured on 30 clips without a cut (1,587 pairs of neighbouring frames), on the film excerpts, two of which
have one each, and on 870
joints of two different clips: `tests/bench/bench_scenes.py` prints the table. Dissolves are detected by
`dissolves.py`; wipes are not detected and must be given by hand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

SIDE = (48, 64)        # the small picture that is compared, (h, w)
BLOCK, REACH = 8, 6    # search radius for its blocks
BINS = 32
FLAT = 4               # standard deviation in levels below which a frame is flat
NEIGHBOURS = 3         # a cut stands out among this many changes before and after it
THRESHOLD = 0.27       # value of change() above which neighbouring frames may belong to two scenes
PROMINENCE = 1.5       # how many times the largest change nearby


class Signature(NamedTuple):
    """What is kept of a frame to compare it by."""

    small: torch.Tensor      # (h, w) lightness with mean 0 and standard deviation 1
    histogram: torch.Tensor  # (BINS,) of it, summing to 1
    flat: bool               # (almost) black or white: nothing to compare
    levels: torch.Tensor     # (h, w) lightness as it is, 0 to 255


def look_at(frame: np.ndarray) -> Signature:
    """The signature of a frame, uint8 (H, W, 3) of any size, by which it is compared with others."""
    step = max(1, min(frame.shape[:2]) // 192)
    grey = torch.from_numpy(np.ascontiguousarray(frame[::step, ::step])).float().mean(-1)  # (h', w')
    small = F.adaptive_avg_pool2d(grey[None, None], SIDE)[0, 0]
    spread, levels = small.std(), small
    small = (small - small.mean()) / spread.clamp(min=FLAT)  # so that the noise of a flat frame stays small
    histogram = torch.histc(small.clamp(-2.99, 2.99), BINS, -3, 3) / small.numel()
    # smoothed: adjacent bins are similar
    return Signature(small, F.avg_pool1d(histogram[None, None], 3, 1, 1)[0, 0], bool(spread < FLAT), levels)


def structure(before: Signature, after: Signature) -> float:
    """How much of `after` is not found near its place in `before`: 0 for nothing, about 1 for all of it."""
    padded = F.pad(before.small[None, None], (REACH,) * 4, mode="replicate")  # (1, 1, h + 2 r, w + 2 r)
    h, w = SIDE
    shifted = padded[0, 0].unfold(0, h, 1).unfold(1, w, 1).flatten(0, 1)      # ((2 r + 1)^2, h, w)
    # ((2 r + 1)^2, h / 8, w / 8)
    error = F.avg_pool2d((shifted - after.small).square()[:, None], BLOCK)[:, 0]
    return float(error.amin(0).mean())


def change(before: Signature, after: Signature) -> float:
    """How different two frames are: structure both ways (something may come into view, or go) and
    histograms."""
    both = min(structure(before, after), structure(after, before))
    return both + 0.5 * float((before.histogram - after.histogram).abs().sum()) / 2


def find_cuts(frames: Iterable[np.ndarray]) -> list[int]:
    """The first frame after each hard cut: indices into `frames`, uint8 (H, W, 3), of which two are held at a
    time. `colorize` also looks for dissolves: `dissolves.scene_starts`."""
    return [number for number, _ in stream_cuts(map(look_at, frames))]


def stream_cuts(looks: Iterable[Signature]) -> Iterator[tuple[int, float]]:
    """(index of a scene's first frame, how large the change is), each as soon as NEIGHBOURS more frames have
    been read."""
    nearby: deque[float] = deque([0.0] * (2 * NEIGHBOURS + 1), maxlen=2 * NEIGHBOURS + 1)
    number = 0
    for number, value in enumerate(_changes(looks), start=1):
        nearby.append(value)
        if _stands_out(nearby):
            yield number - NEIGHBOURS, nearby[NEIGHBOURS]
    for late in range(1, NEIGHBOURS + 1):  # those still in the window when the film ends
        nearby.append(0.0)
        if _stands_out(nearby):
            yield number + late - NEIGHBOURS, nearby[NEIGHBOURS]


def _changes(looks: Iterable[Signature]) -> Iterator[float]:
    """Each frame's change from the last frame that was not flat; 0 for a flat frame."""
    before = None
    for number, after in enumerate(looks):
        if number:
            yield 0.0 if before is None or after.flat else change(before, after)
        before = before if after.flat else after


def _stands_out(nearby: deque[float]) -> bool:
    """Whether the change in the middle is a cut."""
    middle = nearby[NEIGHBOURS]
    others = max(value for place, value in enumerate(nearby) if place != NEIGHBOURS)
    return middle > THRESHOLD and middle > PROMINENCE * others


def most_like(frame: np.ndarray, pictures: list[np.ndarray]) -> int:
    """Which of some pictures, each (H, W, 3) uint8 of any size, is most like a frame; of equals the first."""
    wanted = look_at(frame)
    return min(range(len(pictures)), key=lambda index: change(look_at(pictures[index]), wanted))
