"""`colorlab weights`: list, fetch and check weights, and show a network's parameter counts."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from colorlab.cli.terminal import leave_bar
from colorlab.files.errors import InputError
from colorlab.methods import weights as checkpoints
from colorlab.methods import METHODS, PRESETS, check_fits, load, record


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("weights",
                                   help="list and fetch weights, show a network's parameters by part")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list",
                       help="course and released weights: which are here, and where to get the rest")
    fetching = actions.add_parser(
        "fetch", help="fetch a checkpoint; resumes a broken download, and says what it could not verify")
    fetching.add_argument("name", metavar="NAME",
                          help=f"{', '.join(checkpoints.ADDRESSES)}, or an address with --out")
    fetching.add_argument("--out", type=Path, metavar="FILE",
                          help="where to put it (default: where colorlab looks for it)")
    fetching.add_argument("--sha256", metavar="DIGITS", default=None,
                          help="its checksum, or the first digits of it")
    show = actions.add_parser("show", help="parameter counts of a network, part by part")
    show.add_argument("method", choices=METHODS)
    show.add_argument("--preset", choices=PRESETS, default="paper")


def run(args: argparse.Namespace) -> int:
    text = _list() if args.action == "list" else _fetch(args) if args.action == "fetch" else _show(
        args.method, args.preset)
    sys.stdout.write(text + "\n")
    return 0


def _fetch(args: argparse.Namespace) -> str:
    """Fetch and check a file, and print what was verified and what was not."""
    from tqdm import tqdm

    from colorlab.files.fetch import fetch

    if "://" in args.name:
        if args.out is None:
            raise InputError(f"where should {args.name} be put? Give --out FILE")
        url, path = args.name, args.out
    else:
        url, path = checkpoints.address(args.name)
        path = args.out or path
    if path.exists():
        raise InputError(f"{path} is there already; remove it to fetch it again")
    if args.sha256 is not None and not re.fullmatch("[0-9a-fA-F]{8,64}", args.sha256):
        raise InputError(f"--sha256 takes 8 to 64 hexadecimal digits, got {args.sha256!r}")
    with tqdm(unit="B", unit_scale=True, file=sys.stderr, leave=leave_bar(), desc=path.name) as bar:
        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)
        found = fetch(url, path, args.sha256, show)
    verified, unverified = list(found.verified), list(found.unverified)
    if args.name in METHODS:
        check_fits(path, args.name)
        verified.append(
            f"names and shapes are those of {args.name}, preset paper, and reading it runs no code")
        unverified.append("whether it colours as the authors' own program does")
    lines = [f"{path} ({found.size:,} bytes)", f"SHA-256 {found.sha256}"]
    lines += [f"verified: {what}" for what in verified] + [f"not verified: {what}" for what in unverified]
    return "\n".join(lines)


def _list() -> str:
    lines = []
    for method in METHODS:
        if not record(method).learns:
            continue
        lines.append(f"{method:10} course    {_where(checkpoints.course_file, method)}")
        lines.append(f"{'':10} released  {_where(checkpoints.released_path, method)}")
    return "\n".join(lines)


def _where(find: object, method: str) -> str:
    try:
        return str(find(method))
    except InputError as error:
        return f"not here: {error}"


def _show(method: str, preset: str) -> str:
    model = load(method, preset)
    parts = [(name, sum(parameter.numel()
                        for parameter in part.parameters()))
             for name, part in model.named_children()]
    total = sum(parameter.numel() for parameter in model.parameters())
    rows = [
        f"{name:32} {count:>13,}" for name, count in (*parts, ("total", total)) if count or name == "total"
    ]
    extractor = getattr(model, "extractor", None)  # cavc's is frozen and kept outside the network
    if extractor is not None and "extractor" not in dict(parts):
        rows.append(f"{'frozen extractor, not in total':32} "
                    f"{sum(value.numel() for value in extractor.parameters()):>13,}")
    return "\n".join([f"{method}, preset {preset}", *rows])
