"""Colour stored in coarse cells and reconstructed at full size: in a small cell, chroma is nearly linear in
lightness.

A grid of stride 4 is fine enough for matching and far too coarse for colour: upsampled, it bleeds over every
edge. But lightness is known at full size. Within a cell the model of He et al.'s guided filter (ECCV 2010)
holds well,

    ab(p) ≈ slope · L(p) + offset,

so a cell stores not its mean colour but such lines, one for every 2 x 2 pixels in it, fitted where colour is
known and evaluated on the lightness of the frame that receives them: edges appear where that frame has them.
Each line is fitted to the 4 x 4 pixels around its own four. This is ours, not one of the papers'; the course
networks use it.

Fitting and evaluating lose a little detail, and repeating both in every frame would blur more and more; so
what was read is passed on as lines.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STEP = 2  # pixels between lines
# a variance of lightness (in [-1, 1]; 10 in units of L) below which a slope is poorly determined and shrinks
# towards zero
FLAT = 0.004


def numbers(cell: int) -> int:
    """How many numbers the lines of a cell of cell x cell pixels are: two slopes and two offsets a line."""
    return 4 * (cell // STEP) ** 2


def fit_lines(l: Tensor, chroma: Tensor, cell: int) -> Tensor:
    """Least squares around every 2 x 2 pixels, slopes shrunk where lightness is flat.

    l: (B, 1, H, W), L / 50 - 1; chroma: (B, 2, H, W); H and W multiples of `cell`, which is even. Returns (B,
    numbers(cell), H / cell, W / cell), in the units of chroma.
    """
    mean_l, mean = _around(l), _around(chroma)
    covariance = _around(l * chroma) - mean_l * mean
    variance = (_around(l.square()) - mean_l.square()).clamp(min=0)
    slope = covariance / (variance + FLAT)
    return F.pixel_unshuffle(torch.cat((slope, mean - slope * mean_l), dim=1), cell // STEP)


def draw_lines(lines: Tensor, l: Tensor, cell: int) -> Tensor:
    """lines: (B, numbers(cell), h, w) and l: (B, 1, cell * h, cell * w), as for `fit_lines` -> chroma (B, 2,
    cell * h, cell * w)."""
    lines = F.interpolate(F.pixel_shuffle(lines, cell // STEP), scale_factor=STEP, mode="bilinear")
    slope, offset = lines.chunk(2, dim=1)
    return torch.addcmul(offset, slope, l.expand_as(slope))


def _around(x: Tensor) -> Tensor:
    """Means over 4 x 4 pixels, every STEP: (B, C, H, W) -> (B, C, H / STEP, W / STEP)."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 2 * STEP, STEP)
