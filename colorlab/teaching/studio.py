"""A colour studio: paint on a frame, or drop a picture on it, and see the colour propagate.

    studio = Studio(film, methods=("lstvc", "flow"))     # in a notebook; or: colorlab studio film.mp4
    studio                                               # paint, press "propagate", play, ask "why?"

    studio.frame = 12                                    # the same without a browser
    studio.stroke([(40, 60), (44, 90)], "#b01020", 6)
    studio.propagate()
    studio.why((50, 70))

A stroke first colours its own frame: its colour spreads to areas of similar lightness (scribbles.py), and a
method propagates the whole frame from there. With spreading turned off, a painting is a reference with alpha,
uint8 (H, W, 4), transparent wherever nothing was painted: `studio.references()` gives them as
`colorlab.colorize` takes them, and `studio.save(folder)` writes them for `colorlab colorize --reference`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import anywidget
import ipywidgets as widgets
import numpy as np
import torch
import traitlets
from PIL import Image, ImageColor, ImageDraw
from torch import nn

from colorlab.color import fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.files.video import read_video, write_image
from colorlab.film.colorize import colored_blocks
from colorlab.film.confidence import offers_confidence
from colorlab.film.contact_sheets import explain
from colorlab.film.references import Cuts, guide, network_size
from colorlab.film.scribbles import spread_strokes
from colorlab.methods import load
from colorlab.modules.resizing import resized
from colorlab.teaching import plots

Picture = np.ndarray
SPREAD_AT = 96  # short side at which strokes are spread over a frame: a second or less

_EASEL = """
function render({ model, el }) {
  const canvas = document.createElement("canvas");
  canvas.className = "colorlab-easel";
  canvas.tabIndex = 0;
  canvas.setAttribute("aria-label", "the frame: paint on it, or ask about a pixel");
  canvas.style.cssText = "width: 100%; max-width: 640px; cursor: crosshair; touch-action: none";
  const context = canvas.getContext("2d");
  let points = [];
  const draw = () => {
    const image = new Image();
    image.onload = () => {
      [canvas.width, canvas.height] = [image.width, image.height];
      context.drawImage(image, 0, 0);
    };
    image.src = "data:image/png;base64," + model.get("png");
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect(), [height, width] = model.get("size");
    return [(event.clientY - box.top) / box.height * height, (event.clientX - box.left) / box.width * width];
  };
  const dot = ([y, x]) => {
    const scale = canvas.width / model.get("size")[1];
    context.fillStyle = model.get("color");
    context.globalAlpha = 0.6;
    context.beginPath();
    context.arc(x * scale, y * scale, model.get("radius") * scale, 0, 7);
    context.fill();
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (model.get("tool") === "ask") {
      model.set("asked", place(event).map(Math.floor));
      model.save_changes();
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    points = [place(event)];
    dot(points[0]);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!points.length) return;
    points.push(place(event));
    dot(points[points.length - 1]);
  });
  const end = () => {
    if (points.length) { model.set("stroke", points); model.save_changes(); }
    points = [];
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  model.on("change:png", draw);
  draw();
  el.appendChild(canvas);
}
export default { render };
"""


class Easel(anywidget.AnyWidget):
    """The canvas: reports the last stroke and the last pixel asked about."""

    _esm = _EASEL
    png = traitlets.Unicode().tag(sync=True)                             # base64 of the file
    size = traitlets.List(traitlets.Int(), [1, 1]).tag(sync=True)        # [H, W] in pixels of the film
    tool = traitlets.Unicode("paint").tag(sync=True)                     # or "ask"
    color = traitlets.Unicode("#c03028").tag(sync=True)
    radius = traitlets.Int(5).tag(sync=True)                             # pixels of the film
    stroke = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)  # [[y, x], ...]
    asked = traitlets.List(traitlets.Int(), [-1, -1]).tag(sync=True)     # [y, x]


class Shown:
    """Frames in memory, with the interface that `colorlab.film.contact_sheets` needs."""

    def __init__(self, frames: Sequence[Picture]):
        self.frames, self.size = list(frames), frames[0].shape[:2]

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.frames)

    def count(self) -> int:
        return len(self.frames)

    def frames_from(self, number: int) -> Iterator[Picture]:
        return iter(self.frames[number:])


class Studio(widgets.VBox):
    """Paint, propagate, compare, ask.

    film: uint8 (H, W, 3) frames, or the path of a film. methods: one or two of `colorlab.METHODS`, or
    networks by name {name: network}. frames, start: how many of a film's frames are held, and the first of
    them. size: the short side at which the networks run. cuts: as for `colorize`. rate: frames per second in
    playback.
    """

    def __init__(self, film: str | Path | Sequence[Picture],
                 methods: Sequence[str] | Mapping[str, nn.Module] = ("lstvc", "flow"), frames: int = 48,
                 start: int = 0, size: int | None = 128, cuts: Cuts = "auto", rate: float = 12,
                 device: str = "cpu"):
        opened = read_video(film).frames_from(start) if isinstance(film, (str, Path)) else iter(film[start:])
        held = [frame for _, frame in zip(range(frames), opened)]
        if not held:
            raise InputError(f"there is no frame {start} to paint on")
        if not 1 <= len(methods) <= 2:
            raise InputError(f"the studio shows one method or two side by side, not {len(methods)}")
        self.film, self.size, self.cuts, self.device = Shown(held), size, cuts, torch.device(device)
        given = methods if isinstance(methods, Mapping) else {name: _loaded(name) for name in methods}
        self.models = dict(given)
        self.paintings: dict[int, Picture] = {}  # frame -> uint8 (H, W, 4), alpha 0 where nothing was painted
        self.loose: list[Picture] = []           # pictures that are no frame of the film
        self.results: dict[str, list[Picture]] = {}
        self.confidence: dict[str, list[Picture]] = {}
        self.explanation = None
        self._build(rate)
        self._draw()

    @property
    def frame(self) -> int:
        """The frame being shown and painted on."""
        return self._slider.value

    @frame.setter
    def frame(self, number: int) -> None:
        self._slider.value = number

    def stroke(self, points: Sequence[tuple[float, float]], color: str | None = None,
               radius: int | None = None) -> None:
        """Paint a line through (y, x), ... in pixels of the film; by default with the selected colour and
        width."""
        color, radius = color or self._color.value, radius or self._radius.value
        mask = Image.new("L", self.film.size[::-1])
        pen, path = ImageDraw.Draw(mask), [(x, y) for y, x in points]
        if len(path) > 1:
            pen.line(path, fill=255, width=2 * radius, joint="curve")
        for x, y in path:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        painting = self.painting()
        painting[np.asarray(mask) > 0] = (*ImageColor.getrgb(color)[:3], 255)
        self.paintings[self.frame] = painting
        self._draw()

    def drop(self, picture: Picture, of_this_frame: bool = False) -> None:
        """Give a picture, uint8 (H, W, 3 or 4): this very frame's colours, or a loose picture of similar
        things."""
        if not of_this_frame:
            self.loose.append(picture)
        else:
            image = Image.fromarray(picture).convert("RGBA")
            self.paintings[self.frame] = np.array(
                image.resize(self.film.size[::-1], Image.Resampling.LANCZOS)
            )
        self._draw()

    def erase(self) -> None:
        """Erase this frame's painting."""
        self.paintings.pop(self.frame, None)
        self._draw()

    def painting(self) -> Picture:
        """What is painted on this frame, a copy: uint8 (H, W, 4)."""
        return self.paintings.get(self.frame, np.zeros((*self.film.size, 4), np.uint8)).copy()

    def references(self) -> list[Picture | tuple[int, Picture]]:
        """What was painted and dropped, as `colorlab.colorize` takes it; strokes are spread over their frame
        if that is on."""
        painted = {number: self.spread_over(number) if self._spread.value else self.paintings[number]
                   for number in sorted(self.paintings)}
        return [*painted.items(), *self.loose]

    def spread_over(self, number: int) -> Picture:
        """A frame's strokes, spread over the whole frame by its lightness (scribbles.py): uint8 (H, W, 4),
        opaque."""
        painting = self.paintings[number]
        lab = rgb_to_lab(frames_to_rgb(self.film.frames[number]))[None]                        # (1, 3, H, W)
        colors = rgb_to_lab(frames_to_rgb(np.ascontiguousarray(painting[..., :3])))[None, 1:]  # (1, 2, H, W)
        alpha = torch.from_numpy(painting[..., 3] / np.float32(255))[None, None]
        if not bool((alpha > 0.5).any()) or bool((alpha > 0.5).all()):
            return painting
        small = network_size(self.film.size, SPREAD_AT)
        l, share = resized(lab[:, :1], small), resized(alpha, small)                           # (1, 1, h, w)
        ab = resized(colors * alpha, small) / share.clamp(min=0.05)
        known = (share[0, 0] > 0.5).numpy()
        if not known.any():
            return painting
        found = resized(
            torch.from_numpy(spread_strokes(l[0, 0].numpy(), ab[0].numpy(), known))[None], self.film.size
        )
        whole = torch.where(alpha > 0.5, colors, found)
        rgb = rgb_to_frames(lab_to_rgb(fit_gamut(join_lab(lab[:, :1], whole)))[0])
        return np.dstack((rgb, np.full(self.film.size, 255, np.uint8)))

    def propagate(self) -> None:
        """Colour the film with each method. Raises InputError where nothing is painted yet."""
        if not self.references():
            raise InputError("paint on a frame first, or drop a picture")
        guidance = guide(self.film, self.references(), self.cuts)
        for name, model in self.models.items():
            confident = offers_confidence(model)
            colored, sure = [], []
            blocks = colored_blocks(
                iter(self.film), guidance, model.to(self.device), self.size, self.device, confident=confident
            )
            for block in blocks:
                colored += list(block.frames)
                sure += list(block.confidence[..., 0]) if confident else []
                self._say(f"{name}: {len(colored)} of {self.film.count()} frames")
            self.results[name], self.confidence[name] = colored, sure
        self._say("")
        self._draw()

    def why(self, at: tuple[int, int]) -> str:
        """Where the colour of pixel (y, x) of this frame came from, with the first method: sources and
        shares, a line."""
        name, model = next(iter(self.models.items()))
        guidance = guide(self.film, self.references(), self.cuts)
        self.explanation = explain(self.film, guidance, model, (self.frame, *at), self.size, self.device)
        shares = sorted(self.explanation.shares.items(), key=lambda item: -item[1])
        parts = [f"{100 * share:.0f} % from {source}" for source, share in shares]
        line = f"{name}, pixel {at}: {', '.join(parts)}"
        self._say(line)
        self._why.value = plots.to_png(self.explanation.sheet)
        self._why.layout.display = None
        return line

    def save(self, folder: str | Path) -> list[str]:
        """Write what was painted, a PNG for each frame; returns what `colorlab colorize --reference`
        takes."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for number, picture in sorted(self.paintings.items()):
            write_image(folder / f"frame_{number}.png", picture)
            written.append(f"{folder / f'frame_{number}.png'}@{number}")
        for number, picture in enumerate(self.loose):
            write_image(folder / f"loose_{number}.png", picture)
            written.append(str(folder / f"loose_{number}.png"))
        return written

    def sheet(self) -> Picture:
        """The frame as painted and as coloured by each method, with its confidence: uint8 (H', W', 3)."""
        tiles = {f"frame {self.frame}, painted": self._painted()}
        tiles |= self._answers()
        return plots.sheet(*tiles.values(), titles=list(tiles), columns=min(3, max(2, len(tiles))))

    def _answers(self) -> dict[str, Picture]:
        """This frame as each method coloured it, and how sure the method is."""
        pictures = {name: frames[self.frame] for name, frames in self.results.items()}
        for name, maps in self.confidence.items():
            if maps and self._sure.value:
                sure = maps[self.frame]
                title = "dark where unsure" if sure.min() < 255 else "sure everywhere, it was given"
                pictures[f"{name}: {title}"] = np.repeat(sure[..., None], 3, -1)
        return pictures

    def _painted(self) -> Picture:
        """The frame in grey, with what is painted under its lightness."""
        lab = rgb_to_lab(frames_to_rgb(self.film.frames[self.frame]))        # (3, H, W)
        painting = self.painting()
        alpha = torch.from_numpy(painting[..., 3].astype(np.float32) / 255)  # (H, W)
        ab = rgb_to_lab(frames_to_rgb(np.ascontiguousarray(painting[..., :3])))[1:]
        return rgb_to_frames(lab_to_rgb(join_lab(lab[:1], ab * alpha)).clamp(0, 1))

    def _build(self, rate: float) -> None:
        last = self.film.count() - 1
        self._easel = Easel(size=list(self.film.size))
        self._slider = widgets.IntSlider(0, 0, last, description="frame", continuous_update=True)
        play = widgets.Play(value=0, min=0, max=last, interval=round(1000 / rate), description="play")
        widgets.link((play, "value"), (self._slider, "value"))
        self._color = widgets.ColorPicker(value=self._easel.color, description="colour", concise=False)
        self._radius = widgets.IntSlider(5, 1, 40, description="brush")
        self._tool = widgets.ToggleButtons(options=[("paint", "paint"), ("why?", "ask")])
        self._sure = widgets.Checkbox(True, description="show confidence")
        self._spread = widgets.Checkbox(True, description="spread strokes over the frame",
                                        layout=widgets.Layout(width="max-content"))
        self._upload = widgets.FileUpload(accept="image/*", description="drop a picture")
        self._of_frame = widgets.Checkbox(False, description="it shows this frame")
        buttons = {name: widgets.Button(description=name) for name in ("propagate", "erase this frame")}
        self._panels = widgets.HBox(layout=widgets.Layout(flex_flow="row wrap"))
        self._note = widgets.HTML()
        self._why = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", display="none"))
        for source, target in ((self._color, "color"), (self._radius, "radius"), (self._tool, "tool")):
            widgets.link((source, "value"), (self._easel, target))
        self._slider.observe(lambda _: self._draw(), "value")
        self._sure.observe(lambda _: self._draw(), "value")
        self._easel.observe(lambda change: change.new and self.stroke(change.new), "stroke")
        self._easel.observe(lambda change: self._try(self.why, tuple(change.new)), "asked")
        self._upload.observe(self._uploaded, "value")
        buttons["propagate"].on_click(lambda _: self._try(self.propagate))
        buttons["erase this frame"].on_click(lambda _: self.erase())
        wide = widgets.Layout(flex="1 1 320px", min_width="280px")
        rows = [
            widgets.HBox(row)
            for row in ((self._upload, self._of_frame), tuple(buttons.values()), (play, self._slider))
        ]
        tools = widgets.VBox(
            [self._tool, self._color, self._radius, *rows, self._spread, self._sure, self._note], layout=wide)
        top = widgets.HBox([widgets.VBox([self._easel], layout=wide), tools],
                           layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([top, self._panels, self._why])

    def _draw(self) -> None:
        self._easel.png = base64.b64encode(plots.to_png(self._painted())).decode()
        pictures = self._answers()
        children = list(self._panels.children)
        if len(children) != len(pictures):
            children = [_panel() for _ in pictures]
            self._panels.children = children
        for box, (name, picture) in zip(children, pictures.items()):
            box.children[0].value, box.children[1].value = name, plots.to_jpeg(picture)

    def _say(self, line: str) -> None:
        self._note.value = line

    def _try(self, action, *arguments: object) -> None:
        """Run a button's action; errors are shown in the note."""
        try:
            action(*arguments)
        except InputError as error:
            self._say(str(error))

    def _uploaded(self, change) -> None:
        for item in change.new:
            picture = np.array(Image.open(io.BytesIO(bytes(item["content"]))).convert("RGBA"))
            self.drop(picture, self._of_frame.value)
            what = "this frame's own picture" if self._of_frame.value else "a loose reference"
            self._say(f"{item['name']} is {what}")

    def _repr_mimebundle_(self, **kwargs: object) -> dict:
        """The live studio, plus a still for pages that cannot run it."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data["image/jpeg"] = base64.b64encode(plots.to_jpeg(self.sheet())).decode()
        painted = sorted(self.paintings) or "nothing"
        data["text/plain"] = (
            f"Studio({self.film.count()} frames; painted: {painted}; {', '.join(self.models)})"
        )
        return bundle


def _panel() -> widgets.VBox:
    """A picture under its name, as wide as the available space."""
    picture = widgets.Image(format="jpeg", layout=widgets.Layout(width="100%"))
    return widgets.VBox([widgets.Label(), picture],
                        layout=widgets.Layout(flex="1 1 300px", min_width="260px", max_width="440px"))


def _loaded(name: str) -> nn.Module:
    return load(name, "course", "none" if name in ("copy", "flow") else "course")
