"""Drawing an explorer's view of one point."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from colorlab.teaching import explorer_page, plots
from colorlab.teaching.explorer_view import View


TILE_WIDTH = 400  # pixels of a picture in the still, two in a row: a film of 128 x 224 is 229 high


def tiles(view: View) -> dict[str, plots.Picture]:
    """The pictures of a view, by name."""
    shares = view.shares
    heats = {
        f"{name}: {100 * shares[name]:.0f} %" if shares else name: heat(values, view.backgrounds.get(name))
        for name, values in view.maps.items()
    }
    return heats | {
        name: explorer_page.visible(plots.as_array(picture)) for name, picture in view.panels.items()
    }


def heat(values: np.ndarray, background: plots.Picture | None) -> np.ndarray:
    """As `plots.heat`, twice as large, smooth and faster: the maximum of each cell, because a single pixel
    would be invisible, with a ring around the overall maximum where there is one."""
    H, W = values.shape
    h, w = max(1, H // explorer_page.CELL), max(1, W // explorer_page.CELL)
    cells = explorer_page.shrunk(explorer_page.shades(values), (h, w))
    smooth = np.asarray(Image.fromarray(cells).resize((2 * W, 2 * H), Image.Resampling.BILINEAR))
    drawn = explorer_page.glow()[smooth]                                               # (2 H, 2 W, 3)
    if background is not None:
        behind = _enlarged(explorer_page.dimmed(background), 2 * W)[..., None]
        drawn = np.minimum(
            drawn.astype(np.uint16) + behind * (255 - smooth[..., None].astype(np.uint16)) // 255,
            255).astype(np.uint8)
    if cells.min() == cells.max():  # the same everywhere
        return drawn
    y, x = np.unravel_index(int(cells.argmax()), cells.shape)
    return plots.mark(drawn, (int((y + 0.5) * 2 * H / h), int((x + 0.5) * 2 * W / w)))


def _enlarged(array: np.ndarray, width: int) -> np.ndarray:
    height = round(array.shape[0] * width / array.shape[1])
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(array)).resize((width, height), Image.Resampling.BICUBIC))


def ringed(picture: plots.Picture, at: tuple[int, int]) -> np.ndarray:
    """The picture as large as in a still, with a ring around the pixel at (y, x)."""
    array = explorer_page.visible(plots.as_array(picture))
    scale = TILE_WIDTH / array.shape[1]
    return plots.mark(_enlarged(array, TILE_WIDTH), tuple(int((place + 0.5) * scale) for place in at))


def sheet(pictures: Mapping[str, plots.Picture]) -> np.ndarray:
    """The pictures two in a row, each under its name: the still for pages that are not interactive, uint8
    (H', W', 3)."""
    return plots.sheet(*pictures.values(), titles=list(pictures), columns=2, width=TILE_WIDTH / 72)
