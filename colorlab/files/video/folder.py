"""Folders of PNG or JPEG frames as films, both ways."""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from colorlab.files.errors import InputError, InputWarning
from colorlab.files.video.names import check_names
from colorlab.files.video.profiles import to_srgb, transparent
from colorlab.files.video.shots import Shot, eight_bits
from colorlab.files.atomic import check_writable, atomically

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
# Formats of pictures that are read, whatever a file's name says: others start programs (PostScript), or
# fetch. Pillow reads MPO as a kind of JPEG, and looks no further after a name that it does not know, as AVIF
# is to older ones.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "TGA", "AVIF")
FILM_SUFFIXES = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".ogv",
    ".ts",
    ".wmv",
    ".flv",
)
TURNS = dict(
    zip(range(2, 9), (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180,
                      Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270,
                      Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90)))
ONE_FRAME = "are both the frame {name}; take one of the two out of the folder, or rename it"


class Folder:
    """A folder of frames. Iterating gives them, uint8 (H, W, 3) RGB, in the order of the numbers in their
    names.

    Files other than PNG or JPEG are skipped, as are subfolders (so references can be in one). Every file's
    header is read immediately: a missing, unreadable or odd-sized one is refused here, in one line.
    """

    path: Path
    size: tuple[int, int]  # (H, W)
    files: tuple[Path, ...]
    fields = ""            # pictures are progressive

    def __init__(self, path: Path):
        self.path = path
        try:
            entries = list(path.iterdir())
        except PermissionError as error:
            raise InputError(f"no permission to read the folder {path}") from error
        found = [f for f in entries if _is_picture(f)]
        self.files = tuple(sorted(found, key=lambda f: (natural(f.name), f.name)))
        check_names(self.files, lambda file: file.stem, ONE_FRAME)
        if not self.files:
            raise InputError(
                f"the folder {path} holds no PNG or JPEG frames; give the folder that holds them, or a film")
        self.size = _upright_size(self.files[0])
        for file in self.files[1:]:
            if (size := _upright_size(file)) != self.size:
                raise InputError(
                    f"frames of different sizes in {path}: {self.files[0].name} is "
                    f"{self.size[1]}x{self.size[0]}, {file.name} is {size[1]}x{size[0]}; a film has "
                    "one size: sort or resize them")

    @property
    def frames(self) -> int:
        return len(self.files)

    def count(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.frames_from(0)

    def frames_from(self, first: int) -> Iterator[np.ndarray]:
        """The frames from number `first` on."""
        return map(read_image, self.files[first:])

    def shots_from(self, first: int) -> Iterator[Shot]:
        """The same as a film's `shots_from` gives them."""
        return map(Shot, self.frames_from(first))


def films_in(folder: Path) -> list[Path]:
    """The films in a folder of films: files with a film's suffix, and folders that hold frames. Empty
    for a folder that is itself a film, one of frames."""
    entries = sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")),
                     key=lambda entry: natural(entry.name))
    if any(_is_picture(entry) for entry in entries):
        return []
    return [entry for entry in entries if (entry.suffix.lower() in FILM_SUFFIXES and entry.is_file())
            or (entry.is_dir() and any(_is_picture(inner) for inner in entry.iterdir()))]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts frame2 before frame10: runs of digits count as numbers."""
    return [(int(digits), "") if digits else (-1, text) for digits, text in re.findall(r"(\d+)|(\D+)", name)]


def read_image(path: str | Path, alpha: bool = False) -> np.ndarray:
    """A PNG or JPEG (or whatever Pillow reads) -> (H, W, 3) uint8 RGB, turned as its EXIF says, in sRGB
    whatever its profile.

    alpha: give (H, W, 4) for a picture that can be transparent; else its alpha is left out. Pictures of 16
    bits are rounded to 8. Raises InputError for a file that is missing, not a picture or cut short.
    """
    path = Path(path)
    with _opened(path) as image:
        try:
            # the pictures of an MPO are one, at several sizes
            if getattr(image, "is_animated", False) and image.format != "MPO":
                warnings.warn(f"{path} is animated; its first picture is taken", InputWarning, stacklevel=2)
            read = to_srgb(_eight_bits(image, path), path)
            return np.array(
                upright(read, orientation(image)).convert("RGBA" if alpha and transparent(read) else "RGB"))
        except Exception as error:  # Pillow raises various exceptions for damaged data
            raise InputError(f"{path} is damaged or cut short ({error}); copy it again") from error


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    """A picture of 16 bits a channel rounded to 8, where Pillow would cut the rest off; any other as it
    is."""
    if image.mode.startswith("I"):  # grey, which convert("RGB") would clip at 255
        levels = (np.asarray(image, np.float64) / 257).round().clip(0, 255).astype(np.uint8)
    elif (
        image.format == "PNG"
        and any("16" in str(tile[3]) for tile in image.tile)
        and importlib.util.find_spec("av")
    ):
        import av

        try:
            with av.open(f"file:{path}", format="png_pipe") as container:
                frame, *_ = container.decode(video=0)
        except av.FFmpegError as error:
            raise ValueError(error.strerror) from error
        levels = eight_bits(frame.to_ndarray(format="rgba64le" if transparent(image) else "rgb48le"))
    else:
        return image
    rounded = Image.fromarray(levels)
    rounded.format, rounded.info = image.format, dict(image.info)
    rounded.info.pop("transparency", None)  # it is in the alpha channel now
    return rounded


def write_image(path: Path, rgb: np.ndarray) -> None:
    """(H, W, 3) uint8 RGB -> a picture, in the format that the suffix names; PNG keeps it exactly."""
    with atomically(path) as temporary:
        save_picture(temporary, rgb)


def write_folder(path: Path, frames: Iterable[np.ndarray], names: Iterable[str] | None = None) -> int:
    """Write frames as PNG into a new folder; returns how many. The folder appears when it is complete.

    names: without suffix, one for each frame, as in the folder that they came from; 00000, 00001 ... after
    those end.
    """
    check_writable(path)
    names = None if names is None else list(names)
    check_names(map(Path, names or ()), str,
                "would be one file, {name}.png, on this disk; rename one of them", path.parent)
    given, written, size = iter(names or ()), 0, None
    with atomically(path) as folder:
        folder.mkdir()
        for number, frame in zip(count(), frames):
            size = size or frame.shape
            if frame.shape != size:
                raise InputError(
                    f"frame {number} is {frame.shape}, those before it are {size}; a film has one size")
            save_picture(folder / f"{next(given, f'{number:05d}')}.png", frame)
            written += 1
        if not written:
            raise InputError(f"cannot write {path}: there are no frames")
    return written


def save_picture(path: Path, rgb: np.ndarray, texts: Mapping[str, str] = MappingProxyType({})) -> None:
    """Save a picture directly under its final name, so possibly incomplete if interrupted. texts: further PNG
    text chunks."""
    if path.suffix.lower() != ".png":
        Image.fromarray(rgb).save(path, quality=95, subsampling=0)
        return
    said = PngInfo()
    for name, text in texts.items():
        said.add_text(name, text)
    Image.fromarray(rgb).save(path, compress_level=3, pnginfo=said)


def _upright_size(path: Path) -> tuple[int, int]:
    """(H, W) of a picture, turned as its EXIF says, from its header alone."""
    with _opened(path) as image:
        width, height = image.size
        # four of the eight swap the sides
        return (width, height) if orientation(image) >= 5 else (height, width)


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """A picture turned as EXIF's orientation, 1 to 8, says."""
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 for upright. A PNG's is looked for before its pixels only, as the rest means
    decoding it."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        found = image.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF says nothing
        return 1
    return found if found in range(1, 9) else 1


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # a photograph may be that large; twice as large is refused
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise InputError(f"there is no picture {path}") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a picture") from error
    except PermissionError as error:
        raise InputError(f"no permission to read {path}") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} says that it has more than {2 * Image.MAX_IMAGE_PIXELS / 1e6:.0f} "
                         "million pixels; scale it down, or copy it again if it is damaged") from error
    except Exception as error:  # Pillow raises various exceptions for a damaged header
        raise InputError(
            f"{path} is not a picture that can be read: it is empty, cut short or something else") from error
