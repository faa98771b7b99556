"""A class's methods side by side: each submission colours clips that its author does not have, and one page
ranks them.

    python -m colorlab.experiments.leaderboard SUBMISSIONS --clips FOLDER --out leaderboard.html
    python -m colorlab.experiments.leaderboard SUBMISSIONS --seed 20261128 --out leaderboard.html     (embedded clips made
    from a secret number)

SUBMISSIONS holds a folder for each submission (submissions.py says what is in it). Each runs in processes of
its own, one for the task "first" (the clip's first frame in colour is given) and one for "loose" (its last
frame, mirrored, as a picture that is no frame of the film), with limits of time and memory. It gets grey
frames and that one picture; this process keeps the true colours and scores what comes back.

**What this protects against, and what not.** sandbox.py confines a submission to its scratch folder: where
the kernel has Landlock, it can neither read the clips nor write anywhere else; elsewhere Python's audit hook
ends a process that tries, and native code could get round it. Files of the clips, of the other submissions
and of this package are compared before and after each run whatever the guard, and a submission whose result
*equals* the truth, to the pixel, is disqualified too. Three things are not detected: a network that has
memorised the clips because its author had them; for embedded clips, an author who guesses the seed (take a
large one; it is drawn at random if none is given) or whose network has memorised scikit-image's photographs;
and a vulnerability of the kernel. For grades that matter, use clips of your own and a dedicated machine.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from colorlab.color import frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab
from colorlab.experiments.compare import Film, Interval, bootstrap, embedded_films, films_below
from colorlab.experiments.sandbox import FORBIDDEN, Ended, supervise
from colorlab.experiments.submissions import GIVEN, JOB, MADE, METHOD, READY, WEIGHTS, Submission, find
from colorlab.files.errors import InputError
from colorlab.files.project_folders import PACKAGE
from colorlab.files.atomic import write_text
from colorlab.film.colorize import colorize
from colorlab.methods import load, record
from colorlab.metrics import colorfulness, mean_psnr, psnr
from colorlab.train.measure import LOOSE_FRAMES

TASKS = ("first", "loose")
# A share of pixels exactly equal to the truth that no honest method reaches: lightness is given in 256 levels
# of grey.
SAME = 0.99
MEBIBYTE = 1 << 20
START = 120.0     # seconds that the process may need before it runs the submission's code


class Task(NamedTuple):
    """One film as given to a submission, and the truth it is scored against."""

    film: str
    grey: np.ndarray       # (T, H, W, 3) uint8
    reference: np.ndarray  # (H, W, 3) uint8
    truth: np.ndarray      # (T, H, W, 3) uint8
    first: bool            # whether the reference is frame 0, which is then not scored


@dataclass(frozen=True)
class Limits:
    seconds: float = 300.0   # wall-clock seconds for all films of one task
    memory: int = 4096       # MiB, of all its processes together
    threads: int = 2
    confined: bool = True    # False disables the sandbox, for systems on which it blocks honest work


@dataclass(frozen=True)
class Standing:
    """One submission's result."""

    name: str
    psnr: Mapping[str, Mapping[str, float]] = field(default_factory=dict)          # task -> film -> dB
    colorfulness: Mapping[str, float] = field(default_factory=dict)                # task -> mean over films
    seconds_per_frame: float | None = None
    memory_mb: float | None = None
    failure: str = ""        # why there is no result

    def per_film(self) -> list[float]:
        """One number for each film: the mean of its tasks."""
        films = self.psnr[TASKS[0]]
        return [float(np.mean([self.psnr[task][film] for task in TASKS])) for film in films]

    def score(self, seed: int = 0) -> Interval | None:
        """Mean PSNR over films and tasks, with its bootstrap interval over films; None where there is no
        result."""
        return None if self.failure else bootstrap(self.per_film(), seed)


def tasks_of(films: Sequence[Film], task: str) -> list[Task]:
    """The tasks that a submission gets for these films. Raises InputError for a clip of fewer than three
    frames or without colour."""
    found = []
    for film in films:
        truth = np.stack(film.frames)
        if len(truth) < 3:
            raise InputError(f"the clip {film.name} has {len(truth)} frames; at least three are needed")
        reference = truth[0]
        if task == "loose":  # the frame that was mirrored is not among those to colour
            reference = np.ascontiguousarray(truth[-1][:, ::-1])
            truth = truth[:min(LOOSE_FRAMES, len(truth) - 1)]
        grey = grey_of(truth)
        if np.array_equal(grey, truth):
            raise InputError(f"the clip {film.name} has no colour to score by")
        found.append(Task(film.name, grey, reference, truth, task == "first"))
    return found


