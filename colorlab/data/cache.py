"""Where things that can be made again are kept, and how they appear there whole or not at all."""

from __future__ import annotations

import os
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from colorlab.errors import InputError
from colorlab.whole import whole


def cache_folder() -> Path:
    """COLORLAB_CACHE where that is set; data/cache of a checkout; else the user's own cache folder."""
    if chosen := os.environ.get("COLORLAB_CACHE"):
        return Path(chosen)
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "data" / "cache"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "colorlab"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "colorlab"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "colorlab"


def store(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays in a compressed .npz. Where the folder cannot be written they are simply not kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as temporary:
            np.savez_compressed(temporary, **arrays)
    except (OSError, InputError):
        return  # a full or read-only disk costs time, never the result


def recall(path: Path) -> dict[str, np.ndarray] | None:
    """What was stored, or None where nothing is or where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
