"""The photographs that every installation has: scikit-image ships them inside its wheel.

Nothing is downloaded. Each is a real colour photograph (NASA, Hubble, a garage with a measured depth, a cat),
and some objects in them are outlined by hand here, so that they can be cut out and moved.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from colorlab.files.errors import InputError

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "garage", "hubble", "retina", "rocket", "tissue")

# Outlines in photo pixels (x, y), closed and smoothed by a spline; traced by eye on the photographs above.
_OUTLINES: dict[str, tuple[str, tuple[tuple[int, int], ...]]] = {
    "cup": ("coffee", ((173, 92), (178, 74), (190, 55), (210, 38), (240, 25), (285, 18), (330, 24), (365, 40),
                       (388, 58), (400, 70), (412, 66), (424, 72), (424, 86), (420, 104), (440, 122),
                       (462, 155), (475, 190), (479, 228), (473, 262), (455, 300), (425, 335), (385, 364),
                       (335, 383), (285, 388), (230, 382), (180, 365), (135, 335), (105, 305), (86, 270),
                       (77, 230), (79, 205), (86, 172), (102, 140), (125, 110), (150, 89))),
    "astronaut": ("astronaut",
                  ((153, 72), (165, 48), (188, 36), (200, 22), (230, 15), (262, 22), (285, 40), (300, 65),
                   (302, 95), (291, 121), (276, 135), (264, 132), (258, 152), (256, 174), (285, 198),
                   (302, 226), (307, 239), (326, 250), (345, 275), (353, 300), (360, 332), (366, 350),
                   (400, 345), (440, 353), (470, 378), (488, 410), (496, 450), (505, 470), (509, 530),
                   (400, 540), (140, 540), (30, 530), (22, 470), (20, 400), (28, 345), (36, 310), (48, 275),
                   (62, 248), (86, 224), (111, 210), (114, 190), (126, 166), (150, 152), (181, 148),
                   (184, 138), (172, 130), (160, 112))),
    "shuttle": ("astronaut", ((396, 22), (402, 6), (411, -8), (426, -8), (435, 8), (438, 40), (444, 39),
                              (451, 56), (454, 120), (455, 200), (456, 240), (458, 262), (445, 269),
                              (425, 262), (400, 268), (388, 262), (370, 266), (369, 252), (379, 232),
                              (357, 219), (356, 206), (374, 190), (379, 160), (381, 110), (382, 56),
                              (388, 40))),
    "badge": ("astronaut",
              tuple((round(171 + 37.5 * np.cos(a)), round(386 + 37.5 * np.sin(a)))
                    for a in np.arange(24) * np.pi / 12)),
    "globe": ("retina",
              tuple((round(705 + 672 * np.cos(a)), round(705 + 672 * np.sin(a)))
                    for a in np.arange(48) * np.pi / 24)),
    "spoon": ("coffee",
              ((378, 222), (386, 232), (397, 245), (405, 262), (406, 282), (398, 303), (380, 320), (358, 324),
               (340, 315), (329, 297), (326, 280), (332, 262), (342, 248), (356, 240), (370, 234))),
}

CUTOUTS = tuple(_OUTLINES)


class Cutout(NamedTuple):
    """A thing cut out of a photograph."""

    rgb: Tensor                       # (3, h, w) in [0, 1]: its surroundings in the photograph
    mask: Tensor                      # (1, h, w) in [0, 1]: above 0.5 inside the outline
    box: tuple[int, int, int, int]    # left, top, right, bottom of the outline within rgb, in pixels


class StereoPair(NamedTuple):
    """Two photographs of one still scene, taken side by side, and the depth measured between them."""

    left: Tensor   # (3, h, w) in [0, 1]
    right: Tensor  # (3, h, w) in [0, 1]
    # (h, w) pixels, on the grid of left: x_right = x_left - disparity; NaN where not measured
    disparity: Tensor


@lru_cache(maxsize=None)
def photograph(name: str) -> np.ndarray:
    """A colour photograph of `PHOTOGRAPHS`, uint8 (h, w, 3), read-only. Raises InputError for another
    name."""
    import skimage.data

    readers = {
        "garage": lambda: skimage.data.stereo_motorcycle()[0], "hubble": skimage.data.hubble_deep_field,
        "tissue": skimage.data.immunohistochemistry
    }
    if name not in PHOTOGRAPHS:
        raise InputError(f"no photograph called {name!r}; there are {', '.join(PHOTOGRAPHS)}")
    pixels = np.ascontiguousarray(readers.get(name, getattr(skimage.data, name, None))()[..., :3])
    pixels.flags.writeable = False
    return pixels


def as_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 (h, w, 3) -> (3, h, w) in [0, 1]."""
    return torch.tensor(pixels).movedim(-1, 0).float() / 255


@lru_cache(maxsize=None)
def cutout(name: str) -> Cutout:
    """One of `CUTOUTS`, with some of its surroundings (so that a filter at its edge finds real pixels)."""
    if name not in CUTOUTS:
        raise InputError(f"no cutout called {name!r}; there are {', '.join(CUTOUTS)}")
    photo, outline = _OUTLINES[name]
    pixels = photograph(photo)
    curve = closed_spline(np.array(outline, float))
    margin = 6
    (left, top), (right, bottom) = curve.min(0), curve.max(0)
    x0, y0 = max(0, int(left) - margin), max(0, int(top) - margin)
    x1, y1 = min(pixels.shape[1], int(right) + margin), min(pixels.shape[0], int(bottom) + margin)
    mask = Image.new("L", (x1 - x0, y1 - y0))
    ImageDraw.Draw(mask).polygon([tuple(point) for point in curve - (x0, y0)], fill=1)
    box = (max(0, int(left) - x0), max(0, int(top) - y0), min(x1, int(right)) - x0, min(y1, int(bottom)) - y0)
    return Cutout(as_tensor(pixels[y0:y1, x0:x1]), torch.from_numpy(np.array(mask)).float()[None], box)


def closed_spline(points: np.ndarray, steps: int = 8) -> np.ndarray:
    """(n, 2) corners -> (n * steps, 2) points of the closed Catmull-Rom spline through them."""
    u = (np.arange(steps) / steps)[:, None, None]
    a, b, c, d = (np.roll(points, shift, 0) for shift in (1, 0, -1, -2))
    curve = b + 0.5 * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
    return curve.transpose(1, 0, 2).reshape(-1, 2)


@lru_cache(maxsize=None)
def stereo_pair() -> StereoPair:
    """The garage with the motorcycle (Middlebury 2014, Scharstein et al.), at a quarter of its size."""
    import skimage.data

    left, right, disparity = skimage.data.stereo_motorcycle()
    depth = torch.from_numpy(disparity.astype(np.float32))
    return StereoPair(as_tensor(left), as_tensor(right), torch.where(depth.isfinite(), depth, torch.nan))
