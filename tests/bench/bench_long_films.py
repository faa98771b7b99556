"""Do long films stay flat in memory, what does 1080p take, do the stages work at the same time, and what do
segments cost?

    python tests/bench/bench_long_films.py [--frames 100 1000 10000] [--method copy lstvc colormnet] [--preset
    course] [--size 64 96] [--only length]

length: for each method a process colours so many small frames from a film file to a film file, resumably, as
`colorlab colorize` does, and tells the peak memory of the whole process; `--preset`: of which networks; 480p: `--size 480 854 --network-size 128`. full:
the same for a few frames of 1920x1080 at the course networks, which see the film at `--network-size` (0: at
full size, of which lstvc takes minutes a frame). overlap: in one process and in turn, the same job with its
stages side by side, one after the other, and with the network in a thread of its own; with a network on the
processor and with a wait for one elsewhere. segments: the size of a film in segments against one in one
piece. Ratios mean more than seconds. bench_correlation.py has the streamed correlation beside the naive one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import colorlab
import colorlab.film.colorize
import colorlab.film.job
from colorlab.files.video import read_video, write_video
from colorlab.film.colorize import color_block, colored_blocks
from colorlab.film.pipeline import ahead
from colorlab.film.references import guide
from colorlab.film.job import SEGMENT, FilmJob, restore
from colorlab.methods import PRESETS
from colorlab.methods.baselines import Copy
from colorlab.train.measure import paints_its_own

sys.path.insert(0, str(Path(__file__).parent))
from peak_memory import peak_resident  # noqa: E402

PROGRAM = "import sys; sys.path.insert(0, {here!r}); import bench_long_films as b; b.peak({film!r}, {method!r}, {frames}, {preset!r}, {size})"
WAIT = 0.05  # seconds
PARTS = ("length", "full", "overlap", "segments")


def frames_of(count: int, size: tuple[int, int]):
    rows, columns = np.mgrid[: size[0], : size[1]]
    for n in range(count):
        grey = 128 + 80 * np.sin((columns + n) / 9) * np.cos((rows + n // 3) / 7)
        yield np.repeat(grey.astype(np.uint8)[..., None], 3, -1)


def color(film: Path, output: Path, model: torch.nn.Module, segment: int = SEGMENT,
          size: int | None = None) -> int:
    """The whole job, with its search for cuts."""
    opened = read_video(film)
    first = next(iter(opened)).copy()
    first[..., 2] //= 2
    job = FilmJob(opened, output, model, size, torch.device("cpu"), {}, segment=segment)
    return restore(job, guide(opened, None if paints_its_own(model) else [(0, first)], "auto"))


def peak(film: str, method: str, frames: int, preset: str, size: int | None) -> None:
    """In a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        assert color(Path(film), Path(folder) / "out.mp4", colorlab.load(method, preset), size=size) == frames
    sys.stdout.write(json.dumps(1024 * peak_resident()))


