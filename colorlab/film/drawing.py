"""Drawing: heat maps, marks, and captioned contact sheets.

A picture is an RGB tensor (3, H, W) in [0, 1], an array of uint8 (H, W, 3), or one plane (H, W) or (1, H, W)
of numbers.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from matplotlib import colormaps, font_manager
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from colorlab.color import rgb_to_frames

Picture = Tensor | np.ndarray

INK = (38, 38, 38)


def as_array(picture: Picture) -> np.ndarray:
    """Any picture -> uint8 (H, W, 3), or the plane itself as (H, W)."""
    if torch.is_tensor(picture):
        picture = picture.detach().cpu()
        if picture.ndim == 3 and picture.shape[0] == 3:
            return rgb_to_frames(picture)
        picture = picture.float().numpy()
    return picture[0] if picture.ndim == 3 and picture.shape[0] == 1 else picture


def heat(plane: Picture, background: Picture | None = None) -> np.ndarray:
    """A map (H, W) >= 0 as uint8 (H, W, 3): bright where it is large, over a dimmed grey background if one is
    given.

    The square root of the map relative to its largest value is drawn, because attention is peaked and its
    surroundings matter too.
    """
    values = np.sqrt(np.clip(as_array(plane), 0, None) / max(float(as_array(plane).max()), 1e-12))
    glow = colormaps["inferno"](values)[..., :3]
    if background is not None:
        grey = as_array(background).astype(float).mean(-1, keepdims=True) / 255
        glow = glow + (1 - values[..., None]) * 0.45 * grey
    return (255 * np.clip(glow, 0, 1)).round().astype(np.uint8)


def mark(picture: Picture, at: tuple[int, int]) -> np.ndarray:
    """The picture as uint8 (H, W, 3) with a ring around the pixel at (y, x)."""
    image = Image.fromarray(np.array(as_array(picture)))
    y, x = at
    radius = max(3, min(image.size) // 28)
    draw = ImageDraw.Draw(image)
    for grow, color in ((1, "black"), (0, "white")):
        draw.ellipse((x - radius - grow, y - radius - grow, x + radius + grow, y + radius + grow),
                     outline=color)
    return np.array(image)


def contact_sheet(pictures: Mapping[str, Picture], columns: int = 3, scale: int = 1) -> np.ndarray:
    """Named pictures of one size on one sheet, uint8 (H', W', 3), each below its name, smoothly enlarged by
    `scale`."""
    images = {}
    for name, picture in pictures.items():
        image = Image.fromarray(np.asarray(as_array(picture))).convert("RGB")
        images[name] = image.resize((image.width * scale, image.height * scale), Image.BICUBIC)
    titles = {name: wrapped(name, 11, image.width) for name, image in images.items()}
    head = 5 + 14 * max(map(len, titles.values()))
    tiles = []
    for name, image in images.items():
        tile = Image.new("RGB", (image.width + 4, image.height + head + 2), "white")
        tile.paste(image, (2, head))
        pen = ImageDraw.Draw(tile)
        pen.multiline_text((3, 1), "\n".join(titles[name]), fill=INK, font=font(11), spacing=1)
        tiles.append(tile)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    page = Image.new("RGB", (columns * width, rows * height), "white")
    for index, tile in enumerate(tiles):
        page.paste(tile, (index % columns * width, index // columns * height))
    return np.array(page)


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font of all drawings: DejaVu Sans, which comes with Matplotlib."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def wrapped(text: str, size: int, breadth: int) -> list[str]:
    """The text in lines at most `breadth` pixels wide, in letters of this size; a word that is too long is
    broken."""
    lines: list[str] = []
    wide = lambda line: font(size).getlength(line) > breadth
    for word in text.split():
        if lines and not wide(f"{lines[-1]} {word}"):
            lines[-1] += f" {word}"
            continue
        while wide(word) and len(word) > 1:
            fits = next(end for end in range(len(word) - 1, 0, -1) if end == 1 or not wide(word[:end]))
            lines.append(word[:fits])
            word = word[fits:]
        lines.append(word)
    return lines


def to_png(picture: Picture) -> bytes:
    """A picture as the bytes of a PNG file."""
    return encoded(picture, "PNG")


def to_jpeg(picture: Picture) -> bytes:
    """A picture as the bytes of a JPEG file, colours at full resolution."""
    return encoded(picture, "JPEG", quality=88, subsampling=0)


def encoded(picture: Picture, format: str, **options: int) -> bytes:
    """A picture as the bytes of a file of this format."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(as_array(picture))).save(buffer, format, optimize=True, **options)
    return buffer.getvalue()
