"""Batches of windows. The windows of a step are a function of its number, so that training can stop and
resume anywhere.

Step s, its k-th part, process r, place i: window ((s * parts + k) * processes + r) * batch + i. Nothing is
shuffled here, because the windows are already in random order; the only state is the number of the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colorlab.clips.datasets.images import file_kept_by_tcavc
from colorlab.clips.embedded import CLIPS, EmbeddedClip, embedded_clip
from colorlab.clips.windows import ClipDataset, LooseWindow, Window
from colorlab.color import frames_to_rgb, lab_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.modules.flow import estimate_flow, reliable_ruder
from colorlab.modules.flow.estimate import raft_file
from colorlab.train.recipes import Recipe


PICTURES = {"all": None, "tcavc": file_kept_by_tcavc}  # which photographs are used


class Motion(NamedTuple):
    """Optical flow from each frame to the next, on the grid of the earlier one."""

    flow: Tensor     # (B, T-1, 2, H, W) pixels
    visible: Tensor  # (B, T-1, 1, H, W) 1 where it is reliable, else 0

    def to(self, device: torch.device) -> Motion:
        return Motion(*(part.to(device, non_blocking=True) for part in self))


class Moving(NamedTuple):
    """A window with known motion."""

    frames: Tensor   # (T, 3, H, W) Lab
    source: str
    first: int
    flow: Tensor     # (T-1, 2, H, W)
    visible: Tensor  # (T-1, 1, H, W)


class Batch(NamedTuple):
    lab: Tensor                # (B, T, 3, H, W)
    motion: Motion | None      # if the data contains it
    sources: tuple[str, ...]   # where the windows come from, for messages
    reference: Tensor | None = None  # (B, 3, H, W) Lab, loose ones; None: the reference is the first frame

    def to(self, device: torch.device) -> Batch:
        loose = self.reference if self.reference is None else self.reference.to(device, non_blocking=True)
        return Batch(self.lab.to(device, non_blocking=True), self.motion and self.motion.to(device),
                     self.sources, loose)


class ClipWindows(Dataset):
    """Windows from clips and photographs according to a recipe; the steps between frames change during
    training.

    Whether references are loose is the same for all windows of a batch, of all processes together.
    """

    def __init__(self, recipe: Recipe, clips: Sequence[Path], photographs: Sequence[Path],
                 processes: int = 1):
        length = recipe.steps * recipe.accumulate * processes * recipe.batch
        self.loose, self.together = recipe.loose, recipe.batch * processes
        if recipe.pictures not in PICTURES:
            raise InputError(f"no choice of photographs called {recipe.pictures!r}; there are "
                             f"{', '.join(PICTURES)}")
        self.starts = [int(share * length) for share, _ in recipe.strides]
        self.phases = [
            ClipDataset(clips, photographs, frames=recipe.frames, size=recipe.size, strides=strides,
                        zoom=recipe.zoom, share=recipe.photographs, length=length, seed=recipe.seed,
                        framing=recipe.framing, flip=recipe.flip, reverse=recipe.reversed,
                        keep=PICTURES[recipe.pictures]) for _, strides in recipe.strides
        ]

    def __len__(self) -> int:
        return len(self.phases[0])

    def __getitem__(self, index: int) -> Window | LooseWindow:
        phase = max(k for k, start in enumerate(self.starts) if index >= start)
        batch = index // self.together
        loose = int((batch + 1) * self.loose) > int(batch * self.loose)
        return self.phases[phase].with_reference(index) if loose else self.phases[phase][index]


class EmbeddedWindows(Dataset):
    """Windows of the embedded films, with their exact motion, so that the temporal loss needs no estimate. No
    download, no folder.

    scenes: of CLIPS; films: how many different ones of each scene; length: how many windows there are.
    """

    def __init__(self, recipe: Recipe, scenes: Sequence[str] = CLIPS, films: int = 4, film_frames: int = 24,
                 length: int | None = None):
        self.recipe, self.scenes, self.films, self.film_frames = recipe, tuple(scenes), films, max(
            film_frames, recipe.frames)
        self.length = recipe.steps * recipe.accumulate * recipe.batch if length is None else length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Moving:
        rng = np.random.default_rng((self.recipe.seed, index))
        scene, number = self.scenes[index % len(self.scenes)], int(rng.integers(self.films))
        clip = _film(scene, self.film_frames, *self.recipe.size, number)
        first = int(rng.integers(len(clip.frames) - self.recipe.frames + 1))
        part = slice(first, first + self.recipe.frames)
        pairs = slice(first, first + self.recipe.frames - 1)
        frames, flow, visible = clip.frames[part], clip.forward[pairs], clip.reliable_forward[pairs]
        if self.recipe.reversed and rng.random() < 0.5:
            frames, flow, visible = (
                np.ascontiguousarray(x[::-1])
                for x in (frames, clip.backward[pairs], clip.reliable_backward[pairs])
            )
        lab = rgb_to_lab(frames_to_rgb(frames))
        return Moving(lab, scene, first, torch.from_numpy(flow), torch.from_numpy(visible).float()[:, None])


@lru_cache(maxsize=64)
def _film(scene: str, frames: int, height: int, width: int, seed: int) -> EmbeddedClip:
    return embedded_clip(scene, frames, height, width, seed)


def estimated_motion(lab: Tensor, how: str) -> Motion:
    """Flow and reliability of neighbouring frames: lab (B, T, 3, H, W); how: "auto", "raft" or "classical",
    on the device of `lab`.

    Raises InputError if "auto" would make a GPU wait for the classical flow, which runs on the CPU: that must
    be requested explicitly.
    """
    if how == "auto" and lab.device.type != "cpu" and not raft_file().is_file():
        raise InputError("the temporal loss needs flow, RAFT's weights are not here, and a GPU would wait "
                         "seconds a step for the processor's: get them (colorlab weights fetch raft), "
                         "take windows that know their motion (motion=given), or say motion=classical")
    with torch.no_grad():
        rgb = lab_to_rgb(lab)
        a, b = rgb[:, :-1].flatten(0, 1), rgb[:, 1:].flatten(0, 1)
        flows = estimate_flow(torch.cat((a, b)), torch.cat((b, a)), how).flow
        forward, backward = flows.chunk(2)
        visible = reliable_ruder(forward, backward, strict=False).reliable.to(lab)
        return Motion(*(part.unflatten(0, (len(lab), -1)) for part in (forward, visible)))


@dataclass(frozen=True)
class StepOrder:
    """The lists of indices that a process takes, one list for each part of each step from `first` on."""

    first: int
    steps: int
    parts: int
    batch: int
    process: int = 0
    processes: int = 1

    def __len__(self) -> int:
        return (self.steps - self.first) * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        for part in range(self.first * self.parts, self.steps * self.parts):
            start = (part * self.processes + self.process) * self.batch
            yield list(range(start, start + self.batch))


def loader(windows: Dataset, order: StepOrder, workers: int = 0, pin: bool = False) -> Iterator[Batch]:
    """Batches in this order; `workers` processes read ahead. A window that cannot be read ends it with its
    own InputError."""
    batches = DataLoader(Guarded(windows), batch_sampler=order, num_workers=workers, pin_memory=pin,
                         collate_fn=collate, prefetch_factor=4 if workers else None)
    try:
        for batch in batches:
            if isinstance(batch, Failure):
                raise InputError(batch.message)
            yield batch
    except RuntimeError as error:
        if "worker" not in str(error):
            raise
        raise InputError(
            "a process that reads training data has died "
            f"({' '.join(str(error).split())[:100]}): out of memory? Give fewer --workers") from error


class Failure(NamedTuple):
    message: str


class Guarded(Dataset):
    """A data set whose InputErrors are returned as values: raised in a worker, they would arrive as a long
    traceback."""

    def __init__(self, windows: Dataset):
        self.windows = windows

    def __getitem__(self, index: int) -> Window | LooseWindow | Moving | Failure:
        try:
            return self.windows[index]
        except InputError as error:
            return Failure(str(error))


def collate(windows: list[Window | LooseWindow | Moving | Failure]) -> Batch | Failure:
    """Windows stacked into a batch. If only some have known motion, the others' is marked as visible
    nowhere."""
    if failed := next((window for window in windows if isinstance(window, Failure)), None):
        return failed
    lab = torch.stack([window.frames for window in windows])
    motion = None
    if any(isinstance(window, Moving) for window in windows):
        unknown = lab.new_zeros(lab.shape[1] - 1, 3, *lab.shape[-2:]).split((2, 1), dim=1)
        known = [(w.flow, w.visible) if isinstance(w, Moving) else unknown for w in windows]
        motion = Motion(*(torch.stack(parts) for parts in zip(*known)))
    loose = [window.reference for window in windows if isinstance(window, LooseWindow)]
    return Batch(lab, motion, tuple(f"{window.source} from frame {window.first}" for window in windows),
                 torch.stack(loose) if len(loose) == len(windows) else None)