def grey_of(frames: np.ndarray) -> np.ndarray:
    """Grey frames as light as these: uint8 (T, H, W, 3) -> the same."""
    l = rgb_to_lab(frames_to_rgb(torch.from_numpy(frames)))[:, :1]
    return rgb_to_frames(lab_to_rgb(join_lab(l, l.new_zeros(len(l), 2, *l.shape[2:]))))


def scored(tasks: Sequence[Task], results: Sequence[np.ndarray]) -> tuple[dict[str, float], float]:
    """PSNR of each film in dB, and the mean colourfulness. A frame that was given does not count. InputError
    for a result that is none."""
    values, colors = {}, []
    for task, result in zip(tasks, results):
        if result.shape != task.truth.shape or result.dtype != np.uint8:
            raise InputError(f"its result for a film is {result.dtype} {result.shape}, where "
                             f"uint8 {task.truth.shape} is wanted")
        own, true = result[int(task.first):], task.truth[int(task.first):]
        if (own == true).all(-1).mean() > SAME:
            raise InputError("disqualified: its result is the truth, to the pixel")
        values[task.film] = mean_psnr(psnr(a, b) for a, b in zip(own, true))
        colors.append(np.mean([colorfulness(frame) for frame in own]))
    return values, float(np.mean(colors))


def judge(submission: Submission, tasks: Mapping[str, Sequence[Task]], limits: Limits = Limits(),
          protected: Sequence[Path] = ()) -> Standing:
    """Run one submission on its tasks, each in a separate process, and score its results. Never raises
    because of a submission.

    protected: folders in which no file may change meanwhile.
    """
    values, colors, seconds, memory, frames = {}, {}, 0.0, 0, 0
    before = [fingerprint(folder) for folder in protected]
    for name in TASKS:
        with tempfile.TemporaryDirectory(prefix="colorlab-judge-", ignore_cleanup_errors=True) as place:
            scratch = Path(place, "scratch")
            ended, said = _run(submission, tasks[name], limits, scratch, Path(place, "log.txt"))
            seconds, memory = seconds + ended.seconds, max(memory, ended.peak_memory)
            frames += sum(len(task.grey) for task in tasks[name])
            failure = _failure(ended, said, limits)
            if any(fingerprint(folder) != files for folder, files in zip(protected, before)):
                failure = "disqualified: it changed files outside its folder"
            try:
                if not failure:
                    values[name], colors[name] = scored(tasks[name], _results(scratch / MADE, tasks[name]))
            except InputError as error:
                failure = str(error)
        if failure:
            return Standing(submission.name, failure=failure)
    return Standing(submission.name, values, colors, seconds / frames, memory / MEBIBYTE)


def baseline(method: str, tasks: Mapping[str, Sequence[Task]], preset: str = "course",
             weights: str = "none") -> Standing:
    """One of colorlab's own methods on the same tasks, in this process."""
    model, values, colors = load(method, preset, weights), {}, {}
    for name in TASKS:
        given = [[(0, task.reference)] if task.first else task.reference for task in tasks[name]]
        results = [np.stack(list(colorize(list(task.grey), references, model)))
                   for task, references in zip(tasks[name], given)]
        values[name], colors[name] = scored(tasks[name], results)
    return Standing(f"{method} (of colorlab)", values, colors)


def ranked(rows: Sequence[Standing]) -> list[Standing]:
    """Best mean first; those without a result last, by name."""
    mean = lambda row: 0.0 if row.failure else float(np.mean(row.per_film()))
    return sorted(rows, key=lambda row: (bool(row.failure), -mean(row), row.name))


