"""The answers to the notebooks' exercises, kept here so that no cell gives its answer away.

A notebook's cell ends in `check(my_top_k, correlation, reference_ab, 20, 0.1)`;
`colorlab.teaching.exercises.check` looks up here, by the function's name, the right result for these
arguments, the tolerance, and hints for typical wrong answers. If you are a student: the answers are below,
but you learn more from the hints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from colorlab.metrics import colorfulness


class Answer(NamedTuple):
    """One exercise."""

    answer: Callable[..., object]  # called with the arguments of the check
    # the same arguments -> hints, as `check` takes them
    hints: Callable[..., Mapping[str, object]] = lambda *arguments: {}
    atol: float = 1e-4


# 00, the mean of squared differences, and colour held still


def _squared_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    return np.square(np.int64(predicted) - np.int64(truth)).mean()


def _squared_error_hints(predicted: np.ndarray, truth: np.ndarray) -> dict[str, object]:
    wrapped = predicted - truth
    return {
        "uint8 wraps around: 3 - 5 is 254. Make floats first.": np.square(wrapped).mean(),
        "The difference is taken in uint8, where 3 - 5 is 254. Make floats before.": np.square(
            np.float64(wrapped)).mean(),
        "These are the absolute differences; square them.": np.abs(np.int64(predicted) - truth).mean(),
    }


def _copy(l: Tensor, ab: Tensor) -> Tensor:
    return torch.cat((l, ab))


def _copy_hints(l: Tensor, ab: Tensor) -> dict[str, object]:
    return {"L comes first, then a, then b.": lambda given: given.shape == (3, *ab.shape[1:])}


# 01, how much colour a picture has


def _chroma(ab: Tensor) -> Tensor:
    return torch.linalg.vector_norm(ab, dim=0).mean()


def _chroma_hints(ab: Tensor) -> dict[str, object]:
    return {
        "One number is wanted: the mean over all pixels.": lambda given: given.ndim > 0,
        "Root first, then the mean: a root of a mean is another number.": ab.pow(2).sum(0).mean().sqrt(),
        "|a| + |b| is the way along the axes; the straight one is the root of the sum of squares.": ab.abs(
        ).sum(0).mean(),
    }


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


# 04, what a map of all tokens against all costs


def _attention_floats(N: int, H: int, W: int, heads: int) -> int:
    return heads * ((N + 1) * (H // 8) * (W // 8))**2


def _attention_floats_hints(N: int, H: int, W: int, heads: int) -> dict[str, object]:
    tokens = (N + 1) * (H // 8) * (W // 8)
    return {
        "The reference is a frame of the block too.": _attention_floats(N - 1, H, W, heads),
        "Each head has a map of its own.": tokens**2,
        "Each token has a weight for *each* token: the square of their number.": heads * tokens,
        "The grid is an eighth of the film in height and in width.": heads * ((N + 1) * H * W)**2,
    }


# 05, the most that a memory ever holds


def _bound(cells: int, max_mid_frames: int, max_long: int) -> int:
    return (max_mid_frames - 1) * cells + max_long


def _bound_hints(cells: int, max_mid_frames: int, max_long: int) -> dict[str, object]:
    return {
        "A tenth frame sets the compression off before it is ever read.": max_mid_frames * cells + max_long,
        "The survivors of earlier compressions are in the memory too.": (max_mid_frames - 1) * cells,
        "The recent frames are in the memory too, each with all its cells.": lambda given: given <= max_long +
        max_mid_frames,
    }


# 08, how far a result's colourfulness is from the truth's


def _colorfulness_gap(predicted: np.ndarray, truth: np.ndarray) -> float:
    return abs(colorfulness(predicted) / colorfulness(truth) - 1)


def _colorfulness_gap_hints(predicted: np.ndarray, truth: np.ndarray) -> dict[str, object]:
    pale, own = colorfulness(predicted), colorfulness(truth)
    return {
        "Relative to the truth: divide by its colourfulness.": abs(pale - own),
        "Divided by the wrong one: the truth is what is compared with.": abs(pale - own) / pale,
        "That is the ratio; how far is it from 1?": pale / own,
    }


# 09, means over frames and over films


def _two_means(films: list[np.ndarray]) -> tuple[float, float]:
    return float(np.concatenate(films).mean()), float(np.mean([film.mean() for film in films]))


def _two_means_hints(films: list[np.ndarray]) -> dict[str, object]:
    over_films = _two_means(films)[1]
    return {"The other way round: frames first.": lambda given: abs(given[0] - over_films) < 1e-6}


# 10, what a compressed memory holds, and whether two orders agree


def _share(frames: int, cells: int, kept: int, prototypes: int, compressions: int) -> float:
    return ((kept - 1) * cells + prototypes * compressions) / (frames * cells)


def _share_hints(frames: int, cells: int, kept: int, prototypes: int, compressions: int) -> dict[str, object]:
    return {"The tenth frame sets the compression off before it is read.":
            _share(frames, cells, kept + 1, prototypes, compressions)}


def _agreement(quoted: list[float], measured: list[float]) -> float:
    q, m = (np.sign(np.subtract.outer(values, values)) for values in (quoted, measured))
    return float((q == m)[np.triu(q != 0)].mean())


def _agreement_hints(quoted: list[float], measured: list[float]) -> dict[str, object]:
    pairs = len(quoted) * (len(quoted) - 1) // 2
    unequal = int(np.triu(np.subtract.outer(quoted, quoted) != 0).sum())
    agree = _agreement(quoted, measured) * unequal  # pairs; equal ones may be counted as agreeing or not
    return {"Pairs with equal quoted values do not count.":
            lambda given: any(abs(float(given) - (agree + tied) / pairs) < 1e-6
                              for tied in range(pairs - unequal + 1))}


# 11, a picture whose colours are known in part


def _whole(predicted: Tensor, known: Tensor, alpha: Tensor) -> Tensor:
    return predicted.lerp(known, alpha / 255)


def _whole_hints(predicted: Tensor, known: Tensor, alpha: Tensor) -> dict[str, object]:
    half = (alpha == 128).numpy()
    return {
        "Alpha counts to 255; as a share it lies in [0, 1].": lambda given: abs(given).max() > 300,
        "Known and predicted are exchanged.": known.lerp(predicted, alpha / 255),
        "Half transparent is half of each: mix, do not choose.": lambda given: any(
            np.allclose(given[..., half], one.numpy()[..., half]) for one in (predicted, known)),
    }


TASKS = {
    "my_squared_error": Answer(_squared_error, _squared_error_hints),
    "my_copy": Answer(_copy, _copy_hints),
    "my_chroma": Answer(_chroma, _chroma_hints, atol=0.01),
    "my_mutual": Answer(_mutual, _mutual_hints),
    "my_top_k": Answer(_top_k, _top_k_hints, atol=0.01),
    "my_entropy": Answer(_entropy, _entropy_hints, atol=1e-3),
    "my_attention_floats": Answer(_attention_floats, _attention_floats_hints),
    "my_bound": Answer(_bound, _bound_hints),
    "my_colorfulness_gap": Answer(_colorfulness_gap, _colorfulness_gap_hints),
    "my_two_means": Answer(_two_means, _two_means_hints),
    "my_share": Answer(_share, _share_hints, atol=1e-5),
    "my_agreement": Answer(_agreement, _agreement_hints),
    "my_whole": Answer(_whole, _whole_hints),
}
