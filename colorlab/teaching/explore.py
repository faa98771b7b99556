"""Pictures to point at: click a pixel, see where its colour came from.

One vocabulary for all methods. An `Explorer` shows a picture and calls a function, `look(at, **settings)`,
for what to show beside it whenever the point or a slider changes; `colors_from` provides that function for
any method of `colorlab.METHODS`, and `open` for your own film, reference and network:

    explore.open("film.mp4", reference="picture.png", method="lstvc", weights="checkpoint.safetensors")

Without a browser, set `explorer.at` or a slider's value and read `explorer.view`; `explorer.ask` answers
without moving the point.

**What a page shows.** The output of an explorer contains up to four forms; a front end picks the best that it
can show.

| where | what is shown |
|---|---|
| JupyterLab, VS Code, Colab with a kernel | the widget: every pixel and every setting answers |
| JupyterLab without a kernel (a trusted notebook), VS Code, nbviewer, nbconvert's HTML, `make book` | HTML that is interactive for a grid of places and a few settings (page.py) |
| GitHub, GitLab, an untrusted notebook: scripts are removed from HTML | the still picture in this HTML |
| where no HTML is shown, such as a PDF | the same still as JPEG |
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor, nn

from colorlab.color import fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.methods import load, record
from colorlab.modules.references import References, parse_references
from colorlab.modules.resizing import resized
from colorlab.modules.sources import Attention, Source
from colorlab.teaching import explorer_page, plots
from colorlab.teaching.own_film import frames_of, references_of
from colorlab.teaching.explorer_tiles import ringed, sheet, tiles
from colorlab.teaching.explorer_view import Look, View
from colorlab.teaching.widgets import ClickablePicture, Tiles

GRID = (8, 14)        # rows and columns of the grid of places on a page without a kernel
GREY = 3.0            # of ab: a film that never exceeds it is grey, so there is no truth to compare with


class Explorer(widgets.VBox):
    """A clickable picture, sliders, and the heat maps of the chosen point.

    look: called as look((y, x), **settings) and returns a View. at: the point to begin with.
    grid: rows and columns of the places that answer where no kernel runs; `look` is then called for each of
    them and each of the `stops` when the explorer is displayed. None: only a still picture, and nothing more
    is computed.
    stops: values of the first control for which they are computed; None: at most three, evenly spread. The
        other controls keep their values.
    controls: one slider each, as (lowest, highest, first) integers, as a list of values, or as a ready-made
    widget.
    """

    def __init__(self, look: Look, at: tuple[int, int] = (0, 0), grid: tuple[int, int] | None = None,
                 stops: Sequence | None = None, **controls: tuple | list | widgets.Widget):
        self._look, self._grid, self._stops = look, grid, stops
        self.picture = ClickablePicture(at=list(at))
        self.answer = Tiles()
        self.note = widgets.HTML().add_class("colorlab-note")
        self.controls = {name: _slider(name, spec) for name, spec in controls.items()}
        left = widgets.VBox([self.picture, *self.controls.values(), self.note], layout=_column("1 1 340px"))
        side = widgets.VBox([self.answer], layout=_column("1.3 1 340px"))
        super().__init__(
            [
                widgets.Box(
                    [left, side], layout=widgets.Layout(flex_flow="row wrap", grid_gap="12px", width="100%")
                )
            ]
        )
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

    @property
    def settings(self) -> dict[str, Any]:
        """The controls' values by name."""
        return {name: widget.value for name, widget in self.controls.items()}

    def ask(self, at: tuple[int, int] | None = None, **settings: Any) -> View:
        """The view of a point and settings, without changing the explorer; anything not given keeps its
        current value."""
        if unknown := sorted(settings.keys() - self.controls.keys()):
            raise InputError(f"this explorer has no setting {', '.join(unknown)}; it has "
                             f"{', '.join(self.controls) or 'none'}")
        return self._look(self.at if at is None else tuple(at), **self.settings | settings)

    def refresh(self) -> None:
        """Call `look` again and draw the result."""
        self.view = self.ask()
        self.picture.draw(explorer_page.visible(plots.as_array(self.view.picture)))
        self.answer.draw(tiles(self.view))
        self.note.value = self.view.note

    def _repr_mimebundle_(self, **kwargs: object) -> dict:
        """The live widget, plus HTML or a still picture for pages that cannot run it."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        still = sheet({self.view.title: ringed(self.view.picture, self.at)} | tiles(self.view))
        if self._grid:
            data["text/html"] = self.page(still)
        data["image/jpeg"] = base64.b64encode(plots.to_jpeg(still)).decode()
        data["text/plain"] = repr(self)
        return bundle

    def page(self, still: np.ndarray | None = None, budget: int = explorer_page.BUDGET) -> str:
        """Interactive HTML that needs no kernel, for the explorer's grid of places and stops; see page.py."""
        still = sheet({self.view.title: ringed(self.view.picture, self.at)}
                      | tiles(self.view)) if still is None else still
        settings, start = self._settings_of_a_page()
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.view.shares.items())
        describe = f"A picture, and where the colour of its pixel {self.at} comes from" + (
            f": {shares}" if shares else ""
        )
        return explorer_page.page(lambda point, setting: self.ask(point, **setting), self.at, settings, start,
                         self._grid or GRID, still, describe, budget)

    def _settings_of_a_page(self) -> tuple[list[dict[str, Any]], int]:
        """Some settings of the first control, and the index of the one nearest to the current value."""
        if not self.controls:
            return [{}], 0
        name, control = next(iter(self.controls.items()))
        values = _values(control)
        if self._stops is not None:
            stops = list(self._stops)
            if strange := [stop for stop in stops if stop not in values]:
                raise InputError(
                    f"{name} cannot be {strange[0]!r}, so no page can answer for it; its values are "
                    f"{_listed(values)}")
        else:
            now, last = values.index(control.value), len(values) - 1
            stops = [values[index] for index in sorted({now if now < last else 0, last // 2, last})]
        start = min(range(len(stops)),
                    key=lambda index: abs(values.index(stops[index]) - values.index(control.value)))
        return [{name: stop} for stop in stops], start

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return f"Explorer(at={self.at}{', ' + settings if settings else ''}; shows: {', '.join([*self.view.maps, *self.view.panels])})"


def colors_from(model: nn.Module, lab: Tensor, references: References, at: tuple[int, int] | None = None,
                grid: tuple[int, int] | None = GRID, stops: Sequence[int] | None = None) -> Explorer:
    """Explore where a method takes each pixel's colour from, on a clip.

    lab: (T, 3, H, W) the clip in colour (its L is coloured; its ab, where it has any, are only compared
    with). references: as `model.start` takes them. A slider chooses the frame. grid, stops: places and frames
    that answer on a page without a kernel; see Explorer. States are immutable, so each is computed once and
    cached, as is the work shared by the maps of one frame (`attention_of`): a click takes some tens of
    milliseconds with the course's networks at 128 x 224. The network must not be trained in the meantime.
    """
    frames = lab.shape[0]
    states, predicted, asked = [model.start(references)], [], {}
    rgb = lab_to_rgb(fit_gamut(lab))
    in_color = bool((lab[:, 1:].abs() > GREY).any())
    shown = [
        resized(lab_to_rgb(reference.image[:1]), lab.shape[-2:])[0]
        for reference in parse_references(references)
    ]

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
            if frame not in asked:
                asked[frame] = _attention_of(model, lab[None, frame, :1], states[frame])
            maps = asked[frame](point)
        y, x = point
        error = float((predicted[frame][:, y, x] - lab[frame, 1:, y, x]).norm())
        off = f"off by {error:.1f} in ab; " if in_color else ""
        peak = max(float(values.max()) for values in maps.values())
        return View(
            colored, {name: values.cpu().numpy() for name, values in maps.items()}, _behind(maps, rgb, shown),
            note=f"frame {frame}, pixel ({y}, {x}): {off}the strongest source pixel gives "
            f"{100 * peak:.1f} %")

    point = at or (lab.shape[-2] // 2, lab.shape[-1] // 2)
    return Explorer(look, point, grid, stops, frame=(0, frames - 1, min(1, frames - 1)))


def open(film: str | Path | np.ndarray, reference: object = None, method: str = "lstvc",
         weights: str | Path = "course", preset: str = "course", frames: int = 24, start: int = 0,
         size: int = 128, at: tuple[int, int] | None = None, grid: tuple[int, int] | None = GRID,
         stops: Sequence[int] | None = None) -> Explorer:
    """Explore your own film, reference and network, in one line.

    film: a video file or a folder of frames, a name of `colorlab.clips.FILMS`, or frames uint8 (T, H, W, 3);
    `frames` of it are used, from `start` on, with a short side of `size` pixels.
    reference: a picture's file, or "picture.png@12" for the colours of the film's frame 12; or uint8 (H, W,
    3), or (12, picture); or a list of these. None: the first of these frames, in its own colours (nothing for
    tcavc, which paints its own).
    method, preset, weights: as in `colorlab.load`; weights may be the path of a checkpoint. at, grid, stops:
    see `colors_from`. Raises InputError for what cannot be read or does not fit.
    """
    pictures = frames_of(film, start, frames, size)
    model = load(method, preset, weights if record(method).learns else "none")
    if reference is None and record(method).needs_reference:
        reference = (start, pictures[0])
    lab = rgb_to_lab(frames_to_rgb(pictures))                       # (T, 3, H, W)
    return colors_from(model, lab, references_of(reference, start, len(lab)), at, grid, stops)


def _attention_of(model: nn.Module, l: Tensor, state: object) -> Attention:
    """For a method without shared work between the pixels of a frame, each pixel is computed separately."""
    return model.attention_of(l, state) if hasattr(
        model, "attention_of") else lambda at: model.attention(l, state, at)


def _behind(maps: Mapping[Source, Tensor], rgb: Tensor, references: Sequence[Tensor]) -> dict[Source, Tensor]:
    """The picture behind each map: the reference or the frame that its source names; else the film's first
    frame."""
    return {
        source: references[source.index]
        if source.kind == "reference" and references
        else rgb[source.frame or 0]
        for source in maps
    }


def _column(flex: str) -> widgets.Layout:
    return widgets.Layout(flex=flex, min_width="min(100%, 300px)", overflow="hidden")


def _slider(name: str, spec: tuple | list | widgets.Widget) -> widgets.Widget:
    if isinstance(spec, widgets.Widget):
        return spec
    common = {"description": name, "continuous_update": False, "style": {"description_width": "initial"},
              "layout": widgets.Layout(width="auto", max_width="640px")}
    if isinstance(spec, tuple):
        low, high, first = spec
        return widgets.IntSlider(first, low, high, **common)
    values: Sequence = spec
    return widgets.SelectionSlider(options=values, value=values[0], **common)


def _values(control: widgets.Widget) -> list:
    """The possible values of a control; only the current one if they are unknown."""
    if hasattr(control, "options"):
        return [value for _, value in control._options_full]
    if hasattr(control, "min") and isinstance(control.value, int):
        return list(range(control.min, control.max + 1, control.step))
    return [control.value]


def _listed(values: Sequence) -> str:
    shown = ", ".join(map(repr, values[:12]))
    return shown + (", ..." if len(values) > 12 else "")
