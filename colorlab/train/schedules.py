"""Learning rate schedules: each is a function of the step alone, so there is no state to save or restore."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Steps:
    """A factor from each share of the training on: ((0.4, 0.1), (0.8, 0.01)) divides by 10 and then by 100.
    () is constant."""

    at: tuple[tuple[float, float], ...] = ()

    def __call__(self, step: int, total: int) -> float:
        return next((factor for share, factor in reversed(self.at) if step >= share * total), 1.0)


@dataclass(frozen=True)
class Linear:
    """From 1 at the first step to `end` at the last."""

    end: float = 0.01

    def __call__(self, step: int, total: int) -> float:
        return 1 - (1 - self.end) * min(1.0, step / max(1, total - 1))


@dataclass(frozen=True)
class Halving:
    """Halve at fixed intervals of steps."""

    every: int

    def __call__(self, step: int, total: int) -> float:
        return 0.5 ** (step // self.every)


@dataclass(frozen=True)
class Cosine:
    """Linear warm-up for `warmup` steps, then cosine decay to `end`."""

    warmup: int = 100
    end: float = 0.02

    def __call__(self, step: int, total: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, total - 1 - self.warmup)
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * min(1.0, done))) / 2


Schedule = Steps | Linear | Halving | Cosine
