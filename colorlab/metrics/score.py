"""Scoring films: every metric over every clip in one pass, with the truth's own values beside them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from colorlab.files.errors import InputError
from colorlab.metrics.frames import Frame, check_pair
from colorlab.metrics.meters import Meter, Step, Tools
from colorlab.metrics.table import METRICS, STANDARD, Metric
from colorlab.metrics.warping import FlowOf

FrameRow = dict[str, object]  # {"clip": name, "frame": index, metric: value or None, ...}


class ClipPair(NamedTuple):
    """One clip to score."""

    name: str
    pairs: Iterable[tuple[Frame, Frame]]  # (predicted, truth), (H, W, 3) uint8 RGB each, in order
    flow: FlowOf | None = None            # the truth's flow, where it is known


def evaluate(predicted: Iterable[Frame], truth: Iterable[Frame], metrics: Sequence[str] = STANDARD, *,
             flow: FlowOf | None = None, skip: Sequence[int] = (), tools: Tools | None = None,
             on_row: Callable[[FrameRow], None] | None = None) -> dict[str, object]:
    """Score one clip: `evaluate_clips` of a single one. Both must have the same number of frames."""
    return evaluate_clips(
        [ClipPair("clip", pairs_of(predicted, truth), flow)], metrics, skip=skip, tools=tools, on_row=on_row
    )


def pairs_of(predicted: Iterable[Frame], truth: Iterable[Frame]) -> Iterator[tuple[Frame, Frame]]:
    """The frames of both, side by side; InputError where one ends before the other."""
    first, second, over = iter(predicted), iter(truth), object()
    for count in itertools.count():
        pair = next(first, over), next(second, over)
        if pair[0] is over and pair[1] is over:
            return
        if pair[0] is over:
            raise InputError(
                f"the prediction ends after {count} frames and the truth goes on; both must have "
                "the same frames")
        if pair[1] is over:
            raise InputError(
                f"the truth ends after {count} frames and the prediction goes on; both must have "
                "the same frames")
        yield pair


def evaluate_clips(clips: Iterable[ClipPair], metrics: Sequence[str] = STANDARD, *, skip: Sequence[int] = (),
                   tools: Tools | None = None, on_row: Callable[[FrameRow], None] | None = None,
                   truth: bool = True) -> dict[str, object]:
    """Score clips in one pass, frame by frame, in memory independent of their length.

    metrics: names of METRICS. skip: indices of exemplar frames, left out where a metric allows it (CDC and
    the warp error take all frames by definition). tools: device, downloads, and the flow for clips without
    their own. on_row: called with every frame's own values. truth: measure the truth's own values, too.

    Returns {"frames": n, metric: value, ..., "truth": {metric: the truth's own}, "definitions": {metric: one
    line}}; a value that could not be computed is None, and its definition says why. Several clips add
    "clips": {name: the same for one}, and metric + "_clip_mean" if the value is a mean over all frames, in
    which long clips weigh more.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise InputError(f"no metric named {', '.join(unknown)}; there are {', '.join(METRICS)}")
    tools = tools or Tools()
    tracks = {name: Track(METRICS[name], tools) for name in metrics}
    truths = {name: Track(METRICS[name], tools) for name in metrics if truth and METRICS[name].of_truth}
    total, found = 0, {}
    for clip in clips:
        if clip.name in found:
            raise InputError(f"two clips are named {clip.name}")
        frames = _score_clip(clip, tracks, truths, frozenset(skip), tools, on_row)
        total += frames
        found[clip.name] = {"frames": frames
                            } | {name: track.end_clip(clip.name) for name, track in tracks.items()}
        found[clip.name]["truth"] = {name: track.end_clip(clip.name) for name, track in truths.items()}
    if not total:
        raise InputError("there are no frames to score")
    return _report(total, tracks, truths, found)


class Track:
    """One metric of one side (the prediction, or the truth itself) through all clips."""

    def __init__(self, metric: Metric, tools: Tools):
        self.metric, self.tools = metric, tools
        self.meter: Meter | None = None
        self.clips: list[tuple[float, int]] = []  # each clip's value and weight
        self.reason = ""                          # why there is no value

    def start_clip(self) -> None:
        if self.meter is not None and self.metric.pooling == "set":
            return self.meter.new_clip()
        try:
            self.meter = self.metric.meter(self.tools)
        except InputError as error:
            self.reason = str(error)

    def see(self, frame: Frame, step: Step) -> float | None:
        if self.reason or self.meter is None:
            return None
        try:
            return self.meter.see(frame, step)
        except InputError as error:
            self.reason = str(error)
            return None

    def end_clip(self, name: str) -> float | None:
        """The clip's own value; None if there is none, or if the metric is only defined for the whole set."""
        if self.reason or self.metric.pooling == "set":
            return None
        try:
            value = self.meter.value()
        except InputError as error:
            self.reason = f"{name}: {error}"
            return None
        self.clips.append((value, self.meter.weight))
        return value

    def value(self) -> float | None:
        if self.reason:
            return None
        if self.metric.pooling == "set":
            try:
                return self.meter.value()
            except InputError as error:
                self.reason = str(error)
                return None
        if self.metric.pooling == "frames":
            return sum(value * weight
                       for value, weight in self.clips) / sum(weight for _, weight in self.clips)
        return self.clip_mean()

    def clip_mean(self) -> float | None:
        return None if self.reason else sum(value for value, _ in self.clips) / len(self.clips)

    def definition(self) -> str:
        """The definition of the number, with notes on this one; call `value` first."""
        if self.reason:
            return f"{self.metric.definition}. Not computed: {self.reason}"
        note = self.meter.note()
        return self.metric.definition + (f" ({note})" if note else "")


def _score_clip(clip: ClipPair, tracks: dict[str, Track], truths: dict[str, Track], skip: frozenset[int],
                tools: Tools, on_row: Callable[[FrameRow], None] | None) -> int:
    for track in (*tracks.values(), *truths.values()):
        track.start_clip()
    before, count = None, 0
    for predicted, truth in clip.pairs:
        check_pair(predicted, truth)
        step = Step(count, predicted, truth, before, clip.flow or tools.flow)
        row = {"clip": clip.name, "frame": count}
        for name, track in tracks.items():
            left_out = count in skip and track.metric.exemplar
            row[name] = None if left_out else track.see(predicted, step)
            if name in truths:
                row[f"truth_{name}"] = None if left_out else truths[name].see(truth, step)
        if on_row is not None:
            on_row(row)
        before, count = truth, count + 1
    if not count:
        raise InputError(f"{clip.name} has no frames")
    return count


def _report(total: int, tracks: dict[str, Track], truths: dict[str, Track],
            clips: dict[str, dict]) -> dict[str, object]:
    values = {name: track.value() for name, track in tracks.items()}
    own = {name: track.value() for name, track in truths.items()}
    definitions = {name: track.definition() for name, track in tracks.items()}
    if len(clips) > 1:
        for name, track in tracks.items():
            if track.metric.pooling == "frames":
                values[f"{name}_clip_mean"] = track.clip_mean()
                definitions[f"{name}_clip_mean"] = f"{name}, a mean per clip, then over clips"
    report = {"frames": total} | values | {"truth": own, "definitions": definitions}
    return report | {"clips": clips} if len(clips) > 1 else report
