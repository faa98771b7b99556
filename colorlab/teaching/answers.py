"""What exercises of the notebooks are checked against, so that no cell gives its answer away.

A notebook's cell ends in `check(my_top_k, correlation, reference_ab, 20, 0.1)`;
`colorlab.teaching.exercises.check` finds here, by the function's name, what is right for these arguments, how
near is near enough, and the hints to typical wrong answers. If you are a student: the answers stand below,
but you learn more from the hints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Task(NamedTuple):
    """One exercise."""

    answer: Callable[..., object]  # called with the arguments of the check
    # the same arguments -> hints, as `check` takes them
    hints: Callable[..., Mapping[str, object]] = lambda *arguments: {}
    atol: float = 1e-4


# 02, matches that hold both ways


def _mutual(correlation: Tensor) -> Tensor:
    there, back = correlation.argmax(1), correlation.argmax(0)
    return back[there] == torch.arange(len(there))


def _mutual_hints(correlation: Tensor) -> dict[str, object]:
    there, back = correlation.argmax(1), correlation.argmax(0)
    return {
        "One answer for each position of the frame is wanted.": lambda given: given.ndim == 0,
        "That is where each position comes back to. Is it the position that one set out from?": back[there],
        "Best matches of the reference's positions stand in the columns: the way back is "
        "`argmax(0)`.": there[there] == torch.arange(len(there)),
        "That compares two best matches of one number. Follow the way there, and from "
        "that place the way back.": lambda given: len(there) == len(back) and bool(
            (given == (there == back).numpy()).all()),
        "The question is whether the way back ends where it began, not how similar the places are.": lambda
        given: 0 < given.mean() % 1 and bool(((given != 0) & (given != 1)).any()),
    }


# 02, a mixture of the best k


def _top_k(correlation: Tensor, reference_ab: Tensor, k: int, temperature: float) -> Tensor:
    best, places = correlation.topk(k, dim=1)                               # (N, k) each
    return ((best / temperature).softmax(1)[..., None] * reference_ab[places]).sum(1)


def _top_k_hints(correlation: Tensor, reference_ab: Tensor, k: int, temperature: float) -> dict[str, object]:
    weights = (correlation / temperature).softmax(1)
    kept, places = weights.topk(k, dim=1)
    return {
        "That mixes all positions; only the k best of each row may count.": weights @ reference_ab,
        "The weights of the k best sum to less than one here: they need a softmax of their own.": (
            kept[..., None] * reference_ab[places]).sum(1),
        "The k best count alike there; a softmax lets the better ones count more.": reference_ab[places].mean(
            1),
        "Those are the k worst matches.": _top_k(-correlation, reference_ab, k, -temperature),
        "That takes the single best match of each position; a mixture of k is wanted.": reference_ab[
            correlation.argmax(1)],
    }


# 02, how undecided the weights are


def _entropy(weights: Tensor) -> Tensor:
    return torch.special.entr(weights).sum(-1)


def _entropy_hints(weights: Tensor) -> dict[str, object]:
    return {
        "0 times log 0 gives nan: torch.special.xlogy knows better.": lambda given: (given != given).any(),
        "Entropy is never negative: a sign?": lambda given: given.max() <= 0,
        "That is in bits; the natural logarithm is wanted.": _entropy(weights) / torch.tensor(2.0).log(),
        "One number for each row is wanted.": lambda given: given.ndim == 0,
    }


TASKS = {
    "my_mutual": Task(_mutual, _mutual_hints),
    "my_top_k": Task(_top_k, _top_k_hints, atol=0.01),
    "my_entropy": Task(_entropy, _entropy_hints, atol=1e-3),
}
