"""The cost of a film per frame: time, size of the method's state, and on a GPU peak memory.

ColorMNet's Tables 1 and 3 print the maximum GPU memory and the average running time of 300 frames of 960 x
536. On a GPU `film_cost` measures the same. On a CPU `peak` is None, and `held` is the size of the method's
state, without the network and without temporary memory of a frame's computation.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from colorlab.film.colorize import device_of

MEBIBYTE = 2**20
PAPERS_SIZE, PAPERS_FRAMES = (536, 960), 300  # (H, W), ColorMNet §4.2


class FilmCost(NamedTuple):
    seconds: list[float]  # per frame, until its colours were available
    held: list[float]     # MB of the state after each frame
    peak: float | None    # MB: peak allocation on the GPU, including weights; None on a CPU
    state: object = None  # after the last frame

    @property
    def average(self) -> float:
        """Seconds per frame, without the first, whose colours are given."""
        return float(np.mean(self.seconds[1:]))

    def at_the_end(self, frames: int = 8) -> float:
        """Seconds per frame: the median of the last frames."""
        return float(np.median(self.seconds[-frames:]))


@torch.inference_mode()
def film_cost(model: nn.Module, frames: Tensor, count: int) -> FilmCost:
    """Colour `count` frames one at a time, the first of them given in colour.

    model: its state has `nbytes`; frames: Lab (F, 3, H, W), played forwards and backwards if more are needed.
    They go to the model's device one at a time, so that the film itself takes none of its memory. Two frames
    are coloured beforehand, so that set-up at first use is excluded from the timing.
    """
    device = device_of(model)
    _colored(model, frames, min(2, count), device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds, held, state = _colored(model, frames, count, device)
    peak = torch.cuda.max_memory_allocated(device) / MEBIBYTE if device.type == "cuda" else None
    return FilmCost(seconds, held, peak, state)


def _colored(model: nn.Module, frames: Tensor, count: int,
             device: torch.device) -> tuple[list[float], list[float], object]:
    """Seconds and MB held, for each frame, and the last state."""
    turning = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    state, seconds, held = model.start([(0, frames[:1].to(device))]), [], []
    for number in range(count):
        l = frames[turning[number % len(turning)], None, :1].to(device)
        began = time.perf_counter()
        ab, state = model.step(l, state)
        ab.cpu()  # on a GPU this waits for the result
        seconds.append(time.perf_counter() - began)
        held.append(state.nbytes / MEBIBYTE)
    return seconds, held, state
