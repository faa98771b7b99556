"""Does reading and writing a film take more memory the longer the film is? How much of that is FFmpeg's? And
how long does a frame take?

    python tests/bench/bench_video.py [--minutes 1 5 20] [--size 96 128] [--suffix .mp4 .mkv]

Generates films with a sound track and copies each in processes of their own: with read_video and
write_video(like=...), and, for comparison, with PyAV alone doing the same decoding, encoding and copying of
sound, from one opening of the file and from three. Prints each process's peak memory, its ratio to the
shortest film's, and its growth per hour of film.

What is found: an MP4 file holds a table of all its packets, of pictures and of sound. FFmpeg keeps it in
    memory for every opening of the
file that it reads, and for the file that it writes: some 30 MiB for an hour where a film is opened once
("FFmpeg x1"), some 50 where it is opened three times ("FFmpeg x3"), as colorlab does: for the frames, for
their time stamps, and for the sound, which may lie anywhere in the file. Matroska has no such table, and
stays flat.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

sys.path.insert(0, str(Path(__file__).parent))
from peak_memory import peak_resident  # noqa: E402

RATE, SOUND = 24, 48000
REEL = 64  # seconds, whole numbers of frames and of AAC's packets: longer films repeat its packets
CALL = "import sys; sys.path.insert(0, {here!r}); import bench_video; bench_video.apart({way!r}, {source!r}, {target!r})"


def reel(path: Path, size: tuple[int, int]) -> None:
    """Moving waves with a tone, written with PyAV alone."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "23"})
        pictures.width, pictures.height, pictures.pix_fmt = width, height, "yuv420p"
        sound = output.add_stream("aac", rate=SOUND)
        sound.layout = "mono"
        for n in range(REEL * RATE):
            light = (128 + 90 * np.sin((columns + 3 * n % width) / 17) * np.cos(rows / 23)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(light, "gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, RATE)
            output.mux(pictures.encode(frame))
        for begin in range(0, REEL * SOUND, 1024):
            wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(begin, begin + 1024) / SOUND)
            tone = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
            tone.sample_rate, tone.pts, tone.time_base = SOUND, begin, Fraction(1, SOUND)
            output.mux(sound.encode(tone))
        output.mux(pictures.encode(None))
        output.mux(sound.encode(None))


def generate(path: Path, minutes: float, one: Path) -> None:
    """So many minutes of the reel `one`, its packets again and again."""
    with av.open(str(path), "w") as output:
        for turn in range(-(-int(60 * minutes) // REEL)):
            with av.open(str(one)) as source:
                if turn == 0:
                    streams = [output.add_stream_from_template(stream) for stream in source.streams]
                for packet in source.demux():
                    at, shift = packet.dts and packet.dts * packet.time_base, turn * REEL / packet.time_base
                    if at is None or at >= REEL or (turn and at < 0) or turn * REEL + at >= 60 * minutes:
                        continue
                    packet.dts, packet.pts, packet.stream = int(packet.dts + shift), int(
                        packet.pts + shift), streams[packet.stream.index]
                    output.mux(packet)


def ours(source: str, target: str) -> int:
    from colorlab.files.video import read_video, write_video
    return write_video(target, read_video(source), like=source)


def ffmpeg(source: str, target: str, openings: int) -> int:
    """The same work without colorlab: frames to RGB and back, encoded alike, the sound's packets passed on as
    the frames go."""
    from colorlab.files.video.encode import X264

    to_rgb, from_rgb = VideoReformatter(), VideoReformatter()
    inputs = [av.open(source) for _ in range(openings)]
    written = 0
    with av.open(target, "w") as output:
        pictures, sound = inputs[0].streams.video[0], inputs[-1].streams.audio[0]
        made = output.add_stream(X264[0], rate=RATE, options=X264[1])
        made.width, made.height, made.pix_fmt = pictures.width, pictures.height, "yuv420p"
        passed = output.add_stream_from_template(sound)
        times = inputs[1].decode(video=0) if openings > 1 else None
        tones = inputs[-1].demux(sound) if openings > 1 else None
        for packet in inputs[0].demux(pictures, *(() if tones else (sound,))):
            if packet.stream is sound:
                _pass(output, packet, passed)
                continue
            for frame in packet.decode():
                again = av.VideoFrame.from_ndarray(
                    to_rgb.reformat(frame, format="rgb24").to_ndarray(), "rgb24")
                again = from_rgb.reformat(again, format="yuv420p")
                again.pts, again.time_base = (next(times) if times else frame).pts, pictures.time_base
                output.mux(made.encode(again))
                written += 1
                while tones and (tone := next(tones, None)) is not None:
                    _pass(output, tone, passed)
                    if tone.dts is not None and tone.dts * tone.time_base > again.pts * again.time_base:
                        break
        output.mux(made.encode(None))
    return written


def _pass(output: av.container.OutputContainer, packet: av.Packet, stream: av.AudioStream) -> None:
    if packet.dts is not None:
        packet.stream = stream
        output.mux(packet)


WAYS = {
    "colorlab": ours, "FFmpeg x3": lambda source, target: ffmpeg(source, target, 3),
    "FFmpeg x1": lambda source, target: ffmpeg(source, target, 1)
}


def apart(way: str, source: str, target: str) -> None:
    """In a process of its own: copy a film and tell frames, seconds and peak memory."""
    import colorlab.files.video.encode  # noqa: F401 so that every process has loaded the same

    start = time.perf_counter()
    frames = WAYS[way](source, target)
    sys.stdout.write(
        json.dumps({"frames": frames, "seconds": time.perf_counter() - start,
                    "peak": 1024 * peak_resident()}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 5, 20])
    parser.add_argument("--size", type=int, nargs=2, default=[96, 128], metavar=("H", "W"))
    parser.add_argument("--suffix", nargs="+", default=[".mp4", ".mkv"],
                        help="containers, of the film read and of the one written")
    args = parser.parse_args()
    print(f"H.264 {args.size[1]}x{args.size[0]} at {RATE}/s with AAC sound; PyAV "
          f"{av.__version__}, Python {sys.version.split()[0]}")
    print(f"{'':5} {'':10} {'minutes':>8} {'frames':>8} {'ms/frame':>9} {'peak MiB':>9} "
          f"{'ratio':>6} {'MiB/hour':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in args.suffix:
            one, source, target = (Path(folder) / f"{name}{suffix}" for name in ("reel", "in", "out"))
            reel(one, tuple(args.size))
            first = {}
            for minutes in args.minutes:
                generate(source, minutes, one)
                for way in WAYS:
                    program = CALL.format(
                        here=str(Path(__file__).parent), way=way, source=str(source), target=str(target)
                    )
                    found = json.loads(
                        subprocess.run(
                            [sys.executable, "-c", program], check=True, capture_output=True, text=True
                        ).stdout
                    )
                    begun, least = first.setdefault(way, (minutes, found["peak"]))
                    hourly = (found["peak"] - least) / (minutes - begun) * 60 if minutes > begun else 0
                    print(f"{suffix:5} {way:10} {minutes:8g} {found['frames']:8d} "
                          f"{1000 * found['seconds'] / found['frames']:9.2f} {found['peak']:9.1f} "
                          f"{found['peak'] / least:6.3f} {hourly:9.1f}", flush=True)


if __name__ == "__main__":
    main()
