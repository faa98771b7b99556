"""What is shown of the ablation tables."""

import numpy as np
import pytest
import torch

from colorlab.experiments import ablation_tables, compare
from colorlab.experiments.ablation_tables import (Bench, at_hand, for_a_sweep, measured_here, of_one_seed,
                                                  over_seeds, quoted, spread, spreads)
from colorlab.experiments.ablations import STUDY, TABLES, read_study, study_of_sweep


@pytest.fixture
def study():
    return read_study(STUDY)


def test_a_spread_is_mean_lowest_and_highest(study):
    by_seed = {"row": {"psnr": {0: 30.0, 1: 33.0, 2: 31.5}}}
    assert spread(by_seed, "row", "psnr") == compare.Interval(31.5, 30.0, 33.0)


@pytest.mark.parametrize("name", sorted(read_study(STUDY)))
def test_a_table_shows_its_rows_its_remark_and_what_the_paper_printed(study, name):
    text, table = over_seeds(name, study[name]), TABLES[name]
    assert text.startswith(table.title) and table.remark in text
    assert ('"quoted"' in text) == bool(table.columns)
    assert all(row.name in text for row in table.rows)
    assert all(list(rows) == [row.name for row in table.rows] for rows in spreads(name, study[name]).values())


def test_a_metric_that_could_not_be_measured_says_why():
    name = "tcavc 2"
    shown = measured_here(name, {row.name: {"psnr": 25.0} for row in TABLES[name].rows})
    assert "fid_ntire_scorer: -, because it" in shown and "psnr: -" not in shown and quoted(name) in shown


def test_what_is_recorded_becomes_a_study_again():
    values = dict.fromkeys(at_hand("lstvc 2"), 30.5) | {"films": {}}
    measured = {row.name: values for row in TABLES["lstvc 2"].rows}
    recorded = for_a_sweep("lstvc 2", measured)
    assert set(recorded) == {"lstvc_2"} and "films" not in recorded["lstvc_2"]["w/o linkage"]
    columns = [f"lstvc_2.{row}.psnr" for row in recorded["lstvc_2"]]
    head = ",".join(["state", "seed", *(f'"{column}"' for column in columns)])
    text = study_of_sweep(f"{head}\nfinished,4" + ",30.5" * len(columns))
    assert len(text.splitlines()) == 1 + len(columns)
    by_seed = of_one_seed(measured, 4)["w/o linkage"]
    assert by_seed["psnr"] == {4: 30.5} and "films" not in by_seed


def test_a_network_colours_a_film_once(monkeypatch):
    films = [compare.Film("grey", [np.full((16, 16, 3), 90, np.uint8)] * 5)]
    asked, model = [], torch.nn.Identity()
    def run(model, films, memory):
        asked.append(model)
        return compare.Result({film.name: film.frames for film in films}, 0.0, None)
    monkeypatch.setattr(ablation_tables.compare, "run", run)
    bench = Bench(films)
    first, again = bench.measure({"one": model}, ("ssim",)), bench.measure({"two": model}, ("ssim",))
    assert asked == [model] and first["one"]["ssim"] == again["two"]["ssim"] == pytest.approx(1)
