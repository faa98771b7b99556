import base64
import io

import numpy as np
import pytest
from PIL import Image

from colorlab import plots
from colorlab.explore import Explorer, View


def look(at, frame=0):
    """A source that answers exactly where it is asked, in a picture whose shade is the frame."""
    heat = np.zeros((20, 30))
    heat[at] = 1
    return View(np.full((20, 30, 3), 10 * frame, np.uint8), {"reference": heat}, note=f"frame {frame}")


def test_a_click_redraws_the_heat_map():
    explorer = Explorer(look, at=(3, 4), frame=(0, 5, 0))
    before = explorer.answer.value
    explorer.at = (10, 20)
    assert explorer.view.maps["reference"][10, 20] == 1
    assert explorer.answer.value != before


def test_a_slider_reaches_the_function():
    explorer = Explorer(look, frame=(0, 5, 0))
    explorer.controls["frame"].value = 3
    assert explorer.view.note == "frame 3" and explorer.note.value == "frame 3"


def test_the_browser_is_told_the_size_in_pixels_of_the_picture():
    assert Explorer(look).picture.size == [20, 30]


def test_a_page_that_cannot_run_shows_a_still():
    bundle = Explorer(look, at=(3, 4), frame=(0, 5, 2))._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    still = Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"])))
    assert still.size[0] >= 60 and "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == "Explorer(at=(3, 4), frame=2; shows: reference)"


def test_shares_sum_to_one():
    view = View(np.zeros((2, 2, 3), np.uint8), {"a": np.full((2, 2), 0.05), "b": np.full((2, 2), 0.2)})
    assert view.shares == pytest.approx({"a": 0.2, "b": 0.8})


def test_heat_is_brightest_at_the_peak():
    plane = np.zeros((8, 8))
    plane[2, 5] = 3
    brightness = plots.heat(plane).sum(-1)
    assert np.unravel_index(brightness.argmax(), brightness.shape) == (2, 5)
