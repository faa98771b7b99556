"""Four results in a shuffled order."""

import numpy as np

from colorlab.metrics import colorfulness
from colorlab.teaching.blind_test import blind_results

FILM = np.random.default_rng(0).integers(0, 256, (5, 12, 16, 3), dtype=np.uint8)


def test_each_letter_is_what_its_name_says():
    blind, names = blind_results(FILM)
    film = {name: blind[letter] for letter, name in names.items()}
    colors = {name: np.array([colorfulness(frame) for frame in frames]) for name, frames in film.items()}
    assert list(blind) == list("ABCD") and all(len(frames) == 5 for frames in film.values())
    assert (colors["half the colour"] < colors["a little too vivid"]).all()
    ratio = colors["flickering"] / colors["half the colour"]
    assert ratio.max() > 1.2 * ratio.min()


def test_another_seed_gives_another_order():
    assert len({tuple(blind_results(FILM, seed)[1].values()) for seed in range(4)}) > 1
