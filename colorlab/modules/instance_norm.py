"""Instance normalisation without learned parameters."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def instance_norm(x: Tensor) -> Tensor:
    """(B, C, H, W), each channel of each picture to mean 0 and variance 1: `F.instance_norm(x)`.

    A group norm with one channel per group is equivalent, and on a CPU twice as fast. With channels_last
    input it is not: there the sums over a large picture lose three digits, so the input is made contiguous.
    """
    return F.group_norm(x.contiguous(), x.shape[1])
