"""Convolutions with more weights than pixels, on a CPU: the weights are reordered once, not at every call.

oneDNN, which computes PyTorch's convolutions there, needs weights in its own memory layout. PyTorch reorders
them at every call, which is negligible on large pictures. On a 14 x 14 map with 2.4 million weights it takes
a quarter of the time. The reordered copy is kept for inference only, and gives the same numbers up to
rounding.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# over the whole batch: with more, reordering is a few per cent and not worth a copy of the weights
PIXELS = 1024
WEIGHTS = 2**18  # with fewer there is nothing to gain


class PackedConv2d(nn.Conv2d):
    """nn.Conv2d that caches its weights in oneDNN's layout until they change."""

    # {which weights: (version, they, arranged)}
    _packed: dict[tuple[int, torch.Size], tuple[int, Tensor, Tensor]] | None = None

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not worth_packing(input, weight) or self.padding_mode != "zeros":
            return super()._conv_forward(input, weight, bias)
        numbers = self.padding, self.stride, self.dilation, self.groups
        packed = self._arranged(weight, *numbers, input.shape)
        return torch.ops.mkldnn._convolution_pointwise(input, packed, bias, *numbers, "none", [], "")

    def of_channels(self, input: Tensor, first: int, end: int | None, bias: Tensor | None = None) -> Tensor:
        """The contribution of input channels first..end to the result: (B, end - first, H, W) -> (B,
        out, H', W')."""
        return self._conv_forward(input, self.weight[:, first:end], bias)

    def _arranged(self, weight: Tensor, *numbers: object) -> Tensor:
        if self._packed is None:
            self._packed = {}
        which = weight.data_ptr(), weight.shape
        version, _, packed = self._packed.get(which, (None, None, None))
        # changed in place since; `weight` is kept alive so that its address is not reused
        if version != weight._version:
            packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *numbers)
            self._packed[which] = weight._version, weight, packed
        return packed

    def _apply(self, fn, recurse: bool = True):
        """`.to(device)` and similar replace the weights."""
        self._packed = None
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles drop the cache."""
        return {**self.__dict__, "_packed": None}


def pack_convolutions(network: nn.Module) -> None:
    """Turn every plain nn.Conv2d of a network, torchvision's included, into a PackedConv2d. Names and weights
    do not change."""
    for module in network.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = PackedConv2d


def worth_packing(input: Tensor, weight: Tensor) -> bool:
    """Whether this is inference on a CPU, in float32, with many weights relative to the number of pixels."""
    return (weight.numel() >= WEIGHTS and input.numel() <= PIXELS * input.shape[1]
            and input.device.type == "cpu" and input.dtype == weight.dtype == torch.float32
            and not torch.is_grad_enabled() and not weight.is_inference()
            and not torch.is_autocast_enabled("cpu") and torch.backends.mkldnn.enabled and _can_pack())


@cache
def _can_pack() -> bool:
    """The two operations are specific to oneDNN and not part of PyTorch's public interface: test once whether
    they work."""
    x, weight = torch.arange(18.0).view(1, 2, 3, 3), torch.arange(54.0).view(3, 2, 3, 3)
    try:
        packed = torch.ops.mkldnn._reorder_convolution_weight(
            weight, [1, 1], [1, 1], [1, 1], 1, list(x.shape)
        )
        found = torch.ops.mkldnn._convolution_pointwise(
            x, packed, None, [1, 1], [1, 1], [1, 1], 1, "none", [], ""
        )
        return torch.equal(found, F.conv2d(x, weight, padding=1))
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
