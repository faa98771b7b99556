"""An explorer as a piece of HTML that needs no Python, for the web page of a notebook.

For a grid of places and a few settings, all maps are computed beforehand. They are packed into one small grey
picture, an atlas; the script cuts out the maps of the place nearest to the pointer, colours them as
`plots.heat` does and draws them over the picture that they refer to. It contains no network addresses.
Without scripts, the still picture is shown.

| for each | stored |
|---|---|
| setting | the picture to point at, the names of its sources, the dimmed picture behind each map |
| place   | its maps, each relative to its own largest value and as a square root; its shares in percent; its note |
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image

from colorlab.teaching import plots
from colorlab.teaching.explorer_script import SCRIPT, STYLE
from colorlab.teaching.explorer_view import View

# bytes that one explorer's HTML should not exceed: a notebook has two of them at most, in 1 MB
BUDGET = 250_000
# maximum rows of a map; a row covers at least `CELL` pixels, because a single pixel would be invisible
FINEST = 64
CELL = 4
COARSEST = 8
LEVELS = 32     # shades of a map; finer ones are indistinguishable in the colour map
WIDEST = 16383  # pixels, of a WebP file


def grid_points(size: tuple[int, int], grid: tuple[int, int]) -> list[tuple[int, int]]:
    """The middles of a grid's cells in a picture of (H, W) pixels: rows * columns points (y, x), row by
    row."""
    (H, W), (rows, columns) = size, grid
    return [(int((row + 0.5) * H / rows), int((column + 0.5) * W / columns))
            for row in range(rows)
            for column in range(columns)]


def page(ask: Callable[[tuple[int, int], Mapping[str, Any]],
                       View], at: tuple[int, int], settings: Sequence[Mapping[str, Any]], start: int,
         grid: tuple[int, int], still: np.ndarray, describe: str, budget: int = BUDGET) -> str:
    """The interactive HTML for each place of a grid and each of some settings.

    ask: gives the view of a point and a setting. at, start: the place and the setting (its index) to begin
    with. settings: named values; what differs between them is offered as a slider. still: the picture shown
    without scripts, (H, W, 3) uint8.
    describe: the same in words. budget: bytes; maps become coarser until the HTML fits, down to `COARSEST`
    rows.
    """
    size = plots.as_array(ask(at, settings[start]).picture).shape[:2]
    points = grid_points(size, grid)
    gathered = Gathered()
    told = [gathered.setting(setting, [ask(point, setting) for point in points]) for setting in settings]
    nearest = min(range(len(points)), key=lambda index: (points[index][0] - at[0])**2 +
                  (points[index][1] - at[1])**2)
    data = {
        "size": size, "grid": grid, "place": nearest, "setting": start, "settings": told,
        "pictures": gathered.files, "colors": _color_map()
    }
    rows = max(1, min(FINEST, size[0] // CELL))
    while True:
        html = _html(data | gathered.atlas(rows), still, describe)
        if len(html) <= budget or rows // 2 < COARSEST:
            return html
        rows //= 2


@dataclass
class Gathered:
    """Pictures and maps of a page, without duplicates."""

    files: list[str] = field(default_factory=list)                   # data URIs, in the order of first use
    maps: list[np.ndarray] = field(default_factory=list)             # (H, W) uint8
    _known: dict[object, int] = field(default_factory=dict)

    def setting(self, setting: Mapping[str, Any], views: Sequence[View]) -> dict[str, Any]:
        """The script's data for one setting, with the views of all places."""
        names = list(dict.fromkeys(name for view in views for name in view.maps))
        panels = list(dict.fromkeys(name for view in views for name in view.panels))
        behind = [
            next((view.backgrounds[name] for view in views if name in view.backgrounds),
                 None) for name in names
        ]
        return {
            "label": ", ".join(f"{name} {value}" for name, value in setting.items()),
            "pictures": _once([self.picture(view.picture) for view in views]),
            "sources": [[name, None if picture is None else self.picture(dimmed(picture), quality=60)]
                        for name, picture in zip(names, behind)],
            "maps": [[self.map(view.maps[name]) if name in view.maps else None
                      for name in names]
                     for view in views],
            "shares": [[None if view.alternatives else round(100 * view.shares.get(name, 0)) for name in names]
                       for view in views],
            "panels": [[
                name,
                _once([self.picture(view.panels[name]) if name in view.panels else None for view in views])
            ] for name in panels],
            "notes": _once([view.note for view in views]),
        }

    def picture(self, picture: plots.Picture, quality: int = 76) -> int:
        """The number of a picture among the files."""
        array = visible(plots.as_array(picture))
        key = array.shape, array.tobytes()
        if key not in self._known:
            self._known[key] = len(self.files)
            self.files.append(data_uri(webp(array, quality=quality), "webp"))
        return self._known[key]

    def map(self, values: np.ndarray) -> int:
        """The number of a map among the atlas's tiles."""
        levels = shades(values)
        key = levels.shape, levels.tobytes()
        if key not in self._known:
            self._known[key] = len(self.maps)
            self.maps.append(levels)
        return self._known[key]

    def atlas(self, rows: int) -> dict[str, Any]:
        """All maps with `rows` rows each in one grey picture, and the layout for cutting them out again."""
        if not self.maps:
            return {"atlas": "", "tile": [1, 1], "columns": 1}
        H, W = self.maps[0].shape
        shape = rows, max(1, round(W * rows / H))
        tiles = [shrunk(values, shape) for values in self.maps]
        columns = max(1, min(len(tiles), round((len(tiles) * rows / shape[1]) ** 0.5)))
        sheet = np.zeros((-(-len(tiles) // columns) * rows, columns * shape[1]), np.uint8)
        for index, tile in enumerate(tiles):
            y, x = index // columns * rows, index % columns * shape[1]
            sheet[y:y + rows, x:x + shape[1]] = tile
        if max(sheet.shape) > WIDEST:
            return self.atlas(rows // 2)
        return {"atlas": data_uri(webp(sheet, lossless=True), "webp"), "tile": shape, "columns": columns}


def shades(values: np.ndarray) -> np.ndarray:
    """A map (H, W) >= 0 as uint8: the square root of its values relative to the largest, in `LEVELS`
    steps."""
    values = np.asarray(values, dtype=np.float32)
    roots = np.sqrt(np.clip(values, 0, None) / max(float(values.max()), 1e-12))
    return (np.round(roots * (LEVELS - 1)) * 255 / (LEVELS - 1)).astype(np.uint8)


def shrunk(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map (H, W) with fewer rows and columns, by max-pooling, so that no peak is lost."""
    rows, columns = (np.linspace(0, side, parts + 1).astype(int)[:-1]
                     for side, parts in zip(values.shape, shape))
    return np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=0), columns, axis=1)


def visible(array: np.ndarray) -> np.ndarray:
    """A plane of numbers (H, W) in the shades in which `plots.show` draws it, uint8; pictures stay as they
    are."""
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min()), float(array.max())
    return (255 * (array - low) / max(high - low, 1e-12)).round().astype(np.uint8)


def webp(picture: np.ndarray, **options: Any) -> bytes:
    """A picture as the bytes of a WebP file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", method=6, **options)
    return buffer.getvalue()


def data_uri(file: bytes, kind: str) -> str:
    """The bytes of an image file as an address that holds them."""
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"


def _once(values: list) -> list:
    """Collapse a list of equal values to a list of one."""
    return values[:1] if all(value == values[0] for value in values) else values


def dimmed(picture: plots.Picture) -> np.ndarray:
    """What `plots.heat` puts behind a map: grey, at 45 %."""
    grey = plots.as_array(picture).astype(float)
    return (0.45 * (grey.mean(-1) if grey.ndim == 3 else grey)).round().astype(np.uint8)


@cache
def glow() -> np.ndarray:
    """The colour of each of 256 shades in `plots.heat`: (256, 3) uint8."""
    return (255 * colormaps["inferno"](np.linspace(0, 1, 256))[:, :3]).round().astype(np.uint8)


@cache
def _color_map() -> list[list[int]]:
    """The colour map of `plots.heat`, 33 of its colours from black to bright."""
    return glow()[np.linspace(0, 255, 33).round().astype(int)].tolist()


def _html(data: Mapping[str, Any], still: np.ndarray, describe: str) -> str:
    # so that it cannot contain </script>
    told = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return (f'<div class="colorlab-page"><style>{STYLE.strip()}</style><img '
            f'class="colorlab-still" src="{data_uri(webp(still, quality=70), "webp")}" '
            f'alt="{escape(describe)}"><script '
            f'type="application/json">{told}</script></div>\n<script>{SCRIPT.strip()}</script>')
