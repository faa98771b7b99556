"""The scenes of the embedded clips: which photographs, and how camera and things move.

All lengths are fractions of the frame's height, all times are frames; nothing depends on the number of frames
requested. Periods are not multiples of one another, so that long films do not repeat soon.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from colorlab.clips.layers import Layer, Rendering, render_layers, similarity_transform
from colorlab.clips.parallax import garage, render_parallax
from colorlab.clips.photographs import as_tensor, cutout, photograph

# frames, height, width, seed -> pictures, gain (T,)
Scene = Callable[[int, int, int, int], tuple[Rendering, Tensor]]


def parallax(frames: int, height: int, width: int, seed: int) -> tuple[Rendering, Tensor]:
    """The camera slides past a motorcycle in a garage: near things move more than far ones, and uncover
    them."""
    phase = _phases("parallax", seed, 4)
    position = wave(frames, 26, phase[0]) * 0.5 + 0.5
    _, h, w = garage().left.shape
    pose = camera(frames, (h, w), (height, width), zoom=1.22 + 0.06 * wave(frames, 47, phase[1]),
                  across=0.55 * wave(frames, 61, phase[2]), down=0.8 * wave(frames, 37, phase[3]),
                  rim=(0, 30))
    return render_parallax(position, pose, height, width), torch.ones(frames)


def layers(frames: int, height: int, width: int, seed: int) -> tuple[Rendering, Tensor]:
    """Several objects move independently before a moving background, and occlude it and one another."""
    phase = _phases("layers", seed, 8)
    photo, things = _chosen(
        seed,
        (
            ("rocket", ("globe", "shuttle", "astronaut")),
            ("coffee", ("badge", "shuttle", "astronaut")),
            ("chelsea", ("shuttle", "badge", "cup")),
            ("garage", ("globe", "cup", "astronaut")),
        ),
    )
    turns = _sign(phase[7])
    background = scenery(photo, frames, height, width, zoom=1.25, across=0.8 * wave(frames, 53, phase[0]),
                         down=0.6 * wave(frames, 41, phase[1]))
    far, middle, near = things
    aspect = width / height
    return render_layers((
        background,
        thing(far, frames, height, x=aspect * (0.25 + 0.13 * wave(frames, 43, phase[2])), y=0.36 +
              0.13 * wave(frames, 31, phase[3]), size=0.5, angle=turns * torch.arange(frames) * 0.03),
        thing(middle, frames, height, x=aspect * (0.62 + 0.3 * wave(frames, 37, phase[4])), y=0.42 +
              0.2 * wave(frames, 29, phase[5]), size=0.6, angle=0.5 * wave(frames, 37, phase[4] + 0.25)),
        thing(near, frames, height, x=aspect * (0.45 + 0.28 * wave(frames, 33, phase[6])),
              y=0.72 + 0.05 * wave(frames, 11, phase[6]), size=0.85, angle=0.06 * wave(frames, 33, phase[6])),
    ), height, width), torch.ones(frames)


def zoom(frames: int, height: int, width: int, seed: int) -> tuple[Rendering, Tensor]:
    """The camera comes nearer and goes back: everything grows and shrinks about a point."""
    phase = _phases("zoom", seed, 3)
    photo = _chosen(seed, ("chelsea", "coffee", "astronaut", "tissue", "garage"))
    closer = 1.7 - 0.65 * wave(frames, 34, phase[0] if seed else 0.25)
    layer = scenery(photo, frames, height, width, zoom=closer, across=0.7 * wave(frames, 71, phase[1]),
                    down=0.5 * wave(frames, 59, phase[2]))
    return render_layers((layer,), height, width), torch.ones(frames)


def rotation(frames: int, height: int, width: int, seed: int) -> tuple[Rendering, Tensor]:
    """The camera rolls: the motion grows from zero at the centre to several pixels at the border."""
    phase = _phases("rotation", seed, 3)
    photo = _chosen(seed, ("coffee", "tissue", "astronaut", "chelsea", "garage"))
    layer = scenery(photo, frames, height, width, zoom=1.55, across=0.25 * wave(frames, 67, phase[1]),
                    down=0.2 * wave(frames, 57, phase[2]), angle=0.42 * wave(frames, 44, phase[0]))
    return render_layers((layer,), height, width), torch.ones(frames)


def exposure(frames: int, height: int, width: int, seed: int) -> tuple[Rendering, Tensor]:
    """The camera pans while its exposure changes: the light of frame t is `gain[t]` times the scene's."""
    phase = _phases("exposure", seed, 3)
    photo = _chosen(seed, ("astronaut", "garage", "coffee", "chelsea", "rocket"))
    layer = scenery(photo, frames, height, width, zoom=1.35, across=0.9 * wave(frames, 39, phase[1]),
                    down=0.8 * wave(frames, 51, phase[2]))
    gain = 2.0 ** (-0.9 * (1 - wave(frames, 21, 0.25 + phase[0] * (seed > 0))))  # from full down by 1.8 stops
    return render_layers((layer,), height, width), gain


