"""Writing a film file with PyAV, one frame at a time, like another film where one is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain, count
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from colorlab.files.errors import InputError
from colorlab.files.video.copied import Copied, name_like
from colorlab.files.video.extras import left_out as streams_left_out
from colorlab.files.video.fields import ORDERS, marked_as
from colorlab.files.video.film import Film, Stamp
from colorlab.files.video.luma import keep_luma
from colorlab.files.video.opening import ANY_TAGS, open_film, picture_stream
from colorlab.files.video.pixels import BT709, RGB, Colors, Turn, guessed_matrix, rgb_to_frame
from colorlab.files.video.shots import Shot
from colorlab.files.atomic import check_writable, atomically

# suffix -> container, encoder and its settings: a quality at which the eye sees no loss, for any length of
# film Without mbtree: where a side is no multiple of 16 it makes other bytes on each run (seen with FFmpeg
# 8's x264).
X264 = ("libx264", {"crf": "12", "preset": "fast", "x264-params": "mbtree=0"})
VP9 = ("libvpx-vp9", {"crf": "20", "b": "0", "row-mt": "1", "deadline": "good", "cpu-used": "4"})
# as in archives: intra-only, with checksums
FFV1 = ("ffv1", {"level": "3", "g": "1", "slicecrc": "1"})
# bits that an encoder here writes
DEPTHS = {"libx264": (8, 10), "libvpx-vp9": (8,), "ffv1": (8, 10, 12, 14, 16)}
LOSSLESS = (".mkv",)
FORMATS = {
    ".mp4": ("mp4", *X264), ".m4v": ("mp4", *X264), ".mov": ("mov", *X264), ".mkv": ("matroska", *X264),
    ".webm": ("webm", *VP9)
}


def write_film(path: Path, frames: Iterable[np.ndarray], like: Film | None, rate: Fraction) -> int:
    """Write (H, W, 3) uint8 RGB frames to a film file; returns how many. The file appears when it is
    complete.

    like: gives time stamps, colour tags, shape of a pixel, chapters, and its sound and subtitle streams
    packet for packet. Frames beyond its last continue at its rate. Matroska counts in milliseconds and from
    0: where sound begins before 0, as AAC in MP4 does, all streams move together. Without it: BT.709, limited
    range, `rate` frames per second.
    """
    check_writable(path)
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise InputError(f"cannot write {path}: there are no frames")
    with atomically(path) as temporary:
        try:
            with Encoder(temporary, _checked(first, first.shape, 0).shape, like, rate) as encoder:
                for written, frame in enumerate(chain((first,), frames), start=1):
                    encoder.write(_checked(frame, first.shape, written - 1))
        except av.FFmpegError as error:
            raise InputError(f"cannot write {path}: {error.strerror}; see that the disk has room") from error
    return written


class Encoder:
    """An open film file: `write` frames, then leave the `with` block, which finishes the file.

    stamps: when each frame is shown, where they are not those of `like` from its first on. copied: whether
    sound, subtitles, titles and chapters of `like` come along. segment_of: the suffix of a film of which this
    is to be a part: the file is then NUT, which keeps packets as the encoder makes them. lossless: FFV1, in
    .mkv, which keeps every code. An interlaced `like` gives an interlaced film.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], like: Film | None, rate: Fraction,
                 stamps: Iterator[Stamp] | None = None, copied: bool = True, segment_of: str | None = None,
                 lossless: bool = False):
        height, width, _ = shape
        container, codec, options = encoder_for(segment_of or path.suffix, lossless)
        self.fields = like.fields if like else ""
        options = options | interlaced_options(self.fields, codec, like)
        if like and like.hdr and codec == "libx264":
            options["x264-params"] += ":" + like.hdr.for_x264()
        self.colors = like_colors(like, height, width)
        self.pix_fmt = like_format(like, height, width, DEPTHS[codec])
        self.time_base = time_base_of(like, rate)
        self.stamps = stamps or stamps_of(like, rate)
        self.reformatter = VideoReformatter()
        with ExitStack() as stack:
            self.output = stack.enter_context(
                av.open(f"file:{path}", "w", format="nut" if segment_of else container, **ANY_TAGS))
            self.stream = self._picture_stream(
                codec,
                options,
                height,
                width,
                like.rate if like else rate,
                like.pixel_aspect if like else Fraction(1),
            )
            self.copied = (
                stack.enter_context(Copied(self.output, path.suffix, like)) if like and copied else None
            )
            if self.copied:
                name_like(self.stream, self.copied.pictures)
                if timecode := self.copied.timecode:
                    self.stream.metadata["timecode"] = timecode
            write_header(self.output, path.suffix, like)
            if self.copied:
                self.copied.mux_covers()
            self.stack = stack.pop_all()

    def _picture_stream(self, codec: str, options: dict[str, str], height: int, width: int, rate: Fraction,
                        pixel_aspect: Fraction) -> av.VideoStream:
        stream = self.output.add_stream(codec, rate=rate, options=options)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, self.pix_fmt
        context.time_base = self.time_base
        context.sample_aspect_ratio = pixel_aspect
        context.colorspace, context.color_range = self.colors.matrix, 2 if self.colors.full else 1
        context.color_primaries, context.color_trc = self.colors.primaries, self.colors.transfer
        return stream

    def write(self, rgb: np.ndarray, source: Shot | None = None) -> None:
        """Encode the next frame, (H, W, 3) uint8 or uint16 RGB; the copied streams keep pace with it.

        source: what the frame was coloured from. Its luma is kept, where the film has the same matrix.
        """
        frame = rgb_to_frame(rgb, self.pix_fmt, self.colors, self.reformatter, self.fields)
        if source is not None and source.luma is not None:
            keep_luma(frame, source.luma, rgb, source.rgb, self.colors)
        self._encode(frame)

    def write_stored(self, frame: av.VideoFrame) -> None:
        """Encode a decoded frame of a film that this encoder's settings made, as it is stored."""
        frame.pict_type = 0  # otherwise its old picture type would be kept
        self._encode(frame)

    def _encode(self, frame: av.VideoFrame) -> None:
        stamp = next(self.stamps)
        frame.pts, frame.time_base = stamp.start, self.time_base
        frame = marked_as(frame, self.fields)
        frame.duration = stamp.duration
        self.output.mux(self.stream.encode(frame))
        if self.copied:
            self.copied.until(float(stamp.start * self.time_base))

    def pass_on(self, packet: av.Packet) -> None:
        """Add a frame that an encoder of the same settings has made already, stamped in `time_base`; all
        frames of a film come so, or none."""
        packet.stream, packet.time_base, start = self.stream, self.time_base, packet.pts
        self.output.mux(packet)
        if self.copied:
            self.copied.until(float(start * self.time_base))

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self.stack:
            if kind is None:
                self.output.mux(self.stream.encode(None))
                if self.copied:
                    self.copied.until(float("inf"))


