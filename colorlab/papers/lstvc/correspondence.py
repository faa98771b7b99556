"""Match grey frames with the reference and warp its colour, with two heads (LSTVC §3.2, Fig. 3a and 3c)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.fast.streamed_correlation import match
from colorlab.modules.fast.upsampled_conv import upsampled_conv
from colorlab.modules.instance_norm import instance_norm

from colorlab.papers.lstvc.attention import sine_position
from colorlab.papers.lstvc.backbone import Taps

HEADS = ("vanilla", "augmented")


class Warp(NamedTuple):
    """What the heads carry over from the references: one entry per head, in the order of HEADS."""

    color: Tensor  # (B, T, heads, 2 or more, h, w) h = H/4: ab / 128, and whatever else is carried
    similarity: Tensor  # (B, T, heads, h, w) in [-1, 1]: how good the best match is (Eq. 3)

    @property
    def ab(self) -> Tensor:
        """(B, T, heads, 2, h, w)"""
        return self.color[:, :, :, :2]


class Fusion(nn.Module):
    """R' of the paper: two depths of the backbone and the augmented features, joined at a quarter of the
    size."""

    def __init__(self, half: int, quarter: int, cnn: int, channels: int = 512, residual_blocks: int = 3,
                 mix: float = 0.8):
        super().__init__()
        self.project_half = nn.Conv2d(half, channels // 4, kernel_size=1)
        self.project_quarter = nn.Conv2d(quarter, channels // 4, kernel_size=1)
        self.enlarge = nn.Conv2d(cnn, channels // 2, kernel_size=3, padding=1)
        self.slope = nn.PReLU()
        self.residual = nn.ModuleList(ResidualBlock(channels) for _ in range(residual_blocks))
        self.mix = mix  # α in §4, whose use is not stated; this value is from the authors' code

    def low(self, taps: Taps) -> Tensor:
        """R_low (F, C / 2, H/4, W/4), each depth normalised separately. Depends on no other frame."""
        half = instance_norm(self.project_half(taps.half))[..., ::2, ::2]  # nearest: the top left of four
        return torch.cat((half, instance_norm(self.project_quarter(taps.quarter))), dim=1)

    def forward(self, cnn: Tensor, low: Tensor) -> Tensor:
        """cnn: R'_high (F, 512, H/8, W/8), low: R_low (F, C / 2, H/4, W/4). Returns (F, C, H/4, W/4).

        The first half of the channels belongs to the vanilla head. In the second half, the augmented head's,
        R'_high again has a weight of four fifths.
        """
        high = upsampled_conv(cnn, self.enlarge, scale=2)        # bilinear, then 3x3
        fused = torch.cat((low, instance_norm(self.slope(high))), dim=1)
        refined = fused
        for block in self.residual:
            refined = block(refined)
        vanilla, augmented = refined.chunk(2, dim=1)
        return torch.cat((vanilla, torch.lerp(augmented, fused.chunk(2, dim=1)[1], self.mix)), dim=1)


class ResidualBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, kernel_size=3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + instance_norm(F.relu_(self.conv2(F.relu_(self.conv1(x)))))


class DoubleHead(nn.Module):
    """The double-head non-local operation: both heads share the two projections, and only the augmented one
    uses positions."""

    names = HEADS

    def __init__(self, channels: int = 256, width: int = 384, temperature: float = 0.01):
        super().__init__()
        self.theta, self.phi = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.position = nn.Linear(width, channels)
        self.temperature = temperature  # τ in Eq. 2

    def forward(self, features: Tensor, reference: Tensor) -> Warp:
        """features: (B, n, 512, h, w), the R references before the T frames; reference: as for `warp`."""
        return self.warp(*self.queries_and_keys(features, reference.shape[1]), reference)

    def warp(self, query: Tensor, key: Tensor, reference: Tensor) -> Warp:
        """Eq. 1 to 3. query: (B, heads, T * h * w, C), key: (B, heads, R * h * w, C); reference: (B, R, V, h,
        w), V >= 2 numbers to carry over from each cell, the first two ab / 128."""
        (B, R, V, h, w), heads = reference.shape, len(self.names)
        color = reference.movedim(2, -1).flatten(1, 3)                     # (B, R * h * w, V)
        color = color[:, None].expand(-1, heads, -1, -1).flatten(0, 1)
        mixed, similarity = match(query.flatten(0, 1), key.flatten(0, 1), color, self.temperature)
        mixed = mixed.view(B, heads, -1, h, w, V).movedim((2, 5), (1, 3))  # (B, T, heads, V, h, w)
        return Warp(mixed, similarity.view(B, heads, -1, h, w).movedim(2, 1))

    def queries_and_keys(self, features: Tensor, references: int) -> tuple[Tensor, Tensor]:
        """Centred unit features of both heads: (B, heads, T * h * w, C) of the frames, (B, heads, R * h * w,
        C) of the references."""
        query, key = self.features_of(features, references)
        return centered_unit(self.theta(query.flatten(2, 4))), centered_unit(self.phi(key.flatten(2, 4)))

    def features_of(self, features: Tensor, references: int) -> tuple[Tensor, Tensor]:
        """What each head compares, (B, heads, T, h, w, C) of the frames and (B, heads, R, h, w, C) of the
        references."""
        vanilla, augmented = features.movedim(2, -1).chunk(2, dim=-1)                      # (B, n, h, w, C)
        n, h, w = vanilla.shape[1:4]
        position = sine_position(n, h, w, self.position.in_features, features.device)
        position = self.position(position.movedim(1, -1).to(features))                     # (n, h, w, C)
        query = torch.stack((vanilla[:, references:], augmented[:, references:] + position[references:]),
                            dim=1)
        key = torch.stack((vanilla[:, :references], augmented[:, :references] - position[:references]), dim=1)
        return query, key


class VanillaHead(DoubleHead):
    """The vanilla head alone: Table 2's row "w/o Double-head"."""

    names = HEADS[:1]

    def features_of(self, features: Tensor, references: int) -> tuple[Tensor, Tensor]:
        vanilla = features.chunk(2, dim=2)[0].movedim(2, -1)[:, None]  # (B, 1, n, h, w, C)
        return vanilla[:, :, references:], vanilla[:, :, :references]


def centered_unit(features: Tensor) -> Tensor:
    """(..., N, C) -> the same: the mean over all N positions subtracted, each scaled to length 1, in float32
    at least."""
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    features = features - features.mean(-2, keepdim=True)
    return features / (features.norm(dim=-1, keepdim=True) + 2.2e-16)
