"""Exercises that check themselves: `check` says whether an answer is right, and if not, where to look.

A reader writes a function in a notebook; the cell's last line checks it and shows one line, never a
traceback:

    check(my_warp, correlation, ab)
    ✓ my_warp
    my_warp: not yet. Its shape is (2, 6), the answer's is (6, 2): the last two axes are exchanged.

The right answer is in answers.py, under the function's name; if a notebook has already computed and shown it,
the cell may pass it, `expected=warp.ab`.

Solutions are between nbgrader's marks, `### BEGIN SOLUTION` and `### END SOLUTION`; without them the body
raises NotImplementedError, which reads "not yet written". `colorlab.teaching.labs` makes a course's editions
from these cells.

Imported in a notebook, this also explains the NameError that a cell raises when one above it has not been
run.
"""

from __future__ import annotations

import difflib
import linecache
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from colorlab.teaching.answers import TASKS

KNOWN = object()  # stands for an `expected` that answers.py knows


class Verdict(NamedTuple):
    """What a check found; a notebook shows its line."""

    passed: bool
    line: str

    def __repr__(self) -> str:
        return self.line


def check(answer: Callable[..., object], *arguments: object, expected: object = KNOWN, atol: float = 1e-4,
          hints: Mapping[str, object] | None = None) -> Verdict:
    """Call `answer(*arguments)` and compare its result with the right one.

    expected: leave it out where answers.py knows the exercise by the function's name; it then gives `atol`
    and `hints`, too. Else a number, tensor or array; the answer must be of the same type, except for single
    numbers. hints: {hint: when}, tried in order before the general ones about shape, nan, sign, scale, order
    and symmetry; `when` is the wrong result that triggers the hint, or a predicate on the result as an array.
    The answer gets copies of tensors and arrays, so that it cannot modify the notebook's. Whatever it does,
    one line is returned.
    """
    name = getattr(answer, "__name__", "the answer")
    wrong = lambda hint: Verdict(False, f"{name}: not yet. {hint}")
    if expected is KNOWN:
        if name not in TASKS:
            return wrong(f"No exercise is called `{name}`: did you rename the function?")
        task = TASKS[name]
        expected, atol, hints = task.answer(*map(_copy, arguments)), task.atol, task.hints(
            *map(_copy, arguments))
    try:
        given = answer(*map(_copy, arguments))
    except Exception as error:
        if isinstance(error, NotImplementedError) and not str(error):
            return Verdict(False, f"{name}: not yet written.")
        return wrong(_error_hint(answer, error))
    if other_kind := _kind_hint(given, expected):
        return wrong(other_kind)
    try:
        ours, theirs = _array(expected), _array(given)
    except (TypeError, ValueError):
        return wrong(f"It returns {_called(given)}, where {_called(expected)} is wanted.")
    if theirs.shape == ours.shape and np.allclose(theirs, ours, atol=atol, rtol=1e-4):
        return Verdict(True, f"✓ {name}")
    for say, when in (hints or {}).items():
        if _fits(when, theirs, atol):
            return wrong(say)
    return wrong(_general_hint(theirs, ours, atol))


def unknown_name(name: str, known: Iterable[str] = ()) -> str:
    """A hint for an undefined name: a typo, or a cell that has not been run."""
    near = difflib.get_close_matches(
        name, [other for other in known if not other.startswith("_")], 1, cutoff=0.8
    )
    slip = f"did you mean `{near[0]}`? Or has " if near else "has "
    return (f"`{name}` is not known here: {slip}the cell that makes it not been run since the "
            "kernel started? Run > Run All Above Selected Cell runs all that stand before this one.")


def _error_hint(answer: Callable, error: Exception) -> str:
    code = getattr(answer, "__code__", None)
    if type(error) is NameError and error.name:  # not UnboundLocalError, its child
        known = {*getattr(answer, "__globals__", {}), *(code.co_varnames if code else ())}
        return "It stops: " + unknown_name(error.name, known)
    said = (str(error).strip().splitlines() or ["no message"])[0][:160]
    inside = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if code and frame.filename == code.co_filename
    ]
    line = linecache.getline(code.co_filename, inside[-1]).strip() if inside else ""
    return f"It stops with {type(error).__name__}: {said}" + (f" (in the line `{line}`)" if line else "")


def _kind_hint(given: object, expected: object) -> str:
    """A hint if the answer is not of the expected type; "" if it is."""
    if given is None:
        return "It returns nothing; is there a `return`?"
    if callable(given):
        return f"It returns {_called(given)} that was not called: is a pair of brackets missing?"
    if np.ndim(expected) == 0 or type(given) is type(expected):
        return ""
    if torch.is_tensor(expected):
        mend = {
            np.ndarray: "torch.from_numpy makes one, or stay with torch's functions throughout",
            list: "torch.stack or torch.cat makes one of many",
            tuple: "torch.stack makes one of many, or is one of them enough?"
        }
        return f"It returns {_called(given)}, where a tensor is wanted: {mend[type(given)]}." if type(
            given) in mend else ""
    return "It returns a tensor, where a numpy array is wanted: `.numpy()` makes one." if torch.is_tensor(
        given) else ""


def _called(value: object) -> str:
    names = {torch.Tensor: "a tensor", np.ndarray: "a numpy array", float: "a number", int: "a number"}
    kind = type(value).__name__
    return names.get(type(value), f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}")


