"""Features of a grey frame: local features of a CNN, guided by a large pretrained transformer (ColorMNet
§3.1, PVGFE).

`FrameEncoder` makes three scales of features, each fused from the two sources by one kind of block: the
paper's `GuidedFusion`, or one of its three alternatives in Table 2, `LocalOnly`, `GuideOnlyScale` and
`ConcatenatedScale`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.fast.upsampled_conv import upsampled_conv

from colorlab.papers.colormnet.backbones import Guide
from colorlab.papers.colormnet.blocks import ChannelNorm


class Features(NamedTuple):
    """One frame at three scales, each twice as fine as the one before; the paper's are strides 16, 8 and
    4."""

    coarse: Tensor  # (B, C0, h, w) what keys are made of
    middle: Tensor  # (B, C1, 2h, 2w)
    fine: Tensor    # (B, C2, 4h, 4w)


class Query(NamedTuple):
    """Key of a frame, for querying the memory or for being stored in it."""

    key: Tensor        # (B, Ck, h, w)
    # (B, 1, h, w) >= 1: a large one makes an entry more selective, and harder to match
    shrinkage: Tensor
    selection: Tensor  # (B, Ck, h, w) in (0, 1): weight of each key channel when this pixel queries


class KeyHeads(nn.Module):
    """Eq. 3a-3c, with the selection and the shrinkage of the authors' code."""

    def __init__(self, channels: int, key: int):
        super().__init__()
        self.key = nn.Conv2d(channels, key, 3, padding=1)
        self.shrinkage = nn.Conv2d(channels, 1, 3, padding=1)
        self.selection = nn.Conv2d(channels, key, 3, padding=1)

    def forward(self, coarse: Tensor) -> Query:
        """(B, C, h, w) -> a Query in float32, under autocast too: rounded keys would rank memory entries
        differently."""
        with torch.autocast(coarse.device.type, enabled=False):
            coarse = coarse.float()
            return Query(self.key(coarse), self.shrinkage(coarse) ** 2 + 1, self.selection(coarse).sigmoid())


class ChannelAttention(nn.Module):
    """Attention between channels: which channel of the CNN goes with which of the guide (Eq. 2).

    A (C/4) x (C/4) matrix for each of 8 heads, whatever the size of the image: cosine similarity over all
    pixels.
    """

    heads = 8

    def __init__(self, channels: int):
        super().__init__()
        inner = 2 * channels
        self.temperature = nn.Parameter(torch.ones(self.heads, 1, 1))  # multiplies: 1 / α in Eq. 2
        self.query, self.query_local = nn.Conv2d(channels, inner, 1), _depthwise(inner)
        self.key, self.key_local = nn.Conv2d(channels, inner, 1), _depthwise(inner)
        self.value, self.value_local = nn.Conv2d(channels, inner, 1), _depthwise(inner)
        self.out = nn.Conv2d(inner, channels, 1)

    def forward(self, guide: Tensor, local: Tensor) -> Tensor:
        """guide, local: (B, C, h, w) -> (B, C, h, w): the local features, mixed by attention from the guide's
        channels."""
        query, key = self.query_local(self.query(guide)), self.key_local(self.key(local))
        weights = self.weights(query, key)                                       # (B, heads, D, D)
        # The attention and the 1x1 convolution after it are one matrix, (B, C, heads * D): one pass over the
        # pixels, not two.
        out = self.out.weight[:, :, 0, 0].unflatten(1, (self.heads, -1)).transpose(0, 1)  # (heads, C, D)
        matrix = (out @ weights.to(out.dtype)).transpose(1, 2).flatten(2)        # (B, C, heads * D)
        value = self.value_local(self.value(local)).permute(0, 2, 3, 1)          # (B, h, w, heads * D)
        mixed = value.flatten(1, 2) @ matrix.mT.to(value.dtype) + self.out.bias.to(value.dtype)
        return mixed.unflatten(1, value.shape[1:3]).permute(0, 3, 1, 2)

    def weights(self, query: Tensor, key: Tensor) -> Tensor:
        """(B, heads * D, h, w) twice -> (B, heads, D, D): rows sum to 1 over the channels of the key."""
        # (B, 8, D, N)
        query = query.permute(0, 2, 3, 1).flatten(1, 2).unflatten(-1, (self.heads, -1)).permute(0, 2, 3, 1)
        # (B, 8, N, D)
        key = key.permute(0, 2, 3, 1).flatten(1, 2).unflatten(-1, (self.heads, -1)).permute(0, 2, 1, 3)
        lengths = query.float().square().sum(3, keepdim=True), key.float().square().sum(2, keepdim=True)
        cosine = (query @ key).float() / (lengths[0] * lengths[1]).clamp(min=1e-24).sqrt()
        return (cosine * self.temperature).softmax(-1)


