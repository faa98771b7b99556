"""`colorlab colorize --check` says what a film is and what to do first; each line against a film made for
it."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from films import flagged, grey_ramp, planar, save_film, with_tone
from scipy.ndimage import gaussian_filter

from colorlab.cli import main
from colorlab.files.video import read_video
from colorlab.film import check as checking
from colorlab.film.check import FilmStatistics, fields_line, shift

NOISE = gaussian_filter(np.random.default_rng(0).normal(size=(80, 520)), 2)
TEXTURE = (NOISE - NOISE.min()) / np.ptp(NOISE) * 200 + 25

OTHER = (np.kron(np.random.default_rng(5).integers(0, 2, (8, 12)), np.ones(
    (8, 8))) * 200 + 25).astype(np.uint8)


def view(x, y=4, size=(64, 96)):
    return TEXTURE[y:y + size[0], x:x + size[1]].round().astype(np.uint8)


def frame(luma):
    return planar("yuv420p", luma, 128, 128)


def woven(top, bottom):
    both = top.copy()
    both[1::2] = bottom[1::2]
    return both


@pytest.fixture
def check(monkeypatch, capsys):
    """Runs the command without the networks; its lines, {name: text}."""
    monkeypatch.setattr(checking, "estimate", lambda *_: "copy 1 s")

    def lines(path, *more):
        assert main(["colorize", "--check", str(path), "--device", "cpu", *map(str, more)]) == 0
        said = capsys.readouterr().out.splitlines()
        assert len(said) == 10
        return {line.split()[0]: line[12:] for line in said}

    return lines


def test_ten_lines_say_what_a_plain_film_is(tmp_path, check):
    said = check(
        save_film(tmp_path / "in.mp4", grey_ramp(30), extra=with_tone, matrix=1, color_range=2,
                  sample_aspect_ratio=Fraction(4, 3)))
    assert said["picture"] == "48x32, pixels 4:3, shown as 64x32" and said[
        "rate"] == "24 frames/s, 30 frames, 1.2 s"
    assert said["fields"] == "progressive" and said["colours"].endswith("BT.709, full range")
    assert said["streams"] == "h264 pictures, aac sound" and said[
        "cuts"] == "none found" and "left out: nothing" in said["kept"]
    assert said["first"] == "nothing: it can be coloured as it is" and "copy 1 s" in said["time"]


def test_fields_are_named_and_telecine_is_found(tmp_path):
    def said(name, frames):
        return fields_line(read_video(save_film(tmp_path / name, frames, codec="ffv1")))

    steps = [view(5 * k) for k in range(40)]
    interlaced = flagged([frame(woven(steps[2 * k], steps[2 * k + 1])) for k in range(12)], "tff")
    assert said("i.mkv", interlaced)[0] == "interlaced, top field first"
    words, first = said("c.mkv", [frame(woven(view(10 * k), view(10 * k + 3))) for k in range(12)])
    assert "combed in" in words and first == ["give --deinterlace"]
    pulled = []
    for a, b, c, d in zip(*(steps[k::4] for k in range(4))):
        pulled += [a, b, woven(b, c), woven(c, d), d]
    words, first = said("t.mkv", [frame(picture) for picture in pulled])
    assert words.startswith("telecined") and "fieldmatch,decimate" in first[0]
    assert said("p.mkv", [frame(step) for step in steps]) == ("progressive", [])


def test_bars_cuts_and_unsteadiness_are_found(tmp_path, check):
    rng = np.random.default_rng(1)
    frames = []
    for k in range(24):
        luma = np.full((96, 96), 16, np.uint8)
        luma[16:80] = view(100 + int(rng.integers(-2, 3)), 8 + int(rng.integers(-2, 3))) if k < 12 else OTHER
        frames.append(frame(luma))
    said = check(save_film(tmp_path / "in.mkv", frames, codec="ffv1"))
    assert said["cuts"] == "1 at 12" and said["steadiness"].startswith(
        "black bars top 16, bottom 16; unsteady")
    assert "crop=96:64:0:16" in said["first"] and "steady it" in said["first"]


def test_a_steady_pan_is_not_unsteady():
    look = FilmStatistics()
    for k in range(10):
        look.see(np.repeat(view(3 * k)[..., None], 3, -1))
    assert look.unsteadiness() < 0.002 and np.allclose(look.shifts, [(0, -3 / 96)] * 9, atol=0.003)


@pytest.mark.parametrize("moved", [(0, 0), (2, -5), (-3, 1)])
def test_motion_as_a_whole_is_measured(moved):
    found = shift(view(60, 8).astype(float), view(60 - moved[1], 8 - moved[0]).astype(float))
    assert np.abs(np.array(found) - moved).max() < 0.3


def test_a_variable_rate_and_what_is_left_out_are_said(tmp_path, check):
    path = save_film(tmp_path / "in.mp4", grey_ramp(8), stamps=[0, 40, 80, 300, 340, 700, 900, 1000],
                     time_base=Fraction(1, 1000))
    assert "on average, variable" in check(path)["rate"]
    deep = save_film(tmp_path / "in.mkv",
                     [planar("yuv420p12le", np.full((32, 48), 900, np.uint16), 2048, 2048)] * 8, codec="ffv1")
    assert "left out: 2 of 12 bits" in check(deep)["kept"] and "left out: nothing" in check(
        deep, "--lossless")["kept"]


def test_a_film_that_cannot_be_read_to_its_end_is_reported_with_its_trouble(tmp_path, check):
    path = save_film(tmp_path / "in.mkv", grey_ramp(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert "cut short" in check(path)["first"]


def test_the_estimate_is_the_time_of_a_block_times_the_film(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "METHODS", ("copy",))
    film = read_video(save_film(tmp_path / "in.mp4", grey_ramp(4)))
    assert checking.estimate(film, 4, 32, torch.device("cpu")) == "copy 1 s"
    assert "h" in checking.estimate(film, 10**8, 32, torch.device("cpu"))


def test_a_folder_of_films_is_checked_one_by_one(tmp_path, capsys):
    save_film(tmp_path / "a.mp4", grey_ramp(2))
    assert main(["colorize", "--check", str(tmp_path)
                 ]) == 2 and "give that film as IN" in capsys.readouterr().err


def test_without_check_a_method_and_an_output_are_wanted(tmp_path, capsys):
    assert main(["colorize", str(tmp_path / "in.mp4")]) == 2
    assert "colorize wants --method and -o; or --check" in capsys.readouterr().err
