"""The released inference script, step by step, to reproduce the output of its authors' programs (TCAVC's both
stages; LSTVC's is the second).

`colorlab.colorize` keeps a film's shape, its lightness and its own size; the script does none of this. It
crops every picture to 480 x 848, colours at 216 x 384, and truncates levels to integers. The numbers in the
paper's tables were computed on such pictures:

    paint_first(model.reference, picture)             # stage 1: what the script writes as f<clip>.png
    for frame in color_film(model.propagation, frames, reference):   # stage 2: f001.png, f002.png, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.color import frames_to_rgb, join_lab, lab_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.papers.lstvc import LSTVC

from colorlab.papers.tcavc.reference import ReferenceColorizer, paint_at

FULL, SMALL = (480, 848), (216, 384)  # of the pictures, and of the networks' input


def cover_and_crop(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a picture so that it covers `size` (h, w), and crop its centre: the script's "CenterPad", which
    in fact does not pad.

    picture: uint8 (H, W, 3). Returns uint8 (h, w, 3), levels truncated; a picture of the right size is
    returned unchanged. Bilinear, antialiased when shrinking. Sides are truncated to whole pixels before
    resizing, so the shape may be off by one.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] != 3:
        raise InputError(f"cover_and_crop wants a uint8 RGB picture (H, W, 3), got {picture.dtype} "
                         f"{picture.shape}")
    (H, W), (h, w) = picture.shape[:2], size
    if (H, W) == (h, w):
        return picture
    # a tall picture is cut above and below, a wide one at its sides
    scale = w / W if H * w > W * h else h / H
    covering = max(h, int(H * scale)), max(w, int(W * scale))  # rounding must not leave a line uncovered
    from skimage.transform import resize
    large = resize(picture, covering, order=1, mode="reflect", anti_aliasing=True, preserve_range=True,
                   clip=False)
    top, left = (covering[0] - h) // 2, (covering[1] - w) // 2
    return large[top:top + h, left:left + w].astype(np.uint8)


@torch.no_grad()
def paint_first(colorizer: ReferenceColorizer, picture: np.ndarray, full: tuple[int, int] = FULL,
                small: tuple[int, int] = SMALL) -> np.ndarray:
    """Stage 1: colour a film's first frame. picture: uint8 (H, W, 3), of which only the lightness is used ->
    uint8 (*full, 3)."""
    lab = _lab(picture, full).to(next(colorizer.parameters()).device)
    return _levels(paint_at(colorizer, lab[:, :1], small))[0]


@torch.no_grad()
def color_film(network: LSTVC, frames: Iterable[np.ndarray], reference: np.ndarray | None = None,
               full: tuple[int, int] = FULL, small: tuple[int, int] = SMALL) -> Iterator[np.ndarray]:
    """Stage 2: colour all frames, the first too, uint8 (H, W, 3) each, a block at a time. Yields uint8
    (*full, 3).

    reference: uint8 (H, W, 3), of any size; None: the first frame, in colour. The published numbers require a
    network with `temperature=1e-10`.
    """
    frames = iter(frames)
    if reference is None:
        reference = next(frames, None)
        if reference is None:
            return
        frames = chain((reference,), frames)
    device = next(network.parameters()).device
    state = network.start(_shrunk(_lab(reference, full), small).to(device))
    while block := list(islice(frames, network.frames_per_step)):
        lab = torch.cat([_lab(frame, full) for frame in block])                         # (T, 3, *full)
        ab, state = network.step(_shrunk(lab[:, :1], small)[None].to(device), state)
        ab = F.interpolate(ab[0].cpu(), size=full, mode="bilinear", align_corners=False)
        yield from _levels(join_lab(lab[:, :1], ab))


def _lab(picture: np.ndarray, size: tuple[int, int]) -> Tensor:
    """uint8 (H, W, 3) -> Lab (1, 3, *size), float32 but computed as exactly as scikit-image computes it."""
    return rgb_to_lab(frames_to_rgb(cover_and_crop(picture, size))[None].double()).float()


def _shrunk(lab: Tensor, size: tuple[int, int]) -> Tensor:
    # without smoothing, as the script
    return F.interpolate(lab, size=size, mode="bilinear", align_corners=False)


def _levels(lab: Tensor) -> np.ndarray:
    """Lab (B, 3, H, W) -> uint8 (B, H, W, 3): levels truncated to integers, as the script saves them."""
    return (lab_to_rgb(lab.cpu().double()) * 255).to(torch.uint8).movedim(1, -1).numpy()
