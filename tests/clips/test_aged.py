"""An old film made of a new one: each kind of wear does what it says, alone, and the truth lies where the
film shows it."""

import numpy as np
import pytest

from colorlab import clips
from colorlab.clips import ORTHOCHROMATIC, Wear, aged
from colorlab.files.errors import InputError
from colorlab.film.check import shift

NONE = dict(weave=0.0, flicker=0.0, grain=0.0, fade=0.0, dust=0.0, scratches=0)


@pytest.fixture(scope="module")
def film():
    return clips.film("face", 8, 64, 112)


def light(stored):
    stored = stored / 255.0
    return np.where(stored > 0.04045, ((stored + 0.055) / 1.055) ** 2.4, stored / 12.92)


def test_a_film_without_wear_is_its_own_grey(film):
    old = aged(film, Wear(**NONE))
    assert np.array_equal(old.truth, film) and not old.damage.any() and np.array_equal(old.kept, np.arange(8))
    expected = (light(film) * (0.2126, 0.7152, 0.0722)).sum(-1)
    assert np.abs(light(old.frames[..., 0]) - expected).max() < 0.006
    assert (old.frames == old.frames[..., :1]).all()


def test_a_stock_that_does_not_see_red_turns_it_black():
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert (
        aged(red, Wear(**NONE, stock=ORTHOCHROMATIC)).frames.max() == 0 < aged(red, Wear(**NONE)).frames.min()
    )


def test_a_seed_wears_the_same_again_and_another_does_not(film):
    one, same, other = aged(film, seed=3), aged(film, seed=3), aged(film, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(one, same))
    assert not np.array_equal(one.frames, other.frames) and not np.array_equal(one.offset, other.offset)


def test_one_kind_of_wear_is_turned_off_and_the_others_stay(film):
    with_grain, without = aged(film, Wear(), 1), aged(film, Wear(grain=0.0), 1)
    assert all(np.array_equal(a, b) for a, b in zip(with_grain[1:], without[1:]))
    clean = ~with_grain.damage
    assert 2 < np.std((with_grain.frames.astype(int) - without.frames)[clean][..., 0]) < 0.06 * 255


def test_the_picture_moves_by_what_is_said_and_the_truth_with_it(film):
    """Measured by phase correlation on a film in which nothing else moves."""
    still = np.repeat(film[:1], 6, axis=0)
    old = aged(still, Wear(**NONE | {"weave": 2.0}), 2)
    assert np.abs(old.offset).max() > 1
    for frames in (old.frames[..., 0], old.truth[..., 1]):
        found = [
            shift(before, after) for before, after in zip(frames.astype(float), frames[1:].astype(float))
        ]
        assert np.abs(np.array(found) - np.diff(old.offset, axis=0)).max() < 0.25


def test_flicker_is_a_factor_on_light(film):
    still = np.repeat(film[:1] // 2, 5, axis=0)  # dark enough that nothing is blown out
    old = aged(still, Wear(**NONE | {"flicker": 0.2}), 0)
    means = light(old.frames[..., 0]).mean((1, 2))
    assert np.std(np.log(old.exposure)) > 0.05
    assert means / means[0] == pytest.approx(old.exposure / old.exposure[0], rel=0.02)


def test_fading_takes_the_black(film):
    assert aged(film, Wear(**NONE | {"fade": 0.3})).frames.min() > 60 + aged(film, Wear(**NONE)).frames.min()


def test_damage_is_where_it_is_said_to_be_and_nowhere_else(film):
    old, clean = aged(film, Wear(**NONE | {"dust": 4.0, "scratches": 3}), 5), aged(film, Wear(**NONE))
    changed = (old.frames != clean.frames).any(-1)
    assert not changed[~old.damage].any() and changed[old.damage].mean() > 0.9
    assert 0.002 < old.damage.mean() < 0.1


def test_a_splice_loses_frames_and_the_picture_jumps(film):
    old = aged(film, Wear(**NONE, splice=3, lost=2, jump=6.0))
    assert old.kept.tolist() == [0, 1, 2, 5, 6, 7] and len(old.frames) == len(old.truth) == 6
    assert np.diff(old.offset[:, 0]).tolist() == [0, 0, 3.0, -1.5, -0.75]  # half of it at a height of 64
    assert old.damage[3, :2].all() and old.damage[2, -2:].all() and not old.damage[[0, 1, 4, 5]].any()


@pytest.mark.parametrize("splice, lost", [(0, 1), (7, 1), (3, 5), (3, -1)])
def test_a_splice_lies_within_the_film(film, splice, lost):
    with pytest.raises(InputError, match="does not fit"):
        aged(film, Wear(splice=splice, lost=lost))


def test_what_is_no_film_is_refused(film):
    with pytest.raises(InputError, match="uint8"):
        aged(film / 255.0)
    with pytest.raises(InputError, match="uint8"):
        aged(film[0])


def test_a_larger_picture_is_worn_in_proportion():
    small, large = (aged(clips.film("face", 3, height, width), Wear(**NONE | {"weave": 1.0}), 0)
                    for height, width in ((64, 112), (128, 224)))
    assert np.allclose(2 * small.offset, large.offset)
