"""The requested runs: notebooks with their parameters, all checked before the first one starts."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable

from colorlab.experiments import provenance
from colorlab.experiments.parameters import check_values, load_notebook
from colorlab.files.errors import InputError
from colorlab.files.project_folders import checkout


@dataclass(frozen=True)
class Job:
    """One notebook with one set of parameters, checked and ready to run anywhere that shares these paths."""

    notebook: Path
    folder: Path                                              # the run's folder
    fingerprint: str                                          # hash of everything that determines the result
    cells: int                                                # number of code cells, to show progress
    parameters: dict[str, Any] = field(default_factory=dict)  # those that were given
    # a file with other cells to run instead of the notebook, in its working directory
    source: Path | None = None
    # those of provenance.VARIABLES that the run shall see; None: as they are here
    variables: dict[str, str] | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def file(self) -> Path:
        """The file with the cells that are run."""
        return self.source or self.notebook


def plan(notebooks: Iterable[str | Path], parameters: dict[str, Any] | None = None, out: str | Path = "runs",
         as_text: bool = False) -> list[Job]:
    """The jobs for these notebooks (a folder means all in it), every parameter checked before anything
    runs.

    parameters: for each of the notebooks. as_text: values are strings from a command line, to be read by
    type. Raises InputError for a missing notebook, an unknown or mistyped parameter, and two notebooks of one
    name.
    """
    code = provenance.code_hash()
    jobs = [
        make_job(path, check_values(parameters or {}, path, as_text), out, code)
        for path in find_notebooks(notebooks)
    ]
    for name in {job.name for job in jobs if sum(other.folder == job.folder for other in jobs) > 1}:
        raise InputError(f"two of the notebooks would both run into {Path(out) / name}; give them "
                         "different --out folders")
    return jobs


def make_job(notebook: Path, given: dict[str, Any], out: str | Path, code: str, source: Path | None = None,
             variables: dict[str, str] | None = None) -> Job:
    """The job of one notebook with parameters that have been checked. code: `provenance.code_hash()`, taken
    once for many."""
    cells = load_notebook(source or notebook)
    mark = provenance.fingerprint(cells, given, notebook.parent, code)
    to_run = sum(cell.kind == "code" and bool(cell.source.strip()) for cell in cells) + bool(given)
    return Job(notebook,
               Path(out).absolute() / folder_name(notebook, given), mark, to_run, given, source, variables)


def find_notebooks(paths: Iterable[str | Path]) -> list[Path]:
    """Absolute paths, folders opened, patterns expanded where the shell has not done it (Windows)."""
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.glob("*.ipynb")) if path.is_dir() else [path]
        if "*" in path.name and not path.exists():
            inside = sorted(path.parent.glob(path.name))
        if not inside:
            raise InputError(f"no notebooks (.ipynb) in {path}")
        if not path.exists() and checkout() is None and "*" not in path.name:
            raise InputError(f"{path} is not there; notebooks come with a clone of the project, not with the "
                             "installed package: give their path")
        found += [notebook.absolute() for notebook in inside]
    return list(dict.fromkeys(found))


def folder_name(notebook: Path, parameters: dict[str, Any]) -> str:
    """`02_warping`, or `02_warping--temperature=0.1`; a hash is added where the values do not fit into a
    file's name."""
    if not parameters:
        return notebook.stem
    stated = ",".join(f"{name}={value}" for name, value in parameters.items())
    safe = re.sub(r"[^\w.,=+-]", "_", stated)[:60]
    return f"{notebook.stem}--{safe}" + ("" if safe == stated else "-" + provenance.digest(parameters)[:8])
