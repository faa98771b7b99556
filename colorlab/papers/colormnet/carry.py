"""Chroma carried over as it is, beside the learned values (ours, not the paper's; see Departures in model.py).

A small network that must first learn to say "this colour, here" from a few clips spends its training on that. So the course
preset stores each cell's colour, as lines in lightness (`modules.color_lines`), with its value: what is read from memory and nearby
is already a colour, and the decoder, whose last layer starts at zero, learns to correct it. The lightness of the place comes along too:
where it is not the lightness that the frame has there, the wrong place was read.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules import color_lines
from colorlab.modules.color_lines import draw_lines, fit_lines

from .blocks import ChannelNorm

LIGHTNESS = 4  # numbers that say how light a cell is: its four quarters


def numbers(stride: int) -> int:
    """How many numbers are carried for a cell: its lines and its lightness."""
    return color_lines.numbers(stride) + LIGHTNESS


class CarriedChroma(nn.Module):
    def __init__(self, value: int, stride: int):
        super().__init__()
        self.stride = stride
        self.norm = ChannelNorm(4 * value)
        self.gate = nn.Conv2d(4 * value + 2 * LIGHTNESS, 1, 3, padding=1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def share(self, far: Tensor, near: Tensor, far_carried: Tensor, near_carried: Tensor, l: Tensor) -> Tensor:
        """How much of the colour comes from nearby, (B, 1, h, w) in (0, 1); starts at 1/2.

        far, near: (B, 2, Cv, h, w) what was read from memory and nearby; *_carried: (B, numbers, h, w); l: (B, 1, H, W) in [-1, 1].
        """
        here = self.lightness(l)
        wrong = [(carried[:, -LIGHTNESS:] - here).abs() for carried in (far_carried, near_carried)]
        values = self.norm(torch.cat((far.flatten(1, 2), near.flatten(1, 2)), dim=1))
        return self.gate(torch.cat((values, *wrong), dim=1).to(values.dtype)).sigmoid()

    def fit(self, l: Tensor, chroma: Tensor, read: Tensor | None = None) -> Tensor:
        """What is stored: l (B, 1, H, W) in [-1, 1] and chroma (B, 2, H, W) -> (B, numbers, h, w).

        read: what the chroma was drawn from, where it was: its lines are handed on, and only what was added is fitted. Lines fitted to drawn
        lines would blur with every frame.
        """
        l, chroma = l.float(), chroma.float()
        if read is None:
            lines = fit_lines(l, chroma, self.stride)
        else:
            lines = read[:, :-LIGHTNESS].float() + fit_lines(l, chroma - self(read, l), self.stride)
        return torch.cat((lines, self.lightness(l)), dim=1)

    def lightness(self, l: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 4, h, w), means over each cell's quarters."""
        return F.pixel_unshuffle(F.avg_pool2d(l.float(), self.stride // 2), 2)

    def forward(self, read: Tensor, l: Tensor) -> Tensor:
        """What was read (B, numbers, h, w), at the pixels of the frame with lightness l (B, 1, H, W): chroma (B, 2, H, W)."""
        return draw_lines(read[:, :-LIGHTNESS].float(), l.float(), self.stride)
