"""Recolour a stretch of a finished film with its own references; the rest of the film is unchanged.

In a folder of frames the stretch's pictures are replaced. In a film file, pictures depend on those before
them back to the last key frame, so everything from the key frame at or before the stretch to the next one
after it is re-encoded; frames in that range but outside the stretch are decoded and encoded again without
conversion to RGB. All other packets are copied.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import torch
from torch import nn

from colorlab.files.errors import InputError
from colorlab.files.locks import alone
from colorlab.files.video import Film, Folder, is_folder_name
from colorlab.files.video.encode import Encoder, stamps_of
from colorlab.files.video.folder import save_picture
from colorlab.files.video.opening import open_film, picture_stream
from colorlab.files.video.segments import groups_of, join, segment_packets
from colorlab.files.video.shots import Shot, eight_bits
from colorlab.files.atomic import NO_ROOM, room_for, scratch, to_disk, atomically
from colorlab.film.colorize import colored_blocks
from colorlab.film.output import MARK, mark_of
from colorlab.film.references import Cuts, Pictures, guide
from colorlab.film.job import work_folder


@dataclass(frozen=True)
class Stretch:
    """Frames `first` to `last` of a film, both included, as a film of their own."""

    film: Film | Folder
    first: int
    last: int

    def __iter__(self) -> Iterator[np.ndarray]:
        return islice(self.film.frames_from(self.first), self.last - self.first + 1)

    def shots(self) -> Iterator[Shot]:
        return islice(self.film.shots_from(self.first), self.last - self.first + 1)


@dataclass(frozen=True)
class Manner:
    """Settings for colouring the stretch."""

    model: nn.Module
    size: int | None
    device: torch.device
    saturation: float = 1.0
    lossless: bool = False
    rate: Fraction | float = 24.0
    precision: str = "float32"


def recolor(stretch: Stretch, output: Path, references: Pictures, cuts: Cuts, manner: Manner,
            on_frames: Callable[[int], None] = lambda n: None) -> None:
    """Put the stretch's new colours into the finished film `output`, atomically.

    references, cuts: frame numbers count from the stretch's first. on_frames: called with the number of
    frames just coloured. Raises InputError if `output` is not a coloured version of the film that can be
    changed in part.
    """
    guidance = guide(stretch, references, cuts)

    def colored() -> Iterator[tuple[np.ndarray, Shot]]:
        waiting: list[Shot] = []

        def pictures() -> Iterator[np.ndarray]:
            for shot in stretch.shots():
                waiting.append(shot)
                yield shot.rgb

        for block in colored_blocks(
            pictures(),
            guidance,
            manner.model.to(manner.device),
            manner.size,
            manner.device,
            saturation=manner.saturation,
            fields=stretch.film.fields,
            precision=manner.precision,
        ):
            for frame in block.frames:
                yield frame, waiting.pop(0)
            on_frames(len(block.frames))

    with _held(output), room_for(output):
        try:
            if is_folder_name(output):
                _into_folder(stretch, output, colored())
            else:
                _into_film(stretch, output, colored(), manner)
        except av.FFmpegError as error:
            raise InputError(
                f"cannot write {output}: "
                f"{error.strerror}{'; make room on its disk' if error.errno in NO_ROOM else ''}") from error


@contextmanager
def _held(output: Path) -> Iterator[None]:
    """Lock the output against other runs, whether they colour it whole or in part."""
    folder = work_folder(output)
    folder.mkdir(exist_ok=True)
    with alone(folder / "lock", folder, "wait for it"):
        try:
            yield
        finally:
            # otherwise an interrupted run would resume from these files
            if all(entry.name == "lock" for entry in folder.iterdir()):
                shutil.rmtree(folder)


def _into_folder(stretch: Stretch, output: Path, colored: Iterator[tuple[np.ndarray, Shot]]) -> None:
    from colorlab.files.video import read_video

    finished = read_video(output)
    if finished.count() != stretch.film.count():
        raise InputError(f"{output} has {finished.count()} pictures and the film {stretch.film.count()} "
                         "frames; colour it whole first")
    files = finished.files[stretch.first : stretch.last + 1]
    with scratch(output) as folder:
        for file, (frame, _) in zip(files, colored, strict=True):
            mark = mark_of(file)  # keep the mark of the job that made the folder
            save_picture(folder / file.name, eight_bits(frame), {MARK: mark} if mark else {})
        to_disk(folder)
        for file in files:
            os.replace(folder / file.name, file)


def _into_film(stretch: Stretch, output: Path, colored: Iterator[tuple[np.ndarray, Shot]],
               manner: Manner) -> None:
    film = stretch.film if isinstance(stretch.film, Film) else None
    finished, rate = Film(output), Fraction(manner.rate).limit_denominator(1001)
    keys = _checked_keys(finished, stretch.film.count(), film, rate, manner.lossless)
    start = max(key for key in keys if key <= stretch.first)
    stop = min((key for key in keys if key > stretch.last), default=keys[-1])
    with scratch(output) as folder:
        part = folder / "part.nut"
        with Encoder(part, (*stretch.film.size, 3), film, rate, islice(stamps_of(film, rate), start, None),
                     copied=False, segment_of=output.suffix, lossless=manner.lossless) as encoder:
            for number, frame in enumerate(islice(finished.stored_frames(), start, stop), start):
                if stretch.first <= number <= stretch.last:
                    encoder.write(*next(colored))
                else:
                    encoder.write_stored(frame)

        def groups() -> Iterator[list[av.Packet]]:
            number = 0
            for group in groups_of(output):
                if number == start:
                    yield segment_packets(part)
                if not start <= number < stop:
                    yield group
                number += len(group)

        with atomically(output) as temporary:
            join(temporary, groups, (*stretch.film.size, 3), film, rate, copied=True,
                 lossless=manner.lossless)


def _checked_keys(finished: Film, count: int, film: Film | None, rate: Fraction, lossless: bool) -> list[int]:
    """The numbers of the key frames, followed by the number of frames; InputError if the film was not made by
    colorlab."""
    keys, number = [], 0
    for group in groups_of(finished.path):
        keys.append(number)
        number += len(group)
    if number != count:
        raise InputError(f"{finished.path} has {number} frames and the film {count}; colour it whole first")
    with scratch(finished.path) as folder:
        probe = folder / f"probe{finished.path.suffix}"
        with Encoder(probe, (*finished.size, 3), film, rate, lossless=lossless, copied=False) as encoder:
            encoder.write_stored(next(finished.stored_frames()))
        if _header(probe) != _header(finished.path):
            raise InputError(f"{finished.path} was not made by this version of colorlab with the same "
                             "settings, so no part of it can be exchanged; colour it whole")
    return keys + [number]


def _header(path: Path) -> Mapping[str, object]:
    with open_film(path) as container:
        context = picture_stream(container).codec_context
        return {"codec": context.name, "size": (context.width, context.height), "format": context.pix_fmt,
                "extradata": bytes(context.extradata or b"")}
