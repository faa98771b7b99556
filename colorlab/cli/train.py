"""`colorlab train`: train a method on folders of clips and photographs; give the same command again to
resume."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from colorlab.files.errors import InputError
from colorlab.files.locks import alone
from colorlab.files.settings import literal, pairs
from colorlab.files.atomic import room_for, write_json
from colorlab.methods import LEARNED

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from colorlab.train import Recipe



def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "train", help="train a method on folders of clips; resumable",
        description="Train a network. OUT receives METHOD.safetensors (for --weights), "
                    "checkpoint.pt, metrics.jsonl, losses.png, pictures of validation clips and "
                    "run.json. The same command resumes where it stopped, however it was stopped. "
                    "For several GPUs: accelerate launch -m colorlab train ...")
    parser.add_argument("--method", choices=LEARNED, required=True)
    parser.add_argument(
        "--data", type=Path, nargs="+", default=[], metavar="FOLDER",
        help="folders with clips (folders of numbered frames, films) and loose photographs below them")
    parser.add_argument("--then", type=Path, nargs="+", action="append", default=[], metavar="FOLDER",
                        help="the data of a recipe's next phase (cavc's paper recipe: DAVIS with --data, LDV "
                             "with --then)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--preset", choices=("paper", "course", "tiny"), default="course",
                        help="network and recipe (default: course)")
    parser.add_argument("--recipe", choices=("paper", "course", "laptop", "tiny"),
                        help="how to train it (default: the preset's own); laptop: the course networks "
                             "without a GPU, about an hour")
    parser.add_argument("--weights", default="none",
                        help="what to start from: none, imagenet (backbones), course, released, or a path")
    parser.add_argument("--initial", type=Path, action="append", default=[], metavar="FILE",
                        help="another network's file that the paper starts from, beside --weights (lstvc, "
                             "tcavc: VisTR, Deep Exemplar)")
    parser.add_argument("--embedded", action="store_true",
                        help="train on the embedded films, which need no download")
    parser.add_argument("--steps", type=positive, metavar="N",
                        help="updates of the weights (default: the recipe's)")
    parser.add_argument("--batch", type=positive, metavar="N", help="windows per step and process")
    parser.add_argument("--seed", type=from_zero, help="seed of the initial weights and of the data")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="change a number of the recipe, e.g. --set weights.l1=1 --set size=96,160; "
                             "--show lists them")
    parser.add_argument("--change", action="append", default=[], metavar="NAME=VALUE", dest="changes",
                        help="change a field of the network's config, e.g. --change block_size=2")
    parser.add_argument("--validation", metavar="NAME,NAME",
                        help="clips to hold out from training (default: a fixed list, or every tenth)")
    parser.add_argument("--validate-every", type=positive, default=500, metavar="STEPS")
    parser.add_argument("--save-every", type=positive, default=200, metavar="STEPS")
    parser.add_argument("--workers", type=from_zero, metavar="N",
                        help="processes that read data (default: all cores but one, at most 16)")
    parser.add_argument("--minutes", type=float, metavar="M",
                        help="stop with a checkpoint after this many minutes")
    parser.add_argument("--vgg", type=Path, metavar="FILE",
                        help="VGG-19's weights, for a perceptual loss (torchvision's or Caffe's)")
    parser.add_argument("--cpu", action="store_true", help="do not use a GPU")
    parser.add_argument("--show", action="store_true", help="print the recipe and stop")


def positive(text: str) -> int:
    if not text.isdecimal() or len(text) > 18 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 up is wanted, got {text[:40]!r}")
    return int(text)


def from_zero(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"a whole number from 0 up is wanted, got {text[:40]!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    from colorlab.methods import load
    from colorlab.methods.weights import load_initial
    from colorlab.modules.vgg import trained_vgg
    from colorlab.train import Settings, train

    recipe = chosen_recipe(args)
    if args.show:
        sys.stdout.write(shown(recipe))
        return 0
    if args.minutes is not None and not args.minutes > 0:
        raise InputError(f"--minutes {args.minutes:g}: give how many, above 0")
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"--out {args.out} is a file; give a folder, new or of a run to go on with")
    windows, validation, about = data(args, recipe)
    vgg = trained_vgg(args.vgg) if args.vgg else None
    changes = {name: literal(value) for name, value in pairs(args.changes).items()}
    model = load(args.method, args.preset, args.weights, seed=recipe.seed, **changes)
    about |= {"initial": [load_initial(model, args.method, path)
                          for path in args.initial]} if args.initial else {}
    identity = {"method": args.method, "network": repr(model.config), "data": fingerprint(about)}
    settings = Settings(workers=default_workers() if args.workers is None else args.workers,
                        save_every=args.save_every, validate_every=args.validate_every, validation=validation,
                        minutes=args.minutes, cpu=args.cpu, vgg=vgg)
    first = os.environ.get("RANK", "0") == "0"
    if first:
        args.out.mkdir(parents=True, exist_ok=True)
    with alone(args.out /
               ".lock", args.out, "wait for it, or give another --out") if first else nullcontext(), room_for(
                   args.out):
        if first and not (args.out / "checkpoint.pt").exists():
            write_about(args, recipe, model.config, about)
        record = train(model, args.method, recipe, windows, args.out, settings, identity)
    _, scores = record.column("psnr")
    done = record.lines[-1]["step"] if record.lines else 0
    said = f"; validation PSNR {scores[-1]:.2f} dB" if scores else ""
    more = "" if done >= recipe.steps else f" of {recipe.steps}; the same command goes on"
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(f"{done} steps{more}{said}; weights in {args.out / args.method}.safetensors\n")
    return 0


def chosen_recipe(args: argparse.Namespace) -> Recipe:
    from colorlab.train import changed, recipe_for
    from colorlab.train.recipes import check_recipe

    recipe = changed(recipe_for(args.method, args.recipe or args.preset), pairs(args.settings))
    given = {"steps": args.steps, "batch": args.batch, "seed": args.seed}
    recipe = dataclasses.replace(recipe,
                                 **{name: value for name, value in given.items() if value is not None})
    check_recipe(recipe)
    return recipe


def data(args: argparse.Namespace, recipe: Recipe) -> tuple[Dataset, Sequence[Path], dict]:
    """The training data, the validation clips, and a description of both for run.json."""
    from colorlab.clips import survey
    from colorlab.train import ClipWindows, EmbeddedWindows, PhasedWindows, clip_name, split
    from colorlab.train.phases import check_phases

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if args.embedded == bool(args.data) or (args.embedded and args.then):
        raise InputError("say what to train on: --data FOLDER ... for clips and photographs, or "
                         "--embedded for the built-in films")
    if args.embedded:
        length = recipe.steps * recipe.accumulate * recipe.batch * processes
        return EmbeddedWindows(recipe, length=length), (), {"training": "embedded films"}
    check_phases(recipe, 1 + len(args.then))
    phases = [survey(*folders) for folders in (args.data, *args.then)]
    names = [clip_name(path) for found in phases for path in found.clips]
    held_out = args.validation.split(",") if args.validation else None
    if missing := [name for name in held_out or () if name not in names]:
        raise InputError(f"--validation names {', '.join(missing)}, but there are only "
                         f"{', '.join(names[:12])}{' ...' * (len(names) > 12)}")
    sides = [split(found.clips, held_out) for found in phases]
    windows = [
        ClipWindows(recipe, training, found.photographs, processes)
        for (training, _), found in zip(sides, phases)
    ]
    validation = [path for _, held in sides for path in held]
    trained = [sorted(map(clip_name, training)) for training, _ in sides]
    about = {
        "training": dict(zip(
            (phase.data for phase in recipe.phases), trained)) if recipe.phases else trained[0],
        "validation": sorted(map(clip_name,
                                 validation)), "photographs": sum(len(found.photographs) for found in phases)
    }
    return PhasedWindows(recipe, windows, processes) if recipe.phases else windows[0], validation, about


def write_about(args: argparse.Namespace, recipe: Recipe, config: object, about: dict) -> None:
    """run.json: everything needed to repeat the run."""
    import torch

    from colorlab import __version__
    from colorlab.train import described

    content = {
        "method": args.method, "preset": args.preset, "start": str(args.weights), "recipe": described(recipe),
        "network": repr(config), "data": about, "command": ["colorlab", *sys.argv[1:]],
        "versions": {"colorlab": __version__, "torch": torch.__version__}
    }
    write_json(args.out / "run.json", content, indent=1)


def fingerprint(about: dict) -> str:
    """A short fingerprint of the data: with one clip more or less, all windows would differ."""
    text = json.dumps(about, sort_keys=True)
    return f"{len(about.get('validation', ()))} clips held out, {zlib.crc32(text.encode()):08x}"


def shown(recipe: Recipe) -> str:
    from colorlab.train import described

    return "".join(f"{name:24} {value}\n" for name, value in described(recipe).items())


def default_workers() -> int:
    return min(
        16,
        max(
            0,
            len(os.sched_getaffinity(0)) - 1 if hasattr(os, "sched_getaffinity") else
            (os.cpu_count() or 1) - 1))
