"""What a long job writes, in whole segments: a film file, or a folder of frames.

A track lives in a hidden folder until all its segments are there; then it becomes the output in one go. A segment that was
begun and not ended is begun again, so a track can go on after any interruption.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain, count, islice, repeat
from pathlib import Path

import numpy as np

from colorlab.video import Film, Folder, is_folder_name
from colorlab.video.encode import Encoder, check_streams, stamps_of
from colorlab.video.folder import save_picture
from colorlab.video.names import check_names
from colorlab.video.segments import join_segments
from colorlab.video.shots import Shot, eight_bits


def open_track(folder: Path, output: Path, like: Film | Folder, rate: Fraction, copied: bool, lossless: bool = False) -> FilmTrack | FolderTrack:
    """The track for an output, its segments in `folder`; raises InputError where the output cannot hold the streams of `like`."""
    folder.mkdir(exist_ok=True)
    if is_folder_name(output):
        return FolderTrack(folder, output, like)
    return FilmTrack(folder, output, like, rate, copied, lossless)


class FilmTrack:
    """A film file in the making. `copied`: the sound and all else of `like` comes along."""

    def __init__(self, folder: Path, output: Path, like: Film | Folder, rate: Fraction, copied: bool, lossless: bool):
        self.folder, self.output, self.copied, self.lossless = folder, output, copied, lossless
        self.rate = Fraction(rate).limit_denominator(1001)
        self.size = (*like.size, 3)
        self.like = like if isinstance(like, Film) else None
        check_streams(folder / f"probe{output.suffix}", self.size, self.like, self.rate, copied, lossless)
        self.encoder: Encoder | None = None

    def go_on(self, segments: int, frames: int) -> None:
        """Begin, or begin again, after so many whole segments with so many frames in all."""
        self.number = segments
        self.stamps = islice(stamps_of(self.like, self.rate), frames, None)

    def write(self, frames: np.ndarray, sources: Sequence[Shot] | None = None) -> None:
        """Add frames, (T, H, W, 3) uint8 or uint16, to the segment. sources: what they were coloured from, whose luma is kept."""
        if self.encoder is None:
            self.encoder = Encoder(self._part(), self.size, self.like, self.rate, self.stamps, copied=False, segment_of=self.output.suffix,
                                   lossless=self.lossless)
        for frame, source in zip(frames, sources or repeat(None)):
            self.encoder.write(frame, source)

    def end_segment(self) -> None:
        encoder, self.encoder = self.encoder, None
        encoder.__exit__(None)
        settle(self._part(), self._segment(self.number))
        self.number += 1

    def abandon(self) -> None:
        """Give up the segment in the making."""
        if self.encoder is not None:
            self.encoder.stack.close()
            self.encoder = None

    def finish(self) -> None:
        """Join the segments into the output."""
        join_segments(self.output, [self._segment(n) for n in range(self.number)], self.like, self.rate, self.copied,
                      self.lossless)

    def _segment(self, number: int) -> Path:
        return self.folder / f"{number:06d}.nut"

    def _part(self) -> Path:
        return self.folder / "part.nut"


class FolderTrack:
    """A folder of PNG frames in the making, with the names of the frames it is made from where those have names."""

    def __init__(self, folder: Path, output: Path, like: Film | Folder):
        self.folder, self.output, self.like = folder, output, like
        if isinstance(like, Folder):
            check_names(like.files, lambda file: file.stem, "would be one file, {name}.png, on the disk of the output; rename one of them", folder)
        (folder / "frames").mkdir(exist_ok=True)

    def go_on(self, segments: int, frames: int) -> None:
        given = (file.stem for file in self.like.files) if isinstance(self.like, Folder) else ()
        self.names: Iterator[str] = islice(chain(given, (f"{n:05d}" for n in count())), frames, None)

    def write(self, frames: np.ndarray, sources: Sequence[Shot] | None = None) -> None:
        for frame in frames:
            save_picture(self.folder / "frames" / f"{next(self.names)}.png", eight_bits(frame))

    def end_segment(self) -> None:
        """A frame is a file, so there is nothing to end."""

    def abandon(self) -> None:
        """Nor to give up."""

    def finish(self) -> None:
        if self.output.is_dir():
            self.output.rmdir()  # empty, as check_output saw to; not every system renames over a folder
        os.replace(self.folder / "frames", self.output)


def settle(part: Path, whole: Path) -> None:
    """Give a file that is written its name, once it is on the disk for certain."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, whole)
