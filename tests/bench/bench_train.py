"""Does the reading of data keep up with the training? Time per batch of the loader beside the time of a step,
for the course networks.

    python tests/bench/bench_train.py [FOLDER ...]    (default: the embedded films and photographs, written as files)

Both run in one process, turn by turn, so that a busy machine slows both; look at the ratio. Below 1, a single
reading process keeps this device fed; above, so many --workers are needed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from PIL import Image

import colorlab
from colorlab.clips import CLIPS, PHOTOGRAPHS, embedded_clip, photograph, survey
from colorlab.train import ClipWindows, Settings, recipe_for, train
from colorlab.train.batches import StepOrder, loader

REPEATS = 3


def embedded_folder(home: Path) -> Path:
    for name in CLIPS:
        (home / name).mkdir()
        for number, frame in enumerate(embedded_clip(name, 12, 240, 428).frames):
            Image.fromarray(frame).save(home / name / f"{number:05d}.jpg", quality=92, subsampling=0)
    (home / "photographs").mkdir()
    for name in PHOTOGRAPHS:
        Image.fromarray(photograph(name)).save(home / "photographs" / f"{name}.jpg", quality=92)
    return home


def main(folders: list[str]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        found = survey(*(folders or [embedded_folder(Path(temporary))]))
        device = "GPU" if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
        print(f"{len(found.clips)} clips, {len(found.photographs)} photographs; {device}; one "
              f"reading process; median of {REPEATS}")
        print(f"{'method':10} {'batch':>14} {'read':>9} {'step':>9} {'read / step':>12}")
        for method in ("lstvc", "colormnet", "cavc", "tcavc"):
            recipe = replace(recipe_for(method), steps=1)
            if not torch.cuda.is_available():
                recipe = replace(recipe, batch=1)
            windows = ClipWindows(replace(recipe, steps=REPEATS), found.clips, found.photographs)
            network = colorlab.load(method, "course")
            reads, steps = [], []
            batches = loader(windows, StepOrder(0, REPEATS, 1, recipe.batch))
            for _ in range(REPEATS):
                began = time.perf_counter()
                batch = next(batches)
                reads.append(time.perf_counter() - began)
                fixed = [window for window in batch.lab]
                record = train(network, method, recipe, Fixed(fixed), None,
                               Settings(log_every=1, progress=False))
                steps.append(record.lines[-1]["seconds"])
            read, step = median(reads), median(steps)
            size = f"{recipe.batch} x {recipe.frames} frames"
            print(f"{method:10} {size:>14} {read:8.2f}s {step:8.2f}s {read / step:12.2f}", flush=True)


class Fixed:
    """Windows that are there already, so that a step's time is its own."""

    def __init__(self, windows: list[torch.Tensor]):
        self.windows = windows

    def __getitem__(self, index: int):
        from colorlab.clips import Window

        return Window(self.windows[index], "bench", 0)


if __name__ == "__main__":
    main(sys.argv[1:])
