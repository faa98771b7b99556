"""Pictures to point at: click a pixel, see where its colour came from.

One vocabulary for all methods. An `Explorer` shows a picture and asks a function of yours, `look(at, **settings)`, what to
show beside it whenever the point or a slider changes; `colors_from` writes that function for any method of `colorlab.METHODS`.
In JupyterLab, VS Code and Colab the picture is live; where no kernel runs (a page on the web) the same output shows a still.
Without a browser, set `explorer.at` or a slider's value and read `explorer.view`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anywidget
import ipywidgets as widgets
import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from colorlab.color import fit_gamut, join_lab, lab_to_rgb
from colorlab.modules.references import References, parse_references
from colorlab.modules.resizing import resized
from colorlab.modules.sources import Source
from colorlab.teaching import plots

_CLICKS = """
function render({ model, el }) {
  const image = document.createElement("img");
  image.className = "colorlab-picture";
  image.tabIndex = 0;
  image.alt = "a picture: click a pixel, or move with the arrow keys";
  image.style.cssText = "cursor: crosshair; width: 100%; max-width: 640px; image-rendering: pixelated";
  const draw = () => { image.src = "data:image/png;base64," + model.get("png"); };
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
  draw();
  el.appendChild(image);
}
export default { render };
"""


SHEET_WIDTH = 640  # pixels on the screen that a sheet of heat maps may take


class ClickablePicture(anywidget.AnyWidget):
    """A picture that knows which of its pixels was clicked last."""

    _esm = _CLICKS
    png = traitlets.Unicode().tag(sync=True)                       # base64 of the file
    size = traitlets.List(traitlets.Int(), [1, 1]).tag(sync=True)  # [H, W] in pixels of the picture, not of the screen
    at = traitlets.List(traitlets.Int(), [0, 0]).tag(sync=True)    # [y, x]

    def draw(self, picture: plots.Picture) -> None:
        """Show another picture, (H, W, 3); the point stays where it is."""
        array = plots.as_array(picture)
        self.size = list(array.shape[:2])
        self.png = base64.b64encode(plots.to_png(array)).decode()


@dataclass(frozen=True)
class View:
    """What there is to see for one point and one setting of the sliders."""

    picture: plots.Picture                                          # the one to point at
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)    # {source: (H, W)}, >= 0: heat maps that together sum to one
    backgrounds: Mapping[str, plots.Picture] = field(default_factory=dict)  # {source: the picture the map lies on}
    panels: Mapping[str, plots.Picture] = field(default_factory=dict)  # {name: picture}: more to see, beside the maps
    note: str = ""                                                  # a line below

    @property
    def shares(self) -> dict[str, float]:
        """How much of the colour each source gives; together 1."""
        return {name: float(np.sum(values)) for name, values in self.maps.items()}


Look = Callable[..., View]


class Explorer(widgets.VBox):
    """A picture to click, sliders, and the heat maps that answer.

    look: called as look((y, x), **settings) and returns a View. at: the point to begin with.
    controls: one slider each, as (lowest, highest, first) integers, as a list of values, or as a ready-made widget.
    """

    def __init__(self, look: Look, at: tuple[int, int] = (0, 0), **controls: tuple | list | widgets.Widget):
        self._look = look
        self.picture = ClickablePicture(at=list(at))
        self.answer = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", align_self="flex-start"))
        self.note = widgets.HTML()
        self.controls = {name: _slider(name, spec) for name, spec in controls.items()}
        side = widgets.VBox([self.answer, self.note], layout=widgets.Layout(width="60%"))
        left = widgets.VBox([self.picture, *self.controls.values()], layout=widgets.Layout(width="40%"))
        super().__init__([widgets.HBox([left, side])])
        for widget in self.controls.values():
            widget.observe(lambda _: self.refresh(), "value")
        self.picture.observe(lambda _: self.refresh(), "at")
        self.refresh()

    @property
    def at(self) -> tuple[int, int]:
        """The point, (y, x). Setting it does what a click does."""
        return tuple(self.picture.at)

    @at.setter
    def at(self, point: tuple[int, int]) -> None:
        self.picture.at = [int(value) for value in point]

    def refresh(self) -> None:
        """Ask `look` again and draw what it says."""
        self.view = self._look(self.at, **{name: widget.value for name, widget in self.controls.items()})
        self.picture.draw(plots.mark(self.view.picture, self.at))
        self.answer.value = plots.to_png(_sheet(self._tiles(), columns=2))
        self.note.value = self.view.note

    def _tiles(self) -> dict[str, plots.Picture]:
        shares = self.view.shares
        heats = {f"{name}  {100 * shares[name]:.0f} %": plots.heat(values, self.view.backgrounds.get(name))
                 for name, values in self.view.maps.items()}
        return heats | dict(self.view.panels)

    def _repr_mimebundle_(self, **kwargs: object) -> dict:
        """The live widget, and beside it a still picture for pages that cannot run it."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        still = _sheet({"the pixel": plots.mark(self.view.picture, self.at)} | self._tiles(), columns=3)
        data["image/jpeg"] = base64.b64encode(plots.to_jpeg(still)).decode()
        data["text/plain"] = repr(self)
        return bundle

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={widget.value}" for name, widget in self.controls.items())
        return f"Explorer(at={self.at}{', ' + settings if settings else ''}; shows: {', '.join([*self.view.maps, *self.view.panels])})"


