"""A Frechet and a perceptual distance on features of the ImageNet network that is installed as a package, so
that they run on any machine without a download.

They work like FID and LPIPS but are neither: another network (EfficientNet-Lite0), other layers, no weights
fitted to human judgements. So their numbers are comparable with one another but with nothing published, and
their names say which network it is.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.pretrained import PretrainedFeatures


class EfficientNetCells(nn.Module):
    """112 numbers for each cell of 16 x 16 pixels: many vectors per frame, so that a few frames give a
    non-singular covariance.

    FID takes one vector per frame, pooled over all positions, and needs thousands of frames. Cells of one
    frame are not independent samples.
    """

    dimension = 112

    def __init__(self, download: bool = False):
        """download: ignored, nothing is fetched; for the same signature as other metric networks. Raises
        InputError if the package is missing."""
        super().__init__()
        self.features = PretrainedFeatures(taps=4)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> (N * ceil(H / 16) * ceil(W / 16), 112)."""
        return self.features(frames.float() / 255)[-1].movedim(1, -1).flatten(0, 2)


class EfficientNetDistance(nn.Module):
    """Distance of two frames in the features of five layers, normalised to length 1 at each position: the
    squared difference, averaged over positions, then over layers. From 0 (equal) to 4 (opposite). (LPIPS also
    weights the channels by human judgements.)"""

    def __init__(self, download: bool = False):
        super().__init__()
        self.features = PretrainedFeatures()

    def forward(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 twice -> the mean distance, a number."""
        pairs = zip(self.features(predicted.float() / 255), self.features(truth.float() / 255))
        return sum((F.normalize(one, dim=1) - F.normalize(other, dim=1)).square().sum(1).mean()
                   for one, other in pairs) / 5