def peak_apart(film: Path, method: str, frames: int, preset: str = "tiny", size: int | None = None) -> float:
    """MiB, the peak of a process that does the job."""
    program = PROGRAM.format(here=str(Path(__file__).parent), film=str(film), method=method, frames=frames,
                             preset=preset, size=size)
    return json.loads(
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


def length(counts: list[int], methods: list[str], size: tuple[int, int], preset: str,
           network_size: int | None) -> None:
    """The same film, ever longer."""
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            write_video(Path(folder) / f"{count}.mp4", frames_of(count, size))
        for method in methods:
            first = None
            for count in counts:
                start = time.perf_counter()
                found = peak_apart(Path(folder) / f"{count}.mp4", method, count, preset, network_size)
                first = first or found
                print(f"  {method:10} {count:6d} frames of {size[1]}x{size[0]}: peak {found:7.1f} MiB, "
                      f"ratio {found / first:.3f}, {time.perf_counter() - start:.0f} s", flush=True)


def full(
    methods: list[str], network_size: int | None, count: int, size: tuple[int, int] = (1080, 1920)
) -> None:
    """A large film."""
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "in.mp4"
        write_video(film, frames_of(count, size))
        for method in methods:
            start = time.perf_counter()
            found = peak_apart(film, method, count, "course", network_size)
            print(f"  {method:10} {count} frames of {size[1]}x{size[0]}, network at "
                  f"{network_size or 'full size'}: peak {found:7.1f} MiB, "
                  f"{time.perf_counter() - start:.0f} s", flush=True)


def elsewhere(block: torch.Tensor, model: object, state: object, *_:
              object) -> tuple[np.ndarray, None, object]:
    """Stands for `color_block` on an accelerator: for so long the processor has nothing to do."""
    time.sleep(WAIT)
    return block.numpy(), None, state


def overlap(count: int = 24, times: int = 6) -> None:
    """The stages in three ways, in turn; the best of each, which other guests of the machine disturbed
    least."""
    lstvc, most = colorlab.load("lstvc", "course"), torch.get_num_threads()
    ways = {
        "together": {}, "one after the other": {
            "ahead": lambda items, depth: (item for item in items),
            "behind": lambda work, depth: nullcontext(work)
        }, "together, the network in a thread of its own": {
            "colored_blocks": lambda *args: ahead(colored_blocks(*args), 2)
        }
    }
    cases = (("lstvc on the processor", lstvc, color_block, most,
              (480, 640)), ("lstvc on the processor", lstvc, color_block, 1, (480, 640)),
             (f"a wait of {1000 * WAIT:.0f} ms as for an accelerator", Copy(), elsewhere, most, (1080, 1920)))
    for what, model, blocks, threads, size in cases:
        torch.set_num_threads(threads)
        taken = {way: [] for way in ways}
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(colorlab.film.colorize, "color_block", blocks),
        ):
            film = Path(folder) / "in.mp4"
            write_video(film, frames_of(count, size))
            for _ in range(times):
                for way, changed in ways.items():
                    with mock.patch.multiple(colorlab.film.job, **changed) if changed else nullcontext():
                        start = time.perf_counter()
                        color(film, Path(folder) / "out.mp4", model, size=96)
                        taken[way].append(time.perf_counter() - start)
        best = {way: min(runs) for way, runs in taken.items()}
        print(
            f"  decode, {what}, encode, {size[1]}x{size[0]}, {threads} thread(s): " +
            "; ".join(f"{way} {seconds:.2f} s, ratio {seconds / best['one after the other']:.2f}"
                      for way, seconds in best.items()), flush=True)
    torch.set_num_threads(most)


def segments(size: tuple[int, int] = (240, 320), count: int = 288) -> None:
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "in.mp4"
        write_video(film, frames_of(count, size))
        found = {}
        for segment in (10**6, SEGMENT, 24):
            start = time.perf_counter()
            color(film, Path(folder) / f"{segment}.mp4", Copy(), segment=segment)
            found[segment] = ((Path(folder) / f"{segment}.mp4").stat().st_size, time.perf_counter() - start)
        for segment, (bytes_, seconds) in found.items():
            whole = found[10**6]
            print(f"  segments of {segment:7d} frames: size {bytes_ / whole[0]:.3f}, time "
                  f"{seconds / whole[1]:.2f} of the film in one piece")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--method", nargs="+", default=list(colorlab.METHODS))
    parser.add_argument("--preset", default="tiny", choices=PRESETS)
    parser.add_argument("--size", type=int, nargs=2, default=[64, 96], metavar=("H", "W"))
    parser.add_argument("--network-size", type=int,
                        help="short side at which the networks see the film; 0: full size (default: 240 for "
                             "1080p, else full size)")
    parser.add_argument("--large-frames", type=int, default=6, help="frames of the 1080p film")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    for part in args.only:
        print(f"{part}:")
        {"length": lambda: length(args.frames, args.method, tuple(args.size), args.preset,
                                  args.network_size or None),
         "full": lambda: full(args.method, 240 if args.network_size is None else args.network_size or None,
                              args.large_frames),
         "overlap": overlap, "segments": segments}[part]()


if __name__ == "__main__":
    main()
