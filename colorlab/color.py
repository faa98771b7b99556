"""sRGB to CIELAB and back; lightness and colour apart and together.

A grey film is the L of a colour film: colorization is given L and predicts a and b. Everything in colorlab
that is called "Lab" is what these functions make: L in [0, 100], a and b in about ±110, white point D65, 2
degree observer, the numbers of `skimage.color`.

**Half precision.** bfloat16 has 8 significant bits: near L = 100 its steps are 0.5, coarser than an 8-bit
picture, and a cube root computed in it is off by whole units. So bfloat16 and float16 are converted to
float32 on entry, everything is computed in float32, and the result *stays* float32: the input was already
rounded, nothing more is lost, and the dtype shows it. Only elementwise float32 operations are used, so
neither autocast nor TF32 can lower the precision in here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
import torch
from torch import Tensor

# Linear sRGB -> XYZ (IEC 61966-2-1 with the digits scikit-image uses) and its white point, so that grey gives
# a = b = 0.
RGB_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
D65 = (0.95047, 1.0, 1.08883)
XYZ_TO_RGB = tuple(map(tuple, np.linalg.inv(np.array(RGB_TO_XYZ)).tolist()))
# from shares of the white point
_LAB_TO_LINEAR = [[weight * white for weight, white in zip(row, D65)] for row in XYZ_TO_RGB]

# Where the two branches of each curve meet: sRGB's gamma on either side, and CIELAB's cube root (6/29)^3 and
# 6/29.
GAMMA_KNEE, LINEAR_KNEE = 0.04045, 0.0031308
CUBE_KNEE, ROOT_KNEE = 0.008856, 0.2068966
# tolerance in linear light for leaving the gamut: far below one 8-bit level except at black
SLACK = 1e-4

SLAB = 1 << 17  # pixels converted at a time, so that intermediates stay in the processor's cache


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB to CIELAB, as `skimage.color.rgb2lab` does.

    rgb: (..., 3, H, W) floats in [0, 1], gamma-encoded, as image files store it.
    Returns (..., 3, H, W): L in [0, 100], a and b in about ±110, both 0 for grey to 0.01. float16 and
    bfloat16 come back as float32 (see above). Gradients are finite everywhere, black included.
    """
    return _in_slabs(_rgb_to_lab,
                     _checked(rgb, "rgb_to_lab", "RGB in [0, 1]", "frames_to_rgb() makes that from uint8"))


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert CIELAB to sRGB, as `skimage.color.lab2rgb` does.

    lab: (..., 3, H, W), L in [0, 100]. Returns (..., 3, H, W) in [0, 1], gamma-encoded; half precision comes
        back as float32.
    Lab covers more than sRGB: values outside are **clipped** per channel, which changes lightness and hue a
    little. Call `fit_gamut` first if lightness must not change.
    """
    return _in_slabs(_lab_to_rgb,
                     _checked(lab, "lab_to_rgb", "Lab", "join_lab(l, ab) makes that from L and ab"))


def fit_gamut(lab: Tensor, steps: int = 12) -> Tensor:
    """The most colourful sRGB colours of the same lightness and hue: ab is scaled down where it leaves the
    gamut.

    lab: (..., 3, H, W). Returns the same shape: ab multiplied per pixel by the largest factor in [0, 1] that
    keeps all of linear R, G, B within [0, 1], found by `steps` bisections (to 2^-steps), and L within [0,
    100]. Colours inside come back unchanged.
    """
    lab = _checked(lab, "fit_gamut", "Lab", "join_lab(l, ab) makes that from L and ab")
    return _in_slabs(lambda slab: _fit_gamut(slab, steps), lab)


def split_lab(lab: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 3, H, W) -> L (..., 1, H, W) in [0, 100] and ab (..., 2, H, W)."""
    return lab[..., :1, :, :], lab[..., 1:, :, :]


def join_lab(l: Tensor, ab: Tensor) -> Tensor:
    """L (..., 1, H, W) and ab (..., 2, H, W) -> Lab (..., 3, H, W)."""
    return torch.cat((l, ab.to(l.dtype)), dim=-3)


