"""Meters: accumulate a metric over clips, a frame at a time, in constant memory.

A meter's `see` takes the scored frame and its step, and returns that frame's entry in a per-frame table, if
any; `value` is the metric so far, or raises InputError saying why there is none. `weight` is the number of
values in the mean. `new_clip` tells a meter that accumulates over a whole set that the next clip begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from colorlab.files.errors import InputError
from colorlab.metrics.consistency import ColorConsistency
from colorlab.metrics.difference import difference
from colorlab.metrics.frames import Frame, mean_squared_error, psnr_of_error
from colorlab.metrics.frechet import Moments, frechet_distance
from colorlab.metrics.i3d import STRIDE, WINDOW
from colorlab.metrics.warping import FlowOf, PairFlow, estimated_flow

BATCH = 8  # frames per network batch


@dataclass
class Step:
    """One frame of the scored clip, the truth's frame, and the motion of the truth since the frame before."""

    index: int
    predicted: Frame
    truth: Frame
    truth_before: Frame | None
    flow_of: FlowOf

    @cached_property
    def flow(self) -> PairFlow:
        """The truth's flow between the previous frame and this one: estimated once and shared."""
        return self.flow_of(self.index - 1, self.truth_before, self.truth)

    @cached_property
    def difference(self) -> np.ndarray:
        """(H, W): CIEDE2000 of every pixel, computed once for its mean and its percentile."""
        return difference(self.predicted, self.truth)


@dataclass
class Tools:
    """What meters need: the device of networks, whether they may be downloaded, and how flow is estimated."""

    device: str = "cpu"
    download: bool = False
    flow: FlowOf = field(default_factory=estimated_flow)
    networks: dict[Callable, nn.Module | InputError] = field(default_factory=dict)

    def network(self, build: Callable[..., nn.Module]) -> nn.Module:
        """A network, built once for all clips; a failure is remembered too, so that it is not retried."""
        if build not in self.networks:
            try:
                self.networks[build] = build(download=self.download).to(self.device)
            except InputError as error:
                self.networks[build] = error
        if isinstance(self.networks[build], InputError):
            raise self.networks[build]
        return self.networks[build]


class Meter(Protocol):
    weight: int

    def see(self, frame: Frame, step: Step) -> float | None: ...
    def value(self) -> float: ...
    def new_clip(self) -> None: ...
    def note(self) -> str: ...


class PerFrame:
    """The mean of a number per frame, at most `ceiling` each."""

    def __init__(self, measure: Callable[[Frame, Step], float], ceiling: float = float("inf")):
        self.measure, self.ceiling = measure, ceiling
        self.total, self.weight, self.capped = 0.0, 0, 0

    def see(self, frame: Frame, step: Step) -> float | None:
        value = self.measure(frame, step)
        self.capped += value > self.ceiling
        self.total += min(value, self.ceiling)
        self.weight += 1
        return min(value, self.ceiling)

    def value(self) -> float:
        if not self.weight:
            raise InputError("no frame is left to measure")
        return self.total / self.weight

    def new_clip(self) -> None:
        pass

    def note(self) -> str:
        if not self.capped:
            return ""
        frames = "1 frame equals" if self.capped == 1 else f"{self.capped} frames equal"
        return f"{frames} the truth or nearly so, counted as {self.ceiling:g}"


class PerPair(PerFrame):
    """The mean of a number per pair of neighbouring frames; pairs without one are left out."""

    def __init__(self, measure: Callable[[Frame, Frame, PairFlow], float | None]):
        super().__init__(measure)
        self.before: Frame | None = None
        self.sources: set[str] = set()

    def see(self, frame: Frame, step: Step) -> float | None:
        before, self.before = self.before, frame
        if before is None:
            return None
        self.sources.add(step.flow.source)
        value = self.measure(before, frame, step.flow)
        if value is not None:
            self.total += value
            self.weight += 1
        return value

    def value(self) -> float:
        if self.before is None or not self.sources:
            raise InputError("the warp error compares neighbouring frames and needs clips of at least 2")
        if not self.weight:
            raise InputError("no pair of frames has a pixel whose flow can be trusted")
        return self.total / self.weight

    def note(self) -> str:
        return f"flow: {', '.join(sorted(self.sources))}"


