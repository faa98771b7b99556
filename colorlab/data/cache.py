"""Where things that can be made again are kept, and how they appear there whole or not at all."""

from __future__ import annotations

import os
import secrets
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np


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


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name beside path, which becomes path when the block ends well and vanishes when it does not.

    Several processes may make the same file at once: each has its own temporary name, and the last one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(6)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def store(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays in a compressed .npz. Where the folder cannot be written they are simply not kept."""
    try:
        with whole(path) as temporary:
            np.savez_compressed(temporary, **arrays)
    except OSError:
        return  # a full or read-only disk costs time, never the result


def recall(path: Path) -> dict[str, np.ndarray] | None:
    """What was stored, or None where nothing is or where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    except Exception as error:  # zlib has an error class of its own, which is not a ValueError
        if type(error).__name__ == "error":
            return None
        raise
