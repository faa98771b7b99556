"""Discriminators for adversarial training: one score per picture, or one per patch.

LSTVC and TCAVC take the discriminator of Deep Exemplar-based Video Colorization; TCAVC's text asks for a
PatchGAN (Isola et al. 2017), though its code averages to one score per picture. Both are here. Only training
uses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Judgement(NamedTuple):
    # (B, 1) one for the picture, or (B, 1, h, w) one for each patch; higher means more realistic
    score: Tensor
    features: Tensor  # (B, C, h', w') output of the fourth stage, for a feature-matching loss


class SpectralConv(nn.Conv2d):
    """A convolution with spectral normalisation: weights divided by their largest singular value (Miyato et
    al. 2018).

    One power iteration at every call, in eval mode too, as in the authors' code. `u` is the result of the
    last one.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1,
                 padding: int = 0):
        super().__init__(inputs, outputs, kernel, stride, padding)
        self.register_buffer("u", F.normalize(torch.randn(outputs), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # a ratio of norms needs full precision
            matrix = self.weight.float().flatten(1)
            with torch.no_grad():
                v = F.normalize(matrix.mT @ self.u.float(), dim=0)
                u = F.normalize(matrix @ v, dim=0)
                self.u.copy_(u)
            weight = self.weight / (u @ (matrix @ v))
        return self._conv_forward(x, weight.to(self.weight.dtype), self.bias)


class Stage(nn.Module):
    """Halve the size: a 4x4 convolution, instance norm except in the first stage, and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, norm: bool = True, stride: int = 2):
        super().__init__()
        self.conv, self.norm = SpectralConv(inputs, outputs, 4, stride, padding=1), norm

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.leaky_relu(F.instance_norm(x) if self.norm else x, 0.2)


class SelfAttention(nn.Module):
    """Self-attention over all positions (Zhang et al. 2019), added with a factor that starts at zero."""

    def __init__(self, channels: int):
        super().__init__()
        self.query, self.key, self.value = (SpectralConv(channels, channels, 1) for _ in range(3))
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (conv(x).flatten(2) for conv in (self.query, self.key, self.value))  # (B, C, N)
        # scale=1: the authors do not divide by the root of C
        seen = F.scaled_dot_product_attention(query.mT, key.mT, value.mT, scale=1.0)             # (B, N, C)
        return x + self.gamma * seen.mT.reshape(x.shape)


class PictureDiscriminator(nn.Module):
    """One score per picture. The defaults are LSTVC's, 11.24 M parameters for 216 x 384; TCAVC's first stage
    ends in a 3x3.

    widths: of its stages, each of which halves the size; `last` is the kernel of the final convolution, whose
    map is averaged.
    """

    def __init__(self, channels: int = 3, widths: Sequence[int] = (64, 64, 128, 256, 512, 1024),
                 last: tuple[int, int] = (3, 6)):
        super().__init__()
        self.stages = nn.ModuleList(
            Stage(i, o, norm=k > 0) for k, (i, o) in enumerate(zip((channels, *widths), widths)))
        self.attention = SelfAttention(widths[1])
        self.last = SpectralConv(widths[-1], 1, last)

    def forward(self, picture: Tensor) -> Judgement:
        """picture: (B, channels, H, W). Raises ValueError where it is too small for the last kernel."""
        smallest = [side << len(self.stages) for side in self.last.kernel_size]
        if any(side < least for side, least in zip(picture.shape[-2:], smallest)):
            raise ValueError(
                f"this discriminator needs pictures of at least {smallest[1]} x {smallest[0]} "
                f"pixels, got {picture.shape[-1]} x {picture.shape[-2]}; PatchDiscriminator takes any")
        x, features = picture, None
        for number, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if number == 2:
                x = self.attention(x)
            if number == 4:
                features = x
        return Judgement(self.last(x).mean((-2, -1)), features if features is not None else x)


class PatchDiscriminator(nn.Module):
    """A score for every patch of 70 x 70 pixels: the PatchGAN of Isola et al. 2017, with spectral norm for
    stability.

    width: of the first stage; 64 is Isola's. The fourth stage and the last convolution have stride 1.
    """

    def __init__(self, channels: int = 3, width: int = 64):
        super().__init__()
        widths = (width, 2 * width, 4 * width, 8 * width)
        strides = (2, 2, 2, 1)
        self.stages = nn.ModuleList(
            Stage(i, o, norm=k > 0, stride=s)
            for k, (i, o, s) in enumerate(zip((channels, *widths), widths, strides))
        )
        self.last = SpectralConv(widths[-1], 1, 4, padding=1)

    def forward(self, picture: Tensor) -> Judgement:
        """picture: (B, channels, H, W), at least 32 x 32. Scores (B, 1, H/8 - 2, W/8 - 2)."""
        features = picture
        for stage in self.stages:
            features = stage(features)
        return Judgement(self.last(features), features)
