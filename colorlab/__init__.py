"""colorlab: four methods that colour grey video, their metrics, and the workbook that teaches them.

    model = colorlab.load("lstvc", preset="course", weights="course")
    frames = colorlab.read_video("film.mp4")
    colorlab.write_video("film_color.mp4", colorlab.colorize(frames, reference, model), like="film.mp4")

Importing this module is cheap: torch, torchvision, timm and PyAV are loaded by what needs them, so that
`colorlab doctor` can say what is wrong with them.
"""

from __future__ import annotations

import importlib

import colorlab.files.former_names  # noqa: F401 old import paths keep working

__version__ = "0.1.0"
__all__ = ["METHODS", "colorize", "load", "read_video", "write_video"]

_LAZY = {"METHODS": "colorlab.methods", "load": "colorlab.methods", "colorize": "colorlab.film.colorize",
         "read_video": "colorlab.files.video", "write_video": "colorlab.files.video"}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'colorlab' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
