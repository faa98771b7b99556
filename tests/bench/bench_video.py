"""Does reading and writing a film take more memory the longer the film is? And how long does a frame take?

    python tests/bench/bench_video.py [--minutes 1 5 20] [--size 240 320] [--suffix .mp4]

Generates films with a sound track, copies each with read_video and write_video(like=...) in a process of its own, and prints that
process's peak memory. A ratio near 1 says that memory is flat. MP4 keeps a table of all packets, of pictures and of sound, in memory while it
is read and while it is written, which Matroska does not: some 0.6 kB a frame in all, 36 MiB in an hour.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE, SOUND = 24, 48000
COPY = "import sys; sys.path.insert(0, {here!r}); import bench_video; bench_video.copy({source!r}, {target!r})"


def generate(path: Path, minutes: float, size: tuple[int, int]) -> None:
    """A film of moving waves with a tone, written with PyAV alone."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "23"})
        pictures.width, pictures.height, pictures.pix_fmt = width, height, "yuv420p"
        sound = output.add_stream("aac", rate=SOUND)
        sound.layout = "mono"
        written = 0
        for n in range(int(minutes * 60 * RATE)):
            light = (128 + 90 * np.sin((columns + 3 * n % width) / 17) * np.cos(rows / 23)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(light, "gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, RATE)
            output.mux(pictures.encode(frame))
            while written < (n + 1) * SOUND // RATE:
                wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(written, written + 1024) / SOUND)
                tone = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
                tone.sample_rate, tone.pts, tone.time_base = SOUND, written, Fraction(1, SOUND)
                output.mux(sound.encode(tone))
                written += 1024
        output.mux(pictures.encode(None))
        output.mux(sound.encode(None))


def copy(source: str, target: str) -> None:
    """In a process of its own: copy a film and tell frames, seconds and peak memory."""
    from colorlab.video import read_video, write_video
    start = time.perf_counter()
    frames = write_video(target, read_video(source), like=source)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(json.dumps({"frames": frames, "seconds": time.perf_counter() - start, "peak": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 5, 20])
    parser.add_argument("--size", type=int, nargs=2, default=[240, 320], metavar=("H", "W"))
    parser.add_argument("--suffix", default=".mp4", help="container, of the film read and of the one written")
    args = parser.parse_args()
    print(f"{args.suffix}, H.264 {args.size[1]}x{args.size[0]} at {RATE}/s with AAC sound; PyAV {av.__version__}, Python {sys.version.split()[0]}")
    print(f"{'minutes':>8} {'frames':>8} {'ms/frame':>9} {'peak MiB':>9} {'ratio':>6}")
    first = None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / f"in{args.suffix}", Path(folder) / f"out{args.suffix}"
        for minutes in args.minutes:
            generate(source, minutes, tuple(args.size))
            program = COPY.format(here=str(Path(__file__).parent), source=str(source), target=str(target))
            found = json.loads(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
            first = first or found["peak"]
            print(f"{minutes:8g} {found['frames']:8d} {1000 * found['seconds'] / found['frames']:9.2f} {found['peak']:9.1f} {found['peak'] / first:6.3f}",
                  flush=True)


if __name__ == "__main__":
    main()
