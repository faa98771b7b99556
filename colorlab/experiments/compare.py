"""Methods side by side: the same clips for all, every metric, time and memory, with confidence intervals of
the means.

    films = embedded_films(frames=8, height=48, width=80)
    results = {method: run(colorlab.load(method, "course"), films) for method in colorlab.METHODS}
    comparison = compare(results, films, OFFLINE)
    comparison.interval("flow", "psnr")          # Interval(mean=..., low=..., high=...)

A mean over clips says little without its spread. The intervals here are bootstrap intervals over **clips**:
the frames of a clip are nearly identical, so they are not independent samples.
"""

from __future__ import annotations

import time
import tracemalloc
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from colorlab import clips
from colorlab.color import frames_to_rgb, rgb_to_lab, split_lab
from colorlab.files.errors import InputError
from colorlab.film.colorize import colorize, device_of
from colorlab.metrics import METRICS, ClipPair, Tools, evaluate_clips, given_flow
from colorlab.metrics.warping import FlowOf
from colorlab.modules.flow.estimate import classical_flow
from colorlab.train.measure import paints_its_own, read_clip
from colorlab.train.split import clip_name

# those that use no network
OFFLINE = tuple(name for name, metric in METRICS.items() if not metric.needs)
MEBIBYTE = 2**20


class Film(NamedTuple):
    """A clip with its colours."""

    name: str
    frames: Sequence[np.ndarray]  # uint8 (H, W, 3) each
    flow: FlowOf | None = None    # its motion, where that is known exactly


class Result(NamedTuple):
    """One method's results on the films, with time and memory."""

    films: dict[str, list[np.ndarray]]  # by the film's name: uint8 (H, W, 3) each
    seconds_per_frame: float  # all films, start to end; without loading the network and a warm-up
    peak_memory_mb: float | None        # see `peak_memory`


class Interval(NamedTuple):
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.mean)} [{number(self.low)}, {number(self.high)}]"


def embedded_films(frames: int = 8, height: int = 48, width: int = 80, seed: int = 0,
                   names: Sequence[str] = clips.CLIPS) -> list[Film]:
    """The embedded clips, with their exact motion."""
    made = [clips.embedded_clip(name, frames, height, width, seed) for name in names]
    return [
        Film(clip.name, list(clip.frames),
             given_flow(torch.from_numpy(clip.forward), torch.from_numpy(clip.backward))) for clip in made
    ]


def real_films(frames: int = 24, height: int = 128, width: int = 224, names: Sequence[str] = clips.REAL,
               step: int = 1, flow_short_side: int | None = None) -> list[Film]:
    """The real takes that are installed with colorlab (`clips.TAKES`), every `step`-th frame.

    flow_short_side: estimate their motion once, at this size, for all methods and metrics that follow; None
    leaves that to each metric.
    """
    films = [Film(name, list(clips.film(name, frames, height, width, step=step))) for name in names]
    return films if flow_short_side is None else [
        film._replace(flow=estimated(film.frames, flow_short_side)) for film in films
    ]


def estimated(frames: Sequence[np.ndarray], short_side: int = 64) -> FlowOf:
    """The motion of a film from each frame to the next and back, estimated without a network at a short side
    and enlarged.

    frames: uint8 (H, W, 3) each. Flow at half the resolution costs a quarter; its errors at edges are mostly
    masked by `reliable_ruder`.
    """
    l = split_lab(rgb_to_lab(frames_to_rgb(np.stack(frames))))[0] / 100  # (T, 1, H, W)
    # (T-1, 2, H, W)
    there, back = (classical_flow(a, b, short_side) for a, b in ((l[:-1], l[1:]), (l[1:], l[:-1])))
    return given_flow(there, back, f"classical, short side {short_side}")


def most_different(results: Mapping[str, Result], films: Sequence[Film],
                   skip: Sequence[int] = (0,)) -> tuple[Film, int]:
    """The film and its frame in which the methods differ most: where their colours, as ab, spread farthest
    around their mean over methods.

    skip: frames to ignore, by default the exemplar's, which most methods return unchanged.
    """
    found = [(spread, film, frame)
             for film in films
             for frame, spread in enumerate(disagreement(results, film))
             if frame not in skip]
    _, film, frame = max(found, key=lambda entry: entry[0])
    return film, frame


