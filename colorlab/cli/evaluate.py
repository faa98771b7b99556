"""`colorlab evaluate PREDICTED TRUTH`: score the colours of one or more films; prints a table, and writes
JSON and a row per frame."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from colorlab.cli.outputs import check_outputs
from colorlab.cli.terminal import leave_bar, tell_of_damage
from colorlab.files.errors import InputError

if TYPE_CHECKING:  # so that --help loads no library
    from colorlab.files.video import Film, Folder
    from colorlab.metrics.warping import FlowOf


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "evaluate", help="measure coloured films against the truth",
        description="Compare PREDICTED with TRUTH frame by frame. Each is a film, a folder of "
        "frames, or a folder of clips (films or folders of frames) with the same names "
        "on both sides. Prints a table with the truth's own values beside the method's. "
        "Networks that a metric needs are looked for on this machine; --download fetches them once.")
    parser.add_argument("predicted", type=Path, metavar="PREDICTED")
    parser.add_argument("truth", type=Path, metavar="TRUTH")
    parser.add_argument("--metrics", metavar="NAME,NAME",
                        help="which, by name (default: the eight of the papers' tables)")
    parser.add_argument("--list-metrics", action=ListMetrics, nargs=0,
                        help="all names, with what they mean, and stop")
    parser.add_argument("--skip-exemplar", action="store_true",
                        help="leave the exemplar frame out of every mean that allows it")
    parser.add_argument("--exemplar", type=int, action="append", metavar="FRAME",
                        help="which frame that is (default 0); repeatable")
    parser.add_argument("--by-order", action="store_true",
                        help="pair frames by their order where the two folders name them differently")
    parser.add_argument(
        "--flow", default="auto", metavar="HOW",
        help="the truth's motion: raft, classical, auto (raft if its weights are here), or a "
        "folder of .flo files in forward/ and backward/, as `colorlab data make` writes it")
    parser.add_argument("--device", default="auto",
                        help="where networks run (default: a GPU if there is one)")
    parser.add_argument("--download", action="store_true", help="fetch the networks that metrics need, once")
    parser.add_argument("--strict", action="store_true",
                        help="refuse films that are damaged anywhere (default: only warn)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers and their definitions")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a row per frame")


class ListMetrics(argparse.Action):
    """Print the table of metrics and stop, as --help does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from colorlab.metrics import METRICS

        sys.stdout.write("".join(f"{name:30} {metric.definition}\n" for name, metric in METRICS.items()))
        parser.exit()


def run(args: argparse.Namespace) -> int:
    from colorlab.metrics import STANDARD, Tools, estimated_flow, evaluate_clips

    names = tuple(dict.fromkeys(name.strip()
                                for name in args.metrics.split(","))) if args.metrics else STANDARD
    if args.exemplar and not args.skip_exemplar:
        raise InputError("--exemplar says which frame --skip-exemplar leaves out; give both")
    skip = (args.exemplar or [0]) if args.skip_exemplar else ()
    check_outputs({"--json": args.json, "--csv": args.csv}, args.predicted, args.truth, Path(args.flow))
    clips = find_clips(args.predicted, args.truth, args.by_order)
    check_exemplars(skip, clips)
    for film in (film for _, *films in clips for film in films):
        tell_of_damage(film, args.strict)
    device = pick_device(args.device)
    estimate = args.flow if args.flow in ("auto", "raft", "classical") else None
    tools = Tools(device, args.download, estimated_flow(estimate or "auto", device))
    flows = [
        None if estimate else flow_from_folder(Path(args.flow), name, len(clips) > 1) for name, _, _ in clips
    ]
    with contextlib.ExitStack() as outputs:
        write_json = outputs.enter_context(json_output(args.json))
        write_row = outputs.enter_context(csv_output(args.csv, names))
        # end the bar before an error is printed
        scored = outputs.enter_context(contextlib.closing(with_progress(clips, flows)))
        report = evaluate_clips(scored, names, skip=skip, tools=tools, on_row=write_row)
        note_compression(report, clips)
        write_json(report)
    sys.stdout.write(as_table(report, names))
    return 0