def fingerprint(folder: Path) -> dict[str, tuple]:
    """A fingerprint that changes if a file below a folder is changed, added or removed: size, times and inode
    of each. Compiled Python is ignored."""
    found = {}
    for place, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if name not in ("__pycache__", ".git")]
        for name in (*inner, *names):
            path = Path(place, name)
            try:
                facts = path.lstat()
            except OSError:
                continue
            own = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) if name in names else ()
            found[str(path)] = (facts.st_ino, facts.st_mode, *own)
    return found


def _run(submission: Submission, tasks: Sequence[Task], limits: Limits, scratch: Path,
         log: Path) -> tuple[Ended, str]:
    """Run one task in a separate process; returns how it ended, and the end of its output."""
    for folder in (GIVEN, MADE, "tmp"):
        (scratch / folder).mkdir(parents=True)
    (scratch / METHOD).write_bytes(submission.source)
    (scratch / WEIGHTS).write_bytes(submission.weights)
    # Not the clips' names, which would reveal where the colours are.
    names = [f"{number}.npz" for number in range(len(tasks))]
    for name, task in zip(names, tasks):
        np.savez(scratch / GIVEN / name, grey=task.grey, reference=task.reference, first=task.first)
    job = {"films": names, "threads": limits.threads, "seconds": limits.seconds,
           "memory": limits.memory * MEBIBYTE, "confined": limits.confined}
    (scratch / JOB).write_text(json.dumps(job))
    kept = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1",
                    "HOME": str(scratch), "TMPDIR": str(scratch / "tmp"), "PYTHONHASHSEED": "0",
                    "OMP_NUM_THREADS": str(limits.threads), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "colorlab.experiments.submissions", str(scratch)]
    ended = supervise(command, scratch, limits.seconds, limits.memory * MEBIBYTE, environment, log,
                      scratch / READY, START)
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 8000))
        return ended, file.read().decode(errors="replace")


def _failure(ended: Ended, said: str, limits: Limits) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    last = lines[-1].strip()[:200] if lines else "it said nothing"
    if ended.reason == "time":
        return f"stopped: it took longer than {limits.seconds:g} s"
    if ended.reason == "memory" or "MemoryError" in said or "can't allocate memory" in said:
        return f"stopped: it wanted more than {limits.memory} MB of memory"
    if ended.code == FORBIDDEN or "PermissionError" in last:
        notes = [line.removeprefix("forbidden: ") for line in lines if line.startswith("forbidden: ")]
        return f"disqualified: {notes[0] if notes else last}"
    return f"failed: {last}" if ended.code else ""


def _results(folder: Path, tasks: Sequence[Task]) -> list[np.ndarray]:
    found = []
    for number in range(len(tasks)):
        path = folder / f"{number}.npy"
        try:
            if path.is_symlink():  # this process may read files that the submission may not
                raise InputError("disqualified: it left a link where its result should be")
            found.append(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError):
            raise InputError("failed: a result is missing or is no array") from None
    return found


def page(rows: Sequence[Standing], tasks: Mapping[str, Sequence[Task]], limits: Limits, about: str) -> str:
    """The HTML page: ranks, means with intervals, each one's distance to the first, and why the others
    failed."""
    from colorlab.experiments.page import whole_page  # which needs papermill's parts

    best, lines = next((row for row in rows if not row.failure), None), []
    for rank, row in enumerate(rows, start=1):
        name = html.escape(row.name)
        if row.failure:
            lines.append(f'<tr class="out"><td></td><td>{name}</td>'
                         f'<td colspan="7">{html.escape(row.failure)}</td></tr>')
            continue
        behind = "" if row is best else _shown(bootstrap(np.subtract(row.per_film(), best.per_film())))
        cells = [_shown(row.score()), behind,
                 *(_shown(bootstrap(list(row.psnr[task].values()))) for task in TASKS),
                 f"{np.mean(list(row.colorfulness.values())):.0f}",
                 "" if row.seconds_per_frame is None else f"{row.seconds_per_frame:.2f} s",
                 "" if row.memory_mb is None else f"{row.memory_mb:,.0f} MB"]
        body = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f"<tr><td>{rank}</td><td><b>{name}</b></td>{body}</tr>")
    head = "".join(f"<th>{cell}</th>" for cell in (
        "", "submission", "both tasks", "against the first", "first frame given", "loose picture given",
        "colourfulness", "time a frame", "memory"))
    truth = np.mean([colorfulness(frame) for task in tasks["first"] for frame in task.truth])
    body = (f'<table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
            f"<p>PSNR of RGB in dB, the mean over {len(tasks['first'])} clips, with the interval "
            "in which 95 % of the means of resampled clips lie. “Against the first” pairs by clip: where its "
            "interval holds 0, the order of the two is not certain. "
            f"The truth's own colourfulness is {truth:.0f}: a method far below it paints grey. "
            f"Limits: {limits.seconds:g} s and {limits.memory} MB for each task.</p>")
    style = (" th, td { text-align: left; } td:first-child { font-size: 1.2rem; } "
             "tr.out { color: var(--faint); } table { width: 100%; }")
    return whole_page("Leaderboard", html.escape(about), body, False, style)


