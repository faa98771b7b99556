"""Pictures on a notebook's page: large, with whole labels, scales, and a line to drag that needs no
network."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from colorlab import clips
from colorlab.teaching import plots


@pytest.fixture
def shown(monkeypatch):
    """The mime bundles of all that is displayed."""
    bundles = []
    monkeypatch.setattr(plots, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


@pytest.fixture(scope="module")
def film():
    return clips.film("street", 3)


def image(bundle):
    kind = next(key for key in bundle if key.startswith("image/"))
    return np.array(Image.open(io.BytesIO(bundle[kind])).convert("RGB"))


@pytest.mark.parametrize("count", (1, 2, 3, 5))
def test_a_film_is_at_least_220_pixels_high_on_the_page(count, film):
    rows = -(-count // 2)
    sheet = plots.sheet(*[film[0]] * count)
    assert sheet.shape[0] >= 220 * rows and sheet.shape[1] <= plots.PAGE


def test_a_strip_takes_the_width_of_the_page(shown, film):
    plots.film_strip(film, film, names=("truth", "copy"), count=3)
    assert image(shown[0]).shape[1] >= plots.PAGE - 4


def test_films_are_enlarged_smoothly_unless_pixels_are_the_point():
    plane = np.zeros((2, 4), np.float32)
    plane[:, 2:] = 1
    assert len(np.unique(plots.sheet(plane))) > 20
    assert len(np.unique(plots.sheet(plane, smooth=False))) == 2


def test_a_long_title_is_broken_and_not_cut():
    text = "where the augmented head finds its colour, and an-unbreakable-word-of-more-than-its-width"
    lines = plots.wrapped(text, 14, 180)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(plots.font(14).getlength(line) for line in lines) <= 180


def test_values_get_a_scale_and_lightness_none():
    plane = np.linspace(0, 3, 128 * 224, dtype=np.float32).reshape(128, 224)
    bare, barred = (plots.sheet(plane, cmap=cmap) for cmap in ("gray", "viridis"))
    right = barred[:, -20:]                               # where the numbers of the bar stand, on white
    assert (right == 255).mean() > 0.5 and (right < 100).any()
    assert (bare[:, -20:] == 255).mean() < 0.1
    assert plots._bar_labels((0.0, 3.0)) == ["3.00", "1.50", "0.00"]


def test_a_bar_is_as_wide_as_its_longest_number(monkeypatch):
    beyond = []  # the tile, in pixels

    def watched(tile, pen, box, cmap, limits):
        beyond.append(box[2] + 3 + max(map(plots.font(11).getlength, plots._bar_labels(limits))) - tile.width)

    monkeypatch.setattr(plots, "_draw_bar", watched)
    plots.sheet(np.array([[0.00012, -1234567.0]], np.float32), cmap="viridis")
    assert beyond and max(beyond) <= 1


def test_the_line_moves_without_a_network_and_without_scripts_both_pictures_stand_there(shown, film):
    plots.before_after(film[0].mean(-1).astype(np.float32), film[0], names=("grey & old", "coloured"))
    page = shown[0]["text/html"]
    pictures = re.findall(r'<img[^>]*src="data:image/webp;base64,([^"]+)"', page)
    first, second = (np.array(Image.open(io.BytesIO(base64.b64decode(picture)))) for picture in pictures)
    assert np.ptp(first, axis=-1).max() < 12 < np.ptp(second, axis=-1).max()  # the first is grey
    assert "http" not in page and "<script" not in page and " id=" not in page and "grey &amp; old" in page
    assert 'type="range"' in page and "oninput" in page
    assert image(shown[0]).shape[0] >= 220                                    # a still for GitHub


def test_before_and_after_are_of_one_size(film):
    with pytest.raises(ValueError, match="of one size"):
        plots.before_after(film[0], film[0, ::2])


def test_curves_keep_labels_that_are_longer_than_the_axis(shown):
    plots.curves({f"a name that is rather long for a legend {n}": [1, 2, 3] for n in range(6)},
                 xlabel="frame")
    picture = image(shown[0])
    # the legend is whole, beside the axis
    assert (picture[:, -2:] == 255).all() and picture.shape[1] > 8.2 * 96


def test_a_sheet_of_the_command_line_holds_a_name_that_is_wider_than_its_picture():
    sheet = plots.contact_sheet({"frame 12, a reference with a long name": np.zeros((20, 40, 3), np.uint8)})
    assert sheet.shape[0] > 20 + 3 * 14
