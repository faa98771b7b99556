"""Small parts that the value encoder and the decoder share: residual blocks, CBAM, fusion, the update of the
hidden state.

Tensors here are (B, 2, C, h, w): the network treats chroma a and chroma b as two objects, with shared
weights, as its ancestor XMem treats two segmented objects. `apart` and `together` convert between that and a
plain batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.fast.packed_conv import PackedConv2d


def fold_chroma(x: Tensor) -> Tensor:
    """(B, 2, C, h, w) -> (2B, C, h, w): the two chroma channels as batch entries."""
    return x.flatten(0, 1)


def unfold_chroma(x: Tensor) -> Tensor:
    """(2B, C, h, w) -> (B, 2, C, h, w)."""
    return x.unflatten(0, (-1, 2))


class ChannelNorm(nn.Module):
    """Layer norm over the channels of every pixel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w); makes no copy in channels_last layout."""
        last = x.permute(0, 2, 3, 1)
        return F.layer_norm(last, self.weight.shape, self.weight, self.bias, eps=1e-6).permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """conv2(relu(conv1(relu(x)))) + x, where x passes a 3x3 `downsample` if the widths differ."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.downsample = PackedConv2d(channels, out, 3, padding=1) if channels != out else None
        self.conv1 = PackedConv2d(channels, out, 3, padding=1)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, out, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return shortcut + self.conv2(F.relu(self.conv1(F.relu(x))))


class ChannelGate(nn.Module):
    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.reduce = nn.Linear(channels, max(1, channels // reduction))
        self.expand = nn.Linear(max(1, channels // reduction), channels)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.stack((x.mean((2, 3)), x.amax((2, 3))))                # (2, B, C)
        gate = self.expand(F.relu(self.reduce(pooled))).sum(0).sigmoid()      # (B, C)
        return x * gate[..., None, None]


class SpatialGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.stack((x.amax(1), x.mean(1)), dim=1)                   # (B, 2, h, w)
        return x * self.conv(pooled).sigmoid()


class CBAM(nn.Module):
    """Channel attention, then spatial attention: the convolutional block attention module."""

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        self.channel_gate = ChannelGate(channels, reduction)
        self.spatial_gate = SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        return self.spatial_gate(self.channel_gate(x))


class Fusion(nn.Module):
    """Fuse the frame's features with those of each chroma channel."""

    def __init__(self, shared: int, own: int, out: int):
        super().__init__()
        assert shared + own != out, "the first block's shortcut is a convolution"
        self.block1 = ResidualBlock(shared + own, out)
        self.attention = CBAM(out)
        self.block2 = ResidualBlock(out, out)

    def forward(self, frame: Tensor, own: Tensor) -> Tensor:
        """frame: (B, shared, h, w), the same for both chroma channels; own: (B, 2, C, h, w) -> (B, 2, out, h,
        w)."""
        own, block = fold_chroma(own), self.block1
        shortcut = _conv_of_both(block.downsample, frame, own)
        x = shortcut + block.conv2(F.relu(_conv_of_both(block.conv1, F.relu(frame), F.relu(own))))
        return unfold_chroma(self.block2(x + self.attention(x)))


def _conv_of_both(conv: PackedConv2d, frame: Tensor, own: Tensor) -> Tensor:
    """`conv` of frame and own concatenated, (B, S, h, w) and (2B, C, h, w), the frame's part computed once
    for both."""
    of_frame = conv.of_channels(frame, 0, frame.shape[1])
    return of_frame.repeat_interleave(2, dim=0) + conv.of_channels(own, frame.shape[1], None, conv.bias)


def update_hidden(gates: Tensor, hidden: Tensor) -> Tensor:
    """gates: (B, 2, 3 * C, h, w), hidden H: (B, 2, C, h, w) -> the next H, in (-1, 1).

    Not a textbook GRU: the candidate is computed from the ungated H.
    """
    forget, update, candidate = gates.float().chunk(3, dim=2)
    update = update.sigmoid()
    return forget.sigmoid() * hidden * (1 - update) + update * candidate.tanh()
