"""A camera that moves through the garage: new views of a real stereo pair, and the exact motion between them.

A camera a fraction s of the way from the left to the right photograph sees a point of disparity d (1/depth)
at x = x_left - s (d - CONVERGENCE). The scene is the left photograph with its measured depth, and, where a
moved camera looks behind things, the right photograph. Each view is rendered with a depth buffer; the frame
is a window that moves over the view.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.clips.layers import SUBSAMPLES, Rendering, move, pixel_grid, sample, value_range
from colorlab.clips.photographs import stereo_pair

DENSITY = 2     # columns of the depth buffer per pixel of the photograph
CUT = 1.5       # a jump of disparity between neighbours above this is the edge of a thing, not a slope
CONVERGENCE = 30.0  # disparity that stays in place in all views, about the middle of the scene


class View(NamedTuple):
    """What the camera sees, on a grid of DENSITY columns per pixel."""

    disparity: Tensor  # (h, DENSITY*w)
    source: Tensor     # (h, DENSITY*w) 0: from the left photograph, 1: from the right, 2: guessed in neither


class Pieces(NamedTuple):
    """A surface in P straight pieces, each one pixel wide, along the rows of a photograph."""

    row: Tensor        # (P,) int
    x: Tensor          # (P,) where the piece begins
    disparity: Tensor  # (P,) there
    rise: Tensor       # (P,) of disparity from there to its end
    size: tuple[int, int]


class Scene(NamedTuple):
    left: Tensor           # (3, h, w)
    right: Tensor          # (3, h, w)
    left_surface: Pieces
    right_surface: Pieces  # on the grid of the view at s = 1, which is right moved by CONVERGENCE


@lru_cache(maxsize=1)
def garage() -> Scene:
    pair = stereo_pair()
    surface = pieces(fill_gaps(pair.disparity, pair.left))
    seen = splat(surface, 1.0, density=1)  # as the right camera would see the left one's depth
    view = pair.right.roll(int(CONVERGENCE), 2)
    return Scene(pair.left, pair.right, surface, pieces(fill_gaps(seen, view)))


def render_parallax(position: Tensor, pose: Tensor, height: int, width: int) -> Rendering:
    """Frames from cameras at position (T,), 0 left and 1 right; pose (T, 3, 3) takes a view's pixels to the
    frame's."""
    scene = garage()
    views = [look(scene, s) for s in position]
    rays = pixel_grid(height, width, SUBSAMPLES)
    rgb, depth, source = zip(*(_cast(scene, *camera, rays) for camera in zip(views, position, pose)))
    depth, source = torch.stack(depth), torch.stack(source)  # (T, 3H, 3W)
    middle = slice(SUBSAMPLES // 2, None, SUBSAMPLES)
    cameras = list(zip(views, position, pose))
    there = [_motion(d[middle, middle], a, b) for d, a, b in zip(depth, cameras, cameras[1:])]
    back = [_motion(d[middle, middle], a, b) for d, a, b in zip(depth[1:], cameras[1:], cameras)]
    forward, hidden_forward = _stacked(there, height, width)
    backward, hidden_backward = _stacked(back, height, width)
    mixed = (value_range(depth) > CUT) | (value_range(source) > 0) | (F.max_pool2d(source, SUBSAMPLES) > 1)
    return Rendering(torch.stack(rgb), forward, backward, hidden_forward, hidden_backward, mixed)


def _stacked(motions: list[tuple[Tensor, Tensor]], height: int, width: int) -> tuple[Tensor, Tensor]:
    """Flow (T-1, 2, h, w) and where it is hidden (T-1, h, w), of a film of one frame too, which has none."""
    if not motions:
        return torch.zeros(0, 2, height, width), torch.zeros(0, height, width, dtype=torch.bool)
    return tuple(torch.stack(parts) for parts in zip(*motions))


def look(scene: Scene, position: Tensor) -> View:
    """The depth buffer of a camera at position, first of what the left photograph shows, then of the right
    one."""
    left = splat(scene.left_surface, float(position))
    right = splat(scene.right_surface, float(position) - 1)
    disparity = fill_from_behind(torch.where(left.isnan(), right, left))
    source = torch.where(left.isnan(), torch.where(right.isnan(), 2.0, 1.0), 0.0)
    return View(disparity, source)


def pieces(disparity: Tensor) -> Pieces:
    """The surface behind a disparity map (h, w), cut where one thing ends and another begins.

    Neighbours on one slope are joined by a straight piece; at the edge of an object its last pixel extends
    flat by half a pixel.
    """
    h, w = disparity.shape
    x = torch.arange(w, dtype=disparity.dtype).expand(h, w)
    row = torch.arange(h)[:, None].expand(h, w)
    joined = disparity.diff(dim=1).abs() < CUT                                            # (h, w-1)
    loose = ~(F.pad(joined, (1, 0), value=False) & F.pad(joined, (0, 1), value=False))    # (h, w)
    slopes = row[:,
                 1:][joined], x[:, 1:][joined] - 1, disparity[:, :-1][joined], disparity.diff(dim=1)[joined]
    flats = row[loose], x[loose] - 0.5, disparity[loose], torch.zeros_like(disparity)[loose]
    return Pieces(*map(torch.cat, zip(slopes, flats)), (h, w))


def splat(surface: Pieces, shift: float, density: int = DENSITY) -> Tensor:
    """The nearest disparity at each column of a view, (h, density*w), NaN where nothing lands.

    shift: the camera's way from the place of the photograph, in baselines.
    """
    h, columns = surface.size[0], surface.size[1] * density
    start = (surface.x - shift * (surface.disparity - CONVERGENCE) + 0.5) * density - 0.5  # in columns
    length = (1 - shift * surface.rise) * density  # not above 0: seen from behind
    column = start.ceil()
    active = torch.stack((surface.row * columns + column, surface.disparity, surface.rise / length,
                          column - start, length, column), 1)
    buffer = start.new_full((h * columns,), -torch.inf)
    while len(active):  # one column of every piece at a time; most have no third one
        active = active[(active[:, 3] < active[:, 4]) & (active[:, 5] < columns)]
        cell, disparity, slope, along, _, column = active.unbind(1)
        inside = column >= 0
        buffer.scatter_reduce_(0, cell[inside].long(), (disparity + along * slope)[inside], "amax")
        active = active + active.new_tensor((1, 0, 0, 1, 0, 1))
    return torch.where(buffer.isinf(), torch.nan, buffer).view(h, columns)


def fill_gaps(disparity: Tensor, picture: Tensor) -> Tensor:
    """A disparity map (h, w) with its NaN filled along each row from one of the two neighbours of the gap.

    picture (3, h, w): the neighbour with a much more similar colour; if neither is, the farther one, because
    gaps are mostly background that the other camera did not see.
    """
    before, after = _nearest_known(disparity)
    colour = lambda column: picture.gather(2, column.expand(3, -1, -1))
    unlike = lambda column: (picture - colour(column)).square().sum(0)
    first, second = disparity.gather(1, before), disparity.gather(1, after)
    nearer_first = first > second
    doubt = torch.where(nearer_first,
                        unlike(before) / (unlike(after) + 1e-4),
                        unlike(after) / (unlike(before) + 1e-4))
    take_first = nearer_first == (doubt < 0.25)  # the nearer surface must be twice as similar to be chosen
    return torch.where(disparity.isnan(), torch.where(take_first, first, second), disparity)


def fill_from_behind(disparity: Tensor) -> Tensor:
    """(h, w) with NaN filled along each row by the farther of the two neighbours."""
    before, after = _nearest_known(disparity)
    return torch.where(disparity.isnan(),
                       torch.minimum(disparity.gather(1, before), disparity.gather(1, after)), disparity)


def _nearest_known(disparity: Tensor) -> tuple[Tensor, Tensor]:
    """The column of the last known value up to each place of a row, and of the first from there on, (h, w)
    each."""
    known, w = ~disparity.isnan(), disparity.shape[1]
    column = torch.arange(w).expand_as(disparity)
    before = torch.where(known, column, -1).cummax(1).values
    after = torch.where(known, column, w).flip(1).cummin(1).values.flip(1)
    return torch.where(before < 0, after, before).clamp(max=w - 1), torch.where(
        after == w, before, after
    ).clamp(min=0)


def _lookup(view: View, points: Tensor) -> tuple[Tensor, Tensor]:
    """Disparity and source at points (..., 2) of the view, in its pixels."""
    h, columns = view.disparity.shape
    column = ((points[..., 0] + 0.5) * DENSITY - 0.5).round().long().clamp(0, columns - 1)
    row = points[..., 1].round().long().clamp(0, h - 1)
    return view.disparity[row, column], view.source[row, column]


def _cast(scene: Scene, view: View, position: Tensor, pose: Tensor,
          rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the rays (3H, 3W, 2) see: the mean colour of each pixel (3, H, W); disparity and source (3H, 3W)
    of each ray."""
    points = move(pose.inverse(), rays)
    disparity, source = _lookup(view, points)
    offset = torch.stack((disparity - CONVERGENCE, torch.zeros_like(disparity)), -1)
    colour = sample(scene.left, points + position * offset)
    other = source > 0
    # the right camera's view, and with it all depth, is moved by this
    convergence = points.new_tensor((CONVERGENCE, 0))
    colour[:, other] = sample(scene.right, (points + (position - 1) * offset - convergence)[other])
    return F.avg_pool2d(colour.clamp(0, 1), SUBSAMPLES), disparity, source


def _motion(disparity: Tensor, here: tuple[View, Tensor, Tensor], there: tuple[View, Tensor, Tensor]
            ) -> tuple[Tensor, Tensor]:
    """Flow (2, H, W) from one camera to another of points of disparity (H, W), and whether they are hidden
    there."""
    (_, position, pose), (view, next_position, next_pose) = here, there
    places = pixel_grid(*disparity.shape)
    points = move(pose.inverse(), places)
    points[..., 0] -= (next_position - position) * (disparity - CONVERGENCE)
    moved = move(next_pose, points)
    return (moved - places).movedim(-1, 0).float(), (_lookup(view, points)[0] - disparity).abs() > CUT
