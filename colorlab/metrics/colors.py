"""How colourful one frame is (Hasler and Suesstrunk 2003). It has no reference: always print the ground
truth's value beside it.

Their scale for `colorfulness`: 0 not, 15 slightly, 33 moderately, 45 averagely, 59 quite, 82 highly, 109
extremely.
"""

from __future__ import annotations

import numpy as np

from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.metrics.frames import Frame, check_frame


def colorfulness(frame: Frame) -> float:
    """M3 of Hasler and Suesstrunk: sqrt(var rg + var yb) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2), levels 0 to
    255.

    frame: (H, W, 3) uint8 RGB. BGR input changes the value only a little, so the mistake is easily missed.
    """
    return _m3(*_opponents(frame))


def colorfulness_absolute(frame: Frame) -> float:
    """M3 of |rg| and |yb|: what ColorMNet's and DDColor's scripts compute. Lower than `colorfulness`, by
    varying amounts."""
    return _m3(*map(np.abs, _opponents(frame)))


def _opponents(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """rg = R - G and yb = (R + G)/2 - B, (H, W) each, exact in float32."""
    check_frame(frame)
    R, G, B = (frame[..., c].astype(np.float32) for c in range(3))
    return R - G, (R + G) * np.float32(0.5) - B


def _m3(rg: np.ndarray, yb: np.ndarray) -> float:
    """sqrt(var rg + var yb) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2)."""
    mean = [np.add.reduce(plane, axis=None, dtype=np.float64) / plane.size for plane in (rg, yb)]
    # A row's sum of squares is precise enough in float32, a frame's would not be.
    square = [np.einsum("hw,hw->h", plane, plane).sum(dtype=np.float64) / plane.size for plane in (rg, yb)]
    spread = sum(square) - mean[0] ** 2 - mean[1] ** 2
    return float(np.sqrt(max(spread, 0.0)) + 0.3 * np.hypot(*mean))


def colorfulness_lab(frame: Frame, sample: bool = False) -> float:
    """M1 of Hasler and Suesstrunk, in CIELAB: sqrt(var a + var b) + 0.37 sqrt(mean(a)^2 + mean(b)^2).

    The scale of LSTVC's column COLOR fits this one. sample: divide the variances by n - 1, as their group's
    code does.
    """
    check_frame(frame)
    ab = rgb_to_lab(frames_to_rgb(frame))[1:].flatten(1).double()      # (2, N)
    spread = ab.var(1, correction=int(sample)).sum()
    return float(spread.sqrt() + 0.37 * ab.mean(1).square().sum().sqrt())
