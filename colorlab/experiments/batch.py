"""Many runs in parallel: a progress bar, a line for each, an up-to-date page, and no repeated work."""

import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from pathlib import Path
from typing import Any, Callable, Iterable

from colorlab.experiments import provenance
from colorlab.experiments.jobs import Job, plan
from colorlab.experiments.page import write_page
from colorlab.experiments.runner import Run, check_place, done_before, execute, remove_leftovers

# What brings a page up to date: the runs that have ended, by folder, and the others' names, each "waiting" or
# "running".
Show = Callable[[dict[Path, Run], dict[str, str]], None]


def run(notebooks: Iterable[str | Path], parameters: dict[str, Any] | None = None, out: str | Path = "runs",
        jobs: int | None = None, fresh: bool = False, as_text: bool = False,
        progress: bool = True) -> list[Run]:
    """Run notebooks with the given parameters into folders under `out`, in the order given; `out/index.html`
    shows them.

    jobs: how many at a time (None: one for every two cores, at most four). fresh: repeat existing runs.
    as_text: the parameters' values come from a command line. progress: a bar and a line for each run on
        standard error.
    A failed cell ends its notebook, not the others: look at `Run.finished` and `Run.error`.
    Raises InputError, before anything runs, for what `plan` refuses.
    """
    return run_jobs(plan(notebooks, parameters, out, as_text), Path(out), jobs, fresh, progress)


def run_jobs(jobs: list[Job], out: Path, at_once: int | None = None, fresh: bool = False,
             progress: bool = True, show: Show | None = None) -> list[Run]:
    """The runs of planned jobs on this machine, in their order; see `run` and, for `show`, `Batch`."""
    at_once = at_once or min(len(jobs), max(1, provenance.cores() // 2), 4)
    threads = max(1, provenance.cores() // at_once)
    batch = Batch(jobs, out, fresh, progress, show)
    # threads only wait: the work is done in the runs' own processes
    with ThreadPoolExecutor(at_once) as pool, batch:
        batch.futures = [pool.submit(batch.do, job, threads) for job in batch.due]
        for future in as_completed(batch.futures):
            future.result()
    return [batch.runs[job.folder] for job in jobs]


class Batch:
    """Shared state of the current runs. As a context it closes the bar and, when left early, ends every
    process.

    show: called whenever a run begins or ends, to bring a page up to date; None: `out/index.html`.
    """

    def __init__(self, jobs: list[Job], out: Path, fresh: bool, progress: bool, show: Show | None = None):
        from tqdm import tqdm

        out.mkdir(parents=True, exist_ok=True)
        remove_leftovers(out)
        self.progress = progress
        self.show = show or (lambda runs, pending: write_page(out, pending))
        self.runs = {} if fresh else {
            job.folder: Run(job, record, resumed=True) for job in jobs if (record := done_before(job))
        }
        self.due = [job for job in jobs if job.folder not in self.runs]
        for job in self.due:
            check_place(job)
        self.states = {job.name: "waiting" for job in self.due}
        self.cells = dict.fromkeys(self.states, 0)
        self.workers: set[subprocess.Popen] = set()
        self.futures: list[Future] = []
        self.lock = threading.Lock()  # the bar, the page and the tables above are written from every thread
        self.bar = tqdm(total=sum(job.cells for job in self.due), unit="cell", leave=False,
                        disable=None if progress else True)  # None: a bar on a terminal, lines alone in a log
        for run in self.runs.values():
            self.say(f"done before  {run.job.name}  ({run.record['seconds']:.0f} s)")
        self.show(self.runs, self.states)

    def do(self, job: Job, threads: int) -> None:
        self.begun(job)
        self.ended(execute(job, threads, lambda cells: self.advance(job, cells), self.workers))

    def begun(self, job: Job, where: str = "") -> None:
        self.note(job, "running")
        self.say(f"running      {job.name}{where}")

    def ended(self, run: Run) -> None:
        self.runs[run.job.folder] = run
        self.advance(run.job, run.job.cells)
        self.say(f"{'finished' if run.finished else 'FAILED':<12} {run.job.name}  "
                 f"({run.record['seconds']:.0f} s)")
        self.note(run.job, None)

    def note(self, job: Job, state: str | None) -> None:
        with self.lock:
            self.states[job.name] = state
            self.show(self.runs, {name: left for name, left in self.states.items() if left})

    def advance(self, job: Job, cells: int) -> None:
        with self.lock:
            self.bar.update(cells - self.cells[job.name])
            self.cells[job.name] = cells

    def say(self, line: str) -> None:
        if self.progress:
            self.bar.write(line, file=sys.stderr)

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        for future in self.futures:
            future.cancel()
        while error and wait(self.futures, timeout=0.2).not_done:
            for worker in list(self.workers):
                worker.stdin.close()  # the process ends when its standard input does
        self.bar.close()
        if error:
            self.show(self.runs, {})
