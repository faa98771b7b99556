"""A live view of training: the losses, a film coloured by the network and the sources of its colours, updated
in place.

    live = Live({"learned": film, "never seen": other}, method="colormnet")
    with live.running():
        train(network, "colormnet", recipe, windows, out, Settings(log_every=1, validate_every=8,
        **live.settings))

`running` shows the view; when the run ends, its last state stays on the page as a still. Two things stop the
run early, and both leave a checkpoint that can be used and resumed: the view's button, if the front end
delivers clicks to a busy kernel (JupyterLab 4.4 and later with ipykernel 7), and "Interrupt the kernel"
everywhere.
"""

from __future__ import annotations

import base64
import io
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import ipywidgets as widgets
import numpy as np
import torch
from IPython.display import display
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import nn

from colorlab.color import fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab
from colorlab.metrics import mean_psnr, psnr
from colorlab.teaching import plots

Frames = Sequence[np.ndarray]  # uint8 (H, W, 3) each


class _View(widgets.VBox):
    def __repr__(self) -> str:
        return "<picture>"  # as the still's text, so that a run compares with the committed page


class Live:
    """A live view of a training run: see the module's docstring.

    films: {name: frames}; each is coloured from its first frame at every validation, by a method without
    references from none. at: the pixel (y, x) of the first film's last frame whose match map is drawn; None:
    the middle.
    """

    def __init__(self, films: Mapping[str, Frames], method: str, at: tuple[int, int] | None = None):
        self.films, self.method = {name: list(frames) for name, frames in films.items()}, method
        height, width = next(iter(self.films.values()))[0].shape[:2]
        self.at = at or (height // 2, width // 2)
        self.losses: list[tuple[int, float]] = []               # (step, loss)
        # PSNR in dB: film -> step; frames as coloured then: step -> film; where the pixel's colour came from,
        # (H, W) that sums to 1: step.
        self.quality: dict[str, dict[int, float]] = {name: {} for name in self.films}
        self.pictures: dict[int, dict[str, list[np.ndarray]]] = {}
        self.maps: dict[int, np.ndarray] = {}
        self.asked = threading.Event()  # set to stop the run
        self.button = widgets.Button(
            description="stop", icon="stop", tooltip="stop after this step and keep a checkpoint"
        )
        self.button.on_click(lambda _: self.stop())
        self.curve, self.frames = (widgets.Image(format="jpeg", layout=widgets.Layout(max_width="100%"))
                                   for _ in range(2))
        self.view = _View([self.button, self.curve, self.frames])

    @property
    def settings(self) -> dict:
        """Keyword arguments for `train.Settings`."""
        return {"watch": self.watch, "follow": self.follow, "stop": self.asked.is_set}

    def stop(self) -> None:
        """Ask the run to end after the current step."""
        self.asked.set()
        self.button.description, self.button.disabled = "stopping", True

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the view, and let an interrupt of the kernel stop the run as the button does; at the end the
        still replaces the view."""
        shown = display(self.view, display_id=True)
        if (comm := getattr(self.button, "comm", None)) is not None:
            # ipykernel 7.4 sends a click to whichever shell the button last spoke from, which is the busy
            # one; without this note it goes where the front end asks, to a subshell that is free. The button
            # says nothing while the run lasts, so the note does not come back.
            getattr(comm, "__dict__", {}).pop("_reply_subshell_id", None)
        in_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, lambda *_: self.stop()) if in_main else None
        try:
            yield
        finally:
            if in_main:
                signal.signal(signal.SIGINT, before)
            self.button.disabled = True
            if shown is not None:  # None outside IPython
                still = base64.b64encode(self.still()).decode()
                shown.update({"image/jpeg": still, "text/plain": "<picture>"}, raw=True)

    def follow(self, line: Mapping[str, float]) -> None:
        """Process a logged line of the run."""
        if "loss" in line:
            self.losses.append((int(line["step"]), float(line["loss"])))
            self.curve.value = plots.to_jpeg(self._curves())

    def watch(self, step: int, network: nn.Module) -> None:
        """Colour the films with the current network, and draw them."""
        self.pictures[step] = {}
        for number, (name, film) in enumerate(self.films.items()):
            colored, found = self._colored(network, film, number == 0)
            self.pictures[step][name] = colored
            given = 0 if self.method == "tcavc" else 1
            self.quality[name][step] = mean_psnr(psnr(a, b) for a, b in zip(colored[given:], film[given:]))
            if found is not None:
                self.maps[step] = found
        self.curve.value, self.frames.value = plots.to_jpeg(self._curves()), plots.to_jpeg(self._frames(step))

    def still(self) -> bytes:
        """The last state as one JPEG."""
        parts = [self._curves(), *([self._frames(max(self.pictures))] if self.pictures else [])]
        wide = max(part.shape[1] for part in parts)
        parts = [
            np.pad(part, ((0, 6), (0, wide - part.shape[1]), (0, 0)), constant_values=255) for part in parts
        ]
        return plots.to_jpeg(np.concatenate(parts))

    def _colored(self, network: nn.Module, film: Frames, mapped: bool
                 ) -> tuple[list[np.ndarray], np.ndarray | None]:
        """A film in colour, and the match map of `at` in its last frame."""
        device = next(network.parameters()).device
        lab = rgb_to_lab(frames_to_rgb(torch.from_numpy(np.stack(film)))).to(device)
        state, colored = network.start(None if self.method == "tcavc" else [(0, lab[:1])]), []
        for t in range(len(film)):
            before = state
            ab, state = network.step(lab[None, t, :1], state)
            colored.append(rgb_to_frames(lab_to_rgb(fit_gamut(join_lab(lab[t, :1], ab[0])))))
        if not mapped:
            return colored, None
        maps = network.attention(lab[None, -1, :1], before, at=self.at)
        return colored, sum(maps.values()).cpu().numpy()

    def _curves(self) -> np.ndarray:
        figure = Figure(figsize=(10.4, 3.0), dpi=86, layout="constrained")  # not pyplot: no window or state
        left, right = figure.subplots(1, 2)
        left.plot(*(zip(*self.losses) if self.losses else ((), ())), linewidth=1.2, color="C3")
        left.set(xlabel="step", title="loss on the training windows")
        for name, values in self.quality.items():
            # films differ more than training changes them, so changes are drawn
            start = next(iter(values.values()), 0.0)
            right.plot(list(values), [value - start for value in values.values()], marker="o", markersize=4,
                       label=f"{name}, from {start:.1f}")
        right.set(xlabel="step", title="change of PSNR in dB, whole films")
        right.legend(frameon=False, fontsize=9)
        for axis in (left, right):
            axis.grid(alpha=0.3)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return np.asarray(Image.open(buffer).convert("RGB"))

    def _frames(self, step: int) -> np.ndarray:
        """For each film its last frame beside the truth; below, where the marked pixel's colour came from."""
        pictures, titles, start = [], [], min(self.pictures)
        for number, (name, film) in enumerate(self.films.items()):
            colored = self.pictures[step][name][-1]
            pictures += [plots.mark(colored, self.at) if number == 0 else colored, film[-1]]
            titles += [f"{name}: step {step}, {self.quality[name][step]:.1f} dB", "the truth"]
        if step in self.maps:
            first = next(iter(self.films.values()))[0]
            pictures += [plots.heat(self.maps[start], first), plots.heat(self.maps[step], first)]
            titles += [f"where the ring's colour comes from: step {start}", f"the same: step {step}"]
        return plots.sheet(*pictures, titles=titles, columns=2)
