import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from colorlab.clips import CLIPS, PHOTOGRAPHS, cache, embedded_clip, photograph
from colorlab.clips.layers import Layer, pixel_grid, render_layers, similarity_transform
from colorlab.clips.parallax import CONVERGENCE, fill_gaps, pieces, splat
from colorlab.files.errors import InputError
from colorlab.modules.flow import warp

SIZE = dict(frames=4, height=64, width=104)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("COLORLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


def linear_light(frames: np.ndarray) -> torch.Tensor:
    rgb = torch.from_numpy(frames).movedim(-1, 1).double() / 255
    return torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)


def residual(here: torch.Tensor, there: torch.Tensor, flow: np.ndarray) -> np.ndarray:
    """Mean difference of RGB after bringing `there` onto the grid of `here`: (T, H, W), in levels of 255."""
    return 255 * (warp(there, torch.from_numpy(flow).to(there)) - here).abs().mean(1).numpy()


@pytest.mark.parametrize("name", CLIPS)
def test_warping_along_the_flow_brings_each_frame_onto_its_neighbour(name):
    clip = embedded_clip(name, **SIZE)
    # the same exposure for all
    light = linear_light(clip.frames) / torch.from_numpy(clip.gain).view(-1, 1, 1, 1)
    for here, there, flow, reliable in (
        (light[:-1], light[1:], clip.forward, clip.reliable_forward),
        (light[1:], light[:-1], clip.backward, clip.reliable_backward),
    ):
        error = lambda dx, dy: residual(here, there, flow + np.float32(
            (dx, dy)).reshape(2, 1, 1))[reliable].mean()
        assert reliable.mean() > 0.5
        assert error(0, 0) < 4.5  # levels of 255 in linear light; nothing but resampling
        assert error(0,
                     0) < 0.85 * min(error(dx, dy) for dx, dy in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)))


@pytest.mark.parametrize("name", ["layers", "occlusion", "parallax"])
def test_what_is_marked_occluded_cannot_be_found_in_the_next_frame(name):
    clip = embedded_clip(name, 4, 64, 104, seed=1 if name == "occlusion" else 0)
    light = linear_light(clip.frames)
    error = residual(light[:-1], light[1:], clip.forward)
    pure = ~clip.mixed[:-1] & clip.inside_forward
    assert 0.003 < clip.occluded_forward.mean() < 0.2
    assert error[pure & clip.occluded_forward].mean() > 4 * error[pure & ~clip.occluded_forward].mean()


@pytest.mark.parametrize("name", CLIPS)
def test_the_way_back_leads_back(name):
    clip = embedded_clip(name, **SIZE)
    forward, backward = torch.from_numpy(clip.forward), torch.from_numpy(clip.backward)
    gap = (warp(backward, forward) + forward).abs().amax(1).numpy()[clip.reliable_forward]
    assert np.quantile(gap, 0.99) < 0.25 and gap.mean() < 0.02


def test_flow_of_a_turning_layer_is_the_turn_itself():
    angle = torch.tensor([0.1, 0.35], dtype=torch.float64)
    middle = torch.tensor([[10.0, 7.0]], dtype=torch.float64).expand(2, 2)
    pose = similarity_transform(middle, middle, torch.ones(2, dtype=torch.float64), angle)
    rendering = render_layers((Layer(torch.rand(3, 16, 24), pose, None),), 16, 24)
    place = pixel_grid(16, 24) - middle[0]
    turn = torch.tensor([[np.cos(0.25), -np.sin(0.25)], [np.sin(0.25), np.cos(0.25)]])
    assert_close(rendering.forward[0], (place @ turn.mT - place).movedim(-1, 0).float(), atol=1e-5, rtol=0)


def test_a_square_hides_what_it_moves_over_and_uncovers_what_it_leaves():
    still = torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    shifted = still.clone()
    shifted[1, 0, 2] = 3  # three pixels to the right
    square = torch.zeros(1, 12, 20)
    square[:, 4:8, 5:9] = 1
    rendering = render_layers((Layer(torch.zeros(3, 12, 20), still, None),
                               Layer(torch.ones(3, 12, 20), shifted, square)), 12, 20)
    covered, left = torch.zeros(12, 20, dtype=torch.bool), torch.zeros(12, 20, dtype=torch.bool)
    covered[4:8, 9:12] = True
    left[4:8, 5:8] = True
    assert_close(rendering.hidden_forward[0], covered)
    assert_close(rendering.hidden_backward[0], left)
    assert_close(rendering.forward[0, 0], 3.0 * square[0])
    assert_close(rendering.rgb[1, 0] > 0.5, square[0].roll(3, 1) > 0)


