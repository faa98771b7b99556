"""How well are scene cuts found? Clips without cuts, real cuts, joints of two clips, and what looks like a
cut and is none.

    python tests/bench/bench_scenes.py CLIPS [FILMS]

CLIPS holds folders of frames, each one scene; FILMS holds folders of frames that are only listed with what
was found in them.
Also: milliseconds a frame of the look and the comparison at 1080p, in one process.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import torch

from colorlab.files.video import read_video
from colorlab.film.cuts import NEIGHBOURS, Signature, change, find_cuts, look_at, stream_cuts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("films", type=Path, nargs="?")
    args = parser.parse_args()
    clips = {
        folder.name: [look_at(frame)
                      for frame in read_video(folder)]
        for folder in sorted(args.clips.iterdir())
        if folder.is_dir()
    }

    pairs = [change(a, b) for looks in clips.values() for a, b in zip(looks, looks[1:])]
    false = {name: found for name, looks in clips.items() if (found := cuts(looks))}
    print(f"{len(clips)} clips, {len(pairs)} pairs: largest change {max(pairs):.3f}, cuts "
          f"found {false or 'none'}")

    n = 2 * NEIGHBOURS
    joined = [cuts(a[-n:] + b[:n]) == [n] for a, b in itertools.permutations(clips.values(), 2)]
    print(f"{len(joined)} joints of two clips: {sum(joined)} found ({100 * np.mean(joined):.1f} %)")
    flashes = [
        cuts(looks[:n] + [other[0]] + looks[n + 1:3 * n])
        for looks, other in itertools.islice(itertools.permutations(clips.values(), 2), 0, None, 7)
    ]
    print(f"{len(flashes)} clips with one frame of another in them: {sum(map(bool, flashes))} taken for cuts")
    half = [
        cuts([look_at(frame)
              for frame in flicker(read_video(args.clips / name))])
        for name in list(clips)[::3]
    ]
    print(f"{len(half)} clips with flicker of 40 % and fading to black: {sum(map(bool, half))} with cuts")
    for folder in sorted(args.films.iterdir()) if args.films else ():
        if folder.is_dir():
            print(f"  {folder.name}: {find_cuts(read_video(folder)) or 'none'}")
    speed()


def cuts(looks: list[Signature]) -> list[int]:
    return [number for number, _ in stream_cuts(looks)]


def flicker(frames) -> list[np.ndarray]:
    frames = list(frames)
    light = 1 - 0.4 * np.random.default_rng(0).random(len(frames))
    light[-12:] *= np.linspace(1, 0, 12)
    return [(frame * level).astype(np.uint8) for frame, level in zip(frames, light)]


def speed() -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    look = look_at(frame)
    for name, call in (("look", lambda: look_at(frame)), ("compare", lambda: change(look, look))):
        start = time.perf_counter()
        for _ in range(20):
            call()
        print(f"  {name}: {1000 * (time.perf_counter() - start) / 20:.1f} ms/frame at 1080p, "
              f"{torch.get_num_threads()} thread(s)")


if __name__ == "__main__":
    main()
