"""Films that play on a page."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from colorlab.teaching import playback


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(playback, "display", lambda data, raw: found.append(data))
    return found


def film(value, count=3):
    return [np.full((16, 28, 3), value + 40 * t, np.uint8) for t in range(count)]


def test_two_films_play_side_by_side_in_a_loop(shown):
    playback.play(film(20), film(100), names=("dark", "<light>"), rate=10, width=140)
    page = shown[0]["text/html"]
    picture = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])))
    assert (picture.n_frames, picture.info["loop"]) == (3, 0)
    levels = []
    for t in range(3):
        picture.seek(t)
        pixels = np.asarray(picture.convert("RGB")).astype(int)
        levels.append([pixels[-10, 70].mean(), pixels[-10, -70].mean()])
        assert picture.info["duration"] == 100
    assert np.abs(np.array(levels) - [[20, 100], [60, 140], [100, 180]]).max() < 6
    assert "&lt;light&gt;" in page and "http" not in page


def test_the_still_is_the_frame_in_the_middle(shown):
    playback.play(film(20), width=140)
    still = np.asarray(Image.open(io.BytesIO(shown[0]["image/jpeg"]))).astype(int)
    assert abs(still[40, 70].mean() - 60) < 4


@pytest.mark.parametrize("films", [(), ([],), (film(0), film(0, 2))])
def test_films_of_one_length_are_asked_for(films):
    with pytest.raises(ValueError, match="one length"):
        playback.play(*films)
