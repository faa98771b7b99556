"""Loading a reader's own films, pictures and frames for an explorer."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from colorlab import clips
from colorlab.color import join_lab
from colorlab.files.errors import InputError
from colorlab.files.video import read_image, read_video
from colorlab.film.colorize import check_size
from colorlab.film.references import check_picture, known_part, network_size, picture_to_lab
from colorlab.modules.references import References


def frames_of(film: str | Path | np.ndarray, start: int, frames: int, size: int) -> np.ndarray:
    """uint8 (T, h, w, 3): frames of a film, made smaller."""
    check_size(size)
    if frames < 1 or start < 0:
        raise InputError(
            f"an explorer needs at least 1 frame, from frame 0 or later; got {frames} from {start}")
    if isinstance(film, str) and film in clips.FILMS and not Path(film).exists():
        taken = list(clips.film(film, frames, start=start))
    else:
        source = read_video(film) if isinstance(film, (str, Path)) else film
        taken = [
            check_picture(frame, f"frame {number}")
            for number, frame in enumerate(islice(source, start, start + frames), start)
        ]
    if not taken:
        raise InputError(f"the film has no frame {start}")
    height, width = network_size(taken[0].shape[:2], size)
    return np.stack([
        np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))
        for frame in taken
    ])


def references_of(reference: object, start: int, frames: int) -> References:
    """What `model.start` takes, from files and pictures; frames are counted from `start`."""
    if reference is None:
        return None
    parsed = []
    for one in reference if isinstance(reference, list) else [reference]:
        frame, picture = one if isinstance(
            one, tuple) else _file_and_frame(one) if isinstance(one, (str, Path)) else (None, one)
        if not isinstance(picture, np.ndarray):
            picture = read_image(Path(picture), alpha=True)
        if frame is not None and not start <= frame < start + frames:
            raise InputError(f"the reference of frame {frame} lies outside the frames that are explored, "
                             f"{start} to {start + frames - 1}; give another start, more frames, or the "
                             "picture without its frame")
        image = _lab(picture)
        parsed.append(image if frame is None else (frame - start, image))
    return parsed


def _lab(picture: np.ndarray) -> torch.Tensor:
    """uint8 (H, W, 3 or 4) -> Lab (1, 3, H, W), colourless where the picture is transparent."""
    if picture.shape[-1] == 3:
        return picture_to_lab(picture, picture.shape[:2], torch.device("cpu"))
    l, ab, alpha = known_part(picture, picture.shape[:2], torch.device("cpu"))
    return join_lab(l, ab * alpha)


def _file_and_frame(named: str | Path) -> tuple[int | None, Path]:
    """"picture.png@12" -> 12 and the file; a file whose own name contains an @ is recognised."""
    image, at, frame = str(named).rpartition("@")
    if Path(named).is_file() or not at or not frame.isdecimal():
        return None, Path(named)
    return int(frame), Path(image)
