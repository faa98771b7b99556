"""Windows of frames for training, from folders of frames, films and photographs."""

from __future__ import annotations

import math
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from colorlab.clips.cache import cache_folder
from colorlab.clips.moving import moving_photograph
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.files.project_folders import can_write, private_folder
from colorlab.files.video.folder import (
    FILM_SUFFIXES,
    FORMATS,
    ONE_FRAME,
    PICTURE_SUFFIXES,
    natural,
    orientation,
    upright,
)
from colorlab.files.video.names import check_names
from colorlab.files.video.profiles import to_srgb

STRANGERS = 8  # one loose reference in this many is unrelated
FRAMINGS = ("crop", "cover", "squash")
FILM_SIDE = 480  # short side at which frames of films are kept


class Window(NamedTuple):
    """T consecutive frames."""

    frames: Tensor  # (T, 3, H, W) Lab or RGB in [0, 1]
    source: str     # the clip's folder, the film or the photograph
    first: int      # index of its earliest frame in it


class LooseWindow(NamedTuple):
    """A window with a reference picture that is not one of its frames."""

    frames: Tensor     # as in `Window`
    source: str
    first: int
    reference: Tensor  # (3, H, W)


class Found(NamedTuple):
    clips: tuple[Path, ...]        # folders of frames, and films
    photographs: tuple[Path, ...]  # pictures that belong to no film


