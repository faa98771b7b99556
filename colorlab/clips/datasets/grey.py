"""Grey input, made the way each paper makes it. The two ways are not interchangeable.

| paper | grey input |
|---|---|
| LSTVC, TCAVC | L of CIELAB of the colour frame |
| ColorMNet | the paper: "generated with OpenCV"; the code: L of CIELAB of whatever picture it is given, so of the OpenCV grey picture |
| CAVC | a grey picture repeated to three channels |

OpenCV's grey is a weighted sum of gamma-encoded values (BT.601); CIELAB's L is computed from linear light.
Pure red has L = 53.2 and an OpenCV grey whose L is 32.3; blue 32.3 and 10.8. Joining true a and b to the
wrong L shifts every colour, so choose once, for the input and the truth alike. Archive film is nearer to
OpenCV's.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import Tensor

from colorlab.color import frames_to_rgb, rgb_to_lab, split_lab

# 0.299, 0.587, 0.114 in 15 bits: OpenCV's own fixed-point numbers, to reproduce its rounding.
R_WEIGHT, G_WEIGHT, B_WEIGHT = 9798, 19235, 3735


def opencv_grey(frames: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 RGB -> (...) uint8, as `cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)` gives it."""
    R, G, B = np.moveaxis(frames.astype(np.uint32), -1, 0)
    return ((R * R_WEIGHT + G * G_WEIGHT + B * B_WEIGHT + (1 << 14)) >> 15).astype(np.uint8)


def lightness(frames: np.ndarray, grey: Literal["cielab", "opencv"] = "cielab") -> Tensor:
    """(T, H, W, 3) uint8 RGB -> (T, 1, H, W), L in [0, 100]: what a network is given of a colour film.

    grey: "cielab" takes L of the colours; "opencv" takes L of OpenCV's grey picture.
    """
    if grey not in ("cielab", "opencv"):
        raise ValueError(f'grey is "cielab" or "opencv", got {grey!r}')
    if grey == "opencv":
        frames = np.repeat(opencv_grey(frames)[..., None], 3, axis=-1)
    return split_lab(rgb_to_lab(frames_to_rgb(frames)))[0]