class GuidedFusion(nn.Module):
    """One scale of PVGFE: queries from the guide, keys and values from the CNN, plus the guide as residual
    (§3.1)."""

    def __init__(self, guide: int, local: int, channels: int, scale: int):
        super().__init__()
        if local != channels or channels % 4:
            raise ValueError(
                f"guided fusion keeps the CNN's channels, a multiple of 4; got {local} -> {channels}")
        self.scale = scale  # resolution of this scale relative to the guide
        self.guide = nn.Conv2d(guide, channels, 3, padding=1)
        self.norm_guide, self.norm_local, self.norm_out = (ChannelNorm(channels) for _ in range(3))
        self.attention = ChannelAttention(channels)

    def forward(self, guide: Tensor, local: Tensor) -> Tensor:
        """guide: (B, G, h, w); local: (B, C, scale * h, scale * w) -> (B, C, scale * h, scale * w), never
        negative."""
        guide = upsampled_conv(guide, self.guide, self.scale)
        out = self.attention(self.norm_guide(guide), self.norm_local(local))
        return F.relu(self.norm_out(out + guide))


class LocalOnly(nn.Module):
    """One scale of "w/ ResNet50": the CNN's features as they are."""

    def __init__(self, guide: int, local: int, channels: int, scale: int):
        super().__init__()
        self.local = nn.Identity() if local == channels else nn.Conv2d(local, channels, 1)

    def forward(self, guide: Tensor | None, local: Tensor) -> Tensor:
        return self.local(local)


class GuideOnlyScale(nn.Module):
    """One scale of "w/ DINOv2": the guide, upsampled and projected to the output width."""

    def __init__(self, guide: int, local: int, channels: int, scale: int):
        super().__init__()
        self.scale = scale
        self.guide = nn.Conv2d(guide, channels, 3, padding=1)
        self.norm_out = ChannelNorm(channels)

    def forward(self, guide: Tensor, local: Tensor | None) -> Tensor:
        return F.relu(self.norm_out(upsampled_conv(guide, self.guide, self.scale)))


class ConcatenatedScale(nn.Module):
    """One scale of "w/ Concatenation": a 3x3 convolution of guide and CNN concatenated, computed as the sum
    of its two halves."""

    def __init__(self, guide: int, local: int, channels: int, scale: int):
        super().__init__()
        self.scale = scale
        self.guide = nn.Conv2d(guide, channels, 3, padding=1)
        self.local = nn.Conv2d(local, channels, 3, padding=1, bias=False)
        self.norm_out = ChannelNorm(channels)

    def forward(self, guide: Tensor, local: Tensor) -> Tensor:
        guide = upsampled_conv(guide, self.guide, self.scale)
        return F.relu(self.norm_out(guide + self.local(local)))


class FrameEncoder(nn.Module):
    """A grey frame -> Features: the CNN and the guide, fused at three scales by one of the four kinds of
    block above."""

    def __init__(self, cnn: nn.Module | None, guide: Guide | None, join: type[nn.Module],
                 channels: tuple[int, int, int], stride: int):
        super().__init__()
        self.cnn, self.guide, self.stride = cnn, guide, stride  # stride of the coarsest features
        local = (0, 0, 0) if cnn is None else cnn.channels
        width = 0 if guide is None else guide.width
        self.coarse, self.middle, self.fine = (
            join(width, *widths, scale) for *widths, scale in zip(local, channels, (1, 2, 4)))

    def position(self, height: int, width: int) -> Tensor | None:
        """The guide's position embedding for frames of this size; cache it from frame to frame."""
        return None if self.guide is None else self.guide.position(height, width)

    def forward(self, image: Tensor, position: Tensor | None = None) -> Features:
        """image: (B, 3, H, W), L three times, in [-1, 1]; H and W multiples of what the backbones need."""
        local = (None, None, None) if self.cnn is None else self.cnn(image)
        guide = None if self.guide is None else self.guide(image, position)
        return Features(*(join(guide, taps)
                          for join, taps in zip((self.coarse, self.middle, self.fine), local)))


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