def test_a_near_thing_hides_a_far_one_in_the_depth_buffer():
    far = torch.full((1, 24), CONVERGENCE)               # stays in place in every view
    scene = far.clone()
    scene[:, 10:14] = CONVERGENCE + 8                    # nearer: moves left by 4 in a view half-way
    view = splat(pieces(scene), 0.5, density=1)[0]
    expected = far[0].clone()
    expected[6:10] = CONVERGENCE + 8
    expected[10:14] = torch.nan                          # what it stood before was never photographed
    assert_close(view, expected, equal_nan=True)


def test_a_gap_in_the_depth_is_filled_from_behind_unless_it_looks_like_the_front():
    depth = torch.tensor([[10.0, torch.nan, torch.nan, 40.0]])
    gradient = torch.tensor([0.2, 0.3, 0.55, 0.8]).expand(3, 1, 4)
    front = torch.tensor([0.2, 0.3, 0.79, 0.8]).expand(3, 1, 4)
    assert fill_gaps(depth, gradient).tolist() == [[10, 10, 10, 40]]
    assert fill_gaps(depth, front).tolist() == [[10, 10, 40, 40]]


@pytest.mark.parametrize("name", CLIPS)
def test_a_longer_film_begins_with_the_shorter_one(name):
    short, long = embedded_clip(name, 2, 32, 48), embedded_clip(name, 3, 32, 48)
    assert np.array_equal(short.frames, long.frames[:2]) and np.array_equal(short.forward, long.forward[:1])


def test_seeds_make_different_films_and_the_same_seed_the_same_one():
    one, other = (embedded_clip("zoom", 2, 32, 48, seed=seed) for seed in (1, 2))
    assert not np.array_equal(one.frames, other.frames)
    for kept in cache.cache_folder().rglob("zoom-2x32x48-1-*.npz"):
        kept.unlink()
    for fresh, kept in zip(embedded_clip("zoom", 2, 32, 48, seed=1), one):
        assert np.array_equal(fresh, kept)


def test_exposure_is_a_factor_on_linear_light():
    clip = embedded_clip("exposure", 8, 48, 80)
    mean = linear_light(clip.frames).mean((1, 2, 3)).numpy()
    assert clip.gain.max() <= 1 and clip.gain.min() < 0.6
    moved = residual(linear_light(clip.frames[:-1]), linear_light(clip.frames[1:]), clip.forward)
    ratio = torch.from_numpy(clip.gain[1:] / clip.gain[:-1]).view(-1, 1, 1, 1)
    mended = residual(linear_light(clip.frames[:-1]) * ratio, linear_light(clip.frames[1:]), clip.forward)
    assert mended[clip.reliable_forward].mean() < 0.3 * moved[clip.reliable_forward].mean()
    assert np.corrcoef(mean, clip.gain)[0, 1] > 0.9


def test_a_damaged_file_in_the_cache_is_made_again():
    first = embedded_clip("rotation", 2, 32, 48)
    path, = cache.cache_folder().rglob("rotation-2x32x48-0-*.npz")
    path.write_bytes(path.read_bytes()[:1000])
    assert np.array_equal(embedded_clip("rotation", 2, 32, 48).frames, first.frames)
    assert cache.recall(path) is not None


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "file"))
    assert embedded_clip("zoom", 1, 32, 48).frames.shape == (1, 32, 48, 3)


@pytest.mark.parametrize("arguments, message",
                         [(("pan",), "no embedded clip called 'pan'; there are parallax"),
                          (("zoom", 0), "at least 1 frame"), (("zoom", 2, 8, 8), "16x16")])
def test_what_cannot_be_made_is_refused_in_one_line(arguments, message):
    with pytest.raises(InputError, match=message):
        embedded_clip(*arguments)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_photograph_is_colourful_and_at_hand(name):
    pixels = photograph(name)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert F.l1_loss(*(torch.from_numpy(pixels[..., c].copy()).float() for c in (0, 2))) > 3
