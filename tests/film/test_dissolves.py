"""Dissolves begin a scene in their middle; motion, light and flashes do not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from colorlab.film.cuts import look_at
from colorlab.film.dissolves import scene_starts

SIZE = (54, 96)


def texture(seed):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(80, 400)), 3)
    return (noise - noise.min()) / np.ptp(noise) * 200 + 25


def view(seed, x=0):
    return texture(seed)[10:10 + SIZE[0], x:x + SIZE[1]]


def starts(lumas):
    return scene_starts(
        look_at(np.repeat(luma.round().clip(0, 255).astype(np.uint8)[..., None], 3, -1)) for luma in lumas)


def dissolve(before, after, frames):
    return [before + (after - before) * (n + 1) / (frames + 1) for n in range(frames)]


@pytest.mark.parametrize("frames", [8, 16, 30])
def test_a_dissolve_begins_a_scene_in_its_middle(frames):
    a, b = view(0), view(1)
    found = starts([a] * 30 + dissolve(a, b, frames) + [b] * 30)
    assert len(found) == 1 and abs(found[0] - (30 + frames / 2)) <= max(3, frames / 6)


def test_a_dissolve_while_both_pictures_move_slowly_is_found():
    film = [view(0, n // 3) for n in range(20)] + [
        0.5 * (1 + np.cos(np.pi * (n + 1) / 13)) * view(0, (20 + n) // 3) + 0.5 *
        (1 - np.cos(np.pi * (n + 1) / 13)) * view(1, n // 3) for n in range(12)
    ]
    found = starts(film + [view(1, (12 + n) // 3) for n in range(20)])
    assert len(found) == 1 and 20 <= found[0] <= 32


def test_cuts_stay_where_they_are():
    a, b, c = view(0), view(1), view(2)
    assert starts([a] * 20 + [b] * 20) == [20]
    found = starts([a] * 30 + [b] * 30 + dissolve(b, c, 12) + [c] * 30)
    assert found[0] == 30 and len(found) == 2 and 60 <= found[1] <= 72


@pytest.mark.parametrize(
    "film",
    [
        [view(0, 3 * n) for n in range(70)],  # a pan
        # light that goes down
        [view(0) * (1 - 0.7 * n / 60) + 20 for n in range(60)],
        [view(0)] * 30 + [np.full(SIZE, 250.0)] + [view(0)] * 30,  # a flash
        # to black and back
        dissolve(view(0), np.full(SIZE, 16.0), 20) + dissolve(np.full(SIZE, 16.0), view(0), 20)
    ],
    ids=["pan", "light", "flash", "fade"])
def test_motion_light_and_flashes_are_no_dissolves(film):
    assert starts(film) == []
