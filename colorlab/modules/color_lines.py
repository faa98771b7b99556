"""Colour carried in few cells and drawn at full size: in a small cell, chroma is nearly a straight line in lightness.

A grid of stride 4 is fine enough to match pixels on, and far too coarse for colour: enlarged, it bleeds over every edge. But lightness
is known at full size. Within a cell the model of He et al.'s guided filter (ECCV 2010) holds well,

    ab(p) ≈ slope · L(p) + offset,

so what is carried for a cell is not its mean colour but its line, fitted where colour is known and drawn with the lightness of the
frame that receives it: the edges come out where that frame has them. This is ours, not one of the papers'; the course networks use it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FLAT = 0.004  # a variance of lightness (in [-1, 1]; 10 in units of L) below which a slope cannot be told, and shrinks towards zero


def fit_lines(l: Tensor, chroma: Tensor, cell: int) -> Tensor:
    """Least squares in every cell of cell x cell pixels, slopes shrunk where lightness is flat.

    l: (B, 1, H, W), L / 50 - 1; chroma: (B, 2, H, W); H and W multiples of `cell`. Returns (B, 4, H / cell, W / cell): two slopes, two
    offsets, in the units of chroma.
    """
    mean_l, mean = F.avg_pool2d(l, cell), F.avg_pool2d(chroma, cell)
    covariance = F.avg_pool2d(l * chroma, cell) - mean_l * mean
    variance = (F.avg_pool2d(l.square(), cell) - mean_l.square()).clamp(min=0)
    slope = covariance / (variance + FLAT)
    return torch.cat((slope, mean - slope * mean_l), dim=1)


def draw_lines(lines: Tensor, l: Tensor, cell: int) -> Tensor:
    """lines: (B, 4, h, w) and l: (B, 1, cell * h, cell * w), as for `fit_lines` -> chroma (B, 2, cell * h, cell * w)."""
    slope, offset = F.interpolate(lines, scale_factor=cell, mode="bilinear").chunk(2, dim=1)
    return torch.addcmul(offset, slope, l.expand_as(slope))
