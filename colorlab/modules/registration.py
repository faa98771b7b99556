"""A match made exact: from the cell that a network points at to a fraction of a pixel, and the colour that lies there.

A network that matches cells of 4 x 4 pixels knows where a colour comes from to a pixel or two, and mixes what several cells hold: what
it carries over is never quite sharp, and in a film each frame takes it from the one before. But lightness is known on both sides and at
full size. So a cell's displacement d is refined until lightness agrees: the best of a few guesses, then steps of least squares
(Lucas & Kanade, IJCAI 1981) over the pixels p in and around the cell,

    Δ = argmin Σ_p w(p) (l(p) - there(p + d) - ∇there(p + d) · Δ)²,        d ← d + Δ,

where w is small for pixels that differ much: something else lies there. Colour is then read at p + d, at full size, and counts as far as
lightness agrees. This is ours, not one of the papers'; the course networks use it beside the colours that they carry in their cells.
The network finds the place, lightness makes it exact: nothing here is learnt and no gradient passes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.flow.warping import pixel_grid, warp

AGREES = 4.0    # a difference in L that leaves 61 % of the trust, exp(-1/2)
OUTLIER = 6.0   # a difference in L from which on a pixel counts half, or less, in the least squares
FLAT = 1.0      # added to the mean squares of ∇L: where nothing is seen to move, nothing moves
AROUND = (3, 9, 25)  # cells, the sides of the neighbourhoods whose mean displacement is a guess too
ROUNDS = 3      # of guessing and refining: what one cell has found, the next can guess
NONE = 1e-6     # a share below which there is no place
WON = 0.01      # in L: by how much a guess must be better than each one before it; rounding makes a thousandth of that
LONGEST = 1.5   # pixels of a step: ∇L says nothing of what is farther away


def places(like: Tensor) -> Tensor:
    """What cells carry beside their colour so that one can tell where they are: like (B, R, _, h, w), R pictures -> (B, R, 3 R, h, w).

    Three numbers for each picture: 1, x and y in cells for its own cells, 0 for the others'. Mixed by a softmax they are each picture's
    share of it, and its mean place there times that share.
    """
    B, R, _, h, w = like.shape
    xy = pixel_grid(like.new_empty(1, 2, h, w))[0]                                          # (2, h, w)
    own = torch.cat((torch.ones_like(xy[:1]), xy))                                          # (3, h, w)
    return torch.einsum("rs,khw->rskhw", torch.eye(R).to(like), own).flatten(1, 2).expand(B, -1, -1, -1, -1)


class Brought(NamedTuple):
    ab: Tensor     # (B, 2, H, W)
    trust: Tensor  # (B, 1, H, W) between 0 and the picture's share
    place: Tensor  # (B, 3, h, w) the place made exact: each cell's mean trust, x and y in cells times that


@torch.no_grad()
def bring(l: Tensor, picture: Tensor, place: Tensor, steps: int) -> Brought:
    """Colours of a picture at the places that each cell points at, made exact.

    l: (B, 1, H, W) in [0, 100]; picture: (B, 3, H, W), Lab; place: (B, 3, h, w), the picture's `places` mixed for each cell of
    (H / h) x (W / w) pixels. steps: of least squares, each round.
    """
    dtype = torch.promote_types(l.dtype, torch.float32)
    l, picture, place = l.to(dtype), picture.to(dtype), place.to(dtype)
    share, here, cell = place[:, :1], pixel_grid(place[:, 1:]), l.shape[-1] // place.shape[-1]
    displacement = cell * (place[:, 1:] / share.clamp(min=NONE) - here)                             # (B, 2, h, w), pixels
    for _ in range(ROUNDS):
        displacement = _refined(l, picture[:, :1], _best(l, picture[:, :1], displacement, share), steps)
    moved = warp(picture, _enlarged(displacement, l), "border")
    trust = torch.exp(-((moved[:, :1] - l) / AGREES).square() / 2) * _enlarged(share, l)
    known = F.avg_pool2d(trust, cell)
    return Brought(moved[:, 1:], trust, torch.cat((known, known * (here + displacement / cell)), dim=1))


def _best(l: Tensor, there: Tensor, displacement: Tensor, share: Tensor) -> Tensor:
    """For each cell the guess that leaves the least difference in lightness: its own, that of the cells around it, near or wide, or none.

    Of guesses as good as each other the first is taken, on every processor and in every frame: what is equal to rounding does not flicker.
    """
    guesses = [displacement, *(_mean(displacement * share, side, 1) / _mean(share, side, 1).clamp(min=NONE) for side in AROUND),
               torch.zeros_like(displacement)]
    differences = [_of_cells((warp(there, _enlarged(guess, l), "border") - l).abs(), guess) + WON * n for n, guess in enumerate(guesses)]
    best = torch.stack(differences).argmin(0, keepdim=True)                                         # (1, B, 1, h, w)
    return torch.stack(guesses).gather(0, best.expand(-1, -1, 2, -1, -1))[0]


def _refined(l: Tensor, there: Tensor, displacement: Tensor, steps: int) -> Tensor:
    """Steps of weighted least squares: (B, 2, h, w) -> (B, 2, h, w), pixels."""
    for _ in range(steps):
        moved = warp(there, _enlarged(displacement, l), "border")
        gy, gx = torch.gradient(moved, dim=(-2, -1))
        left = l - moved
        weight = 1 / (1 + (left / OUTLIER).square())
        products = torch.cat((gx * gx, gx * gy, gy * gy, gx * left, gy * left), dim=1) * weight
        xx, xy, yy, xl, yl = _of_cells(products, displacement).split(1, dim=1)
        xx, yy = xx + FLAT, yy + FLAT
        step = torch.cat((yy * xl - xy * yl, xx * yl - xy * xl), dim=1) / (xx * yy - xy * xy)
        displacement = displacement + step.clamp(-LONGEST, LONGEST)
    return displacement


def _enlarged(cells: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(cells, like.shape[-2:], mode="bilinear")


def _of_cells(x: Tensor, like: Tensor) -> Tensor:
    """Means over each cell and half a cell around it: (B, C, H, W) -> (B, C, h, w)."""
    cell = x.shape[-1] // like.shape[-1]
    return _mean(x, 2 * cell, cell)


def _mean(x: Tensor, side: int, stride: int) -> Tensor:
    margin = (side - stride) // 2
    return F.avg_pool2d(F.pad(x, (margin,) * 4, mode="replicate"), side, stride)
