"""References that give the same object two colours, which would make the colour jump or mix: found before
hours of colouring.

Two pictures of a scene are compared at a small size. Where a block of one matches a block of the other in
lightness, their colours are compared; flat blocks are ignored, because they match everywhere.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from colorlab.color import frames_to_rgb, rgb_to_lab, split_lab
from colorlab.film.cuts import BLOCK, REACH, SIDE, look_at
from colorlab.film.references import Given, Guidance

FOUND = 0.1       # maximum squared difference of standardised lightness for a block to match
TEXTURED = 0.05   # variance of a block's standardised lightness above which it is distinctive
APART = 18.0      # difference in ab from which two colours count as different
SHARE = 0.3       # share of the matched area with different colours from which two pictures contradict


class Contradiction(NamedTuple):
    """Two references, by their index in the guidance."""

    one: int
    other: int
    share: float     # fraction of what both show
    distance: float  # median difference there, in units of ab


def contradictions(guidance: Guidance) -> list[Contradiction]:
    """The pairs of references of one scene that colour the same things differently, the worst first."""
    found = []
    for one, other in combinations(range(len(guidance.references)), 2):
        first, second = guidance.references[one], guidance.references[other]
        if first.frame is not None and second.frame is not None and guidance.scene(
                first.frame) != guidance.scene(second.frame):
            continue
        if (said := _compared(first, second)) is not None:
            found.append(Contradiction(one, other, *said))
    return sorted(found, key=lambda pair: -pair.share * pair.distance)


def _compared(first: Given, second: Given) -> tuple[float, float] | None:
    """(share of the matched area with different colours, how far apart they are) of two references; None if
    they agree."""
    a, b = (look_at(given.picture[..., :3]).small for given in (first, second))  # (h, w)
    colors = [_small_ab(given.picture) for given in (first, second)]             # (2, h, w)
    h, w = SIDE
    def shifted(plane: torch.Tensor) -> torch.Tensor:
        padded = F.pad(plane[:, None], (REACH,) * 4, mode="replicate")[:, 0]     # (C, h + 2 r, w + 2 r)
        return padded.unfold(1, h, 1).unfold(2, w, 1).flatten(1, 2)              # (C, (2 r + 1)^2, h, w)

    # ((2 r + 1)^2, h / 8, w / 8)
    error = F.avg_pool2d((shifted(a[None])[0] - b).square()[:, None], BLOCK)[:, 0]
    least, best = error.min(0)
    blocks = F.avg_pool2d(shifted(colors[0]), BLOCK)  # (2, (2 r + 1)^2, h / 8, w / 8)
    there = blocks.gather(1, best[None, None].expand(2, -1, -1, -1))[:, 0]
    here = F.avg_pool2d(colors[1][None], BLOCK)[0]
    texture = (
        F.avg_pool2d(b[None, None].square(), BLOCK)[0, 0] - F.avg_pool2d(b[None, None], BLOCK)[0, 0].square()
    )
    shared = (least < FOUND) & (texture > TEXTURED)
    if not shared.any():
        return None
    distance = torch.linalg.vector_norm(there - here, dim=0)[shared]
    apart = distance > APART
    share = float(apart.float().mean())
    return (share, float(distance[apart].median())) if share > SHARE else None


def _small_ab(picture: np.ndarray) -> torch.Tensor:
    _, ab = split_lab(rgb_to_lab(frames_to_rgb(np.ascontiguousarray(picture[..., :3]))))
    return F.adaptive_avg_pool2d(ab[None], SIDE)[0]
