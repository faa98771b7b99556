"""A stroke colours the thing it lies on, and stops at its edge."""

import numpy as np
import pytest

from colorlab.film.scribbles import spread_strokes


@pytest.fixture
def halves():
    """A dark half and a light one, with a little texture."""
    rng = np.random.default_rng(0)
    l = np.where(np.arange(40) < 20, 30.0, 70.0)[None].repeat(24, 0) + rng.normal(0, 0.5, (24, 40))
    known, ab = np.zeros((24, 40), bool), np.zeros((2, 24, 40))
    known[10:13, 3:6] = known[10:13, 34:37] = True
    ab[0, :, :20], ab[1, :, 20:] = 50.0, -40.0
    return l, ab, known


def test_two_strokes_colour_two_things_up_to_the_edge_between_them(halves):
    l, ab, known = halves
    found = spread_strokes(l, ab, known)
    assert np.abs(found - ab).mean() < 2 and np.abs(found - ab)[:, :, 19:21].max() < 12


def test_what_was_painted_stays(halves):
    l, ab, known = halves
    assert np.allclose(spread_strokes(l, ab, known)[:, known], ab[:, known], atol=1e-4)


def test_one_stroke_colours_everything_alike_and_no_colour_is_invented(halves):
    l, ab, known = halves
    known[:, 20:] = False
    found = spread_strokes(l, ab, known)
    assert np.allclose(found[0], 50, atol=0.1) and np.allclose(found[1], 0, atol=0.1)


def test_nothing_known_is_an_error(halves):
    with pytest.raises(ValueError, match="at least one pixel"):
        spread_strokes(halves[0], halves[1], np.zeros_like(halves[2]))
