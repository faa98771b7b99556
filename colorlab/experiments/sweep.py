"""Running one notebook with every combination of some parameters' values."""

import itertools
from pathlib import Path
from typing import Any, Iterable, Sequence

from colorlab.experiments import provenance
from colorlab.experiments.batch import run_jobs
from colorlab.experiments.cluster import run_on_cluster
from colorlab.experiments.jobs import Job, find_notebooks, make_job
from colorlab.experiments.parameters import check_values
from colorlab.experiments.runner import Run
from colorlab.experiments.table import Table
from colorlab.files.errors import InputError

CLOSING = {"[": "]", "(": ")", "{": "}", "'": "'", '"': '"'}


def sweep(notebook: str | Path, grid: dict[str, Sequence[Any]], parameters: dict[str, Any] | None = None,
          out: str | Path | None = None, jobs: int | None = None, cluster: str | None = None,
          fresh: bool = False, as_text: bool = False, progress: bool = True) -> list[Run]:
    """Run a notebook once for each combination of the grid's values; one table holds them all.

    grid: for each name the values it takes; the last name changes fastest. parameters: further ones, the same
        for every run.
    out: `out/table.csv` and `out/index.html` are there from the start and grow with each run (None:
        runs/sweep-NOTEBOOK).
    jobs: how many at a time on this machine. cluster: the address of a Dask scheduler, or the file in which
    it left its address, to run there instead; see `colorlab.experiments.cluster`. fresh, as_text, progress:
    as for `run`.

    Combinations that are there already are not run again. Returns the runs in the grid's order.
    Raises InputError, before anything runs, for a value or a name that the notebook does not take.
    """
    planned = plan_sweep(notebook, grid, parameters, out, as_text)
    folder = planned[0].folder.parent
    show = Table(folder, planned, list(grid)).write
    if cluster:
        return run_on_cluster(planned, folder, cluster, fresh, progress, show)
    return run_jobs(planned, folder, jobs, fresh, progress, show)


def plan_sweep(notebook: str | Path, grid: dict[str, Sequence[Any]], parameters: dict[str, Any] | None = None,
               out: str | Path | None = None, as_text: bool = False) -> list[Job]:
    """The jobs of a sweep, every value checked before anything runs; see `sweep`."""
    path = one_notebook(notebook)
    if not grid:
        raise InputError("a sweep wants at least one parameter to vary, as in -g seed=0,1,2")
    if both := sorted(grid.keys() & (parameters or {}).keys()):
        raise InputError(f"{both[0]} is given both one value and several; omit one of them")
    fixed = check_values(parameters or {}, path, as_text)
    axes = [[(name, value)
             for value in read_axis(name, values, path, as_text)]
            for name, values in grid.items()]
    code, out = provenance.code_hash(), Path("runs", f"sweep-{path.stem}") if out is None else out
    return [
        make_job(path, check_values(fixed | dict(combination), path), out, code)
        for combination in itertools.product(*axes)
    ]


def one_notebook(notebook: str | Path) -> Path:
    found = find_notebooks([notebook])
    if len(found) > 1:
        raise InputError(f"{notebook} stands for {len(found)} notebooks; a sweep is of one")
    return found[0]


def read_axis(name: str, values: Sequence[Any], notebook: Path, as_text: bool) -> list[Any]:
    """The values of one parameter, checked; InputError when there are none, or one stands there twice."""
    read = [check_values({name: value}, notebook, as_text)[name] for value in values]
    if not read:
        raise InputError(f"{name} is given no value; write -g {name}=a,b,c")
    for value in read:
        if read.count(value) > 1:
            raise InputError(f"{name} is given {value!r} twice; each value once is a run each")
    return read


def read_grid(texts: Iterable[str]) -> dict[str, list[str]]:
    """What was typed as `-g name=a,b,c`, several times over: the name and the texts of its values."""
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"-g {text} names no parameter; write -g name=a,b,c")
        if name.strip() in grid:
            raise InputError(f"-g {name.strip()} is given twice; put all its values behind one: -g "
                             f"{name.strip()}=a,b,c")
        grid[name.strip()] = split_values(values, text)
    return grid


def split_values(text: str, given: str) -> list[str]:
    """`a,'b,c',[1,2]` -> a | b,c | [1,2]: a value that begins with a quote or a bracket extends to the
    matching one.

    given: the complete text as typed, for the error.
    """
    items, open_ = [""], ""  # open_: the closing characters that are still to come, the next one last
    for character in text:
        if open_ and character == open_[-1]:
            open_ = open_[:-1]
        elif character in CLOSING and open_[-1:] not in ("'", '"') and (open_ or not items[-1].strip()):
            open_ += CLOSING[character]
        elif character == "," and not open_:
            items.append("")
            continue
        items[-1] += character
    items = [item.strip() for item in items]
    if open_ or "" in items:
        wrong = f"ends before its {open_[-1]}" if open_ else "holds an empty value"
        raise InputError(f"-g {given} {wrong}; write -g name=a,b,c, with quotes around a value that is "
                         "empty or holds a comma")
    return [
        item[1:-1] if item[0] in "'\"" and item[-1] == item[0] and len(item) > 1 else item for item in items
    ]