class Perceptual(PerFrame):
    """The mean over frames of a network's distance to the truth."""

    def __init__(self, network: nn.Module, device: str = "cpu"):
        super().__init__(self.distance)
        self.network, self.device = network, device

    def distance(self, frame: Frame, step: Step) -> float:
        with torch.inference_mode():
            return float(
                self.network(as_batch([frame]).to(self.device),
                             as_batch([step.truth]).to(self.device)))


class Consistency:
    """CDC."""

    def __init__(self) -> None:
        self.consistency = ColorConsistency()
        self.weight = 1

    def see(self, frame: Frame, step: Step) -> float | None:
        return self.consistency.see(frame)

    def value(self) -> float:
        return self.consistency.value()

    def new_clip(self) -> None:
        self.consistency = ColorConsistency()

    def note(self) -> str:
        return ""


class PooledPSNR:
    """PSNR of the squared error of all frames together."""

    def __init__(self) -> None:
        self.error, self.weight = 0.0, 0

    def see(self, frame: Frame, step: Step) -> float | None:
        pixels = frame.shape[0] * frame.shape[1]
        self.error += mean_squared_error(frame, step.truth) * pixels
        self.weight += pixels
        return None

    def value(self) -> float:
        if not self.weight:
            raise InputError("no frame is left to measure")
        return psnr_of_error(self.error / self.weight)

    def new_clip(self) -> None:
        pass

    def note(self) -> str:
        return ""


class Frechet:
    """The Frechet distance between features of the scored frames and of the truth's."""

    unit = "frames"

    def __init__(self, network: nn.Module, device: str = "cpu"):
        self.network, self.device = network, device
        self.moments = Moments(network.dimension), Moments(network.dimension)
        self.waiting: tuple[list[Frame], list[Frame]] = ([], [])

    @property
    def weight(self) -> int:
        return self.moments[0].count

    def see(self, frame: Frame, step: Step) -> float | None:
        for waiting, new in zip(self.waiting, (frame, step.truth)):
            waiting.append(new)
        if len(self.waiting[0]) == BATCH:
            self.look()
        return None

    def look(self) -> None:
        """Run the network on the waiting frames."""
        for waiting, moments in zip(self.waiting, self.moments):
            if waiting:
                moments.add(self.features(as_batch(waiting)))
                waiting.clear()

    def features(self, batch: Tensor) -> np.ndarray:
        with torch.inference_mode():
            return self.network(batch.to(self.device)).cpu().double().numpy()

    def value(self) -> float:
        self.look()
        return frechet_distance(*self.moments)

    def new_clip(self) -> None:
        self.look()  # the next clip may have frames of another size

    def note(self) -> str:
        few = (
            f", singular below {self.network.dimension + 1} and biased upwards"
            if self.weight <= self.network.dimension
            else ""
        )
        return f"{self.weight} {self.unit}{few}"


class FrechetCells(Frechet):
    """The same, for a network with one vector per cell of a frame."""

    unit = "cells of frames"


class FrechetVideo(Frechet):
    """FVD: the same, for windows of frames."""

    unit = f"windows of {WINDOW} frames"

    def see(self, frame: Frame, step: Step) -> float | None:
        for waiting, new in zip(self.waiting, (frame, step.truth)):
            waiting.append(new)
        if len(self.waiting[0]) == WINDOW:
            for waiting, moments in zip(self.waiting, self.moments):
                moments.add(self.features(as_batch(waiting)[None]))
                del waiting[:STRIDE]
        return None

    def value(self) -> float:
        if self.weight < 2:
            raise InputError(f"FVD looks at windows of {WINDOW} frames and needs at least two, so a clip of "
                             f"{WINDOW + STRIDE} frames or two of {WINDOW}; there are {self.weight}")
        return frechet_distance(*self.moments)

    def new_clip(self) -> None:
        for waiting in self.waiting:
            waiting.clear()


def as_batch(frames: list[Frame]) -> Tensor:
    """A list of (H, W, 3) uint8 -> (N, 3, H, W) uint8."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()
