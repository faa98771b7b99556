"""Where does the time of `colorlab colorize` go beside the network, and does its memory stay flat?

    python tests/bench/bench_colorize.py [--size 480 854] [--method copy] [--preset course] [--short-side 224]

Times the stages on the same frames, one after the other in one process and several times over, best of each;
then peak memory of a process that colours 100, 300 and 1000 frames. Run it on a quiet machine; ratios mean
more than milliseconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import colorlab
from colorlab.color import (fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab,
                            split_lab)
from colorlab.files.video import read_video, write_video
from colorlab.film.references import network_size
from colorlab.modules.resizing import resized

COLOR = "import sys; sys.path.insert(0, {here!r}); import bench_colorize; bench_colorize.peak({frames}, {size}, {method!r}, {preset!r}, {short})"


def picture(size: tuple[int, int], n: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: coloured waves that move."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack(
        [128 + 100 * np.sin((columns + 5 * n) / 40 + phase) * np.cos(rows / 30) for phase in (0, 2, 4)],
        -1).astype(np.uint8)


def best(stage: Callable[[], object], times: int = 5) -> float:
    """Milliseconds of the fastest of several runs, after one to warm up."""
    stage()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        stage()
        taken.append(time.perf_counter() - start)
    return 1000 * min(taken)


def stages(size: tuple[int, int], method: str, preset: str, short: int) -> None:
    frame = picture(size)
    model = colorlab.load(method, preset)
    l, ab = split_lab(rgb_to_lab(frames_to_rgb(frame))[None])
    wide = 2 * ab  # half of these colours do not exist, as for a bold network
    small = network_size(size, short)
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "in.mp4"
        second = [picture(size, n) for n in range(24)]
        write_video(film, second)
        state = model.start(resized(join_lab(l, ab), small))
        rows = {
            "read": best(lambda: list(read_video(film)), 3) / 24,
            "RGB to Lab, shrink": best(
                lambda: resized(split_lab(rgb_to_lab(frames_to_rgb(frame)[None]))[0], small)),
            f"network ({method}, {preset}, {small[1]}x{small[0]})": best(
                lambda: model.step(resized(l, small), state)),
            "enlarge, gamut, Lab to RGB": best(lambda: rgb_to_frames(
                lab_to_rgb(fit_gamut(join_lab(l, resized(resized(wide, small), size)), steps=8)))),
            "write": best(lambda: write_video(Path(folder) / "out.mp4", second), 2) / 24,
        }
    total = sum(rows.values())
    print(f"{size[1]}x{size[0]}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, milliseconds in rows.items():
        print(f"  {name:44} {milliseconds:8.1f} ms/frame {100 * milliseconds / total:5.1f} %")


def peak(frames: int, size: tuple[int, int], method: str, preset: str, short: int) -> None:
    """In a process of its own: colour so many frames and tell the peak memory."""
    film = (picture(size, n % 50) for n in range(frames))
    colored = colorlab.colorize(film, [(0, picture(size))], colorlab.load(method, preset), short)
    assert sum(1 for _ in itertools.islice(colored, frames)) == frames
    print(
        json.dumps(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss /
            (1024 if sys.platform != "darwin" else 1024**2)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs=2, default=[480, 854], metavar=("H", "W"))
    parser.add_argument("--method", default="copy")
    parser.add_argument("--preset", default="course")
    parser.add_argument("--short-side", type=int, default=224)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 300, 1000])
    args = parser.parse_args()
    stages(tuple(args.size), args.method, args.preset, args.short_side)
    first = None
    for frames in args.frames:
        program = COLOR.format(here=str(Path(__file__).parent), frames=frames, size=tuple(args.size),
                               method=args.method, preset=args.preset, short=args.short_side)
        found = json.loads(
            subprocess.run([sys.executable, "-c", program], check=True, capture_output=True,
                           text=True).stdout)
        first = first or found
        print(f"  {frames:5d} frames: peak {found:7.1f} MiB, ratio {found / first:.3f}", flush=True)


if __name__ == "__main__":
    main()
