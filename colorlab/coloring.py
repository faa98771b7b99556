"""The main job: grey frames and reference pictures in, coloured frames out, one by one.

A network predicts ab from L, as small as one likes; the colour is then enlarged and put under the film's own lightness at
full size. So the picture keeps every detail, and a small network run costs only sharpness of colour, which the eye hardly sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.color import fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab, split_lab
from colorlab.errors import InputError

Picture = np.ndarray                          # (H, W, 3) uint8 RGB
Pictures = Picture | Sequence[Picture | tuple[int, Picture]] | None
SMALLEST = 16                                 # pixels: networks see a sixteenth of a side


def colorize(frames: Iterable[Picture], references: Pictures, model: nn.Module, size: int | None = None,
             device: str | torch.device | None = None) -> Iterator[Picture]:
    """Colour a film of any length; yields uint8 (H, W, 3) RGB frames as light as those that came in.

    frames: uint8 (H, W, 3) RGB, all of one size; only their lightness is used. A model that works in blocks is handed
        `model.frames_per_step` frames at a time, and no more than those are held.
    references: a picture, uint8 (H, W, 3) of any size, that is not a frame of the film; or a list of such pictures and
        (frame_index, picture), the colours of that very frame; or None, for a method that makes its own.
    model: from `colorlab.load`.
    size: the short side, in pixels, at which the network sees the film; None, or more than the film has, for full size.
    device: where the network runs; the model is moved there. None: where it is.

    Where a predicted colour does not exist in sRGB at its lightness, it is made paler, never lighter or darker.
    Raises InputError for frames, references or a size that cannot be used.
    """
    if size is not None and size < SMALLEST:
        raise InputError(f"size {size} is too small for a network; give {SMALLEST} or more, or leave it out for full size")
    pictures = check_references(references)
    device = torch.device(device) if device is not None else device_of(model)
    return _colored(iter(frames), pictures, model.to(device), size, device)


def _colored(frames: Iterator[Picture], references: Pictures, model: nn.Module, size: int | None,
             device: torch.device) -> Iterator[Picture]:
    state, film_size, done = None, None, 0
    while block := list(islice(frames, model.frames_per_step)):
        for number, frame in enumerate(block, start=done):
            height, width, _ = check_picture(frame, f"frame {number}").shape
            film_size = film_size or (height, width)
            if (height, width) != film_size:
                raise InputError(f"frame {number} is {width}x{height}, those before it are {_words(film_size)}; a film has one size")
        # Not around the loop: between two frames of a generator, the caller's own code runs.
        with torch.inference_mode():
            if state is None:
                state = model.start(references_to_lab(references, film_size, size, device))
            colored, state = color_block(torch.from_numpy(np.stack(block)).to(device), model, state, size)
        done += len(block)
        yield from colored


def color_block(block: Tensor, model: nn.Module, state: object, size: int | None) -> tuple[np.ndarray, object]:
    """One step: uint8 (T, H, W, 3) on the model's device -> coloured uint8 (T, H, W, 3), and the next state."""
    l, _ = split_lab(rgb_to_lab(frames_to_rgb(block)))            # (T, 1, H, W)
    small = resize(l, network_size(l.shape[-2:], size))           # (T, 1, h, w)
    ab, state = model.step(small[None] if len(small) > 1 else small, state)
    ab = resize(ab.reshape(-1, *ab.shape[-3:]), l.shape[-2:])     # (T, 2, H, W)
    lab = fit_gamut(join_lab(l, ab), steps=8)                     # to 1/256 of the chroma: finer is lost in 8 bits
    return rgb_to_frames(lab_to_rgb(lab)), state


def references_to_lab(references: Pictures, film_size: tuple[int, int], size: int | None, device: torch.device
                      ) -> Tensor | list[Tensor | tuple[int, Tensor]] | None:
    """References as `model.start` takes them: Lab (1, 3, H, W), no larger than the network sees the film.

    A film's own frame is brought to exactly the size at which the network sees the film, so that its pixels fall on the film's.
    """
    if references is None:
        return None
    if isinstance(references, np.ndarray):
        return _loose_to_lab(references, film_size, size, device)
    return [(item[0], _frame_to_lab(item, film_size, size, device)) if isinstance(item, tuple)
            else _loose_to_lab(item, film_size, size, device) for item in references]


def _loose_to_lab(picture: Picture, film_size: tuple[int, int], size: int | None, device: torch.device) -> Tensor:
    short_side = min(network_size(film_size, size))
    return resize(_to_lab(picture, device), network_size(picture.shape[:2], short_side))


def _frame_to_lab(item: tuple[int, Picture], film_size: tuple[int, int], size: int | None, device: torch.device) -> Tensor:
    (H, W), (frame, picture) = film_size, item
    height, width = picture.shape[:2]
    if abs(width / height * H / W - 1) > 0.03:
        raise InputError(f"the reference for frame {frame} is {_words(picture.shape)}, the film {_words(film_size)}: another shape, so it "
                         "cannot be that frame; crop it to the film, or give it without a frame index")
    return resize(_to_lab(picture, device), network_size(film_size, size))


def _to_lab(picture: Picture, device: torch.device) -> Tensor:
    return rgb_to_lab(frames_to_rgb(torch.from_numpy(np.ascontiguousarray(picture)).to(device)))[None]  # (1, 3, H, W)


def network_size(film_size: tuple[int, int], size: int | None) -> tuple[int, int]:
    """(H, W) of the film -> (h, w) with the short side `size`, of the same shape, never larger."""
    height, width = film_size
    scale = 1 if size is None else min(1, size / min(height, width))
    return round(height * scale), round(width * scale)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, H, W) -> (N, C, *size), averaging where it shrinks."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image.float(), size, mode="bilinear", align_corners=False, antialias=True)


def device_of(model: nn.Module) -> torch.device:
    """Where a model's numbers lie; the CPU for a model that has none."""
    tensor = next(model.parameters(), next(model.buffers(), None))
    return torch.device("cpu") if tensor is None else tensor.device


def check_references(references: Pictures) -> Pictures:
    """References that are what `colorize` takes, or InputError; a list is copied."""
    if references is None or isinstance(references, np.ndarray):
        return references if references is None else check_picture(references, "the reference")
    if not isinstance(references, (list, tuple)):
        raise InputError(f"references are a picture, a list of pictures and (frame_index, picture), or None, not {type(references).__name__}")
    for item in references:
        paired = isinstance(item, tuple)
        if paired and (len(item) != 2 or isinstance(item[0], bool) or not isinstance(item[0], (int, np.integer)) or item[0] < 0):
            raise InputError("a reference of the film's own is (frame_index, picture), the index a whole number from 0")
        check_picture(item[1] if paired else item, f"the reference for frame {item[0]}" if paired else "the reference")
    frames = [int(item[0]) for item in references if isinstance(item, tuple)]
    if repeated := {frame for frame in frames if frames.count(frame) > 1}:
        raise InputError(f"two references for frame {min(repeated)}; give each frame one")
    return [(int(item[0]), item[1]) if isinstance(item, tuple) else item for item in references]


def check_picture(picture: object, name: str) -> Picture:
    """The picture, if it is uint8 (H, W, 3); else InputError."""
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] != 3:
        got = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise InputError(f"{name} is {got}; a picture here is a uint8 array (H, W, 3) of RGB, as read_video() and read_image() give it")
    return picture


def _words(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