def frames_to_rgb(frames: np.ndarray | Tensor) -> Tensor:
    """uint8 (T, H, W, 3) or (H, W, 3), as films and picture files hold them -> float32 (T, 3, H, W) or (3, H,
    W) in [0, 1].

    Frames of more than 8 bits come as uint16 of 0 to 65535.
    """
    frames = torch.as_tensor(frames)
    if frames.dtype not in (torch.uint8, torch.uint16) or frames.ndim not in (3, 4) or frames.shape[-1] != 3:
        raise ValueError(f"frames are uint8 shaped (T, H, W, 3) or (H, W, 3), got {frames.dtype} "
                         f"{tuple(frames.shape)}")
    return frames.movedim(-1, -3).contiguous().float().div_(65535 if frames.dtype == torch.uint16 else 255)


def rgb_to_frames(rgb: Tensor, deep: bool = False) -> np.ndarray:
    """(..., 3, H, W) in [0, 1] -> uint8 (..., H, W, 3), rounded to the nearest level and clipped; deep:
    uint16 of 0 to 65535."""
    if deep:
        return rgb.detach().float().mul(65535).round_().clamp_(0, 65535).int().movedim(
            -3, -1).contiguous().cpu().numpy().astype(np.uint16)
    levels = rgb.detach().float().mul(255).round_().clamp_(0, 255)
    return levels.to(torch.uint8).movedim(-3, -1).contiguous().cpu().numpy()


# Each curve is a power above a knee and a straight line below it, and is continuous there. So one sum serves
# both branches, curve(max(x, knee)) + slope * min(x - knee, 0), and spares a torch.where, which costs more
# than the power itself. It also keeps gradients finite: no power ever sees a number below its knee.


def to_linear(rgb: Tensor) -> Tensor:
    """sRGB values as files store them -> light, elementwise; both 0 for black and 1 for full."""
    return rgb.clamp(min=GAMMA_KNEE).add_(0.055).mul_(1 / 1.055).pow_(2.4).add_(
        _below(rgb, GAMMA_KNEE), alpha=1 / 12.92)


def from_linear(linear: Tensor) -> Tensor:
    """Light -> sRGB values, elementwise; not clipped."""
    power = linear.clamp(min=LINEAR_KNEE).pow_(1 / 2.4).mul_(1.055).sub_(0.055)
    return power.add_(_below(linear, LINEAR_KNEE), alpha=12.92)


def rgb_to_lab_as_written(rgb: Tensor) -> Tensor:
    """sRGB -> linear light -> XYZ -> CIELAB, as the standards have it: what `rgb_to_lab` computes in place
    and in slabs."""
    linear = torch.where(rgb > GAMMA_KNEE, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = torch.einsum("xc,...chw->...xhw", rgb.new_tensor(RGB_TO_XYZ), linear) / rgb.new_tensor(D65).view(
        3, 1, 1)
    f = torch.where(xyz > CUBE_KNEE, xyz.clamp(min=CUBE_KNEE) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(-3)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)


def _rgb_to_lab(rgb: Tensor) -> Tensor:
    xyz = _mix(to_linear(rgb), [[weight / white for weight in row] for row, white in zip(RGB_TO_XYZ, D65)])
    f = xyz.clamp(min=CUBE_KNEE).pow_(1 / 3).add_(_below(xyz, CUBE_KNEE), alpha=7.787)
    x, y, z = f.unbind(-3)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)


def _lab_to_rgb(lab: Tensor) -> Tensor:
    return from_linear(_lab_to_linear(lab)).clamp_(0, 1)


def _lab_to_linear(lab: Tensor) -> Tensor:
    """Lab -> linear RGB, unclipped: outside [0, 1] where sRGB does not reach."""
    l, a, b = lab.unbind(-3)
    y = (l + 16) / 116
    # scikit-image floors z at 0, so we do
    f = torch.stack((y + a / 500, y, (y - b / 200).clamp(min=0)), dim=-3)
    return _mix(_cubed(f), _LAB_TO_LINEAR)


