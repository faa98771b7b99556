"""Backward warping: sample an image where a flow points."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_grid(flow: Tensor) -> Tensor:
    """(B, 2, H, W) flow -> (1, 2, H, W): each pixel's own x and y, of the flow's dtype and device."""
    H, W = flow.shape[-2:]
    # created on the device: a copy would make a GPU wait
    y, x = (torch.arange(side, dtype=flow.dtype, device=flow.device) for side in (H, W))
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((x, y)).unsqueeze(0)


def warp(image: Tensor, flow: Tensor, padding_mode: str = "zeros", mode: str = "bilinear") -> Tensor:
    """Sample `image` at x + flow(x): with the forward flow, frame t+1 comes onto the grid of frame t.

    image: (B, C, H, W), floats of any range; flow: (B, 2, H, W) in pixels, x first.
    padding_mode: what lies outside the image: "zeros" (a mask must then exclude it), "border" (the rim's
    value, as Lai et al. sample) or "reflection". mode: "bilinear", or "nearest" for masks and labels. Returns
    (B, C, H, W) of the image's dtype. A flow of zeros gives the image back, to rounding.
    """
    check_flow(flow, image.shape[-2:])
    if not image.is_floating_point() or image.ndim != 4 or image.shape[0] != flow.shape[0]:
        raise ValueError(f"warp wants a float image (B, C, H, W) with the flow's batch of {flow.shape[0]}, "
                         f"got {image.dtype} {tuple(image.shape)}; frames_to_rgb() makes that from uint8 "
                         "(T, H, W, 3)")
    # Positions need more digits than half precision has: at x = 1000 its steps are a whole pixel.
    dtype = torch.promote_types(torch.float32, image.dtype)
    flow = flow.to(image.device, dtype)
    H, W = image.shape[-2:]
    position = pixel_grid(flow) + flow                                       # (B, 2, H, W)
    # Pixel centres at -1 and +1 span W - 1 steps: this scaling and align_corners=True belong together.
    x, y = position.unbind(1)                                                # (B, H, W)
    grid = torch.stack((x / (max(W - 1, 1) / 2) - 1, y / (max(H - 1, 1) / 2) - 1), dim=-1)      # (B, H, W, 2)
    return F.grid_sample(image.to(dtype), grid, mode, padding_mode, align_corners=True).to(image.dtype)


def check_flow(flow: Tensor, size: tuple[int, int] | None = None) -> None:
    """Raise ValueError unless `flow` is a float (B, 2, H, W), of this (H, W) where one is given."""
    if not flow.is_floating_point() or flow.ndim != 4 or flow.shape[1] != 2:
        raise ValueError(f"a flow is a float tensor (B, 2, H, W) in pixels, x first, got {flow.dtype} "
                         f"{tuple(flow.shape)}; from (H, W, 2) make it with flow.permute(2, 0, 1)[None]")
    if size is not None and tuple(flow.shape[-2:]) != tuple(size):
        raise ValueError(f"the flow is {tuple(flow.shape[-2:])} and the image {tuple(size)}; "
                         "resize_flow() changes a flow's size and scales its vectors")
