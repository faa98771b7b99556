"""Two pictures for restorers: a preview of the film, and where the colour of one pixel came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

from colorlab.color import (fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab,
                            split_lab)
from colorlab.files.errors import InputError
from colorlab.files.video import Film, Folder
from colorlab.film.colorize import Place, colored_blocks
from colorlab.film.drawing import contact_sheet, heat, mark
from colorlab.film.references import Guidance, Picture, network_size
from colorlab.modules.resizing import resized
from colorlab.modules.sources import Source

TILE = 240       # width of a preview's pictures, in pixels
PREVIEWED = 24   # default number of pictures in a preview


def preview(film: Film | Folder, guidance: Guidance, model: nn.Module, size: int | None, device: torch.device,
            every: int) -> Picture:
    """Every n-th frame, and those for which there are references, coloured one after the other: a contact
    sheet, uint8 (H, W, 3).

    The frames between are skipped, so a method that propagates colour from frame to frame has a harder task
    than in the film.
    """
    own = {given.frame for given in guidance.references if given.frame is not None}
    wanted = sorted(set(range(0, film.count(), every)) | own)
    sparse, kept = picked(guidance, wanted), set(wanted)
    chosen = (frame for number, frame in enumerate(film) if number in kept)
    blocks = colored_blocks(chosen, sparse, model.to(device), size, device)
    tiles, before = {}, 0
    for number, frame in zip(wanted, (frame for block in blocks for frame in block.frames)):
        note = ", reference" if number in own else ", new scene" if guidance.scene(number)[0] > before else ""
        tiles[f"frame {number}{note}"] = _tile(frame)
        before = number
    return contact_sheet(tiles, columns=4)


def picked(guidance: Guidance, frames: list[int]) -> Guidance:
    """The guidance for a film reduced to these frames, which are in ascending order and include those with
    references."""
    place = {frame: number for number, frame in enumerate(frames)}
    references = tuple(given if given.frame is None else given._replace(frame=place[given.frame])
                       for given in guidance.references)
    cuts = {
        next((number for number, frame in enumerate(frames) if frame >= cut), None) for cut in guidance.cuts
    } - {None, 0}
    return replace(guidance, references=references, cuts=tuple(sorted(cuts)),
                   beneath={place[frame]: picture for frame, picture in guidance.beneath.items()})


def _tile(frame: Picture) -> Picture:
    image = Image.fromarray(frame)
    image.thumbnail((TILE, TILE))
    return np.array(image)


class Explanation(NamedTuple):
    """Where a pixel's colour came from."""

    sheet: Picture               # uint8 (H, W, 3): the pixel, and a heat map for each source
    shares: dict[Source, float]  # source -> its share of the colour; sums to 1
    color: tuple[float, float]   # the pixel's ab, as predicted by the network


def explain(film: Film | Folder, guidance: Guidance, model: nn.Module, at: tuple[int, int, int],
            size: int | None, device: torch.device) -> Explanation:
    """Where the colour of pixel (y, x) of a frame comes from; at: (frame, y, x). Colours the film from the
    scene's first frame on."""
    number, y, x = at
    H, W = film.size
    if not (0 <= number < film.count() and 0 <= y < H and 0 <= x < W):
        raise InputError(f"there is no pixel {number},{y},{x}: the film has frames 0 to "
                         f"{film.count() - 1}, y from 0 to {H - 1} and x from 0 to {W - 1}")
    start, _ = guidance.scene(number)
    model = model.to(device)
    frames = film.frames_from(start)
    opening = next(frames)
    state, frame = _state_before(_prepended(opening, frames), number - start, start, guidance, model, size,
                                 device)
    l, _ = split_lab(rgb_to_lab(frames_to_rgb(torch.from_numpy(frame).to(device)))[None])  # (1, 1, H, W)
    small = resized(l, network_size((H, W), size))
    h, w = small.shape[-2:]
    point = y * h // H, x * w // W
    with torch.inference_mode():
        if state is None:
            state = guidance.start(start, opening, model, size, device)
        maps = model.attention(small, state, point)
        ab, _ = model.step(small, state)                                                   # (1, 2, h, w)
    colored = rgb_to_frames(lab_to_rgb(fit_gamut(join_lab(small, ab)))[0])
    maps = {source: values.cpu().numpy() for source, values in maps.items() if float(values.sum()) > 5e-4}
    pictures = _pictures(film, guidance, start, opening, maps, (h, w))
    # counted from the film's first frame, not the scene's
    maps = {source.later(start): values for source, values in maps.items()}
    sheet = _explanation_sheet(colored, point, maps, list(pictures.values()))
    return Explanation(sheet, {source: float(values.sum()) for source, values in maps.items()},
                       (float(ab[0, 0, point[0], point[1]]), float(ab[0, 1, point[0], point[1]])))


def _prepended(first: Picture, rest: Iterator[Picture]) -> Iterator[Picture]:
    yield first
    yield from rest


def _state_before(frames: Iterator[Picture], count: int, start: int, guidance: Guidance, model: nn.Module,
                  size: int | None, device: torch.device) -> tuple[object, Picture]:
    """The model's state after `count` frames of a scene (None before its first), and the frame after
    those."""
    place = Place(start)
    for block in colored_blocks(islice(frames, count), guidance, model, size, device, place):
        place = block.after
    return place.state, next(frames)


def _pictures(film: Film | Folder, guidance: Guidance, start: int, opening: Picture,
              sources: Iterable[Source], size: tuple[int, int]) -> dict[Source, Picture]:
    """The background picture for each source's map, uint8 (h, w, 3): a reference, a frame of the film, or its
    scene's first."""
    references = guidance.of_scene(start, opening)
    sources = list(sources)
    needed = {source.frame for source in sources if source.kind != "reference" and source.frame is not None}
    shown = {
        n: frame
        for n, frame in enumerate(islice(film.frames_from(start), max(needed, default=-1) + 1))
        if n in needed
    }
    pictures = {}
    for source in sources:
        given = source.kind == "reference" and references  # none given: the method paints its own
        picture = references[source.index].picture if given else shown.get(source.frame, opening)
        pictures[source] = np.array(Image.fromarray(picture[..., :3]).resize(size[::-1], Image.BILINEAR))
    return pictures


def _explanation_sheet(colored: Picture, point: tuple[int, int], maps: Mapping[Source, np.ndarray],
                       pictures: list[Picture]) -> Picture:
    tiles = {"the pixel": mark(colored, point)}
    for (source, values), picture in sorted(zip(maps.items(), pictures), key=lambda pair: -pair[0][1].sum()):
        tiles[f"{source}  {100 * values.sum():.0f} %"] = heat(values, picture)
    scale = max(1, round(320 / colored.shape[1]))
    return contact_sheet(tiles, columns=3, scale=scale)
