"""FVD's network: I3D (Carreira and Zisserman 2017).

The Frechet video distance (Unterthiner et al. 2018) compares the 400 logits of an RGB I3D trained on
Kinetics-400. The paper of this field that prints it (ColorMNet) publishes no code for it, no length and no
sampling of clips, so its numbers cannot be reproduced. Here: every window of 16 consecutive frames, 8 apart,
resized to 224 x 224, in [-1, 1] (`meters.FrechetVideo` cuts them). Few windows give a singular covariance and
a number that depends on how many there are: print the count with it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.metrics.networks import load_tensors, network_file

WINDOW, STRIDE = 16, 8

# Channels of each mixed block: 1x1x1 branch; 1x1x1 then 3x3x3; 1x1x1 then 3x3x3; pooling then 1x1x1.
MIXED = {
    "Mixed_3b": (192, 64, 96, 128, 16, 32, 32),
    "Mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "Mixed_4b": (480, 192, 96, 208, 16, 48, 64),
    "Mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "Mixed_4d": (512, 128, 128, 256, 24, 64, 64),
    "Mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "Mixed_4f": (528, 256, 160, 320, 32, 128, 128),
    "Mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "Mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}


class I3D(nn.Module):
    """The inflated Inception v1, with the parameter names of `i3d_pretrained_400.pt`."""

    dimension = 400

    def __init__(self, classes: int = 400):
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, 7, stride=2)
        self.Conv3d_2b_1x1 = Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        for name, channels in MIXED.items():
            setattr(self, name, Mixed(*channels))
        self.logits = Unit(1024, classes, 1, plain=True)

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 3, T, 224, 224) in [-1, 1], T at least 9 -> (N, classes) logits, averaged over time."""
        x = self.Conv3d_1a_7x7(clips)
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(max_pool(x, (1, 3, 3), (1, 2, 2))))
        x = self.Mixed_3c(self.Mixed_3b(max_pool(x, (1, 3, 3), (1, 2, 2))))
        x = max_pool(x, (3, 3, 3), (2, 2, 2))
        for name in ("Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f"):
            x = getattr(self, name)(x)
        x = self.Mixed_5c(self.Mixed_5b(max_pool(x, (2, 2, 2), (2, 2, 2))))
        return self.logits(F.avg_pool3d(x, (2, 7, 7), stride=1)).flatten(2).mean(-1)


class Unit(nn.Module):
    """Convolution, batch norm, ReLU, with TensorFlow's SAME padding: an odd zero goes to the end."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int = 1, plain: bool = False):
        super().__init__()
        self.conv3d = nn.Conv3d(inner, outer, kernel, stride, bias=plain)
        self.bn = None if plain else nn.BatchNorm3d(outer, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3d(same_pad(x, self.conv3d.kernel_size, self.conv3d.stride))
        return x if self.bn is None else F.relu(self.bn(x))


class Mixed(nn.Module):
    """Four parallel branches, concatenated by channel."""

    def __init__(self, inner: int, one: int, three_in: int, three: int, other_in: int, other: int,
                 pooled: int):
        super().__init__()
        self.b0 = Unit(inner, one, 1)
        self.b1a, self.b1b = Unit(inner, three_in, 1), Unit(three_in, three, 3)
        self.b2a, self.b2b = Unit(inner, other_in, 1), Unit(other_in, other, 3)
        self.b3b = Unit(inner, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat((self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)), dim=1)


def max_pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    return F.max_pool3d(same_pad(x, kernel, stride), kernel, stride)  # after a ReLU, zeros never win


def same_pad(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around (N, C, T, H, W) so that a window of this stride gives ceil(size / stride) outputs."""
    needed = [
        max((-(-size // s) - 1) * s + k - size, 0)
        for size, k, s in zip(x.shape[2:], kernel, stride, strict=True)
    ]
    return F.pad(x, [side for total in reversed(needed) for side in (total // 2, total - total // 2)])


class I3DFeatures(nn.Module):
    """FVD's features of windows of frames."""

    dimension = I3D.dimension

    def __init__(self, download: bool = False):
        super().__init__()
        self.network = I3D()
        self.network.load_state_dict(load_tensors(network_file("i3d", download)))
        self.eval()

    def forward(self, windows: Tensor) -> Tensor:
        """(N, T, 3, H, W) uint8 -> (N, 400)."""
        N, T = windows.shape[:2]
        small = F.interpolate(windows.flatten(0, 1).float(), (224, 224), mode="bilinear", align_corners=False)
        return self.network((small / 127.5 - 1).view(N, T, 3, 224, 224).transpose(1, 2))
