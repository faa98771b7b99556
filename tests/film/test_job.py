"""Long films: killed at any moment, the same command ends in the same film; errors and Ctrl-C pass through
the stages; batches and sheets."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from films import StopAfter, Stopped, packets, save_film, with_tone
from PIL import Image

import colorlab
from colorlab.cli import main, models
from colorlab.files.errors import InputError
from colorlab.files.video import read_video
from colorlab.film.confidence import offers_confidence, confident_step
from colorlab.film.pipeline import ahead, behind
from colorlab.film.references import guide
from colorlab.film.job import FilmJob, restore
from colorlab.film.saved_state import load_state, save_state
from colorlab.methods.baselines import Copy
from colorlab.methods.course.cavc import CourseCAVC, CourseCAVCConfig

RNG = np.random.default_rng(0)
SIZE = (40, 56)  # no multiple of 16
STEM = [
    np.repeat(
        np.roll(RNG.integers(0, 256, (5, 7)).repeat(8, 0).repeat(8, 1).astype(np.uint8), n, 1)[..., None], 3,
        -1) for n in range(4)
]


def picture(color=(200, 90, 60)):
    return (STEM[0] * (np.array(color) / 200)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def film(tmp_path):
    import av
    frames = [
        av.VideoFrame.from_ndarray(np.roll(STEM[0], n, 1), "rgb24").reformat(format="yuv420p")
        for n in range(25)
    ]
    Image.fromarray(picture()).save(tmp_path / "ref.png")
    return save_film(tmp_path / "in.mkv", frames, codec="libx264", extra=with_tone)


# ---- stages side by side ----

def stages_at_work():
    return [
        thread for thread in threading.enumerate() if thread.name in ("colorlab-ahead", "colorlab-behind")
    ]


def test_stages_keep_order_and_run_at_the_same_time():
    both = threading.Barrier(2, timeout=20)  # broken where one stage waits for the other to be done

    def first():
        for n in range(20):
            if n > 0:
                both.wait()  # made while the second is at n - 1
            yield n

    def second(items):
        for n in items:
            if n < 19:
                both.wait()
            yield n

    assert list(ahead(second(ahead(first(), 4)), 2)) == list(range(20))
    assert not stages_at_work()


def test_work_behind_keeps_order_and_runs_at_the_same_time():
    both, done = threading.Barrier(2, timeout=20), []

    def work(n):
        if n < 19:
            both.wait()  # while the caller is at n + 1
        done.append(n)

    with behind(work, 2) as hand_on:
        for n in range(20):
            if n > 0:
                both.wait()
            hand_on(n)
    assert done == list(range(20)) and not stages_at_work()


def test_all_work_behind_is_done_at_the_end_of_the_block():
    done = []

    def work(n):
        time.sleep(0.02)
        done.append(n)

    with behind(work, 8) as hand_on:
        for n in range(6):
            hand_on(n)
    assert done == list(range(6))


def test_no_more_waits_behind_than_is_wanted():
    free, handed = threading.Event(), itertools.count()

    def hand_all():
        with behind(lambda n: free.wait(20), 3) as hand_on:
            for _ in range(10):
                hand_on(next(handed))

    caller = threading.Thread(target=hand_all)
    caller.start()
    time.sleep(0.3)
    before = next(handed)
    free.set()
    caller.join()
    assert before <= 1 + 3 + 1


@pytest.mark.parametrize("last", [True, False])
def test_an_error_in_work_behind_reaches_who_handed_it_on(last):
    def work(n):
        if n == 3:
            raise InputError("the disk is full")
        done.append(n)

    done, handed = [], 0
    with pytest.raises(InputError, match="the disk is full"):
        with behind(work, 2) as hand_on:
            for handed in itertools.count() if not last else range(4):
                hand_on(handed)
    assert done == [0, 1, 2] and handed < 10 and not stages_at_work()


def test_work_behind_that_nobody_wants_any_more_is_dropped():
    done, begun, free = [], threading.Event(), threading.Event()

    def work(n):
        begun.set()
        free.wait(20)
        done.append(n)

    with pytest.raises(KeyboardInterrupt):
        with behind(work, 8) as hand_on:
            for n in range(5):
                hand_on(n)
            begun.wait(20)
            threading.Timer(0.5, free.set).start()  # when the block has long failed
            raise KeyboardInterrupt
    assert done == [0] and not stages_at_work()


def test_no_more_is_made_ahead_than_is_wanted():
    made = itertools.count()
    items = ahead((next(made) for _ in range(100)), 3)
    next(items)
    time.sleep(0.3)
    assert next(made) <= 1 + 3 + 1
    items.close()


def test_an_error_arrives_after_what_came_before_it():
    def failing():
        yield 1
        yield 2
        raise InputError("the film is torn")

    items = ahead(ahead(failing(), 8), 8)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(InputError, match="the film is torn"):
        next(items)


def test_a_caller_that_stops_ends_all_stages():
    closed = threading.Event()

    def endless():
        try:
            yield from itertools.count()
        finally:
            closed.set()

    items = ahead(ahead(endless(), 2), 2)
    assert next(items) == 0
    items.close()
    assert closed.is_set() and not stages_at_work()


# ---- states in files ----

@pytest.mark.parametrize("method", ["copy", "flow", "lstvc", "colormnet", "tcavc", "cavc"])
def test_a_state_comes_back_from_its_file_to_the_bit(method, tmp_path):
    model, l = colorlab.load(
        method, "tiny"), torch.rand(1, 8, 1, 32, 48, generator=torch.Generator().manual_seed(0)) * 100
    reference = torch.cat(
        (l[:, 0], 20 * torch.randn(1, 2, 32, 48, generator=torch.Generator().manual_seed(1))), 1)
    with torch.inference_mode():
        _, state = model.step(l[:, :5],
                              model.start(None if method == "tcavc" else [(0, reference), (6, reference)]))
        save_state(tmp_path / "state", state)
        again = load_state(tmp_path / "state", torch.device("cpu"))
        assert type(again) is type(state)
        assert torch.equal(model.step(l[:, 5:], again)[0], model.step(l[:, 5:], state)[0])


def test_a_file_of_anything_else_builds_nothing(tmp_path):
    torch.save({"kind": "class", "module": "os", "name": "system", "fields": {"command": "exit"}},
               tmp_path / "state")
    with pytest.raises(ValueError, match="not colorlab's"):
        load_state(tmp_path / "state", torch.device("cpu"))


# ---- jobs ----

def do(film, output, method="copy", stop=None, segment=6, cuts=None, confidence=None, size=None):
    """Run a job; after `stop` frames it is interrupted."""
    opened = read_video(film)
    job = FilmJob(
        opened,
        output,
        colorlab.load(method, "tiny"),
        size,
        torch.device("cpu"),
        {"references": "one"},
        24,
        confidence,
        segment,
    )
    references = None if method == "tcavc" else [(0, picture())]
    on_frames = StopAfter(stop)
    try:
        return restore(job, guide(opened, references, cuts), on_frames), on_frames.seen
    except Stopped:
        return job.unfinished(), on_frames.seen


@pytest.mark.parametrize("method, name", [("copy", "out.mp4"), ("lstvc", "out.mov"), ("colormnet", "out.mp4"),
                                          ("copy", "out"), ("tcavc", "out.mp4")])
def test_an_interrupted_job_ends_in_the_same_bytes(film, tmp_path, method, name):
    (tmp_path / "whole").mkdir()
    assert do(film, tmp_path / "whole" / name, method, cuts=[10]) == (25, 25)
    assert do(film, tmp_path / name, method, stop=9, cuts=[10])[0].frames in (6, 8, 9)
    left, seen = do(film, tmp_path / name, method, stop=9, cuts=[10])
    assert left.segments == 2 and left.frames < 20
    frames, seen = do(film, tmp_path / name, method, cuts=[10])
    assert frames == 25 and seen == 25 - left.frames  # what was there is not done again
    files = [tmp_path / name] if "." in name else sorted((tmp_path / name).iterdir())
    assert len(files) in (1, 25)
    for file in files:
        assert file.read_bytes() == (tmp_path / "whole" / file.relative_to(tmp_path)).read_bytes()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_joined_segments_have_the_frames_times_and_sound_of_a_film_in_one_piece(film, tmp_path, suffix):
    source = film if suffix != ".webm" else save_film(tmp_path / "mute.mkv", list(_decoded(film)))
    do(source, tmp_path / f"one{suffix}", segment=1000)
    do(source, tmp_path / f"out{suffix}", segment=4)
    one, out = read_video(tmp_path / f"one{suffix}"), read_video(tmp_path / f"out{suffix}")
    assert out.count() == 25 and [stamp.start for stamp in out.stamps()] == [
        stamp.start for stamp in one.stamps()
    ] and (out.rate, out.colors) == (one.rate, one.colors)
    assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(one, out, strict=True)) < 2  # encoded apart
    if suffix == ".mkv":
        assert [payload for _, payload in packets(out.path, "audio")
                ] == [payload for _, payload in packets(film, "audio")]


def _decoded(path):
    import av
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def test_a_job_with_other_settings_begins_anew(film, tmp_path):
    do(film, tmp_path / "out.mp4", stop=20)
    assert do(film, tmp_path / "out.mp4", size=24) == (25, 25)


def test_a_job_interrupted_before_its_first_segment_leaves_nothing(film, tmp_path):
    before = sorted(os.listdir(tmp_path))
    do(film, tmp_path / "out.mp4", stop=3)
    assert sorted(os.listdir(tmp_path)) == before


def test_two_runs_of_one_job_do_not_meet(film, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    do(film, tmp_path / "out.mp4", stop=20)
    with (tmp_path / ".out.mp4.unfinished" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run is at work"):
            do(film, tmp_path / "out.mp4")
    assert do(film, tmp_path / "out.mp4")[0] == 25  # and nothing was harmed


def test_sound_that_the_output_cannot_hold_is_refused_before_the_work(film, tmp_path):
    with pytest.raises(InputError, match=r"\.webm.*aac"):
        do(film, tmp_path / "out.webm")
    assert not list(tmp_path.glob(".*")) and not list(tmp_path.glob("out*"))


# ---- how sure ----

def sure_model(method):
    return CourseCAVC(replace(CourseCAVCConfig.tiny(), extractor="patches",
                              lay_channels=8)).eval() if method == "cavc" else colorlab.load(method, "tiny")


@pytest.mark.parametrize("method", ["copy", "flow", "cavc", "lstvc", "colormnet", "tcavc"])
def test_confidence_comes_with_the_very_step(method):
    model, l = (
        sure_model(method),
        torch.rand(1, 4, 1, 37, 50, generator=torch.Generator().manual_seed(0)) * 100,
    )
    reference = torch.cat(
        (l[:, 0], 20 * torch.randn(1, 2, 37, 50, generator=torch.Generator().manual_seed(1))), 1)
    with torch.inference_mode():
        state = model.start(None if method == "tcavc" else [(1, reference)])
        ab, after = model.step(l, state)
        sure = confident_step(model, l, state)
    assert torch.equal(sure.ab, ab) and sure.state.frame == after.frame
    assert (
        sure.confidence.shape == (1, 4, 1, 37, 50)
        and 0 <= sure.confidence.min()
        and sure.confidence.max() <= 1
    )
    if method != "tcavc":
        # the frame that is a reference
        assert (sure.confidence[:, 1] == 1).all() and (sure.confidence[:, 2] < 0.99).any()


@pytest.mark.parametrize("method", ["copy", "colormnet"])
def test_a_frame_that_was_seen_before_is_surer_than_a_strange_one(method):
    model = sure_model(method)
    seen, strange = torch.rand(2, 1, 1, 32, 48, generator=torch.Generator().manual_seed(0)).mul(100).unbind()
    reference = torch.cat((seen, torch.zeros(1, 2, 32, 48)), 1)
    with torch.inference_mode():
        _, state = model.step(seen, model.start([(0, reference)]))
        known, unknown = (confident_step(model, l, state).confidence.mean() for l in (seen, strange))
    assert known > 0.99 and unknown < known - 0.03


def test_what_is_laid_is_sure_where_it_is_as_light():
    model, l = sure_model("cavc"), torch.full((1, 1, 24, 40), 30.0)
    l[..., 20:] = 70
    with torch.inference_mode():
        state = model.start(torch.cat((l, torch.zeros(1, 2, 24, 40)), 1))
        assert confident_step(model, l, state).confidence.mean() > 0.95
        # as bright as nothing in the reference
        assert confident_step(model, torch.full_like(l, 100.0), state).confidence.max() < 0.01


def test_a_method_that_matches_nothing_says_so(film, tmp_path):
    assert not offers_confidence(colorlab.load("cavc", "tiny"))
    with pytest.raises(InputError, match="CAVC does not say how sure it is"):
        do(film, tmp_path / "out.mp4", "cavc", confidence=tmp_path / "sure.mp4")


def test_the_map_is_a_film_as_long_as_the_film_and_resumes_with_it(film, tmp_path):
    (tmp_path / "whole").mkdir()
    do(film, tmp_path / "whole" / "out.mp4", confidence=tmp_path / "whole" / "sure.mp4")
    do(film, tmp_path / "out.mp4", stop=14, confidence=tmp_path / "sure.mp4")
    do(film, tmp_path / "out.mp4", confidence=tmp_path / "sure.mp4")
    assert read_video(tmp_path / "sure.mp4").count() == 25
    for name in ("out.mp4", "sure.mp4"):
        same = (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert same, name


# ---- the command ----

def command(film, *more, out="out.mp4", method="copy", reference="ref.png@0"):
    return [
        "colorize",
        str(film), "--reference",
        str(film.parent / reference), "--method", method, "--preset", "tiny", "--device", "cpu", "-o",
        str(film.parent / out), *map(str, more)
    ]


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_a_killed_command_goes_on_when_it_is_given_again(film, tmp_path):
    program = [
        sys.executable, "-m", "colorlab", *command(film, "--segment", 2, method="lstvc", out="out.mp4")
    ]
    folder = tmp_path / ".out.mp4.unfinished"
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 100
    while not list(folder.glob("*.state")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)  # no time to clean up
    process.wait()
    assert folder.is_dir() and not (tmp_path / "out.mp4").exists()
    assert main(program[3:]) == 0 and not folder.exists()
    assert main(command(film, "--segment", 2, method="lstvc", out="again.mp4")) == 0
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_says_what_it_keeps(film, tmp_path, monkeypatch, capsys, number):
    class Interrupting(Copy):
        armed = True

        def step(self, l, state):
            if self.armed and state.frame == 12:
                self.armed = False
                os.kill(os.getpid(), number)  # from the network's thread
            return super().step(l, state)

    model = Interrupting()
    monkeypatch.setattr(models, "load", lambda *_, **__: model)
    assert main(command(film, "--segment", 2)) == 130
    said = capsys.readouterr().err
    assert "of 25 frames are kept in" in said and "the same command goes on from there" in said
    assert not stages_at_work() and not (tmp_path / "out.mp4").exists()
    assert main(command(film, "--segment", 2)) == 0
    assert "going on after" in capsys.readouterr().err and read_video(tmp_path / "out.mp4").count() == 25


def test_cuts_are_shown_and_taken_by_hand(film, tmp_path, capsys):
    assert main(command(film)) == 0 and "no scene cuts found" in capsys.readouterr().err
    assert main(command(film, "--cuts", "20,9")) == 0
    said = capsys.readouterr().err
    assert (
        "scene cuts at 9, 20" in said and "the scene from frame 9 on has no coloured frame of its own" in said
    )
    assert main(command(film, "--cuts", "none")) == 0 and "cuts" not in capsys.readouterr().err


@pytest.mark.parametrize("more, message", [
    (("--cuts", "twelve"), "give auto, none, or the frames"),
    (("--cuts", "25"), "the film has 25 frames"),
    (("--segment", 0), "count frames"),
    (("--explain", "3,4"), "give FRAME,Y,X"),
    (("--explain", "3,40,0"), "y from 0 to 39"),
    (("--confidence", "PATH/no/sure.mp4"), "does not exist"),
    (("--confidence", "PATH/out.mp4"), "name the same file"),
])
def test_what_cannot_be_done_is_one_line(film, tmp_path, capsys, more, message):
    before = sorted(os.listdir(tmp_path))
    assert main(command(film, *(str(part).replace("PATH", str(tmp_path)) for part in more))) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("colorlab: ")]
    assert len(said) == 1 and message in said[0] and sorted(os.listdir(tmp_path)) == before


def test_explain_saves_a_picture_and_names_the_sources(film, tmp_path, capsys):
    assert main(command(film, "--explain", "12,20,30", "--cuts", "10", method="colormnet")) == 0
    assert (tmp_path / "out.12-20-30.png").is_file() and not (tmp_path / "out.mp4").exists()
    said = capsys.readouterr().out
    # counted from the film's first, not the scene's
    assert "frame 12, pixel (20, 30)" in said and "neighbours (frame 10)" in said
    assert main(command(film, "--explain", "12,20,30", out="why.jpg")) == 0 and Image.open(
        tmp_path / "why.jpg").format == "JPEG"


def test_a_preview_comes_first_or_alone(film, tmp_path, capsys):
    assert main(command(film, "--preview", 10)) == 0
    assert (tmp_path / "out.preview.jpg").is_file() and (tmp_path / "out.mp4").is_file()
    assert main(command(film, "--preview", out="sheet.png", method="lstvc")) == 0
    assert (tmp_path / "sheet.png").is_file() and "every frame" in capsys.readouterr().out


def test_a_picture_with_a_transparent_part_is_read_as_such(film, tmp_path):
    rgba = np.dstack((picture(), np.where(np.arange(56) < 28, 255, 0)[None].repeat(40, 0))).astype(np.uint8)
    Image.fromarray(rgba).save(tmp_path / "part.png")
    assert main(command(film, reference="part.png@0")) == 0
    first = next(iter(read_video(tmp_path / "out.mp4"))).astype(int)
    spread = np.ptp(first, axis=-1)
    assert spread[:, :26].mean() > 20 and spread[:, 32:].mean() < 5


def test_a_folder_of_films_is_coloured_film_by_film(film, tmp_path, capsys):
    films = tmp_path / "films"
    (films / "strip").mkdir(parents=True)
    film.rename(films / "a.mkv")
    for n in range(3):
        Image.fromarray(STEM[n]).save(films / "strip" / f"{n}.png")
    Image.fromarray(picture()).save(tmp_path / "strip.png")
    Image.fromarray(picture()).save(tmp_path / "a.png")
    Image.fromarray(picture()).save(tmp_path / "torn.png")
    (films / "torn.mp4").write_bytes(b"no film")
    arguments = command(films, out="colored", reference="{name}.png@0")
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "torn.mp4: " in said.err and "1 of 3 films could not be coloured" in said.err
    assert sorted(os.listdir(tmp_path / "colored")) == [".colorlab-done.json", "a.mkv", "strip"]
    (films / "torn.mp4").unlink()
    assert main(arguments) == 0
    assert capsys.readouterr().err.count("done before") == 2
    assert sorted(os.listdir(tmp_path / "colored")) == ["a.mkv", "strip"] and len(
        os.listdir(tmp_path / "colored" / "strip")) == 3
