import base64
import io

import numpy as np
import pytest
from PIL import Image

import colorlab
from colorlab import clips
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.teaching import plots
from colorlab.teaching.explore import Explorer, View, colors_from


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


def test_every_methods_attention_can_be_explored():
    lab = rgb_to_lab(frames_to_rgb(clips.embedded_clip("parallax", frames=3, height=32, width=48).frames))
    explorer = colors_from(colorlab.load("copy"), lab, [(0, lab[:1])], at=(20, 30))
    explorer.controls["frame"].value = 2
    assert sum(explorer.view.shares.values()) == pytest.approx(1)
    assert explorer.view.maps["reference (frame 0)"][20, 30] == 1
    assert "frame 2, pixel (20, 30)" in explorer.note.value


def test_a_source_lies_on_its_own_picture():
    lab = rgb_to_lab(frames_to_rgb(clips.embedded_clip("parallax", frames=3, height=32, width=48).frames))
    other = rgb_to_lab(frames_to_rgb(clips.embedded_clip("rotation", frames=1, height=64, width=64).frames))
    explorer = colors_from(colorlab.load("copy"), lab, other)
    assert explorer.view.backgrounds["reference"].shape == (3, 32, 48)
    assert not np.allclose(explorer.view.backgrounds["reference"], frames_to_rgb(clips.embedded_clip(
        "parallax", frames=3, height=32, width=48).frames)[0], atol=0.05)
