import dataclasses

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from colorlab.color import join_lab, lab_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.papers.tcavc import TCAVC, TCAVCConfig
from colorlab.papers.tcavc.reference import painter_from_images, through_8_bits


def tiny(painter=None, **changes):
    torch.manual_seed(0)
    return TCAVC(dataclasses.replace(TCAVCConfig.tiny(), **changes), painter).eval()


def film(frames=4, height=32, width=40, videos=1):
    return 100 * torch.rand(videos, frames, 1, height, width, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def color(model, l, references=None):
    return model(l, references)


def test_it_goes_on_with_the_reference_it_painted():
    model, l = tiny(), film()
    by_itself = color(model, l)
    with_it = color(model, l, model.paint(l[:, 0]))
    assert_close(by_itself, with_it, atol=0, rtol=0)


def test_only_the_first_frame_is_painted_from_lightness():
    model, l = tiny(), film()
    calls = []
    model.painter = lambda first: calls.append(first) or join_lab(first, first.new_zeros(1, 2, 32, 40))
    color(model, l)
    assert len(calls) == 1 and torch.equal(calls[0], l[:, 0])


def test_the_reference_has_8_bits():
    model, l = tiny(), film()
    reference = model.paint(l[:, 0])
    assert (through_8_bits(reference + 1e-4) - reference).abs().mean() < 0.01  # levels stay what they are
    exact = tiny(eight_bit_reference=False).paint(l[:, 0])
    assert (exact - reference).abs().max() > 0.1 and torch.equal(exact[:, :1], l[:, 0])


def test_levels_are_cut_off_not_rounded():
    light = torch.full((1, 3, 2, 2), 100.9 / 255)
    assert_close(lab_to_rgb(through_8_bits(rgb_to_lab(light))), torch.full((1, 3, 2, 2), 100 / 255),
                 atol=1e-4, rtol=0)


def test_a_given_picture_takes_stage_1s_place():
    model, l = tiny(), film()
    model.reference = None  # so that using it would fail
    assert color(model, l, join_lab(l[:, 0], 30 * torch.ones(1, 2, 32, 40))).shape == (1, 4, 2, 32, 40)


def test_any_program_that_colours_pictures_can_paint():
    def sepia(picture):
        assert picture.dtype == np.uint8 and np.ptp(picture, axis=-1).max() <= 1
        return (picture * np.array([1.0, 0.8, 0.6])).astype(np.uint8)

    l = film()
    painted = painter_from_images(sepia)(l[:, 0])
    assert_close(painted[:, :1], l[:, 0])
    assert (painted[:, 2] > 2).double().mean() > 0.9  # yellow
    assert color(tiny(painter_from_images(sepia)), l).isfinite().all()


@pytest.mark.parametrize("returned, said", [(np.zeros((4, 4, 3), np.uint8), "same size"),
                                            (np.zeros((32, 40, 3)), "uint8 RGB")])
def test_a_program_that_returns_something_else_is_named(returned, said):
    with pytest.raises(InputError, match=said):
        color(tiny(painter_from_images(lambda picture: returned)), film())


def test_a_painter_that_returns_ab_only_is_told_so():
    with pytest.raises(InputError, match="must return Lab"):
        color(tiny(lambda l: l), film())


def test_without_correspondence_each_frame_is_coloured_by_itself():
    model, l = tiny(semantic_correspondence=False), film()
    together = color(model, l)
    assert model.propagation is None
    assert_close(together[:, 2], color(model, l[:, 2:3])[:, 0], atol=1e-2, rtol=0)
    with pytest.raises(InputError, match="no use for a reference"):
        model.start(join_lab(l[:, 0], torch.zeros(1, 2, 32, 40)))


def test_a_state_can_be_kept_and_gone_on_from_twice():
    model, l = tiny(), film()
    _, state = model.step(l[:, :2], model.start(None))
    assert_close(model.step(l[:, 2:], state)[0], model.step(l[:, 2:], state)[0], atol=0, rtol=0)
    assert state.frame == 2


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 50)])
@pytest.mark.parametrize("semantic_correspondence", [True, False])
def test_any_size_and_single_frames(size, semantic_correspondence):
    model, l = tiny(semantic_correspondence=semantic_correspondence), film(1, *size)
    ab, state = model.step(l[:, 0], model.start(None))
    assert ab.shape == (1, 2, *size) and state.frame == 1


@pytest.mark.parametrize("semantic_correspondence", [True, False])
def test_attention_maps_share_one_whole(semantic_correspondence):
    model, l = tiny(semantic_correspondence=semantic_correspondence), film()
    maps = model.attention(l[:, 0], model.start(None), at=(3, 4))
    assert_close(sum(map.sum() for map in maps.values()), torch.tensor(1.0))


def test_fields_that_experiments_turn_reach_stage_2():
    model = tiny(temperature=1e-10, block_size=5, preceding_frame=True)
    assert (
        model.propagation.heads.temperature == 1e-10
        and model.frames_per_step == model.propagation.frames_per_step == 5
    )
    assert model.propagation.config.preceding_frame


def test_stage_1_learns_from_lightness():
    model, l = tiny(), film(1)
    model.reference.paint(l[:, 0]).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.reference.parameters())
