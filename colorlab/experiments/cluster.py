"""A sweep on a Dask cluster: every run is a task, done by any free worker, and redone elsewhere when a worker
dies.

A cluster is a scheduler and workers, started by hand or by a queue. All of its machines need this environment
and the same
folders under the same paths: the notebook, the files that parameters name, and where the results go. By hand:

    dask scheduler --scheduler-file shared/dask.json                               # on one machine
    dask worker    --scheduler-file shared/dask.json --nthreads 1  # on each of the others, as often as you like
    CUDA_VISIBLE_DEVICES=1 dask worker --scheduler-file shared/dask.json --nthreads 1   # one for each GPU
    colorlab sweep NOTEBOOK -g seed=0,1,2 --cluster shared/dask.json

`--nthreads` is how many notebooks a worker runs at a time; each gets its share of the worker's cores, or
OMP_NUM_THREADS where the worker was started with that. (Dask itself sets it to 1 in workers started under a
nanny; set it to the number of cores before `dask worker` to have more.)

**Slurm**, and PBS, LSF, SGE likewise, through Dask's own job queue (`pip install dask-jobqueue`): a script
that runs for as long as the sweep, on the login node or in a small job of its own, asks the queue for
workers.

    from dask_jobqueue import SLURMCluster
    from colorlab import experiments

    workers = SLURMCluster(queue="gpu", cores=8, memory="32GB", processes=1, walltime="08:00:00",
                           job_extra_directives=["--gres=gpu:1"],             # what #SBATCH would say
                           job_script_prologue=["export OMP_NUM_THREADS=8"],
                           worker_extra_args=["--nthreads", "1"])             # one notebook at a time in each job
    workers.adapt(maximum_jobs=10)  # as many jobs as there are runs left, at most 10
    experiments.sweep("notebooks/10_ablations.ipynb", {"seed": [0, 1, 2]}, cluster=workers.scheduler_address)

A job that the queue ends in the middle of a run costs only that run's time. A sweep that was itself ended
resumes from the completed runs.
"""

import logging
import socket
import threading
import time
import uuid
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from colorlab.experiments import provenance
from colorlab.experiments.batch import Batch, Show
from colorlab.experiments.jobs import Job
from colorlab.experiments.parameters import load_notebook, one_line
from colorlab.experiments.runner import Run, done_before, execute, remove_leftovers
from colorlab.files.errors import InputError
from colorlab.files.atomic import read_json

# seconds in which a folder made on one machine shows on another; network file systems keep old listings
SEEN_WITHIN = 90


def run_on_cluster(jobs: list[Job], out: Path, address: str, fresh: bool = False, progress: bool = True,
                   show: Show | None = None) -> list[Run]:
    """The runs of planned jobs on the cluster at `address`, in their order; see `colorlab.experiments.sweep`.

    address: "tcp://host:8786", "host:8786", or the file that `dask scheduler --scheduler-file` wrote.
    Raises InputError when no scheduler answers, or when a worker has other code, versions or folders than
    this machine; ConnectionError when the scheduler goes away. What had finished stays.
    """
    client = connect(address)
    with client:  # leaving it cancels the pending runs, and the workers end the current ones
        batch = Batch(jobs, out, fresh, progress, show)
        with batch:
            if batch.due and not client.scheduler_info()["workers"]:
                batch.say(f"waiting      for workers: none has joined {client.scheduler.address} yet")
            gather(client, batch)
    remove_leftovers(out)  # of runs whose worker died on this machine
    return [batch.runs[job.folder] for job in jobs]


def connect(address: str) -> Any:
    """A client of the scheduler at an address, or at the one that a scheduler file holds."""
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--cluster needs Dask, which is not installed here; pip install 'colorlab[cluster]'") from None
    # errors there are raised here, and reported once
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    if Path(address).is_file():
        told = read_json(Path(address))
        if not isinstance(told, dict) or not isinstance(told.get("address"), str):
            raise InputError(f"{address} holds no scheduler's address; give the file that `dask scheduler "
                             "--scheduler-file` wrote, or tcp://host:8786")
    place = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
    try:
        return Client(**place, set_as_default=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address} ({one_line(error)}); start one with "
            "`dask scheduler` and give the address that it prints, as in tcp://host:8786") from None