def find_clips(predicted: Path, truth: Path,
               by_order: bool = False) -> list[tuple[str, Film | Folder, Film | Folder]]:
    """(name, predicted, truth) of every clip; InputError if the two sides do not match, naming the frames or
    clips."""
    from colorlab.files.video import read_video

    sides = [clips_in(path) for path in (predicted, truth)]
    if sides[0] is None and sides[1] is None:
        pairs = [(predicted.name, predicted, truth)]
    elif sides[0] is None or sides[1] is None:
        one, many = (predicted, truth) if sides[0] is None else (truth, predicted)
        raise InputError(
            f"{one} is one clip and {many} a folder of clips; give two clips or two folders of clips")
    else:
        refuse_difference(predicted, set(sides[0]), truth, set(sides[1]), "clips")
        pairs = [(name, sides[0][name], sides[1][name]) for name in sorted(sides[1])]
    clips = []
    for name, *paths in pairs:
        first, second = map(read_video, paths)
        check_match(first, second, by_order)
        clips.append((name, first, second))
    return clips


def clips_in(path: Path) -> dict[str, Path] | None:
    """{name: film or folder} of a folder of clips; None for a film or a folder of frames (or what reading
    will refuse)."""
    from colorlab.files.video.folder import FILM_SUFFIXES, PICTURE_SUFFIXES
    from colorlab.files.video.names import check_names

    if not path.is_dir():
        return None
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    if any(entry.suffix.lower() in PICTURE_SUFFIXES and entry.is_file() for entry in entries):
        return None
    clips = sorted(entry for entry in entries if entry.is_dir() or entry.suffix.lower() in FILM_SUFFIXES)
    check_names(clips, _clip_name,
                "are both the clip {name}; take one of the two out of the folder, or rename it")
    return {_clip_name(clip): clip for clip in clips} or None


def _clip_name(clip: Path) -> str:
    return clip.name if clip.is_dir() else clip.stem


def check_match(predicted: Film | Folder, truth: Film | Folder, by_order: bool) -> None:
    """Refuse a pair whose frames differ in size, number or name."""
    if predicted.size != truth.size:
        (h, w), (H, W) = predicted.size, truth.size
        raise InputError(f"{predicted.path} has frames of {w}x{h} and {truth.path} of {W}x{H}; frames are "
                         "compared at the truth's size")
    names = [getattr(film, "files", None) for film in (predicted, truth)]
    if names[0] is not None and names[1] is not None and not by_order:
        stems = [{file.stem for file in files} for files in names]
        refuse_difference(predicted.path, stems[0], truth.path, stems[1], "frames",
                          "; --by-order pairs them by their order")
    counts = predicted.frames, truth.frames
    if None not in counts and counts[0] != counts[1] and names[0] is not None and names[1] is not None:
        raise InputError(f"{predicted.path} has {counts[0]} frames and {truth.path} {counts[1]}; both must "
                         "have the same")


def check_exemplars(skip: Sequence[int], clips: Sequence[tuple]) -> None:
    """Refuse an exemplar that is not a frame of any clip: nothing would be left out."""
    for frame in filter(None, skip):
        most = max(truth.frames or truth.count() for _, _, truth in clips)
        if not 0 < frame < most:
            raise InputError(f"--exemplar {frame}: the frames of "
                             f"{'the longest clip' if len(clips) > 1 else 'the clip'} are 0 to {most - 1}")


