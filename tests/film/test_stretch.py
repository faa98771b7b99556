"""--frames A-B: a stretch gets new colours, and nothing else of the finished film changes."""

import os

import numpy as np
import pytest
from films import grey_ramp, packets, planes_of, save_film, with_tone
from PIL import Image

from colorlab.cli import main
from colorlab.files.locks import alone
from colorlab.files.video import read_video
from colorlab.files.video.damage import Damage
from colorlab.film.job import work_folder

RED, BLUE = (150, 100, 100), (100, 100, 150)


@pytest.fixture
def film(tmp_path):
    for name, color in (("red.png", RED), ("blue.png", BLUE)):
        Image.new("RGB", (48, 32), color).save(tmp_path / name)
    return save_film(tmp_path / "in.mp4", grey_ramp(24), extra=lambda output: with_tone(output, 1.0))


def colorize(film, reference, out, *more):
    return main([
        "colorize",
        str(film), "--reference",
        str(film.parent / reference), "--method", "copy", "--device", "cpu", "--cuts", "none", "--segment",
        "6", "-o",
        str(film.parent / out), *map(str, more)
    ])


def redness(path):
    return np.array([int(frame[16, 24, 0]) - int(frame[16, 24, 2]) for frame in read_video(path)])


@pytest.mark.parametrize("out, more", [("out.mp4", ()), ("out.mov", ()), ("out.mkv", ()),
                                       ("out.mkv", ("--lossless",)), ("out", ())],
                         ids=["mp4", "mov", "mkv", "ffv1", "folder"])
def test_the_stretch_is_coloured_anew_and_the_rest_stays(film, out, more):
    assert colorize(film, "red.png", out, *more) == 0
    before = [frame.copy() for frame in read_video(film.parent / out)]
    times = [stamp.start for stamp in read_video(film.parent / out).stamps()] if "." in out else None
    assert colorize(film, "blue.png@9", out, "--frames", "8-10", *more) == 0
    after = list(read_video(film.parent / out))
    changed = redness(film.parent / out) < 0
    assert changed.tolist() == [8 <= n <= 10 for n in range(24)]
    exact = [n for n in range(24) if np.array_equal(before[n], after[n])]
    # what shares their key frame
    assert set(range(24)) - set(exact) <= (set(range(6, 12)) if "." in out and not more else {8, 9, 10})
    assert max(np.abs(before[n].astype(int) - after[n]).max() for n in range(24) if not changed[n]) <= 4
    if times:
        assert [stamp.start for stamp in read_video(film.parent / out).stamps()] == times
        assert [data for _, data in packets(film.parent / out, "audio")
                ] == [data for _, data in packets(film, "audio")]
    assert not [name for name in os.listdir(film.parent) if name.startswith(".")]


def test_the_first_and_the_last_frame_can_be_changed(film):
    assert colorize(film, "red.png", "out.mp4") == 0
    assert colorize(film, "blue.png", "out.mp4", "--frames", "0-0") == 0 and colorize(
        film, "blue.png", "out.mp4", "--frames", "23-23") == 0
    assert (redness(film.parent / "out.mp4") < 0).tolist() == [True] + [False] * 22 + [True]


def test_without_loss_the_stretch_keeps_its_luma_and_the_rest_every_code(film):
    assert colorize(film, "red.png", "out.mkv", "--lossless") == 0
    before = planes_of(film.parent / "out.mkv")
    Image.new("RGB", (48, 32), (120, 120, 120)).save(film.parent / "grey.png")
    assert colorize(film, "grey.png", "out.mkv", "--lossless", "--frames", "3-20") == 0
    for n, planes in enumerate(planes_of(film.parent / "out.mkv")):
        assert np.array_equal(planes[0],
                              planes_of(film)[n][0]) if 3 <= n <= 20 else all(
                                  map(np.array_equal, planes, before[n]))


@pytest.mark.parametrize("more, message", [
    (("--frames", "8"), "give the first and the last frame"),
    (("--frames", "9-8"), "give the first"),
    (("--frames", "8-24"), "the film has 24 frames"),
    (("--frames", "0-3", "--reference", "red.png@9"), "lies outside --frames"),
    (("--frames", "0-3", "--confidence", "sure.mp4"), "leave --explain"),
])
def test_what_is_no_stretch_is_one_line_and_changes_nothing(film, capsys, monkeypatch, more, message):
    monkeypatch.chdir(film.parent)
    assert colorize(film, "red.png", "out.mp4") == 0
    held, _ = (film.parent / "out.mp4").read_bytes(), capsys.readouterr()
    assert colorize(film, "blue.png", "out.mp4", *more) == 2 and message in capsys.readouterr().err
    assert (film.parent / "out.mp4").read_bytes() == held


def test_only_a_finished_film_of_ours_is_changed(film, capsys):
    assert colorize(film, "blue.png", "out.mp4", "--frames",
                    "0-3") == 2 and "there is no" in capsys.readouterr().err
    save_film(film.parent / "foreign.mp4", grey_ramp(24), options={"crf": "30", "refs": "5", "bf": "0"})
    assert colorize(film, "blue.png", "foreign.mp4", "--frames",
                    "0-3") == 2 and "was not made by this version" in capsys.readouterr().err
    save_film(film.parent / "short.mp4", grey_ramp(20))
    assert colorize(film, "blue.png", "short.mp4", "--frames",
                    "0-3") == 2 and "has 20 frames and the film 24" in capsys.readouterr().err


def test_a_film_that_another_run_is_at_work_on_is_left_alone(film, capsys):
    out = film.parent / "out.mp4"
    assert colorize(film, "red.png", "out.mp4") == 0
    held = out.read_bytes()
    work_folder(out).mkdir()
    with alone(work_folder(out) / "lock", out, ""):
        assert colorize(film, "blue.png", "out.mp4", "--frames",
                        "0-3") == 2 and "another run is at work" in capsys.readouterr().err
    assert out.read_bytes() == held


def test_a_folder_of_frames_with_a_stretch_anew_is_still_known_as_done(film, capsys):
    assert colorize(film, "red.png", "out") == 0 and colorize(film, "blue.png", "out", "--frames", "0-3") == 0
    assert colorize(film, "red.png", "out") == 0 and "done before" in capsys.readouterr().err
    assert (redness(film.parent / "out") < 0).tolist() == [True] * 4 + [False] * 20


def test_no_stretch_of_a_damaged_film_where_that_is_refused(film, capsys, monkeypatch):
    assert colorize(film, "red.png", "out.mp4") == 0
    monkeypatch.setattr("colorlab.files.video.damage.damage_of", lambda film, on_frame: Damage(1, 5, 0))
    assert colorize(film, "blue.png", "out.mp4", "--frames", "0-3",
                    "--strict") == 2 and "is damaged" in capsys.readouterr().err
