import numpy as np
import pytest
import torch

from colorlab.files.errors import InputError
from colorlab.papers.lstvc import LSTVC, LSTVCConfig
from colorlab.papers.tcavc.reference import ReferenceColorizer
from colorlab.papers.tcavc.script import color_film, cover_and_crop, paint_first

SIZES = {"full": (48, 80), "small": (24, 40)}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return LSTVC(LSTVCConfig.tiny()).eval()


def pictures(count, height=48, width=80):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_a_picture_of_the_right_size_is_left_alone():
    picture = pictures(1)[0]
    assert cover_and_crop(picture, (48, 80)) is picture


def test_a_wide_picture_loses_its_sides_and_a_tall_one_its_top_and_bottom():
    wide, tall = np.zeros((48, 120, 3), np.uint8), np.zeros((100, 80, 3), np.uint8)
    wide[:, 20:100], tall[26:74] = 200, 200
    assert (cover_and_crop(wide, (48, 80)) == 200).all() and (cover_and_crop(tall, (48, 80)) == 200).all()


def test_every_shape_is_covered():
    sides = (*range(1, 60, 9), 47, 77)  # 47 * (24 / 47) and 77 * (40 / 77) are a rounding below 24 and 40
    assert {cover_and_crop(pictures(1, H, W)[0], (24, 40)).shape
            for H in sides
            for W in sides} == {(24, 40, 3)}


def test_what_shrinks_is_smoothed():
    stripes = np.zeros((72, 120, 3), np.uint8)
    stripes[:, ::2] = 255
    # one pixel in three, unsmoothed, would be 0 or 255
    assert np.ptp(cover_and_crop(stripes, (24, 40))[:, 4:-4].astype(int)) < 80


def test_floats_are_refused():
    with pytest.raises(InputError, match="uint8 RGB"):
        cover_and_crop(np.zeros((4, 4, 3)), (2, 2))


def test_every_frame_comes_back_and_the_last_block_may_be_short(network):
    assert [frame.shape for frame in color_film(network, pictures(4, 30, 70), pictures(1)[0], **SIZES)] == [
        (48, 80, 3)
    ] * 4
    assert list(color_film(network, [], **SIZES)) == []


def test_without_a_reference_the_first_frame_is_it(network):
    frames = pictures(4)
    by_itself, with_it = (list(color_film(network, frames, reference, **SIZES))
                          for reference in (None, frames[0]))
    assert len(by_itself) == 4 and np.array_equal(by_itself, with_it)


def test_stage_1_looks_at_lightness_alone():
    torch.manual_seed(0)
    colorizer = ReferenceColorizer(4).eval()
    grey = pictures(1)[0, ..., :1].repeat(3, -1)
    lightness = grey.mean(-1)
    painted = paint_first(colorizer, grey, **SIZES)
    assert painted.shape == (48, 80, 3) and np.ptp(painted.astype(int), axis=-1).max() > 5
    assert np.corrcoef(painted.mean(-1).ravel(), lightness.ravel())[0, 1] > 0.95
