"""The colour network that both BUPT papers take over from Deep Exemplar-based Video Colorization (Zhang et
al., CVPR 2019).

Three strided stages down to an eighth of the size, dilated stages there, three stages up again with a skip
connection at each size: TCAVC's reference colorizer is exactly this, and LSTVC's colorization subnet puts a
transformer into its middle. Layers keep the numbers they have in that paper. Lightness is one of the input
channels, so the skips carry its full-size edges to the output layers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.fast.upsampled_conv import nearest_conv
from colorlab.modules.instance_norm import instance_norm


class Skips(NamedTuple):
    """Skip connections from encoder to decoder."""

    full: Tensor     # (B, c, H, W)
    half: Tensor     # (B, 2c, H/2, W/2)
    quarter: Tensor  # (B, 4c, H/4, W/4)


def conv3x3(inputs: int, outputs: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=dilation, dilation=dilation)


class Shrink(nn.Module):
    """Strided depthwise 1x1 convolution, the papers' "group convolution": every second pixel, times a factor
    per channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x[..., ::2, ::2] * self.weight.squeeze(-1)


class WayDown(nn.Module):
    """Layers 1 to 4: from the picture to (B, 8c, H/8, W/8), c = `width`. H and W must be multiples of 8."""

    def __init__(self, inputs: int, width: int = 64):
        super().__init__()
        c1, c2, c3, c4 = width, 2 * width, 4 * width, 8 * width
        self.conv1_1 = nn.Sequential(conv3x3(inputs, c1 // 2), nn.ReLU(), conv3x3(c1 // 2, c1))
        self.conv1_2 = conv3x3(c1, c1)
        self.shrink1 = Shrink(c1)
        self.conv2_1, self.conv2_2 = conv3x3(c1, c2), conv3x3(c2, c2)
        self.shrink2 = Shrink(c2)
        self.conv3_1, self.conv3_2, self.conv3_3 = conv3x3(c2, c3), conv3x3(c3, c3), conv3x3(c3, c3)
        self.shrink3 = Shrink(c3)
        self.conv4_1, self.conv4_2, self.conv4_3 = conv3x3(c3, c4), conv3x3(c4, c4), conv3x3(c4, c4)

    def forward(self, x: Tensor) -> tuple[Tensor, Skips]:
        full = _stage(x, self.conv1_1, self.conv1_2)
        half = _stage(self.shrink1(full), self.conv2_1, self.conv2_2)
        quarter = _stage(self.shrink2(half), self.conv3_1, self.conv3_2, self.conv3_3)
        source = _stage(self.shrink3(quarter), self.conv4_1, self.conv4_2, self.conv4_3)  # (B, 8c, H/8, W/8)
        return source, Skips(full, half, quarter)


class MiddleStage(nn.Module):
    """Layers 5, 6 or 7: three convolutions at an eighth of the size, dilated for a larger receptive field."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (conv3x3(channels, channels, dilation) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return _stage(x, self.conv1, self.conv2, self.conv3)


class WayUp(nn.Module):
    """Layers 8 to 10: from (B, 8c, H/8, W/8) and the skips to two channels (or `outputs`) at full size,
    before any tanh."""

    def __init__(self, width: int = 64, outputs: int = 2):
        super().__init__()
        c1, c2, c3, c4 = width, 2 * width, 4 * width, 8 * width
        self.conv8_1, self.skip_quarter = UpConv(c4, c3), conv3x3(c3, c3)
        self.conv8_2, self.conv8_3 = conv3x3(c3, c3), conv3x3(c3, c3)
        self.conv9_1, self.skip_half = UpConv(c3, c2), conv3x3(c2, c2)
        self.conv9_2 = conv3x3(c2, c2)
        self.conv10_1, self.skip_full = UpConv(c2, c2), conv3x3(c1, c2)
        self.conv10_2 = conv3x3(c2, c2)
        self.to_ab = nn.Conv2d(c2, outputs, kernel_size=1)

    def forward(self, x: Tensor, skips: Skips) -> Tensor:
        x = F.relu_(self.conv8_1(x).add_(self.skip_quarter(skips.quarter)))
        x = _stage(x, self.conv8_2, self.conv8_3)                # (B, 4c, H/4, W/4)
        x = F.relu_(self.conv9_1(x).add_(self.skip_half(skips.half)))
        x = _stage(x, self.conv9_2)                              # (B, 2c, H/2, W/2)
        # faster convolutions at this size
        x, full = (maps.contiguous(memory_format=torch.channels_last) for maps in (x, skips.full))
        x = F.relu_(self.conv10_1(x).add_(self.skip_full(full)))
        return self.to_ab(F.leaky_relu_(self.conv10_2(x), 0.2))  # (B, 2, H, W)


class UpConv(nn.Conv2d):
    """Nearest upsampling by 2, then a 3x3 convolution; evaluated in the opposite order, which is cheaper."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return nearest_conv(x, self.weight, self.bias)


def _stage(x: Tensor, *convs: nn.Module) -> Tensor:
    for conv in convs:
        x = F.relu_(conv(x))
    return instance_norm(x)
