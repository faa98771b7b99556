"""Match every position with every other without ever holding the matrix of all pairs.

A warp multiplies N unit features with M others, takes the softmax of each row and mixes M colours with it.
For a film of 1080 x 1920 at a quarter of its size, N = M = 129,600: the matrix alone is 67 GB. But its rows
are independent, so a few are computed at a time, used and discarded; the backward pass recomputes them. The
results of `match` are those of `match_as_written` to float rounding, gradients included, in memory that grows
with N + M.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# below this temperature a float32 softmax is one-hot but for exact ties: the nearest neighbour is taken
# instead
HARD = 1e-6

# Pairs held at a time: on a CPU 8 MB of float32, the fastest of 4, 8 and 16 on two cores: small enough to
# stay in cache between passes, large enough to split between cores; a GPU needs more to stay busy. With very
# many keys a strip still gets a minimum of rows, or the product is slow: 66 MB for 1080p.
PAIRS_CPU, PAIRS_GPU, FEWEST_ROWS = 1 << 21, 1 << 27, 128

# exp(-60) is negligible against the row's best, exp(0), in float32 and float64. Without a floor, a good match
# at temperature 0.01 turns the rest into exp(-100): subnormal numbers, on which processors are 40 to 80 times
# slower.
LOWEST = -60


class Match(NamedTuple):
    mixed: Tensor       # (B, N, V) each query's mix of the values
    similarity: Tensor  # (B, N) the correlation with its best key: in [-1, 1] for unit features


def match_as_written(query: Tensor, key: Tensor, value: Tensor, temperature: float) -> Match:
    """LSTVC's Eq. 1 to 3 as the paper has them. Shapes as for `match`."""
    correlation = query @ key.mT                               # (B, N, M)  Eq. 1
    weights = (correlation / temperature).softmax(-1)          # (B, N, M)  each row sums to 1
    mixed = weights @ value                                    # (B, N, V)  Eq. 2
    return Match(mixed, correlation.amax(-1))                  # (B, N)     Eq. 3


def match(query: Tensor, key: Tensor, value: Tensor, temperature: float, pairs: int | None = None) -> Match:
    """Mix `value` for each query by its correlation with each key, in memory linear in N + M.

    query: (B, N, C), key: (B, M, C), value: (B, M, V), of which query and key are usually scaled to length 1.
    temperature: > 0; the softmax is over correlation / temperature. Below `HARD` only the nearest key counts,
    as in the limit; then `mixed` has no gradient with respect to query and key, but `similarity` still does.
    pairs: how many of the N * M correlations may be in memory at once (at least one row is); None chooses a
        fast size.
    Half precision is converted to float32, also in the result: 8 or 11 bits cannot represent correlation /
    0.01.
    """
    if temperature < 0 or query.shape[-1] != key.shape[-1] or key.shape[:-1] != value.shape[:-1]:
        raise ValueError("match wants query (B, N, C), key (B, M, C), value (B, M, V) and a temperature "
                         f"of at least 0, got {tuple(query.shape)}, {tuple(key.shape)}, "
                         f"{tuple(value.shape)}, {temperature}")
    device = query.device.type
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        wide = torch.float64 if query.dtype == torch.float64 else torch.float32
        query, key, value = query.to(wide), key.to(wide), value.to(wide)
        if temperature < HARD:
            return _nearest(query, key, value, pairs)
        return Match(*_SoftMatch.apply(query, key, value, temperature, pairs))


def best_match(query: Tensor, key: Tensor, pairs: int | None = None) -> Tensor:
    """(B, N, C), (B, M, C) -> int64 (B, N): the key that each query correlates with most."""
    best = query.new_empty(query.shape[:-1], dtype=torch.long)
    with torch.no_grad():
        for video, rows, correlation in _streamed(query, key, pairs):
            best[video, rows] = correlation.argmax(-1)
    return best


def _nearest(query: Tensor, key: Tensor, value: Tensor, pairs: int | None) -> Match:
    best = best_match(query, key, pairs)[..., None]                              # (B, N, 1)
    nearest = key.gather(1, best.expand(-1, -1, key.shape[-1]))                  # (B, N, C)
    similarity = (query * nearest).sum(-1)                                       # (B, N)
    return Match(value.gather(1, best.expand(-1, -1, value.shape[-1])), similarity)


class _SoftMatch(torch.autograd.Function):
    """The soft warp and its similarity; the backward pass recomputes each strip of correlations."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, temperature: float, pairs: int | None):
        mixed = query.new_empty(*query.shape[:-1], value.shape[-1])  # (B, N, V)
        # (B, N) each row's maximum, softmax's divisor
        highest, total = query.new_empty(2, *query.shape[:-1]).unbind()
        # (B, M, V + 1): the ones' mix is the divisor
        counted = torch.cat((value, torch.ones_like(value[..., :1])), dim=-1)
        for video, rows, scaled in _streamed(query / temperature, key, pairs):
            top = scaled.amax(-1, keepdim=True)                      # (rows, 1)
            weights = scaled.sub_(top).clamp_(min=LOWEST).exp_()     # (rows, M) before the division
            found = weights @ counted[video]
            mixed[video, rows] = found[:, :-1] / found[:, -1:]
            highest[video, rows], total[video, rows] = top[:, 0], found[:, -1]
        ctx.save_for_backward(query, key, value, mixed, highest, total)
        ctx.temperature, ctx.pairs = temperature, pairs
        return mixed, highest * temperature

    @staticmethod
    @once_differentiable
    def backward(ctx, mixed_grad: Tensor, similarity_grad: Tensor):
        query, key, value, mixed, highest, total = ctx.saved_tensors
        query_grad, key_grad, value_grad = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(
            value)
        shared = (mixed_grad * mixed).sum(-1, keepdim=True)  # (B, N, 1) the term common to a row's weights
        for video, rows, scaled in _streamed(query / ctx.temperature, key, ctx.pairs):
            best = scaled.argmax(-1, keepdim=True)           # (rows, 1) where the similarity came from
            # (rows, M)
            weights = (
                scaled.sub_(highest[video, rows, None])
                .clamp_(min=LOWEST)
                .exp_()
                .div_(total[video, rows, None])
            )
            value_grad[video].addmm_(weights.T, mixed_grad[video, rows])
            # (rows, M) of the weights, then of the correlation
            grad = mixed_grad[video, rows] @ value[video].T
            grad = grad.sub_(shared[video, rows]).mul_(weights).div_(ctx.temperature)
            grad.scatter_add_(1, best, similarity_grad[video, rows, None])
            query_grad[video, rows] = grad @ key[video]
            key_grad[video].addmm_(grad.T, query[video, rows])
        return query_grad, key_grad, value_grad, None, None


def _streamed(query: Tensor, key: Tensor, pairs: int | None) -> Iterator[tuple[int, slice, Tensor]]:
    """Yield (which of the batch, which rows, query[rows] @ key.T): strips of at most `pairs` entries, in one
    reused buffer."""
    B, N, _ = query.shape
    if pairs is None:
        pairs = max(FEWEST_ROWS * key.shape[1], PAIRS_CPU if query.device.type == "cpu" else PAIRS_GPU)
    step = max(1, min(N, pairs // key.shape[1]))
    strip = query.new_empty(step, key.shape[1])
    for video in range(B):
        for start in range(0, N, step):
            rows = slice(start, min(start + step, N))
            yield video, rows, torch.mm(query[video, rows], key[video].T, out=strip[:rows.stop - start])
