"""Exercises that check themselves: `check` says whether an answer is right, and if not, where to look.

A reader writes a function in a notebook; the cell's last line checks it and shows one line, never a traceback:

    check(my_warp, correlation, ab, expected=warp.ab)
    ✓ my_warp
    my_warp: not yet. Its shape is (2, 6), the answer's is (6, 2): one of the two is transposed.

Solutions stand between nbgrader's marks, `### BEGIN SOLUTION` and `### END SOLUTION`; without them the body raises
NotImplementedError, which reads "not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch


class Verdict(NamedTuple):
    """What a check found; a notebook shows its line."""

    passed: bool
    line: str

    def __repr__(self) -> str:
        return self.line


def check(answer: Callable[..., object], *arguments: object, expected: object, atol: float = 1e-4,
          hints: Mapping[str, Callable[[np.ndarray], bool]] | None = None) -> Verdict:
    """Call `answer(*arguments)` and compare it with `expected` within `atol`.

    expected: a number, tensor or array. hints: {what to say: when}, asked in order with the answer as an array, before the
    general ones about kind, shape, nan, sign, scale and transposition. Whatever the answer does, one line comes back.
    """
    name = getattr(answer, "__name__", "the answer")
    try:
        given = answer(*arguments)
    except NotImplementedError:
        return Verdict(False, f"{name}: not yet written.")
    except Exception as error:
        return Verdict(False, f"{name}: not yet. It stops with {type(error).__name__}: {_first_line(error)}")
    if given is None:
        return Verdict(False, f"{name}: not yet. It returns nothing; is there a `return`?")
    try:
        ours, theirs = _array(expected), _array(given)
    except (TypeError, ValueError):
        return Verdict(False, f"{name}: not yet. It returns a {type(given).__name__}, where numbers or a tensor are wanted.")
    if theirs.shape == ours.shape and np.allclose(theirs, ours, atol=atol, rtol=1e-4):
        return Verdict(True, f"✓ {name}")
    for say, applies in (hints or {}).items():
        if _holds(applies, theirs):
            return Verdict(False, f"{name}: not yet. {say}")
    return Verdict(False, f"{name}: not yet. {_general_hint(theirs, ours, atol)}")


def _general_hint(theirs: np.ndarray, ours: np.ndarray, atol: float) -> str:
    if theirs.shape != ours.shape:
        said = f"Its shape is {theirs.shape}, the answer's is {ours.shape}"
        if theirs.ndim >= 2 and np.swapaxes(theirs, -1, -2).shape == ours.shape:
            return said + ": the last two axes are exchanged."
        if theirs.size == ours.size:
            return said + ": the same number of values, arranged otherwise."
        return said + "."
    if not np.isfinite(theirs).all():
        return "It holds nan or infinity: is something divided by zero, or a root taken of a negative number?"
    close = lambda guess: np.allclose(guess, ours, atol=atol, rtol=1e-3)
    if theirs.ndim >= 2 and theirs.shape[-1] == theirs.shape[-2] and close(np.swapaxes(theirs, -1, -2)):
        return "The last two axes are exchanged: right numbers, transposed."
    if close(-theirs):
        return "The sign is turned round."
    energy = float((theirs * theirs).sum())
    factor = float((theirs * ours).sum()) / energy if energy else 0.0
    if factor and close(theirs * factor):
        return f"Right but for a factor: it is {1 / factor:.4g} times the answer."
    shift = float((ours - theirs).mean())
    if close(theirs + shift):
        return f"Right but for a constant: it is {-shift:+.4g} off everywhere."
    off = np.abs(theirs - ours)
    if theirs.size > 1 and (off > atol).mean() < 0.3:
        return f"{100 * (off > atol).mean():.0f} % of the values are off, the rest are right: look at the border or at a special case."
    return (f"Its values run from {theirs.min():.4g} to {theirs.max():.4g}, "
            f"the answer's from {ours.min():.4g} to {ours.max():.4g}.")


def _array(value: object) -> np.ndarray:
    if torch.is_tensor(value):
        value = value.detach().cpu().float().numpy()
    return np.asarray(value, dtype=np.float64)


def _holds(applies: Callable[[np.ndarray], bool], theirs: np.ndarray) -> bool:
    try:
        return bool(applies(theirs))
    except Exception:  # a hint that does not fit this answer is no hint
        return False


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:160]
