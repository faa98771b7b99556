"""start, step and attention as every method offers them: the state is a value, references are of every
kind."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from colorlab.papers.colormnet import ColorMNet, ColorMNetConfig


@pytest.fixture(scope="module")
def network() -> ColorMNet:
    return build()


def build(**changes: object) -> ColorMNet:
    torch.manual_seed(0)
    return ColorMNet(replace(ColorMNetConfig.tiny(), **changes)).eval()


def film(T: int = 8, H: int = 20, W: int = 28, B: int = 1, seed: int = 0) -> Tensor:
    """(B, T, 3, H, W) Lab: coloured noise, blurred, drifting to the right."""
    noise = torch.randn(B, 1, 3, H, W, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool2d(noise.flatten(0, 1), 5, 1, 2).unflatten(0, (B, 1))
    clip = torch.cat([smooth.roll(2 * t, -1) for t in range(T)], dim=1)
    return (
        clip * torch.tensor([60.0, 80.0, 80.0])[:, None, None] + torch.tensor([50.0, 0.0, 0.0])[:, None, None]
    )


def run(network: ColorMNet, lab: Tensor, references: object) -> Tensor:
    with torch.inference_mode():
        return network.step(lab[:, :, :1], network.start(references))[0]


def test_frames_one_by_one_or_together_give_the_same(network):
    lab = film()
    state, frames = network.start([(0, lab[:, 0])]), []
    for l in lab[:, :, :1].unbind(1):
        with torch.inference_mode():
            ab, state = network.step(l, state)
        frames.append(ab)
    assert_close(torch.stack(frames, 1), run(network, lab, [(0, lab[:, 0])]), atol=0, rtol=0)
    assert state.frame == 8


def test_a_kept_state_can_be_run_on_from_twice(network):
    lab = film(12)
    with torch.inference_mode():
        _, state = network.step(lab[:, :5, :1], network.start([(0, lab[:, 0])]))
        first, _ = network.step(lab[:, 5:, :1], state)
        network.step(film(7, seed=1)[:, :, :1], state)
        again, _ = network.step(lab[:, 5:, :1], state)
    assert_close(again, first, atol=0, rtol=0)


def test_films_side_by_side_do_not_see_each_other(network):
    lab = film(9, B=2)
    both = run(network, lab, [(0, lab[:, 0])])
    for b in (0, 1):
        assert_close(both[b:b + 1], run(network, lab[b:b + 1], [(0, lab[b:b + 1, 0])]), atol=1e-3, rtol=0)


def test_the_colours_given_for_a_frame_come_out_at_that_frame(network):
    lab = film(6)
    ab = run(network, lab, [(0, lab[:, 0]), (4, lab[:, 4])])
    assert_close(ab[:, [0, 4]], lab[:, [0, 4], 1:], atol=1e-4, rtol=0)


def test_the_past_does_not_know_of_a_later_exemplar(network):
    lab = film(6)
    with_later = run(network, lab, [(0, lab[:, 0]), (4, film(1, seed=3)[:, 0])])
    alone = run(network, lab, [(0, lab[:, 0])])
    assert_close(with_later[:, :4], alone[:, :4], atol=0, rtol=0)
    assert (with_later[:, 5] - alone[:, 5]).abs().max() > 1


def test_where_the_first_exemplar_is_a_later_frame_the_film_begins_with_its_colours(network):
    lab = film(4)
    early = run(network, lab, [(3, lab[:, 3])])
    foreign = run(network, lab, lab[:, 3])
    assert_close(early[:, :3], foreign[:, :3], atol=0, rtol=0)
    assert_close(early[:, 3], lab[:, 3, 1:], atol=1e-4, rtol=0)


def test_exemplars_stay_in_memory_whole_however_long_the_film(network):
    lab = film(16)
    with torch.inference_mode():
        _, state = network.step(lab[:, :, :1], network.start([lab[:, 1], (0, lab[:, 0]), (5, lab[:, 5])]))
    memory = state.held[0]
    cells = state.hidden.shape[-2] * state.hidden.shape[-1]
    kept = memory.entries.frame[memory.long:memory.long + memory.kept]
    assert memory.long > 0
    assert kept.unique_consecutive(return_counts=True)[0].tolist() == [-1, 0, 5] and memory.kept == 3 * cells


def test_memory_stops_growing(network):
    lab = film(60)
    sizes, state = [], network.start([(0, lab[:, 0])])
    with torch.inference_mode():
        for l in lab[:, :, :1].unbind(1):
            _, state = network.step(l, state)
            sizes.append(state.nbytes)
    assert max(sizes[40:]) <= max(sizes[:40])


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (16, 16), (37, 23)])
def test_any_size_works_and_comes_back(network, size):
    lab = film(5, *size)
    ab = run(network, lab, lab[:, 0])
    assert ab.shape == (1, 5, 2, *size) and ab.isfinite().all()


def test_a_reference_of_another_size_and_a_clip_of_one_frame(network):
    ab = run(network, film(1), film(1, 33, 17)[:, 0])
    assert ab.shape == (1, 1, 2, 20, 28) and ab.isfinite().all()


def test_one_reference_serves_a_batch_of_films(network):
    lab = film(3, B=2)
    assert run(network, lab, lab[:1, 0]).shape == (2, 3, 2, 20, 28)


def test_a_film_needs_a_reference(network):
    with pytest.raises(ValueError, match="tcavc"):
        network.start(None)


def test_a_film_keeps_its_size(network):
    lab = film(2)
    _, state = network.step(lab[:, 0, :1], network.start(lab[:, 0]))
    with pytest.raises(ValueError, match="began at 20 x 28"):
        network.step(lab[:, 1, :1, :10], state)


def test_attention_maps_are_shares_of_one_colour(network):
    lab = film(12)
    with torch.inference_mode():
        _, state = network.step(lab[:, :11, :1], network.start([lab[:, 3], (0, lab[:, 0])]))
    maps = network.attention(lab[:, 11, :1], state, at=(7, 9))
    assert set(maps) == {
        "reference", "reference (frame 0)", "frame 10", "long-term memory", "neighbours (frame 10)"
    }
    assert all(m.shape == (20, 28) and (m >= 0).all() for m in maps.values())
    assert sum(float(m.sum()) for m in maps.values()) == pytest.approx(1, abs=1e-4)


def test_attention_of_a_frame_seen_before_points_at_the_pixel_itself():
    network = build(top_k=1, local_attention=False)
    lab = film(1, 16, 16)[:, 0]
    maps = network.attention(lab[:, :1], network.start(lab), at=(5, 10))
    assert_close(maps["reference"][4:8, 8:12], torch.full((4, 4), 1 / 16), atol=1e-4, rtol=0)


def test_attention_of_an_exemplar_is_the_pixel_given(network):
    lab = film(1)
    maps = network.attention(lab[:, 0, :1], network.start([(0, lab[:, 0])]), at=(5, 10))
    assert list(maps) == ["reference (frame 0)"] and maps["reference (frame 0)"][5, 10] == 1


def test_half_precision_stays_near(network):
    lab = film(6)
    half = build(precision="bfloat16")
    difference = run(half, lab, [(0, lab[:, 0])]) - run(network, lab, [(0, lab[:, 0])])
    assert difference.abs().mean() < 2