def encoder_for(suffix: str, lossless: bool) -> tuple[str, str, dict[str, str]]:
    """Container, encoder and its settings for a film of this suffix."""
    container, codec, options = FORMATS[suffix.lower()]
    if lossless and suffix.lower() not in LOSSLESS:
        raise InputError("a film without any loss is written as FFV1 in Matroska; give the output a name "
                         f"in {LOSSLESS[0]}, not {suffix}")
    return (container, *FFV1) if lossless else (container, codec, options)


def interlaced_options(fields: str, codec: str, like: Film | None) -> dict[str, str]:
    """What tells an encoder that frames are made of two fields; InputError where it does not know any."""
    if not fields:
        return {}
    if codec == "libvpx-vp9":
        raise InputError(f"{like.path} is interlaced and a .webm cannot be; deinterlace it "
                         "(--deinterlace), or give the output a name in .mkv or .mp4")
    if like.turn != Turn():
        raise InputError(f"{like.path} is interlaced and turned on its side, where fields are no lines; "
                         "deinterlace it (--deinterlace)")
    return {"field_order": ORDERS[fields], **({"flags": "+ildct+ilme"} if codec == "libx264" else {})}


def check_streams(path: Path, shape: tuple[int, ...], like: Film | None, rate: Fraction, copied: bool,
                  lossless: bool) -> None:
    """Raise InputError, before any work, where a film of this name cannot hold the streams of `like`. Writes
    to `path`, and removes it."""
    try:
        Encoder(path, shape, like, rate, iter(()), copied, lossless=lossless).stack.close()
    finally:
        path.unlink(missing_ok=True)


