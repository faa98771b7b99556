"""The main job: grey frames and reference pictures in, coloured frames out, one by one.

A network predicts ab from L, at any reduced size; the colour is then upsampled and combined with the film's
own lightness at full size. So the picture keeps every detail, and a reduced size costs only sharpness of
colour, which is hardly visible.

`references.py` assigns references to scenes; `restore.py` does the job resumably for long films.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from colorlab.color import (fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab,
                            split_lab)
from colorlab.files.errors import InputError
from colorlab.files.video.shots import eight_bits
from colorlab.film.precision import computed_in
from colorlab.film.references import Cuts, Guidance, Picture, Pictures, check_picture, guide, network_size
from colorlab.modules.resizing import resized

SMALLEST = 16  # pixels: networks work at down to a sixteenth of a side


class Place(NamedTuple):
    """A place in a film between two blocks, from which colouring can continue."""

    frame: int = 0                # the next frame
    state: object = None          # the model's, after the frames before; None at the first frame
    size: tuple[int, int] | None = None  # (H, W) of the film, once a frame was seen


class Block(NamedTuple):
    """The result of one step."""

    frames: np.ndarray             # (T, H, W, 3) uint8, coloured
    confidence: np.ndarray | None  # (T, H, W, 3) uint8 grey, 255 = certain; None if not requested
    after: Place


def colorize(frames: Iterable[Picture], references: Pictures, model: nn.Module, size: int | None = None,
             device: str | torch.device | None = None, cuts: Cuts = None, precision: str = "float32",
             saturation: float = 1.0) -> Iterator[Picture]:
    """Colour a film of any length; yields uint8 (H, W, 3) RGB frames with unchanged lightness.

    frames: uint8 (H, W, 3) RGB, all of one size; only their lightness is used. A model that works in blocks
        is handed `model.frames_per_step` frames at a time, and no more than those are held.
    references: a picture, uint8 (H, W, 3) of any size, that is not a frame of the film; or a list of such
        pictures and (frame_index, picture), the colours of that very frame; or None, for a method that makes
        its own. A picture (H, W, 4) gives colours only where it is not transparent: references.py explains
        what happens to the rest.
    model: from `colorlab.load`.
    size: the short side, in pixels, at which the network runs; None, or more than the film's, for full size.
    device: where the network runs; the model is moved there. None: where it is now.
    cuts: the first frames of new scenes, or "auto" to detect them, which reads the film twice. At a cut the
        model starts afresh, with the scene's own references.
    precision: one of `precision.PRECISIONS`: the network's numerical precision.
    saturation: what the predicted colour is multiplied by: 0 for none, 1 as the network gives it.

    A predicted colour that does not exist in sRGB at its lightness is desaturated, never made lighter or
    darker. Raises InputError for frames, references, cuts or a size that cannot be used.
    """
    check_size(size)
    check_saturation(saturation)
    guidance = guide(frames, references, cuts)
    device = torch.device(device) if device is not None else device_of(model)
    blocks = colored_blocks(iter(frames), guidance, model.to(device), size, device, precision=precision,
                            saturation=saturation)
    return (frame for block in blocks for frame in block.frames)


def colored_blocks(frames: Iterator[Picture], guidance: Guidance, model: nn.Module, size: int | None,
                   device: torch.device, place: Place = Place(), confident: bool = False,
                   saturation: float = 1.0, fields: str = "", precision: str = "float32") -> Iterator[Block]:
    """Colour the frames from `place` on, a block at a time; no block crosses a cut. The model is already on
    the device.

    frames: those from `place.frame` on, uint8, or uint16 if they have more bits; the output has the same
    type. confident: also return each pixel's confidence (confidence.py). fields: tff or bff for interlaced
    frames (top or bottom field first): the model gets each field as a separate picture, in temporal order,
    because moving objects are at two places in such a frame.
    """
    at_once = max(1, model.frames_per_step // 2) if fields else model.frames_per_step
    while block := list(islice(frames, _until_cut(place.frame, guidance, at_once))):
        film_size = place.size
        for number, frame in enumerate(block, start=place.frame):
            height, width, _ = check_picture(frame, f"frame {number}", deep=True).shape
            film_size = film_size or (height, width)
            if (height, width) != film_size:
                raise InputError(f"frame {number} is {width}x{height}, those before it are "
                                 f"{film_size[1]}x{film_size[0]}; a film has one size")
        # Not around the loop: between two blocks the caller's code runs.
        with torch.inference_mode(), computed_in(precision, device.type):
            state = place.state
            if place.frame == 0 or place.frame in guidance.cuts:
                state = guidance.start(
                    place.frame, eight_bits(block[0]), model, size, device, pictures=2 if fields else 1
                )
            colored, confidence, state = color_block(
                torch.from_numpy(np.stack(block)).to(device), model, state, size, confident, saturation,
                fields)
        place = Place(place.frame + len(block), state, film_size)
        yield Block(colored, confidence, place)


def _until_cut(frame: int, guidance: Guidance, most: int) -> int:
    """Maximum number of frames in the block that begins at `frame`."""
    stop = guidance.scene(frame)[1]
    return most if stop is None else min(most, stop - frame)


def color_block(block: Tensor, model: nn.Module, state: object, size: int | None, confident: bool = False,
                saturation: float = 1.0, fields: str = "") -> tuple[np.ndarray, np.ndarray | None, object]:
    """One step: uint8 or uint16 (T, H, W, 3) on the model's device -> coloured frames of that type, their
    confidence (uint8), and the next state."""
    deep = block.dtype == torch.uint16
    l, _ = split_lab(rgb_to_lab(frames_to_rgb(block)))       # (T, 1, H, W)
    seen = split_fields(l, fields) if fields else l                 # (P, 1, H or H / 2, W), P pictures
    small = resized(seen, network_size(l.shape[-2:], size))  # (P, 1, h, w)
    steps = []
    for pictures in small.split(model.frames_per_step):
        ab, sure, state = _step(model, pictures[None] if len(pictures) > 1 else pictures, state, confident)
        steps.append((resized(ab.reshape(-1, *ab.shape[-3:]).float(), seen.shape[-2:]),
                      resized(sure[0].float(), seen.shape[-2:]) if confident else None))
    ab, sure = (torch.cat(part) if part[0] is not None else None for part in zip(*steps))
    if fields:
        ab, sure = join_fields(ab, fields), join_fields(sure, fields) if confident else None
    # to 1/256 of the chroma: finer steps are lost in 8 bits
    lab = fit_gamut(join_lab(l, ab * saturation), steps=12 if deep else 8)
    return rgb_to_frames(lab_to_rgb(lab),
                         deep), rgb_to_frames(sure.expand(-1, 3, -1, -1)) if confident else None, state


def _step(model: nn.Module, pictures: Tensor, state: object,
          confident: bool) -> tuple[Tensor, Tensor | None, object]:
    if not confident:
        ab, state = model.step(pictures, state)
        return ab, None, state
    from colorlab.film.confidence import confident_step  # only if requested
    return confident_step(model, pictures, state)


def split_fields(frames: Tensor, fields: str) -> Tensor:
    """(T, C, H, W) of interlaced frames -> (2 T, C, H / 2, W): their fields in temporal order."""
    first = 0 if fields == "tff" else 1
    return torch.stack((frames[..., first::2, :], frames[..., 1 - first::2, :]), 1).flatten(0, 1)


def join_fields(pictures: Tensor, fields: str) -> Tensor:
    """(2 T, C, H / 2, W) -> (T, C, H, W): the fields interleaved again."""
    first = 0 if fields == "tff" else 1
    lines = pictures.unflatten(0, (-1, 2))                         # (T, 2, C, H / 2, W)
    return torch.stack((lines[:, first], lines[:, 1 - first]), dim=-2).flatten(-3, -2)


def check_size(size: int | None) -> None:
    """Raise InputError for a short side that no network can use."""
    if size is not None and size < SMALLEST:
        raise InputError(f"size {size} is too small for a network; give {SMALLEST} or more, or leave it "
                         "out for full size")


def check_saturation(saturation: float) -> None:
    """Raise InputError for an invalid saturation factor."""
    if not 0 <= saturation <= 10:
        raise InputError(f"saturation {saturation:g} is none; give 0 for no colour, 1 for the network's "
                         "own, at most 10")


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's parameters; the CPU for a model without any."""
    tensor = next(model.parameters(), next(model.buffers(), None))
    return torch.device("cpu") if tensor is None else tensor.device
