"""`colorlab data`: list and check data sets, write the embedded clips as files, unpack archives safely."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from colorlab.cli.terminal import leave_bar
from colorlab.files.errors import InputError

MOST_PIXELS = 1 << 30  # of an embedded clip: it is held in memory, with its motion some 20 bytes per pixel


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("data", help="list, check, make and unpack data sets")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list",
                                 help="the known data sets, which are present, and where they come from")
    checking = actions.add_parser("check", help="check that they are complete; exit code 1 if one is not")
    checking.add_argument("names", nargs="*", metavar="NAME",
                          help="data sets, or NAME/SPLIT (default: all that are here)")
    checking.add_argument("--decode", action="store_true", help="read every frame, too")
    for action in (listing, checking):
        action.add_argument("--root", type=Path, default=Path("data"),
                            help="the folder of the data sets (default: data)")
    making = actions.add_parser("make",
                                help="write the embedded clips as frames and .flo files, with no download")
    making.add_argument("names", nargs="*", metavar="CLIP", help="which (default: all)")
    making.add_argument("--out", type=Path, default=Path("data/embedded"), metavar="DIR")
    making.add_argument("--frames", type=int, default=24)
    making.add_argument("--size", default="224x128", metavar="WxH")
    making.add_argument("--seed", type=int, default=0)
    unpacking = actions.add_parser("unpack", help="unpack an archive into a new folder, all or nothing")
    unpacking.add_argument("archive", type=Path, metavar="ARCHIVE")
    unpacking.add_argument("folder", type=Path, metavar="FOLDER",
                           help="a new folder, for instance data/davis2017/trainval")
    unpacking.add_argument("--limit", type=float, metavar="GB",
                           help="how much it may hold (default: a hundred times its own size, or 1 GB)")


def run(args: argparse.Namespace) -> int:
    return {"list": list_sets, "check": check_sets, "make": make_clips,
            "unpack": unpack_archive}[args.action](args)


def list_sets(args: argparse.Namespace) -> int:
    from colorlab.clips import CLIPS
    from colorlab.clips.datasets import DATA_SETS, check

    lines = [f"embedded    {', '.join(CLIPS)}: made here, no download (colorlab data make)"]
    for name, data in DATA_SETS.items():
        found = {split: check(name, split, args.root) for split in data.splits}
        here = ", ".join(f"{split}: {state(report)}" for split, report in found.items())
        lines += [
            "", f"{name:11} {data.title} ({here})",
            f"{'':11} belongs in {args.root / data.folder}; used by {data.used_by}",
            f"{'':11} from {data.source}", f"{'':11} terms: {data.terms}"
        ]
        lines += [f"{'':11} {data.note}"] if data.note else []
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def check_sets(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from colorlab.clips.datasets import DATA_SETS, check
    from colorlab.clips.datasets.reading import look_up

    asked = [(name.partition("/")[0], name.partition("/")[2]) for name in args.names]
    for name, split in asked:
        look_up(name, split or next(iter(DATA_SETS.get(name, DATA_SETS["davis2017"]).splits)))
    wanted = [(name, split) for name, only in (asked or [(name, "") for name in DATA_SETS])
              for split in ([only] if only else DATA_SETS[name].splits)]
    broken = here = 0
    for name, split in tqdm(wanted, unit="split", file=sys.stderr, leave=leave_bar()):
        report = check(name, split, args.root, args.decode)
        if report.status == "absent" and not args.names:
            continue
        here += report.status != "absent"
        broken += report.status in ("incomplete", "absent")
        sys.stdout.write(f"{name}/{split}: {state(report)}\n" +
                         "".join(f"  {line}\n" for line in report.problems))
        if report.status == "absent":
            data = DATA_SETS[name]
            sys.stdout.write(f"  get it from {data.source}; it belongs in {args.root / data.folder}\n")
    if not here and not args.names:
        sys.stdout.write(
            f"none of the data sets is in {args.root}; `colorlab data list` says where they come from\n")
    return 1 if broken else 0


def make_clips(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from colorlab.clips import CLIPS, embedded_clip

    names = args.names or CLIPS
    unknown = [name for name in names if name not in CLIPS]
    if unknown:
        raise InputError(f"no embedded clip named {', '.join(unknown)}; there are {', '.join(CLIPS)}")
    width, height = parse_size(args.size)
    if args.frames * width * height > MOST_PIXELS:
        raise InputError(f"{args.frames} frames of {width}x{height} are more than a clip of this kind can "
                         "hold in memory; give a smaller --size")
    targets = [args.out / name for name in names]
    for target in targets:
        if target.exists():
            raise InputError(f"{target} is there already; remove it, or write to another folder with --out")
    args.out.mkdir(parents=True, exist_ok=True)
    for name, target in zip(tqdm(names, unit="clip", file=sys.stderr, leave=leave_bar()), targets):
        write_clip(embedded_clip(name, args.frames, height, width, args.seed), target)
        sys.stdout.write(f"{target}: {args.frames} frames of {width}x{height} with their exact flow\n")
    return 0


def write_clip(clip: object, target: Path) -> None:
    """Write frames/00000.png ..., forward/00000.flo ..., backward/00000.flo ... into a folder, atomically."""
    import torch

    from colorlab.files.video import atomically, write_image
    from colorlab.modules.flow import write_flo

    with atomically(target) as folder:
        for part in ("frames", "forward", "backward"):
            (folder / part).mkdir(parents=True)
        for index, frame in enumerate(clip.frames):
            write_image(folder / "frames" / f"{index:05d}.png", frame)
        for part in ("forward", "backward"):
            for index, field in enumerate(getattr(clip, part)):
                write_flo(folder / part / f"{index:05d}.flo", torch.from_numpy(field))


def unpack_archive(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from colorlab.clips.datasets import unpack

    with tqdm(unit="B", unit_scale=True, file=sys.stderr, leave=leave_bar()) as bar:
        count = unpack(args.archive, args.folder, lambda name, size: bar.update(size),
                       None if args.limit is None else int(args.limit * 1e9))
    sys.stdout.write(f"{count} files in {args.folder}\n")
    return 0


def parse_size(text: str) -> tuple[int, int]:
    sides: Sequence[str] = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise InputError(f"--size is WIDTHxHEIGHT, for instance 224x128, got {text!r}")
    return int(sides[0]), int(sides[1])


def state(report: object) -> str:
    if report.status == "absent":
        return "not here"
    count = f"{report.found} of {report.expected} clips" if report.expected else f"{report.found} clips"
    return f"{report.status}, {count}"