def left_out(like: Film, suffix: str, lossless: bool) -> list[str]:
    """What the coloured version of a film will lack, as text; empty if nothing."""
    _, codec, _ = encoder_for(suffix, lossless)
    with open_film(like.path) as container:
        left = streams_left_out(container, picture_stream(container), suffix, like.rate)
    if like.hdr and codec != "libx264":
        left.append("HDR10's mastering display and content light")
    left += like.marked
    left += ["transparency"] if like.alpha else []
    source, written = bits_in(like.pix_fmt), bits_in(like_format(like, *like.size, DEPTHS[codec]))
    return left + ([f"{source - written} of {source} bits"] if written < source else [])


def write_header(output: av.container.OutputContainer, suffix: str, like: Film | None) -> None:
    """Write the header now, so that a stream that the container cannot hold fails before any work."""
    try:
        output.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        streams = f" with the streams of {like.path}" if like else ""
        raise InputError(
            f"a {suffix} file{streams} cannot be written ({error}); give the output a name in .mkv"
        ) from error


def like_colors(like: Film | None, height: int, width: int) -> Colors:
    """The tags to write: the source's; for a source that stores RGB, YUV as players expect it at that
    size."""
    if like is None:
        return Colors(BT709, full=False, primaries=BT709, transfer=BT709)
    if like.colors.matrix == RGB:
        return like.colors._replace(matrix=guessed_matrix(height, width), full=False)
    return like.colors


def like_format(like: Film | None, height: int, width: int, depths: tuple[int, ...]) -> str:
    """The YUV format to write: colour as fine and numbers as deep as the source's, as far as the encoder
    goes.

    A 4:2:0 film has an even width and height; an odd one is written as 4:4:4, as no pixel may be lost. So it
    goes for the lines of each field.
    depths: the bits that the encoder writes, growing.
    """
    fmt = av.VideoFormat(like.pix_fmt, 16, 16) if like else av.VideoFormat("yuv420p", 16, 16)
    grey = len(fmt.components) < 3
    fine_x, fine_y = (False, False) if grey else (fmt.chroma_width(16) == 16, fmt.chroma_height(16) == 16)
    if fine_x or width % 2 or (height % 2 and not fine_y):
        sampling = "444"
    else:
        sampling = "422" if fine_y or (like and like.fields and height % 4) else "420"
    depth = next((depth for depth in depths if depth >= bits_in(fmt.name)), depths[-1])
    return f"yuv{sampling}p{'' if depth == 8 else f'{depth}le'}"


def bits_in(pix_fmt: str) -> int:
    """How many bits the finest channel of a format has."""
    return max(component.bits for component in av.VideoFormat(pix_fmt, 16, 16).components)


def time_base_of(like: Film | None, rate: Fraction) -> Fraction:
    """The unit in which a written film's time stamps count."""
    return like.time_base if like else 1 / rate


def stamps_of(like: Film | None, rate: Fraction) -> Iterator[Stamp]:
    """When each frame of a written film is shown: as in `like`, and beyond its end on and on."""
    return _endless(like.stamps() if like else iter(()),
                    round(1 / (like.rate if like else rate) / time_base_of(like, rate)) or 1)


def _endless(stamps: Iterator[Stamp], step: int) -> Iterator[Stamp]:
    """The stamps given, then more, `step` apart."""
    last = Stamp(-step, step)
    for last in stamps:
        yield last
    for n in count():
        yield Stamp(last.start + last.duration + n * step, step)


def _checked(frame: np.ndarray, shape: tuple[int, ...], number: int) -> np.ndarray:
    if not isinstance(frame,
                      np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3:
        got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise InputError(f"frame {number} is {got}; frames are uint8 arrays (H, W, 3); rgb_to_frames() "
                         "makes them from RGB in [0, 1]")
    if frame.shape != shape:
        raise InputError(f"frame {number} is {frame.shape}, those before it are {shape}; a film has one size")
    return frame
