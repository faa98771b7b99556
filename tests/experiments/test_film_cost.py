"""What a film costs: every frame once, in order and back, and what a state holds."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from colorlab.experiments.ablations import TABLES, build
from colorlab.experiments.film_cost import MEBIBYTE, FilmCost, film_cost


class Seen(NamedTuple):
    levels: tuple[float, ...] = ()

    @property
    def nbytes(self) -> int:
        return len(self.levels) * MEBIBYTE


class Watcher(nn.Module):
    """A method that only remembers the lightness of what it was shown."""

    def __init__(self):
        super().__init__()
        self.weight, self.films = nn.Parameter(torch.zeros(1)), []

    def start(self, references):
        assert references[0][0] == 0
        self.films.append([])
        return Seen()

    def step(self, l, state):
        self.films[-1].append(float(l.mean()))
        return l.expand(-1, 2, -1, -1), Seen((*state.levels, 0.0))


def test_a_film_is_shown_there_and_back_until_it_is_long_enough():
    frames, watcher = torch.arange(4.0).view(4, 1, 1, 1).expand(-1, 3, 4, 4), Watcher()
    cost = film_cost(watcher, frames, 9)
    assert watcher.films == [[0, 1], [0, 1, 2, 3, 2, 1, 0, 1, 2]]  # a first try, and the film
    assert cost.held == list(range(1, 10)) and len(cost.seconds) == 9 and cost.peak is None


def test_the_average_leaves_out_the_frame_whose_colours_are_given():
    cost = FilmCost([50.0, 1.0, 2.0, 6.0], [], None)
    assert cost.average == 3 and cost.at_the_end(3) == 2


def test_stacking_holds_more_with_every_frame_and_memory_does_not():
    table, frames = (
        TABLES["colormnet 3"],
        torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 50,
    )
    stacked, compressed = (film_cost(build(table, row, "tiny"), frames, 30).held for row in table.rows)
    assert stacked[-1] > 1.5 * stacked[14] and compressed[-1] < 0.8 * stacked[-1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a GPU's memory is measured on a GPU")
def test_on_a_gpu_the_peak_is_more_than_what_is_held():
    table = TABLES["colormnet 3"]
    cost = film_cost(build(table, table.full, "tiny").to("cuda"), torch.rand(4, 3, 32, 32) * 50, 12)
    assert cost.peak > max(cost.held)
