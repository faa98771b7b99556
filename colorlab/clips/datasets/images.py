"""The photographs of TCAVC's first stage, and which of them it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from colorlab.clips.datasets.reading import clips, frames_in, look_up
from colorlab.files.errors import InputError

SMALLEST_SIDE = 256  # pixels
FLATTEST = 0.8       # of the pixels at one level of one channel
COLOR_MODES = ("RGB", "RGBA", "P", "CMYK", "YCbCr")  # Pillow's, of picture files with several channels


def images(name: str, split: str, root: str | Path = "data") -> Iterator[Path]:
    """The picture files of an image set, class by class, by name."""
    data, _ = look_up(name, split)
    if data.kind != "images":
        raise InputError(f"{data.title} is a set of clips; clips() finds them")
    for folder in clips(name, split, root, partial=True).values():
        yield from frames_in(folder)


def kept_by_tcavc(image: np.ndarray) -> bool:
    """Whether TCAVC's first stage trains on this picture.

    image: (H, W, 3) uint8, or (H, W) as a single-channel file has it. Dropped: single-channel pictures, sides
    under 256 pixels, and pictures of which one level of one channel covers more than 80 %. (§4 also names
    "ambiguous colours": its published script has no rule for them.)
    """
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < SMALLEST_SIDE:
        return False
    flat = image.reshape(-1, 3)
    fullest = max(int(np.bincount(flat[:, c], minlength=256).max()) for c in range(3))
    return fullest <= FLATTEST * len(flat)


@lru_cache(maxsize=1 << 20)
def file_kept_by_tcavc(path: Path) -> bool:
    """`kept_by_tcavc` of a picture file; one whose header says enough is not decoded. InputError for a file
    that cannot be read."""
    try:
        with Image.open(path) as image:
            if image.mode not in COLOR_MODES or min(image.size) < SMALLEST_SIDE:
                return False
            return kept_by_tcavc(np.asarray(image.convert("RGB")))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(
            f"{path} is not a picture that can be read ({error}); copy it again or take it out") from error
