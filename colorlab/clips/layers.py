"""Moving pictures made of flat layers, with the motion of every pixel known exactly.

A layer is a photograph, or a thing cut out of one, that moves as a whole: at frame t a matrix takes its
pixels to the frame's. The frontmost layer is what a pixel shows, so its motion to the next frame is one
matrix product, and its visibility there only depends on the layers in front.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SUBSAMPLES = 3  # rays per pixel and direction; odd, so that one of them goes through the pixel's centre


class Layer(NamedTuple):
    rgb: Tensor   # (3, h, w) in [0, 1]
    pose: Tensor  # (T, 3, 3) its pixels (x, y, 1) to the frame's, for every frame
    # (1, h, w), above 0.5 where there is something; None: everywhere, mirrored beyond the rim
    mask: Tensor | None


class Rendering(NamedTuple):
    """Frames and what is known about them. Flows are (dx, dy) in pixels."""

    rgb: Tensor                # (T, 3, H, W) in [0, 1]
    forward: Tensor            # (T-1, 2, H, W) frame t to t+1, on the grid of t
    backward: Tensor           # (T-1, 2, H, W) frame t+1 to t, on the grid of t+1
    hidden_forward: Tensor     # (T-1, H, W) bool: what frame t shows here is behind something in t+1
    hidden_backward: Tensor    # (T-1, H, W) bool: what frame t+1 shows here is behind something in t
    mixed: Tensor              # (T, H, W) bool: the pixel blends two surfaces, so no one motion is its own


def similarity_transform(source: Tensor, target: Tensor, scale: Tensor, angle: Tensor) -> Tensor:
    """The motions (T, 3, 3) that take point source (T, 2) to target (T, 2), scaled and turned (T,), angle in
    radians."""
    cos, sin = scale * angle.cos(), scale * angle.sin()
    turn = torch.stack((cos, -sin, sin, cos), -1).view(-1, 2, 2)
    shift = target - (turn @ source[..., None])[..., 0]
    pose = torch.eye(3, dtype=turn.dtype).repeat(len(turn), 1, 1)
    pose[:, :2] = torch.cat((turn, shift[..., None]), -1)
    return pose


def render_layers(layers: Sequence[Layer], height: int, width: int) -> Rendering:
    """Draw layers, the backmost first, as T frames of the given size. The first layer has no mask."""
    layers = [_shrunk(layer) for layer in layers]
    rays = pixel_grid(height, width, SUBSAMPLES)             # (3H, 3W, 2)
    shown = [_cast(layers, t, rays) for t in range(len(layers[0].pose))]
    rgb = torch.stack([F.avg_pool2d(colour, SUBSAMPLES) for colour, _ in shown])
    surface = torch.stack([owner for _, owner in shown])     # (T, 3H, 3W) index of the layer seen by each ray
    centre = surface[:, SUBSAMPLES // 2::SUBSAMPLES, SUBSAMPLES // 2::SUBSAMPLES]  # (T, H, W)
    forward, hidden_forward = _motion(layers, centre[:-1], step=1)
    backward, hidden_backward = _motion(layers, centre[1:], step=-1)
    return Rendering(
        rgb, forward, backward, hidden_forward, hidden_backward, value_range(surface.float()) > 0
    )


def pixel_grid(height: int, width: int, subsamples: int = 1) -> Tensor:
    """Positions (x, y) of a frame's rays, (s*H, s*W, 2) float64; pixel centres are whole numbers."""
    y = (torch.arange(height * subsamples, dtype=torch.float64) + 0.5) / subsamples - 0.5
    x = (torch.arange(width * subsamples, dtype=torch.float64) + 0.5) / subsamples - 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def value_range(values: Tensor) -> Tensor:
    """(T, 3H, 3W) -> (T, H, W): maximum minus minimum over each pixel's rays."""
    return F.max_pool2d(values, SUBSAMPLES) + F.max_pool2d(-values, SUBSAMPLES)


