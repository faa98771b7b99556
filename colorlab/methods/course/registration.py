"""Match refinement: from the cell that a network points at to sub-pixel precision, and the colour at that
place.

A network that matches cells of 4 x 4 pixels localises a colour to a pixel or two, and mixes several cells:
what it carries over is never quite sharp, and in a film each frame takes it from the one before. But
lightness is known on both sides and at full size. So a cell's displacement d is refined until lightness
agrees: the best of a few guesses, then steps of least squares (Lucas & Kanade, IJCAI 1981) over the pixels p
in and around the cell,

    Δ = argmin Σ_p w(p) (l(p) - there(p + d) - ∇there(p + d) · Δ)²,        d ← d + Δ,

where w is small for pixels that differ much, since those show something else. Colour is then read at p + d,
at full size, and weighted by how well lightness agrees. This is ours, not one of the papers'; the course
networks use it beside the colours that they carry in their cells. The network finds the place and lightness
refines it: nothing here is learned and no gradient passes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.modules.flow.warping import pixel_grid

AGREES = 4.0         # a difference in L that leaves 61 % of the trust, exp(-1/2)
OUTLIER = 6.0        # a difference in L at which a pixel's weight in the least squares falls to a half
FLAT = 1.0           # regularises the mean squares of ∇L: without texture there is no displacement
AROUND = (3, 9, 25)  # in cells, sides of the neighbourhoods whose mean displacement is also a candidate
ROUNDS = 3           # of guessing and refining: cells can adopt what their neighbours found
NONE = 1e-6          # a share below which there is no place
AT_ONCE = 1 << 23    # pixels of guesses: some 300 MB
# in L: how much better a guess must be than those before it; rounding error is a thousandth of that
WON = 0.01
LONGEST = 1.5        # pixels per step: the linearisation by ∇L does not hold farther away


def place_channels(like: Tensor) -> Tensor:
    """What cells carry beside their colour to encode their place: like (B, R, _, h, w), R pictures -> (B, R,
    3 R, h, w).

    Three numbers for each picture: 1, x and y in cells for its own cells, 0 for the others'. Mixed by a
    softmax they are each picture's share of it, and its mean place there times that share.
    """
    B, R, _, h, w = like.shape
    xy = pixel_grid(like.new_empty(1, 2, h, w))[0]                                          # (2, h, w)
    own = torch.cat((torch.ones_like(xy[:1]), xy))                                          # (3, h, w)
    return torch.einsum("rs,khw->rskhw", torch.eye(R, dtype=like.dtype, device=like.device),
                        own).flatten(1, 2).expand(B, -1, -1, -1, -1)


class Registered(NamedTuple):
    ab: Tensor     # (B, 2, H, W)
    trust: Tensor  # (B, 1, H, W) from 0 to the picture's share
    place: Tensor  # (B, 3, h, w) the refined place: each cell's mean trust, x and y in cells times that


@torch.no_grad()
def register(l: Tensor, picture: Tensor, place: Tensor, steps: int) -> Registered:
    """Colours of a picture at the refined places that each cell points at.

    l: (B, 1, H, W) in [0, 100]; picture: (B, 3, H, W), Lab; place: (B, 3, h, w), the picture's `places` mixed
    for each cell of (H / h) x (W / w) pixels. steps: of least squares, per round. Several pictures for one
    frame are fastest as one batch.
    """
    dtype = torch.promote_types(l.dtype, torch.float32)
    l, picture, place = l.to(dtype), picture.to(dtype), place.to(dtype)
    pixels, share, here, cell = _pixels(l), place[:, :1], pixel_grid(
        place[:, 1:]), l.shape[-1] // place.shape[-1]
    displacement = cell * (place[:, 1:] / share.clamp(min=NONE) - here)  # (B, 2, h, w), pixels
    for _ in range(ROUNDS):
        displacement = _refined(l, picture[:, :1], _best(l, picture[:, :1], displacement, share, pixels),
                                steps, pixels)
    moved = _read(picture, displacement, pixels)
    trust = torch.exp(-((moved[:, :1] - l) / AGREES).square() / 2) * _enlarged(share, l)
    known = F.avg_pool2d(trust, cell)
    return Registered(moved[:, 1:], trust, torch.cat((known, known * (here + displacement / cell)), dim=1))


def _best(l: Tensor, there: Tensor, displacement: Tensor, share: Tensor, pixels: Pixels) -> Tensor:
    """For each cell the candidate displacement with the smallest lightness difference: its own, the mean of a
    small or a wide neighbourhood, or zero.

    Of equally good candidates the first is taken, on every processor and in every frame, so that rounding
    does not cause flicker.
    """
    weighted = torch.cat((displacement * share, share), dim=1)       # (B, 3, h, w)
    means = torch.cat([_around(weighted, side) for side in AROUND])  # (3 B, 3, h, w)
    guesses = torch.cat(
        (displacement, means[:, :2] / means[:, 2:].clamp(min=NONE), torch.zeros_like(displacement)))
    guesses = guesses.unflatten(0, (-1, len(l)))                     # (G, B, 2, h, w)
    differences = torch.cat(
        [_differences(l, there, some, pixels) for some in guesses.split(max(1, AT_ONCE // l.numel()))])
    later = WON * torch.arange(len(guesses), dtype=l.dtype, device=l.device).view(-1, 1, 1, 1, 1)
    best = (differences + later).min(0, keepdim=True).indices        # (1, B, 1, h, w)
    return guesses.gather(0, best.expand(-1, -1, 2, -1, -1))[0]


def _differences(l: Tensor, there: Tensor, guesses: Tensor, pixels: Pixels) -> Tensor:
    """The lightness difference that candidates (G, B, 2, h, w) leave in each cell: (G, B, 1, h, w)."""
    moved = _read(there.repeat(len(guesses), 1, 1, 1), guesses.flatten(0, 1),
                  pixels).unflatten(0, guesses.shape[:2])
    return _of_cells((moved - l).abs().flatten(0, 1), guesses).unflatten(0, guesses.shape[:2])


def _refined(l: Tensor, there: Tensor, displacement: Tensor, steps: int, pixels: Pixels) -> Tensor:
    """Steps of weighted least squares: (B, 2, h, w) -> (B, 2, h, w), pixels."""
    flat = FLAT * torch.eye(2, 3, dtype=l.dtype, device=l.device)[..., None, None]
    for _ in range(steps):
        moved = _read(there, displacement, pixels)
        left = l - moved
        weight = OUTLIER**2 / (left.square() + OUTLIER**2)
        seen = torch.cat((*_gradient(moved), left), dim=1)  # (B, 3, H, W)
        # (B, 2, 3, H, W): x and y with x, y, left
        products = (seen[:, :2] * weight).unsqueeze(2) * seen.unsqueeze(1)
        # two, of the form (p, q, r): p Δx + q Δy = r
        equations = _of_cells(products.flatten(1, 2), displacement).unflatten(1, (2, 3)) + flat
        # at right angles to both, as (Δx, Δy, -1) is
        across = torch.linalg.cross(*equations.unbind(1), dim=1)
        displacement = displacement - (across[:, :2] / across[:, 2:]).clamp(-LONGEST, LONGEST)
    return displacement


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of (B, 1, H, W) in x and y, as `torch.gradient`: central differences, one-sided at the
    border."""
    W, H = x.shape[-1], x.shape[-2]
    across, down = F.pad(x.diff(dim=-1), (1, 1, 0, 0),
                         mode="replicate"), F.pad(x.diff(dim=-2), (0, 0, 1, 1), mode="replicate")
    return across.narrow(-1, 0, W).lerp(across.narrow(-1, 1, W), 0.5), down.narrow(-2, 0, H).lerp(
        down.narrow(-2, 1, H), 0.5
    )


