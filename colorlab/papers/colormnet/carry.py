"""Chroma carried over as it is, beside the learned values (ours, not the paper's; see Departures in model.py).

A small network that must first learn to say "this colour, here" from a few clips spends its training on that. So the course
preset stores each cell's mean chroma with its value: what is read from memory and nearby is already a colour, and the
decoder, whose last layer starts at zero, learns to correct it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import ChannelNorm


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

    def blend(self, far: Tensor, near: Tensor, far_chroma: Tensor, near_chroma: Tensor) -> Tensor:
        """The chroma (B, 2, h, w) read from memory and from nearby, as one."""
        return torch.lerp(far_chroma, near_chroma, self.share(far, near).to(far_chroma.dtype))

    def forward(self, chroma: Tensor) -> Tensor:
        """(B, 2, h, w) -> (B, 2, stride * h, stride * w)."""
        return F.interpolate(chroma.float(), scale_factor=self.stride, mode="bilinear")
