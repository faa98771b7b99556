"""Chroma carried explicitly, beside ColorMNet's learned values.

A small network that must first learn to say "this colour, here" from a few clips spends its training on that.
So the course preset stores each cell's colour, as linear functions of lightness
(`methods.course.color_lines`), with its value: what is read from memory and nearby is already a colour, and
the decoder, whose last layer starts at zero, learns to correct it. The cell's lightness is stored too: if it
differs from the frame's lightness, the wrong place was read. Optionally, so is the place in the exemplar
where the colour came from, however many frames ago: refined again in every frame (`registration`), it says
where to read the exemplar itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.methods.course import color_lines
from colorlab.methods.course.color_lines import draw_lines, fit_lines
from colorlab.methods.course.registration import Registered, register

from colorlab.papers.colormnet.blocks import ChannelNorm
from colorlab.papers.colormnet.state import AB_SCALE

LIGHTNESS = 4  # numbers for the lightness of a cell: its four quarters
PLACE = 3  # for each exemplar: 1, x and y in cells, as `registration.place_channels`; all 0 if none is known


def numbers(stride: int) -> int:
    """How many numbers are carried for a cell, not counting its places in the exemplars: its lines and its
    lightness."""
    return color_lines.numbers(stride) + LIGHTNESS


class CarriedCells(NamedTuple):
    """What is remembered of a cell beside its value."""

    lines: Tensor      # (B, 16, h, w) its colour as lines in lightness
    lightness: Tensor  # (B, 4, h, w) lightness of its four quarters
    # (B, 3 R, h, w) where in each of R exemplars its colour came from; R = 0 where that is not carried
    places: Tensor

    def packed(self) -> Tensor:
        """All in one tensor, so that memory and local attention mix everything with the same weights in one
        product."""
        return torch.cat(self, dim=1)


class CarriedChroma(nn.Module):
    """The gate between memory and neighbourhood, and the reconstruction of full-size chroma from what was
    carried."""

    def __init__(self, value: int, stride: int, register: int | None = None):
        """register: steps of `registration.register`; None: colour is reconstructed from the lines alone, and
        no places are carried."""
        super().__init__()
        self.stride, self.register = stride, register
        self.norm = ChannelNorm(4 * value)
        self.gate = nn.Conv2d(4 * value + 2 * LIGHTNESS, 1, 3, padding=1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def share(self, far: Tensor, near: Tensor, far_carried: CarriedCells, near_carried: CarriedCells,
              l: Tensor) -> Tensor:
        """How much of the colour comes from nearby, (B, 1, h, w) in (0, 1); starts at 1/2.

        far, near: (B, 2, Cv, h, w) what was read from memory and nearby; l: (B, 1, H, W) in [-1, 1].
        """
        here = self.lightness(l)
        wrong = [(carried.lightness - here).abs() for carried in (far_carried, near_carried)]
        values = self.norm(torch.cat((far.flatten(1, 2), near.flatten(1, 2)), dim=1))
        return self.gate(torch.cat((values, *wrong), dim=1).to(values.dtype)).sigmoid()

    def unpacked(self, packed: Tensor) -> CarriedCells:
        lines = color_lines.numbers(self.stride)
        return CarriedCells(*packed.split((lines, LIGHTNESS, packed.shape[1] - lines - LIGHTNESS), dim=1))

    def fit(self, l: Tensor, chroma: Tensor, place: Tensor, read: CarriedCells | None = None) -> CarriedCells:
        """What is stored of a frame: l (B, 1, H, W) in [-1, 1], chroma (B, 2, H, W) and place (B, 3 R, h, w).

        read: what the chroma was reconstructed from, if anything: its lines are passed on, and only the
        correction is fitted. Refitting lines to reconstructed chroma would blur a little more in every frame.
        """
        l, chroma = l.float(), chroma.float()
        if read is None:
            lines = fit_lines(l, chroma, self.stride)
        else:
            lines = read.lines.float()
            lines = lines + fit_lines(l, chroma - draw_lines(lines, l, self.stride), self.stride)
        return CarriedCells(lines, self.lightness(l), place)

    def lightness(self, l: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 4, h, w), means over each cell's quarters."""
        return F.pixel_unshuffle(F.avg_pool2d(l.float(), self.stride // 2), 2)

    def forward(self, l: Tensor, read: CarriedCells, correction: Tensor, exemplars: Sequence[Tensor],
                nearby: Tensor | None = None, last: Tensor | None = None) -> tuple[Tensor, CarriedCells]:
        """Chroma of the frame with lightness l, (B, 2, H, W), and what was read, with its places refined.

        l: (B, 1, H, W) in [-1, 1]; read: its places are in R exemplars; correction: (B, 2, H, W), what the
        decoder adds to the reconstructed chroma, but not to colours that are read at refined places;
        exemplars: those seen so far, Lab (B, 3, H, W); nearby: (B, 3, h, w), places in the frame remembered
        last, `last` (B, 3, H, W). The exemplars take precedence: their colours are not copies of copies.
        """
        chroma = draw_lines(read.lines.float(), l.float(), self.stride) + correction
        if self.register is None:
            return chroma, read
        exact, l = list(read.places.split(PLACE, dim=1)), 50 * (l + 1)
        pictures, pointed = list(exemplars), exact[:len(exemplars)]
        if nearby is not None:
            pictures, pointed = [last, *pictures], [nearby, *pointed]
        if not pictures:
            return chroma, read
        # all in one batch
        found = register(l.repeat(len(pictures), 1, 1, 1), torch.cat(pictures), torch.cat(pointed),
                         self.register)
        registered = [Registered(*parts) for parts in zip(*(part.chunk(len(pictures)) for part in found))]
        if nearby is not None:
            near = registered.pop(0)
            chroma = chroma.lerp(near.ab / AB_SCALE, near.trust)
        copied = chroma
        for n, one in enumerate(registered):
            chroma = chroma + one.trust * (one.ab / AB_SCALE - copied)  # the trust weights sum to at most 1
            exact[n] = one.place.to(read.places.dtype)
        return chroma, read._replace(places=torch.cat(exact, dim=1))
