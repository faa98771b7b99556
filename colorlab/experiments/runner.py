"""One run: a separate process for the notebook, and a folder that is created atomically."""

import contextlib
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

from colorlab.experiments import provenance
from colorlab.experiments.jobs import Job
from colorlab.experiments.parameters import load_notebook, read_parameters
from colorlab.experiments.schema import read_metrics, read_run
from colorlab.files.errors import InputError
from colorlab.files.project_folders import can_write, home, private_folder
from colorlab.files.atomic import lives, write_json

PARTIAL = ".partial"  # folders with this name are unfinished runs


class Ended(Exception):
    """The run's process was ended by its caller; there is no result and no folder."""


@dataclass(frozen=True)
class Run:
    """The outcome of a job; `record` is its run.json."""

    job: Job
    record: dict[str, Any]
    resumed: bool = False        # true: it already existed and was not repeated

    @property
    def finished(self) -> bool:
        return self.record["status"] == "finished"

    @property
    def error(self) -> str:
        """One line naming the notebook, the cell and the error; empty for a finished run."""
        found = self.record["error"]
        if not found:
            return ""
        place = f", cell {found['cell']}" + (
            f" `{found['line']}`" if found["line"] else "") if found["cell"] else ""
        return f"{self.job.notebook.name}{place}: {found['message']}"

    @property
    def metrics(self) -> dict[str, Any]:
        """What the notebook recorded; empty if it never ran."""
        return read_metrics(self.job.folder / "metrics.json")


def done_before(job: Job) -> dict[str, Any] | None:
    """The run.json of a finished run with the same notebook, parameters, code and versions, if there is
    one."""
    record = read_run(job.folder / "run.json")
    return record if record and record["status"] == "finished" and record[
        "fingerprint"] == job.fingerprint else None


def check_place(job: Job) -> None:
    """Raise InputError if a run would replace something that is not a run, such as a network in training."""
    folder = job.folder
    if not folder.exists() or (
        folder.is_dir()
        and (
            read_run(folder / "run.json")
            or not any(folder.iterdir())
            or (folder / job.notebook.name).is_file()
        )
    ):
        return
    raise InputError(f"{folder} holds something that is no run of a notebook; give another --out, or "
                     "move it away")


def execute(job: Job, threads: int | None = None, progress: Callable[[int], None] = lambda cells: None,
            workers: set[subprocess.Popen] | None = None) -> Run:
    """Run one job in its own process and put its folder in place, finished or failed.

    threads: how many the run may use (None: as the environment says). progress: told the code cells started
        so far.
    workers: holds the process while it lives; to end it, close its stdin. Raises Ended then, and leaves no
    folder.
    """
    began, clock = datetime.datetime.now(datetime.timezone.utc), time.monotonic()
    with partial_folder(job.folder) as partial:
        error = in_worker(job, partial, threads, progress, set() if workers is None else workers)
        usage_file = partial / "usage.json"
        usage = json.loads(
            usage_file.read_text()) if usage_file.exists() else {"device": None, "peak_memory_mb": None}
        usage_file.unlink(missing_ok=True)
        if not error or not (partial / "log.txt").stat().st_size:
            (partial / "log.txt").unlink()  # of a finished run: only its kernel's shutdown
        if not (partial / "metrics.json").exists():
            write_json(partial / "metrics.json", {}, indent=2)
        defaults = {name: parameter.default for name, parameter in read_parameters(job.file).items()}
        record = {
            "status": "failed" if error else "finished",
            "error": error,
            "notebook": str(job.notebook),
            "notebook_hash": provenance.notebook_hash(load_notebook(job.file)),
            "parameters": defaults | job.parameters,
            "given": job.parameters,
            "seed": (defaults | job.parameters).get("seed"),
            "inputs": provenance.inputs(defaults | job.parameters, job.notebook.parent),
            "started": began.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - clock, 2),
            **usage,
            "machine": provenance.machine(),
            "versions": provenance.versions(),
            "git": provenance.git_state(),
            "environment": {
                name: value
                for name, value in environment(threads, job.variables).items()
                if name in provenance.VARIABLES
            },
            "code_hash": provenance.code_hash(),
            "fingerprint": job.fingerprint,
        }
        write_json(partial / "run.json", record, indent=2)
    return Run(job, record)


