"""A place that a match points at is made exact by lightness, and colour is read there."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from colorlab.flow.warping import pixel_grid
from colorlab.modules.registration import bring, places


def scene(dx: float = 0.0, dy: float = 0.0, H: int = 48, W: int = 64) -> Tensor:
    """(1, 3, H, W) Lab of smooth waves, seen from (dx, dy): any shift of it is known exactly."""
    x, y = pixel_grid(torch.empty(1, 2, H, W)).split(1, 1)
    x, y = x + dx, y + dy
    l = 50 + 20 * torch.sin(0.55 * x + 0.2 * y) + 20 * torch.cos(0.45 * y - 0.15 * x)
    return torch.cat((l, 60 * torch.sin(0.4 * x), 60 * torch.cos(0.3 * y)), dim=1)


def pointed(x: float, y: float, share: float = 1.0, h: int = 12, w: int = 16) -> Tensor:
    """(1, 3, h, w): every cell points at the cell x to the right and y below."""
    place = pixel_grid(torch.empty(1, 2, h, w)) + torch.tensor([x, y]).view(1, 2, 1, 1)
    return share * torch.cat((torch.ones_like(place[:, :1]), place), dim=1)


def middle(x: Tensor) -> Tensor:
    return x[..., 8:-8, 8:-8]


def test_mixed_places_are_each_pictures_share_and_mean_place():
    mixed = places(torch.empty(1, 2, 5, 4, 6)).movedim(2, -1).flatten(1, 3)                 # (1, 2 * 4 * 6, 6)
    weights = torch.zeros(48)
    weights[[2 * 6 + 3, 2 * 6 + 5, 24 + 6]] = torch.tensor([0.25, 0.25, 0.5])               # (x, y) = (3, 2), (5, 2); in the other (0, 1)
    assert_close(weights @ mixed[0], torch.tensor([0.5, 0.5 * 4, 0.5 * 2, 0.5, 0.0, 0.5]))


@pytest.mark.parametrize("dx, dy", [(3.4, -2.2), (-1.3, 0.6), (5.0, 3.5)])
def test_a_place_known_to_a_cell_becomes_exact(dx, dy):
    now, before = scene(dx, dy), scene()
    brought = bring(now[:, :1], before, pointed(round(dx / 4), round(dy / 4)), steps=3)
    assert middle((brought.ab - now[:, 1:]).abs()).mean() < 1                                # of ±60
    assert middle(brought.trust).mean() > 0.95
    exact = brought.place[:, 1:] / brought.place[:, :1] - pixel_grid(brought.place[:, 1:])
    assert_close(exact[0, :, 3:-3, 3:-3].mean((1, 2)), torch.tensor([dx, dy]) / 4, atol=0.03, rtol=0)


def test_steps_are_what_makes_it_exact():
    now, before = scene(1.6, -1.2), scene()
    error = [middle((bring(now[:, :1], before, pointed(0, 0), steps).ab - now[:, 1:]).abs()).mean() for steps in (0, 1, 3)]
    assert error[0] > 10 * error[2] and error[0] > error[1]


def test_a_cell_that_points_elsewhere_can_take_its_neighbours_place():
    now, before = scene(2.0, 1.0), scene()
    place = pointed(0.5, 0.25)
    place[..., 6, 8] = torch.tensor([1.0, 0.0, 11.0])                                        # one points at the corner
    brought = bring(now[:, :1], before, place, steps=2)
    assert (brought.ab - now[:, 1:]).abs()[..., 24:28, 32:36].mean() < 1


def test_what_differs_in_lightness_is_not_trusted():
    now, before = scene(), scene()
    now[:, :1, 16:32, 24:40] = 120                                                           # nowhere in the other picture
    trust = bring(now[:, :1], before, pointed(0, 0), steps=2).trust
    assert trust[..., 16:32, 24:40].max() < 0.01 and trust[..., :8, :].min() > 0.9


def test_trust_is_at_most_the_pictures_share():
    now, before = scene(1.0), scene()
    brought = bring(now[:, :1], before, pointed(0.25, 0, share=0.3), steps=2)
    assert 0.2 < middle(brought.trust).mean() <= brought.trust.max() <= 0.3 + 1e-5
    assert_close(brought.place[:, :1], F.avg_pool2d(brought.trust, 4))


def test_where_nothing_is_to_be_seen_nothing_moves():
    flat = torch.full((1, 3, 48, 64), 40.0)
    place = bring(flat[:, :1], flat, pointed(1, -1), steps=3).place
    assert_close(place, pointed(1, -1))


def test_a_picture_that_has_no_share_brings_nothing():
    brought = bring(scene()[:, :1], scene(), 0 * pointed(0, 0), steps=2)
    assert brought.trust.max() == 0 and brought.place.abs().max() == 0 and brought.ab.isfinite().all()
