"""Pictures and planes at another size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, any, any) -> (N, C, *size), area-averaged when shrinking; unchanged if the size already fits."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image, tuple(size), mode="bilinear", align_corners=False, antialias=True)
