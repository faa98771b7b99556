"""The pictures that notebooks draw.

A picture is an RGB tensor (3, H, W) in [0, 1], an array of uint8 (H, W, 3), or one plane (H, W) or (1, H, W)
of numbers, which is drawn in a colour map.

Drawings are made for a page that is PAGE pixels wide, with as many pictures per row as leave each at least
TALL pixels high. Films are enlarged smoothly; `smooth=False` shows single pixels. Every drawing has its own
light background and is readable in a dark theme too.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw

from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.film.drawing import (INK, Picture, as_array, contact_sheet, encoded, font, heat, mark, to_jpeg,
                                    to_png, wrapped)

__all__ = [
    "Picture", "as_array", "before_after", "contact_sheet", "curves", "difference", "display_sheet",
    "film_strip", "font", "for_page", "heat", "intervals", "mark", "sheet", "show", "to_jpeg", "to_png",
    "wrapped"
]

PAGE = 790    # width of a notebook's page without margin, in pixels
TALL = 220    # minimum height of a picture narrower than the page, in pixels
WIDEST = 560  # pixels, the width of a picture that stands alone
GAP = 8       # pixels between pictures


def show(*pictures: Picture, titles: Sequence[str] = (), columns: int | None = None,
         width: float | None = None, cmap: str = "gray", limits: tuple[float, float] | None = None,
         smooth: bool = True, scale: bool | None = None) -> None:
    """Draw pictures side by side; planes in `cmap` between `limits` (their own range by default).

    columns: pictures per row; by default as many as leave each TALL pixels high. width: of one picture in
    inches of 72 pixels; by default the page's width is divided. smooth: False draws each pixel as a square.
    scale: a bar beside each plane that says which colour is which value; by default for every colour map but
    "gray".
    """
    display_sheet(sheet(*pictures, titles=titles, columns=columns, width=width, cmap=cmap, limits=limits,
                        smooth=smooth, scale=scale))


def film_strip(*films: Sequence[Picture], names: Sequence[str] = (), count: int = 4,
               width: float | None = None) -> None:
    """One row per film, as wide as the page: `count` frames of each, spread evenly, under the film's name."""
    rows = []
    for row, film in enumerate(films):
        shown = np.linspace(0, len(film) - 1, min(count, len(film))).round().astype(int)
        name = names[row] if row < len(names) else ""
        titles = [f"frame {index}" for index in shown]
        titles[0] = f"{name}, {titles[0]}" if name else titles[0]
        rows.append(sheet(*[film[index] for index in shown], titles=titles, columns=len(shown), width=width))
    across = max(row.shape[1] for row in rows)
    below = [GAP] * (len(rows) - 1) + [0]
    padded = [np.pad(row, ((0, gap), (0, across - row.shape[1]), (0, 0)), constant_values=255)
              for row, gap in zip(rows, below)]
    display_sheet(np.concatenate(padded))


def before_after(before: Picture, after: Picture, names: tuple[str, str] = ("before", "after")) -> None:
    """Two pictures of one size in one frame, with a draggable divider: `before` left of it, `after` right.

    The output is a piece of HTML that needs no script file and no network: both pictures and a slider, moved
    by mouse, touch or arrow keys. A still of both is included for pages that show no HTML.
    Raises ValueError where the sizes differ.
    """
    first, second = (as_array(picture) for picture in (before, after))
    if first.shape[:2] != second.shape[:2]:
        raise ValueError("before_after wants two pictures of one size, "
                         f"got {first.shape[:2]} and {second.shape[:2]}")
    first, second = (_resized(_colored(array, "gray", None), 560) for array in (first, second))
    still = sheet(first, second, titles=names)
    display({"text/html": _compare_html(first, second, names), "image/jpeg": for_page(_framed(still)),
             "text/plain": f"<{names[0]} | {names[1]}>"}, raw=True)


def curves(lines: Mapping[str, Sequence[float]], x: Sequence[float] | None = None, xlabel: str = "",
           ylabel: str = "", title: str = "", log: bool = False) -> None:
    """Named curves in one plot, with markers if there are few points."""
    figure, axis = plt.subplots(figsize=(8.2, 3.1), dpi=96)
    for name, values in lines.items():
        places = range(len(values)) if x is None else x
        axis.plot(places, values, marker="o" if len(values) < 20 else None, markersize=4, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title, yscale="log" if log else "linear")
    if all(float(place).is_integer() for place in (range(0) if x is None else x)):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no frame 2.5
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if len(lines) > 4 else {}
    axis.legend(frameon=False, fontsize=10, **beside)
    axis.grid(alpha=0.3)
    _display(figure)


