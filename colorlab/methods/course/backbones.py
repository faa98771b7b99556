"""Frozen ImageNet features in place of each paper's pretrained backbone, with that paper's own interface.

| paper | its backbone | here |
|---|---|---|
| LSTVC | ResNet-101 | `PretrainedBackbone` |
| ColorMNet | DINOv2 | `PretrainedGuide` |
| CAVC | ViT-B/32 | `PretrainedPatches` |
| TCAVC, stage 1 | none; a network trained on ImageNet | `PretrainedColorizer` |

In each table "random" is the same network with random weights, to see what pretraining is worth.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.color import rgb_to_lab
from colorlab.modules.pretrained import PretrainedFeatures, quarter_maps, unit
from colorlab.modules.resizing import resized
from colorlab.papers.cavc.color_extraction import SIDE
from colorlab.papers.cavc.model import EXTRACTORS as PAPER_EXTRACTORS
from colorlab.papers.colormnet.blocks import ChannelNorm
from colorlab.papers.colormnet.build import GUIDES as PAPER_GUIDES
from colorlab.papers.lstvc.backbone import Backbone, Taps


class PretrainedBackbone(nn.Module):
    """Course backbone: frozen ImageNet features (`modules.pretrained`) concatenated with a small trained
    ResNet.

    The picture is upsampled by 2 for the frozen network, so that its maps of strides 4, 8 and 16 end up at
    strides 2, 4 and 8. A reference is fed as its lightness alone, so that features do not depend on colour.
    """

    def __init__(self, small: Backbone, pretrained: bool = True):
        super().__init__()
        self.frozen, self.small = PretrainedFeatures(4, pretrained), small
        half, quarter, eighth = self.frozen.channels[1:]
        self.channels = tuple(a + b for a, b in zip(small.channels, (half, quarter, eighth)))

    def seen(self, lab: Tensor) -> Tensor:
        return (lab[:, :1] / 100).expand(-1, 3, -1, -1)

    def forward(self, rgb: Tensor) -> Taps:
        """rgb: (B, 3, H, W) in [0, 1], a grey picture."""
        maps = self.frozen.of_lightness(F.interpolate(100 * rgb[:, :1], scale_factor=2.0, mode="bilinear"))[
            1:
        ]
        return Taps(*(torch.cat((unit(map).to(own), own), dim=1) for map, own in zip(maps, self.small(rgb))))


class PretrainedGuide(nn.Module):
    """Course guide: frozen ImageNet features of the frame upsampled by 2, at strides 2, 4 and 8 of its own,
    resampled to one grid."""

    stride, patch = 4, 8

    def __init__(self, width: int, pretrained: bool = True):
        super().__init__()
        self.frozen, self.width = PretrainedFeatures(4, pretrained), width
        self.project = nn.Conv2d(sum(self.frozen.channels[1:]), width, 1)
        self.norm = ChannelNorm(width)

    def position(self, height: int, width: int) -> None:
        """Convolutions need no position embedding."""

    def forward(self, image: Tensor, position: None = None) -> Tensor:
        """image: (B, 3, H, W) in [-1, 1], multiples of 8 -> (B, width, H/4, W/4)."""
        enlarged = F.interpolate(image[:, :1].float(), scale_factor=2.0, mode="bilinear")
        maps = quarter_maps(self.frozen, 50 * (enlarged + 1))
        return F.relu(self.norm(self.project(torch.cat(maps, dim=1).to(image.dtype))))


class PretrainedPatches(nn.Module):
    """Course extractor: EfficientNet-Lite0's last map at 224 x 224 (7 x 7, as ViT-B/32's patches) with each
    patch's 4 x 4 mean colours."""

    frozen, pretrained = True, True
    grid, cells = 7, 4

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        self.network = PretrainedFeatures(pretrained=pretrained)
        self.width = self.network.channels[-1] + 3 * self.cells ** 2

    def load_pretrained(self) -> None:
        """Nothing to do: its weights come with an installed package."""

    @torch.no_grad()
    def forward(self, rgb: Tensor) -> Tensor:
        features = unit(self.network(resized(rgb, (SIDE, SIDE)))[-1])           # (B, 320, 7, 7)
        cells = rgb_to_lab(F.adaptive_avg_pool2d(rgb, self.grid * self.cells))  # (B, 3, 28, 28)
        cells = torch.cat((cells[:, :1] / 50 - 1, cells[:, 1:] / 25), dim=1).to(rgb)
        # (B, 49, width)
        patches = torch.cat((features, F.pixel_unshuffle(cells, self.cells)), dim=1).flatten(2).mT
        return torch.cat((patches.mean(1, keepdim=True), patches), dim=1)       # (B, 50, width)


