"""Where the project's own files are: beside the package in a checkout, inside it where it was installed from
a wheel."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from colorlab.files.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED_CHECKPOINTS = PACKAGE / "checkpoints"  # setup.py puts data/checkpoints there in a wheel


def checkout() -> Path | None:
    """The folder of the checkout that the package is used from; None where it was installed."""
    return PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else None


def checkpoints_folder() -> Path:
    """Where the course weights are: COLORLAB_CHECKPOINTS where that is set; a checkout's data/checkpoints;
    else the package's own."""
    if chosen := os.environ.get("COLORLAB_CHECKPOINTS"):
        return Path(chosen).absolute()
    return INSTALLED_CHECKPOINTS if checkout() is None else PACKAGE.parent / "data" / "checkpoints"


def cache_folder() -> Path:
    """COLORLAB_CACHE where that is set; data/cache of a checkout; else the user's own cache folder."""
    if chosen := os.environ.get("COLORLAB_CACHE"):
        return Path(chosen)
    if (project := checkout()) is not None:
        return project / "data" / "cache"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home() / "AppData" / "Local")) / "colorlab"
    if sys.platform == "darwin":
        return home() / "Library" / "Caches" / "colorlab"
    return Path(os.environ.get("XDG_CACHE_HOME", home() / ".cache")) / "colorlab"


def home() -> Path:
    """The user's home folder, as far as it is known; it need not exist."""
    return Path(os.path.expanduser("~"))


def private_folder(name: str) -> Path:
    """A private temporary folder of this user, created if necessary, for data that can be regenerated."""
    folder = Path(tempfile.gettempdir(),
                  f"colorlab-{name}-{os.getuid() if hasattr(os, 'getuid') else 'user'}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
        raise InputError(f"{folder} is another user's; remove it, or set TMPDIR to a folder of your own")
    return folder


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, or in the folder in which it would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
