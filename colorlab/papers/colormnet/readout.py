"""Reading from memory: every pixel's mix of the values stored at keys like its own (ColorMNet Eq. 9, 10).

The (pixels x entries) matrix of a long film in high resolution would fill gigabytes. It is computed and used
one slab of pixels at a time, which does not change the result: pixels are independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Similarities held at a time: on a CPU 8 MB, less than its cache; a GPU should have few launches, and at 536
# x 960 a frame is one slab of 256 MB.
SLAB_CPU, SLAB_GPU = 1 << 21, 1 << 26


class Reading(NamedTuple):
    value: Tensor           # (N, C) what each pixel has read
    received: Tensor        # (M,) the weights that each entry was given, summed over pixels
    index: Tensor | None    # (N, k) which entries were read; None: all of them
    weights: Tensor | None  # (N, k) how much of each; rows sum to 1


def similarity_as_written(key: Tensor, shrinkage: Tensor, query: Tensor, selection: Tensor) -> Tensor:
    """Eq. 9b with the selection and the shrinkage of the authors' code. Shapes as for `similarity`."""
    difference = key - query[:, None]                                    # (N, M, Ck)
    distance = (selection[:, None] * difference.square()).sum(-1)        # (N, M)
    return -shrinkage * distance / key.shape[1] ** 0.5


def similarity(key: Tensor, shrinkage: Tensor, query: Tensor, selection: Tensor) -> Tensor:
    """-(s / √Ck) Σ_c e_c (k_c - q_c)², never positive: Eq. 9b with the selection and the shrinkage of the
    authors' code.

    key k: (M, Ck) and shrinkage s: (M,) of the entries; query q and selection e: (N, Ck) of the pixels.
    Returns (N, M) in float32, under autocast too.
    """
    with torch.autocast(key.device.type, enabled=False):
        return _pixels(query, selection) @ _entries(key, shrinkage).mT


def read_top(key: Tensor, shrinkage: Tensor, value: Tensor, query: Tensor, selection: Tensor, k: int,
             temperature: float = 1.0) -> Reading:
    """Read the k most similar entries, or all where there are fewer. Shapes as for `similarity`; value: (M,
    C)."""
    k = min(k, len(key))
    found = [_top(scores, k) for scores in _similarity_in_slabs(key, shrinkage, query, selection)]
    scores, index = (torch.cat(parts) for parts in zip(*found))  # (N, k) each
    weights = (scores / temperature).softmax(-1)
    received = weights.new_zeros(len(key)).index_add_(0, index.flatten(), weights.detach().flatten())
    # gathers and sums in one
    mixed = F.embedding_bag(index, value, mode="sum", per_sample_weights=weights.to(value.dtype))
    return Reading(mixed, received, index, weights)


def read_all(key: Tensor, shrinkage: Tensor, value: Tensor, query: Tensor, selection: Tensor,
             temperature: float = 1.0) -> Reading:
    """Read all entries, weighted by similarity: for training and stacking."""
    mixed, received = [], 0
    for scores in _similarity_in_slabs(key, shrinkage, query, selection):
        weights = (scores / temperature).softmax(-1)
        mixed.append(weights.to(value.dtype) @ value)
        received = received + weights.detach().sum(0)
    return Reading(torch.cat(mixed), received, None, None)


# The square is expanded, so that similarity is one matrix product: an entry's row is s/√Ck (-k², 2k, -1), a
# pixel's (e, e q, Σ e q²).


def _entries(key: Tensor, shrinkage: Tensor) -> Tensor:
    rows = torch.cat((-key.square(), 2 * key, -torch.ones_like(key[:, :1])), dim=1)  # (M, 2 Ck + 1)
    return rows * (shrinkage / key.shape[1] ** 0.5)[:, None]


def _pixels(query: Tensor, selection: Tensor) -> Tensor:
    weighted = query * selection
    return torch.cat((selection, weighted, (weighted * query).sum(1, keepdim=True)), dim=1)  # (N, 2 Ck + 1)


def _similarity_in_slabs(key: Tensor, shrinkage: Tensor, query: Tensor,
                         selection: Tensor) -> Iterator[Tensor]:
    """The rows of `similarity`, a slab of pixels at a time."""
    with torch.autocast(key.device.type, enabled=False):
        entries = _entries(key, shrinkage).mT
        for pixels in _pixels(query, selection).split(pixels_at_once(key)):
            yield pixels @ entries


def pixels_at_once(key: Tensor) -> int:
    """Pixels per slab: how many are compared with all entries, key (M, Ck), at a time."""
    return max(1, (SLAB_CPU if key.device.type == "cpu" else SLAB_GPU) // len(key))


def _top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`scores.topk(k)` of every row, (N, M) -> (N, k) values and indices, several times faster for long rows.

    Columns are dealt into groups; the k best columns are all found in the k groups with the best maxima (were
    one of them elsewhere, k groups would each hold something better), so only those groups are sorted. Maxima
    are cheap.
    """
    N, M = scores.shape
    group = int((M / k) ** 0.5)
    if group < 3:
        return scores.topk(k)
    count = M // group  # column j < group * count: group j % count
    best = scores[:, :group * count].view(N, group, count).amax(1).topk(k, sorted=False).indices  # (N, k)
    # (N, group, k)
    members = best[:, None] + torch.arange(0, group * count, count, device=scores.device)[:, None]
    rest = torch.arange(group * count, M, device=scores.device).expand(N, -1)
    candidates = torch.cat((members.flatten(1), rest), dim=1)
    values, place = scores.gather(1, candidates).topk(k)
    return values, candidates.gather(1, place)
