"""Reading a film file with PyAV, one frame at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from colorlab.files.errors import InputError
from colorlab.files.video.extras import HDR, hdr_of, marked
from colorlab.files.video.fields import deinterlaced, field_order
from colorlab.files.video.luma import luma_of
from colorlab.files.video.opening import open_film, picture_stream
from colorlab.files.video.pixels import MATRICES, Colors, Turn, colors_of, frame_to_rgb, turn_of
from colorlab.files.video.shots import Shot

# frames at a film's beginning that tell whether it is interlaced; some say it from their second scene on
LOOKED_AT = 60


class Stamp(NamedTuple):
    """When a frame is shown and for how long, in units of the film's `time_base`."""

    start: int
    duration: int


class Film:
    """A film file. Iterating gives its frames, uint8 (H, W, 3) RGB, upright, every one, as often as is
    wanted.

    Only the current frame is kept, so memory does not grow with length. The first frame is decoded
    immediately: an unreadable file is refused here, in one line.
    """

    path: Path
    size: tuple[int, int]    # (H, W) of the frames given, after any turn
    stored: tuple[int, int]  # (H, W) as stored
    frames: int | None       # how many, as the file's header tells; None where it does not. count() is exact
    rate: Fraction           # frames per second, on average
    time_base: Fraction      # seconds per unit of time stamps
    pixel_aspect: Fraction   # width / height of a pixel as shown
    colors: Colors           # what the stored numbers mean
    turn: Turn               # how stored frames are turned to stand upright
    pix_fmt: str             # FFmpeg's name for how pixels are stored
    hdr: HDR | None          # the screen that an HDR10 film was made for
    marked: tuple[str, ...]  # what else its pictures carry, in words
    alpha: bool              # whether it is transparent somewhere
    deinterlace: bool        # whether each frame of two fields is made one progressive picture as it is read

    def __init__(self, path: Path, deinterlace: bool = False):
        self.path, self.deinterlace = path, deinterlace
        with self._opened() as (container, stream):
            first = next(self._decoded(container, stream), None)
            if first is None:
                raise InputError(
                    f"{path} holds no frame that can be decoded: it is empty or cut short; copy it again")
            self.colors, self.turn = colors_of(first), turn_of(first)
            if self.colors.matrix not in MATRICES:
                raise InputError(
                    f"{path} stores colours with matrix {self.colors.matrix} of H.273, which is not "
                    f"read here; convert it first: ffmpeg -i {path} -vf scale=out_color_matrix=bt709 "
                    "converted.mkv")
            self.stored = first.height, first.width
            self.size = self.stored[::-1] if self.turn.transpose else self.stored
            self.pix_fmt = first.format.name
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 24)
            self.time_base = Fraction(stream.time_base)
            aspect = Fraction(stream.codec_context.sample_aspect_ratio or 0) or Fraction(1)
            self.pixel_aspect = 1 / aspect if self.turn.transpose else aspect
            self.frames = stream.frames or None
            self.hdr, self.marked = hdr_of(first), marked(first)
            self.alpha = stream.metadata.get("alpha_mode") == "1" or any(
                part.is_alpha for part in first.format.components
            )

    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames, uint8 (H, W, 3). Raises InputError where the file turns out damaged or cut short."""
        return self.frames_from(0)

    def frames_from(self, first: int) -> Iterator[np.ndarray]:
        """The frames from number `first` on; those before it are decoded, as films are not sought in exactly,
        but not converted."""
        reformatter = VideoReformatter()
        for number, frame in enumerate(self._frames()):
            if number >= first:
                yield self.turn.apply(frame_to_rgb(frame, self.colors, reformatter))

    def shots_from(self, first: int) -> Iterator[Shot]:
        """The same as pictures of all the bits that the film stores, with its luma."""
        reformatter = VideoReformatter()
        for number, frame in enumerate(self._frames()):
            if number >= first:
                luma = luma_of(frame, self.colors, reformatter)
                yield Shot(self.turn.apply(frame_to_rgb(frame, self.colors, reformatter, deep=True)),
                           luma and luma._replace(codes=self.turn.apply(luma.codes)))

    @cached_property
    def fields(self) -> str:
        """Of which fields its frames are made: tff or bff for top or bottom field first, "" for a progressive
        film, as its first frames say."""
        return "" if self.deinterlace else self.flagged

    @cached_property
    def flagged(self) -> str:
        """The field order of the file, whether or not it is deinterlaced on reading."""
        with self._opened() as (container, stream):
            try:
                return next(
                    filter(None, map(field_order, islice(self._decoded(container, stream), LOOKED_AT))), "")
            except InputError:  # damage in those frames is reported when they are read
                return ""

    def stamps(self) -> Iterator[Stamp]:
        """When each frame is shown, in order, by decoding without converting; strictly growing."""
        step = max(1, round(1 / self.rate / self.time_base))
        start = None
        for frame in self.stored_frames():
            earliest = 0 if start is None else start + 1
            given = (0 if start is None else start + step) if frame.pts is None else frame.pts
            start = given if start is None else max(given, earliest)
            yield Stamp(start, frame.duration or step)

    def count(self) -> int:
        """How many packets of pictures the file holds, without decoding: its number of frames, where none is
        damaged.

        Raises InputError when the file is damaged or cut short, so that it is not found out after hours of
        work.
        """
        with self._opened() as (container, stream):
            return sum(packet.size > 0 for packet in self._packets(container, stream))

    def packet_times(self) -> list[int]:
        """When each frame is shown, in units of `time_base`, growing, without decoding; frames that say
        nothing of it are passed over."""
        with self._opened() as (container, stream):
            return sorted(packet.pts
                          for packet in self._packets(container, stream)
                          if packet.size and packet.pts is not None)

    def stored_frames(self) -> Iterator[av.VideoFrame]:
        """Every frame as it is stored, fields and all; a film that changes its size on the way is an
        InputError."""
        with self._opened() as (container, stream):
            for n, frame in enumerate(self._decoded(container, stream)):
                if (frame.height, frame.width) != self.stored:
                    raise InputError(
                        f"{self.path} changes its size at frame {n}, from "
                        f"{self.stored[1]}x{self.stored[0]} to {frame.width}x{frame.height}; split it there")
                yield frame

    def _frames(self) -> Iterator[av.VideoFrame]:
        """Every frame to be given."""
        return deinterlaced(self.stored_frames(), bool(
            self.flagged)) if self.deinterlace else self.stored_frames()

    @contextmanager
    def _opened(self) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
        container = open_film(self.path)
        try:
            stream = picture_stream(container)
            if stream is None or stream.codec_context is None:
                kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
                raise InputError(
                    f"{self.path} holds no pictures that can be decoded, only: {kinds}; give a film "
                    "or a folder of frames")
            stream.thread_type = "AUTO"
            yield container, stream
        finally:
            container.close()

    def _packets(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
        """The packets of pictures, then an empty one, which makes a decoder give out the frames it holds
        back.

        Raises InputError where one is damaged, or fewer came than the header promises: a Matroska file that
        was cut ends without an error.
        """
        n, end = 0, 0.0
        try:
            for packet in container.demux(stream):
                # common in broadcast recordings
                if packet.is_corrupt and container.format.name != "mpegts":
                    raise InputError(self._damaged(n))
                n += 1
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                yield packet
        except av.FFmpegError as error:
            raise InputError(self._damaged(n)) from error
        promised = _stated_end(container, stream)
        if promised is not None and end < promised - max(0.1, 2 / float(stream.average_rate or 24)):
            raise InputError(f"{self.path} is damaged or cut short: its pictures end at {end:.2f} s of "
                             f"{promised:.2f} s; copy it again, or keep what there is: ffmpeg -i {self.path} "
                             "-c copy rescued.mkv")

    def _decoded(self, container: av.container.InputContainer,
                 stream: av.VideoStream) -> Iterator[av.VideoFrame]:
        n = 0
        for packet in self._packets(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                raise InputError(self._damaged(n)) from error
            n += len(frames)
            yield from frames

    def _damaged(self, n: int) -> str:
        return (f"{self.path} is damaged or cut short near frame {n}; copy it again, or keep what "
                f"can be decoded: ffmpeg -i {self.path} -c:v ffv1 -c:a copy rescued.mkv")


def _stated_end(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """The second at which the pictures end according to the header, where a header tells."""
    kind = container.format.name
    if stream.duration is not None and ("mov" in kind or "avi" in kind):
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if "matroska" in kind:
        if "DURATION" in stream.metadata:
            return _seconds(stream.metadata["DURATION"])
        if container.duration is not None and len(container.streams) == 1:
            return container.duration / av.time_base
    return None


def _seconds(clock: str) -> float | None:
    """"01:02:03.5" in seconds; None for what is no time, which any program may have written there."""
    if not (found := re.fullmatch(r"(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d*)?)", clock.strip())):
        return None
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