def _cubed(f: Tensor) -> Tensor:
    """CIELAB's f of X, Y or Z -> the value itself, as a share of the white point's."""
    root = f.clamp(min=ROOT_KNEE)
    return (root * root * root).add_(_below(f, ROOT_KNEE), alpha=1 / 7.787)


def _below(x: Tensor, knee: float) -> Tensor:
    """How far x lies below the knee, as a negative number; 0 above it."""
    return (x - knee).clamp_(max=0)


def _fit_gamut(lab: Tensor, steps: int) -> Tensor:
    lab = join_lab(lab[..., :1, :, :].clamp(0, 100), lab[..., 1:, :, :])
    outside = (_lab_to_linear(lab) - 0.5).abs().amax(-3) > 0.5 + SLACK  # (..., H, W)
    planes = lab.detach().unbind(-3)
    if lab.device.type == "cpu":
        factor = torch.ones_like(planes[0])
        # only the pixels outside the gamut
        factor[outside] = _largest_factor(*(plane[outside] for plane in planes), steps)
    else:  # counting them would make the host wait for the GPU; processing all pixels is faster
        factor = torch.where(outside, _largest_factor(*planes, steps), 1.0)
    return join_lab(lab[..., :1, :, :], lab[..., 1:, :, :] * factor.unsqueeze(-3))


def _largest_factor(l: Tensor, a: Tensor, b: Tensor, steps: int) -> Tensor:
    """The largest factor for a and b, all (K,) or (..., H, W): `_lab_to_linear` at each step, with everything
    that depends on l alone hoisted out of the loop."""
    y, a, b = (l + 16) / 116, a / 500, b / -200
    light = _cubed(y)
    from_y = [light * row[1] for row in _LAB_TO_LINEAR]
    low, high = torch.zeros_like(y), torch.ones_like(y)
    for _ in range(steps):
        middle = (low + high) / 2
        x, z = _cubed(torch.addcmul(y, a, middle)), _cubed(torch.addcmul(y, b, middle).clamp_(min=0))
        linear = (torch.add(own, x, alpha=row[0]).add_(z, alpha=row[2])
                  for own, row in zip(from_y, _LAB_TO_LINEAR))
        fits = reduce(torch.maximum, (channel.sub_(0.5).abs_() for channel in linear)) <= 0.5 + SLACK
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return low


def _mix(channels: Tensor, weights: list[list[float]]) -> Tensor:
    """A 3x3 matrix over the channel axis, elementwise: matmul would follow autocast and TF32 to fewer
    bits."""
    first, second, third = channels.unbind(-3)
    rows = [(first * p).add_(second, alpha=q).add_(third, alpha=r) for p, q, r in weights]
    return torch.stack(rows, dim=-3)


def _checked(image: Tensor, name: str, what: str, mend: str) -> Tensor:
    if not torch.is_tensor(image) or not image.is_floating_point() or image.ndim < 3 or image.shape[-3] != 3:
        got = f"{image.dtype} {tuple(image.shape)}" if torch.is_tensor(image) else type(image).__name__
        raise ValueError(f"{name} wants {what} as a float tensor shaped (..., 3, H, W), got {got}; {mend}")
    return image.float() if image.dtype in (torch.float16, torch.bfloat16) else image


def _in_slabs(convert: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """`convert` in slabs of rows that fit the processor's cache; all at once if gradients are needed or on a
    GPU."""
    rows = max(1, SLAB // max(1, image.shape[:-3].numel() * image.shape[-1]))
    if (
        image.device.type != "cpu"
        or (image.requires_grad and torch.is_grad_enabled())
        or rows >= image.shape[-2]
    ):
        return convert(image)
    out = torch.empty_like(image, memory_format=torch.contiguous_format)
    for top in range(0, image.shape[-2], rows):
        out[..., top:top + rows, :] = convert(image[..., top:top + rows, :])
    return out
