"""A 3x3 convolution of an upsampled map, evaluated before upsampling: the same numbers, 2 to 16 times
cheaper.

A convolution after upsampling is linear in the small map. For bilinear upsampling, its nine weights, which
mix the channels and account for nearly all the cost, are applied to the small map, and what remains is a sum
of nine upsampled and shifted results: a fixed linear map of rows, then one of columns, the same for all
channels. ColorMNet's guided features do this at strides 8 and 4, LSTVC's fusion once. For nearest upsampling
by 2, three rows of weights fall on two rows of pixels, and likewise the columns: each of the four output
positions per small pixel is a 2x2 convolution. The decoder of `color_subnet` consists of these.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def upsampled_conv_as_written(x: Tensor, conv: nn.Conv2d, scale: int, mode: str = "bilinear") -> Tensor:
    """Upsample, then convolve: what `upsampled_conv` and, with mode="nearest", `nearest_conv` compute."""
    return conv(F.interpolate(x, scale_factor=scale, mode=mode))


def upsampled_conv(x: Tensor, conv: nn.Conv2d, scale: int) -> Tensor:
    """`upsampled_conv_as_written` for a 3x3 convolution with padding 1, up to rounding.

    x: (B, C, h, w). Returns (B, O, scale * h, scale * w), channels last in memory.
    """
    if scale == 1:
        return conv(x)
    B, C, h, w = x.shape
    weight, bias, O = conv.weight, conv.bias, conv.out_channels
    small = x.permute(0, 2, 3, 1).reshape(B, h * w, C)
    taps = [small @ weight[:, :, ky, kx].mT for kx in range(3) for ky in range(3)]       # nine of (B, h*w, O)
    taps = torch.stack(taps, dim=1).view(B, 3, 3 * h, w * O)                             # (B, kx, ky*h, w*O)
    rows = _shifted_upsampling(h, scale, taps)                                           # (3, H, h)
    rows = rows.permute(1, 0, 2).reshape(scale * h, 3 * h) @ taps                        # (B, kx, H, w*O)
    rows = rows.view(B, 3, scale * h, w, O).transpose(1, 2).reshape(B, scale * h, 3 * w, O)
    columns = _shifted_upsampling(w, scale, taps).permute(1, 0, 2).reshape(scale * w, 3 * w)
    out = columns @ rows                                                                 # (B, H, W, O)
    return (out if bias is None else out + bias).permute(0, 3, 1, 2)


def nearest_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`conv2d(interpolate(x, 2, mode="nearest"), weight, bias, padding=1)`, up to rounding, with 4 products
    instead of 9.

    x: (B, C, h, w); weight: (O, C, 3, 3). Returns (B, O, 2h, 2w), in x's layout.
    """
    rows = torch.stack([torch.stack(pair, dim=2) for pair in _folded(weight, dim=2)])  # (2, O, C, 2, 3)
    # (2, 2, O, C, 2, 2)
    places = torch.stack([torch.stack(pair, dim=-1) for pair in _folded(rows, dim=-1)], dim=1)
    O, h, w = len(weight), *x.shape[-2:]
    found = F.conv2d(F.pad(x, (1, 1, 1, 1)), places.flatten(0, 2), bias.repeat(4))  # (B, 4 * O, h + 1, w + 1)
    layout = torch.channels_last if found.is_contiguous(
        memory_format=torch.channels_last) else torch.contiguous_format
    out = torch.empty((len(x), O, 2 * h, 2 * w), dtype=found.dtype, device=x.device, memory_format=layout)
    for place, values in enumerate(found.split(O, dim=1)):
        row, column = divmod(place, 2)
        out[..., row::2, column::2] = values[..., row:row + h, column:column + w]
    return out


def _folded(weight: Tensor, dim: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Three weights along `dim` -> two weights for the first half of a small pixel, and two for its second
    half."""
    before, here, after = weight.unbind(dim)
    return (before, here + after), (before + here, after)


def _shifted_upsampling(size: int, scale: int, like: Tensor) -> Tensor:
    """(3, scale * size, size): row Y of matrix k gives pixel Y + k - 1 of the enlarged signal, zero outside
    of it."""
    identity = torch.eye(size, device=like.device)[None]
    enlarge = F.interpolate(identity, scale_factor=scale, mode="linear")[0].mT  # (scale * size, size)
    padded = F.pad(enlarge, (0, 0, 1, 1)).to(like.dtype)
    return torch.stack([padded[k:k + scale * size] for k in range(3)])
