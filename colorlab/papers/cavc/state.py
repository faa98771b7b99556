"""CAVC's encoded references, and the weight of each for a frame."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class State:
    """The encoded references (R of them), and the index of the next frame. Nothing is carried from frame to
    frame."""

    frame: int          # index of the next frame, from 0
    # R: the frame each reference colours, None for a picture that is not of the film
    moments: tuple[int | None, ...]
    tokens: Tensor      # (R, B, 1 + n * n, width) color_features
    histograms: Tensor  # (R, B, 3 * bins) color_histogram


def as_channels(l: Tensor) -> Tensor:
    """L in [0, 100] -> the network's [-1, 1]."""
    return l / 50 - 1


def blend(moments: tuple[int | None, ...], frame: int) -> list[float]:
    """The weight of each reference for a frame, summing to 1. An extension: the paper has one reference.

    Between two of the film's own coloured frames the weights are interpolated linearly; before the first and
    after the last, that one alone is used. So a coloured frame gets its own colours and nothing jumps.
    Pictures that are not frames of the film have no position in time and share equally, with each other and
    with those frames.
    """
    timed = sorted(moment for moment in moments if moment is not None)
    before = max((moment for moment in timed if moment <= frame), default=min(timed, default=0))
    after = min((moment for moment in timed if moment >= frame), default=max(timed, default=0))
    nearness = (frame - before) / (after - before) if after > before else 0.0
    voices = moments.count(None) + bool(timed)
    own = {before: 1 - nearness} | ({after: nearness} if after > before else {})
    return [(1.0 if moment is None else own.get(moment, 0.0)) / voices for moment in moments]