def occlusion(frames: int, height: int, width: int, seed: int) -> tuple[Rendering, Tensor]:
    """An object passes in front and hides the scene for some frames, which then reappears. Memory helps."""
    phase = _phases("occlusion", seed, 4)
    photo, behind, front = _chosen(
        seed, (("chelsea", ("shuttle", "badge"), "cup"), ("rocket", ("globe", "badge"), "astronaut"),
               ("coffee", ("badge", "shuttle"), "globe"), ("garage", ("badge", "globe"), "cup")))
    aspect, side = width / height, _sign(phase[3])
    background = scenery(photo, frames, height, width, zoom=1.2, across=0.5 * wave(frames, 83, phase[0]),
                         down=0.5 * wave(frames, 61, phase[1]))
    # out of the picture at first, across, and out of it again in 23 frames
    passage = side * wave(frames, 46, 0.25)
    return render_layers((
        background,
        thing(behind[0], frames, height, x=aspect * (0.42 + 0.03 * wave(frames, 31, phase[2])),
              y=0.4 + 0.06 * wave(frames, 27, phase[2]), size=0.58, angle=0.15 * wave(frames, 31, phase[1])),
        thing(behind[1], frames, height, x=aspect * (0.66 + 0.03 * wave(frames, 37, phase[0])),
              y=0.62 + 0.06 * wave(frames, 23, phase[0]), size=0.4, angle=torch.arange(frames) * 0.04),
        thing(front, frames, height, x=aspect / 2 + (aspect / 2 + 0.62) * passage,
              y=0.55 + 0.04 * wave(frames, 17, phase[2]), size=1.05, angle=0.12 * passage),
    ), height, width), torch.ones(frames)


SCENES: dict[str, Scene] = {"parallax": parallax, "layers": layers, "zoom": zoom, "rotation": rotation,
                            "exposure": exposure, "occlusion": occlusion}


def wave(frames: int, period: float, phase: float) -> Tensor:
    """A swing between -1 and 1 over T frames, (T,) float64; phase in turns: 0 begins in the middle, 0.25 at
    the top."""
    return (2 * math.pi * (torch.arange(frames, dtype=torch.float64) / period + phase)).sin()


def camera(frames: int, photo: tuple[int, int], frame: tuple[int, int], zoom: float | Tensor, across: Tensor,
           down: Tensor, angle: float | Tensor = 0.0, rim: tuple[int, int] = (0, 0)) -> Tensor:
    """Poses (T, 3, 3) of a photograph (h, w) before a camera with a picture of (H, W).

    zoom 1 shows as much of the photograph as fits the frame; across and down, in [-1, 1], move the camera as
    far as the photograph goes, minus a margin (rows, columns) that it must not show; angle in radians.
    """
    (h, w), (H, W) = photo, frame
    zoom = torch.as_tensor(zoom, dtype=torch.float64).expand(frames)
    scale = zoom * max(H / (h - 2 * rim[0]), W / (w - 2 * rim[1]))  # frame pixels per photo pixel
    room_x, room_y = (w - W / scale) / 2 - rim[1], (h - H / scale) / 2 - rim[0]
    centre = torch.stack(((w - 1) / 2 + across * room_x, (h - 1) / 2 + down * room_y), -1)
    middle = centre.new_tensor(((W - 1) / 2, (H - 1) / 2)).expand_as(centre)
    return similarity_transform(
        centre, middle, scale, torch.as_tensor(angle, dtype=torch.float64).expand(frames)
    )


def scenery(photo: str, frames: int, height: int, width: int, **movement: float | Tensor) -> Layer:
    """A whole photograph seen by a moving camera."""
    pixels = photograph(photo)
    return Layer(as_tensor(pixels), camera(frames, pixels.shape[:2], (height, width), **movement), None)


def thing(name: str, frames: int, height: int, x: Tensor, y: Tensor, size: float, angle: Tensor) -> Layer:
    """A cutout with its middle at x, y (T,) and a height of `size`, all in frame heights, turned by angle
    (T,)."""
    cut = cutout(name)
    left, top, right, bottom = cut.box
    middle = x.new_tensor(((left + right) / 2, (top + bottom) / 2)).expand(frames, 2)
    scale = x.new_full((frames,), size * height / (bottom - top))
    return Layer(
        cut.rgb, similarity_transform(middle, torch.stack((x, y), -1) * height, scale, angle.to(x)), cut.mask
    )


def _phases(scene: str, seed: int, count: int) -> list[float]:
    return np.random.default_rng((seed, zlib.crc32(scene.encode()))).random(count).tolist()


def _chosen(seed: int, choices: Sequence):
    return choices[seed % len(choices)]


def _sign(phase: float) -> float:
    return 1.0 if phase < 0.5 else -1.0
