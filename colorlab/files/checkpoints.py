"""Reading checkpoint files as tensors only, and comparing their names with a network's.

Nothing here unpickles code: safetensors files hold tensors only, and `torch.load` runs with
`weights_only=True`.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from colorlab.files.errors import InputError

SUFFIXES = (".safetensors", ".pth", ".pt")


def read_state(path: Path, flatten: Callable[[Mapping], Mapping] | None = None) -> dict[str, Tensor]:
    """A state dict from a .safetensors or .pth file, or from a folder of them, merged.

    A file that wraps its state dict as {"model": ...} or {"state_dict": ...} is unwrapped; a "module." prefix
    is dropped.
    flatten: from a method's `released` module, for files that hold more than one network; it is called first.
    """
    path = Path(path)
    if path.is_dir():
        return _merged(
            {file: read_state(file, flatten) for file in sorted(path.iterdir()) if file.suffix in SUFFIXES},
            path)
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}; give the path of a .safetensors or .pth file")
    content = _read(path)
    if flatten is not None and isinstance(content, Mapping):
        content = flatten(content)
    for wrapper in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(
            torch.is_tensor(value) for value in content.values()):
        raise InputError(f"{path} holds no state dict: a mapping of names to tensors was expected")
    if odd := next((name for name in content if not isinstance(name, str)), None):
        raise InputError(f"{path} holds no state dict: its entries are named by text, one is named {odd!r}")
    return {name.removeprefix("module."): _plain(value, name, path) for name, value in content.items()}


def _read(path: Path) -> object:
    """The contents of a file; InputError if it cannot be read, or not without running code."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file
            return load_file(path)
        with warnings.catch_warnings():
            # torch's warnings do not help: the file is either refused or read
            warnings.simplefilter("ignore")
            # of options: VisTR's program keeps its own beside the weights
            with torch.serialization.safe_globals([argparse.Namespace]):
                return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise InputError(f"no permission to read {path}") from error
    except Exception as error:  # a damaged pickle can raise almost any exception in torch's reader
        kind = (
            "a whole .safetensors file"
            if path.suffix == ".safetensors"
            else "a checkpoint that can be read safely"
        )
        raise InputError(f"{path} is not {kind} ({_first_line(error)})") from error


def _plain(value: Tensor, name: str, path: Path) -> Tensor:
    """A tensor of numbers, as a network's are; InputError for one without data, sparse ones, and nan or
    infinity."""
    if value.is_meta or value.layout != torch.strided or value.is_quantized:
        raise InputError(f"{path} holds no numbers for {name}, or not one for each place; save the "
                         "network's state_dict() as it is")
    if value.is_complex():
        raise InputError(f"{path} holds complex numbers for {name}; no network here uses any")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise InputError(f"{path} is damaged: {name} holds what is no number (nan or infinite); take "
                         "another checkpoint")
    return value


def _merged(states: Mapping[Path, Mapping[str, Tensor]], folder: Path) -> dict[str, Tensor]:
    """One state dict of several files that share no name."""
    if not states:
        raise InputError(
            f"no checkpoint in {folder}; it should hold the method's {', '.join(SUFFIXES)} files")
    merged: dict[str, Tensor] = {}
    for file, state in states.items():
        if twice := next((name for name in state if name in merged), None):
            raise InputError(f"{file} holds {twice}, which another file of {folder} holds too; leave one set "
                             "of files there")
        merged |= state
    return merged


def rename(state: Mapping[str, Tensor], names: Sequence[tuple[str, str]],
           unused: Sequence[str] = ()) -> dict[str, Tensor]:
    """Released names -> ours. `names` pairs dotted prefixes, the longest that fits wins; `unused` prefixes
    are dropped."""
    table = sorted(names, key=lambda pair: -len(pair[0]))
    renamed = {}
    for name, value in state.items():
        if any(begins(name, prefix) for prefix in unused):
            continue
        ours = next((new + name[len(old):] for old, new in table if begins(name, old)), name)
        if ours in renamed:
            raise InputError(f"two entries of the checkpoint become {ours}; it is not a file of this network")
        renamed[ours] = value
    return renamed


def begins(name: str, prefix: str) -> bool:
    """Whether a dotted name stands under a dotted prefix."""
    return name == prefix or name.startswith(prefix + ".")


def mismatches(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Why a checkpoint does not fit a network, in a line; "" if it fits."""
    missing = [name for name in expected if name not in state]
    surplus = [name for name in state if name not in expected]
    shapes = [
        f"{name} is {tuple(state[name].shape)}, not {tuple(value.shape)}" for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    kinds = [f"{name} is {state[name].dtype}" for name, value in expected.items()
             if name in state and state[name].is_floating_point() != value.is_floating_point()]
    said = [
        f"{len(found)} entries {what} (first: {found[0]})"
        for found, what in (
            (missing, "missing"),
            (surplus, "too many"),
            (shapes, "of another shape"),
            (kinds, "of another kind of number"),
        )
        if found
    ]
    return "; ".join(said)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
