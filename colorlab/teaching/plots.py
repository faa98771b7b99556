"""The pictures that notebooks draw, and the sheets that the command line writes.

A picture is anything one would call so: an RGB tensor (3, H, W) in [0, 1], an array of uint8 (H, W, 3), or one plane
(H, W) or (1, H, W) of numbers, which is drawn in a colour map.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import display
from matplotlib import colormaps
from PIL import Image, ImageDraw
from torch import Tensor

from colorlab.color import frames_to_rgb, rgb_to_frames, rgb_to_lab

Picture = Tensor | np.ndarray


def show(*pictures: Picture, titles: Sequence[str] = (), columns: int = 4, width: float = 3.1, cmap: str = "gray",
         limits: tuple[float, float] | None = None) -> None:
    """Draw pictures side by side, `columns` to a row; planes in `cmap` between `limits` (their own range by default)."""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    height, breadth = _plane_size(pictures[0])
    figure, axes = plt.subplots(rows, columns, squeeze=False, dpi=72,
                                figsize=(width * columns, (width * height / breadth + 0.35) * rows))
    for axis in axes.flat:
        axis.axis("off")
    for index, (axis, picture) in enumerate(zip(axes.flat, pictures)):
        array = as_array(picture)
        axis.imshow(array, cmap=cmap, vmin=limits and limits[0], vmax=limits and limits[1], interpolation="nearest")
        axis.set_title(titles[index] if index < len(titles) else "", fontsize=10)
    _display(figure, "jpeg")  # photographs: a fifth of the size of PNG, so that notebooks stay small


def film_strip(*films: Sequence[Picture], names: Sequence[str] = (), count: int = 6, width: float = 1.9) -> None:
    """One row per film, `count` frames of each spread evenly from first to last."""
    strips, titles = [], []
    for row, film in enumerate(films):
        shown = np.linspace(0, len(film) - 1, min(count, len(film))).round().astype(int)
        strips += [film[index] for index in shown]
        titles += [f"{names[row] + ', ' if row < len(names) else ''}frame {index}" for index in shown]
    show(*strips, titles=titles, columns=min(count, len(films[0])), width=width)


def curves(lines: Mapping[str, Sequence[float]], x: Sequence[float] | None = None, xlabel: str = "", ylabel: str = "",
           title: str = "", log: bool = False) -> None:
    """Named curves in one axis, each with a mark at its points where there are few."""
    figure, axis = plt.subplots(figsize=(6, 3), dpi=72)
    for name, values in lines.items():
        places = range(len(values)) if x is None else x
        axis.plot(places, values, marker="o" if len(values) < 20 else None, markersize=3, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title, yscale="log" if log else "linear")
    axis.legend(frameon=False, fontsize=9)
    axis.grid(alpha=0.3)
    _display(figure, "png")


def intervals(groups: Mapping[str, Mapping[str, tuple[float, float, float] | None]], xlabel: str = "", columns: int = 3) -> None:
    """Means with their intervals, one axis for each group: {group: {name: (mean, low, high)}}. Names without an interval are left out."""
    columns = min(columns, len(groups))
    rows = -(-len(groups) // columns)
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    figure, axes = plt.subplots(rows, columns, squeeze=False, dpi=72, sharey=True, figsize=(3.4 * columns, (0.32 * len(names) + 0.9) * rows))
    for axis in axes.flat[len(groups):]:
        axis.axis("off")
    for axis, (title, group) in zip(axes.flat, groups.items()):
        for place, name in enumerate(names):
            if (interval := group.get(name)) is not None:
                mean, low, high = interval
                axis.plot((low, high), (place, place), color=f"C{place}", linewidth=2)
                axis.plot(mean, place, "o", color=f"C{place}")
        axis.set(title=title, xlabel=xlabel, yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
        axis.grid(alpha=0.3, axis="x")
    _display(figure, "png")


def as_array(picture: Picture) -> np.ndarray:
    """Any picture -> uint8 (H, W, 3), or the plane itself as (H, W)."""
    if torch.is_tensor(picture):
        picture = picture.detach().cpu()
        if picture.ndim == 3 and picture.shape[0] == 3:
            return rgb_to_frames(picture)
        picture = picture.float().numpy()
    return picture[0] if picture.ndim == 3 and picture.shape[0] == 1 else picture


def heat(plane: Picture, background: Picture | None = None) -> np.ndarray:
    """A map (H, W) >= 0 as uint8 (H, W, 3): bright where it is large, over a dimmed grey background where one is given.

    The square root of the map relative to its largest value is drawn: attention is peaked, and its surroundings matter too.
    """
    values = np.sqrt(np.clip(as_array(plane), 0, None) / max(float(as_array(plane).max()), 1e-12))
    glow = colormaps["inferno"](values)[..., :3]
    if background is not None:
        grey = as_array(background).astype(float).mean(-1, keepdims=True) / 255
        glow = glow + (1 - values[..., None]) * 0.45 * grey
    return (255 * np.clip(glow, 0, 1)).round().astype(np.uint8)


def difference(predicted: Picture, truth: Picture, limit: float = 40.0) -> np.ndarray:
    """How far the colours of a picture are off, in ab, as uint8 (H, W, 3): black for right, bright for `limit` and more."""
    ab = [rgb_to_lab(frames_to_rgb(as_array(picture).copy()))[1:] for picture in (predicted, truth)]  # (2, H, W)
    off = (ab[0] - ab[1]).norm(dim=0).numpy()
    return (255 * colormaps["inferno"](np.clip(off / limit, 0, 1))[..., :3]).round().astype(np.uint8)


def mark(picture: Picture, at: tuple[int, int]) -> np.ndarray:
    """The picture as uint8 (H, W, 3) with a ring around the pixel at (y, x)."""
    image = Image.fromarray(np.array(as_array(picture)))
    y, x = at
    radius = max(3, min(image.size) // 28)
    draw = ImageDraw.Draw(image)
    for grow, color in ((1, "black"), (0, "white")):
        draw.ellipse((x - radius - grow, y - radius - grow, x + radius + grow, y + radius + grow), outline=color)
    return np.array(image)


def contact_sheet(pictures: Mapping[str, Picture], columns: int = 3, scale: int = 1) -> np.ndarray:
    """Named pictures of one size on one sheet, uint8 (H', W', 3), each under its name."""
    images = {name: Image.fromarray(np.asarray(as_array(picture))) for name, picture in pictures.items()}
    images = {name: image.resize((image.width * scale, image.height * scale), Image.NEAREST) for name, image in images.items()}
    titles = {name: textwrap.wrap(name, max(8, image.width // 6)) for name, image in images.items()}  # a letter is 6 pixels wide
    head = 4 + 12 * max(map(len, titles.values()))
    tiles = []
    for name, image in images.items():
        tile = Image.new("RGB", (image.width + 4, image.height + head + 2), "white")
        tile.paste(image, (2, head))
        ImageDraw.Draw(tile).multiline_text((3, 2), "\n".join(titles[name]), fill="black", spacing=1)
        tiles.append(tile)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % columns * width, index // columns * height))
    return np.array(sheet)


def to_png(picture: Picture) -> bytes:
    """A picture as the bytes of a PNG file."""
    return _encoded(picture, "PNG")


def to_jpeg(picture: Picture) -> bytes:
    """A picture as the bytes of a JPEG file, colours at full resolution."""
    return _encoded(picture, "JPEG", quality=88, subsampling=0)


def _encoded(picture: Picture, format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(as_array(picture))).save(buffer, format, optimize=True, **options)
    return buffer.getvalue()


def _display(figure: plt.Figure, format: str) -> None:
    """Show a figure in the notebook and forget it. The output is an image and nothing that changes from run to run."""
    figure.tight_layout(pad=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format, **({"pil_kwargs": {"quality": 88, "subsampling": 0}} if format == "jpeg" else {}))
    plt.close(figure)
    display({f"image/{format}": buffer.getvalue(), "text/plain": "<picture>"}, raw=True)


def _plane_size(picture: Picture) -> tuple[int, int]:
    return as_array(picture).shape[:2]