def gather(client: Any, batch: Batch) -> None:
    """Hand the jobs that are due to the cluster and take in the runs as they end."""
    from distributed import as_completed

    mark = uuid.uuid4().hex[:8]
    topic, here = f"colorlab-{mark}", {"versions": provenance.versions(), "code": provenance.code_hash()}
    known = {job.name: job for job in batch.due}
    one_at_a_time = threading.Lock()  # news of a run's cells may come when the run itself is already here

    def hear(event: tuple[float, dict[str, Any]]) -> None:
        news, job = event[1], known[event[1]["run"]]
        with one_at_a_time:
            if job.folder not in batch.runs:
                batch.advance(job, news["cells"])
                if not news["cells"]:
                    batch.begun(job, f"  on {news['where']}")

    client.subscribe_topic(topic, hear)
    futures = [
        client.submit(run_here, job, before(job), here, topic, key=f"{job.name}-{mark}", pure=False)
        for job in batch.due
    ]
    jobs = {future.key: job for future, job in zip(futures, batch.due)}
    for future in as_completed(futures, loop=client.loop):
        run = result(future, jobs[future.key])
        with one_at_a_time:
            batch.ended(run)
        future.release()  # otherwise it would be recomputed when the worker that holds it dies


def before(job: Job) -> str | None:
    """When the run that is there now was started, to distinguish a newer run from one that is to be
    replaced."""
    record = done_before(job)
    return record["started"] if record else None


def result(future: Any, job: Job) -> Run:
    """The run of a task, once its folder is visible from here; a failed run if it killed its workers."""
    try:
        record = future.result()
    except InputError:
        raise
    except CancelledError:
        raise ConnectionError(
            "the Dask scheduler has gone away; what had finished stays, and the same command "
            "goes on from there") from None
    except Exception as error:  # any error in an unknown worker
        message = f"no worker could run it: {one_line(error)}"
        return Run(
            job, {"status": "failed", "error": {"cell": "", "line": "", "message": message}, "seconds": 0.0})
    end = time.monotonic() + SEEN_WITHIN
    while not (job.folder / "run.json").exists():
        if time.monotonic() > end:
            raise InputError(
                f"a worker has finished {job.name}, but {job.folder} is not to be seen from here; "
                "give an --out on a disk that this machine and the workers share")
        time.sleep(0.2)
    return Run(job, record)


def run_here(job: Job, stale: str | None, here: dict[str, Any], topic: str) -> dict[str, Any]:
    """In a worker: run the job and return its run.json, or the existing one if a worker that died had just
    finished it.

    stale: `before(job)` on the machine that asks; here: its versions and code; topic: where news of the run
    is sent.
    """
    from distributed import get_worker

    worker, where, processes, over = get_worker(), socket.gethostname(), set(), threading.Event()
    check_same(job, here, where)
    if (record := done_before(job)) and record["started"] != stale:
        return record
    remove_leftovers(job.folder.parent)

    def tell(cells: int) -> None:
        worker.log_event(topic, {"run": job.name, "cells": cells, "where": where})

    def end_when_nobody_wants_it(key: str) -> None:
        while not over.wait(1):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled":
                for process in list(processes):
                    process.stdin.close()  # the run's process ends when its standard input does

    threading.Thread(target=end_when_nobody_wants_it, args=(worker.get_current_task(),), daemon=True).start()
    tell(0)
    try:
        return execute(job, max(1, provenance.cores() // worker.state.nthreads), tell, processes).record
    finally:
        over.set()


def check_same(job: Job, here: dict[str, Any], where: str) -> None:
    """Raise InputError if this worker would not compute the same as the requesting machine."""
    missing = next((path for path in (job.file, job.folder.parent) if not path.exists()), None)
    if missing:
        raise InputError(f"the worker on {where} does not see {missing}; the machines of a cluster need "
                         "the same folders")
    differs = provenance.version_differences(here["versions"], provenance.versions(), ("here", f"on {where}"))
    differs += ["colorlab's code, or it has just been changed"
                ] if here["code"] != provenance.code_hash() else []
    if differs:
        raise InputError(f"the worker on {where} would compute something else: {'; '.join(differs)}; start "
                         "the workers in this machine's environment, and change no code while a sweep runs")
    if job.fingerprint != provenance.fingerprint(
        load_notebook(job.file), job.parameters, job.notebook.parent, here["code"]
    ):
        raise InputError(f"{job.notebook.name}, or a file among its parameters, is another on {where} or "
                         "has just been changed")