def sample(image: Tensor, points: Tensor, mode: str = "bicubic", padding: str = "reflection") -> Tensor:
    """Values of image (C, h, w) at points (..., 2), (x, y) in its pixels -> (C, ...)."""
    size = points.new_tensor(image.shape[:0:-1])
    grid = ((points + 0.5) * 2 / size - 1).to(image).view(1, 1, -1, 2)
    values = F.grid_sample(image[None], grid, mode=mode, padding_mode=padding, align_corners=False)
    return values.view(image.shape[0], *points.shape[:-1])


def move(pose: Tensor, points: Tensor) -> Tensor:
    """Points (..., 2) through a matrix (3, 3)."""
    moved = points @ pose[:2, :2].mT + pose[:2, 2]
    return moved / (points @ pose[2, :2, None] + pose[2, 2])


def _shrunk(layer: Layer) -> Layer:
    """The layer with its picture shrunk to the resolution of the rays, to avoid aliasing."""
    # rays per photo pixel
    finest = float(torch.linalg.det(layer.pose[:, :2, :2]).abs().sqrt().min()) * SUBSAMPLES
    _, h, w = layer.rgb.shape
    if finest >= 1:
        return layer
    size = max(8, math.ceil(h * finest)), max(8, math.ceil(w * finest))
    small = lambda image: F.interpolate(
        image[None], size, mode="bilinear", antialias=True, align_corners=False
    )[0]
    # Pixel centres are whole numbers: (x + 0.5) * w / w' - 0.5 takes a place in the small picture back to the
    # large.
    back = layer.pose.new_tensor([[w / size[1], 0, w / size[1] / 2 - 0.5],
                                  [0, h / size[0], h / size[0] / 2 - 0.5], [0, 0, 1]])
    return Layer(small(layer.rgb), layer.pose @ back, None if layer.mask is None else small(layer.mask))


def _cast(layers: Sequence[Layer], t: int, rays: Tensor) -> tuple[Tensor, Tensor]:
    """What the rays (3H, 3W, 2) of frame t see: colour (3, 3H, 3W), and the index of the layer (3H, 3W)
    uint8."""
    colour = sample(layers[0].rgb, move(layers[0].pose[t].inverse(), rays))
    owner = torch.zeros(rays.shape[:2], dtype=torch.uint8)
    for index, layer in enumerate(layers[1:], 1):
        points = move(layer.pose[t].inverse(), rays)
        hit = _covers(layer, points)
        colour[:, hit] = sample(layer.rgb, points[hit])
        owner[hit] = index
    return colour.clamp(0, 1), owner


def _covers(layer: Layer, points: Tensor) -> Tensor:
    """Whether there is something of the layer at points (..., 2) in its own pixels."""
    return sample(layer.mask, points, mode="bilinear", padding="zeros")[0] > 0.5


def _motion(layers: Sequence[Layer], surface: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Flow (T-1, 2, H, W) and hiddenness (T-1, H, W) of what surface (T-1, H, W) shows, to the frame `step`
    on."""
    places = pixel_grid(*surface.shape[1:])
    flows, hidden = [], []
    for t, owner in enumerate(surface, start=0 if step > 0 else 1):
        moved = places.clone()
        for index, layer in enumerate(layers):
            own = owner == index
            moved[own] = move(layer.pose[t + step] @ layer.pose[t].inverse(), places[own])
        flows.append((moved - places).movedim(-1, 0).float())
        behind = torch.zeros(owner.shape, dtype=torch.bool)
        for index, layer in enumerate(layers[1:], 1):
            behind |= (owner < index) & _covers(layer, move(layer.pose[t + step].inverse(), moved))
        hidden.append(behind)
    nothing = torch.zeros(0, *surface.shape[1:])  # a film of one frame has no motion
    return (torch.stack(flows) if flows else nothing[:, None].expand(-1, 2, -1, -1),
            torch.stack(hidden) if hidden else nothing.bool())
