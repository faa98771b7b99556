"""`colorlab colorize`: grey films and reference pictures in, coloured films out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from colorlab.cli.models import Models, weights_of
from colorlab.cli.outputs import check_outputs
from colorlab.cli.references import (
    NamedReference,
    check_frames,
    check_reference_use,
    parse_cuts,
    parse_point,
    parse_reference,
    read_references,
    references_identity,
)
from colorlab.cli.terminal import leave_bar, progress, tell_of_damage
from colorlab.files.errors import InputError
from colorlab.files.atomic import read_json, write_json
from colorlab.film.precision import PRECISIONS
from colorlab.methods import METHODS, PRESETS

if TYPE_CHECKING:  # so that --help loads no library

    from colorlab.files.video import Film, Folder
    from colorlab.film.references import Guidance
    from colorlab.film.job import FilmJob

SHEETS = (".png", ".jpg", ".jpeg")
# in a batch's output folder until the batch is finished: which films are complete
DONE = ".colorlab-done.json"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "colorize", help="colour a film, a folder of frames, or a folder of films",
        description="Colour a grey film from reference pictures. Its lightness, time stamps, sound "
                    "and subtitles are kept. The output appears under its name when it is "
                    "complete; to resume an interrupted run, give the same command again. "
                    "A folder that holds pictures is a film; a folder of films, or of such folders, "
                    "is coloured film by film.")
    parser.add_argument("input", metavar="IN", type=Path,
                        help="a film, a folder of PNG or JPEG frames, or a folder of films")
    parser.add_argument(
        "--reference", metavar="IMAGE[@FRAME]", action="append", default=[], dest="references",
        help="a coloured picture; with @FRAME it is that frame of the film, counted from 0; "
        "repeat for more. Where it is transparent its colour counts as unknown. {name} "
        "in it is the film's name without suffix")
    parser.add_argument("--palette", metavar="COLOURS",
                        help="colours such as '#7a5c3e,#9fb4c7', or a picture of swatches: a weak reference "
                             "for scenes without a picture of their own")
    parser.add_argument("--method", choices=METHODS, help="which network; copy and flow are simple baselines")
    parser.add_argument("--preset", choices=PRESETS, default="course",
                        help="the network's size (default: course, for a laptop)")
    parser.add_argument(
        "--weights", metavar="W",
        help="none, course, released, imagenet or a file (default: course for preset course, "
        "released for paper)")
    parser.add_argument("--size", metavar="N", type=int,
                        help="short side in pixels at which the network runs (default: full size)")
    parser.add_argument("--device", metavar="D", default="auto",
                        help="auto (default), cpu, cuda, cuda:1, mps ...")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32",
                        help="precision of the network: float32 (default), or, faster on a GPU, tf32, "
                             "bf16 or fp16")
    parser.add_argument("--rate", metavar="N", type=float, default=24.0,
                        help="frames per second, if IN is a folder and OUT a film (default: 24)")
    parser.add_argument("--cuts", metavar="CUTS", default="auto",
                        help="where scenes begin: auto (default) finds them, none, or frames such as 12,57. "
                             "Colour is not carried across a cut")
    parser.add_argument("--confidence", metavar="PATH", type=Path,
                        help="also write a map of confidence, white = certain: a film or a folder")
    parser.add_argument("--preview", metavar="N", type=int, nargs="?", const=0,
                        help="first colour every N-th frame (alone: 24 frames in all) and write a contact "
                             "sheet, OUT.preview.jpg; where OUT is a .png or .jpg, only that")
    parser.add_argument(
        "--explain", metavar="FRAME,Y,X",
        help="instead of a film, write a picture of where the colour of this pixel comes "
        "from: OUT.FRAME-Y-X.png, or OUT where that is a .png or .jpg")
    parser.add_argument("--saturation", metavar="N", type=float, default=1.0,
                        help="saturation factor: 0 for none, 1.2 for a little more (default: 1)")
    parser.add_argument("--deinterlace", action="store_true",
                        help="deinterlace each frame into one progressive picture (bwdif). Without it an "
                             "interlaced film is coloured field by field, and stays interlaced")
    parser.add_argument("--lossless", action="store_true",
                        help="write lossless FFV1 into an .mkv")
    parser.add_argument("--frames", metavar="A-B",
                        help="recolour frames A to B of the finished film OUT with these references, and "
                             "leave the rest unchanged")
    parser.add_argument("--segment", metavar="N", type=int, default=96,
                        help="frames after which an interrupted run can resume (default: 96)")
    parser.add_argument("--strict", action="store_true",
                        help="refuse a film that is damaged anywhere (default: only warn)")
    parser.add_argument(
        "--check", action="store_true",
        help="colour nothing: report in ten lines what IN is, what is kept and left out (in OUT, "
        "if given), what to do first, and how long each method takes here")
    parser.add_argument(
        "--suggest", metavar="N", type=int,
        help="colour nothing: write the N frames that most deserve a painted picture into the "
        "folder OUT, and say what each would improve. --reference says what exists "
        "already, --method whose uncertainty is used")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path,
                        help=".mp4, .m4v, .mov, .mkv or .webm; a name without a dot becomes a folder of "
                             "frames, or of films for a folder of films")


class FilmRequest(NamedTuple):
    """One film of the command."""

    input: Path
    output: Path
    confidence: Path | None


def run(args: argparse.Namespace) -> int:
    """Check everything that can be checked before the work, then do it. InputError is one line on the
    terminal, exit code 2."""
    from colorlab.files.video import films_in
    from colorlab.film.colorize import SMALLEST, check_saturation  # here: --help needs no torch

    if args.check or args.suggest is not None:
        from colorlab.cli.check import check, suggest_frames
        return check(args) if args.check else suggest_frames(args)
    if lacking := [name for name, value in (("--method", args.method), ("-o", args.output)) if value is None]:
        raise InputError(f"colorize wants {' and '.join(lacking)}; or --check, to look at {args.input} only")
    if args.size is not None and args.size < SMALLEST:
        raise InputError(f"--size {args.size} is too small for a network; give {SMALLEST} or more, or "
                         "leave it out for full size")
    if not 0 < args.rate <= 1000:
        raise InputError(f"--rate {args.rate:g} is no frame rate; give frames per second, such as 24")
    check_saturation(args.saturation)
    if args.segment < 1 or (args.preview or 0) < 0:
        raise InputError("--segment and --preview count frames: give 1 or more")
    check_reference_use(args.method, len(args.references) + (args.palette is not None))
    parse_cuts(args.cuts)
    if args.frames:
        from colorlab.cli.stretch import color_stretch
        return color_stretch(args)
    if args.input.is_dir() and (films := films_in(args.input)):
        return color_films(args, films)
    return color_film(args, FilmRequest(args.input, args.output, args.confidence), None)


def color_films(args: argparse.Namespace, films: list[Path]) -> int:
    """A folder of films. A failure does not stop the others; films finished by an interrupted run are not
    repeated."""
    if args.explain:
        raise InputError("--explain looks at one film; give that film as IN")
    tasks = [
        FilmRequest(
            film, _in_folder(args.output, film), args.confidence and _in_folder(args.confidence, film)
        )
        for film in films
    ]
    for folder in filter(None, (args.output, args.confidence)):
        if folder.suffix or folder.is_file():
            raise InputError(f"{args.input} is a folder of films, so {folder} must be a folder; give a name "
                             "without a dot")
        if not folder.parent.is_dir():
            raise InputError(
                f"cannot write {folder}: the folder {folder.parent} does not exist; make it first")
        folder.mkdir(exist_ok=True)
    check_batch(args, films)
    record = args.output / DONE
    done, failed = _read(record), 0
    models = Models(args)
    for task in tasks:
        try:
            code = color_film(args, task, models, done)
        except InputError as error:
            sys.stderr.write(f"colorlab: {task.input.name}: {' '.join(str(error).split())}\n")
            code, failed = 2, failed + 1
        if code == 130:
            return code
        write_json(record, done)
    if not failed:
        record.unlink(missing_ok=True)
        return 0
    sys.stderr.write(f"colorlab: {failed} of {len(tasks)} films could not be coloured\n")
    return 2


def check_batch(args: argparse.Namespace, films: list[Path]) -> None:
    """Raise InputError if two films of a folder would share an output, a contact sheet or, by {name}, a
    reference."""
    from colorlab.files.video.names import check_names

    check_names(films, lambda film: _in_folder(args.output, film).name,
                "would both become {name}; rename one of them", args.output)
    if args.preview is not None:
        check_names(films, lambda film: film.stem,
                    "would both get the contact sheet {name}.preview.jpg; rename one of them", args.output)
    if any("{name}" in text for text in args.references):
        check_names(films, lambda film: film.stem,
                    "are both {name} in --reference; rename one of them and its picture", args.output)


def color_film(args: argparse.Namespace, task: FilmRequest, models: Models | None,
               done: dict[str, str] | None = None) -> int:
    """Colour one film, with its sheets; returns the exit code. done: the completed films of a batch and the
    jobs that made them; this one is added."""
    from colorlab.files.video import check_output, check_writable, read_video, same_file
    from colorlab.film.output import made_by

    named = [parse_reference(text, task.input) for text in args.references]
    reads = [
        task.input, *(path for path, _ in named),
        *([Path(args.palette)] if args.palette and Path(args.palette).is_file() else [])
    ]
    sheet_only = task.output.suffix.lower() in SHEETS and (args.explain or args.preview is not None)
    point = parse_point(args.explain) if args.explain else None
    sheets = {
        "--explain": task.output if sheet_only else _beside(task.output, f"{'-'.join(map(str, point))}.png")
    } if point else ({"--preview": task.output if sheet_only else _beside(task.output, "preview.jpg")}
                     if args.preview is not None else {})
    if task.confidence is not None and task.confidence.absolute() == task.output.absolute():
        raise InputError("--confidence and -o name the same file; give two")
    # of an earlier run: which one is seen below
    own = [path for path in (task.output, task.confidence) if path is not None and made_by(path)]
    for path in [*sheets.values(), *([] if sheet_only else [task.output]), *filter(None, [task.confidence])]:
        if any(same_file(path, source) for source in reads):
            raise InputError(f"the output {path} is also the input; give the output another name")
        if path in sheets.values():
            check_writable(path)
        elif path not in own:
            check_output(path)
    check_outputs(sheets | {"--confidence": task.confidence} | ({} if sheet_only else {"-o": task.output}),
                  *reads)
    film = read_video(task.input, args.deinterlace)
    count = film.count()
    check_frames(named, count)
    cuts = parse_cuts(args.cuts, count)
    references, palette = read_references(named), None
    if args.palette:
        from colorlab.film.palette import read_palette
        palette = read_palette(args.palette)
    models = models or Models(args)
    job = _job(args, task, film, named, models)
    finished = done is not None and done.get(task.output.name) == job.identity and task.output.exists()
    if not sheets and (finished or job.delivered()):
        job.discard()
        sys.stderr.write(f"{task.output}: done before\n")
        return 0
    if not sheet_only:
        say_beforehand(args, task, film)
    tell_of_damage(film, args.strict)
    for path in own:
        if not job.made(path) and not point:
            raise InputError(f"cannot write {path}: that folder is not empty but holds the frames of another "
                             "job; give a new name or empty it first")
    guidance = find_guidance(film, references, cuts, job, count)
    name_contradictions(guidance, named)
    if palette is not None:
        from colorlab.film.palette import with_palette
        guidance = with_palette(guidance, film, palette)
    if point is not None:
        return write_explanation(
            job, guidance, point,
            task.output if sheet_only else _beside(task.output, f"{'-'.join(map(str, point))}.png"))
    if args.preview is not None:
        write_preview(job, guidance, args.preview,
                      task.output if sheet_only else _beside(task.output, "preview.jpg"))
        if sheet_only:
            return 0
    code = color(job, guidance, count, args.method)
    if code == 0 and done is not None:
        done[task.output.name] = job.identity
    return code


def say_beforehand(args: argparse.Namespace, task: FilmRequest, film: Film | Folder) -> None:
    """One line for what the output will lack, and one for interlaced fields that need a decision."""
    from colorlab.files.video import is_folder_name

    if task.input.is_dir():
        return
    if is_folder_name(task.output):
        left = ["all but the pictures, of which 8 bits"]
    else:
        from colorlab.files.video.encode import left_out
        left = left_out(film, task.output.suffix, args.lossless)
    if not args.deinterlace:
        from colorlab.film.check import fields_line
        words, advice = fields_line(film)
        if advice:
            sys.stderr.write(f"{task.input.name} is {words}; {advice[0]}\n")
    if left:
        sys.stderr.write(f"left out of {task.output}: {', '.join(dict.fromkeys(left))}\n")


def _job(args: argparse.Namespace, task: FilmRequest, film: Film | Folder, named: list[NamedReference],
         models: Models) -> FilmJob:
    import torch

    from colorlab.film.job import FilmJob

    settings = {
        "method": args.method, "weights": weights_of(args), "references": references_identity(named),
        "cuts": args.cuts
    }
    if args.palette:
        from colorlab.film.palette import read_palette
        settings["palette"] = str(read_palette(args.palette).tolist())
    job = FilmJob(film, task.output, models.get(), args.size, torch.device(models.device), settings,
                  args.rate, task.confidence, args.segment, args.saturation, args.lossless, args.precision)
    assert job.description  # recorded now, to be compared with the film at the end
    return job


def find_guidance(film: Film | Folder, references: list | None, cuts: str | tuple[int, ...], job: FilmJob,
                  count: int) -> Guidance:
    """Find the cuts, print them, and assign references to scenes. Cuts found by an interrupted run are
    reused."""
    from tqdm import tqdm

    from colorlab.film.references import guide

    known = job.known_cuts() if cuts == "auto" else None
    def shown(frames: Iterable) -> Iterable:
        return tqdm(frames, "looking for scene cuts", count, unit="frame", leave=leave_bar(), file=sys.stderr,
                    dynamic_ncols=True)

    guidance = guide(film, references, cuts if known is None else known, shown)
    if cuts == "auto" or guidance.cuts:
        sys.stderr.write(f"scene cuts at {', '.join(map(str, guidance.cuts))}\n" if guidance.
                         cuts else "no scene cuts found\n")
    for start in (0, *guidance.cuts) if guidance.cuts and references else ():
        if not guidance.own(start):
            sys.stderr.write(f"the scene from frame {start} on has no coloured frame of its own: it starts "
                             "from the most similar picture\n")
    return guidance


def name_contradictions(guidance: Guidance, named: list[NamedReference]) -> None:
    """Print a line for each two references that colour the same things differently."""
    from colorlab.film.contradictions import contradictions

    for pair in contradictions(guidance):
        one, other = (f"{path.name}{'' if frame is None else f'@{frame}'}"
                      for path, frame in (named[pair.one], named[pair.other]))
        sys.stderr.write(f"{one} and {other} contradict each other: {100 * pair.share:.0f} % of what both "
                         f"show has two colours, {pair.distance:.0f} units of ab apart\n")


def color(job: FilmJob, guidance: Guidance, count: int, method: str) -> int:
    """The film itself; the exit code."""
    from colorlab.film.job import restore

    before = job.unfinished().frames
    if before:
        sys.stderr.write(f"going on after {before} frames that an earlier run made\n")
    try:
        with progress(count, f"{method} on {job.device}", before) as bar:
            written = restore(job, guidance, bar.update)
    except KeyboardInterrupt:
        if not (left := job.unfinished().frames):
            raise
        sys.stderr.write(f"colorlab: stopped; {left} of {count} frames are kept in {job.folder}: the same "
                         "command goes on from there\n")
        return 130
    sys.stdout.write(f"{job.output}: {written} frames\n")
    return 0


def write_explanation(job: FilmJob, guidance: Guidance, point: tuple[int, int, int], path: Path) -> int:
    from colorlab.files.video import write_image
    from colorlab.film.contact_sheets import explain

    found = explain(job.film, guidance, job.model, point, job.size, job.device)
    write_image(path, found.sheet)
    sys.stdout.write(f"{path}: frame {point[0]}, pixel ({point[1]}, {point[2]}): a "
                     f"{found.color[0]:.0f}, b {found.color[1]:.0f}, from " +
                     ", ".join(f"{name} {100 * share:.0f} %"
                               for name, share in sorted(found.shares.items(), key=lambda item: -item[1])) +
                     "\n")
    return 0


def write_preview(job: FilmJob, guidance: Guidance, every: int, path: Path) -> None:
    from colorlab.files.video import write_image
    from colorlab.film.contact_sheets import PREVIEWED, preview

    every = every or max(1, job.film.count() // PREVIEWED)
    write_image(path, preview(job.film, guidance, job.model, job.size, job.device, every))
    sys.stdout.write(f"{path}: every {every}th frame\n" if every > 1 else f"{path}: every frame\n")


def _in_folder(folder: Path, film: Path) -> Path:
    """A film's output in a folder of films: the same name, as .mp4 if its own format cannot be written; a
    folder stays a folder."""
    from colorlab.files.video.encode import FORMATS

    return folder / (film.name if film.is_dir() or film.suffix.lower() in FORMATS else f"{film.stem}.mp4")


def _beside(output: Path, ending: str) -> Path:
    return output.with_name(f"{output.stem}.{ending}")


def _read(record: Path) -> dict[str, str]:
    found = read_json(record)
    return found if isinstance(found, dict) else {}
