"""Decode what was read to chroma at full size (ColorMNet Eq. 13), and update the hidden state."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.papers.colormnet.blocks import Fusion, ResidualBlock, unfold_chroma, fold_chroma, update_hidden
from colorlab.papers.colormnet.features import Features


class Decoded(NamedTuple):
    logits: Tensor  # (B, 2, H, W) before the tanh
    # (2B, C, ...) coarse, middle, fine: inputs of the hidden state's update
    layers: tuple[Tensor, Tensor, Tensor]
    small: Tensor   # (2B, 1, 4h, 4w) the logits before upsampling


class Up(nn.Module):
    """Upsample by 2 and add the frame's own features of that size."""

    def __init__(self, skip: int, channels: int, out: int):
        super().__init__()
        self.skip = nn.Conv2d(skip, channels, 3, padding=1)
        self.block = ResidualBlock(channels, out)

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        """skip: (B, S, 2h, 2w), shared by both chroma channels; x: (2B, C, h, w) -> (2B, out, 2h, 2w)."""
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
        return self.block(x + self.skip(skip).repeat_interleave(2, dim=0))


class HiddenUpdate(nn.Module):
    """Update of the hidden state from the decoder's three scales."""

    def __init__(self, channels: tuple[int, int, int], hidden: int, inner: int = 256):
        super().__init__()
        self.from_coarse = nn.Conv2d(channels[0], inner, 1)
        self.from_middle = nn.Conv2d(channels[1], inner, 1)
        self.from_fine = nn.Conv2d(channels[2] + 1, inner, 1)
        self.transform = nn.Conv2d(inner + hidden, 3 * hidden, 3, padding=1)
        nn.init.xavier_normal_(self.transform.weight)

    def forward(self, decoded: Decoded, hidden: Tensor) -> Tensor:
        """hidden: (B, 2, Ch, h, w) -> the next one."""
        coarse, middle, fine = decoded.layers
        fine = F.avg_pool2d(torch.cat((fine, decoded.small), dim=1), 4)
        x = self.from_coarse(coarse) + self.from_middle(F.avg_pool2d(middle, 2)) + self.from_fine(fine)
        gates = self.transform(torch.cat((x, fold_chroma(hidden).to(x.dtype)), dim=1))
        return update_hidden(unfold_chroma(gates), hidden)


class Decoder(nn.Module):
    """Fusion with the frame's coarse features, two upsampling steps with its finer ones, one output per pixel
    and chroma channel."""

    def __init__(self, features: tuple[int, int, int], value: int, hidden: int,
                 channels: tuple[int, int, int], scale: int = 4, inner: int = 256):
        super().__init__()
        self.scale = scale  # factor from the finest features to full size
        self.fuser = Fusion(features[0], value + hidden, channels[0])
        self.up_middle = Up(features[1], channels[0], channels[1])
        self.up_fine = Up(features[2], channels[1], channels[2])
        self.predict = nn.Conv2d(channels[2], 1, 3, padding=1)
        self.hidden_update = HiddenUpdate(channels, hidden, inner)

    def forward(self, features: Features, read: Tensor, hidden: Tensor) -> Decoded:
        """read: (B, 2, Cv, h, w), from memory and the neighbourhood together; hidden: (B, 2, Ch, h, w)."""
        coarse = fold_chroma(self.fuser(features.coarse, torch.cat((read, hidden.to(read.dtype)), dim=2)))
        middle = self.up_middle(features.middle, coarse)
        fine = self.up_fine(features.fine, middle)
        small = self.predict(F.relu(fine))
        logits = F.interpolate(small.float(), scale_factor=self.scale,
                               mode="bilinear") if self.scale > 1 else small.float()
        return Decoded(unfold_chroma(logits).squeeze(2), (coarse, middle, fine), small)
