"""The HTML with which an explorer answers where no kernel runs; what a browser makes of it is seen in
tests/browser."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from colorlab.files.errors import InputError
from colorlab.teaching import plots
from colorlab.teaching.explore import Explorer, View
from colorlab.teaching.explorer_page import LEVELS, Gathered, glow, grid_points, shades, shrunk

H, W = 64, 112


def look(at, frame=0, warmth="cold"):
    """Two sources: one answers where it is asked with three quarters, the other at its right lower corner."""
    near, far = np.zeros((H, W)), np.zeros((H, W))
    near[at], far[-1, -1] = 0.75, 0.25
    picture = np.full((H, W, 3), 20 * frame, np.uint8)
    return View(picture, {"near": near, "far": far}, {"near": picture},
                note=f"{warmth} frame {frame}, at <{at[0]}, {at[1]}>")


def data_of(html: str) -> dict:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL).group(1))


def image_of(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("L"))


def map_of(data: dict, setting: int, place: int, source: int) -> np.ndarray:
    """What the script cuts out of the atlas."""
    number, (h, w) = data["settings"][setting]["maps"][place][source], data["tile"]
    y, x = number // data["columns"] * h, number % data["columns"] * w
    return image_of(data["atlas"])[y:y + h, x:x + w]


def test_each_place_keeps_its_own_map():
    explorer = Explorer(look, at=(30, 50), grid=(4, 7), stops=[0, 3], frame=(0, 5, 0))
    data = data_of(explorer.page())
    h, w = data["tile"]
    for place, (y, x) in enumerate(grid_points((H, W), (4, 7))):
        near, far = (map_of(data, 1, place, source) for source in (0, 1))
        assert np.unravel_index(near.argmax(), near.shape) == (y * h // H, x * w // W) and near.max() == 255
        assert np.unravel_index(far.argmax(), far.shape) == (h - 1, w - 1)
        assert data["settings"][1]["notes"][place] == f"cold frame 3, at <{y}, {x}>"
        assert data["settings"][1]["shares"][place] == [75, 25]


def test_maps_that_are_alternatives_have_no_shares():
    def alternatives(at):
        return View(
            np.zeros((H, W, 3), np.uint8), {"one": np.eye(H, W), "other": np.ones((H, W))}, alternatives=True
        )

    explorer = Explorer(alternatives, grid=(2, 2))
    assert data_of(explorer.page())["settings"][0]["shares"] == [[None, None]] * 4
    assert [name for name, *_ in explorer.answer.tiles] == ["one", "other"] and not explorer.view.shares


def test_a_map_that_comes_again_is_kept_once():
    data = data_of(Explorer(look, grid=(4, 7), stops=[0, 3], frame=(0, 5, 0)).page())
    numbers = {number for setting in data["settings"] for maps in setting["maps"] for number in maps}
    assert numbers == set(range(29))  # 28 places, and the corner


def test_it_begins_where_the_explorer_is():
    explorer = Explorer(look, at=(60, 5), grid=(4, 7), stops=[0, 3], frame=(0, 5, 3))
    data = data_of(explorer.page())
    assert (data["setting"], data["place"]) == (1, 21) and [
        setting["label"] for setting in data["settings"]
    ] == ["frame 0", "frame 3"]


@pytest.mark.parametrize("first, wanted", [(0, [0, 4, 9]), (1, [1, 4, 9]), (9, [0, 4, 9]), (4, [4, 9])])
def test_a_slider_is_answered_for_at_a_few_values(first, wanted):
    data = data_of(Explorer(look, grid=(2, 2), frame=(0, 9, first)).page())
    assert [setting["label"] for setting in data["settings"]] == [f"frame {value}" for value in wanted]


def test_a_list_of_values_is_offered_and_the_other_controls_stay_as_they_are():
    explorer = Explorer(look, grid=(2, 2), warmth=["cold", "warm"], frame=(0, 5, 2))
    data = data_of(explorer.page())
    assert [setting["label"] for setting in data["settings"]] == ["warmth cold", "warmth warm"]
    assert data["settings"][1]["notes"][0].startswith("warm frame 2")


def test_a_stop_that_is_none_is_refused():
    with pytest.raises(InputError, match="frame cannot be 7"):
        Explorer(look, grid=(2, 2), stops=[7], frame=(0, 5, 2)).page()


def test_computing_it_moves_nothing():
    explorer = Explorer(look, at=(3, 4), grid=(2, 3), frame=(0, 5, 2))
    explorer.page()
    assert explorer.at == (3, 4) and explorer.controls["frame"].value == 2


def test_it_is_displayed_only_where_it_was_asked_for():
    def displayed(**grid):
        bundle = Explorer(look, **grid)._repr_mimebundle_()
        return bundle[0] if isinstance(bundle, tuple) else bundle
    assert "text/html" not in displayed() and "text/html" in displayed(grid=(2, 2))


def test_it_needs_no_network_and_ends_no_script_early():
    html = Explorer(lambda at: View(np.zeros((H, W, 3), np.uint8), note="</script><b>bold</b>"),
                    grid=(2, 2)).page()
    assert "http" not in html and "//" not in re.sub(r"//[^\n]*\n", "\n", re.sub(r"base64,[^\"]*", "", html))
    assert html.count("</script>") == 2 and data_of(html)["settings"][0]["notes"] == ["</script><b>bold</b>"]


def test_without_scripts_a_still_with_words_stands_there():
    html = Explorer(look, at=(3, 4), grid=(2, 2)).page()
    shown = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    still, alt = re.search(r'<img class="colorlab-still" src="data:image/webp;base64,([^"]*)" alt="([^"]*)">',
                           shown).groups()
    assert Image.open(io.BytesIO(base64.b64decode(still))).size[0] > 400
    assert "near 75 %, far 25 %" in alt and "(3, 4)" in alt


def test_panels_that_do_not_change_are_kept_once():
    shades = lambda at, frame: View(np.zeros((H, W, 3), np.uint8), panels={  # noqa: E731
        "all": np.full((H, W), float(frame)), "here": np.full((H, W, 3), at[0], np.uint8)})
    [setting] = data_of(Explorer(shades, grid=(3, 2), stops=[1], frame=(0, 3, 1)).page())["settings"]
    (_, everywhere), (_, here) = setting["panels"]
    assert len(everywhere) == 1 and len(here) == 6 and len(set(here)) == 3


def test_maps_become_coarser_until_the_page_is_small_enough():
    noise = np.random.default_rng(0)
    explorer = Explorer(lambda at: View(np.zeros((256, 448, 3), np.uint8), {"all": noise.random((256, 448))}),
                        grid=(4, 7))
    large, small = explorer.page(budget=10**9), explorer.page(budget=80_000)
    assert data_of(large)["tile"][0] == 64 and data_of(small)["tile"][0] < 64 and len(small) <= 80_000


def test_shrinking_loses_no_peak():
    values = np.zeros((30, 50), np.uint8)
    values[18, 33] = 200  # at the beginning of no cell
    small = shrunk(values, (7, 11))
    assert small.shape == (7, 11) and small.max() == 200 and (small > 0).sum() == 1


def test_an_atlas_is_no_larger_than_webp_allows():
    gathered = Gathered()
    for index in range(1200):
        values = np.zeros((800, 20))
        values[index % 800, index // 800] = 1
        gathered.map(values)
    sheet = image_of(gathered.atlas(512)["atlas"])
    assert max(sheet.shape) <= 16383


def test_shades_and_colors_are_those_of_the_heat_maps_in_notebooks():
    values = 3 * np.square(np.linspace(0, 1, LEVELS)).reshape(4, -1)
    assert np.abs(glow()[shades(values)].astype(int) - plots.heat(values)).max() <= 6  # of 255
