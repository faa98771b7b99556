"""Colours laid by likeness and place: they follow what moves, and the start of a course network is nothing
else."""

import pytest
import torch
from skimage import data
from torch.nn import functional as F
from torch.testing import assert_close

import colorlab
from colorlab.color import frames_to_rgb, join_lab, rgb_to_lab, split_lab
from colorlab.methods.course.cavc import scaled
from colorlab.methods.course.reference_warp import AB, ReferenceWarp
from colorlab.papers.cavc import CAVC, CAVCConfig
from colorlab.papers.cavc.state import as_channels


def laying() -> ReferenceWarp:
    torch.manual_seed(0)
    return ReferenceWarp(16)


@pytest.fixture(scope="module")
def photograph():
    """Lab (1, 3, 100, 150)."""
    return rgb_to_lab(F.avg_pool2d(frames_to_rgb(data.coffee())[None], 4))


def test_colours_follow_what_has_moved(photograph):
    model = colorlab.load("cavc", "course")
    before, after = photograph[..., :64, :112], photograph[..., 8:72, 12:124]
    ab, _ = model.step(after[:, :1], model.start(before))
    held_still = (split_lab(before)[1] - split_lab(after)[1]).abs().mean()
    assert (ab - split_lab(after)[1]).abs().mean() < 0.5 * held_still


def test_a_network_that_has_learned_nothing_shows_the_colours_as_they_were_laid(photograph):
    model = colorlab.load("cavc", "course")
    l = photograph[:, :1].clamp(30, 80)
    pale = join_lab(l, 0.3 * photograph[:, 1:])  # all of it within sRGB
    state = model.start(pale)
    ab, _ = model.step(l, state)
    laid = model.lay(as_channels(l)[:, None], state)[:, 0]
    assert_close(ab, AB * laid[:, 1:3], atol=0.5, rtol=0)  # before training they are trusted to 99.3 %


def test_the_paper_lays_nothing():
    model = CAVC(CAVCConfig.tiny())
    assert not any("laying" in name for name in model.state_dict())
    assert not hasattr(model.start(torch.zeros(1, 3, 8, 8)), "pictures")


def test_the_course_network_is_small():
    assert sum(parameter.numel() for parameter in colorlab.load("cavc", "course").parameters()) < 5e6


def test_the_frozen_features_are_no_part_of_a_checkpoint():
    model = colorlab.load("cavc", "course")
    assert not any("frozen" in name or "extractor" in name for name in model.state_dict())


@pytest.mark.parametrize("at", [(0, 0), (11, 20), (31, 47)])
def test_weights_are_those_by_which_colours_are_chosen(at, photograph):
    module = laying()
    reference = scaled(photograph[..., :32, :48])
    l = as_channels(photograph[:, :1, 20:52, 60:108])
    encoded = module.encode(reference)
    weights = module.weights(module.query(l)[0], encoded, at, (32, 48))
    assert weights.shape == (8, 12)
    assert_close(weights.sum(), torch.tensor(1.0))
    row, column = at[0] // 4, at[1] // 4
    chosen = (weights * F.avg_pool2d(reference[0, :1], 4)).sum()
    found = module(l, encoded).picture[0, 0, row * 4 + 1:row * 4 + 3, column * 4 + 1:column * 4 + 3].mean()
    # enlarged bilinearly: the middle of a cell is nearly the cell
    assert_close(found, chosen, atol=0.08, rtol=0)


def test_likeness_decides_wherever_a_thing_has_gone(photograph):
    """The picture's left and right halves change places; with nothing for distance, colours go with them."""
    module = laying()
    with torch.no_grad():
        module.reach.fill_(10.0)
    picture = photograph[..., :64, :128]
    swapped = picture.roll(64, -1)
    found = module(as_channels(swapped[:, :1]), module.encode(scaled(picture))).picture
    wrong, still = ((AB * x - swapped[:, 1:]).abs().mean() for x in (found[:, 1:], picture[:, 1:] / AB))
    assert wrong < 0.5 * still


def test_place_decides_between_equals():
    """A flat picture, blue on the left and orange on the right: only distance can tell."""
    module, l = laying(), torch.zeros(1, 1, 32, 64)
    with torch.no_grad():
        module.reach.fill_(-2.0)
    ab = torch.stack((l[0, 0] * 0, l[0, 0] + torch.linspace(-1, 1, 64).sign()))[None]
    found = module(l, module.encode(torch.cat((l, ab), dim=1)))
    assert_close(found.picture[0, 2, 4:-4, 4:20], torch.full((24, 16), -1.0), atol=0.05, rtol=0)
    assert_close(found.picture[0, 2, 4:-4, -20:-4], torch.full((24, 16), 1.0), atol=0.05, rtol=0)


def test_the_same_picture_is_wholly_alike(photograph):
    module, picture = laying(), photograph[..., :64, :96]
    similarity = module(as_channels(picture[:, :1]), module.encode(scaled(picture))).similarity
    assert similarity.max() <= 1 + 1e-5 and similarity.mean() > 0.95


def test_what_decides_is_learned(photograph):
    module = laying()
    picture = photograph[..., :64, :96]
    module(as_channels(picture[:, :1].roll(3, -1)),
           module.encode(scaled(picture))).picture[:, 1:].square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())


def test_references_are_mixed_by_nearness_in_time(photograph):
    model = colorlab.load("cavc", "course")
    l = photograph[:, None, :1].expand(-1, 3, -1, -1, -1)
    grey = join_lab(photograph[:, :1], torch.zeros_like(photograph[:, 1:]))
    laid = model.lay(as_channels(l), model.start([(0, photograph), (2, grey)]))[0, :, 1:3]
    assert_close(laid[1], laid[0] / 2)
    assert_close(laid[2], torch.zeros_like(laid[2]))
