"""CNN-Transformer blocks: local texture in one branch, the whole block of frames in the other (LSTVC §3.2,
Fig. 3b)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.instance_norm import instance_norm

from colorlab.papers.lstvc.attention import TransformerLayer, sine_position, to_maps, to_tokens


class HighFeatures(NamedTuple):
    """R_high as input of the two branches, per frame, so that a reference's is computed only once."""

    cnn: Tensor     # (B * n, 512, h, w), h = H/8
    tokens: Tensor  # (B * n, 384, h, w), still as maps


class Encoded(NamedTuple):
    cnn: Tensor            # (B * n, 512, h, w)     R'_high
    tokens: Tensor | None  # (B, n * h * w, 384)    ho_t, detached; None without a transformer branch


class Project(nn.Module):
    """Project R_high (F, 2048, h, w) to the widths of the two branches."""

    def __init__(self, inputs: int, channels: int, width: int):
        super().__init__()
        self.to_cnn = nn.Conv2d(inputs, channels, kernel_size=1)
        self.to_tokens = nn.Linear(inputs, width)

    def forward(self, high: Tensor) -> HighFeatures:
        return HighFeatures(self.to_cnn(high), self.to_tokens(high.movedim(1, -1)).movedim(-1, 1))


class ConvBranch(nn.Module):
    """Three convolutions, dilated 2, 1, 2, each followed by ReLU and instance normalisation; replicate
    padding."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv3 = (nn.Conv2d(channels, channels, 3, dilation=2) for _ in range(2))
        self.conv2 = nn.Conv2d(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2, self.conv3):
            border = 2 * conv.dilation
            x = instance_norm(F.relu_(conv(F.pad(x, border, mode="replicate"))))
        return x


class CNNTransformerBlock(nn.Module):
    """The two branches in parallel, each feeding its result to the other.

    Before attending, the transformer gets the *input* of the convolutions; the convolutions get the tokens
    after attention.
    """

    def __init__(self, channels: int, width: int, heads: int, inner: int, dropout: float):
        super().__init__()
        self.branch = ConvBranch(channels)
        self.layer = TransformerLayer(width, heads, inner, dropout)
        self.cnn_to_tokens = nn.Linear(width + channels, width)
        self.tokens_to_cnn = nn.Conv2d(channels + width, channels, kernel_size=1)

    def forward(self, cnn: Tensor, tokens: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """cnn: (B * n, C, h, w), tokens: (B, n * h * w, width), position: (n * h * w, width). Returns both,
        same shapes."""
        local = self.branch(cnn)
        tokens = self.cnn_to_tokens(torch.cat((tokens, to_tokens(cnn, len(tokens))), dim=-1))
        tokens = self.layer(tokens, position)
        both = torch.cat((local, to_maps(tokens, *cnn.shape[-2:])), dim=1)
        return instance_norm(cnn + self.tokens_to_cnn(both)), tokens


class ConvBlock(nn.Module):
    """The block's convolutions alone: Table 2's row "w/o Transformer Branch & Linkage Subnet"."""

    def __init__(self, channels: int):
        super().__init__()
        self.branch = ConvBranch(channels)
        self.mix = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, cnn: Tensor) -> Tensor:
        return instance_norm(cnn + self.mix(self.branch(cnn)))


class CNNTransformer(nn.Module):
    """All blocks, over all frames of a block at once."""

    def __init__(self, blocks: int, channels: int, width: int, heads: int, inner: int, dropout: float):
        super().__init__()
        self.blocks = nn.ModuleList(
            CNNTransformerBlock(channels, width, heads, inner, dropout) for _ in range(blocks))

    def forward(self, cnn: Tensor, tokens: Tensor) -> Encoded:
        """cnn: (B * n, C, h, w); tokens: (B, n * h * w, width), what the linkage query returned."""
        B, (h, w) = len(tokens), cnn.shape[-2:]
        position = sine_position(len(cnn) // B, h, w, tokens.shape[-1], cnn.device)
        position = position.movedim(1, -1).flatten(0, 2)                     # (n * h * w, width)
        for block in self.blocks:
            cnn, tokens = block(cnn, tokens, position)
        return Encoded(cnn, tokens.detach())


class ConvEncoder(nn.Module):
    """The encoder without its transformer branch: frames do not see each other, and the linkage has no
    tokens."""

    def __init__(self, blocks: int, channels: int):
        super().__init__()
        self.blocks = nn.ModuleList(ConvBlock(channels) for _ in range(blocks))

    def forward(self, cnn: Tensor, tokens: Tensor) -> Encoded:
        for block in self.blocks:
            cnn = block(cnn)
        return Encoded(cnn, None)
