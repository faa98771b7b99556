"""What is read of a frame for colouring and writing it: its picture, and the luma as the file stores it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Luma(NamedTuple):
    """A frame's lightness as stored: every code, also those above white and below black."""

    codes: np.ndarray  # (H, W) uint8 or uint16, upright
    bits: int          # 8 to 16


class Shot(NamedTuple):
    """One frame."""

    rgb: np.ndarray          # (H, W, 3) uint8, or uint16 of 0 to 65535 where the film stores more than 8 bits
    luma: Luma | None = None  # None where a film or picture stores no lightness of its own, but RGB


def eight_bits(rgb: np.ndarray) -> np.ndarray:
    """uint8 or uint16 RGB -> uint8, rounded."""
    return rgb if rgb.dtype == np.uint8 else ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)
