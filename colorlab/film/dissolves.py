"""Dissolves between scenes, which do not show in any single change between neighbouring frames.

Within a dissolve every frame is a per-pixel mixture of the pictures before and after it, and the share of the
new picture grows. Of 24 dissolves of 8 to 24 frames between moving clips 20 were found, and none in 25 clips
without any. A pan, a zoom or an object crossing the picture is not a mixture of its two ends, a flash ends as
it began, and a change of light alone is not a change of picture. Fades over black or white are found by
`cuts.py`. Where much moves during a dissolve it may be missed.

TransNet V2 was compared on a seeded set made from clips on which nothing here was chosen (16 films of each
kind, `tests/bench/bench_scenes.py`): both find all cuts and fades and 15 dissolves, and neither finds wipes;
it takes 10 of 16 flashes for cuts where this takes 3, gives fewer false answers beside dissolves (0 instead
of 5), and is ten times slower. So it is not a dependency.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch

from colorlab.film.cuts import THRESHOLD, Signature, change, stream_cuts

SPANS = (12, 18, 24, 36, 48)  # frames between the two pictures that are compared
INNER = 6                     # frames between them that must be mixtures
MIXED = 0.15                  # share of the pictures' squared difference that a mixture may not explain
# share of the other picture allowed in the first and the last of those
ENDS = 0.3
RISE = 0.1                    # how far the new picture's share may decrease


class Dissolve(NamedTuple):
    """A dissolve."""

    middle: int  # the first frame that shows more of the new picture
    span: int    # frames within which it was found


def scene_starts(looks: Iterable[Signature]) -> list[int]:
    """The first frame of every scene but the first: cuts, and the middles of dissolves."""
    dissolves: list[Dissolve] = []
    cuts = [number for number, _ in stream_cuts(watched(looks, dissolves))]
    return merged(cuts, dissolves)


def merged(cuts: list[int], dissolves: list[Dissolve]) -> list[int]:
    """Cuts and the middles of dissolves, ascending; for a dissolve found twice the first one, and none near a
    cut."""
    starts, last = list(cuts), -max(SPANS)
    for middle, span in dissolves:
        if middle - last > SPANS[2] and all(abs(middle - cut) > span // 2 for cut in cuts):
            starts.append(middle)
            last = middle
    return sorted(starts)


def watched(looks: Iterable[Signature], dissolves: list[Dissolve]) -> Iterator[Signature]:
    """Pass the looks through, recording dissolves on the way."""
    recent: deque[Signature] = deque(maxlen=max(SPANS) + 1)
    for number, look in enumerate(looks):
        recent.append(look)
        for span in SPANS:
            if len(recent) > span and (place := _middle(list(recent)[-span - 1 :])) is not None:
                _note(dissolves, Dissolve(number - span + place, span), number - span)
        yield look


def _note(dissolves: list[Dissolve], found: Dissolve, first: int) -> None:
    """Add a dissolve whose window begins with the frame `first`; of several windows over one dissolve, the
    widest covers all of it."""
    if not dissolves or first > dissolves[-1].middle:
        dissolves.append(found)
    elif found.span > dissolves[-1].span:
        dissolves[-1] = found


def _middle(looks: list[Signature]) -> int | None:
    """Where, among looks of which the first and the last are two scenes, the second takes over; None if this
    is not a dissolve."""
    first, last = looks[0], looks[-1]
    if first.flat or last.flat:
        return None
    before, after = first.levels, last.levels
    way = after - before                                     # (h, w)
    size = float(way.square().sum())
    if size == 0:
        return None
    places = [round(k * (len(looks) - 1) / (INNER + 1)) for k in range(1, INNER + 1)]
    shares = []
    for place in places[INNER // 2 :] + places[: INNER // 2]:  # middle frames decide soonest
        past = looks[place].levels - before
        share = float((past * way).sum()) / size
        if float((past - share * way).square().sum()) > MIXED * size or not -RISE < share < 1 + RISE:
            return None
        shares.append(share)
    shares = [0.0, *shares[INNER - INNER // 2 :], *shares[: INNER - INNER // 2], 1.0]
    steps = torch.tensor(shares).diff()
    if steps.min() < -RISE or steps.max() > 0.6 or shares[1] > ENDS or shares[-2] < 1 - ENDS or change(
            first, last) <= THRESHOLD:
        return None
    found = next(n for n, share in enumerate(shares) if share >= 0.5)
    edges = [0, *places, len(looks) - 1]
    low, high = shares[found - 1], shares[found]
    return round(edges[found - 1] + (0.5 - low) / (high - low) * (edges[found] - edges[found - 1]))
