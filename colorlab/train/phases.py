"""Phases: training on one data set after another, as CAVC on DAVIS and then LDV (§4.3)."""

from __future__ import annotations

from collections.abc import Sequence

from torch.utils.data import Dataset

from colorlab.clips.windows import Window
from colorlab.files.errors import InputError
from colorlab.train.batches import Moving
from colorlab.train.recipes import Recipe


class PhasedWindows(Dataset):
    """Windows of one data set after another, each from its phase's share of the training on.

    windows: for each phase of the recipe the windows of its data, by the number of the window in the whole
    training.
    """

    def __init__(self, recipe: Recipe, windows: Sequence[Dataset], processes: int = 1):
        check_phases(recipe, len(windows))
        self.windows = tuple(windows)
        length = recipe.steps * recipe.accumulate * processes * recipe.batch
        self.starts = [int(phase.share * length) for phase in recipe.phases]

    def __len__(self) -> int:
        return len(self.windows[0])

    def __getitem__(self, index: int) -> Window | Moving:
        return self.windows[max(k for k, start in enumerate(self.starts) if index >= start)][index]


def check_phases(recipe: Recipe, given: int) -> None:
    """Raise InputError unless there are as many data sets as the recipe has phases, a recipe without any
    being one."""
    names = [phase.data for phase in recipe.phases]
    if given != max(1, len(names)):
        wanted = f"has {len(names)} phases ({', '.join(names)})" if names else "has one phase"
        single = "; or train on a single set with --set phases=()" if names else ""
        raise InputError(f"this recipe {wanted} and the data of {given} were given: --data is the first's, "
                         "each --then the next one's"
                         + single)
    shares = [phase.share for phase in recipe.phases]
    if shares and (shares[0] != 0 or sorted(set(shares)) != shares or shares[-1] >= 1):
        raise ValueError(f"phases begin at 0 and follow one another below 1, got {shares}")
