"""The leaderboard: honest submissions are ranked, and a slow, a crashing, a greedy and several cheating ones
are named and left out."""

import json
import os
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from torch import nn

from colorlab.experiments import sandbox, submissions
from colorlab.experiments import leaderboard
from colorlab.experiments.compare import embedded_films
from colorlab.experiments.leaderboard import (
    Limits,
    Standing,
    baseline,
    fingerprint,
    judge,
    ranked,
    scored,
    tasks_of,
)
from colorlab.experiments.submissions import find, load, pack
from colorlab.files.errors import InputError

needs_landlock = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
GOOD = """
import torch
from torch import nn
from colorlab.modules.frames import as_clip
from colorlab.modules.references import parse_references


class Still(nn.Module):
    frames_per_step = 1

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def start(self, references):
        return parse_references(references)[0].image[:, 1:]

    def step(self, l, state):
        clip, single = as_clip(l)
        TRICK
        ab = (self.gain * state)[:, None].expand(-1, clip.shape[1], -1, -1, -1)
        return (ab[:, 0] if single else ab), state


def build():
    return Still()
"""


class Still(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))


def submission(folder: Path, trick: str = "pass", name: str = "some") -> submissions.Submission:
    """A submission that holds the reference's colour still, and does `trick` before each frame."""
    lines = textwrap.indent(textwrap.dedent(trick), "        ").strip()
    pack(folder / name, GOOD.replace("TRICK", lines), Still())
    return next(each for each in find(folder) if each.name == name)


@pytest.fixture(scope="module")
def films():
    return embedded_films(frames=4, height=32, width=56, seed=11, names=("layers", "exposure"))


@pytest.fixture(scope="module")
def tasks(films):
    return {task: tasks_of(films, task) for task in leaderboard.TASKS}


@pytest.fixture
def clips(tmp_path, films):
    """The clips as a teacher's folder, each frame a file."""
    for film in films:
        folder = tmp_path / "secret" / film.name
        folder.mkdir(parents=True)
        for number, frame in enumerate(film.frames):
            Image.fromarray(frame).save(folder / f"{number:05d}.png")
    return tmp_path / "secret"


QUICK = Limits(seconds=60, memory=3000, threads=1)


def test_a_good_submission_scores_what_it_would_score_at_home(tmp_path, tasks):
    row = judge(submission(tmp_path), tasks, QUICK, [tmp_path])
    assert row.failure == ""
    assert row.psnr == baseline("copy", tasks).psnr  # it is what `copy` does
    assert row.seconds_per_frame > 0 and row.memory_mb > 50


def test_a_slow_submission_is_stopped(tmp_path, tasks):
    row = judge(submission(tmp_path, "import time\ntime.sleep(60)"), tasks,
                Limits(seconds=1, memory=3000, threads=1))
    assert row.failure == "stopped: it took longer than 1 s"


def test_a_crashing_submission_is_named_with_what_it_said(tmp_path, tasks):
    assert judge(submission(tmp_path, "1 / 0"), tasks,
                 QUICK).failure == "failed: ZeroDivisionError: division by zero"


def test_a_submission_that_eats_memory_is_stopped(tmp_path, tasks):
    eats = "eaten = [bytearray(100_000_000) for _ in range(100)]"
    assert judge(submission(tmp_path, eats), tasks,
                 QUICK).failure == "stopped: it wanted more than 3000 MB of memory"


def test_memory_that_the_kernel_lets_pass_is_seen_from_outside(tmp_path):
    ended = sandbox.supervise([
        sys.executable, "-c", "import time; eaten = bytearray(300_000_000); eaten[::4096] = b'x' * "
        "len(eaten[::4096]); time.sleep(30)"
    ], tmp_path, 30, 200 << 20, os.environ, tmp_path / "log")
    assert ended.reason == "memory" and ended.peak_memory > 200 << 20


READS_TRUTH = """
import numpy as np, pathlib
from PIL import Image
from colorlab.color import frames_to_rgb, rgb_to_lab
frame = np.asarray(Image.open(pathlib.Path({folder!r}) / "layers" / "00001.png"))
state = rgb_to_lab(frames_to_rgb(torch.from_numpy(frame.copy())))[None, 1:]
"""


