"""Methods side by side: intervals, tables, what is counted as memory."""

import numpy as np
import pytest
import torch
from PIL import Image

import colorlab
from colorlab.experiments import compare
from colorlab.files.errors import InputError
from colorlab.metrics import METRICS


@pytest.fixture(scope="module")
def films():
    return compare.embedded_films(frames=6, height=16, width=24, names=("layers", "zoom", "rotation"))


@pytest.fixture(scope="module")
def comparison(films):
    """copy; the truth itself; and a method that paints grey."""
    copied = compare.run(colorlab.load("copy"), films)
    truth = compare.Result({film.name: list(film.frames) for film in films}, 0.0, 0.0)
    grey = compare.Result(
        {
            film.name: [
                np.repeat(frame.mean(-1, keepdims=True), 3, -1).astype(np.uint8) for frame in film.frames
            ] for film in films
        }, 0.0, 0.0)
    return compare.compare({"copy": copied, "truth": truth, "grey": grey}, films,
                           ("psnr", "psnr_pooled", "colorfulness", "cdc"))


def test_equal_values_leave_no_doubt():
    assert compare.bootstrap([3.0, 3.0, 3.0]) == (3.0, 3.0, 3.0)


def test_the_interval_of_two_values_is_known():
    # means of two drawn from {0, 1}: 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4
    assert compare.bootstrap([0.0, 1.0]) == (0.5, 0.0, 1.0)
    assert compare.bootstrap([0.0, 1.0], level=0.4) == (0.5, 0.5, 0.5)


def test_the_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(0).normal(10, 2, 400)
    mean, low, high = compare.bootstrap(values, samples=4000)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.02)


def test_a_seed_draws_the_same_again_and_another_does_not():
    values = np.random.default_rng(0).normal(size=9)
    assert compare.bootstrap(values, 1) == compare.bootstrap(values, 1) != compare.bootstrap(values, 2)


def test_frames_of_one_number_each_are_asked_for():
    with pytest.raises(ValueError, match="one number for each clip"):
        compare.bootstrap([])


def test_pairing_by_clip_sees_what_two_intervals_hide():
    hard_and_easy = np.array([20.0, 25, 30, 35, 40, 45])
    psnr = lambda values: {f"clip {n}": {"psnr": value} for n, value in enumerate(values)}
    table = compare.Comparison(
        {"a": psnr(hard_and_easy), "b": psnr(hard_and_easy + [1, 1.2, 0.8, 1, 1.1, 0.9])}, {}, {}, {})
    a, b, gain = table.interval("a", "psnr"), table.interval("b", "psnr"), table.gain("b", "a", "psnr")
    assert a.high > b.low and gain.low > 0.8 and gain.mean == pytest.approx(1)


def test_the_film_itself_is_the_best(comparison):
    assert comparison.ranking("psnr") == ["truth", "copy", "grey"]


def test_like_the_truth_is_not_the_lowest_or_the_highest(comparison):
    assert comparison.distances("truth", "cdc") == pytest.approx([0, 0, 0])
    assert comparison.ranking("colorfulness")[0] == "truth" and comparison.ranking(
        "colorfulness")[-1] == "grey"


def test_a_metric_of_the_whole_set_has_no_interval(comparison):
    assert (
        comparison.interval("copy", "psnr_pooled") is None and comparison.column("copy", "psnr_pooled") == []
    )
    assert comparison.gain("copy", "grey", "psnr_pooled") is None
    assert comparison.whole["copy"]["psnr_pooled"] < comparison.whole["copy"]["psnr"]


def test_the_exemplar_is_not_scored(comparison):
    assert all(value < 100 for value in comparison.column("copy", "psnr"))


def test_one_film_is_a_table_too(films):
    result = compare.run(colorlab.load("copy"), films[:1])
    table = compare.compare({"copy": result}, films[:1], ("psnr",))
    assert table.interval("copy", "psnr").mean == pytest.approx(table.whole["copy"]["psnr"])


def test_what_needs_a_network_is_left_out_of_the_offline_metrics():
    assert set(compare.OFFLINE) == {
        name for name in METRICS if not name.startswith(("lpips", "fid", "fvd", "frechet", "perceptual"))
    } and "cdc" in compare.OFFLINE


def test_a_method_that_paints_its_own_reference_is_given_none(films):
    model = colorlab.load("tcavc", "tiny")
    own = list(colorlab.colorize(films[0].frames, None, model))
    assert np.array_equal(compare.run(model, films[:1]).films["layers"], own)


