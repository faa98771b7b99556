"""What notebook 10 shows of the ablation tables: numbers measured over several seeds or here, and the
paper's beside them.

    bench = Bench(films)
    # {row: {metric: value, "films": {film: frames}}}
    measured = bench.measure({"full": network, "without": other}, at_hand("lstvc 2"))
    print(over_seeds("lstvc 2", read_study()["lstvc 2"]))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from colorlab import metrics
from colorlab.experiments import compare
from colorlab.experiments.ablations import TABLES

SHOWN = ("psnr", "ssim", "colorfulness", "cdc", "warp_error")  # columns of every table
Measured = dict[str, dict[str, object]]                   # row -> metric -> value; "films": {film: frames}
BySeed = Mapping[str, Mapping[str, Mapping[int, float]]]  # row -> metric -> seed -> value


def papers_metrics(name: str) -> tuple[str, ...]:
    """The metrics closest to the paper's columns, without those of SHOWN."""
    return tuple(metric for metric in TABLES[name].measures if metric not in SHOWN)


def at_hand(name: str) -> tuple[str, ...]:
    """SHOWN and those of the paper's metrics whose networks are installed."""
    return (*SHOWN, *(metric for metric in papers_metrics(name) if not metrics.missing(metric)))


class Bench:
    """Films on which networks are measured. What a network made of them is kept, so that none is asked
    twice."""

    def __init__(self, films: Sequence[compare.Film], device: str | torch.device = "cpu"):
        self.films, self.tools = list(films), metrics.Tools(device=device)
        self._made: dict[tuple[nn.Module, tuple[str, ...]], compare.Result] = {}

    def measure(self, models: Mapping[str, nn.Module], wanted: Sequence[str] = SHOWN,
                films: Sequence[compare.Film] | None = None) -> Measured:
        """{row: network} -> {row: {metric: value over all films, "films": {film: frames}}}.

        films: some of the bench's; None: all.
        """
        films = self.films if films is None else films
        results = {row: self._run(model, films) for row, model in models.items()}
        whole = compare.compare(results, films, wanted, tools=self.tools).whole
        return {row: dict(whole[row]) | {"films": results[row].films} for row in models}

    def _run(self, model: nn.Module, films: Sequence[compare.Film]) -> compare.Result:
        key = model, tuple(film.name for film in films)
        if key not in self._made:
            self._made[key] = compare.run(model, films, memory=False)
        return self._made[key]


def of_one_seed(measured: Measured, seed: int) -> BySeed:
    """What was measured here, in the form of a study."""
    return {row: {metric: {seed: value} for metric, value in values.items() if isinstance(value, float)}
            for row, values in measured.items()}


def spread(by_seed: BySeed, row: str, metric: str) -> compare.Interval:
    """Mean, lowest and highest value over the seeds."""
    values = list(by_seed[row][metric].values())
    return compare.Interval(float(np.mean(values)), min(values), max(values))


def spreads(name: str, by_seed: BySeed,
            shown: Sequence[str] = ("psnr", "colorfulness")) -> dict[str, dict[str, compare.Interval]]:
    """The same for all rows, as `plots.intervals` draws them."""
    rows = [row.name for row in TABLES[name].rows]
    return {f"{metric}, {name}": {row: spread(by_seed, row, metric) for row in rows} for metric in shown}


def over_seeds(name: str, by_seed: BySeed) -> str:
    """A table's title, what was measured over the seeds, and the paper's own numbers."""
    lines = [
        (row.name, *(spread(by_seed, row.name, metric) for metric in SHOWN)) for row in TABLES[name].rows
    ]
    numbers = compare.text_table(("measured: mean [lowest, highest]", *SHOWN), lines)
    return "\n\n".join((TABLES[name].title, numbers, quoted(name)))


def measured_here(name: str, measured: Measured, columns: Sequence[str] = ()) -> str:
    """A table's title, what was measured here without training, or why it was not, and the paper's own
    numbers."""
    columns = tuple(columns) or (*SHOWN, *papers_metrics(name))
    lines = [(row, *map(values.get, columns)) for row, values in measured.items()]
    absent = [f"{metric}: -, because it {metrics.missing(metric) or 'is not for films as small as these'}"
              for metric in columns if all(values.get(metric) is None for values in measured.values())]
    here = "\n".join((compare.text_table(("measured here", *columns), lines), *absent))
    return "\n\n".join((TABLES[name].title, here, quoted(name)))


def quoted(name: str) -> str:
    """What the paper printed, and what is to be known about it."""
    table, shown = TABLES[name], lambda number: "-" if number is None else f"{number:g}"
    rows = [(row.name, *map(shown, row.quoted)) for row in table.rows if row.quoted]
    printed = [compare.text_table(('"quoted"', *table.columns), rows)] if rows else []
    return "\n\n".join((*printed, f"{table.remark}\n"))


def for_a_sweep(name: str, measured: Measured) -> dict[str, dict[str, dict[str, float]]]:
    """The numbers as a notebook records them, {TABLE: {row: {metric: value}}}; `study_of_sweep` reads them.

    Names with "second" or "memory" in them would be taken for measurements of the machine, so they are
    written otherwise.
    """
    plain = lambda row: row.replace("memory", "mfp").replace("second", "2nd")
    return {name.replace(" ", "_"): {
        plain(row): {metric: values[metric] for metric in at_hand(name) if values.get(metric) is not None}
        for row, values in measured.items()
    }}
