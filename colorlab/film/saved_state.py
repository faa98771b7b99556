"""Saving a model's state to a file and loading it, bit for bit.

States are values: frozen dataclasses and named tuples of tensors and numbers. They are written as plain
dictionaries that name their classes, so that `torch.load(weights_only=True)` reads them and nothing in a file
can run code; only this package's classes are built from it.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import torch
from torch import Tensor

from colorlab.files.atomic import atomically

_PLAIN = (Tensor, str, int, float, bool, type(None))


def save_state(path: Path, state: object) -> None:
    """Write a state atomically."""
    with atomically(path) as temporary:
        torch.save(_packed(state), temporary)


def load_state(path: Path, device: torch.device) -> object:
    """Read a state that `save_state` wrote, its tensors on `device`."""
    return _unpacked(torch.load(path, map_location=device, weights_only=True))


def _packed(value: object) -> object:
    if isinstance(value, _PLAIN):
        return value
    if dataclasses.is_dataclass(value):
        return _named(
            value, {field.name: _packed(getattr(value, field.name)) for field in dataclasses.fields(value)})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _named(value, {name: _packed(part) for name, part in zip(value._fields, value)})
    if isinstance(value, (tuple, list)):
        return {"kind": type(value).__name__, "parts": [_packed(part) for part in value]}
    if isinstance(value, dict):
        return {"kind": "dict", "keys": list(value), "parts": [_packed(part) for part in value.values()]}
    raise TypeError(f"a state holds tensors, numbers, tuples, dataclasses; a {type(value).__name__} "
                    "cannot be kept in a file")


def _named(value: object, fields: dict[str, object]) -> dict[str, object]:
    return {
        "kind": "class", "module": type(value).__module__, "name": type(value).__qualname__, "fields": fields
    }


def _unpacked(packed: object) -> object:
    if isinstance(packed, _PLAIN):
        return packed
    if packed["kind"] == "class":
        if packed["module"].split(".")[0] != "colorlab":
            raise ValueError(f"a state of {packed['module']} is not colorlab's")
        home = getattr(importlib.import_module(packed["module"]), packed["name"])
        return home(**{name: _unpacked(part) for name, part in packed["fields"].items()})
    parts = [_unpacked(part) for part in packed["parts"]]
    if packed["kind"] == "dict":
        return dict(zip(packed["keys"], parts))
    return tuple(parts) if packed["kind"] == "tuple" else parts