class PretrainedColorizer(nn.Module):
    """Course stage 1: an encoder of frozen ImageNet features at strides 32 to 2 and a decoder to colour at
    full size.

    It replaces `ReferenceColorizer`. A small network trained from scratch on some hundred pictures learns
    only a palette; the pretrained features tell this one what things are, and so which colour they have.
    """

    def __init__(self, widths: tuple[int, ...] = (128, 96, 64, 48, 32, 16), pretrained: bool = True):
        """widths: of the maps at strides 32, 16, 8, 4, 2 and 1."""
        super().__init__()
        self.frozen = PretrainedFeatures(pretrained=pretrained)
        *finer, coarsest = self.frozen.channels
        self.coarsest, self.whole = nn.Conv2d(coarsest, widths[0], 1), nn.Linear(coarsest, widths[0])
        self.up = nn.ModuleList(
            Joined(inputs, skip, outputs)
            for inputs, skip, outputs in zip(widths, (*finer[::-1], 1), widths[1:]))
        self.to_ab = nn.Conv2d(widths[-1], 2, 1)
        nn.init.zeros_(self.to_ab.weight), nn.init.zeros_(self.to_ab.bias)

    def forward(self, l: Tensor) -> Tensor:
        """l: (B, 1, H, W), L in [0, 100], H and W multiples of 32 -> ab (B, 2, H, W) in ±128."""
        *finer, coarsest = (unit(map).to(l) for map in self.frozen.of_lightness(l))
        x = self.coarsest(coarsest) + self.whole(coarsest.mean((-2, -1)))[..., None, None]
        for up, skip in zip(self.up, (*finer[::-1], l / 50 - 1)):
            x = up(x, skip)
        return 128 * self.to_ab(x).tanh()

    def paint(self, l: Tensor) -> Tensor:
        """l: (B, 1, H, W), L in [0, 100], any H and W -> ab (B, 2, H, W)."""
        H, W = l.shape[-2:]
        return self(
            F.pad(l, (0, -W % 32, 0, -H % 32),
                  mode="replicate" if max(-W % 32, -H % 32) else "constant"))[..., :H, :W]


class Joined(nn.Module):
    """Upsample by 2, concatenate the encoder's map of that size, apply two convolutions."""

    def __init__(self, inputs: int, skip: int, outputs: int):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs + skip, outputs, 3, padding=1), nn.GroupNorm(8, outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = torch.cat((F.interpolate(x, skip.shape[-2:], mode="bilinear"), skip), dim=1)
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


RESNETS = {"resnet": lambda resnet: resnet, "imagenet": PretrainedBackbone,
           "random": lambda resnet: PretrainedBackbone(resnet, pretrained=False)}
GUIDES = PAPER_GUIDES | {"imagenet": lambda c: PretrainedGuide(c.guide[0]),
                         "random": lambda c: PretrainedGuide(c.guide[0], pretrained=False)}
EXTRACTORS = PAPER_EXTRACTORS | {
    "imagenet": PretrainedPatches, "random": lambda: PretrainedPatches(pretrained=False)
}
COLORIZERS = {"imagenet": PretrainedColorizer, "random": lambda: PretrainedColorizer(pretrained=False)}
