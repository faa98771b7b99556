"""Where a flow can be trusted: forward-backward consistency and motion boundaries (Sundaram et al. 2010).

With w the flow of the frame whose mask is wanted and w' the other direction's flow sampled at x + w(x):

    disoccluded      |w + w'|^2             > 0.01 (|w|^2 + |w'|^2) + 0.5       (rule 1)
    motion boundary  |grad u|^2 + |grad v|^2 > 0.01 |w|^2 + 0.002                (rule 2)

The constants are in square pixels, so flow and mask belong to the size at which they are used. Two published
versions differ in details that change pixel counts, hence two functions; their outputs have opposite
polarity, as their names say: `occlusion_lai` is true where a pixel is lost, `reliable_ruder(...).reliable`
where it can be used.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.modules.flow.warping import check_flow, pixel_grid, warp


class Reliability(NamedTuple):
    """Ruder et al.'s four classes, (B, 1, H, W) bool each; every pixel is in exactly one."""

    reliable: Tensor
    out_of_frame: Tensor
    disoccluded: Tensor
    motion_boundary: Tensor


def occlusion_lai(forward: Tensor, backward: Tensor) -> Tensor:
    """Lai et al. 2018, `detect_occlusion`: the mask of their warp error.

    forward, backward: (B, 2, H, W) in pixels. Returns (B, 1, H, W) bool on the grid of `forward`, true =
    occluded. Their sampling clamps at the border and nothing checks whether a pixel left the picture, so a
    pure pan has no occlusion.
    """
    returned = warp(backward, forward, padding_mode="border")
    return inconsistent(forward, returned) | (steepness(forward, central=False) > boundary_limit(forward))


def reliable_ruder(forward: Tensor, backward: Tensor, strict: bool = True) -> Reliability:
    """Ruder et al. 2016, the rules of their `consistencyChecker` before it smooths.

    forward, backward: (B, 2, H, W) in pixels; classes on the grid of `forward`, first that applies: out of
    frame, disoccluded, motion boundary, reliable.
    strict: a pixel is inside only if the 2 x 2 neighbourhood it is sampled from is, as in their code, which
    therefore loses the last row and column even at zero flow; False accepts every position from 0 to W-1 and
    0 to H-1.
    """
    inside = inside_frame(forward, strict)
    returned = warp(backward, forward, padding_mode="border")
    lost = inside & inconsistent(forward, returned, or_equal=True)
    boundary = inside & ~lost & (steepness(forward, central=True) > boundary_limit(forward))
    return Reliability(inside & ~lost & ~boundary, ~inside, lost, boundary)


def soften(reliability: Reliability) -> Tensor:
    """Ruder et al.'s soft mask: (B, 1, H, W) floats in [0, 255]; read it with a threshold (240 or 125 are in
    use).

    Disoccluded pixels enter the Gaussian (sigma 0.8, 5 x 5) as -255, so that the mask of them grows. Their
    files hold these values truncated to 8 bits.
    """
    levels = 255.0 * (reliability.reliable.float() - reliability.disoccluded.float())
    taps = torch.exp(-torch.arange(-2.0, 3.0, dtype=levels.dtype, device=levels.device).square() /
                     (2 * 0.8**2))
    kernel = (taps / taps.sum()).view(1, 1, 1, 5)
    across = F.conv2d(mirrored(levels, 2, 0), kernel)
    return F.conv2d(mirrored(across, 0, 2), kernel.mT).clamp(0, 255)


def inside_frame(flow: Tensor, strict: bool = False) -> Tensor:
    """(B, 1, H, W) bool: does x + flow(x) lie in the picture? strict: with its lower right neighbours too."""
    check_flow(flow)
    H, W = flow.shape[-2:]
    x, y = (pixel_grid(flow) + flow).split(1, dim=1)
    if strict:
        x, y = x.floor(), y.floor()
        return (x >= 0) & (x + 1 < W) & (y >= 0) & (y + 1 < H)
    return (x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1)


def inconsistent(flow: Tensor, returned: Tensor, or_equal: bool = False) -> Tensor:
    """Rule 1: following the flow forward and back does not return to the start. (B, 1, H, W) bool."""
    gap = squared(flow + returned)
    limit = 0.01 * (squared(flow) + squared(returned)) + 0.5
    return gap >= limit if or_equal else gap > limit


def boundary_limit(flow: Tensor) -> Tensor:
    """The right-hand side of rule 2. (B, 1, H, W)."""
    return 0.01 * squared(flow) + 0.002


def steepness(flow: Tensor, central: bool) -> Tensor:
    """|grad u|^2 + |grad v|^2, (B, 1, H, W): central differences with mirrored borders, or forward
    differences, 0 at the end."""
    if central:
        wide, tall = mirrored(flow, 1, 0), mirrored(flow, 0, 1)
        along_x = (wide[..., 2:] - wide[..., :-2]) / 2
        along_y = (tall[..., 2:, :] - tall[..., :-2, :]) / 2
    else:
        along_x = F.pad(flow.diff(dim=-1), (0, 1))
        along_y = F.pad(flow.diff(dim=-2), (0, 0, 0, 1))
    return squared(along_x) + squared(along_y)


def squared(vectors: Tensor) -> Tensor:
    """Squared length of each vector, (B, 2, H, W) -> (B, 1, H, W)."""
    return vectors.square().sum(1, keepdim=True)


def mirrored(image: Tensor, x: int, y: int) -> Tensor:
    """Pad by x columns and y rows on each side, mirroring with the edge pixels repeated."""
    if x:
        image = torch.cat((image[..., :x].flip(-1), image, image[..., -x:].flip(-1)), dim=-1)
    if y:
        image = torch.cat((image[..., :y, :].flip(-2), image, image[..., -y:, :].flip(-2)), dim=-2)
    return image
