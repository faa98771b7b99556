"""What CAVC knows of its references, and how much each of them says to a frame."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class State:
    """What is known of the references (R of them), and which frame comes next. Nothing is learned from frame
    to frame."""

    frame: int          # index of the next frame, from 0
    # R: the frame each reference colours, None for a picture that is not of the film
    moments: tuple[int | None, ...]
    tokens: Tensor      # (R, B, 1 + n * n, width) color_features
    histograms: Tensor  # (R, B, 3 * bins) color_histogram


def as_channels(l: Tensor) -> Tensor:
    """L in [0, 100] -> the network's [-1, 1]."""
    return l / 50 - 1


def blend(moments: tuple[int | None, ...], frame: int) -> list[float]:
    """How much each reference says to a frame, summing to 1. An extension: the paper knows one reference.

    The film's own coloured frames speak to the frames between them in proportion to nearness, the first and
    the last alone to all before and after, so that a coloured frame has its own colours and nothing jumps.
    Pictures that are not of the film have no place in it and share equally, with each other and with those
    frames.
    """
    timed = sorted(moment for moment in moments if moment is not None)
    before = max((moment for moment in timed if moment <= frame), default=min(timed, default=0))
    after = min((moment for moment in timed if moment >= frame), default=max(timed, default=0))
    nearness = (frame - before) / (after - before) if after > before else 0.0
    voices = moments.count(None) + bool(timed)
    own = {before: 1 - nearness} | ({after: nearness} if after > before else {})
    return [(1.0 if moment is None else own.get(moment, 0.0)) / voices for moment in moments]