def _sheet(tiles: dict[str, plots.Picture], columns: int) -> np.ndarray:
    """The tiles on one sheet, enlarged by a whole factor where the film is small."""
    columns = min(columns, len(tiles))
    width = max(plots.as_array(tile).shape[1] for tile in tiles.values())
    return plots.contact_sheet(tiles, columns, max(1, SHEET_WIDTH // (columns * width)))


def colors_from(model: nn.Module, lab: Tensor, references: References, at: tuple[int, int] | None = None) -> Explorer:
    """Explore where a method takes each pixel's colour from, on a clip.

    lab: (T, 3, H, W) the clip in colour (its L is coloured; its ab are only compared with). references: as `model.start`
    takes them. A slider chooses the frame. States are values, so each is computed once and kept.
    """
    frames = lab.shape[0]
    states, predicted = [model.start(references)], []
    rgb = lab_to_rgb(fit_gamut(lab))
    shown = [resized(lab_to_rgb(reference.image[:1]), lab.shape[-2:])[0] for reference in parse_references(references)]

    def color_until(frame: int) -> Tensor:
        while len(predicted) <= frame:
            l = lab[None, len(predicted), :1]
            with torch.inference_mode():
                ab, state = model.step(l, states[-1])
            predicted.append(ab[0])
            states.append(state)
        return lab_to_rgb(fit_gamut(join_lab(lab[frame, :1], predicted[frame])))

    def look(point: tuple[int, int], frame: int) -> View:
        colored = color_until(frame)
        with torch.inference_mode():
            maps = model.attention(lab[None, frame, :1], states[frame], at=point)
        y, x = point
        error = float((predicted[frame][:, y, x] - lab[frame, 1:, y, x]).norm())
        peak = max(float(values.max()) for values in maps.values())
        return View(colored, {name: values.cpu().numpy() for name, values in maps.items()}, _behind(maps, rgb, shown),
                    note=f"frame {frame}, pixel ({y}, {x}): off by {error:.1f} in ab; "
                         f"the strongest source pixel gives {100 * peak:.1f} %")

    point = at or (lab.shape[-2] // 2, lab.shape[-1] // 2)
    return Explorer(look, point, frame=(0, frames - 1, min(1, frames - 1)))


def _behind(maps: Mapping[Source, Tensor], rgb: Tensor, references: Sequence[Tensor]) -> dict[str, Tensor]:
    """The picture behind each map: the reference or the frame that its source names; else the film's first frame."""
    return {source: references[source.index] if source.kind == "reference" and references else rgb[source.frame or 0] for source in maps}


def _slider(name: str, spec: tuple | list | widgets.Widget) -> widgets.Widget:
    if isinstance(spec, widgets.Widget):
        return spec
    if isinstance(spec, tuple):
        low, high, first = spec
        return widgets.IntSlider(first, low, high, description=name, continuous_update=False)
    values: Sequence = spec
    return widgets.SelectionSlider(options=values, value=values[0], description=name, continuous_update=False)
