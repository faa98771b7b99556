"""Which frames most deserve a painted picture: where scenes begin, where new things come into view, and where
the method is unsure.

How much of a frame another does not explain is `cuts.structure`: the part not found near its place there. A
frame's need is the part of it that no reference of its scene explains, plus the method's uncertainty about
it, if available. Frames are then chosen greedily, each the one that reduces its scene's need most; so the
first frames of a long scene count for more than a short insert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from colorlab.film.colorize import colored_blocks
from colorlab.film.contact_sheets import picked
from colorlab.film.cuts import BLOCK, REACH, SIDE, Signature, look_at, stream_cuts
from colorlab.film.dissolves import merged, watched
from colorlab.film.references import Guidance, Picture

SAMPLED = 160     # frames that are compared with one another
HELPS = 0.05      # share of a frame that a new picture must explain to help it


class Suggestion(NamedTuple):
    """A frame to paint."""

    frame: int
    mends: tuple[int, int]  # the first and the last frame that benefit
    gain: float             # the reduction in need, in frames
    why: str


class Sample(NamedTuple):
    """The frames that are compared."""

    frames: list[int]
    looks: list[Signature]


def sample(film: Iterable[Picture], count: int, wanted: Iterable[int],
           cuts: tuple[int, ...] | None) -> tuple[Sample, tuple[int, ...]]:
    """Every so many frames, the first of each scene and the wanted ones, and where the film cuts (found where
    that is None), in one go through it."""
    every, always, looks = max(1, -(-count // SAMPLED)), {0, *wanted, *(cuts or ())}, {}
    recent: dict[int, Signature] = {}

    def looking() -> Iterable[Signature]:
        for number, frame in enumerate(film):
            look = recent[number] = look_at(frame)
            recent.pop(number - 8, None)  # a cut is reported late, but its first frame is needed
            if number % every == 0 or number in always:
                looks[number] = look
            yield look

    found, dissolves = [], []
    for cut, _ in stream_cuts(watched(looking(), dissolves)):
        if cuts is None:
            found.append(cut)
            looks[cut] = recent.get(cut) or looks[max(n for n in looks if n <= cut)]
    numbers = sorted(looks)
    return Sample(numbers, [looks[number]
                            for number in numbers]), tuple(merged(found, dissolves)) if cuts is None else cuts


def unexplained(source: Signature, others: list[Signature]) -> np.ndarray:
    """(K,): how much of each of K frames is not found near its place in the source, 0 to 1; a batched
    `cuts.structure`."""
    h, w = SIDE
    padded = F.pad(source.small[None, None], (REACH,) * 4, mode="replicate")
    shifted = padded[0, 0].unfold(0, h, 1).unfold(1, w, 1).flatten(0, 1)  # ((2 r + 1)^2, h, w)
    best = [
        F.avg_pool2d((shifted - other.small).square()[:, None], BLOCK)[:, 0].amin(0).mean()
        for other in others
    ]
    return torch.stack(best).clamp(0, 1).numpy()


def doubts(film: Iterable[Picture], guidance: Guidance, model: nn.Module, frames: list[int], size: int | None,
           device: torch.device) -> np.ndarray:
    """(K,): the method's uncertainty about each of these frames, 0 to 1, when it colours them in order."""
    kept = set(frames)
    chosen = (frame for number, frame in enumerate(film) if number in kept)
    blocks = colored_blocks(chosen, picked(guidance, frames), model.to(device), size, device, confident=True)
    return np.array([1 - float(frame.mean()) / 255 for block in blocks for frame in block.confidence])


def suggest(seen: Sample, guidance: Guidance, count: int, most: int,
            doubt: Callable[[], np.ndarray] | None = None) -> list[Suggestion]:
    """Up to `most` frames to paint, the most useful first; fewer where more would not help.

    count: the film's number of frames. doubt: the method's uncertainty about each frame of the sample, if
    available.
    """
    frames = np.array(seen.frames)
    scenes = np.searchsorted(np.array(guidance.cuts), frames, side="right")
    weight = np.diff(np.append(frames, count))   # how many frames each represents
    table = np.ones((len(frames), len(frames)))  # [c, f]: what c leaves unexplained of f
    for scene in np.unique(scenes):
        members = np.flatnonzero(scenes == scene)
        for candidate in members:
            table[candidate, members] = unexplained(seen.looks[candidate], [seen.looks[m] for m in members])
    owned = {given.frame for given in guidance.references if given.frame is not None}
    given = [place for place, frame in enumerate(seen.frames) if frame in owned]
    new = table[given].min(0) if given else np.ones(len(frames))
    unsure = doubt() if doubt is not None else new
    need = (new + unsure) / 2
    found: list[Suggestion] = []
    for _ in range(most):
        gains = np.maximum(0, need - table)      # [c, f]
        gains[gains < HELPS] = 0
        total = gains @ weight
        best = int(total.argmax())
        if total[best] <= 0:
            break
        mended = np.flatnonzero(gains[best])
        why = _why(scenes[best],
                   {int(scenes[place])
                    for place in given} | {int(scenes[np.searchsorted(frames, one.frame)]) for one in found},
                   float(new[mended].mean()), float(unsure[mended].mean()), bool(given or found))
        last = mended[-1] + 1
        found.append(
            Suggestion(int(frames[best]),
                       (int(frames[mended[0]]), int(frames[last] if last < len(frames) else count) - 1),
                       float(total[best]), why))
        need, new = np.minimum(need, table[best]), np.minimum(new, table[best])
    return found


def _why(scene: int, known: set[int], new: float, unsure: float, any_given: bool) -> str:
    if scene not in known:
        return (
            "this scene has no picture of its own" if any_given else "nothing of this scene is coloured yet"
        )
    return "new things are in view" if new >= unsure else "the method is unsure of what is there"
