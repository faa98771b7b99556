"""A few strokes of colour -> the colours of the whole frame (Levin, Lischinski and Weiss 2004, "Colorization
using optimization").

Neighbouring pixels of similar lightness should have similar colours. Each pixel's a and b should be the
weighted mean of its eight neighbours', with weights that fall with the difference in lightness (their Eq. 2),
and painted pixels keep their colour. That is a sparse system of linear equations with one unknown for each
pixel. The paper solves it for a whole film with the neighbours along the motion; here it is solved for one
frame, and a method propagates the colours from there.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def spread_strokes(l: np.ndarray, ab: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Colours for the whole frame from those of some pixels.

    l: (H, W) in [0, 100]; ab: (2, H, W), read where `known`, bool (H, W), is true. Returns ab (2, H, W), each
    value between the lowest and the highest that was given. Raises ValueError if nothing is known. The cost
    grows faster than the number of pixels: shrink large frames first.
    """
    if not known.any():
        raise ValueError("spread wants at least one pixel whose colour is known")
    H, W = l.shape
    number = np.arange(H * W).reshape(H, W)
    padded, inside = np.pad(l.astype(float), 1, mode="edge"), np.pad(np.ones((H, W), bool), 1)
    shifted = lambda array, dy, dx: array[1 + dy:H + 1 + dy, 1 + dx:W + 1 + dx]
    around = np.stack([shifted(padded, dy, dx) for dy, dx in NEIGHBOURS])  # (8, H, W)
    there = np.stack([shifted(inside, dy, dx) for dy, dx in NEIGHBOURS])
    variance = np.concatenate((around, l[None])).var(0)                    # of the window, (H, W)
    # 0.6 and the lower bounds are from the authors' code: without them a flat window gives 0 / 0
    smallest = -np.min(np.where(there, (around - l) ** 2, np.inf), 0) / np.log(0.01)
    width = np.maximum(np.maximum(0.6 * variance, smallest), 0.02)
    weights = np.where(there, np.exp(-((around - l) ** 2) / width), 0)
    weights = np.where(known, 0, weights / weights.sum(0))                 # known pixels are fixed
    rows = np.broadcast_to(number, weights.shape)
    columns = np.stack([shifted(np.pad(number, 1, mode="edge"), dy, dx) for dy, dx in NEIGHBOURS])
    kept = weights > 0
    system = sparse.identity(H * W, format="csc") - sparse.csc_matrix(
        (weights[kept], (rows[kept], columns[kept])), (H * W, H * W))
    given = np.where(known, ab, 0).reshape(2, -1).T.astype(float)          # (H W, 2)
    return spsolve(system, given).T.reshape(2, H, W).astype(np.float32)
