"""A training run on disk: one file with everything that the next step depends on, written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from colorlab.files.errors import InputError
from colorlab.files.atomic import atomically


def save_checkpoint(path: Path, content: Mapping[str, object]) -> None:
    """Write tensors and plain values; the previous checkpoint is kept until everything is on disk.

    Raises InputError where the disk is full or the folder cannot be written.
    """
    try:
        with atomically(path) as temporary:
            torch.save(dict(content), temporary)
    except (InputError, OSError, RuntimeError) as error:
        kept = f"the one before it is whole at {path}" if path.exists() else "there is none yet"
        raise InputError(f"the checkpoint of step {content['step']} could not be written "
                         f"({_first_line(error)}); {kept}. Make room on the disk, then give the same "
                         "command again to go on") from error


def load_checkpoint(path: Path) -> dict:
    """Load what was saved, on the CPU, without running code; InputError for an incomplete file."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise almost any exception in torch's reader
        raise InputError(
            f"{path} is no checkpoint of a training run ({_first_line(error)}); remove it to start again"
        ) from error


def check_same(path: Path, stored: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise InputError unless the checkpoint was made with these settings: resuming with others would mix two
    runs."""
    apart = [
        f"{name} was {stored.get(name, 'not there')} and is {now.get(name, 'not there')}"
        for name in (stored | now)
        if stored.get(name) != now.get(name)
    ]
    if apart:
        raise InputError(f"{path} is of a run with other settings: {'; '.join(apart[:4])}. Give those "
                         "again to go on, or another --out")


def save_weights(path: Path, state: Mapping[str, Tensor], note: Mapping[str, object]) -> None:
    """The network alone, as `colorlab.load(weights=path)` takes it; `note` is stored in the file's header, as
    JSON."""
    from safetensors.torch import save_file

    try:
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
        with atomically(path) as temporary:
            # one entry: the order of several is not fixed
            save_file(tensors, temporary, metadata={"colorlab": json.dumps(note)})
    except Exception as error:  # safetensors has its own error type, a direct subclass of Exception
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            raise InputError(f"the weights could not be written to {path} ({_first_line(error)})") from error
        raise


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
