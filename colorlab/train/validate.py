"""How good a method is on clips it was not trained on. Also a command:

    python -m colorlab.train.validate --data FOLDER --method copy flow lstvc --weights course

The definition: frames at short side 128 (Pillow's bicubic, 8-bit RGB: that is the truth); the first frame is the reference, as the film's
own frame 0; `colorlab.colorize` at that size; PSNR of 8-bit RGB, averaged over frames 1, 2, ... of a clip, then over clips.
Colourfulness and CDC stand beside it with the truth's own: a method that paints grey has little error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from colorlab.coloring import colorize
from colorlab.data.windows import frame_files, picture_size, read_crop, survey
from colorlab.errors import InputError
from colorlab.metrics import cdc, colorfulness, mean_psnr, psnr
from colorlab.train.split import clip_name, split

SHORT_SIDE = 128


class Score(NamedTuple):
    """One clip; all numbers leave out frame 0 but for CDC, which wants whole clips."""

    clip: str
    frames: int
    psnr: float                # dB, mean over frames 1, 2, ...
    colorfulness: float        # mean over frames 1, 2, ...
    truth_colorfulness: float
    cdc: float | None          # None for clips of fewer than five frames
    truth_cdc: float | None


def read_clip(path: Path, short_side: int = SHORT_SIDE, frames: int | None = None) -> list[np.ndarray]:
    """The first frames of a clip (all by default), uint8 (h, w, 3) with this short side; smaller ones as they are."""
    files = frame_files(path)[:frames]
    height, width = picture_size(files[0])
    scale = min(1.0, short_side / min(height, width))
    size = round(height * scale), round(width * scale)
    return [read_crop(file, (0, 0, width, height), size) for file in files]


def score(name: str, truth: Sequence[np.ndarray], model: nn.Module, device: str | None = None) -> tuple[Score, list[np.ndarray]]:
    """Colour a clip of at least two frames from its first one (by itself, where the method makes its own reference) and compare."""
    if len(truth) < 2:
        raise InputError(f"{name} has one frame; at least two are needed, the first is the reference")
    references = None if paints_its_own(model) else [(0, truth[0])]
    predicted = list(colorize(truth, references, model, device=device))
    rest = range(1, len(truth))
    steady = len(truth) >= 5
    return Score(name, len(truth), mean_psnr(psnr(predicted[t], truth[t]) for t in rest),
                 float(np.mean([colorfulness(predicted[t]) for t in rest])), float(np.mean([colorfulness(truth[t]) for t in rest])),
                 cdc(predicted) if steady else None, cdc(truth) if steady else None), predicted


def paints_its_own(model: nn.Module) -> bool:
    """Whether this is tcavc, which is measured as it is used: without any colour given."""
    return type(model).__name__ == "TCAVC"


def mean_score(scores: Iterable[Score]) -> dict[str, float]:
    """Means over clips, of the numbers that there are."""
    scores = list(scores)
    columns = {name: [getattr(s, name) for s in scores if getattr(s, name) is not None] for name in Score._fields[2:]}
    return {name: float(np.mean(values)) for name, values in columns.items() if values}


def main(arguments: Sequence[str] | None = None) -> int:
    from colorlab.methods import METHODS, PRESETS, load

    parser = argparse.ArgumentParser(prog="python -m colorlab.train.validate", description="PSNR of methods on validation clips, "
                                     "short side 128, the first frame as reference.")
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="FOLDER", help="folders with clips below them")
    parser.add_argument("--method", nargs="+", choices=METHODS, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="course")
    parser.add_argument("--weights", default="none", help="course, none, released, or a path (default: none)")
    parser.add_argument("--clips", default="validation", metavar="NAME,NAME",
                        help="'validation' (default), 'training', 'all', or clips by name")
    parser.add_argument("--frames", type=int, help="only so many of each clip")
    parser.add_argument("--short-side", type=int, default=SHORT_SIDE)
    parser.add_argument("--device", help="where networks run (default: a GPU if there is one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers, clip by clip")
    args = parser.parse_args(arguments)
    try:
        clips = chosen_clips(args.data, args.clips)
        report = {}
        for method in args.method:
            learned = method not in ("copy", "flow")
            model = load(method, args.preset, args.weights if learned else "none")
            scores = [score(clip_name(path), read_clip(path, args.short_side, args.frames), model, args.device or a_device(learned))[0]
                      for path in clips]
            report[method] = {"mean": mean_score(scores), "clips": [s._asdict() for s in scores]}
            sys.stdout.write(as_table(method, scores))
        if args.json:
            args.json.write_text(json.dumps({"definition": " ".join(__doc__.split("The definition: ")[1].split()), **report}, indent=1))
    except (InputError, OSError) as error:
        sys.stderr.write(f"validate: {' '.join(str(error).split())}\n")
        return 2
    return 0


def chosen_clips(folders: Sequence[Path], which: str) -> list[Path]:
    """Clips below these folders: of one side of the split, all, or by name."""
    clips = survey(*folders).clips
    training, validation = split(clips)
    if which in ("validation", "training", "all"):
        found = {"validation": validation, "training": training, "all": list(clips)}[which]
    else:
        names = which.split(",")
        found = [path for path in clips if clip_name(path) in names]
        if missing := set(names) - {clip_name(path) for path in found}:
            raise InputError(f"no clip named {', '.join(sorted(missing))} below {', '.join(map(str, folders))}")
    if not found:
        raise InputError(f"no {which} clips below {', '.join(map(str, folders))}; --clips all takes every one")
    return found


def a_device(learned: bool) -> str:
    import torch

    return "cuda" if learned and torch.cuda.is_available() else "cpu"


def as_table(method: str, scores: Sequence[Score]) -> str:
    rows = [(s.clip, s.psnr, s.colorfulness, s.truth_colorfulness, s.cdc, s.truth_cdc) for s in scores]
    mean = mean_score(scores)
    rows.append(("mean", *(mean.get(name) for name in Score._fields[2:])))
    lines = [f"{method:24} {'PSNR':>7} {'colour':>7} {'truth':>7} {'CDC':>9} {'truth':>9}"]
    for name, *numbers in rows:
        lines.append(f"{name:24} " + " ".join("-".rjust(w) if x is None else f"{x:{w}.{d}f}"
                                              for x, w, d in zip(numbers, (7, 7, 7, 9, 9), (2, 1, 1, 6, 6))))
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    sys.exit(main())
