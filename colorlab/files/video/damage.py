"""Measuring how much of a film file is damaged, before it is coloured or scored.

FFmpeg conceals what it cannot decode and continues: the pictures are wrong, and only its log says so. Here
the film is decoded once, and the errors reported in the log and in the frames are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import av
import av.logging

from colorlab.files.video.film import Film
from colorlab.files.video.opening import open_film, picture_stream

SKIPPED_ON_PURPOSE = ("mpeg4",)  # codecs whose files may hold packets without a picture


class Damage(NamedTuple):
    """The damage in a film's pictures."""

    errors: int          # places where something cannot be decoded as it should
    first: int | None    # the frame near which the first of them is
    lost: int            # packets that gave no frame

    def __bool__(self) -> bool:
        return bool(self.errors or self.lost)

    def said(self, film: Film) -> str:
        """One line: how much, and where it begins."""
        parts = [f"{self.errors} error{'s' * (self.errors > 1)} in its pictures, the first near "
                 f"frame {self.first}"] if self.errors else []
        parts += [f"{self.lost} frames cannot be decoded"] if self.lost else []
        return f"{film.path} is damaged: {' and '.join(parts)}"


def damage_of(film: Film, on_frame: Callable[[], object] = lambda: None) -> Damage:
    """Decode a film and count what is wrong. on_frame: called for each frame.

    Single-threaded: log messages from FFmpeg's own threads would need the GIL, whose holder may be waiting
    for them (a deadlock).
    """
    errors, first, frames, packets, kind = 0, None, 0, 0, ""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as messages, closing(open_film(film.path)) as container:
            stream, told = picture_stream(container), len(messages)
            stream.thread_type, stream.codec_context.thread_count, kind = "NONE", 1, stream.codec_context.name
            for packet in container.demux(stream):
                packets += packet.size > 0 and not packet.is_discard
                decoded, broken = _decoded(packet)
                if broken or len(messages) > told or any(frame.is_corrupt for frame in decoded):
                    errors, first, told = errors + 1, frames if first is None else first, len(messages)
                frames += len(decoded)
                for _ in decoded:
                    on_frame()
    except av.FFmpegError:  # reading reports that itself
        errors, first = errors + 1, frames if first is None else first
    finally:
        av.logging.set_level(level)
    fields_apart = frames * 2 - 2 <= packets  # some files store each field of an interlaced frame separately
    lost = 0 if errors or fields_apart or kind in SKIPPED_ON_PURPOSE else max(0, packets - frames)
    return Damage(errors, first, lost)


def _decoded(packet: av.Packet) -> tuple[list[av.VideoFrame], bool]:
    try:
        return packet.decode(), False
    except av.FFmpegError:
        return [], True