def test_a_submission_that_reads_the_truths_file_is_disqualified(tmp_path, clips, tasks):
    cheat = submission(tmp_path / "class", READS_TRUTH.format(folder=str(clips)))
    failure = judge(cheat, tasks, QUICK, [clips]).failure
    assert failure.startswith("disqualified: it would read") and str(clips) in failure


def test_catching_the_error_does_not_help(tmp_path, clips, tasks):
    trick = f"try:\n    open({str(clips / 'layers' / '00001.png')!r})\nexcept BaseException:\n    pass"
    assert judge(submission(tmp_path / "class", trick), tasks,
                 QUICK).failure.startswith("disqualified: it would read")


@pytest.mark.parametrize("trick", [
    "import os\nos.listdir({folder!r})", "import os\nlist(os.walk({folder!r}))\nos.scandir({folder!r})",
    "import subprocess\nsubprocess.run(['ls', {folder!r}])",
    "import socket\nsocket.create_connection(('127.0.0.1', 9))"
])
def test_looking_around_starting_programs_and_the_network_are_forbidden(tmp_path, clips, tasks, trick):
    failure = judge(submission(tmp_path / "class", trick.format(folder=str(clips))), tasks, QUICK).failure
    assert failure.startswith("disqualified: it would")


def test_a_result_that_is_the_truth_is_disqualified(tasks):
    with pytest.raises(InputError, match="it is the truth|is the truth, to the pixel"):
        scored(tasks["first"], [task.truth for task in tasks["first"]])


def test_a_submission_that_writes_outside_its_folder_is_disqualified(tmp_path, tasks):
    other = submission(tmp_path / "class", name="other")
    target = tmp_path / "class" / "other" / "weights.safetensors"
    cheat = submission(tmp_path / "class", f"open({str(target)!r}, 'wb').write(b'')", name="cheat")
    failure = judge(cheat, tasks, QUICK, [tmp_path / "class"]).failure
    assert failure.startswith("disqualified: it would write") and target.read_bytes() == other.weights


def test_without_a_sandbox_what_was_written_is_found_afterwards(tmp_path, tasks):
    submission(tmp_path / "class", name="other")
    target = tmp_path / "class" / "other" / "weights.safetensors"
    cheat = submission(
        tmp_path / "class",
        f"open({str(target)!r}, 'r+b').write(b'x')\nimport os\nos.utime({str(target)!r}, (1, 1))",
        name="cheat")
    row = judge(cheat, tasks, Limits(60, 3000, 1, confined=False), [tmp_path / "class"])
    assert row.failure == "disqualified: it changed files outside its folder"


def test_fingerprints_see_content_additions_and_removals(tmp_path):
    (tmp_path / "a").write_text("one")
    os.utime(tmp_path / "a", ns=(5, 5))
    seen = [fingerprint(tmp_path)]
    for change in (lambda: (tmp_path / "a").write_text("two"), lambda: os.utime(tmp_path / "a", ns=(5, 5)),
                   lambda: (tmp_path / "b").touch(), lambda: (tmp_path / "b").unlink()):
        change()
        seen.append(fingerprint(tmp_path))
    assert all(before != after for before, after in zip(seen, seen[1:]))


CONFINED = """
import ctypes, os, sys
from colorlab.experiments.sandbox import _landlock
inside, outside = sys.argv[1:]
assert _landlock(["/usr", "/lib", sys.prefix, sys.base_prefix], [inside])
libc = ctypes.CDLL(None, use_errno=True)
reads, writes = libc.open(outside.encode(), os.O_RDONLY), libc.open((outside + "2").encode(), os.O_WRONLY | os.O_CREAT, 0o600)
own = libc.open((inside + "/own").encode(), os.O_WRONLY | os.O_CREAT, 0o600)
print(reads, writes, own > 2)
"""


@needs_landlock
def test_landlock_holds_machine_code_too(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "truth").write_text("red")
    log = tmp_path / "log"
    ended = sandbox.supervise(
        [sys.executable, "-c", CONFINED,
         str(tmp_path / "inside"),
         str(tmp_path / "truth")], tmp_path, 60, 2 << 30, os.environ, log)
    if "assert _landlock" in log.read_text():
        pytest.skip("this kernel has no Landlock")
    assert ended.code == 0 and log.read_text() == "-1 -1 True\n" and not (tmp_path / "truth2").exists()


