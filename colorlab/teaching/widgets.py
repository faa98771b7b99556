"""The two browser widgets of an explorer: a clickable picture, and the pictures of the view.

Names are page text and not drawn into the pictures, so they are legible at any width and fit a dark theme.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import anywidget
import numpy as np
import traitlets

from colorlab.teaching import plots

_CLICKS = """
function render({ model, el }) {
  const frame = document.createElement("div"), image = document.createElement("img"), ring = document.createElement("div");
  frame.className = "colorlab-frame";
  image.className = "colorlab-picture";
  image.tabIndex = 0;
  image.alt = "a picture: click a pixel, or move with the arrow keys";
  ring.className = "colorlab-ring";
  const draw = () => { image.src = "data:image/png;base64," + model.get("png"); };
  const mark = () => {
    const [height, width] = model.get("size"), [y, x] = model.get("at");
    ring.style.left = 100 * (x + 0.5) / width + "%";
    ring.style.top = 100 * (y + 0.5) / height + "%";
  };
  const go = (y, x) => {
    const [height, width] = model.get("size");
    const inside = (value, end) => Math.min(Math.max(Math.floor(value), 0), end - 1);
    model.set("at", [inside(y, height), inside(x, width)]);
    model.save_changes();
  };
  image.addEventListener("click", (event) => {
    const box = image.getBoundingClientRect();
    const [height, width] = model.get("size");
    go((event.clientY - box.top) / box.height * height, (event.clientX - box.left) / box.width * width);
  });
  image.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const [y, x] = model.get("at");
    go(y + 2 * step[0], x + 2 * step[1]);
  });
  model.on("change:png", draw);
  model.on("change:at", mark);
  model.on("change:size", mark);
  draw();
  mark();
  frame.append(image, ring);
  el.appendChild(frame);
}
export default { render };
"""

_CLICKS_STYLE = """
.colorlab-frame { position: relative; max-width: 640px; line-height: 0; }
.colorlab-picture { cursor: crosshair; width: 100%; height: auto; display: block; }
.colorlab-ring { position: absolute; width: 18px; height: 18px; margin: -9px 0 0 -9px; box-sizing: border-box; border: 2px solid #fff;
  border-radius: 50%; box-shadow: 0 0 0 1.5px #000, inset 0 0 0 1.5px #000; pointer-events: none; }
"""

_TILES = """
function render({ model, el }) {
  const sheet = document.createElement("div");
  sheet.className = "colorlab-tiles";
  const draw = () => {
    const tiles = model.get("tiles");
    sheet.classList.toggle("colorlab-many", tiles.length > 2);
    while (sheet.children.length > tiles.length) sheet.lastChild.remove();
    tiles.forEach(([name, jpeg], index) => {
      if (!sheet.children[index]) {
        const figure = document.createElement("figure");
        figure.append(document.createElement("figcaption"), document.createElement("img"));
        sheet.appendChild(figure);
      }
      const [caption, image] = sheet.children[index].children;
      caption.textContent = image.alt = name;
      const address = "data:image/jpeg;base64," + jpeg;
      if (image.src !== address) image.src = address;
    });
  };
  model.on("change:tiles", draw);
  draw();
  el.appendChild(sheet);
}
export default { render };
"""

_TILES_STYLE = """
.colorlab-tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
.colorlab-tiles.colorlab-many { grid-template-columns: repeat(auto-fit, minmax(min(100%, 180px), 1fr)); }
.colorlab-note .widget-html-content { line-height: 1.4; }
.colorlab-tiles figure { margin: 0; max-width: 480px; }
.colorlab-tiles figcaption { margin: 0 0 3px; line-height: 1.4; overflow-wrap: anywhere;
  color: var(--jp-ui-font-color1, inherit); font-size: var(--jp-ui-font-size1, 13px); font-family: var(--jp-ui-font-family, inherit); }
.colorlab-tiles img { display: block; width: 100%; height: auto; }
"""


class ClickablePicture(anywidget.AnyWidget):
    """A picture that reports its last clicked pixel."""

    _esm = _CLICKS
    _css = _CLICKS_STYLE
    png = traitlets.Unicode().tag(sync=True)                     # base64 of the file
    # [H, W] in pixels of the picture, not of the screen
    size = traitlets.List(traitlets.Int(), [1, 1]).tag(sync=True)
    at = traitlets.List(traitlets.Int(), [0, 0]).tag(sync=True)  # [y, x]
    _shown: np.ndarray | None = None

    def draw(self, picture: plots.Picture) -> None:
        """Show another picture, (H, W, 3); the point stays where it is."""
        array = plots.as_array(picture)
        if self._shown is None or not np.array_equal(array, self._shown):
            self._shown, self.size = array, list(array.shape[:2])
            self.png = base64.b64encode(plots.to_png(array)).decode()


class Tiles(anywidget.AnyWidget):
    """Pictures side by side, each under its name, as many per row as fit."""

    _esm = _TILES
    _css = _TILES_STYLE
    tiles = traitlets.List().tag(sync=True)  # [name, base64 of a JPEG file] each

    def draw(self, pictures: Mapping[str, plots.Picture]) -> None:
        """Show other pictures by name."""
        self.tiles = [[name, base64.b64encode(plots.to_jpeg(picture)).decode()]
                      for name, picture in pictures.items()]
