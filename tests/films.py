"""Tiny films for the tests, made with PyAV directly (not with the code under test)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# of red and blue, from the standards
LUMA_WEIGHTS = {"601": (0.299, 0.114), "709": (0.2126, 0.0722), "2020": (0.2627, 0.0593)}
MATRIX = {"601": 6, "709": 1, "2020": 9}  # H.273


def yuv_of(rgb: Sequence[float], matrix: str, full: bool, bits: int) -> tuple[float, float, float]:
    """The Y, Cb and Cr (not rounded) of an RGB colour in 0..255, by the equations of the standards."""
    red, blue = LUMA_WEIGHTS[matrix]
    r, g, b = (c / 255 for c in rgb)
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    if full:
        top = 2**bits - 1
        return y * top, cb * top + 2 ** (bits - 1), cr * top + 2 ** (bits - 1)
    unit = 2 ** (bits - 8)
    return (16 + 219 * y) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit


def fill_planes(frame: av.VideoFrame, values: Sequence[float]) -> av.VideoFrame:
    """Set every sample of each plane to one value."""
    bits = frame.format.components[0].bits
    word = np.dtype(np.uint8) if bits == 8 else np.dtype("<u2")
    for plane, value in zip(frame.planes, values):
        level = min(round(value), 2**bits - 1)
        plane.update(np.full(plane.buffer_size // word.itemsize, level, word).tobytes())
    return frame


def solid(rgb: Sequence[float], size: tuple[int, int], pix_fmt: str, matrix: str = "601",
          full: bool = False) -> av.VideoFrame:
    """A frame of one colour, its YUV computed here; not tagged."""
    frame = av.VideoFrame(size[1], size[0], pix_fmt)
    return fill_planes(frame, yuv_of(rgb, matrix, full, frame.format.components[0].bits))


def save_film(path: Path, frames: Sequence[av.VideoFrame], codec: str = "libx264",
              stamps: Sequence[int] | None = None, time_base: Fraction = Fraction(1, 24), matrix: int = 2,
              color_range: int = 0, options: dict[str, str] | None = None,
              extra: Callable[[av.container.OutputContainer], Callable[[], None]] | None = None,
              **context: object) -> Path:
    """Encode frames (of one format) into a film; `extra` may add streams before and mux them after."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(
            codec,
            rate=round(1 / time_base) if time_base.numerator == 1 and time_base.denominator < 100 else 24,
            options=options if options is not None else
            ({"crf": "1", "preset": "ultrafast"} if codec == "libx264" else {}))
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        stream.codec_context.time_base = time_base
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, color_range
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        finish = extra(output) if extra else lambda: None
        for n, frame in enumerate(frames):
            frame.colorspace, frame.color_range = matrix, color_range
            frame.pts, frame.time_base = (stamps[n] if stamps else n), time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        finish()
    return path


def planes_of(path: Path) -> list[list[np.ndarray]]:
    """Every frame's planes, (H, W) each, exactly as the file stores them."""
    with av.open(str(path)) as film:
        return [[_rows(frame, n).copy() for n in range(len(frame.planes))] for frame in film.decode(video=0)]


def planar(pix_fmt: str, *planes: np.ndarray | int) -> av.VideoFrame:
    """A frame with these samples: the first an array (H, W), the others arrays of their own size or one
    value."""
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pix_fmt)
    for n, samples in enumerate(planes):
        _rows(frame, n)[:] = samples
    return frame


def _rows(frame: av.VideoFrame, number: int) -> np.ndarray:
    word = np.dtype("<u2" if frame.format.components[0].bits > 8 else "u1")
    plane = frame.planes[number]
    return np.frombuffer(plane, word).reshape(plane.height, -1)[:, : plane.width]


def flagged(frames: Sequence[av.VideoFrame], order: str) -> list[av.VideoFrame]:
    """The frames, marked as made of two fields, order "tff" or "bff"."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frames[0].width, height=frames[0].height, format=frames[0].format,
                              time_base=Fraction(1, 24))
    mark, sink = graph.add("setfield", order), graph.add("buffersink")
    source.link_to(mark)
    mark.link_to(sink)
    graph.configure()
    marked = []
    for n, frame in enumerate(frames):
        frame.pts, frame.time_base = n, Fraction(1, 24)
        graph.push(frame)
        marked.append(graph.pull())
    return marked


def grey_ramp(n: int = 10, size: tuple[int, int] = (32, 48)) -> list[av.VideoFrame]:
    """Frames of flat grey, each lighter than the one before: 20, 28, 36 ... in limited-range luma."""
    return [fill_planes(av.VideoFrame(size[1], size[0], "yuv420p"), (20 + 8 * k, 128, 128)) for k in range(n)]


def with_tone(output: av.container.OutputContainer, seconds: float = 0.5,
              codec: str = "aac") -> Callable[[], None]:
    """For `extra`: a sound stream of a 440 Hz tone."""
    rate = 48000
    stream = output.add_stream(codec, rate=rate)
    stream.layout = "mono"

    def finish() -> None:
        wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
        for start in range(0, len(wave) - 1023, 1024):
            frame = av.AudioFrame.from_ndarray(
                wave[None, start : start + 1024].astype(np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))

    return finish


def packets(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """(seconds, payload) of each packet of the first stream of a kind."""
    with av.open(str(path)) as film:
        stream = next(s for s in film.streams if s.type == kind)
        return [(float(p.pts * p.time_base), bytes(p)) for p in film.demux(stream) if p.size]


class Stopped(Exception):
    """What a test stops a job with."""


class StopAfter:
    """Called with how many frames are done: counts them, and raises Stopped once there are `frames` of them."""

    def __init__(self, frames: int | None = None):
        self.frames, self.seen = frames, 0

    def __call__(self, count: int) -> None:
        self.seen += count
        if self.frames is not None and self.seen >= self.frames:
            raise Stopped


def patches(rows: int, columns: int) -> np.ndarray:
    """A grey picture of random squares of 8 x 8 pixels, uint8 (8 rows, 8 columns, 3); always the same."""
    levels = np.random.default_rng(0).integers(0, 256, (rows, columns), dtype=np.uint8)
    return levels.repeat(8, 0).repeat(8, 1)[..., None].repeat(3, -1)
