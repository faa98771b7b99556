"""What an interrupted job left is looked at before it is built upon; what it delivered is recognised; the
input stays the same."""

import json
import os

import av
import numpy as np
import pytest
import torch
from films import StopAfter, Stopped, patches, save_film, with_tone
from PIL import Image

import colorlab
import colorlab.film.job as restoring
from colorlab.cli import main
from colorlab.files.errors import InputError
from colorlab.files.video import read_video
from colorlab.files.video.segments import join_segments
from colorlab.film.references import guide
from colorlab.film.job import FilmJob, restore

GREY = patches(5, 7)
PICTURE = (GREY * (np.array((200, 90, 60)) / 255)).astype(np.uint8)


@pytest.fixture
def film(tmp_path):
    frames = [
        av.VideoFrame.from_ndarray(np.roll(GREY, n, 1), "rgb24").reformat(format="yuv420p") for n in range(25)
    ]
    Image.fromarray(PICTURE).save(tmp_path / "ref.png")
    return save_film(tmp_path / "in.mkv", frames, codec="libx264", extra=with_tone)


def job_for(film, output, confidence=None):
    return FilmJob(read_video(film), output, colorlab.load("copy" if confidence is None else "lstvc", "tiny"),
               None, torch.device("cpu"), {}, 24, confidence, 6)


def do(job, stop=None):
    on_frames = StopAfter(stop)
    try:
        restore(job, guide(job.film, [(0, PICTURE)], [10]), on_frames)
    except Stopped:
        pass
    return on_frames.seen


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)


def empty(path):
    path.write_bytes(b"")


def replace(path):
    path.write_text("[3]")


@pytest.mark.parametrize("name, damage, kept", [
    *(("out.mp4", damage, "segment") for damage in (cut, flip, empty, replace, lambda path: path.unlink())),
    ("out", cut, "segment"),
    ("out", flip, "segment"), *(("out.mp4", damage, "*.state") for damage in (cut, flip, empty)),
    ("out.mp4", cut, "cuts.json"), ("out.mp4", replace, "cuts.json"), ("out.mp4", replace, "[0-9]*2.json"),
    ("out.mp4", empty, "job.json")
])
def test_damaged_work_is_made_anew(film, tmp_path, name, damage, kept):
    (tmp_path / "whole").mkdir()
    do(job_for(film, tmp_path / "whole" / name))
    job = job_for(film, tmp_path / name)
    do(job, stop=20)
    assert job_for(film, tmp_path / name).unfinished().segments >= 2
    pattern = (
        "picture/000000.nut" if "." in name else "picture/frames/00001.png") if kept == "segment" else kept
    damage(sorted(job.folder.glob(pattern))[0])
    again = job_for(film, tmp_path / name)
    assert again.unfinished().segments < 2 or kept == "cuts.json"
    do(again)
    files = sorted((tmp_path / name).iterdir()) if "." not in name else [tmp_path / name]
    for file in files:
        assert file.read_bytes() == (tmp_path / "whole" / file.relative_to(tmp_path)).read_bytes()
    assert len(files) in (1, 25) and not job.folder.exists()


def test_what_is_joined_is_counted(film, tmp_path, monkeypatch):
    def fewer(path, segments, *more):
        return join_segments(path, segments[:-1], *more)

    monkeypatch.setattr("colorlab.film.output.join_segments", fewer)
    with pytest.raises(InputError, match="its segments hold 24 frames of 25"):
        do(job_for(film, tmp_path / "out.mp4"))
    assert not (tmp_path / "out.mp4").exists()


def test_a_film_that_is_replaced_meanwhile_gets_no_old_pictures(film, tmp_path):
    job = job_for(film, tmp_path / "out.mp4")
    assert job.description
    other = film.read_bytes()
    film.unlink()
    film.write_bytes(other)  # the same again, at another time: a copy may be another film
    os.utime(film, (1, 1))
    with pytest.raises(InputError, match="changed or replaced while it was coloured"):
        do(job)
    assert not (tmp_path / "out.mp4").exists()
    assert do(job_for(film, tmp_path / "out.mp4")) == 25


def command(film, out, *more):
    return [
        "colorize",
        str(film), "--reference", f"{film.parent / 'ref.png'}@0", "--method", "copy", "-o",
        str(film.parent / out), *more
    ]


def test_a_folder_of_frames_that_is_done_can_be_given_again_and_is_told_from_others(film, tmp_path, capsys):
    assert main(command(film, "out")) == 0
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()}
    assert main(command(film, "out")) == 0
    assert "done before" in capsys.readouterr().err and before == {
        file: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()
    }
    assert main(command(film, "out", "--size", "32")) == 2
    assert "the frames of another job" in capsys.readouterr().err
    (tmp_path / "out" / "00003.png").unlink()
    assert main(command(film, "out")) == 2
    (tmp_path / "other").mkdir()
    Image.fromarray(PICTURE).save(tmp_path / "other" / "00000.png")
    assert main(command(film, "other")) == 2
    assert "that folder is not empty" in capsys.readouterr().err


@pytest.mark.parametrize("out, sure", [("out", "sure"), ("out.mp4", "sure"), ("out", "sure.mkv")])
def test_killed_between_map_and_picture_both_are_delivered_in_the_end(film, tmp_path, monkeypatch, out, sure):
    def job():
        return job_for(film, tmp_path / out, tmp_path / sure)

    for kind in (restoring.open_track.__globals__["FilmTrack"],
                 restoring.open_track.__globals__["FolderTrack"]):
        finish = kind.finish
        monkeypatch.setattr(
            kind, "finish", lambda self, frames, finish=finish: finish(self, frames)
            if self.output.name == sure else (_ for _ in ()).throw(Stopped))
    do(job())
    monkeypatch.undo()
    assert (tmp_path / sure).exists() and not (tmp_path / out).exists()
    assert do(job()) == 0  # nothing is coloured again
    assert read_video(tmp_path / out).count() == read_video(
        tmp_path / sure).count() == 25 and not job().folder.exists()
    assert job().delivered() == ("." not in out + sure)


def test_what_a_killed_process_never_began_is_removed(film, tmp_path):
    for name, old in ((".gone.mp4.unfinished", True), (".young.mp4.unfinished", False)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").touch()
        if old:
            os.utime(tmp_path / name, (1, 1))
    do(job_for(film, tmp_path / "out.mp4"))
    assert [entry.name for entry in tmp_path.glob(".*")] == [".young.mp4.unfinished"]


def test_a_batch_goes_on_whatever_has_become_of_its_record(film, tmp_path, capsys):
    films = tmp_path / "films"
    (films / "strip").mkdir(parents=True)
    film.rename(films / "a.mkv")
    for n in range(3):
        Image.fromarray(GREY).save(films / "strip" / f"{n}.png")
    given = [
        "colorize",
        str(films), "--reference", f"{tmp_path / 'ref.png'}@0", "--method", "copy", "-o",
        str(tmp_path / "out")
    ]
    assert main(given) == 0
    for record in ("[]", "", '{"a.mkv": 3, "strip": null}', "\xff"):
        (tmp_path / "out" / ".colorlab-done.json").write_text(record)
        assert main(given) == 0, record
    assert (
        sorted(os.listdir(tmp_path / "out")) == ["a.mkv", "strip"]
        and "done before" in capsys.readouterr().err
    )
    assert json.dumps(sorted(os.listdir(tmp_path / "out" / "strip"))) == '["0.png", "1.png", "2.png"]'