def disagreement(results: Mapping[str, Result], film: Film) -> list[float]:
    """How far the methods' colours differ in each frame: the standard deviation over methods, in units of ab,
    mean over pixels."""
    painted = torch.stack(
        [rgb_to_lab(frames_to_rgb(np.stack(result.films[film.name])))[:, 1:] for result in results.values()])
    return painted.std(0, correction=0).norm(dim=1).mean((1, 2)).tolist()  # painted: (methods, T, 2, H, W)


def films_below(folder: str | Path, frames: int, short_side: int) -> list[Film]:
    """The clips in a folder and below, so many frames of each, shrunk to a short side. InputError where there
    is none."""
    found = clips.survey(folder).clips
    if not found:
        raise InputError(
            f"there is no clip below {folder}; a clip is a film, or a folder of frames with numbers")
    return [Film(clip_name(path), read_clip(path, short_side, frames)) for path in found]


def run(model: nn.Module, films: Sequence[Film], memory: bool | int = True, precision: str = "float32",
        size: int | None = None) -> Result:
    """Colour every film from its own first frame; a method that paints its own reference (tcavc) is given
    none.

    The model stays where it is. memory: also measure that, on the first film, which is coloured once more for
    it, or on its first `memory` frames. precision: of `precision.PRECISIONS`, the network's precision.
    size: the short side at which the method runs, as for `colorize`; None for the films' own.
    """
    device = device_of(model)
    # what is imported at a first use is excluded from the timing
    for _ in _colored(model, films[0], films[0].frames[:2], precision, size):
        pass
    measured = films[0] if memory is True else films[0]._replace(frames=films[0].frames[:memory])
    peak = peak_memory(model, measured, precision, size) / MEBIBYTE if memory else None
    colored, began = {}, time.perf_counter()
    for film in films:
        colored[film.name] = list(_colored(model, film, precision=precision, size=size))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    frames = sum(len(film.frames) for film in films)
    return Result(colored, (time.perf_counter() - began) / frames, peak)


