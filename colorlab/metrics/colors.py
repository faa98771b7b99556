"""How colourful one frame is (Hasler and Suesstrunk 2003). It knows no truth: always print the truth's value beside it.

Their scale for `colorfulness`: 0 not, 15 slightly, 33 moderately, 45 averagely, 59 quite, 82 highly, 109 extremely.
"""

from __future__ import annotations

import numpy as np

from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.metrics.frames import Frame, check_frame

OPPONENTS = np.array([[1, -1, 0], [0.5, 0.5, -1]])  # rg = R - G and yb = (R + G)/2 - B


def colorfulness(frame: Frame) -> float:
    """M3 of Hasler and Suesstrunk: sqrt(var rg + var yb) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2), levels 0 to 255.

    frame: (H, W, 3) uint8 RGB. BGR changes the value a little and would go unnoticed.
    """
    check_frame(frame)
    levels = frame.reshape(-1, 3).astype(np.float64)
    mean = OPPONENTS @ levels.mean(0)                                  # (2,)
    # Both spreads follow from the 3 x 3 moments of R, G, B: a tenth of the work of forming rg and yb.
    squares = np.diag(OPPONENTS @ (levels.T @ levels / len(levels)) @ OPPONENTS.T)
    spread = np.maximum(squares - mean**2, 0)
    return float(np.sqrt(spread.sum()) + 0.3 * np.sqrt((mean**2).sum()))


def colorfulness_absolute(frame: Frame) -> float:
    """M3 of |rg| and |yb|: what ColorMNet's and DDColor's scripts compute. Lower than `colorfulness`, unevenly so."""
    check_frame(frame)
    R, G, B = np.moveaxis(frame.astype(np.float32), -1, 0)
    rg, yb = np.abs(R - G), np.abs((R + G) / 2 - B)
    spread = rg.var(dtype=np.float64) + yb.var(dtype=np.float64)
    center = rg.mean(dtype=np.float64) ** 2 + yb.mean(dtype=np.float64) ** 2
    return float(np.sqrt(spread) + 0.3 * np.sqrt(center))


def colorfulness_lab(frame: Frame, sample: bool = False) -> float:
    """M1 of Hasler and Suesstrunk, in CIELAB: sqrt(var a + var b) + 0.37 sqrt(mean(a)^2 + mean(b)^2).

    The scale of LSTVC's column COLOR fits this one. sample: divide the variances by n - 1, as their group's code does.
    """
    check_frame(frame)
    ab = rgb_to_lab(frames_to_rgb(frame))[1:].flatten(1).double()      # (2, N)
    spread = ab.var(1, correction=int(sample)).sum()
    return float(spread.sqrt() + 0.37 * ab.mean(1).square().sum().sqrt())
