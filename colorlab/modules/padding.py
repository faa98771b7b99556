"""Replicate-padding pictures to the size that a network needs."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def repeat_border(maps: Tensor, multiple: int, smallest: int = 0) -> Tensor:
    """(B, C, H, W) -> H and W rounded up to multiples, and to `smallest` at least, by repeating the last row
    and column."""
    bottom, right = (max(smallest, math.ceil(side / multiple) * multiple) - side for side in maps.shape[-2:])
    return F.pad(maps, (0, right, 0, bottom), mode="replicate")
