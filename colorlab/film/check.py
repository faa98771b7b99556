"""A film's properties and what to fix before hours of colouring: the report of `colorlab colorize --check`.

Nothing is coloured except a few frames to estimate the time. The film is read twice: once by FFmpeg's `idet`,
which looks for combing (in the first frames), and once for cuts, black bars and unsteadiness.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice

import numpy as np
import torch

from colorlab.files.errors import InputError
from colorlab.files.video import Film, Folder
from colorlab.files.video.shots import Shot
from colorlab.film.colorize import colored_blocks
from colorlab.film.cuts import look_at
from colorlab.film.dissolves import scene_starts
from colorlab.film.references import Given, Guidance
from colorlab.methods import METHODS, load, record

COMBED_AMONG = 240   # frames checked for combing
BLACK = 12           # levels of RGB up to which a row's or column's mean is black
BAR = 0.01           # minimum share of a side for a black edge to count as a bar
UNSTEADY = 0.0015    # median jump between neighbouring frames, as a share of the width
TIMED_AT = 128       # short side at which the networks are timed where none is given
SMALL = 256          # pixels of width at which frames' motion is measured
PRIMARIES = {1: "BT.709", 5: "BT.470BG", 6: "SMPTE 170M", 9: "BT.2020", 12: "Display P3"}
TRANSFERS = {1: "", 6: "", 14: "", 15: "", 13: "sRGB curve", 16: "HDR (PQ)", 18: "HDR (HLG)"}
MATRICES = {
    0: "RGB", 1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020",
    10: "BT.2020 constant luminance"
}


@dataclass
class FilmStatistics:
    """Statistics gathered frame by frame."""

    rows: np.ndarray | None = None     # (H,) the lightest that each row's mean ever was
    columns: np.ndarray | None = None  # (W,)
    # (dy, dx) of each frame against the one before, as shares of the width
    shifts: list[tuple[float, float]] = field(default_factory=list)
    before: np.ndarray | None = None
    count: int = 0

    def see(self, frame: np.ndarray) -> None:
        """frame: (H, W, 3) uint8."""
        grey = frame[..., 1].astype(np.float32)
        rows, columns = grey.mean(1), grey.mean(0)
        self.rows = rows if self.rows is None else np.maximum(self.rows, rows)
        self.columns = columns if self.columns is None else np.maximum(self.columns, columns)
        step = max(1, round(grey.shape[1] / SMALL))
        small = grey[: grey.shape[0] // step * step, : grey.shape[1] // step * step]
        small = small.reshape(small.shape[0] // step, step, -1, step).mean((1, 3))
        if self.before is not None and (moved := shift(self.before, small)) is not None:
            self.shifts.append((moved[0] / small.shape[1], moved[1] / small.shape[1]))
        self.before, self.count = small, self.count + 1

    def bars(self) -> tuple[int, int, int, int]:
        """Pixels that stay black at the top, bottom, left and right; none where an edge is thinner than a
        bar."""
        edges = [_run(side) for line in (self.rows, self.columns) for side in (line, line[::-1])]
        sides = (len(self.rows), len(self.rows), len(self.columns), len(self.columns))
        return tuple(edge if BAR * side <= edge < side / 2 else 0 for edge, side in zip(edges, sides))

    def unsteadiness(self) -> float:
        """The median jump of the picture from frame to frame, as a share of the width; a steady pan counts as
        0."""
        if len(self.shifts) < 3:
            return 0.0
        return float(np.median(np.abs(np.diff(np.array(self.shifts), axis=0)).max(1)))


def shift(before: np.ndarray, after: np.ndarray) -> tuple[float, float] | None:
    """(dy, dx) by which a picture moved as a whole, to a fraction of a pixel, by phase correlation; None if
    it cannot be determined."""
    window = np.hanning(before.shape[0])[:, None] * np.hanning(before.shape[1])
    spectra = [np.fft.rfft2((picture - picture.mean()) * window) for picture in (before, after)]
    cross = spectra[1] * spectra[0].conj()
    size = np.abs(cross)
    if size.max() < 1e-6:
        return None
    peaks = np.fft.irfft2(cross / np.maximum(size, 1e-3 * size.max()), s=before.shape)
    y, x = np.unravel_index(int(peaks.argmax()), peaks.shape)
    return tuple(
        _between(peaks.take(other, axis=1 - axis), at) for axis, (at, other) in enumerate(((y, x), (x, y))))


def _between(line: np.ndarray, at: int) -> float:
    """Sub-pixel position of a peak in a circular line, by a parabola through its neighbours; the second half
    counts as negative."""
    low, peak, high = line[at - 1], line[at], line[(at + 1) % len(line)]
    bend = low - 2 * peak + high
    place = at + (0.5 * (low - high) / bend if bend else 0.0)
    return float(place - len(line) if place > len(line) / 2 else place)


def _run(line: np.ndarray) -> int:
    """The number of leading black values."""
    light = np.flatnonzero(line > BLACK)
    return int(light[0]) if len(light) else len(line)


def combs(film: Film) -> tuple[float, float]:
    """(share of the first frames that look combed, share that repeat a field of the previous one); with
    telecine, two in five repeat."""
    from colorlab.files.video.fields import Filtered

    chain, last, count = Filtered(("idet", "")), {}, 0
    for frame in chain_end(islice(film.stored_frames(), COMBED_AMONG)):
        for seen in chain.push(frame):
            last, count = seen.metadata, count + 1
    told = {
        name: float(last.get(f"lavfi.idet.{name}", 0))
        for name in ("single.tff", "single.bff", "repeated.top", "repeated.bottom")
    }
    return (told["single.tff"] + told["single.bff"]) / max(
        1, count), (told["repeated.top"] + told["repeated.bottom"]) / max(1, count)


def fields_line(film: Film | Folder) -> tuple[str, list[str]]:
    """What the fields are, and what to do about them."""
    if isinstance(film, Folder):
        return "pictures", []
    from colorlab.files.video.fields import NAMES

    combed, repeated = combs(film)
    flags = NAMES[film.flagged]
    if repeated > 0.15:
        return f"telecined: {flags} by its flags, a field repeated in {100 * repeated:.0f} % of the frames", [
            "undo the telecine, or every fourth colour is a mixture: ffmpeg -i IN -vf "
            "fieldmatch,decimate -c:v ffv1 -c:a copy OUT.mkv"]
    if film.flagged:
        return f"interlaced, {flags}", [
            "nothing: it is coloured field by field and stays interlaced; --deinterlace "
            "makes whole pictures of it"
        ]
    if combed > 0.5:
        return f"combed in {100 * combed:.0f} % of the frames, though its flags say progressive", [
            "give --deinterlace"
        ]
    return "progressive", []


def chain_end(frames: Iterator) -> Iterator:
    """The frames up to the first unreadable one, which is reported elsewhere, and None after the last."""
    try:
        yield from frames
    except InputError:
        pass
    yield None


def rate_line(film: Film | Folder, count: int, readable: bool) -> str:
    if isinstance(film, Folder):
        return f"{count} pictures"
    steps = np.diff(film.packet_times()) if readable and count > 2 else np.array([1])
    steady = np.ptp(steps) <= max(1, int(Fraction(1, 1000) / film.time_base))
    seconds = count / float(film.rate)
    return f"{float(film.rate):.6g} frames/s{'' if steady else ' on average, variable'}, {count} frames, {seconds:.1f} s"


def shape_line(film: Film | Folder) -> str:
    H, W = film.size
    if isinstance(film, Folder):
        return f"{W}x{H}"
    aspect = film.pixel_aspect
    shown = (
        ""
        if aspect == 1
        else f", pixels {aspect.numerator}:{aspect.denominator}, shown as {round(W * aspect)}x{H}"
    )
    return f"{W}x{H}{', turned upright' if film.stored != film.size else ''}{shown}"


def color_line(film: Film | Folder) -> str:
    if isinstance(film, Folder):
        return "8 bits, sRGB"
    from colorlab.files.video.encode import bits_in

    colors = film.colors
    parts = [
        f"{bits_in(film.pix_fmt)} bits ({film.pix_fmt})", MATRICES[colors.matrix],
        "full range" if colors.full else "limited range",
        TRANSFERS.get(colors.transfer, ""),
        f"primaries {PRIMARIES[colors.primaries]}" if colors.primaries in PRIMARIES else "",
        "HDR10 data" if film.hdr else ""
    ]
    return ", ".join(filter(None, parts))


def cuts_line(cuts: list[int]) -> str:
    shown = ", ".join(map(str, cuts[:12])) + (f" and {len(cuts) - 12} more" if len(cuts) > 12 else "")
    return f"{len(cuts)} at {shown}" if cuts else "none found"


def estimate(film: Film | Folder, count: int, size: int, device: torch.device) -> str:
    """Estimated time of each method on this machine, from timing one block."""
    times = {}
    for method in METHODS:
        model = load(method, "course", "none").to(device).eval()
        need = max(2, model.frames_per_step)
        shots = _repeated(list(islice(film.shots_from(0), need)), 2 * need)
        references = () if not record(method).needs_reference else (Given(
            0, np.full((*film.size, 3), 120, np.uint8)),)
        blocks = colored_blocks((shot.rgb for shot in shots), Guidance(references), model, size, device,
                                fields=film.fields)
        next(blocks)                                           # the first one warms up
        start, made = time.perf_counter(), 0
        for block in blocks:
            made += len(block.frames)
        times[method] = (time.perf_counter() - start) / max(1, made) * count
    return ", ".join(f"{method} {_duration(seconds)}" for method, seconds in times.items())


def _repeated(shots: list[Shot], count: int) -> list[Shot]:
    return [shots[n % len(shots)] for n in range(count)]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def report(film: Film | Folder, streams: str, kept: str, left: list[str], size: int, device: torch.device,
           shown: Callable[[Iterable], Iterable] = iter) -> Iterator[str]:
    """The lines of the report, each as soon as it is known. shown: wraps the frames, to show progress."""
    fields, first = fields_line(film)
    look = FilmStatistics()

    def looked_at() -> Iterator:
        for frame in shown(film):
            look.see(frame)
            yield look_at(frame)

    cuts, trouble = [], None
    try:
        cuts = scene_starts(looked_at())
    except InputError as error:
        trouble = str(error)
    if not look.count:
        raise InputError(trouble or f"{film.path} holds no frames")
    yield f"picture     {shape_line(film)}"
    yield f"rate        {rate_line(film, look.count, trouble is None)}"
    yield f"fields      {fields}"
    yield f"colours     {color_line(film)}"
    yield f"streams     {streams}"
    yield f"cuts        {cuts_line(cuts)}"
    yield f"steadiness  {_bars(look)}; {_steadiness(look, film.size[1])}"
    yield f"kept        {kept}; left out: {', '.join(left) or 'nothing'}"
    yield f"first       {'; '.join([trouble] * bool(trouble) + first + _advice(look, film)) or 'nothing: it can be coloured as it is'}"
    yield f"time        at --size {size} on {device}: {estimate(film, look.count, size, device)}"


def _bars(look: FilmStatistics) -> str:
    bars = dict(zip(("top", "bottom", "left", "right"), look.bars()))
    return "black bars " + ", ".join(f"{side} {width}" for side, width in bars.items() if width) if any(
        bars.values()) else "no black bars"


def _steadiness(look: FilmStatistics, width: int) -> str:
    jump = look.unsteadiness()
    return (
        f"{'unsteady' if jump > UNSTEADY else 'steady'}: jumps {jump * width:.1f} pixels from frame to frame"
    )


def _advice(look: FilmStatistics, film: Film | Folder) -> list[str]:
    top, bottom, left, right = look.bars()
    H, W = film.size
    advice = [f"crop: ffmpeg -i IN -vf crop={W - left - right}:{H - top - bottom}:{left}:{top} ..."
              ] if top or bottom or left or right else []
    return advice + (["steady it, or colour stays behind where the picture jumps"]
                     if look.unsteadiness() > UNSTEADY else [])
