"""Colours laid by place and lightness: they follow what moves, and the start of a course network is nothing else."""

from dataclasses import replace

import pytest
import torch
from skimage import data
from torch.nn import functional as F
from torch.testing import assert_close

from colorlab.color import frames_to_rgb, join_lab, rgb_to_lab, split_lab
from colorlab.papers.cavc import CAVC, CAVCConfig
from colorlab.papers.cavc.laying import Laying
from colorlab.papers.cavc.state import as_channels


def laying(window: int = 9) -> Laying:
    torch.manual_seed(0)
    return Laying(window, learned=2)


@pytest.fixture(scope="module")
def photograph():
    """Lab (1, 3, 100, 150)."""
    return rgb_to_lab(F.avg_pool2d(frames_to_rgb(data.coffee())[None], 4))


def test_colours_follow_what_has_moved(photograph):
    model = CAVC(CAVCConfig.course()).eval()
    before, after = photograph[..., :64, :112], photograph[..., 4:68, 6:118]
    ab, _ = model.step(after[:, :1], model.start(before))
    held_still = (split_lab(before)[1] - split_lab(after)[1]).abs().mean()
    assert (ab - split_lab(after)[1]).abs().mean() < 0.6 * held_still


def test_a_network_that_has_learned_nothing_shows_the_colours_as_they_were_laid(photograph):
    model = CAVC(CAVCConfig.course()).eval()
    l = photograph[:, :1].clamp(30, 80)
    pale = join_lab(l, 0.3 * photograph[:, 1:])  # all of it within sRGB
    state = model.start(pale)
    ab, _ = model.step(l, state)
    laid = model.lay(as_channels(l)[:, None], state)[:, 0]
    assert_close(ab, 50 * laid[:, 1:], atol=0.2, rtol=0)


def test_the_paper_lays_nothing():
    model = CAVC(replace(CAVCConfig.tiny()))
    assert model.laying is None and not any("laying" in name for name in model.state_dict())
    assert model.start(torch.zeros(1, 3, 8, 8)).pictures is None


@pytest.mark.parametrize("at", [(0, 0), (11, 20), (29, 41)])
def test_weights_are_those_by_which_colours_are_chosen(at):
    module, generator = laying(), torch.Generator().manual_seed(1)
    channels, reference = (2 * torch.rand(1, c, 30, 42, generator=generator) - 1 for c in (1, 3))
    weights = module.weights(channels, reference, at)
    row, column = at[0] // 2, at[1] // 2
    small = F.interpolate(reference, (15, 21), mode="bilinear", antialias=True)
    assert weights.shape == (15, 21)
    assert_close(weights.sum(), torch.tensor(1.0))
    assert_close((weights * small[0]).sum((1, 2)), module.chosen(channels, reference)[0, :, row, column], atol=1e-5, rtol=1e-4)
    rows, columns = weights.nonzero().unbind(1)
    assert (rows - row).abs().max() <= 4 and (columns - column).abs().max() <= 4


def test_lightness_decides_between_near_places():
    """Left half dark and blue, right half bright and orange; in the frame the border has moved by three cells."""
    l = torch.full((1, 1, 24, 40), -0.6)
    l[..., 20:] = 0.6
    ab = torch.stack((l[0, 0] * 0, l[0, 0]))[None]
    moved = l.roll(6, -1)
    moved[..., :6] = -0.6
    found = laying()(moved, torch.cat((l, ab), dim=1))
    assert_close(found[0, 2, :, :23], torch.full((24, 23), -0.6), atol=0.02, rtol=0)
    assert_close(found[0, 2, :, 29:], torch.full((24, 11), 0.6), atol=0.02, rtol=0)


def test_what_decides_is_learned(photograph):
    module = laying()
    l, ab = split_lab(photograph)
    reference = torch.cat((as_channels(l), ab / 50), dim=1)
    module(as_channels(l.roll(3, -1)), reference)[:, 1:].square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())


def test_half_precision_chooses_the_same(photograph):
    module = laying()
    l, ab = split_lab(photograph)
    channels, reference = as_channels(l.roll(3, -1)), torch.cat((as_channels(l), ab / 50), dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = module(channels, reference)
    assert_close(rough, module(channels, reference), atol=0, rtol=0)


def test_references_are_mixed_by_nearness_in_time(photograph):
    model = CAVC(CAVCConfig.course()).eval()
    l = photograph[:, None, :1].expand(-1, 3, -1, -1, -1)
    grey = join_lab(photograph[:, :1], torch.zeros_like(photograph[:, 1:]))
    laid = model.lay(as_channels(l), model.start([(0, photograph), (2, grey)]))[0, :, 1:]
    assert_close(laid[1], laid[0] / 2)
    assert_close(laid[2], torch.zeros_like(laid[2]))
