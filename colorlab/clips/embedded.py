"""Short films that need no download, with their optical flow and occlusion known exactly.

They are generated on demand from scikit-image's photographs and cached. Six scenes, one difficulty each;
every seed makes a different film of the scene, and a longer film begins with the shorter one.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from colorlab.clips import cache, collages
from colorlab.clips.layers import Rendering, pixel_grid
from colorlab.color import from_linear, to_linear
from colorlab.files.errors import InputError

CLIPS = tuple(collages.SCENES)


class EmbeddedClip(NamedTuple):
    """T frames of a film and their exact motion.

    A flow is (dx, dy) in pixels: pixel (x, y) of frame t is at (x + dx, y + dy) in frame t+1 (forward), so
    that `colorlab.modules.flow.warp(frame t+1, forward[t])` brings frame t+1 onto the grid of frame t. Flows
    are given in steps of 1/1024 pixel. They are exact, not estimated: where `reliable_forward`
    is true the two frames show the same points, and differ by resampling only (and by `gain`).
    """

    name: str
    frames: np.ndarray             # (T, H, W, 3) uint8 RGB
    forward: np.ndarray            # (T-1, 2, H, W) float32, frame t to t+1, on the grid of t
    backward: np.ndarray           # (T-1, 2, H, W) float32, frame t+1 to t, on the grid of t+1
    occluded_forward: np.ndarray   # (T-1, H, W) bool on the grid of t: behind something else in t+1
    occluded_backward: np.ndarray  # (T-1, H, W) bool on the grid of t+1: behind something else in t
    inside_forward: np.ndarray     # (T-1, H, W) bool on the grid of t: not carried out of the picture
    inside_backward: np.ndarray    # (T-1, H, W) bool on the grid of t+1
    mixed: np.ndarray              # (T, H, W) bool: an edge pixel, a blend of two things that may move apart
    gain: np.ndarray               # (T,) float32 factor on linear light: the exposure, 1 except in "exposure"

    @property
    def reliable_forward(self) -> np.ndarray:
        """(T-1, H, W) bool on the grid of t: seen in t+1 too, and no edge is mixed into either side."""
        return _reliable(self.forward, self.inside_forward & ~self.occluded_forward, self.mixed[:-1],
                         self.mixed[1:], self.backward)

    @property
    def reliable_backward(self) -> np.ndarray:
        """(T-1, H, W) bool on the grid of t+1: seen in t too, and no edge is mixed into either side."""
        return _reliable(self.backward, self.inside_backward & ~self.occluded_backward, self.mixed[1:],
                         self.mixed[:-1], self.forward)


def embedded_clip(
    name: str, frames: int = 24, height: int = 128, width: int = 224, seed: int = 0
) -> EmbeddedClip:
    """A film of the scene `name`, one of `CLIPS`.

    Seeds choose photographs, directions and timing. A film is a pure function of the arguments; it is kept in
    `cache.cache_folder()` and read from there the next time. Raises InputError for an unknown name or an
    impossible size.
    """
    if name not in CLIPS:
        raise InputError(f"no embedded clip called {name!r}; there are {', '.join(CLIPS)}")
    if frames < 1 or min(height, width) < 16 or seed < 0:
        raise InputError("an embedded clip wants at least 1 frame of 16x16 pixels and a seed from 0, got "
                         f"{frames} frames of {width}x{height} with seed {seed}")
    path = cache.cache_folder() / "clips" / f"{name}-{frames}x{height}x{width}-{seed}-{_recipe():08x}.npz"
    stored = cache.recall(path)
    if stored is None:
        stored = _pack(*collages.SCENES[name](frames, height, width, seed))
        cache.store(path, stored)
    return _unpack(name, stored)


def _pack(rendering: Rendering, gain: Tensor) -> dict[str, np.ndarray]:
    """The arrays to cache: small, and enough to restore the clip bit for bit."""
    forward, backward = rendering.forward.numpy(), rendering.backward.numpy()
    greatest = max((float(np.abs(flow).max(initial=0)) for flow in (forward, backward)))
    # pixels; 1/1024 up to 32 pixels
    step = 2.0 ** max(-10, math.ceil(math.log2(max(greatest, 1e-9) / 32767)))
    as_steps = lambda flow: np.round(flow / step).astype(np.int16)
    masks = torch.cat((rendering.hidden_forward, rendering.hidden_backward, rendering.mixed)).numpy()
    return {"frames": expose(rendering.rgb, gain).mul(255).round().byte().movedim(1, -1).numpy(),
            "forward": as_steps(forward), "backward": as_steps(backward), "step": np.float32(step),
            "masks": np.packbits(masks, axis=-1), "gain": gain.float().numpy()}


def _unpack(name: str, stored: dict[str, np.ndarray]) -> EmbeddedClip:
    frames = stored["frames"]
    pairs, width = len(frames) - 1, frames.shape[2]
    forward, backward = (stored[key].astype(np.float32) * stored["step"] for key in ("forward", "backward"))
    masks = np.unpackbits(stored["masks"], axis=-1, count=width).astype(bool)
    hidden_forward, hidden_backward, mixed = np.split(masks, (pairs, 2 * pairs))
    return EmbeddedClip(name, frames, forward, backward, hidden_forward, hidden_backward, _inside(forward),
                _inside(backward), mixed, stored["gain"])


def expose(rgb: Tensor, gain: Tensor) -> Tensor:
    """sRGB (T, 3, H, W) in [0, 1] with its linear light multiplied by gain (T,), clipped to [0, 1]."""
    if bool((gain == 1).all()):
        return rgb
    return from_linear(to_linear(rgb) * gain.view(-1, 1, 1, 1).to(rgb)).clamp(0, 1)


def _targets(flow: np.ndarray) -> np.ndarray:
    """Where a flow (T, 2, H, W) takes each pixel: (T, 2, H, W), x first."""
    return flow + pixel_grid(*flow.shape[2:]).movedim(-1, 0).float().numpy()


def _inside(flow: np.ndarray) -> np.ndarray:
    x, y = np.moveaxis(_targets(flow), 1, 0)
    height, width = flow.shape[2:]
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def _reliable(flow: np.ndarray, seen: np.ndarray, mixed_here: np.ndarray, mixed_there: np.ndarray,
              opposite: np.ndarray) -> np.ndarray:
    """Visible, no mixed pixel here or among the four that a bilinear look-up reads there, and
    forward-backward consistent."""
    x, y = np.moveaxis(np.floor(_targets(flow)).astype(int), 1, 0)
    height, width = flow.shape[2:]
    t = np.arange(len(flow))[:, None, None]
    good = seen & ~mixed_here
    for dy in (0, 1):
        for dx in (0, 1):
            corner = np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)
            # the corner's own motion: much the same on one surface
            there = np.moveaxis(opposite[t, :, *corner], -1, 1)
            apart = np.abs(there + flow).max(1) > 0.5 + 0.1 * np.abs(flow).max(1)
            good &= ~mixed_there[t, *corner] & ~apart
    return good


def _recipe() -> int:
    """A hash of the code that makes the clips, so that no cached clip of older code is read."""
    folder = Path(__file__).parent
    sources = ("embedded.py", "layers.py", "parallax.py", "photographs.py", "collages.py")
    return zlib.crc32(b"".join((folder / source).read_bytes() for source in sources))
