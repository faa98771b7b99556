"""`python -m colorlab.train.validate`: PSNR of methods on validation clips, as `colorlab.train.measure`
defines it.

    python -m colorlab.train.validate --data FOLDER --method copy flow lstvc --weights course
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from colorlab.clips.windows import survey
from colorlab.files.errors import InputError
from colorlab.files.atomic import check_writable, write_json
from colorlab.film.precision import PRECISIONS
from colorlab.train import measure
from colorlab.train.measure import SHORT_SIDE, Score, mean_score, read_clip, score
from colorlab.train.split import clip_name, split


def main(arguments: Sequence[str] | None = None) -> int:
    from colorlab.files.settings import literal, pairs
    from colorlab.methods import METHODS, PRESETS, load, record

    parser = argparse.ArgumentParser(
        prog="python -m colorlab.train.validate",
        description="PSNR of methods on validation clips, short side 128, the first frame as "
        "reference, or a loose one.")
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="FOLDER",
                        help="folders with clips below them")
    parser.add_argument("--method", nargs="+", choices=METHODS, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="course")
    parser.add_argument("--weights", default="none", help="course, none, released, or a path (default: none)")
    parser.add_argument("--clips", default="validation", metavar="NAME,NAME",
                        help="'validation' (default), 'training', 'all', or clips by name")
    parser.add_argument("--reference", choices=("first", "loose"), default="first",
                        help="the first frame (default), or the last one mirrored, for frames 0 to 11")
    parser.add_argument("--change", action="append", default=[], metavar="NAME=VALUE", dest="changes",
                        help="change a field of the networks' configs, e.g. --change register=None")
    parser.add_argument("--frames", type=int, help="use only this many frames of each clip")
    parser.add_argument("--short-side", type=int, default=SHORT_SIDE)
    parser.add_argument("--device", help="where networks run (default: a GPU if there is one)")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32",
                        help="numerical precision of the networks (default: float32)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers, clip by clip")
    args = parser.parse_args(arguments)
    try:
        if args.json:
            check_writable(args.json)
        clips = chosen_clips(args.data, args.clips)
        changes = {name: literal(value) for name, value in pairs(args.changes).items()}
        report = {}
        for method in args.method:
            learned = record(method).learns
            model = load(method, args.preset, args.weights if learned else "none",
                         **(changes if learned else {}))
            device = args.device or a_device(learned)
            scores = [
                score(clip_name(path), read_clip(path, args.short_side, args.frames), model, device,
                      args.precision, args.reference)[0] for path in clips
            ]
            report[method] = {"mean": mean_score(scores), "clips": [s._asdict() for s in scores]}
            sys.stdout.write(as_table(method, scores))
        if args.json:
            definition = " ".join(measure.__doc__.split("The definition: ")[1].split())
            write_json(args.json, {"definition": definition, **report}, indent=1)
    except (InputError, OSError) as error:
        sys.stderr.write(f"validate: {' '.join(str(error).split())}\n")
        return 2
    return 0


def chosen_clips(folders: Sequence[Path], which: str) -> list[Path]:
    """Clips below these folders: one side of the split, all, or by name."""
    clips = survey(*folders).clips
    training, validation = split(clips)
    if which in ("validation", "training", "all"):
        found = {"validation": validation, "training": training, "all": list(clips)}[which]
    else:
        names = which.split(",")
        found = [path for path in clips if clip_name(path) in names]
        if missing := set(names) - {clip_name(path) for path in found}:
            raise InputError(
                f"no clip named {', '.join(sorted(missing))} below {', '.join(map(str, folders))}")
    if not found:
        raise InputError(
            f"no {which} clips below {', '.join(map(str, folders))}; --clips all takes every one")
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
        lines.append(
            f"{name:24} "
            + " ".join(
                "-".rjust(w) if x is None else f"{x:{w}.{d}f}"
                for x, w, d in zip(numbers, (7, 7, 7, 9, 9), (2, 1, 1, 6, 6))
            )
        )
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    sys.exit(main())
