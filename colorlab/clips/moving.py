"""Photographs animated for training, for more variety than films alone give.

A camera moves over the photograph, near parts of a synthetic depth map move more than far ones, and
occasionally a piece of another photograph passes in front. Generated quickly for every window, at the
required size.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def moving_photograph(photo: Tensor, frames: int, size: tuple[int, int], rng: np.random.Generator,
                      speed: float = 0.03, passer: Tensor | None = None) -> Tensor:
    """A window of T frames of a photograph in motion.

    photo: (3, h, w) in [0, 1], passer: another, of which a piece passes in front. speed: the usual motion
    from frame to frame, in frame heights. Returns (T, 3, H, W) in [0, 1]. Beyond the border the photograph is
    mirrored.
    """
    clip = F.grid_sample(_fitted(photo, size).expand(frames, -1, -1, -1), _path(frames, size, rng, speed),
                         mode="bilinear", padding_mode="reflection", align_corners=False)
    if passer is not None:
        path = _path(frames, size, rng, 2 * speed, still=0.0)
        front = F.grid_sample(_fitted(passer, size).expand(frames, -1, -1, -1), path,
                              mode="bilinear", padding_mode="reflection", align_corners=False)
        mask = F.grid_sample(
            _blob(size, rng).expand(frames, -1, -1, -1), path, mode="bilinear", align_corners=False)
        clip = clip.lerp(front, mask)
    return clip.clamp(0, 1)


def _fitted(photo: Tensor, size: tuple[int, int], spare: float = 1.15) -> Tensor:
    """The middle of a photograph with the frame's shape, a little finer than the frame: (1, 3, h, w)."""
    (h, w), (H, W) = photo.shape[1:], size
    ch, cw = min(h, round(w * H / W)), min(w, round(h * W / H))
    top, left = (h - ch) // 2, (w - cw) // 2
    middle = photo[None, :, top:top + ch, left:left + cw]
    target = round(H * spare), round(W * spare)
    return F.interpolate(middle, target, mode="bilinear", antialias=True, align_corners=False)


def _path(frames: int, size: tuple[int, int], rng: np.random.Generator, speed: float,
          still: float = 0.1) -> Tensor:
    """Sampling grids (T, H, W, 2) of a camera that pans, zooms and rolls past a relief; `still` of them do
    not move."""
    H, W = size
    pace = 0.0 if rng.random() < still else speed * rng.lognormal(0, 0.6)
    time = torch.arange(frames) - (frames - 1) / 2
    if rng.random() < 0.3 and frames > 2:  # a camera that turns back on its way
        time = (time * math.pi / frames).sin() * frames / math.pi
    heading, turning = rng.uniform(0, 2 * math.pi), rng.normal(0, 0.5) * pace
    zoom = rng.uniform(0.6, 0.95) * (time * rng.normal(0, 0.4) * pace).exp()  # (T,) share of the picture seen
    angle = rng.normal(0, 0.06) + time * turning
    center = torch.from_numpy(rng.uniform(-0.2, 0.2, 2)).float() + 2 * pace * time[:, None] * torch.tensor(
        (math.cos(heading) * H / W, math.sin(heading)))  # (T, 2) in half pictures
    y, x = torch.meshgrid(torch.linspace(-1, 1, H), torch.linspace(-1, 1, W), indexing="ij")
    cos, sin = (zoom * angle.cos()).view(-1, 1, 1), (zoom * angle.sin()).view(-1, 1, 1)
    turned = torch.stack((cos * x - sin * y * H / W, sin * x * W / H + cos * y), -1)  # (T, H, W, 2)
    relief = _smooth(size, rng).view(1, H, W, 1)  # about [-1, 1]: far to near
    drift = torch.from_numpy(rng.normal(0, 0.35, 2)).float() * pace * time[:, None]   # (T, 2)
    return turned + center[:, None, None] + relief * drift[:, None, None]


def _smooth(size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """A smooth random relief (1, 1, H, W), mean 0 and spread about 1."""
    coarse = torch.from_numpy(rng.standard_normal((1, 1, 4, 6))).float()
    return F.interpolate(coarse, size, mode="bicubic", align_corners=False)


def _blob(size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """A soft-edged shape (1, 1, H, W) in [0, 1], somewhere in the picture and never at its rim."""
    H, W = size
    y, x = torch.meshgrid(torch.linspace(-1, 1, H), torch.linspace(-1, 1, W) * W / H, indexing="ij")
    cy, cx, radius = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5) * W / H, rng.uniform(0.25, 0.5)
    distance = ((y - cy) ** 2 + (x - cx) ** 2).sqrt() / radius + 0.25 * _smooth(size, rng)[0, 0]
    inside = ((1 - distance) * radius * H / 2 + 0.5).clamp(0, 1)  # an edge one pixel wide
    rim = torch.minimum(1 - y.abs(), W / H - x.abs()) > 0.02
    return (inside * rim)[None, None]
