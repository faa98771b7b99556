"""Scores of a method on clips it was not trained on.

The definition: frames at short side 128 (Pillow's bicubic, 8-bit RGB: that is the truth); the first frame is
the reference, as the film's own frame 0; `colorlab.colorize` at that size; PSNR of 8-bit RGB, averaged over
frames 1, 2, ... of a clip, then over clips. Colourfulness and CDC are reported with it, next to the truth's
own, because a method that paints grey has little error. With a loose reference (the clip's last frame
mirrored, so not a frame of the film) frames 0 to 11 are coloured and all of them count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from torch import nn

from colorlab.clips.windows import frame_files, picture_size, read_crop
from colorlab.files.errors import InputError
from colorlab.film.colorize import colorize
from colorlab.methods import record_of
from colorlab.metrics import cdc, colorfulness, mean_psnr, psnr

SHORT_SIDE = 128
LOOSE_FRAMES = 12  # that are coloured from a loose reference


class Score(NamedTuple):
    """One clip; all numbers exclude given frames, except CDC, which needs whole clips."""

    clip: str
    frames: int
    psnr: float                # dB, mean over frames 1, 2, ...
    colorfulness: float        # mean over frames 1, 2, ...
    truth_colorfulness: float
    cdc: float | None          # None for clips of fewer than five frames
    truth_cdc: float | None


def read_clip(path: Path, short_side: int = SHORT_SIDE, frames: int | None = None) -> list[np.ndarray]:
    """The first frames of a clip (all by default), uint8 (h, w, 3) with this short side; smaller ones as they
    are."""
    files = frame_files(path)[:frames]
    height, width = picture_size(files[0])
    scale = min(1.0, short_side / min(height, width))
    size = round(height * scale), round(width * scale)
    return [read_crop(file, (0, 0, width, height), size) for file in files]


def score(name: str, truth: Sequence[np.ndarray], model: nn.Module, device: str | None = None,
          precision: str = "float32",
          reference: Literal["first", "loose"] = "first") -> tuple[Score, list[np.ndarray]]:
    """Colour a clip of at least two frames from its first one, or from a loose reference (by itself, where
    the method makes its own), and compare."""
    if len(truth) < 2:
        raise InputError(f"{name} has one frame; at least two are needed, the first is the reference")
    references, given = [(0, truth[0])], 1
    if reference == "loose":
        references, given, truth = np.ascontiguousarray(truth[-1][:, ::-1]), 0, truth[:LOOSE_FRAMES]
    predicted = list(
        colorize(truth, None if paints_its_own(model) else references, model, device=device,
                 precision=precision))
    rest = range(given, len(truth))
    steady = len(truth) >= 5
    return Score(name, len(truth), mean_psnr(psnr(predicted[t], truth[t]) for t in rest),
                 float(np.mean([colorfulness(predicted[t]) for t in rest])),
                 float(np.mean([colorfulness(truth[t]) for t in rest])),
                 cdc(predicted) if steady else None,
                 cdc(truth) if steady else None), predicted


def paints_its_own(model: nn.Module) -> bool:
    """Whether its method makes its own reference; it is then measured without any given colour, as it is
    used."""
    said = record_of(model)
    return said is not None and not said.needs_reference


def mean_score(scores: Iterable[Score]) -> dict[str, float]:
    """Means over clips, of the numbers that there are."""
    scores = list(scores)
    columns = {
        name: [getattr(s, name) for s in scores if getattr(s, name) is not None] for name in Score._fields[2:]
    }
    return {name: float(np.mean(values)) for name, values in columns.items() if values}
