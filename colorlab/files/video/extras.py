"""A film's contents beside pictures, sound and subtitles, and which of them another film file can hold."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.stream import Disposition

from colorlab.files.video.opening import open_film

WITH_COVER = (".mp4", ".m4v", ".mkv")             # in Matroska as an attached file
WITH_TIMECODE = (".mp4", ".m4v", ".mov", ".mkv")  # in Matroska as a tag
# frames a second that a timecode can count; 23.976 and similar rounded up
COUNTED = (24, 25, 30, 48, 50, 60, 100, 120)
SIDE_DATA = {
    Type.A53_CC: "closed captions in the pictures", Type.DYNAMIC_HDR_PLUS: "HDR10+ data",
    Type.DOVI_RPU_BUFFER: "Dolby Vision data", Type.DOVI_METADATA: "Dolby Vision data",
    Type.SPHERICAL: "the tags of a 360 degree film", Type.STEREO3D: "the tags of a 3D film",
    Type.ICC_PROFILE: "a colour profile in the pictures"
}


class HDR(NamedTuple):
    """HDR10 metadata: mastering display and content light level."""

    # x and y of red, green, blue and white in 1/50000, then least and most light in 1/10000 cd/m²
    display: tuple[int, ...] | None
    light: tuple[int, int] | None  # most light of a pixel and of a frame's mean, in cd/m²

    def for_x264(self) -> str:
        """As settings of x264, which writes them into the pictures."""
        parts = []
        if self.display:
            rx, ry, gx, gy, bx, by, wx, wy, low, high = self.display
            parts.append(
                f"mastering-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({high},{low})")
        if self.light:
            parts.append(f"cll={self.light[0]},{self.light[1]}")
        return ":".join(parts)


def hdr_of(frame: av.VideoFrame) -> HDR | None:
    """HDR10's data of a decoded frame, None where there are none."""
    found = {data.type: np.frombuffer(bytes(data), np.int32).tolist() for data in _side_data(frame)
             if data.type in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)}
    display, light = found.get(Type.MASTERING_DISPLAY_METADATA), found.get(Type.CONTENT_LIGHT_LEVEL)
    if display is not None and not (all(display[-2:]) and all(display[1:20:2])):  # marked as not known
        display = None
    if display is None and light is None:
        return None
    numbers = [
        round(Fraction(n, d) * (50000 if place < 8 else 10000))
        for place, (n, d) in enumerate(zip(display[0:20:2], display[1:20:2]))
    ] if display else None
    return HDR(numbers and tuple(numbers), light and (light[0], light[1]))


def marked(frame: av.VideoFrame) -> tuple[str, ...]:
    """Other side data of a decoded frame that new frames lack, as text."""
    return tuple(dict.fromkeys(SIDE_DATA[data.type] for data in _side_data(frame) if data.type in SIDE_DATA))


def _side_data(frame: av.VideoFrame) -> list:
    return [frame.side_data[number] for number in range(len(frame.side_data))]


def covers(container: av.container.InputContainer) -> list[av.VideoStream]:
    """The still pictures that go with a film."""
    return [stream for stream in container.streams.video if stream.disposition & Disposition.attached_pic]


def counts_timecode(suffix: str, rate: Fraction) -> bool:
    """Whether a film of this suffix and rate can begin with a timecode."""
    whole = round(rate)
    return (
        suffix.lower() in WITH_TIMECODE and whole in COUNTED and rate in (whole, Fraction(whole * 1000, 1001))
    )


def left_out(container: av.container.InputContainer, pictures: av.VideoStream, suffix: str,
             rate: Fraction) -> list[str]:
    """Which streams of a film another of this suffix will lack, in words; sound, subtitles and attachments
    come along or are refused."""
    left = []
    for stream in container.streams:
        if stream.type == "video" and stream.disposition & Disposition.attached_pic:
            if suffix.lower() not in WITH_COVER:
                left.append("the cover")
        elif stream.type == "video" and stream.index != pictures.index:
            left.append(f"a second stream of pictures ({_codec(stream)})")
        elif stream.type == "data":
            if "timecode" in {key.lower() for key in stream.metadata}:
                left += [] if counts_timecode(suffix, rate) else ["the timecode"]
            else:
                left.append(f"a data stream ({_name(stream)})")
        elif stream.type not in ("video", "audio", "subtitle", "attachment"):
            left.append(f"a stream of an unknown kind ({_name(stream)})")
    return left


def streams_of(path: Path) -> str:
    """A film's streams in words, in their order: h264 pictures, aac sound eng, ..."""
    words = {
        "video": "pictures", "audio": "sound", "subtitle": "subtitles", "attachment": "attached file",
        "data": "data"
    }
    with open_film(path) as container:
        parts = []
        for stream in container.streams:
            what = "cover" if stream in covers(container) else words.get(stream.type, stream.type)
            language = stream.metadata.get("language", "").replace("und", "")
            parts.append(" ".join(
                filter(None, (_codec(stream) if stream.codec_context else "", what, language))))
        return ", ".join(parts + ([f"{len(container.chapters())} chapters"] if container.chapters() else []))


def _codec(stream: av.stream.Stream) -> str:
    return stream.codec_context.name if stream.codec_context else "unknown"


def _name(stream: av.stream.Stream) -> str:
    return stream.metadata.get("handler_name") or stream.metadata.get("title") or _codec(stream)


def cover_name(stream: av.VideoStream, number: int) -> tuple[str, str]:
    """(file name, kind) of a cover as an attached file of Matroska."""
    kind = "png" if _codec(stream) == "png" else "jpg"
    return f"cover{number or ''}.{kind}", f"image/{'png' if kind == 'png' else 'jpeg'}"


def cover_data(path: Path, index: int) -> bytes:
    """The cover's file."""
    with open_film(path) as container:
        return next((bytes(packet) for packet in container.demux(container.streams[index]) if packet.size),
                    b"")
