"""A cache for data that can be regenerated, written atomically."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from colorlab.files.errors import InputError
from colorlab.files.project_folders import cache_folder
from colorlab.files.atomic import atomically

__all__ = ["cache_folder", "recall", "store"]


def store(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Store arrays in a compressed .npz. If the folder cannot be written, they are not stored."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomically(path) as temporary:
            np.savez_compressed(temporary, **arrays)
    except (OSError, InputError):
        return  # a full or read-only disk costs time, never the result


def recall(path: Path) -> dict[str, np.ndarray] | None:
    """What was stored, or None if nothing is or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
