"""`colorlab colorize`: a grey film and reference pictures in, a coloured film out."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorlab.errors import InputError
from colorlab.methods import METHODS, PRESETS, load

WITHOUT_REFERENCE = ("tcavc",)  # paints its own
BASELINES = ("copy", "flow")    # have no weights
DEFAULT_WEIGHTS = {"paper": "released", "course": "course", "tiny": "none"}


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "colorize", help="colour a film or a folder of frames",
        description="Colour a grey film after reference pictures. Its lightness, time stamps, sound and subtitles stay as they are. The "
                    "output appears under its name when it is whole.")
    parser.add_argument("input", metavar="IN", type=Path, help="a film, or a folder of PNG or JPEG frames")
    parser.add_argument("--reference", metavar="IMAGE[@FRAME]", action="append", default=[], dest="references",
                        help="a coloured picture; with @FRAME it is that frame of the film, counted from 0; repeat for more")
    parser.add_argument("--method", choices=METHODS, required=True, help="which network; copy and flow are simple baselines")
    parser.add_argument("--preset", choices=PRESETS, default="course", help="the network's size (default: course, for a laptop)")
    parser.add_argument("--weights", metavar="W", help="none, course, released, imagenet or a file (default: course for preset course, "
                                                        "released for paper)")
    parser.add_argument("--size", metavar="N", type=int, help="short side in pixels at which the network sees the film (default: full size)")
    parser.add_argument("--device", metavar="D", default="auto", help="auto (default), cpu, cuda, cuda:1, mps ...")
    parser.add_argument("--rate", metavar="N", type=float, default=24.0, help="frames per second, where IN is a folder and OUT a film (default: 24)")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True,
                        help=".mp4, .m4v, .mov, .mkv or .webm; a name without a dot becomes a folder of frames")


def run(args: argparse.Namespace) -> int:
    """Check everything that can be checked before the work, then do it. InputError is one line on the terminal, exit code 2."""
    from colorlab.coloring import SMALLEST, colorize  # here, as --help needs no torch
    from colorlab.video import check_output, read_image, read_video, write_video

    named = [parse_reference(text) for text in args.references]
    check_reference_use(args.method, len(named))
    if args.size is not None and args.size < SMALLEST:
        raise InputError(f"--size {args.size} is too small for a network; give {SMALLEST} or more, or leave it out for full size")
    if not 0 < args.rate <= 1000:
        raise InputError(f"--rate {args.rate:g} is no frame rate; give frames per second, such as 24")
    check_output(args.output, args.input, *(path for path, _ in named))
    film = read_video(args.input)
    count = film.count()
    check_frames(named, count)
    references = [image if frame is None else (frame, image) for image, frame in ((read_image(path), frame) for path, frame in named)]
    device = pick_device(args.device)
    model = load(args.method, args.preset, weights_of(args))
    with stopped_like_ctrl_c(), progress(count, args.method, device) as shown:
        colored = colorize(film, references_for(references), model, args.size, device)
        written = write_video(args.output, shown(colored), like=film, rate=args.rate)
    sys.stdout.write(f"{args.output}: {written} frames\n")
    return 0


def parse_reference(text: str) -> tuple[Path, int | None]:
    """IMAGE or IMAGE@FRAME -> the picture's path and its frame; a picture whose own name holds an @ is recognised."""
    if Path(text).is_file():
        return Path(text), None
    image, at, frame = text.rpartition("@")
    if at and image and frame.isascii() and frame.isdigit():
        if not Path(image).is_file():
            raise InputError(f"there is no reference picture {image}")
        return Path(image), int(frame)
    if at and image and Path(image).is_file():
        raise InputError(f"--reference {text}: what follows the @ is the number of a frame, from 0, not {frame!r}")
    raise InputError(f"there is no reference picture {text}")


def check_reference_use(method: str, given: int) -> None:
    """Raise InputError when a method gets no reference but needs one, or the other way round."""
    if method in WITHOUT_REFERENCE and given:
        raise InputError(f"{method} paints its own reference; leave --reference out, or take another method")
    if method not in WITHOUT_REFERENCE and not given:
        raise InputError(f"{method} colours after a picture; give one with --reference IMAGE, or take --method tcavc, which needs none")


def check_frames(named: list[tuple[Path, int | None]], count: int) -> None:
    """Raise InputError for a reference to a frame that the film does not have, or two to one."""
    frames = [frame for _, frame in named if frame is not None]
    for path, frame in named:
        if frame is not None and frame >= count:
            raise InputError(f"--reference {path}@{frame}: the film has {count} frames, 0 to {count - 1}")
        if frames.count(frame) > 1:
            raise InputError(f"two references for frame {frame}; give each frame one")


def references_for(references: list) -> object:
    """As `colorize` takes them: None, a loose picture by itself, or the list."""
    if not references:
        return None
    return references[0] if len(references) == 1 and not isinstance(references[0], tuple) else references


def weights_of(args: argparse.Namespace) -> str:
    """The weights asked for, or those that belong to the preset."""
    if args.weights:
        return args.weights
    return "none" if args.method in BASELINES else DEFAULT_WEIGHTS[args.preset]


def pick_device(name: str) -> str:
    """A device that works here: the one named, or for "auto" CUDA, Apple's MPS or the CPU, whichever comes first."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"--device {name} cannot be used here ({str(error).splitlines()[0][:100]}); leave it out, or say cpu") from error
    return name


@contextmanager
def progress(count: int, method: str, device: str) -> Iterator:
    """A bar with the time left, on stderr; lends a function that wraps the frames."""
    from tqdm import tqdm

    with tqdm(total=count, desc=f"{method} on {device}", unit="frame", file=sys.stderr, dynamic_ncols=True) as bar:
        def shown(frames: Iterator) -> Iterator:
            for frame in frames:
                yield frame
                bar.update()
        yield shown


@contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """Within, a polite kill (SIGTERM) cleans up as Ctrl-C does. Only a program's main thread is asked to stop that way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
