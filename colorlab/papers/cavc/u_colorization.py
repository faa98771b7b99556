"""U-Colorization: a Swin U-Net whose bottleneck is fused with the reference's tokens and whose decoder is
modulated by its histogram (CAVC §3.1.3).

    f0 64 ---------------------------------------------------------------. full size: SCA_features, the
    outermost skip
      e1 64 -----------------------------------------------.             |
        e2 128 --------------------------------.           |             |
          e3 256 ------------------.           |           |             |
            e4 384 + 128 tokens -> d1 256 --> d2 128 --> d3 64 --> d4 32 -> head: RGB by tanh
                                   ^           ^           ^             ^
                                   '-----------'-- histogram code 128 ---'
"""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorlab.papers.cavc.window_attention import WindowPair

# channels per normalization group; in a single group the channels' means would swamp their variation
GROUP = 16


class ConvBlock(nn.Module):
    """Two convolutions and a shortcut. Without the shortcut the path through the bottleneck can die, and the
    reference is ignored."""

    def __init__(self, inner: int, outer: int, dropout: float):
        super().__init__()
        groups = max(1, outer // GROUP)
        self.conv1 = nn.Conv2d(inner, outer, kernel_size=3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(groups, outer)
        self.drop = nn.Dropout2d(dropout)
        self.conv2 = nn.Conv2d(outer, outer, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, outer)
        self.shortcut = (
            nn.Identity() if inner == outer else nn.Conv2d(inner, outer, kernel_size=1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inner, H, W) -> (B, outer, H, W)."""
        y = self.drop(F.gelu(self.norm1(self.conv1(x))))
        return F.gelu(self.norm2(self.conv2(y)) + self.shortcut(x))


class EncoderLevel(nn.Module):
    """Halve the size, convolve, attend."""

    def __init__(self, inner: int, outer: int, head_width: int, window: int, dropout: float):
        super().__init__()
        self.conv = ConvBlock(inner, outer, dropout)
        self.attention = WindowPair(outer, max(1, outer // head_width), window)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inner, H, W) -> (B, outer, H / 2, W / 2)."""
        return self.attention(self.conv(F.max_pool2d(x, 2)))


class Fusion(nn.Module):
    """Concatenate the reference's patch tokens to the encoder's output, each where its patch lies in the
    picture.

    This assumes that reference and frame show things in the same places. Without another attention layer the
    paper's "fusion" can mean no more than that: CAVC never searches for a match.
    """

    def __init__(self, token_width: int, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(token_width)
        self.project = nn.Linear(token_width, width)
        # Five times PyTorch's default: four decoder levels lie between tokens and picture, and the histogram,
        # which modulates each of them, is learned first. At the default the first steps of training can
        # suppress the tokens for good.
        nn.init.normal_(self.project.weight, std=3 / token_width ** 0.5)

    def forward(self, encoded: Tensor, tokens: Tensor) -> Tensor:
        """encoded: (B, C, h, w); tokens: (B, 1 + n * n, token_width). Returns (B, C + width, h, w)."""
        tokens = self.project(self.norm(tokens))                                # (B, 1 + n * n, width)
        whole, patches = tokens[:, :1], tokens[:, 1:]                           # the class token is the first
        n = isqrt(patches.shape[1])
        grid = patches.mT.unflatten(-1, (n, n))                                 # (B, width, n, n)
        placed = F.interpolate(grid, encoded.shape[-2:], mode="bilinear", align_corners=False)
        return torch.cat((encoded, (placed + whole.mT[..., None]).to(encoded)), dim=1)


def placement(patches: int, size: tuple[int, int], at: tuple[int, int]) -> Tensor:
    """The weight of each of the n * n patch tokens in `Fusion` at the cell `at` of a grid of this size: (n,
    n), sums to 1."""
    n = isqrt(patches)
    each = torch.eye(n * n).view(1, n * n, n, n)
    return F.interpolate(each, size, mode="bilinear", align_corners=False)[0, :, at[0], at[1]].view(n, n)


class HistogramGuide(nn.Module):
    """Modulate a decoder level by the reference's histogram: scale and shift its features (§6.3). Fig. 2 only
    says "in"."""

    listens = True

    def __init__(self, code_width: int, width: int):
        super().__init__()
        self.project = nn.Linear(code_width, 2 * width)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """x: (B, C, H, W); code: (B, code_width) -> (B, C, H, W)."""
        scale, shift = self.project(code)[:, :, None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


class NoGuide(nn.Module):
    """No histogram conditioning (Table 5)."""

    listens = False

    def __init__(self, code_width: int, width: int):
        super().__init__()

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return x


class DecoderLevel(nn.Module):
    """Upsample to the skip's size, concatenate it, convolve, modulate by the histogram, attend."""

    def __init__(self, inner: int, skip: int, outer: int, guide: nn.Module, head_width: int, window: int,
                 dropout: float):
        super().__init__()
        self.conv = ConvBlock(inner + skip, outer, dropout)
        self.film = guide
        self.attention = WindowPair(outer, max(1, outer // head_width), window)

    def forward(self, x: Tensor, skip: Tensor, code: Tensor) -> Tensor:
        """x: (B, inner, h, w); skip: (B, skip, H, W); code: (B, code_width). Returns (B, outer, H, W)."""
        x = F.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=False)
        return self.attention(self.film(self.conv(torch.cat((x, skip), dim=1)), code))
