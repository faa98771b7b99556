"""`colorlab colorize --frames A-B`: recolour a stretch of a finished film."""

from __future__ import annotations

import argparse
import sys

from colorlab.cli.outputs import check_outputs
from colorlab.cli.references import check_frames, parse_cuts, parse_reference, parse_stretch, read_references
from colorlab.cli.terminal import pick_device, progress, tell_of_damage
from colorlab.files.errors import InputError


def color_stretch(args: argparse.Namespace) -> int:
    """Frames A to B of the finished film; the exit code."""
    import torch

    from colorlab.cli.models import Models
    from colorlab.files.video import films_in, read_video, same_file
    from colorlab.film.stretch import Manner, Stretch, recolor

    if args.explain or args.preview is not None or args.confidence or args.palette:
        raise InputError("--frames changes the film alone, by its references; leave --explain, --preview, "
                         "--confidence and --palette out")
    if args.input.is_dir() and films_in(args.input):
        raise InputError("--frames is of one film; give that film as IN")
    if not args.output.exists():
        raise InputError(
            f"--frames changes a finished film, and there is no {args.output} yet; colour it whole first")
    named = [parse_reference(text, args.input) for text in args.references]
    if any(same_file(args.output, path) for path in (args.input, *(path for path, _ in named))):
        raise InputError(f"the output {args.output} is also the input; give the finished film as OUT")
    check_outputs({"-o": args.output}, args.input, *(path for path, _ in named))
    film = read_video(args.input, args.deinterlace)
    if args.strict:  # damage elsewhere was reported when the whole film was coloured
        tell_of_damage(film, strict=True)
    first, last = parse_stretch(args.frames, film.count())
    check_frames(named, film.count())
    if outside := [frame for _, frame in named if frame is not None and not first <= frame <= last]:
        raise InputError(f"the reference for frame {outside[0]} lies outside --frames {args.frames}; the "
                         "stretch is coloured by its own")
    references = read_references(
        [one._replace(frame=None if one.frame is None else one.frame - first) for one in named])
    cuts = parse_cuts(args.cuts, film.count())
    cuts = cuts if cuts == "auto" else tuple(cut - first for cut in cuts if first < cut <= last)
    device = pick_device(args.device)
    manner = Manner(
        Models(args).get(), args.size, torch.device(device), args.saturation, args.lossless, args.rate)
    with progress(last - first + 1, f"{args.method} on {device}") as bar:
        recolor(Stretch(film, first, last), args.output, references, cuts, manner, bar.update)
    sys.stdout.write(f"{args.output}: frames {first} to {last} coloured anew\n")
    return 0
