"""The course's output for LSTVC: the warped colour, corrected; the paper's network paints from scratch."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.methods.course.color_lines import draw_lines, fit_lines, numbers
from colorlab.methods.course.registration import register, place_channels
from colorlab.papers.lstvc.correspondence import Warp
from colorlab.papers.lstvc.state import EncodedReference

CELL = 4  # side of a matched cell, in pixels
LINES = numbers(CELL)


class WarpedCells(NamedTuple):
    """What the heads carry over from a cell; channels are at `dim`."""

    ab: Tensor     # 2: the mean of its ab / 128
    lines: Tensor  # 16: its colour as lines in lightness
    # 3 R: its place in each of R references (`registration.place_channels`); None: not carried
    places: Tensor | None = None

    def packed(self, dim: int) -> Tensor:
        """All in one tensor, so that the heads mix everything with the same weights in one product."""
        return torch.cat([part for part in self if part is not None], dim=dim)

    @classmethod
    def unpacked(cls, packed: Tensor, dim: int) -> WarpedCells:
        places = packed.shape[dim] - 2 - LINES
        ab, lines, *rest = packed.split((2, LINES, *[places] * (places > 0)), dim=dim)
        return cls(ab, lines, *rest)


class Corrected(nn.Module):
    """The warped colour (mean of the heads) scaled by the subnet's trust in it, its third channel, plus the
    subnet's correction.

    With a zero-initialised last layer the output is the warp, to within 1 %. register: refinement steps for
    the matched places; colours read there replace the corrected ones to the degree that lightness agrees and
    the warp is trusted.
    """

    outputs = 3
    trusts = 5.0  # its sigmoid is the initial trust in the warp

    def __init__(self, register: int | None = None):
        super().__init__()
        self.register = register

    def carried(self, l: Tensor, ab: Tensor) -> Tensor:
        """What the heads carry over from a reference, l (B, 1, H, W) and ab / 128: `Carried` without places,
        (B, 18, H/4, W/4)."""
        return WarpedCells(F.avg_pool2d(ab, CELL), fit_lines(l, ab, CELL)).packed(1)

    def values(self, references: EncodedReference) -> Tensor:
        """What the heads mix of each cell: (B, R, V, H/4, W/4), V = 18, plus 3 R with `register`."""
        if self.register is None:
            return references.color
        return (
            WarpedCells.unpacked(references.color, 2)
            ._replace(places=place_channels(references.color))
            .packed(2)
        )

    def forward(self, painted: Tensor, warp: Warp, l: Tensor, references: Tensor) -> Tensor:
        """painted: (B, T, 3, H, W), the subnet's output; l: (B, T, 1, H, W) in [0, 100]; references: (B, R,
        3, H, W), Lab. Returns ab (B, T, 2, H, W) in ±128."""
        B, T = l.shape[:2]
        pixels, painted = l.flatten(0, 1), painted.flatten(0, 1).float()
        trust = (painted[:, 2:] + self.trusts).sigmoid()                             # (B * T, 1, H, W)
        drawn = draw_lines(self.lines(warp).flatten(0, 1), pixels / 50 - 1, CELL)    # (B * T, 2, H, W)
        ab = 128 * (trust * drawn + painted[:, :2].tanh())
        if self.register is not None:
            ab = ab + trust * self._registered(ab, warp, l, references)
        return ab.unflatten(0, (B, T))

    def _registered(self, drawn: Tensor, warp: Warp, l: Tensor, references: Tensor) -> Tensor:
        """What colours read at refined places add to the reconstructed ones, (B * T, 2, H, W): every
        reference for every frame, in one batch."""
        T, R = l.shape[1], references.shape[1]
        place = WarpedCells.unpacked(warp.color, 3).places.mean(2)  # (B, T, 3 R, H/4, W/4), mean of the heads
        place = place.unflatten(2, (R, -1)).flatten(0, 2)           # (B * T * R, 3, H/4, W/4)
        picture = references.repeat_interleave(T, 0).flatten(0, 1)  # (B * T * R, 3, H, W)
        registered = register(l.flatten(0, 1).repeat_interleave(R, 0), picture, place, self.register)
        added = registered.trust * (registered.ab - drawn.repeat_interleave(R, 0))
        return added.unflatten(0, (-1, R)).sum(1)                   # the trust weights sum to at most 1

    def handed_on(self, l: Tensor, ab: Tensor, warp: Warp) -> Tensor:
        """`carried` of a block's last frame: the lines that were read, plus lines fitted to the correction
        only."""
        lines = self.lines(warp)[:, -1]
        return WarpedCells(F.avg_pool2d(ab, CELL),
                       lines + fit_lines(l, ab - draw_lines(lines, l, CELL), CELL)).packed(1)

    @staticmethod
    def lines(warp: Warp) -> Tensor:
        """(B, T, 16, H/4, W/4), mean of the heads."""
        return WarpedCells.unpacked(warp.color, 3).lines.mean(2)