def test_memory_counts_what_is_alive_together():
    with compare.TensorMemory() as memory:
        a = torch.zeros(1000)        # 4000 bytes
        b = a + 1                    # 8000 together
        c = b.view(10, 100).mT       # no copy
        del a
        d = torch.zeros(500)         # 6000 together
    assert (memory.peak, memory.now) == (8000, 6000) and len(c) == 100 and len(d) == 500


def test_memory_does_not_count_what_was_there_before():
    before = torch.zeros(1000)
    with compare.TensorMemory() as memory:
        view = before[:10].clone()
    assert memory.peak == 40 and len(view) == 10


def test_a_network_holds_its_weights_and_more(films):
    model = colorlab.load("lstvc", "tiny")
    weights = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert weights < compare.peak_memory(model, films[0]) < weights + 20 * compare.MEBIBYTE


def test_a_table_is_aligned_and_says_what_is_missing():
    text = compare.text_table(("name", "a", "long head"), [("x", 1.23456, None), ("longer", 1234.5, 7)])
    assert text.splitlines() == [
        "name        a  long head", "x       1.235          -", "longer   1234          7"
    ]


@pytest.mark.parametrize("value, shown", [(24.512, "24.51"), (0.8, "0.800"), (0.00048575, "0.000486"),
                                          (123.45, "123.5"), (-3.0, "-3.000"), (54321.0, "54321"),
                                          (0.0, "0.00")])
def test_numbers_have_the_digits_that_count(value, shown):
    assert compare.number(value) == shown


def test_a_folder_of_photographs_has_no_clips(tmp_path):
    Image.new("RGB", (40, 32)).save(tmp_path / "holiday.jpg")
    with pytest.raises(InputError, match="no clip below"):
        compare.films_below(tmp_path, 5, 32)


def painted(*frames):
    """One colour a frame, as what a method made of a film of 16 x 16."""
    return compare.Result({"film": [np.full((16, 16, 3), color, np.uint8) for color in frames]}, 0.0, None)


def test_the_frame_in_which_methods_differ_most_is_found():
    red, dull, grey = (200, 40, 40), (140, 100, 100), (120, 120, 120)
    results = {"a": painted(red, grey, red, dull), "b": painted(grey, grey, grey, grey)}
    film = compare.Film("film", results["a"].films["film"])
    calm = compare.Film("calm", film.frames)
    for result in results.values():
        result.films["calm"] = [result.films["film"][1]] * 4
    # frame 0, as far apart, is the exemplar's
    assert compare.most_different(results, [calm, film]) == (film, 2)
    assert compare.most_different(results, [calm, film], skip=(0, 2)) == (film, 3)
    assert compare.disagreement(results, film)[1] == 0


def test_disagreement_is_in_units_of_ab():
    """Two methods on either side of grey, each 30 from it: their standard deviation is 30."""
    from colorlab.color import lab_to_rgb, rgb_to_frames
    one, other = (rgb_to_frames(lab_to_rgb(torch.tensor([50.0, a, 0]).view(3, 1, 1).expand(3, 16, 16)))
                  for a in (30.0, -30.0))
    results = {
        name: compare.Result({"film": [frame]}, 0.0, None) for name, frame in (("a", one), ("b", other))
    }
    assert compare.disagreement(results, compare.Film("film", [one])) == pytest.approx([30], abs=1)


def test_estimated_motion_is_that_of_a_film_that_moves():
    film = compare.embedded_films(frames=3, height=48, width=80, names=("zoom",))[0]
    exact, found = film.flow(1, None, None), compare.estimated(film.frames, 48)(1, None, None)
    for one, other in ((exact.forward, found.forward), (exact.backward, found.backward)):
        assert (one - other).norm(dim=1).median() < 0.25 < one.norm(dim=1).median()


def test_real_films_have_their_frames_and_one_flow_for_all():
    film, = compare.real_films(3, 32, 56, names=("face",), step=4, flow_short_side=32)
    assert len(film.frames) == 3 and film.frames[0].shape == (32, 56, 3)
    assert np.array_equal(film.frames[1], colorlab.clips.film("face", 1, 32, 56, start=4)[0])
    assert film.flow(0, None, None).forward.shape == (1, 2, 32, 56)


def test_a_method_may_see_less_than_the_film_has():
    model, films = colorlab.load("copy"), compare.embedded_films(2, 32, 48, names=("layers",))
    small = compare.run(model, films[:1], memory=False, size=16).films[films[0].name]
    assert small[1].shape == films[0].frames[1].shape and not np.array_equal(
        small[1],
        compare.run(model, films[:1], False).films[films[0].name][1])


def test_memory_of_a_few_frames_is_less(films):
    assert 0 < compare.run(colorlab.load("copy"), films[:1], memory=2).peak_memory_mb < compare.run(
        colorlab.load("copy"), films[:1]).peak_memory_mb