def _general_hint(theirs: np.ndarray, ours: np.ndarray, atol: float) -> str:
    if theirs.shape != ours.shape:
        return _shape_hint(theirs, ours)
    if not np.isfinite(theirs).all():
        return "It holds nan or infinity: is something divided by zero, or a root taken of a negative number?"
    close = lambda guess: np.allclose(guess, ours, atol=atol, rtol=1e-3)
    if theirs.size == 1:
        return _number_hint(float(theirs.reshape(())), float(ours.reshape(())), close)
    return (_arranged_hint(theirs, ours, close) or _scaled_hint(theirs, ours, close)
            or _property_hint(theirs, ours, atol)
            or f"Its values run from {theirs.min():.4g} to {theirs.max():.4g}, the answer's from "
            f"{ours.min():.4g} to {ours.max():.4g}.")


def _shape_hint(theirs: np.ndarray, ours: np.ndarray) -> str:
    if ours.ndim == 0:
        return f"One number is wanted; its shape is {theirs.shape}."
    said = f"Its shape is {theirs.shape}, the answer's is {ours.shape}"
    if theirs.ndim >= 2 and np.swapaxes(theirs, -1, -2).shape == ours.shape:
        return said + ": the last two axes are exchanged."
    if theirs.size == ours.size:
        return said + ": the same number of values, arranged otherwise."
    return said + "."


def _number_hint(given: float, wanted: float, close: Callable) -> str:
    """Too large or too small, but not by how much: that would give the answer away."""
    if given and close(-given):
        return "The sign is turned round."
    for factor in (2, 3, 4, 10, 100, 255):
        if given and close(given / factor):
            return f"Right but for a factor: it is {factor} times the answer."
        if given and close(given * factor):
            return f"Right but for a factor: it is 1/{factor} of the answer."
    return f"{given:.4g} is too {'large' if given > wanted else 'small'}."


def _arranged_hint(theirs: np.ndarray, ours: np.ndarray, close: Callable) -> str:
    """The right values in the wrong places."""
    if theirs.ndim >= 2 and theirs.shape[-1] == theirs.shape[-2] and close(np.swapaxes(theirs, -1, -2)):
        return "The last two axes are exchanged: right numbers, transposed."
    for axis in range(theirs.ndim):
        if theirs.shape[axis] > 1 and close(np.flip(theirs, axis)):
            return f"Right numbers, but axis {axis} runs the other way."
    if np.allclose(np.sort(theirs, axis=None), np.sort(ours, axis=None), rtol=1e-6, atol=1e-9):
        return "Right numbers, but in other places."
    return ""


def _scaled_hint(theirs: np.ndarray, ours: np.ndarray, close: Callable) -> str:
    if close(-theirs):
        return "The sign is turned round."
    energy = float((theirs * theirs).sum())
    factor = float((theirs * ours).sum()) / energy if energy else 0.0
    if factor and close(theirs * factor):
        return f"Right but for a factor: it is {1 / factor:.4g} times the answer."
    shift = float((ours - theirs).mean())
    if close(theirs + shift):
        return f"Right but for a constant: it is {-shift:+.4g} off everywhere."
    return ""


def _property_hint(theirs: np.ndarray, ours: np.ndarray, atol: float) -> str:
    """A property of the right answer that this one lacks."""
    off = np.abs(theirs - ours) > atol
    if off.mean() < 0.3:
        return f"{100 * off.mean():.0f} % of the values are off, the rest are right: look at the border or at a special case."
    square = ours.ndim >= 2 and ours.shape[-1] == ours.shape[-2] > 1
    symmetric = lambda values: np.allclose(values, np.swapaxes(values, -1, -2), atol=atol, rtol=1e-4)
    if square and symmetric(ours) and not symmetric(theirs):
        return "The answer is symmetric, (i, j) as (j, i); this is not."
    sums_to_one = lambda values: np.allclose(values.sum(-1), 1, atol=1e-3)
    if ours.shape[-1] > 1 and sums_to_one(ours) and not sums_to_one(theirs):
        return f"Each row of the answer sums to one; these sum to {theirs.sum(-1).min():.3g} to {theirs.sum(-1).max():.3g}."
    if (ours >= 0).all() and theirs.min() < -atol:
        return f"The answer is nowhere negative; this goes down to {theirs.min():.4g}."
    return ""


def _copy(value: object) -> object:
    if torch.is_tensor(value):
        return value.clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _array(value: object) -> np.ndarray:
    if torch.is_tensor(value):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)


def _fits(when: object, theirs: np.ndarray, atol: float) -> bool:
    try:
        if callable(when):
            return bool(when(theirs))
        usual = _array(when)
        return usual.shape == theirs.shape and np.allclose(theirs, usual, atol=atol, rtol=1e-3)
    except Exception:  # a hint that fails on this answer does not apply
        return False


class _Hint(str):
    __repr__ = str.__str__  # shown without quotes


def _after_cell(result: object) -> None:
    """Print advice below the traceback of a NameError."""
    from IPython import get_ipython
    from IPython.display import display

    error = getattr(result, "error_in_exec", None)
    if type(error) is NameError and error.name:
        display(_Hint(unknown_name(error.name, get_ipython().user_ns)))


def _watch_cells() -> None:
    try:
        from IPython import get_ipython
    except ImportError:  # outside notebooks there is nothing to watch
        return
    if shell := get_ipython():
        shell.events.register("post_run_cell", _after_cell)


_watch_cells()
