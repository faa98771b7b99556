"""The output of a long job, written in whole segments: a film file, or a folder of frames.

A track is kept in a hidden folder until all its segments are there; then it becomes the output in one step. A
segment that was started but not finished is started again, so a track can be resumed after any interruption.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain, count, islice, repeat
from pathlib import Path

import numpy as np
from PIL import Image

from colorlab.files.errors import InputError
from colorlab.files.video import Film, Folder, is_folder_name
from colorlab.files.video.encode import Encoder, check_streams, stamps_of
from colorlab.files.video.folder import save_picture
from colorlab.files.video.names import check_names
from colorlab.files.video.segments import join_segments
from colorlab.files.video.shots import Shot, eight_bits

MARK = "colorlab-job"  # PNG text chunk with the job that made it


def open_track(folder: Path, output: Path, like: Film | Folder, rate: Fraction, copied: bool,
               lossless: bool = False, mark: str = "") -> FilmTrack | FolderTrack:
    """The track for an output, its segments in `folder`; raises InputError where the output cannot hold the
    streams of `like`.

    mark: identifies a folder of frames afterwards (`made_by`).
    """
    folder.mkdir(exist_ok=True)
    if is_folder_name(output):
        return FolderTrack(folder, output, like, mark)
    return FilmTrack(folder, output, like, rate, copied, lossless)


class FilmTrack:
    """An unfinished film file. `copied`: the sound and all other streams of `like` are copied."""

    def __init__(self, folder: Path, output: Path, like: Film | Folder, rate: Fraction, copied: bool,
                 lossless: bool):
        self.folder, self.output, self.copied, self.lossless = folder, output, copied, lossless
        self.rate = Fraction(rate).limit_denominator(1001)
        self.size = (*like.size, 3)
        self.like = like if isinstance(like, Film) else None
        check_streams(folder / f"probe{output.suffix}", self.size, self.like, self.rate, copied, lossless)
        self.encoder: Encoder | None = None

    def go_on(self, segments: int, frames: int) -> None:
        """Start, or resume, after this many whole segments with this many frames in total."""
        self.number = segments
        self.stamps = islice(stamps_of(self.like, self.rate), frames, None)

    def write(self, frames: np.ndarray, sources: Sequence[Shot] | None = None) -> None:
        """Add frames, (T, H, W, 3) uint8 or uint16, to the segment. sources: the frames they were coloured
        from, whose luma is kept."""
        if self.encoder is None:
            self.encoder = Encoder(self._part(), self.size, self.like, self.rate, self.stamps, copied=False,
                                   segment_of=self.output.suffix, lossless=self.lossless)
        for frame, source in zip(frames, sources or repeat(None)):
            self.encoder.write(frame, source)

    def end_segment(self) -> tuple[Path, ...]:
        """Finish the segment; return its files."""
        encoder, self.encoder = self.encoder, None
        encoder.__exit__(None)
        self._part().replace(self._segment(self.number))
        self.number += 1
        return (self._segment(self.number - 1),)

    def abandon(self) -> None:
        """Discard the current segment."""
        if self.encoder is not None:
            self.encoder.stack.close()
            self.encoder = None

    def finish(self, frames: int) -> None:
        """Join the segments, with this many frames in total, into the output."""
        join_segments(self.output, [self._segment(n) for n in range(self.number)], self.like, self.rate,
                      self.copied, self.lossless, frames)

    def _segment(self, number: int) -> Path:
        return self.folder / f"{number:06d}.nut"

    def _part(self) -> Path:
        return self.folder / "part.nut"


class FolderTrack:
    """An unfinished folder of PNG frames, named like the source frames if those have names."""

    def __init__(self, folder: Path, output: Path, like: Film | Folder, mark: str):
        self.folder, self.output, self.like, self.mark = folder, output, like, mark
        if isinstance(like, Folder):
            check_names(like.files, lambda file: file.stem,
                        "would be one file, {name}.png, on the disk of the output; rename one of them",
                        folder)
        (folder / "frames").mkdir(exist_ok=True)
        self.written: list[Path] = []  # of the current segment

    def go_on(self, segments: int, frames: int) -> None:
        given = (file.stem for file in self.like.files) if isinstance(self.like, Folder) else ()
        self.names: Iterator[str] = islice(chain(given, (f"{n:05d}" for n in count())), frames, None)

    def write(self, frames: np.ndarray, sources: Sequence[Shot] | None = None) -> None:
        for frame in frames:
            self.written.append(self.folder / "frames" / f"{next(self.names)}.png")
            save_picture(self.written[-1], eight_bits(frame), {MARK: self.mark} if self.mark else {})

    def end_segment(self) -> tuple[Path, ...]:
        """A frame is a file, so there is nothing to finish; return the files."""
        files, self.written = tuple(self.written), []
        return files

    def abandon(self) -> None:
        """Nothing to discard, either."""

    def finish(self, frames: int) -> None:
        """Rename the folder to the output, unless an interrupted run has done so."""
        if self.mark and made_by(self.output) == self.mark:
            return
        if (found := len(list((self.folder / "frames").iterdir()))) != frames:
            raise InputError(f"cannot write {self.output}: there are {found} files for {frames} frames in "
                             f"{self.folder}; remove it and begin anew")
        if self.output.is_dir():
            self.output.rmdir()  # empty, as check_output ensured; not every system can rename over a folder
        os.replace(self.folder / "frames", self.output)


def made_by(folder: Path) -> str | None:
    """The mark of the job that made a folder of frames; None for any other folder."""
    files = sorted(folder.glob("*.png")) if folder.is_dir() else []
    marks = {mark_of(file) for file in (files[0], files[-1])} if files else set()
    return marks.pop() if len(marks) == 1 else None


def mark_of(picture: Path) -> str | None:
    """The mark of the job that made a frame; None for any other picture."""
    try:
        with Image.open(picture, formats=("PNG",)) as opened:
            return opened.info.get(MARK)
    except Exception:  # whatever Pillow raises for a foreign file
        return None