class Pixels(NamedTuple):
    """Pixel positions in `grid_sample`'s coordinates: from -1 to 1."""

    place: Tensor  # (1, 2, H, W) x and y of each
    pitch: Tensor  # (1, 2, 1, 1) from one to the next


def _pixels(l: Tensor) -> Pixels:
    H, W = l.shape[-2:]
    x, y = (torch.linspace(-1, 1, side, dtype=l.dtype, device=l.device) for side in (W, H))
    # created on the device, not copied to it
    pitch = [l.new_full((1, 1, 1, 1), 2 / max(side - 1, 1)) for side in (W, H)]
    return Pixels(torch.stack(torch.meshgrid(x, y, indexing="xy")).unsqueeze(0), torch.cat(pitch, dim=1))


def _read(there: Tensor, displacement: Tensor, pixels: Pixels) -> Tensor:
    """`modules.flow.warp` of (B, C, H, W) by the displacements of cells (B, 2, h, w), with border padding."""
    place = torch.addcmul(pixels.place, _enlarged(displacement, there), pixels.pitch)  # (B, 2, H, W)
    return F.grid_sample(there, place.movedim(1, -1), "bilinear", "border", align_corners=True)


def _enlarged(cells: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(cells, like.shape[-2:], mode="bilinear")


def _of_cells(x: Tensor, like: Tensor) -> Tensor:
    """Means over each cell and half a cell around it: (B, C, H, W) -> (B, C, h, w)."""
    cell = x.shape[-1] // like.shape[-1]
    quarters = F.avg_pool2d(F.pad(x, (cell // 2,) * 4, mode="replicate"), cell)  # (B, C, h + 1, w + 1)
    return F.avg_pool2d(quarters, 2, 1)


def _around(x: Tensor, side: int) -> Tensor:
    """Means over side x side cells around each: (B, C, h, w) -> the same."""
    return F.avg_pool2d(F.avg_pool2d(F.pad(x, (side // 2,) * 4, mode="replicate"), (side, 1), 1), (1, side),
                        1)
