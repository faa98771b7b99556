"""The value stored for a frame: its chroma, encoded together with its features (ColorMNet §3.2, Eq. 3d,
3e)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.papers.colormnet.blocks import Fusion, unfold_chroma, fold_chroma, update_hidden


class DeepUpdate(nn.Module):
    """Update of the hidden state from the value that has just been stored."""

    def __init__(self, value: int, hidden: int):
        super().__init__()
        self.transform = nn.Conv2d(value + hidden, 3 * hidden, 3, padding=1)
        nn.init.xavier_normal_(self.transform.weight)

    def forward(self, value: Tensor, hidden: Tensor) -> Tensor:
        """value: (B, 2, Cv, h, w); hidden: (B, 2, Ch, h, w) -> the next hidden state."""
        gates = self.transform(fold_chroma(torch.cat((value, hidden.to(value.dtype)), dim=2)))
        return update_hidden(unfold_chroma(gates), hidden)


class ValueEncoder(nn.Module):
    """Each chroma channel with the frame, (L, L, L, this one, the other one), through a small CNN and a
    fusion block."""

    def __init__(self, cnn: nn.Module, coarse: int, value: int, hidden: int):
        super().__init__()
        self.cnn = cnn
        self.fuser = Fusion(coarse, cnn.channels, value)
        self.deep_update = DeepUpdate(value, hidden)

    def forward(self, image: Tensor, ab: Tensor, coarse: Tensor) -> Tensor:
        """image: (B, 3, H, W) and ab: (B, 2, H, W), both in [-1, 1]; coarse: (B, C, h, w) features -> (B, 2,
        Cv, h, w)."""
        pairs = torch.stack((ab, ab.flip(1)), dim=1)                                   # (B, 2, 2, H, W)
        images = image[:, None].expand(-1, 2, -1, -1, -1)
        features = self.cnn(fold_chroma(torch.cat((images, pairs), dim=2)))
        if features.shape[-2:] != coarse.shape[-2:]:
            features = F.interpolate(features, size=coarse.shape[-2:], mode="bilinear")
        return self.fuser(coarse, unfold_chroma(features))
