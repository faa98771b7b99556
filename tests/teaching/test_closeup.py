"""The part of a picture around a pixel."""

import numpy as np
import pytest

from colorlab.teaching.closeup import closeup


@pytest.mark.parametrize("at, top, left", [((6, 12), 4, 8), ((0, 0), 0, 0), ((11, 23), 8, 16)])
def test_a_closeup_is_a_third_of_the_picture_around_the_pixel_and_inside_of_it(at, top, left):
    picture = np.arange(12 * 24 * 3).reshape(12, 24, 3).astype(np.uint8)
    assert np.array_equal(closeup(picture, at), picture[top:top + 4, left:left + 8])
