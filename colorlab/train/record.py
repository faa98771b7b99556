"""A run's logs: metrics.jsonl, a plot of its losses, and validation frames at some steps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from colorlab.files.atomic import atomically, write_text


class Record:
    """A line of JSON for each logged step. `folder` None keeps them in memory only."""

    def __init__(self, folder: Path | None, from_step: int = 0):
        """from_step: lines of later steps, which a killed run wrote after its checkpoint, are removed: they
        will be written again."""
        self.path = folder / "metrics.jsonl" if folder else None
        self.lines: list[dict] = []
        if self.path and self.path.is_file():
            self.lines = [
                line
                for line in map(_parsed, self.path.read_text().splitlines())
                if line and line["step"] <= from_step
            ]
            text = "".join(json.dumps(line) + "\n" for line in self.lines)
            write_text(self.path, text)

    def add(self, **values: float | str) -> None:
        self.lines.append(values)
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(values) + "\n")

    def column(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of all lines that have this value."""
        found = [(line["step"], line[name]) for line in self.lines if name in line]
        return [step for step, _ in found], [value for _, value in found]

    def draw(self) -> None:
        """losses.png: each loss over steps, and the validation's PSNR."""
        if not self.path or len(self.lines) < 2:
            return
        from matplotlib.figure import Figure  # not pyplot: no window, no global state

        names = [name for name in dict.fromkeys(name for line in self.lines for name in line)
                 if name not in ("step", "rate", "seconds", "waited", "psnr")]
        figure = Figure(figsize=(9, 3.2), dpi=90, layout="constrained")
        left, right = figure.subplots(1, 2)
        for name in names:
            left.plot(*self.column(name), label=name, linewidth=1)
        left.set(xlabel="step", title="losses", yscale="log")
        left.legend(frameon=False, fontsize=8)
        right.plot(*self.column("psnr"), marker="o", markersize=3)
        right.set(xlabel="step", title="validation PSNR (dB)")
        with atomically(self.path.with_name("losses.png")) as temporary:
            figure.savefig(temporary)


def _parsed(line: str) -> dict | None:
    try:
        return json.loads(line)
    except json.JSONDecodeError:  # the last line of a run that was killed while it wrote
        return None


def strip(films: Mapping[str, Sequence[np.ndarray]], count: int = 6, height: int = 96) -> Image.Image:
    """A row of `count` frames for each named film, from first to last; frames are uint8 (H, W, 3)."""
    rows = []
    for name, film in films.items():
        shown = [film[round(k)] for k in np.linspace(0, len(film) - 1, min(count, len(film)))]
        width = max(1, math.ceil(height * shown[0].shape[1] / shown[0].shape[0]))
        row = np.concatenate(
            [np.asarray(Image.fromarray(frame).resize((width, height), Image.BICUBIC)) for frame in shown],
            axis=1)
        image = Image.fromarray(row)
        ImageDraw.Draw(image).text((3, 2), name, fill="white", stroke_width=1, stroke_fill="black")
        rows.append(np.asarray(image))
    wide = max(row.shape[1] for row in rows)
    return Image.fromarray(
        np.concatenate([np.pad(row, ((0, 2), (0, wide - row.shape[1]), (0, 0))) for row in rows]))
