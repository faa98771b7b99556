"""How long embedded clips and training windows take: python tests/bench/bench_data.py [FOLDER]

FOLDER: clips and photographs to read windows from; without one, 480-line JPEG frames are made from an
embedded clip. Times of one process, one thread; what counts is their ratio, and windows per second against
the steps of the network they feed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader

from colorlab.clips import CLIPS, ClipDataset, Found, embedded_clip, survey
from colorlab.color import frames_to_rgb, rgb_to_lab


def timed(call, repeats: int) -> float:
    """Median milliseconds of processor time of a call."""
    times = []
    for index in range(repeats):
        begun = time.process_time()
        call(index)
        times.append(time.process_time() - begun)
    return 1000 * float(np.median(times))


def embedded(cache: Path) -> None:
    os.environ["COLORLAB_CACHE"] = str(cache)
    print("\nembedded clips, 12 frames of 128 x 224 (ms processor time)\n  scene        "
          "made   from the cache")
    for name in CLIPS:
        begun = time.process_time()
        embedded_clip(name, 12)
        made = 1000 * (time.process_time() - begun)
        print(f"  {name:10s} {made:6.0f} {timed(lambda _: embedded_clip(name, 12), 3):10.0f}")


def made_up(folder: Path) -> Found:
    for name in ("zoom", "exposure"):
        place = folder / name
        place.mkdir()
        for number, frame in enumerate(embedded_clip(name, 8, 480, 854).frames):
            Image.fromarray(frame).save(place / f"{number:05d}.jpg", quality=92)
        Image.fromarray(frame).save(folder / f"{name}.jpg", quality=92)
    return Found((folder / "zoom", folder / "exposure"), (folder / "zoom.jpg", folder / "exposure.jpg"))


def naive(files: list[Path], frames: int, size: tuple[int, int]) -> torch.Tensor:
    """The window that most loaders make: decode whole frames, resize as floats, convert to Lab."""
    rgb = torch.stack([frames_to_rgb(np.array(Image.open(file).convert("RGB"))) for file in files[:frames]])
    return rgb_to_lab(F.interpolate(rgb, size, mode="bicubic", antialias=True).clamp(0, 1))


def windows(found: Found, frames: int = 4, size: tuple[int, int] = (128, 224)) -> None:
    data = lambda clips, photographs, space: ClipDataset(
        clips, photographs, frames=frames, size=size, space=space, length=1 << 20
    )
    print(f"\nwindows of {frames} frames of {size[0]} x {size[1]} (ms processor time each, "
          "and how many times the naive loader's)")
    whole = timed(lambda _: naive(sorted(found.clips[0].glob("*.jpg")), frames, size), 20)
    print(f"  {'whole frames decoded, resized as floats':42s} {whole:7.1f}   1.00")
    for title, dataset in (
        ("clips, RGB", data(found.clips, (), "rgb")),
        ("clips, Lab", data(found.clips, (), "lab")),
        ("photographs in motion, Lab", data((), found.photographs, "lab")),
    ):
        if dataset.clips or dataset.photographs:
            one = timed(dataset.__getitem__, 60)
            print(f"  {title:42s} {one:7.1f}   {one / whole:.2f}")
    dataset = data(found.clips, found.photographs, "lab")
    for workers in (0, 2):
        loader = iter(DataLoader(dataset, batch_size=8, num_workers=workers))
        next(loader)
        begun = time.perf_counter()
        for _ in range(12):
            next(loader)
        print(f"  batches of 8 windows, {workers} workers: "
              f"{96 / (time.perf_counter() - begun):6.1f} windows a second (wall clock)")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        embedded(Path(scratch, "cache"))
        made = Path(scratch, "made")
        made.mkdir()
        windows(survey(*sys.argv[1:]) if sys.argv[1:] else made_up(made))