def intervals(groups: Mapping[str, Mapping[str, tuple[float, float, float] | None]], xlabel: str = "",
              columns: int = 3) -> None:
    """Means with their intervals, one axis for each group: {group: {name: (mean, low, high)}}.

    Names without an interval are left out.
    """
    columns = min(columns, len(groups))
    rows = -(-len(groups) // columns)
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    figure, axes = plt.subplots(rows, columns, squeeze=False, dpi=96, sharey=True,
                                figsize=(8.2, (0.32 * len(names) + 0.9) * rows))
    for axis in axes.flat[len(groups):]:
        axis.axis("off")
    for axis, (title, group) in zip(axes.flat, groups.items()):
        for place, name in enumerate(names):
            if (interval := group.get(name)) is not None:
                mean, low, high = interval
                axis.plot((low, high), (place, place), color=f"C{place}", linewidth=2)
                axis.plot(mean, place, "o", color=f"C{place}")
        axis.set(title=title, xlabel=xlabel, yticks=range(len(names)), yticklabels=names,
                 ylim=(len(names) - 0.5, -0.5))
        axis.grid(alpha=0.3, axis="x")
    _display(figure)


def difference(predicted: Picture, truth: Picture, limit: float = 40.0) -> np.ndarray:
    """Error of a picture's ab, as uint8 (H, W, 3): black for 0, bright for `limit` and more."""
    pictures = (as_array(picture).copy() for picture in (predicted, truth))
    ab = [rgb_to_lab(frames_to_rgb(picture))[1:] for picture in pictures]  # (2, H, W)
    off = (ab[0] - ab[1]).norm(dim=0).numpy()
    return (255 * colormaps["inferno"](np.clip(off / limit, 0, 1))[..., :3]).round().astype(np.uint8)


def sheet(*pictures: Picture, titles: Sequence[str] = (), columns: int | None = None,
          width: float | None = None, cmap: str = "gray", limits: tuple[float, float] | None = None,
          smooth: bool = True, scale: bool | None = None) -> np.ndarray:
    """What `show` draws, uint8 (H, W, 3): pictures under their titles, which are wrapped and never
    truncated."""
    arrays = [as_array(picture) for picture in pictures]
    barred = cmap != "gray" if scale is None else scale
    ratio = arrays[0].shape[1] / arrays[0].shape[0]
    columns = min(columns or max(1, int((PAGE + GAP) // (TALL * ratio + GAP))), len(arrays))
    breadth = round(72 * width) if width else min(WIDEST, (PAGE - GAP * (columns - 1)) // columns)
    ends = [limits or _range(array) for array in arrays if array.ndim == 2]
    labels = [label for pair in ends for label in _bar_labels(pair)] if barred else []
    bars = max((22 + round(font(11).getlength(label)) for label in labels), default=0)
    titled = [titles[index] if index < len(titles) else "" for index in range(len(arrays))]
    tiles = [_tile(array, title, breadth, bars, cmap, limits, smooth) for array, title in zip(arrays, titled)]
    rows = [tiles[first:first + columns] for first in range(0, len(tiles), columns)]
    heads = [max(head for _, head in row) for row in rows]
    heights = [head + max(tile.height - own for tile, own in row) for head, row in zip(heads, rows)]
    size = columns * breadth + (columns - 1) * GAP, sum(heights) + (len(rows) - 1) * GAP
    page, top = Image.new("RGB", size, "white"), 0
    for row, head, height in zip(rows, heads, heights):
        for place, (tile, own) in enumerate(row):
            page.paste(tile, (place * (breadth + GAP), top + head - own))
        top += height + GAP
    return np.array(page)


def _tile(array: np.ndarray, title: str, breadth: int, bars: int, cmap: str,
          limits: tuple[float, float] | None, smooth: bool) -> tuple[Image.Image, int]:
    """One picture under its title, with its bar where there is one, and the height of the title."""
    lines = wrapped(title, 14, breadth)
    head = 19 * len(lines) + (3 if lines else 0)
    inner = breadth - bars
    if array.ndim == 2:  # enlarged as numbers, then coloured
        array, limits = np.asarray(array, dtype=np.float32), limits or _range(array)
    body = _colored(_resized(array, inner, smooth), cmap, limits)
    tile = Image.new("RGB", (breadth, head + body.shape[0]), "white")
    tile.paste(Image.fromarray(body), (0, head))
    draw = ImageDraw.Draw(tile)
    draw.multiline_text((0, 0), "\n".join(lines), fill=INK, font=font(14), spacing=3)
    if bars and array.ndim == 2:
        _draw_bar(tile, draw, (inner + 6, head, inner + 18, head + body.shape[0]), cmap, limits)
    return tile, head


def _draw_bar(tile: Image.Image, draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], cmap: str,
              limits: tuple[float, float]) -> None:
    """The colours of a map from the highest value, above, to the lowest, with three values beside them."""
    left, top, right, bottom = box
    colors = (255 * colormaps[cmap](np.linspace(1, 0, bottom - top))[:, None, :3]).round().astype(np.uint8)
    tile.paste(Image.fromarray(np.repeat(colors, right - left, axis=1)), (left, top))
    for label, y in zip(_bar_labels(limits), (top, (top + bottom) // 2 - 6, bottom - 14)):
        draw.text((right + 3, y), label, fill=INK, font=font(11))


def _bar_labels(limits: tuple[float, float]) -> list[str]:
    """The highest value, the middle and the lowest, with as many digits as their spacing needs."""
    low, high = limits
    digits = int(np.clip(2 - np.floor(np.log10(max(high - low, 1e-6))), 0, 6))
    return [f"{value:.{digits}f}" for value in (high, (low + high) / 2, low)]


def for_page(picture: Picture) -> bytes:
    """The JPEG that a notebook holds: a dozen of them take less than a megabyte.

    Colours are stored at half size. Films are drawn enlarged, so none of their detail is lost.
    """
    return encoded(picture, "JPEG", quality=74, subsampling=2)


def display_sheet(page: Picture) -> None:
    """Show a finished drawing as a JPEG, which for photographs has a fifth of the size of a PNG."""
    display({"image/jpeg": for_page(_framed(page)), "text/plain": "<picture>"}, raw=True)


def _framed(page: Picture) -> np.ndarray:
    """Add a white margin, so that text does not touch a dark page."""
    return np.pad(as_array(page), ((4, 4), (4, 4), (0, 0)), constant_values=255)


def _display(figure: plt.Figure) -> None:
    """Show a figure and close it. The output is an image only, so that it does not change from run to run."""
    figure.tight_layout(pad=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", pad_inches=0.05, facecolor="white")
    plt.close(figure)
    few = Image.open(buffer).convert("RGB").quantize(64, dither=Image.Dither.NONE)  # a third of the bytes
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True)
    display({"image/png": buffer.getvalue(), "text/plain": "<picture>"}, raw=True)


def _range(plane: np.ndarray) -> tuple[float, float]:
    return float(np.nanmin(plane)), float(np.nanmax(plane))


def _resized(array: np.ndarray, breadth: int, smooth: bool = True) -> np.ndarray:
    """A picture or a plane, `breadth` pixels wide."""
    size = (breadth, max(1, round(array.shape[0] * breadth / array.shape[1])))
    shrinks = breadth < array.shape[1]
    method = Image.LANCZOS if shrinks else Image.BICUBIC if smooth else Image.NEAREST
    return np.asarray(Image.fromarray(array).resize(size, method))


def _colored(array: np.ndarray, cmap: str, limits: tuple[float, float] | None) -> np.ndarray:
    """A picture as it is, a plane in its colour map: uint8 (H, W, 3)."""
    if array.ndim == 3:
        return np.ascontiguousarray(array)
    low, high = limits or _range(array)
    return (255 * colormaps[cmap]((array - low) / max(high - low, 1e-12))[..., :3]).round().astype(np.uint8)


def _webp(array: np.ndarray) -> str:
    """The picture as a data URI."""
    webp = encoded(array, "WEBP", quality=82, method=6)
    return "data:image/webp;base64," + base64.b64encode(webp).decode()


# An invisible slider covers both pictures: mouse, touch and arrow keys move it, and it moves the divider. The
# only script is its own event handler, so a page may contain any number of these. If a page strips styles,
# both pictures remain, one below the other.
_COMPARE = """<style>
.colorlab-compare{{position:relative;max-width:720px;line-height:0;--at:50%}}
.colorlab-compare img{{width:100%;height:auto;margin:0}}
.colorlab-compare .after{{position:absolute;left:0;top:0;clip-path:inset(0 0 0 var(--at))}}
.colorlab-compare i{{position:absolute;top:0;bottom:0;left:var(--at);width:3px;margin-left:-1.5px;
 background:#fff;box-shadow:0 0 3px #000}}
.colorlab-compare b{{position:absolute;top:8px;padding:2px 7px;border-radius:4px;background:#000a;color:#fff;
 font:13px/1.4 sans-serif}}
.colorlab-compare input{{position:absolute;left:0;top:0;width:100%;height:100%;margin:0;opacity:0;
 cursor:ew-resize}}
.colorlab-compare:focus-within{{outline:2px solid #4a90d9}}
</style>
<div class="colorlab-compare"><img src="{first}" alt="{before}">
<img class="after" src="{second}" alt="{after}">
<i></i><b style="left:8px">{before}</b><b style="right:8px">{after}</b>
<input type="range" min="0" max="100" step="0.5" value="50"
 aria-label="{before} on the left, {after} on the right: move the line"
 oninput="this.parentNode.style.setProperty('--at', this.value + '%')"></div>"""


def _compare_html(first: np.ndarray, second: np.ndarray, names: tuple[str, str]) -> str:
    before, after = map(html.escape, names)
    return _COMPARE.format(first=_webp(first), second=_webp(second), before=before, after=after)