def peak_memory(model: nn.Module, film: Film, precision: str = "float32", size: int | None = None) -> float:
    """Peak memory in bytes of a model colouring a film, including the network's weights.

    On a GPU the allocator reports it. On a CPU it is the peak of live tensors plus the peak of NumPy and
    Python: reproducible, but without the temporary memory inside operations.
    """
    device = device_of(model)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        for _ in _colored(model, film, precision=precision, size=size):
            pass
        return torch.cuda.max_memory_allocated(device)
    weights = sum(tensor.untyped_storage().nbytes() for tensor in (*model.parameters(), *model.buffers()))
    with TensorMemory():
        # imports and caches at the first use of such a mode do not belong to the film
        for _ in _colored(model, film, film.frames[:2], precision=precision, size=size):
            pass
    tracemalloc.start()
    try:
        with TensorMemory() as tensors:
            for _ in _colored(model, film, precision=precision, size=size):
                pass
        return weights + tensors.peak + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TensorMemory(TorchDispatchMode):
    """Context in which `now` and `peak` are the current and the maximum bytes of tensors created by
    operations."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        for tensor in tree_leaves((arguments, keywords)):
            self._meet(tensor, new=False)
        made = function(*arguments, **(keywords or {}))
        for tensor in tree_leaves(made):
            self._meet(tensor, new=True)
        return made

    def _meet(self, tensor: object, new: bool) -> None:
        """Count a tensor's memory once: views share it, and what was there before (weights, inputs) is not
        counted."""
        if not isinstance(tensor, Tensor):
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        size = storage.nbytes() if new else 0
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


@dataclass(frozen=True)
class Comparison:
    """Every method on every clip by every metric; None where a value could not be computed."""

    clips: Mapping[str, Mapping[str, Mapping[str, float | None]]]  # method -> clip -> metric
    whole: Mapping[str, Mapping[str, float | None]]  # method -> metric, pooled as its definition says
    truth: Mapping[str, Mapping[str, float | None]]  # clip -> metric, for metrics that need no reference
    definitions: Mapping[str, str]                                 # metric -> one line

    def column(self, method: str, metric: str) -> list[float]:
        """One number per clip; empty for a metric that belongs to the whole set, or that could not be
        computed."""
        values = [clip.get(metric) for clip in self.clips[method].values()]
        return [] if any(value is None for value in values) else values

    def distances(self, method: str, metric: str) -> list[float]:
        """As `column`, transformed so that lower is better: for a metric that should match the truth's,
        |log(value / truth's)| of each clip."""
        values, better = self.column(method, metric), METRICS[metric].better
        if better != "like the truth":
            return [-value for value in values] if better == "higher" else values
        own = [clip[metric] for clip in self.truth.values()]
        return [abs(float(np.log((value + 1e-12) / (truth + 1e-12)))) for value, truth in zip(values, own)]

    def interval(self, method: str, metric: str, seed: int = 0) -> Interval | None:
        """The mean over clips with its 95 % bootstrap interval; None where there are no values per clip."""
        values = self.column(method, metric)
        return bootstrap(values, seed) if values else None

    def gain(self, method: str, over: str, metric: str, seed: int = 0) -> Interval | None:
        """The mean per-clip difference between two methods' values, with its interval."""
        pairs = self.column(method, metric), self.column(over, metric)
        return bootstrap(np.subtract(*pairs), seed) if all(pairs) else None

    def ranking(self, metric: str) -> list[str]:
        """Methods, best first, by the mean of `distances`; without those that have no value."""
        scores = {
            method: float(np.mean(values))
            for method in self.clips
            if (values := self.distances(method, metric))
        }
        return sorted(scores, key=scores.get)


def compare(results: Mapping[str, Result], films: Sequence[Film], metrics: Sequence[str] = OFFLINE,
            skip: Sequence[int] = (0,), tools: Tools | None = None) -> Comparison:
    """Score what `run` made. skip: frames left out where a metric allows it, by default the exemplar's."""
    reports, tools = {}, tools or Tools()
    for method, result in results.items():
        clips = [ClipPair(film.name, zip(result.films[film.name], film.frames), film.flow) for film in films]
        report = evaluate_clips(clips, metrics, skip=skip, tools=tools, truth=not reports)  # once is enough
        reports[method] = report if "clips" in report else report | {"clips": {films[0].name: report}}
    first = next(iter(reports.values()))
    pick = lambda scores: {name: scores[name] for name in metrics}
    return Comparison(
        {
            method: {name: pick(clip)
                     for name, clip in report["clips"].items()}
            for method, report in reports.items()
        }, {method: pick(report) for method, report in reports.items()},
        {name: clip["truth"] for name, clip in first["clips"].items()}, first["definitions"])


def bootstrap(values: Sequence[float], seed: int = 0, level: float = 0.95, samples: int = 2000) -> Interval:
    """The mean of some values with the interval in which `level` of the means of resampled values lie
    (percentile bootstrap).

    Draws as many values as there are, with replacement, `samples` times; deterministic for a seed. With few
    values the interval is too narrow: resampling cannot represent clips that were never seen.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"bootstrap wants one number for each clip, got an array of {values.shape}")
    drawn = np.random.default_rng(seed).integers(len(values), size=(samples, len(values)))
    low, high = np.quantile(values[drawn].mean(1), ((1 - level) / 2, (1 + level) / 2))
    return Interval(float(values.mean()), float(low), float(high))


def text_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under their head, aligned: the first column and columns of text to the left, numbers to the right;
    "-" for None."""
    lines = [list(head), *([_shown(value) for value in row] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(head))]
    left = [index == 0 or all(isinstance(row[index], str) for row in rows) for index in range(len(head))]
    return "\n".join("  ".join(
        text.ljust(width) if to_left else text.rjust(width)
        for text, width, to_left in zip(line, widths, left)).rstrip()
                     for line in lines)


def number(value: float) -> str:
    """Three significant digits, four from 1 on: 24.51, 0.872, 0.000486, 1234."""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:#.4g}" if abs(value) >= 1 else f"{value:#.3g}"


def _shown(value: object) -> str:
    return "-" if value is None else number(value) if isinstance(value, float) else str(value)


def _colored(model: nn.Module, film: Film, frames: Sequence[np.ndarray] | None = None,
             precision: str = "float32", size: int | None = None):
    references = None if paints_its_own(model) else [(0, film.frames[0])]
    return colorize(film.frames if frames is None else frames, references, model, size, precision=precision)
