"""Part of a picture, to look at closely: what an explorer shows beside the picture that one points at."""

from __future__ import annotations

import numpy as np

from colorlab.teaching.plots import Picture, as_array

TIMES = 3  # a closeup shows a third of the height and of the width


def closeup(picture: Picture, at: tuple[int, int], times: int = TIMES) -> np.ndarray:
    """The part of a picture around its pixel (y, x), as uint8; at a border it is moved inside."""
    array = as_array(picture)
    size = [max(1, side // times) for side in array.shape[:2]]
    top, left = (int(np.clip(place - part // 2, 0, side - part))
                 for place, part, side in zip(at, size, array.shape))
    return array[top:top + size[0], left:left + size[1]]