@contextlib.contextmanager
def partial_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that replaces `folder` if the block succeeds and is deleted otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}-{platform.node()}-{os.getpid()}-", dir=folder.parent))
    partial.chmod(0o755)  # mkdtemp hides it from others, who may want to see the results
    try:
        yield partial
        if folder.exists():
            folder.rename(old := partial.with_name(partial.name + "-old"))
            partial.rename(folder)
            shutil.rmtree(old)
        else:
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_leftovers(out: Path) -> None:
    """Remove the unfinished folders of runs whose process on this machine is gone."""
    for left in out.glob(f"{PARTIAL}-{platform.node()}-*"):
        owner = left.name.removeprefix(f"{PARTIAL}-{platform.node()}-").split("-")[0]
        if owner.isdecimal() and not lives(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def in_worker(job: Job, partial: Path, threads: int | None, progress: Callable[[int], None],
              workers: set[subprocess.Popen]) -> dict[str, Any] | None:
    """Run the job into `partial` in a separate process; returns None on success, else what failed."""
    task = {
        "notebook": str(job.file), "parameters": job.parameters, "folder": str(partial),
        "cwd": str(job.notebook.parent)
    }
    outcome: dict[str, Any] = {}
    with subprocess.Popen([sys.executable, "-m", "colorlab.experiments.worker"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, env=environment(threads, job.variables),
                          # so that Ctrl-C reaches us first and we can shut it down cleanly
                          start_new_session=True) as worker:
        workers.add(worker)
        try:
            worker.stdin.write(json.dumps(task) + "\n")
            worker.stdin.flush()
            for line in worker.stdout:
                message = json.loads(line)
                progress(message["cells"]) if "cells" in message else outcome.update(message)
            worker.wait()  # before its stdin is closed: that would end it, even on its way out
            if worker.stdin.closed:
                raise Ended
        finally:
            workers.discard(worker)
            worker.stdin.close()
    if worker.returncode == 0:
        return outcome["error"]
    log = (partial / "log.txt").read_text(
        errors="replace").strip().splitlines() if (partial / "log.txt").exists() else []
    (partial / "log.txt").touch()
    killed = f"was killed by signal {-worker.returncode}" if worker.returncode < 0 else "ended early"
    return {
        "cell": "", "line": "",
        "message": f"the run's process {killed}" + (f": {log[-1][:200]}" if log else "")
    }


def environment(threads: int | None, variables: dict[str, str] | None = None) -> dict[str, str]:
    """The variables a run sees: this very package first, one hash seed, and its share of the cores.

    variables: those of provenance.VARIABLES to see in place of what is set here and of `threads`, no more and
    no fewer.
    """
    paths = [str(provenance.PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    chosen = {"PYTHONHASHSEED": "0"} | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    seen = chosen | os.environ
    if variables is not None:
        seen = {name: value for name, value in seen.items() if name not in provenance.VARIABLES} | variables
    return seen | homes() | {"PYTHONPATH": os.pathsep.join(paths)}


def homes() -> dict[str, str]:
    """Where Jupyter, IPython and matplotlib may write, where the home folder cannot be written; and
    colorlab's own folders, as seen from here."""
    own = {
        name: str(Path(os.environ[name]).absolute())
        for name in ("COLORLAB_CHECKPOINTS", "COLORLAB_CACHE")
        if os.environ.get(name)
    }
    if can_write(home()):
        return own
    places = {"IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "jupyter", "JUPYTER_DATA_DIR": "jupyter-data",
              "JUPYTER_RUNTIME_DIR": "jupyter-runtime", "MPLCONFIGDIR": "matplotlib"}
    return own | {
        name: str(private_folder(place)) for name, place in places.items() if name not in os.environ
    }
