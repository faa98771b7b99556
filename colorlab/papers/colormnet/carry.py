"""Chroma carried over as it is, beside the learned values (ours, not the paper's; see Departures in model.py).

A small network that must first learn to say "this colour, here" from a few clips spends its training on that. So the course
preset stores each cell's colour, as a line in lightness (`modules.color_lines`), with its value: what is read from memory and nearby
is already a colour, and the decoder, whose last layer starts at zero, learns to correct it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colorlab.modules.color_lines import draw_lines, fit_lines

from .blocks import ChannelNorm

CARRIED = 4  # numbers that a cell's line has


class CarriedChroma(nn.Module):
    def __init__(self, value: int, stride: int):
        super().__init__()
        self.stride = stride
        self.norm = ChannelNorm(4 * value)
        self.gate = nn.Conv2d(4 * value, 1, 3, padding=1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def share(self, far: Tensor, near: Tensor) -> Tensor:
        """far, near: (B, 2, Cv, h, w) -> (B, 1, h, w) in (0, 1): how much of the colour comes from nearby; starts at 1/2."""
        return self.gate(self.norm(torch.cat((far.flatten(1, 2), near.flatten(1, 2)), dim=1))).sigmoid()

    def blend(self, far: Tensor, near: Tensor, far_lines: Tensor, near_lines: Tensor) -> Tensor:
        """The lines (B, 4, h, w) read from memory and from nearby, as one."""
        return torch.lerp(far_lines, near_lines, self.share(far, near).to(far_lines.dtype))

    def fit(self, l: Tensor, chroma: Tensor) -> Tensor:
        """What is stored: l (B, 1, H, W) in [-1, 1] and chroma (B, 2, H, W) -> (B, 4, h, w)."""
        return fit_lines(l.float(), chroma.float(), self.stride)

    def forward(self, lines: Tensor, l: Tensor) -> Tensor:
        """What was read (B, 4, h, w), at the pixels of the frame with lightness l (B, 1, H, W): chroma (B, 2, H, W)."""
        return draw_lines(lines.float(), l.float(), self.stride)