def test_children_are_killed_with_it_even_those_that_left_its_session(tmp_path):
    starts = ("import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', "
              "'import time; time.sleep(60)'], start_new_session=True); open('pid', "
              "'w').write(str(child.pid)); time.sleep(60)")
    ended = sandbox.supervise([sys.executable, "-c", starts], tmp_path, 2, 2 << 30, os.environ,
                              tmp_path / "log")
    child = int((tmp_path / "pid").read_text())
    assert ended.reason == "time"
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and psutil.pid_exists(child) and psutil.Process(
            child).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_submission_never_gets_the_colours_it_is_scored_by(tasks):
    for task in (*tasks["first"], *tasks["loose"]):
        assert np.ptp(task.grey.astype(int), axis=-1).max() <= 1
        assert task.first == np.array_equal(task.reference, task.truth[0])
    for task in tasks["loose"]:
        assert not any(np.array_equal(task.reference[:, ::-1], frame) for frame in task.truth)


def test_ranks_go_by_the_mean_and_failures_come_last():
    row = lambda name, value: Standing(
        name,
        {task: {"a": value, "b": value + 2} for task in leaderboard.TASKS},
        {task: 30.0 for task in leaderboard.TASKS},
    )
    rows = ranked([Standing("broken", failure="failed: x"), row("low", 20.0), row("high", 25.0)])
    assert [each.name for each in rows] == ["high", "low", "broken"]
    interval = rows[0].score()
    assert (interval.mean, interval.low, interval.high) == (26.0, 25.0, 27.0)


def test_weights_that_do_not_fit_are_named_when_packed(tmp_path):
    with pytest.raises(InputError, match="does not fit the network that build"):
        pack(tmp_path / "a", GOOD.replace("TRICK", "pass"), nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"defines no function build\(\)"):
        pack(tmp_path / "b", "x = 1", Still())
    assert isinstance(load(pack(tmp_path / "c", GOOD.replace("TRICK", "pass"), Still())), nn.Module)


def test_a_pickle_is_no_submission(tmp_path):
    (tmp_path / "eve").mkdir()
    (tmp_path / "eve" / "method.py").write_text("def build(): ...")
    torch.save({}, tmp_path / "eve" / "weights.pth")
    with pytest.raises(InputError, match="1 Python files and 0 safetensors files"):
        find(tmp_path)


def test_the_command_writes_a_page_that_ranks(tmp_path, clips, capsys):
    submission(tmp_path / "class", name="ada")
    submission(tmp_path / "class", "1 / 0", name="<b>bob")
    out = tmp_path / "page.html"
    assert leaderboard.main([
        str(tmp_path / "class"), "--clips",
        str(clips), "--out",
        str(out), "--frames", "4", "--size", "32", "--seconds", "60"
    ]) == 0
    text = out.read_text()
    assert text.index("copy (of colorlab)") < text.index(
        "&lt;b&gt;bob") and "<b>ada</b>" in text and "ZeroDivisionError" in text
    assert "http" not in text and "ada" in capsys.readouterr().out
    assert {row["name"] for row in json.loads(out.with_suffix(".json").read_text())
            } == {"ada", "<b>bob", "copy (of colorlab)"}


@pytest.mark.parametrize("arguments, said", [(["nowhere"], "there is no folder nowhere"),
                                             (["empty"], "holds no submission"),
                                             (["half"], "a submission is one of each"),
                                             (["full", "--clips", "nowhere"], "no folder nowhere"),
                                             (["full", "--frames", "1"], "at least 3 frames"),
                                             (["full", "--out", "full"], "is a folder"),
                                             (["full", "--clips", "full", "--seed", "1"], "nothing to draw")])
def test_bad_input_is_one_line_and_code_2(tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "half" / "ada").mkdir(parents=True)
    pack(tmp_path / "full" / "ada", GOOD.replace("TRICK", "pass"), Still())
    assert leaderboard.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("leaderboard: ") and said in error
