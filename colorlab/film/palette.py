"""A palette as a weak reference: swatches that say which colours occur, but not where.

A scene without a picture of its own gets its first frame coloured by lightness alone: each lightness takes
the colour of the swatch with that lightness, interpolated between swatches. The method propagates that like a
painted picture. It sets a mood and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from colorlab.color import (fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab,
                            split_lab)
from colorlab.files.errors import InputError
from colorlab.film.references import Given, Guidance, Picture

MOST = 16         # swatches taken of a picture
STRENGTH = 0.8    # factor on a swatch's colour: between swatches, lightness alone is a poor guide


def read_palette(text: str) -> np.ndarray:
    """#RRGGBB,#RRGGBB,... or a picture of swatches -> (N, 3) uint8 RGB."""
    if re.fullmatch(r"#[0-9a-fA-F]{6}(\s*,\s*#[0-9a-fA-F]{6})*", text.strip()):
        return np.array([[int(color[at:at + 2], 16)
                          for at in (1, 3, 5)]
                         for color in re.findall(r"#\w{6}", text)], np.uint8)
    if not Path(text).is_file():
        raise InputError(
            f"--palette {text}: give colours such as '#7a5c3e,#9fb4c7', or a picture of swatches")
    from colorlab.files.video import read_image

    few = Image.fromarray(read_image(text)).quantize(MOST, Image.Quantize.MEDIANCUT).convert("RGB")
    return np.unique(np.asarray(few).reshape(-1, 3), axis=0)


def painted(frame: Picture, palette: np.ndarray) -> Picture:
    """A frame (H, W, 3) uint8 with the colours of a palette (N, 3) and unchanged lightness."""
    swatches = rgb_to_lab(frames_to_rgb(palette[None]))[:, 0]                     # (3, N)
    order = swatches[0].argsort()
    light, ab = swatches[0][order].numpy(), swatches[1:, order].numpy() * STRENGTH
    l, _ = split_lab(rgb_to_lab(frames_to_rgb(frame)))                            # (1, H, W)
    # Black and white have no colour, whatever the darkest and the lightest swatch are.
    known = np.concatenate(([0.0], light, [100.0]))
    planes = [np.interp(l[0].numpy(), known, np.concatenate(([0.0], plane, [0.0]))) for plane in ab]
    return rgb_to_frames(lab_to_rgb(fit_gamut(join_lab(l, torch.from_numpy(np.stack(planes)).to(l)))))


def with_palette(guidance: Guidance, frames: Iterable[Picture], palette: np.ndarray) -> Guidance:
    """The guidance with a painted first frame for each scene without a picture of its own; loose pictures, if
    given, take precedence."""
    if any(given.frame is None for given in guidance.references):
        return guidance
    bare = {start for start in (0, *guidance.cuts) if not guidance.own(start)}
    new = tuple(
        Given(number, painted(frame, palette))
        for number, frame in _up_to(frames, max(bare, default=-1))
        if number in bare)
    return replace(guidance, references=guidance.references + new)


def _up_to(frames: Iterable[Picture], last: int) -> Iterable[tuple[int, Picture]]:
    if last >= 0:
        for number, frame in enumerate(frames):
            yield number, frame
            if number == last:
                return
