"""ResNet without its first max-pool, read at four depths (LSTVC §3.2; He et al. 2016)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.color import lab_to_rgb


class Taps(NamedTuple):
    """Activations of the backbone; channels as with width 64."""

    half: Tensor     # (B, 256, H/2, W/2)   relu1_2: part of R_low
    quarter: Tensor  # (B, 512, H/4, W/4)   relu2_3: part of R_low
    high: Tensor     # (B, 2048, H/8, W/8)  relu3_19 and relu3_3, in this order: R_high


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with fixed statistics, scale and shift: an affine map per channel."""

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class TrainedNorm(nn.GroupNorm):
    """Replaces the frozen norm where there are no ImageNet statistics to freeze: in the course network."""

    def __init__(self, channels: int):
        super().__init__(min(8, channels // 4), channels)


class Bottleneck(nn.Module):
    """1x1, 3x3 (strided), 1x1, with a shortcut; the output has four times the inner width."""

    def __init__(self, inputs: int, inner: int, stride: int, norm: type[nn.Module]):
        super().__init__()
        outputs = 4 * inner
        self.conv1, self.bn1 = nn.Conv2d(inputs, inner, 1, bias=False), norm(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False), norm(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, outputs, 1, bias=False), norm(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        return F.relu(self.bn3(self.conv3(x)) + shortcut, inplace=True)


class Backbone(nn.Module):
    """The layers of ResNet that the network uses, with torchvision's names.

    blocks: how many of each layer. ResNet-101's third layer has 23; the last four of them and the whole
    fourth layer are in the released file but do not affect the output: (3, 4, 19) builds what is used.
    taps: after which block (from 1) of layers 1, 2, 3 to take features; the third layer's are taken there and
    at its end.
    """

    def __init__(self, blocks: tuple[int, int, int] = (3, 4, 19), taps: tuple[int, int, int] = (2, 3, 3),
                 width: int = 64, norm: type[nn.Module] = FrozenBatchNorm):
        super().__init__()
        self.taps, self.channels = taps, (4 * width, 8 * width, 32 * width)
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False), norm(width)
        self.layer1 = _layer(width, width, blocks[0], stride=1, norm=norm)
        self.layer2 = _layer(4 * width, 2 * width, blocks[1], stride=2, norm=norm)
        self.layer3 = _layer(8 * width, 4 * width, blocks[2], stride=2, norm=norm)

    def seen(self, lab: Tensor) -> Tensor:
        """The backbone's input for a reference, (B, 3, H, W) Lab -> RGB, in full colour."""
        return lab_to_rgb(lab)

    def forward(self, rgb: Tensor) -> Taps:
        """rgb: (B, 3, H, W) in [0, 1]; like the authors, we do not subtract the ImageNet mean."""
        x = F.relu(self.bn1(self.conv1(rgb)), inplace=True)         # (B, 64, H/2, W/2), no max-pool
        half, x = _read(self.layer1, x, self.taps[0])
        quarter, x = _read(self.layer2, x, self.taps[1])
        early, late = _read(self.layer3, x, self.taps[2])
        return Taps(half, quarter, torch.cat((late, early), dim=1))


def _layer(inputs: int, inner: int, blocks: int, stride: int, norm: type[nn.Module]) -> nn.Sequential:
    rest = (Bottleneck(4 * inner, inner, 1, norm) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(inputs, inner, stride, norm), *rest)


def _read(layer: nn.Sequential, x: Tensor, tap: int) -> tuple[Tensor, Tensor]:
    """The layer's output after `tap` blocks, and after all."""
    tapped = layer[:tap](x)
    return tapped, layer[tap:](tapped)
