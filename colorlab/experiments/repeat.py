"""Repeating a run from its run.json: what has changed since, running the same cells, and whether the numbers
agree."""

import contextlib
import json
import math
import tempfile
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from colorlab.experiments import provenance
from colorlab.experiments.batch import run_jobs
from colorlab.experiments.jobs import Job, make_job
from colorlab.experiments.parameters import check_values, load_notebook
from colorlab.experiments.record import MEASURED
from colorlab.experiments.runner import Run
from colorlab.experiments.schema import problem_of, read_metrics
from colorlab.files.errors import InputError
from colorlab.files.atomic import read_json

INJECTED = "injected-parameters"  # papermill's tag for the cell it adds


class Repetition(NamedTuple):
    """A run that is about to be repeated."""

    then: dict[str, Any]          # its run.json
    recorded: dict[str, Any]      # its metrics.json
    job: Job                      # the same, into a folder of its own
    differences: tuple[str, ...]  # what has changed, a line each; empty if nothing

    def run(self, progress: bool = True) -> Run:
        """Run it. The result is in its folder and on the page of that folder's parent."""
        return run_jobs([self.job], self.job.folder.parent, at_once=1, fresh=True, progress=progress)[0]

    def changed_numbers(self, run: Run) -> list[str]:
        """`psnr: 31.2 then, 31.3 now` for every value that differs, except times and memory."""
        return compare(self.recorded, run.metrics)


@contextlib.contextmanager
def repetition(run_json: str | Path, out: str | Path | None = None) -> Iterator[Repetition]:
    """A context with the repetition of the run with this run.json (or folder), ready to be inspected and run.

    out: where its folder goes (None: `repeats` beside the run's). It runs the cells that ran then, kept in
    the run's folder, where the notebook has been changed since, with the same parameters, thread counts, hash
    seed and working directory. Raises InputError if this is not the record of a run, or if out is the run's
    own folder.
    """
    file = Path(run_json, "run.json") if Path(run_json).is_dir() else Path(run_json)
    then, folder = read_record(file), file.absolute().parent
    out = folder.parent / "repeats" if out is None else Path(out)
    notebook = Path(then["notebook"])
    with tempfile.TemporaryDirectory() as temporary:
        source = kept_source(then, folder, Path(temporary))
        if source is None and not notebook.is_file():
            raise InputError(
                f"{notebook} is gone, and {folder} holds no copy of it; there is nothing to repeat")
        if not notebook.parent.is_dir():
            raise InputError(
                f"{notebook.parent}, where the run worked, is gone; put the notebook there again")
        given = check_values(then["given"], source or notebook)
        job = make_job(notebook, given, out, provenance.code_hash(), source, variables(then["environment"]))
        if job.folder == folder:
            raise InputError(f"the repetition would take the place of {folder} itself; give another --out")
        yield Repetition(then, read_metrics(folder / "metrics.json"), job, tuple(differences(then, job)))


def read_record(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(f"{file} is not there; give the run.json of a run, or the run's folder")
    if (record := read_json(file)) is None:
        raise InputError(
            f"{file} cannot be read as the record of a run: it is damaged or no JSON; give a run.json")
    if problem := problem_of(record):
        raise InputError(f"{file} is no record of a run ({problem}); give a run.json")
    return record


def variables(environment: dict[str, Any]) -> dict[str, str]:
    """Those of a record's environment variables that may affect results, and no others: a record may come
    from anyone, and other variables could run code."""
    return {
        name: environment[name]
        for name in provenance.VARIABLES
        if isinstance(environment.get(name), str) and "\0" not in environment[name]
    }


def kept_source(then: dict[str, Any], folder: Path, temporary: Path) -> Path | None:
    """A notebook in `temporary` with the cells that ran then, out of the executed one.

    None where the notebook is still the same, and where the executed one has been changed too.
    """
    notebook, executed = Path(then["notebook"]), folder / Path(then["notebook"]).name
    if notebook.is_file() and provenance.notebook_hash(load_notebook(notebook)) == then["notebook_hash"]:
        return None
    with contextlib.suppress(InputError):
        load_notebook(executed)  # there, and a notebook
        book = json.loads(executed.read_text(encoding="utf-8"))
        return restored(book, temporary / notebook.name, then["notebook_hash"])
    return None


def restored(book: dict[str, Any], source: Path, notebook_hash: str) -> Path | None:
    """An executed notebook written to `source` without what execution added; None where it is not what
    ran."""
    book["cells"] = [cell for cell in book["cells"] if INJECTED not in cell["metadata"].get("tags", ())]
    for cell in book["cells"]:
        cell["metadata"] = {name: value for name, value in cell["metadata"].items() if name == "tags"}
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    source.write_text(json.dumps(book, ensure_ascii=False), encoding="utf-8")
    return source if provenance.notebook_hash(load_notebook(source)) == notebook_hash else None


def differences(then: dict[str, Any], job: Job) -> Iterator[str]:
    """Changes that may affect the numbers, a line each."""
    if job.source:
        yield f"{job.notebook.name} has been changed or moved since: what is run is as it was then, out of the run's folder"
    elif provenance.notebook_hash(load_notebook(job.notebook)) != then["notebook_hash"]:
        yield f"{job.notebook.name} has been changed since, and no copy of what ran then is left: it is run as it is now"
    now = provenance.inputs(then.get("parameters", {}), job.notebook.parent)
    for name in sorted(then.get("inputs", {}).keys() | now.keys()):
        if then.get("inputs", {}).get(name) != now.get(name):
            yield f"the file that {name} names ({then['parameters'][name]}) is {'another' if name in now else 'gone'}"
    if provenance.code_hash() != then["code_hash"]:
        yield f"colorlab's code or course weights: {commit(then.get('git'))} then, {commit(provenance.git_state())} now"
    yield from provenance.version_differences(then["versions"], provenance.versions())
    here = provenance.machine()
    yield from (f"{name}: {value} then, {here.get(name)} now" for name, value in then["machine"].items()
                if here.get(name) != value)
    if str(then["device"]).startswith("cuda") and (device := cuda_device()) != then["device"]:
        yield f"device: {then['device']} then, {device} now"


def commit(state: dict[str, Any] | None) -> str:
    if not state:
        return "no commit known"
    return f"commit {state['commit'][:8]}" + (" with changes" if state["changed"] else "")


def cuda_device() -> str:
    """As a run's record names it. torch is imported only for runs that used a GPU."""
    import torch

    return f"cuda: {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "no CUDA device"


def compare(then: Any, now: Any) -> list[str]:
    """What differs between two sets of recorded values, a line for each name; names in MEASURED are passed
    over."""
    before, after = dict(leaves(then)), dict(leaves(now))
    changed: dict[str, list[str]] = {}
    for path in {**before, **after}:
        one, other = before.get(path, "nothing"), after.get(path, "nothing")
        same = one == other or all(isinstance(value, float) and math.isnan(value) for value in (one, other))
        if not same and not any(word in path.lower() for word in MEASURED):
            changed.setdefault(path.partition("[")[0], []).append(f"{path}: {one} then, {other} now")
    return [
        lines[0] + (f" ({len(lines)} values differ)" if len(lines) > 1 else "") for lines in changed.values()
    ]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """`{"a": [1, 2]}` -> ("a[0]", 1), ("a[1]", 2)."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    else:
        yield path, value
