"""A camera that moves through the garage: new views of a real stereo pair, and the exact motion between them.

A camera a fraction s of the way from the left to the right photograph sees a point of disparity d (1/depth) at
x = x_left - s d. The scene is the left photograph with its measured depth, and, where a moved camera looks behind
things, the right photograph. Each view is drawn by a depth buffer; the frame is a window that wanders over the view.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.data.layers import SUBSAMPLES, Rendering, move, pixel_grid, sample, spread
from colorlab.data.photographs import stereo_pair

DENSITY = 2     # columns of the depth buffer per pixel of the photograph
CUT = 1.5       # a jump of disparity between neighbours above this is the edge of a thing, not a slope
CONVERGENCE = 30.0  # disparity that stays in place in all views, about the middle of the scene


class View(NamedTuple):
    """What the camera sees, on a grid of DENSITY columns per pixel."""

    disparity: Tensor  # (h, DENSITY*w)
    source: Tensor     # (h, DENSITY*w) 0: from the left photograph, 1: from the right, 2: guessed in neither


class Scene(NamedTuple):
    left: Tensor             # (3, h, w)
    right: Tensor            # (3, h, w)
    left_disparity: Tensor   # (h, w) without gaps
    right_disparity: Tensor  # (h, w) on the grid of right


@lru_cache(maxsize=1)
def garage() -> Scene:
    pair = stereo_pair()
    depth = fill_from_behind(pair.disparity)
    seen = splat(depth, depth.new_tensor(1.0), density=1)  # as the right camera would see the left one's depth
    return Scene(pair.left, pair.right, depth, fill_from_behind(seen))


def render_parallax(position: Tensor, pose: Tensor, height: int, width: int) -> Rendering:
    """Frames from cameras at position (T,), 0 left and 1 right; pose (T, 3, 3) takes a view's pixels to the frame's."""
    scene = garage()
    views = [look(scene, s) for s in position]
    rays = pixel_grid(height, width, SUBSAMPLES)
    rgb, depth, source = zip(*(_cast(scene, *camera, rays) for camera in zip(views, position, pose)))
    depth, source = torch.stack(depth), torch.stack(source)  # (T, 3H, 3W)
    middle = slice(SUBSAMPLES // 2, None, SUBSAMPLES)
    cameras = list(zip(views, position, pose))
    there = [_motion(d[middle, middle], a, b) for d, a, b in zip(depth, cameras, cameras[1:])]
    back = [_motion(d[middle, middle], a, b) for d, a, b in zip(depth[1:], cameras[1:], cameras)]
    forward, hidden_forward = map(torch.stack, zip(*there))
    backward, hidden_backward = map(torch.stack, zip(*back))
    mixed = (spread(depth) > CUT) | (spread(source) > 0) | (F.max_pool2d(source, SUBSAMPLES) > 1)
    return Rendering(torch.stack(rgb), forward, backward, hidden_forward, hidden_backward, mixed)


def look(scene: Scene, position: Tensor) -> View:
    """The depth buffer of a camera at position, first of what the left photograph shows, then of the right one."""
    left = splat(scene.left_disparity, position)
    right = splat(scene.right_disparity, position - 1)
    disparity = fill_from_behind(torch.where(left.isnan(), right, left))
    source = torch.where(left.isnan(), torch.where(right.isnan(), 2.0, 1.0), 0.0)
    return View(disparity, source)


def splat(disparity: Tensor, shift: Tensor, density: int = DENSITY) -> Tensor:
    """The nearest disparity at each column of a view, (h, density*w), NaN where nothing lands.

    disparity (h, w); shift: camera's way from the photograph's own place, in baselines. Neighbours on one slope are
    joined by a straight piece; at the edge of a thing its last pixel ends flat, half a pixel further.
    """
    h, w = disparity.shape
    x = torch.arange(w, dtype=disparity.dtype).expand(h, w)
    joined = (disparity.diff(dim=1).abs() < CUT)                                          # (h, w-1)
    loose = ~(F.pad(joined, (1, 0), value=False) & F.pad(joined, (0, 1), value=False))    # (h, w)
    rows = torch.arange(h)[:, None].expand(h, w)
    pieces = [(rows[:, 1:][joined], x[:, :-1][joined], x[:, 1:][joined], disparity[:, :-1][joined], disparity[:, 1:][joined]),
              (rows[loose], x[loose] - 0.5, x[loose] + 0.5, disparity[loose], disparity[loose])]
    row, x0, x1, d0, d1 = map(torch.cat, zip(*pieces))
    start = (x0 - shift * (d0 - CONVERGENCE) + 0.5) * density - 0.5                       # in columns
    stop = (x1 - shift * (d1 - CONVERGENCE) + 0.5) * density - 0.5
    buffer = disparity.new_full((h * w * density,), -torch.inf)
    first = start.ceil()
    for k in range(int((stop - first).max()) + 1):
        column = first + k
        ok = (column < stop) & (column >= 0) & (column < w * density)
        along = ((column - start) / (stop - start))[ok]
        value = d0[ok] + along * (d1[ok] - d0[ok])
        buffer.scatter_reduce_(0, row[ok] * w * density + column[ok].long(), value, "amax")
    return torch.where(buffer.isinf(), torch.nan, buffer).view(h, w * density)


def fill_from_behind(disparity: Tensor) -> Tensor:
    """(h, w) with NaN filled along each row by the farther of the two neighbours: gaps are parts of the background."""
    known = ~disparity.isnan()
    column = torch.arange(disparity.shape[1]).expand_as(disparity)
    last = torch.where(known, column, -1).cummax(1).values
    following = torch.where(known, column, len(column[0])).flip(1).cummin(1).values.flip(1)
    far = F.pad(disparity, (1, 1), value=torch.inf)  # beyond the rim there is nothing to be farther
    filled = torch.minimum(far.gather(1, last + 1), far.gather(1, following + 1))
    return torch.where(known, disparity, filled)


def _lookup(view: View, points: Tensor) -> tuple[Tensor, Tensor]:
    """Disparity and source at points (..., 2) of the view, in its pixels."""
    h, columns = view.disparity.shape
    column = ((points[..., 0] + 0.5) * DENSITY - 0.5).round().long().clamp(0, columns - 1)
    row = points[..., 1].round().long().clamp(0, h - 1)
    return view.disparity[row, column], view.source[row, column]


def _cast(scene: Scene, view: View, position: Tensor, pose: Tensor, rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the rays (3H, 3W, 2) see: the mean colour of each pixel (3, H, W); disparity and source (3H, 3W) of each ray."""
    points = move(pose.inverse(), rays)
    disparity, source = _lookup(view, points)
    offset = torch.stack((disparity - CONVERGENCE, torch.zeros_like(disparity)), -1)
    colour = sample(scene.left, points + position * offset)
    other = source > 0
    colour[:, other] = sample(scene.right, (points + (position - 1) * offset)[other])
    return F.avg_pool2d(colour.clamp(0, 1), SUBSAMPLES), disparity, source


def _motion(disparity: Tensor, here: tuple[View, Tensor, Tensor], there: tuple[View, Tensor, Tensor]
            ) -> tuple[Tensor, Tensor]:
    """Flow (2, H, W) from one camera to another of points of disparity (H, W), and whether they are hidden there."""
    (_, position, pose), (view, next_position, next_pose) = here, there
    places = pixel_grid(*disparity.shape)
    points = move(pose.inverse(), places)
    points[..., 0] -= (next_position - position) * (disparity - CONVERGENCE)
    moved = move(next_pose, points)
    return (moved - places).movedim(-1, 0).float(), (_lookup(view, points)[0] - disparity).abs() > CUT