class ClipDataset(Dataset[Window]):
    """Random windows of T frames, each a pure function of (seed, index).

    Window i does not depend on which worker reads it, in which order or how often, so that training can stop
    at any i and resume there. Each clip comes once before any comes twice. There are no epochs: `length` is
    the number of windows.

    clips: folders of frames, and films; a film's frames are kept in the cache (480 lines, JPEG) when it is
        first read.
    photographs: picture files that are set in motion; `share` of the windows come from them where there are
        both.
    frames, size: T and (H, W). strides: steps between frames to choose from, in frames; those too long for a
    clip are left out, and one that is too short even for a step of 1 is played back and forth.
    framing: "crop", a random box of the window's shape, whose sides are at least `zoom` of the picture's;
    "cover", the largest such box, centred; "squash", the whole picture, distorted. flip: mirror half
    of the windows; reverse: play half of those of clips backwards.
    keep: a filter on photographs, called for each when its turn comes; the next one that passes replaces one
        that does not.
    space: "lab", as the networks take it, or "rgb" in [0, 1]. Raises InputError for missing, empty or damaged
    files.
    """

    def __init__(self, clips: Sequence[str | Path] = (), photographs: Sequence[str | Path] = (), *,
                 frames: int = 4, size: tuple[int, int] = (128, 224), strides: Sequence[int] = (1,),
                 zoom: float = 0.5, flip: bool = True, share: float = 0.5, length: int = 1000, seed: int = 0,
                 space: Literal["lab", "rgb"] = "lab", framing: Literal["crop", "cover", "squash"] = "crop",
                 reverse: bool = False, keep: Callable[[Path], bool] | None = None):
        self.clips, self.photographs = tuple(map(Path, clips)), tuple(map(Path, photographs))
        if not self.clips and not self.photographs:
            raise InputError("there is nothing to train on: no clips and no photographs were given")
        if lost := [path for path in (*self.clips, *self.photographs) if not path.exists()]:
            raise InputError(f"{len(lost)} of the files to train on are not there, the first is {lost[0]}")
        if frames < 1 or min(size) < 1 or not 0 < zoom <= 1 or not strides or min(strides) < 1:
            raise ValueError("a window wants frames >= 1, a size of pixels, strides >= 1 and 0 < zoom <= 1, "
                             f"got {frames}, {size}, {strides}, {zoom}")
        if framing not in FRAMINGS:
            raise InputError(f"no framing called {framing!r}; there are {', '.join(FRAMINGS)}")
        self.share = share if self.clips and self.photographs else float(not self.clips)
        self.frames, self.size, self.strides, self.zoom, self.flip = frames, size, tuple(strides), zoom, flip
        self.length, self.seed, self.space = length, seed, space
        self.framing, self.reverse, self.keep = framing, reverse, keep

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Window:
        rgb, source, first = self._window(index)
        return Window(self._in_space(rgb), str(source), first)

    def with_reference(self, index: int) -> LooseWindow:
        """The same window with a loose reference: another moment of its clip or another view of its
        photograph, cropped differently, often mirrored, often with another exposure; one time in STRANGERS an
        unrelated picture."""
        rgb, source, first = self._window(index)
        rng = np.random.default_rng((self.seed, index, 1))
        if rng.random() < 1 / STRANGERS:
            clips = source in self.clips
            source = (self.clips if clips else self.photographs)[rng.integers(
                len(self.clips if clips else self.photographs))]
        return LooseWindow(self._in_space(rgb), str(source), first, self._in_space(self._loose(source, rng)))

    def _in_space(self, rgb: Tensor) -> Tensor:
        return rgb_to_lab(rgb) if self.space == "lab" else rgb

    def _window(self, index: int) -> tuple[Tensor, Path, int]:
        if not 0 <= index < self.length:
            raise IndexError(f"window {index} of {self.length}")
        rng = np.random.default_rng((self.seed, index))
        # windows of photographs so far: spread evenly between those of clips
        before = int(index * self.share)
        if int((index + 1) * self.share) > before:
            return self._photograph(before, rng)
        return self._clip(index - before, rng)

    def _loose(self, path: Path, rng: np.random.Generator) -> Tensor:
        """RGB (3, H, W) of a picture, or of any frame of a clip."""
        file = path
        if path in self.clips:
            files = frame_files(path)
            file = files[rng.integers(len(files))]
        rgb = frames_to_rgb(
            torch.from_numpy(read_crop(file, self._crop(picture_size(file), rng), self.size)[None]))[0]
        if rng.random() < 0.5:
            rgb = rgb.flip(-1)
        return rgb if rng.random() < 0.5 else relit(rgb, rng)

    def _clip(self, turn: int, rng: np.random.Generator) -> tuple[Tensor, Path, int]:
        """RGB (T, 3, H, W) of the clip whose turn it is, its path, and the first frame's index."""
        path = self._in_turn(self.clips, turn)
        files = frame_files(path)
        possible = [stride for stride in self.strides if (self.frames - 1) * stride < len(files)] or [1]
        stride = int(rng.choice(possible))
        first = int(rng.integers(max(1, len(files) - (self.frames - 1) * stride)))
        chosen = [files[_back_and_forth(first + k * stride, len(files))] for k in range(self.frames)]
        box, mirrored = self._crop(picture_size(chosen[0]), rng), bool(self.flip and rng.random() < 0.5)
        frames = torch.from_numpy(np.stack([read_crop(file, box, self.size) for file in chosen]))
        rgb = frames_to_rgb(frames.flip(0) if self.reverse and rng.random() < 0.5 else frames)
        return (rgb.flip(-1) if mirrored else rgb), path, first

    def _photograph(self, turn: int, rng: np.random.Generator) -> tuple[Tensor, Path, int]:
        path = self._kept(turn)
        passer = self._kept(int(rng.integers(len(self.photographs)))) if rng.random() < 0.4 else None
        photo, other = (frames_to_rgb(_whole_picture(p, self.size)) if p else None for p in (path, passer))
        if self.flip and rng.random() < 0.5:
            photo = photo.flip(-1)
        return moving_photograph(photo, self.frames, self.size, rng, passer=other), path, 0

    def _kept(self, turn: int) -> Path:
        """The photograph whose turn it is, or the next of its round that passes the filter."""
        count = len(self.photographs)
        for later in range(count):
            path = self._in_turn(self.photographs, turn - turn % count + (turn + later) % count)
            if self.keep is None or self.keep(path):
                return path
        raise InputError(
            f"{self.keep.__name__} keeps none of the {count} photographs that there are to train on")

    def _in_turn(self, paths: tuple[Path, ...], turn: int) -> Path:
        """All paths, in a different order for every round."""
        order = np.random.default_rng((self.seed, turn // len(paths), len(paths))).permutation(len(paths))
        return paths[order[turn % len(paths)]]

    def _crop(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[float, float, float, float]:
        """The box (left, top, right, bottom) of a picture (h, w) that the window shows."""
        (h, w), (H, W) = size, self.size
        if self.framing == "squash":
            return 0.0, 0.0, w, h
        scale = min(h / H, w / W)
        if self.framing == "cover":
            return (w - W * scale) / 2, (h - H * scale) / 2, min(w, (w + W * scale) / 2), min(
                h, (h + H * scale) / 2)
        scale *= rng.uniform(self.zoom, 1)
        left, top = rng.uniform(0, w - W * scale), rng.uniform(0, h - H * scale)
        return left, top, min(w, left + W * scale), min(h, top + H * scale)


def relit(rgb: Tensor, rng: np.random.Generator) -> Tensor:
    """A picture as another exposure would show it: gamma within 0.7 and 1.4, contrast within 0.8 and 1.2."""
    gamma, contrast = math.exp(rng.uniform(-0.35, 0.35)), rng.uniform(0.8, 1.2)
    return ((rgb.clamp(0, 1) ** gamma - 0.5) * contrast + 0.5).clamp(0, 1)


def survey(*folders: str | Path) -> Found:
    """Find the training data in folders and below: clips and loose photographs.

    A folder whose picture files are numbered in even steps (00000.jpg, 00001.jpg; f001.png; 00000, 00005,
    ...) is a clip, other pictures are photographs. Names that begin with a dot are passed over.
    """
    clips, photographs = [], []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder} to look for clips in")
        for place, inner, names in os.walk(folder, followlinks=True):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            files = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
            clips += [file for file in files if file.suffix.lower() in FILM_SUFFIXES]
            pictures = [file for file in files if file.suffix.lower() in PICTURE_SUFFIXES]
            if _is_numbered(pictures):
                clips.append(Path(place))
            else:
                photographs += pictures
    if not clips and not photographs:
        raise InputError(f"no frames, films or photographs in {', '.join(map(str, folders))}")
    return Found(tuple(clips), tuple(photographs))


def _is_numbered(pictures: list[Path]) -> bool:
    numbers = [re.search(r"(\d+)$", file.stem) for file in pictures]
    if len(pictures) < 2 or not all(numbers):
        return False
    steps = Counter(np.diff(sorted(int(number[1]) for number in numbers)).tolist())
    return steps.most_common(1)[0][1] >= 0.8 * (len(pictures) - 1)


@lru_cache(maxsize=4096)
def frame_files(path: Path) -> tuple[Path, ...]:
    """The frames of a clip as picture files, in order; a film's are unpacked into the cache first."""
    folder = path if path.is_dir() else _unpacked(path)
    files = sorted(
        (f for f in folder.iterdir() if f.suffix.lower() in PICTURE_SUFFIXES and not f.name.startswith(".")),
        key=lambda f: (natural(f.name), f.name))
    if not files:
        raise InputError(
            f"no JPEG or PNG frames in {path}; give folders that hold the frames of one clip each")
    check_names(files, lambda file: file.stem, ONE_FRAME)
    return tuple(files)


def _unpacked(film: Path) -> Path:
    """A folder in the cache with the frames of a film, made on the first call for this film as it is now."""
    from colorlab.files.video import read_video
    from colorlab.files.atomic import atomically

    facts = film.stat()
    key = zlib.crc32(f"{film.resolve()} {facts.st_size} {facts.st_mtime_ns} {FILM_SIDE}".encode())
    # without a cache, training is only a little slower
    kept = cache_folder() if can_write(cache_folder()) else private_folder("cache")
    home = kept / "films" / f"{film.stem}-{key:08x}"
    if home.is_dir():
        return home
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with atomically(home) as folder:
            folder.mkdir()
            for number, frame in enumerate(read_video(film)):
                image = Image.fromarray(frame)
                image.thumbnail(_at_most(image.size), Image.Resampling.BICUBIC)
                image.save(folder / f"{number:06d}.jpg", quality=95, subsampling=0)
    except (OSError, InputError) as error:
        if not home.is_dir():  # otherwise another worker was faster
            raise InputError(f"cannot keep the frames of {film} in {home.parent}: {error}") from error
    return home


def _at_most(size: tuple[int, int]) -> tuple[int, int]:
    scale = max(1.0, min(size) / FILM_SIDE)
    return round(size[0] / scale), round(size[1] / scale)


def picture_size(path: Path) -> tuple[int, int]:
    """(h, w) of a picture file as it stands upright, from its header."""
    with _opened(path) as image:
        return image.size if orientation(image) >= 5 else image.size[::-1]  # four of the eight swap the sides


def read_crop(path: Path, box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """A box (left, top, right, bottom) of a picture file, resized: uint8 (H, W, 3).

    A JPEG is decoded at no more than the needed resolution, which makes large ones several times faster.
    """
    H, W = size
    with _opened(path) as image:
        turned = orientation(image) >= 5
        full = image.size[::-1] if turned else image.size
        if box[2] > full[0] or box[3] > full[1]:
            raise InputError(f"{path} is {full[0]}x{full[1]} and smaller than the clip's first frame; a clip "
                             "has one size")
        enough = min((box[2] - box[0]) / W, (box[3] - box[1]) / H)
        finest = int(full[0] / enough), int(full[1] / enough)
        image.draft("RGB", finest[::-1] if turned else finest)
        try:
            picture = upright(to_srgb(image, path), orientation(image)).convert("RGB")
            ratio = picture.width / full[0], picture.height / full[1]
            scaled = tuple(min(edge * ratio[i % 2], picture.size[i % 2]) for i, edge in enumerate(box))
            return np.array(picture.resize((W, H), Image.Resampling.BICUBIC, box=scaled, reducing_gap=3.0))
        except Exception as error:  # Pillow raises various exceptions for damaged data
            raise InputError(
                f"{path} is damaged or cut short ({error}); copy it again or take it out") from error


def _whole_picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A photograph, no finer than one and a half times what a frame of this size needs: uint8 (h, w, 3)."""
    h, w = picture_size(path)
    scale = min(1.0, 1.5 * max(size[0] / h, size[1] / w))
    return read_crop(path, (0, 0, w, h), (max(1, round(h * scale)), max(1, round(w * scale))))


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise InputError(
            f"{path} has disappeared since training began; put it back or start again without it") from error
    except Exception as error:  # Pillow raises various exceptions for a damaged header
        raise InputError(
            f"{path} is not a picture that can be read ({error}); copy it again or take it out") from error


def _back_and_forth(index: int, count: int) -> int:
    """index folded into 0 .. count-1: 0 1 2 1 0 1 2 ... for a count of 3."""
    index %= max(1, 2 * count - 2)
    return index if index < count else 2 * count - 2 - index
