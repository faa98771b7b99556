"""A place that a match points at is made exact by lightness, and colour is read there."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from colorlab.methods.course.registration import LONGEST, ROUNDS, register, place_channels
from colorlab.modules.flow.warping import pixel_grid


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
    mixed = place_channels(torch.empty(1, 2, 5, 4, 6)).movedim(2, -1).flatten(1, 3)  # (1, 2 * 4 * 6, 6)
    weights = torch.zeros(48)
    # (x, y) = (3, 2), (5, 2); in the other (0, 1)
    weights[[2 * 6 + 3, 2 * 6 + 5, 24 + 6]] = torch.tensor([0.25, 0.25, 0.5])
    assert_close(weights @ mixed[0], torch.tensor([0.5, 0.5 * 4, 0.5 * 2, 0.5, 0.0, 0.5]))


@pytest.mark.parametrize("dx, dy", [(3.4, -2.2), (-1.3, 0.6), (5.0, 3.5)])
def test_a_place_known_to_a_cell_becomes_exact(dx, dy):
    now, before = scene(dx, dy), scene()
    registered = register(now[:, :1], before, pointed(round(dx / 4), round(dy / 4)), steps=3)
    assert middle((registered.ab - now[:, 1:]).abs()).mean() < 1                                # of ±60
    assert middle(registered.trust).mean() > 0.95
    exact = registered.place[:, 1:] / registered.place[:, :1] - pixel_grid(registered.place[:, 1:])
    assert_close(exact[0, :, 3:-3, 3:-3].mean((1, 2)), torch.tensor([dx, dy]) / 4, atol=0.03, rtol=0)


def test_steps_are_what_makes_it_exact():
    now, before = scene(1.6, -1.2), scene()
    error = [
        middle((register(now[:, :1], before, pointed(0, 0), steps).ab - now[:, 1:]).abs()).mean()
        for steps in (0, 1, 3)
    ]
    assert error[0] > 10 * error[2] and error[0] > error[1]


def test_a_slope_that_runs_aslant_is_not_stepped_along_twice():
    """Where x and y change lightness alike, one step of least squares is exact, and steps for each alone
    would go twice as far."""
    x, y = pixel_grid(torch.empty(1, 2, 48, 64)).split(1, 1)
    slope = torch.cat((5 * (x + y), x, y), dim=1)
    # half a pixel each, or what makes one in all
    place = register(slope[:, :1] + 5, slope, pointed(0, 0), steps=1).place
    moved = (4 * (place[:, 1:] / place[:, :1] - pixel_grid(place[:, 1:]))).sum(1)
    assert_close(moved[:, 3:-3, 3:-3], torch.ones(1, 6, 10), atol=0.1, rtol=0)


def test_no_step_goes_farther_than_lightness_tells():
    x, y = pixel_grid(torch.empty(1, 2, 48, 64)).split(1, 1)
    steep = torch.cat((2 * x, x, y), dim=1)
    place = register(steep[:, :1] + 12, steep, pointed(0, 0), steps=1).place  # 6 pixels away
    moved = (4 * (place[:, 1:] / place[:, :1] - pixel_grid(place[:, 1:])))[..., 3:-5]
    assert moved.max() <= ROUNDS * LONGEST + 1e-3


def test_what_one_round_finds_the_next_can_guess():
    """Seven matches in ten are wrong by up to four cells: after one round three pixels in four are exact,
    after all of them nearly all."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 64, 160, generator=random)
    for _ in range(2):
        noise = F.avg_pool2d(noise, 7, 1, 3)
    x, y = pixel_grid(torch.empty(1, 2, 64, 160)).split(1, 1)
    before = torch.cat((50 + 15 * noise / noise.std(), x, y), dim=1)
    now, place = torch.roll(before, (-9, -6), (-1, -2)), pointed(2.25, 1.5, h=16, w=40)
    wrong = torch.rand(1, 1, 16, 40, generator=random) < 0.7
    place[:, 1:] += wrong * (8 * torch.rand(1, 2, 16, 40, generator=random) - 4)
    exact = (register(now[:, :1], before, place, steps=1).ab - now[:, 1:]).abs().sum(1)[0, 8:-16, :-16] < 0.5
    assert exact.float().mean() > 0.97


def test_where_a_match_is_wrong_all_over_the_same_place_is_a_guess():
    x, y = pixel_grid(torch.empty(1, 2, 48, 64)).split(1, 1)
    still = torch.cat((50 + 30 * torch.sin(x * y / 120), x, y), dim=1)
    registered = register(still[:, :1], still, pointed(7, -5), steps=1)
    assert (registered.ab - still[:, 1:]).abs().median() < 0.1


def test_neighbours_that_know_no_place_are_no_guess():
    now, before = scene(6.0, 4.0), scene()
    place = pointed(0, 0, share=0.0)
    # wrong and weak; right
    place[..., 6, 8], place[..., 6, 9] = 1e-3 * torch.tensor([1.0, 0.0, 11.0]), torch.tensor([1.0, 10.5, 7.0])
    known = register(now[:, :1], before, place, steps=2).place[0, :, 6, 8]
    assert_close(known[1:] / known[0], torch.tensor([9.5, 7.0]), atol=0.1, rtol=0)


def test_a_cell_that_points_elsewhere_can_take_its_neighbours_place():
    now, before = scene(2.0, 1.0), scene()
    place = pointed(0.5, 0.25)
    place[..., 6, 8] = torch.tensor([1.0, 0.0, 11.0])  # one points at the corner
    registered = register(now[:, :1], before, place, steps=2)
    assert (registered.ab - now[:, 1:]).abs()[..., 24:28, 32:36].mean() < 1


def test_what_differs_in_lightness_is_not_trusted():
    now, before = scene(), scene()
    now[:, :1, 16:32, 24:40] = 120  # nowhere in the other picture
    trust = register(now[:, :1], before, pointed(0, 0), steps=2).trust
    assert trust[..., 16:32, 24:40].max() < 0.01 and trust[..., :8, :].min() > 0.9


def test_trust_is_at_most_the_pictures_share():
    now, before = scene(1.0), scene()
    registered = register(now[:, :1], before, pointed(0.25, 0, share=0.3), steps=2)
    assert 0.2 < middle(registered.trust).mean() <= registered.trust.max() <= 0.3 + 1e-5
    assert_close(registered.place[:, :1], F.avg_pool2d(registered.trust, 4))


def test_where_nothing_is_to_be_seen_nothing_moves():
    flat = torch.full((1, 3, 48, 64), 40.0)
    place = register(flat[:, :1], flat, pointed(1, -1), steps=3).place
    assert_close(place, pointed(1, -1))


def test_a_picture_that_has_no_share_brings_nothing():
    registered = register(scene()[:, :1], scene(), 0 * pointed(0, 0), steps=2)
    assert registered.trust.max() == 0 and registered.place.abs().max() == 0 and registered.ab.isfinite().all(
    )