def _shown(interval: Interval) -> str:
    return f"{interval.mean:.2f} <small>[{interval.low:.2f}, {interval.high:.2f}]</small>"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m colorlab.experiments.leaderboard",
        description="Score a class's submissions and rank them on one page.",
    )
    parser.add_argument("submissions", help="a folder with one folder for each submission")
    parser.add_argument("--out", default="leaderboard.html",
                        help="the page to write (default: leaderboard.html)")
    parser.add_argument(
        "--clips", help="a folder of clips that the students do not have (default: embedded clips of --seed)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        help="the secret number from which embedded clips are made (default: a random one)",
    )
    parser.add_argument("--frames", type=int, default=16, help="of each clip (default: 16)")
    parser.add_argument("--size", type=int, default=128, help="short side in pixels (default: 128)")
    parser.add_argument("--seconds", type=float, default=Limits.seconds,
                        help="for each task of a submission (default: %(default)g)")
    parser.add_argument("--memory", type=int, default=Limits.memory,
                        help="MB for each task of a submission (default: %(default)s)")
    parser.add_argument("--baselines", nargs="*", default=["copy"], metavar="METHOD",
                        help="colorlab's own methods to rank among them (default: copy)")
    given = parser.parse_args(arguments)
    try:
        _compete(given)
    except InputError as error:
        sys.stderr.write(f"leaderboard: {' '.join(str(error).split())}\n")
        return 2
    return 0


def _compete(given: argparse.Namespace) -> None:
    if given.frames < 3 or given.size < 16 or given.seconds <= 0 or given.memory < 512:
        raise InputError(f"wanted are at least 3 frames, a size of 16, more than 0 seconds and 512 MB, got "
                         f"{given.frames}, {given.size}, {given.seconds:g} and {given.memory}")
    if given.clips and given.seed is not None:
        raise InputError("--seed is for embedded clips; with --clips there is nothing to draw")
    if Path(given.out).is_dir():
        raise InputError(f"{given.out} is a folder; --out is the page to write")
    submissions, limits = find(given.submissions), Limits(given.seconds, given.memory)
    if given.clips:
        films = films_below(given.clips, given.frames, given.size)
        about = f"clips of {Path(given.clips).name}"
    else:
        seed = secrets.randbelow(2**31) if given.seed is None else given.seed
        films = embedded_films(given.frames, given.size, 8 * round(given.size * 16 / 9 / 8), seed)
        about = "embedded clips of a secret seed"
    tasks = {task: tasks_of(films, task) for task in TASKS}
    rows = [baseline(method, tasks, weights="course" if record(method).course_weights else "none")
            for method in given.baselines]
    protected = [Path(given.submissions), PACKAGE,
                 *([Path(given.clips)] if given.clips else [])]
    for submission in submissions:
        rows.append(judge(submission, tasks, limits, protected))
        row = rows[-1]
        sys.stdout.write(f"{row.name:24} {row.failure or f'{row.score().mean:.2f} dB'}\n")
        sys.stdout.flush()
    rows = ranked(rows)
    about = f"{len(submissions)} submissions, {len(films)} {about}"
    write_text(Path(given.out), page(rows, tasks, limits, about))
    table = json.dumps([asdict(row) for row in rows], indent=1)
    write_text(Path(given.out).with_suffix(".json"), table + "\n")
    clips = "" if given.clips else f"; the clips are those of --seed {seed}"
    sys.stdout.write(f"written to {given.out}{clips}\n")


if __name__ == "__main__":
    sys.exit(main())
