"""Notebooks as experiments: run with parameters, recorded, repeated.

A notebook is an experiment when one of its cells carries the tag `parameters`. `run` executes notebooks in
their own processes through papermill, several at a time, and leaves one folder for each:

    runs/index.html                        every run, with its pictures
    runs/02_warping/02_warping.ipynb       the executed notebook, and the same as .html
    runs/02_warping/run.json               parameters, seed, versions, device, time, peak memory, hashes
    runs/02_warping/metrics.json           what the notebook handed to `record`

`sweep` runs one notebook with every combination of some values, here or on a cluster, into one table.
`repetition` repeats a run from its run.json.

| file             | contents                                                                   |
|------------------|----------------------------------------------------------------------------|
| `parameters.py`  | what a notebook may be given, and whether a value fits                     |
| `provenance.py`  | what a result depends on: sources, code, weights, versions                 |
| `record.py`      | what a notebook says about itself while it runs                            |
| `schema.py`      | what a record must contain before it is used                               |
| `usage.py`       | peak memory and device, noted from inside the kernel                       |
| `kernels.py`     | isolated kernels; a failed start is retried                                |
| `worker.py`      | the process in which one notebook runs                                     |
| `jobs.py`        | planning the requested runs                                                |
| `runner.py`      | one run: its process, its folder, its run.json                             |
| `batch.py`       | many runs in parallel, with progress; finished runs are not repeated       |
| `page.py`        | `index.html`                                                               |
| `sweep.py`       | every combination of some parameters' values                               |
| `table.py`       | a sweep as one table, to read and to compute with                          |
| `cluster.py`     | the same runs on a Dask cluster; Slurm                                     |
| `repeat.py`      | repeating a run, and what has changed since                                |
| `reference.py`   | notebooks executed in place, clean enough to commit                        |

Importing this is cheap: notebooks do it for `record`, and papermill is imported only in the process that runs
one.
"""

from colorlab.experiments.batch import run
from colorlab.experiments.jobs import Job, find_notebooks, plan
from colorlab.experiments.parameters import Parameter, read_parameters, read_value
from colorlab.experiments.record import record
from colorlab.experiments.refresh import refresh
from colorlab.experiments.repeat import Repetition, repetition
from colorlab.experiments.runner import Run, execute
from colorlab.experiments.sweep import plan_sweep, read_grid, sweep

__all__ = [
    "Job", "Parameter", "Repetition", "Run", "execute", "find_notebooks", "plan", "plan_sweep", "read_grid",
    "read_parameters", "read_value", "record", "refresh", "repetition", "run", "sweep"
]
