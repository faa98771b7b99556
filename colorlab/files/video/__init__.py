"""Frames in and out of films, one at a time.

A film is a file (whatever FFmpeg reads, through PyAV) or a folder of PNG or JPEG frames. A frame is an array
(H, W, 3) of uint8 RGB, upright. Memory does not grow with the length of the film.

    film = read_video("in.mp4")                          # film.size, film.rate, film.frames, film.colors ...
    write_video("out.mp4", (frame[:, ::-1] for frame in film), like="in.mp4")

pixels.py says what the stored numbers mean as colours; film.py reads and encode.py writes film files;
segments.py writes them in parts; folder.py does both for folders; output is atomic (`colorlab.files.whole`).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from colorlab.files.errors import InputError
from colorlab.files.video.folder import Folder, films_in, read_image, write_folder, write_image
from colorlab.files.atomic import check_writable, atomically

if TYPE_CHECKING:
    from colorlab.files.video.film import Film, Stamp
    from colorlab.files.video.pixels import Colors

__all__ = [
    "Colors", "Film", "Folder", "Stamp", "check_output", "check_writable", "films_in", "is_folder_name",
    "read_image", "read_video", "same_file", "atomically", "write_image", "write_video"
]

PathLike = str | os.PathLike[str]

# Loaded on demand: folders of frames are read and written without PyAV, which not every training machine has.
_FILES = {"Film": "film", "Stamp": "film", "Colors": "pixels", "FORMATS": "encode", "write_film": "encode"}


def __getattr__(name: str) -> object:
    if name not in _FILES:
        raise AttributeError(f"module 'colorlab.files.video' has no attribute {name!r}")
    globals()[name] = value = getattr(importlib.import_module(f"colorlab.files.video.{_FILES[name]}"), name)
    return value


def read_video(path: PathLike, deinterlace: bool = False) -> Film | Folder:
    """Open a film file or a folder of frames for reading.

    Iterating it gives uint8 (H, W, 3) RGB frames, one by one, from the start each time. It has `path`, `size`
    (H, W), `frames` (how many; None where a film's header does not tell) and `count()` (exact, and sees
    whether the file is complete); a film also has `rate`, `time_base`, `stamps()`, `colors`, `turn`,
    `pix_fmt`, `pixel_aspect` and `fields`.

    deinterlace: make each frame of an interlaced film one progressive picture (FFmpeg's bwdif); else its two
        fields stay interleaved.

    Raises InputError, one line, for what is missing, empty, cut short, unreadable, no film, or a folder of
    mixed sizes.
    """
    path = Path(path)
    if path.is_dir():
        if deinterlace:
            raise InputError(f"{path} is a folder of pictures, which says nothing of fields; deinterlace the "
                             "film that they were taken from")
        return Folder(path)
    from colorlab.files.video.film import Film
    return Film(path, deinterlace)


def write_video(path: PathLike, frames: Iterable[np.ndarray], like: PathLike | Film | Folder | None = None,
                rate: Fraction | float = 24) -> int:
    """Write uint8 (H, W, 3) RGB frames to a film file or a folder of PNG frames; returns how many were
    written.

    path: .mp4, .m4v, .mov or .mkv (H.264), .webm (VP9); a name without a suffix, or an empty folder, becomes
        a folder of frames.
    like: the film that the frames were made from. A film lends its time stamps (variable rates stay), colour
        tags, shape of pixels, chapters, and its audio and subtitle streams, untouched; a folder lends its
        files' names.
    rate: frames per second, where no film tells.

    Frames are pulled one at a time. The output appears under its name when it is complete; if anything fails,
    or on Ctrl-C, it does not appear, and an existing file is kept. Raises InputError for an output that
    cannot be written or is the input.
    """
    path = Path(path)
    check_output(path, getattr(like, "path", like))
    like = read_video(like) if isinstance(like, (str, os.PathLike)) else like
    if is_folder_name(path):
        return write_folder(path, frames,
                            (file.stem for file in like.files) if isinstance(like, Folder) else None)
    from colorlab.files.video.encode import write_film
    return write_film(path, frames, None if isinstance(like, Folder) else like,
                      Fraction(rate).limit_denominator(1001))


def check_output(path: PathLike, *inputs: PathLike | None) -> None:
    """Raise InputError where `path` cannot be written, is no name of a film or folder, or is one of
    `inputs`."""
    path = Path(path)
    for other in inputs:
        if other is not None and same_file(path, other):
            raise InputError(f"the output {path} is also the input; give the output another name")
    if not is_folder_name(path):
        from colorlab.files.video.encode import FORMATS
        if path.suffix.lower() not in FORMATS:
            raise InputError(f"cannot write {path}: films end in {', '.join(FORMATS)}; a name without a dot "
                             "becomes a folder of frames")
    if is_folder_name(path) and path.exists() and not path.is_dir():
        raise InputError(f"cannot write a folder of frames {path}: a file of that name exists")
    check_writable(path)


def is_folder_name(path: Path) -> bool:
    """Whether output of this name is a folder of frames: it has no suffix or is a folder already."""
    return path.is_dir() or not path.suffix


def same_file(one: PathLike, other: PathLike) -> bool:
    """Whether two paths lead to one file or folder, through links too."""
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)
