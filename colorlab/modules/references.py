"""Reference pictures, in every form that `start` accepts, as one tuple."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Reference(NamedTuple):
    """A coloured picture, with its frame index if it is one of the film's own frames."""

    frame: int | None  # index in the film, from 0; None for a picture that is not a frame of the film
    image: Tensor      # (B, 3, H, W) Lab: L in [0, 100], ab in about ±110


References = Tensor | Sequence[Tensor | tuple[int, Tensor]] | None


def parse_references(references: References) -> tuple[Reference, ...]:
    """An image, a list of images and (frame_index, image), or None -> references in the order given.

    Images are Lab (B, 3, H, W), each of any size. None gives no references.
    Raises ValueError for anything else, for a negative frame index and for two references of one frame.
    """
    if references is None:
        return ()
    if isinstance(references, Tensor):
        references = [references]
    parsed = tuple(_parse_one(item) for item in references)
    frames = [reference.frame for reference in parsed if reference.frame is not None]
    if len(frames) != len(set(frames)):
        raise ValueError(
            f"two references for one frame: frame indices are {sorted(frames)}; give each frame once")
    return parsed


def _parse_one(item: Tensor | tuple[int, Tensor]) -> Reference:
    frame, image = (None, item) if isinstance(item, Tensor) else item
    if frame is not None and frame < 0:
        raise ValueError(f"a reference's frame index counts from 0, got {frame}")
    if not (torch.is_tensor(image) and image.is_floating_point() and image.ndim == 4 and image.shape[1] == 3):
        got = f"{image.dtype} {tuple(image.shape)}" if torch.is_tensor(image) else type(image).__name__
        raise ValueError(f"a reference is a Lab image of floats shaped (B, 3, H, W), got {got}; "
                         "rgb_to_lab() makes one from RGB in [0, 1]")
    return Reference(None if frame is None else int(frame), image)