def refuse_difference(first: Path, ours: set[str], second: Path, theirs: set[str], what: str,
                      mend: str = "") -> None:
    for path, missing, other in ((first, theirs - ours, second), (second, ours - theirs, first)):
        if missing:
            shown = ", ".join(
                sorted(missing)[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise InputError(f"{path} lacks the {what} {shown} that {other} has{mend}")


def flow_from_folder(folder: Path, clip: str, many: bool) -> FlowOf:
    """The flow kept in folder/forward and folder/backward, or in folder/CLIP/... where there are many
    clips."""
    from colorlab.metrics import PairFlow
    from colorlab.modules.flow import read_flo

    folder = folder / clip if many else folder
    files = [sorted((folder / way).glob("*.flo")) for way in ("forward", "backward")]
    if not files[0] or len(files[0]) != len(files[1]):
        raise InputError("--flow is raft, classical, auto or a folder with .flo files in forward/ and "
                         f"backward/, as many in each; {folder} has {len(files[0])} and {len(files[1])}")

    def flow_of(index: int, first: object, second: object) -> PairFlow:
        if index >= len(files[0]):
            raise InputError(f"{folder} has flow for {len(files[0])} pairs of frames and the film has more")
        forward, backward = (read_flo(side[index])[None] for side in files)
        if tuple(forward.shape[-2:]) != second.shape[:2]:
            raise InputError(f"{files[0][index]} is a flow of another size than the film's frames")
        return PairFlow(forward, backward, "from files")

    return flow_of


def note_compression(report: dict, clips: Sequence[tuple]) -> None:
    """CDC compares histograms, which compression changes: note it if a side was a compressed film."""
    films = [
        side for side, index in (("prediction", 1), ("truth", 2))
        if any(clip[index].path.is_file() for clip in clips)
    ]
    if films and "cdc" in report["definitions"]:
        report["definitions"][
            "cdc"] += f" (the {' and the '.join(films)} came from compressed film, which changes histograms)"


def pick_device(name: str) -> str:
    import torch

    if name != "auto":
        try:
            torch.zeros(1, device=name).item()  # "meta" and similar devices hold no data
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise InputError(
                f"no device {name!r} here ({str(error).splitlines()[0]}); --device cpu always works"
            ) from error
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def with_progress(clips: Sequence[tuple], flows: Sequence) -> Iterator:
    """The clips to score, with a bar on the terminal that counts their frames."""
    from tqdm import tqdm

    from colorlab.metrics import ClipPair
    from colorlab.metrics.score import pairs_of

    known = [truth.frames for _, _, truth in clips]
    with tqdm(total=None if None in known else sum(known), unit="frame", file=sys.stderr,
              leave=leave_bar()) as bar:
        def counted(pairs: Iterator) -> Iterator:
            for pair in pairs:
                yield pair
                bar.update()

        for (name, predicted, truth), flow in zip(clips, flows, strict=True):
            bar.set_description(name)
            yield ClipPair(name, counted(pairs_of(predicted, truth)), flow)


@contextlib.contextmanager
def json_output(path: Path | None) -> Iterator[Callable[[dict], None]]:
    if path is None:
        yield lambda report: None
        return
    from colorlab.files.video import atomically

    with atomically(path) as temporary:
        yield lambda report: temporary.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")


@contextlib.contextmanager
def csv_output(path: Path | None, names: Sequence[str]) -> Iterator[Callable[[dict], None] | None]:
    if path is None:
        yield None
        return
    from colorlab.files.video import atomically
    from colorlab.metrics import METRICS

    unknown = [name for name in names if name not in METRICS]  # evaluate_clips names them
    own = [f"truth_{name}" for name in names if name not in unknown and METRICS[name].of_truth]
    with atomically(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["clip", "frame", *names, *own])
        writer.writeheader()
        yield writer.writerow


def as_table(report: dict, names: Sequence[str]) -> str:
    """The numbers beside the truth's own, and below them what each one means."""
    from colorlab.metrics import METRICS

    rows = [name for known in names for name in (known, f"{known}_clip_mean") if name in report]
    width = max(map(len, rows))
    lines = [f"{'':{width}}  {'result':>12}  {'truth':>12}  better"]
    for name in rows:
        kind = METRICS[name.removesuffix("_clip_mean")]
        own = number(report["truth"].get(name)) if kind.of_truth else ""
        lines.append(f"{name:{width}}  {number(report[name]):>12}  {own:>12}  {kind.better}")
    clips = f" in {len(report['clips'])} clips" if "clips" in report else ""
    notes = [f"{name}: {report['definitions'][name]}" for name in rows if name in report["definitions"]]
    hint = (
        ["", "--download fetches missing networks, once"]
        if any("and put it at" in note for note in notes)
        else []
    )
    return "\n".join([f"{report['frames']} frames{clips}", "", *lines, "", *notes, *hint]) + "\n"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
