"""`colorlab colorize` without colouring: the reports of `--check` and `--suggest`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from colorlab.cli.outputs import check_outputs
from colorlab.cli.references import check_frames, parse_cuts, parse_reference, read_references
from colorlab.cli.terminal import leave_bar, pick_device, tell_of_damage
from colorlab.files.errors import InputError


def check(args: argparse.Namespace) -> int:
    """The report on one film."""
    import torch
    from tqdm import tqdm

    from colorlab.files.video import films_in, read_video
    from colorlab.film.check import TIMED_AT, report

    if args.input.is_dir() and films_in(args.input):
        raise InputError("--check looks at one film; give that film as IN")
    film = read_video(args.input, args.deinterlace)
    streams, kept, left = "pictures alone", "every pixel and name", []
    if not args.input.is_dir():
        from colorlab.files.video.encode import left_out
        from colorlab.files.video.extras import streams_of
        streams = streams_of(film.path)
        suffix = args.output.suffix if args.output else ".mkv" if args.lossless else ".mp4"
        kept, left = (
            f"in {suffix}: lightness to the last code, time stamps, sound, subtitles, chapters",
            left_out(film, suffix, args.lossless),
        )
    def shown(frames: Iterable) -> Iterable:
        return tqdm(frames, "looking at the film", film.frames, unit="frame", leave=leave_bar(),
                    file=sys.stderr, dynamic_ncols=True)

    for line in report(film, streams, kept, left, args.size or TIMED_AT,
                       torch.device(pick_device(args.device)), shown):
        sys.stdout.write(line + "\n")
    return 0


def suggest_frames(args: argparse.Namespace) -> int:
    """Frames to paint, as pictures in the folder OUT; the exit code."""
    import torch
    from tqdm import tqdm

    from colorlab.cli.models import Models
    from colorlab.files.video import check_output, films_in, is_folder_name, read_video
    from colorlab.files.video.folder import write_folder
    from colorlab.film.confidence import offers_confidence
    from colorlab.film.references import guide
    from colorlab.film.suggest import doubts, sample, suggest

    if args.suggest < 1:
        raise InputError("--suggest counts frames: give 1 or more")
    if args.output is None or not is_folder_name(args.output):
        raise InputError("--suggest writes frames into a folder; give one with -o, a name without a dot")
    if args.input.is_dir() and films_in(args.input):
        raise InputError("--suggest looks at one film; give that film as IN")
    named = [parse_reference(text, args.input) for text in args.references]
    check_output(args.output, args.input)
    check_outputs({"-o": args.output}, args.input, *(path for path, _ in named))
    film = read_video(args.input, args.deinterlace)
    tell_of_damage(film, args.strict)
    count = film.count()
    check_frames(named, count)
    cuts, references = parse_cuts(args.cuts, count), read_references(named)
    owned = [frame for _, frame in named if frame is not None]
    watched = tqdm(film, "looking at the film", count, unit="frame", leave=leave_bar(), file=sys.stderr,
                   dynamic_ncols=True)
    seen, cuts = sample(watched, count, owned, None if cuts == "auto" else cuts)
    guidance, doubt = guide(film, references, cuts), None
    if args.method and references and offers_confidence(model := Models(args).get()):
        device = torch.device(pick_device(args.device))
        doubt = lambda: doubts(film, guidance, model, seen.frames, args.size or 128, device)  # noqa: E731
    found = suggest(seen, guidance, count, args.suggest, doubt)
    if not found:
        sys.stdout.write("no further picture would help: the existing ones explain the film\n")
        return 0
    wanted = {one.frame for one in found}
    write_folder(args.output, (frame for number, frame in enumerate(film) if number in wanted),
                 [f"{number:06d}" for number in sorted(wanted)])
    for one in found:
        sys.stdout.write(f"{args.output / f'{one.frame:06d}.png'}: improves frames {one.mends[0]} to "
                         f"{one.mends[1]}, {one.why}\n")
    return 0
