import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import colorlab
from colorlab import clips
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.files.video import write_image, write_video
from colorlab.teaching import explore, plots
from colorlab.teaching.explore import Explorer, View, colors_from
from colorlab.teaching.explorer_tiles import heat


def look(at, frame=0):
    """A source that answers exactly where it is asked, in a picture whose shade is the frame."""
    heat = np.zeros((20, 30))
    heat[at] = 1
    return View(np.full((20, 30, 3), 10 * frame, np.uint8), {"reference": heat}, note=f"frame {frame}")


def test_a_click_redraws_the_heat_map():
    explorer = Explorer(look, at=(3, 4), frame=(0, 5, 0))
    before = explorer.answer.tiles
    explorer.at = (10, 20)
    assert explorer.view.maps["reference"][10, 20] == 1
    assert explorer.answer.tiles != before


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


def test_a_question_moves_nothing():
    explorer = Explorer(look, at=(3, 4), frame=(0, 5, 1))
    view = explorer.ask((10, 20), frame=4)
    assert view.note == "frame 4" and view.maps["reference"][10, 20] == 1
    assert explorer.at == (3, 4) and explorer.controls["frame"].value == 1 and explorer.view.note == "frame 1"


def test_a_question_about_an_unknown_setting_is_refused():
    with pytest.raises(InputError, match="no setting fram; it has frame"):
        Explorer(look, frame=(0, 5, 0)).ask(fram=2)


def test_names_are_text_of_the_page_and_whole():
    name = "a source whose name is longer than any picture is wide, as that of a linkage state of a frame that was long ago"
    explorer = Explorer(lambda at: View(np.zeros((20, 30, 3), np.uint8), {name: np.full((20, 30), 1 / 600)}))
    assert [tile[0] for tile in explorer.answer.tiles] == [f"{name}: 100 %"]


def test_a_map_of_one_pixel_is_seen_at_its_place():
    values = np.zeros((64, 96))
    values[40, 60] = 1
    seen = heat(values, np.zeros((64, 96, 3), np.uint8)).astype(int).sum(-1)  # twice as large
    warm = seen > 300
    y, x = np.argwhere(warm).mean(0)
    assert warm.sum() >= 40 and abs(y - 81) < 6 and abs(x - 121) < 6


def test_a_map_that_is_the_same_everywhere_has_no_ring():
    behind = np.zeros((64, 96, 3), np.uint8)
    even = heat(np.full((64, 96), 1 / 6144), behind)
    assert (even == even[0, 0]).all()


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


def frames(name="parallax", count=3):
    return clips.embedded_clip(name, frames=count, height=32, width=48).frames


@pytest.mark.parametrize(
    "reference",
    [None, (1, frames()[1]),
     frames("rotation", 1)[0], [(0, frames()[0]), frames("rotation", 1)[0]]],
    ids=["none", "a frame", "a picture", "two"])
def test_frames_and_references_of_ones_own_are_explored(reference):
    explorer = explore.open(frames(), reference, method="copy", grid=None)
    assert sum(
        explorer.view.shares.values()) == pytest.approx(1) and explorer.view.picture.shape == (3, 32, 48)


def test_files_of_ones_own_are_explored(tmp_path):
    film, picture, weights = tmp_path / "film.mp4", tmp_path / "picture.png", tmp_path / "weights.safetensors"
    write_video(film, frames(count=4), rate=12)
    write_image(picture, frames()[2])
    model = colorlab.load("cavc", "tiny", seed=3)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, weights)
    explorer = explore.open(film, f"{picture}@2", "cavc", weights, preset="tiny", start=1, grid=None)
    explorer.controls["frame"].value = 1  # the film's frame 2
    assert "reference (frame 1)" in explorer.view.maps and explorer.controls["frame"].max == 2


def test_a_transparent_part_of_a_reference_gives_no_colour(tmp_path):
    painted = np.dstack((frames()[0], np.full((32, 48), 255, np.uint8)))
    painted[:, 24:, 3] = 0
    Image.fromarray(painted).save(tmp_path / "painted.png")
    explorer = explore.open(frames(), f"{tmp_path / 'painted.png'}@0", "copy", grid=None)
    shown = rgb_to_lab(torch.as_tensor(explorer.view.picture))[1:].abs()
    assert shown[:, :, :24].mean() > 5 and shown[:, :, 24:].max() < 1


def test_a_long_film_is_read_no_further_than_it_is_seen():
    read = []
    explore.open((read.append(0) or frame for frame in frames(count=9)),
                 frames()[0], "copy", frames=2, grid=None)
    assert len(read) == 2


def test_a_film_is_made_smaller():
    assert explore.open(frames(), None, "copy", size=16, grid=None).view.picture.shape == (3, 16, 24)


def test_a_grey_film_is_not_said_to_be_off():
    grey = np.repeat(frames().mean(-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    assert "off by" not in explore.open(grey, frames()[0], "copy", grid=None).view.note
    assert "off by" in explore.open(frames(), frames()[0], "copy", grid=None).view.note


@pytest.mark.parametrize("wrong, complaint", [({"film": "no_such_film.mp4"}, "no_such_film"),
                                              ({"frames": 0}, "at least 1 frame"),
                                              ({"start": 7}, "no frame 7"), ({"size": 3}, "too small"),
                                              ({"reference": (9, frames()[0])}, "outside the frames"),
                                              ({"reference": "nowhere.png"}, "nowhere.png"),
                                              ({"method": "magic"}, "magic")])
def test_what_cannot_be_explored_is_said_in_one_line(wrong, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        explore.open(**{"film": frames(), "method": "copy", "grid": None} | wrong)
    assert "\n" not in str(error.value)
