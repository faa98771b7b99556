"""What a film costs a method, frame after frame: time, what it holds of the past, and on a GPU the most
memory there was.

ColorMNet's Tables 1 and 3 print the maximum GPU memory and the average running time of 300 frames of 960 x
536. On a GPU that is what `film_cost` measures. A CPU has no such memory: there `peak` is None, and `held` is
what the method's state keeps, without the network and without what a frame's computation takes and gives
back.
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
    seconds: list[float]  # that each frame took, until its colours were there
    held: list[float]     # MB of the state after each frame
    peak: float | None    # MB: the most that was allocated on the GPU, weights and all; None on a CPU
    state: object = None  # after the last frame

    @property
    def average(self) -> float:
        """Seconds a frame, without the first, whose colours are given."""
        return float(np.mean(self.seconds[1:]))

    def at_the_end(self, frames: int = 8) -> float:
        """Seconds a frame: the median of the last frames."""
        return float(np.median(self.seconds[-frames:]))


@torch.inference_mode()
def film_cost(model: nn.Module, frames: Tensor, count: int) -> FilmCost:
    """Colour `count` frames one at a time, the first of them given in colour.

    model: its state says `nbytes`; frames: Lab (F, 3, H, W), shown there and back again where more are
    wanted. They go to the model's device one at a time, so that the film itself takes none of its memory. Two
    frames are coloured beforehand: what is set up at a first use counts for nobody.
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
        ab.cpu()  # on a GPU this waits until they are there
        seconds.append(time.perf_counter() - began)
        held.append(state.nbytes / MEBIBYTE)
    return seconds, held, state
