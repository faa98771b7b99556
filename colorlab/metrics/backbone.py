"""A Frechet and a perceptual distance through the ImageNet network that comes as a package: for real, on any
machine, without a download.

They work as FID and LPIPS do and are neither: another network (EfficientNet-Lite0), other layers, no weights
fitted to what people see. So their numbers compare with one another and with nothing published, and their
names say which network it is.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.pretrained import PretrainedFeatures


class EfficientNetCells(nn.Module):
    """112 numbers for each cell of 16 x 16 pixels: many vectors a frame, so that a few frames give a
    covariance that is not singular.

    FID takes one vector a frame, pooled over all places, and needs thousands of frames. Cells of one frame
    are no independent pictures.
    """

    dimension = 112

    def __init__(self, download: bool = False):
        """download: nothing is fetched; it is here as all networks of metrics have it. Raises InputError
        where the package is missing."""
        super().__init__()
        self.features = PretrainedFeatures(taps=4)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> (N * ceil(H / 16) * ceil(W / 16), 112)."""
        return self.features(frames.float() / 255)[-1].movedim(1, -1).flatten(0, 2)


class EfficientNetDistance(nn.Module):
    """How unlike two frames are in the features of five layers, each place's scaled to length 1: the squared
    difference, mean over places, then over layers. From 0, the same, to 4, opposite. (LPIPS weighs the
    channels by what people said.)"""

    def __init__(self, download: bool = False):
        super().__init__()
        self.features = PretrainedFeatures()

    def forward(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 twice -> the mean distance, a number."""
        pairs = zip(self.features(predicted.float() / 255), self.features(truth.float() / 255))
        return sum((F.normalize(one, dim=1) - F.normalize(other, dim=1)).square().sum(1).mean()
                   for one, other in pairs) / 5
