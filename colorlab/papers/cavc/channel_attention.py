"""Single Channel Attention: one attention head for every channel, and its cosine with the next channel (CAVC
§3.1.1, Fig. 1).

Each channel passes through the same weights, so a grey film (one channel), a grey film stored as RGB (three
equal ones) and a satellite picture (thirteen) are all valid input, and the number of parameters does not
depend on it.

**What the cosine is taken between** is the module's one open question. Four places of the paper
disagree (§3.1, §3.1.1, §6.1 and Table 3 with Fig. 1), and the code that its author published later does
something else again. If s_g has three equal channels, as grey film does:

- between two *attended* channels, as in that code: the operands are equal, so the map is 1 everywhere and
  carries no information;
- between two 1 x H x W maps along their channel axis, as the shapes of §3.1.1 say: two numbers have a cosine
  of +1 or -1 only;
- between the attended channel and the next channel **before** attention, both still embedded in D features
  per pixel: how much the window changed the pixel. This is Table 3's reading, and ours; with equal channels
  §3.1 and §6.1, which compare a channel with its own attended version, come to the same.

Notebook 03 draws all three, and measures what the third follows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorlab.papers.cavc.window_attention import WindowPair


class ChannelFeatures(NamedTuple):
    features: Tensor    # (B, 64, H, W) SCA_features
    attended: Tensor    # (B, C, H, W) channel_att of each channel, about as the input
    similarity: Tensor  # (B, C, H, W) channel_similarity in [-1, 1]; (B, 0, H, W) without cosine


class ChannelWeights(NamedTuple):
    """What one pixel attends to, in each channel: attention weights that sum to 1 over the picture."""

    window: Tensor   # (B, C, H, W) the regular window
    shifted: Tensor  # (B, C, H, W) the window shifted by half


class CosineSimilarity(nn.Module):
    """How far attention turned each pixel's features: cosine of the attended channel and the next channel's
    embedding."""

    maps = 1  # how many maps it adds to each channel

    def forward(self, attended: Tensor, embedded: Tensor) -> Tensor:
        """Both (B, C, D, H, W) -> (B, C, 1, H, W) in [-1, 1]. The last channel's neighbour is the first."""
        following = embedded.roll(-1, dims=1)  # a single channel is its own neighbour
        return F.cosine_similarity(attended, following, dim=2, eps=1e-6).unsqueeze(2)


class NoSimilarity(nn.Module):
    """No map at all: the network that cosine similarity is compared with (§6.1, Table 3)."""

    maps = 0

    def forward(self, attended: Tensor, embedded: Tensor) -> Tensor:
        """Both (B, C, D, H, W) -> (B, C, 0, H, W)."""
        return attended[:, :, :0]


class SingleChannelAttention(nn.Module):
    """Refine each channel with one Swin head shared by all of them, and expand the result to 64 features."""

    def __init__(self, similarity: nn.Module, width: int = 16, features: int = 64, window: int = 8):
        super().__init__()
        self.embed = nn.Conv2d(1, width, kernel_size=3, padding=1)
        # "a Transformer that has only one attention head"
        self.attention = WindowPair(width, heads=1, window=window)
        self.to_channel = nn.Conv2d(width, 1, kernel_size=1)
        self.similarity = similarity
        self.lift = nn.Conv2d(2 + similarity.maps, features, kernel_size=1)

    def forward(self, channels: Tensor) -> ChannelFeatures:
        """channels: (B, C, H, W) in [-1, 1], any C >= 1 and any H, W."""
        B, C, _, _ = channels.shape
        each = channels.flatten(0, 1).unsqueeze(1)                                   # (B * C, 1, H, W)
        embedded = channels_last(self.embed(each))                                   # (B * C, D, H, W)
        attended = self.attention(embedded)                                          # (B * C, D, H, W)
        refined = each + self.to_channel(attended)  # (B * C, 1, H, W)  channel_att
        # (B, C, 0 or 1, H, W)
        cosine = self.similarity(attended.unflatten(0, (B, C)), embedded.unflatten(0, (B, C)))
        known = torch.cat((each, refined, cosine.flatten(0, 1).to(refined)), dim=1)  # (B * C, 2 or 3, H, W)
        features = self.lift(known).unflatten(0, (B, C)).mean(1)  # (B, 64, H, W): independent of C
        return ChannelFeatures(channels_last(features), refined.view_as(channels), cosine.flatten(1, 2))

    def weights(self, channels: Tensor, at: tuple[int, int]) -> ChannelWeights:
        """channels: (B, C, H, W) in [-1, 1]; at: (y, x). The head's attention for that pixel, in every
        channel."""
        window, shifted = self.attention.weights(self.embed(channels.flatten(0, 1).unsqueeze(1)), at)
        return ChannelWeights(window.view_as(channels), shifted.view_as(channels))


def channels_last(features: Tensor) -> Tensor:
    """Convert to channels_last, the layout in which windows are read; convolutions keep it, so later layers
    need no permutation."""
    return features.contiguous(memory_format=torch.channels_last)
