"""An IPython extension that notes, from inside a run's kernel, how much memory it took and on which device.

The runner loads it into every kernel it starts. It writes after each cell, so that the last figures survive
if the kernel is killed for its memory use.
"""

import os
import sys
from pathlib import Path

from colorlab.experiments.record import RUN_FOLDER
from colorlab.files.atomic import write_json


def load_ipython_extension(shell) -> None:
    """Called by IPython when the kernel starts; `shell` is its interactive shell."""
    if folder := os.environ.get(RUN_FOLDER):
        shell.events.register("post_run_cell", lambda result: write_json(Path(folder, "usage.json"), usage()))


def usage() -> dict:
    """Peak memory of this process in MB, the GPU's where one was used, the device's name and the threads."""
    torch = sys.modules.get("torch")  # never imported here: a notebook without torch stays light
    found = {
        "peak_memory_mb": round(peak_memory_mb(), 1), "peak_gpu_memory_mb": None, "device": "cpu",
        "threads": None
    }
    if torch is not None:
        found["threads"] = torch.get_num_threads()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["device"] = f"cuda: {torch.cuda.get_device_name()}"
            found["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        elif torch.backends.mps.is_available() and torch.mps.driver_allocated_memory() > 0:
            found["device"] = "mps"
            found["peak_gpu_memory_mb"] = round(torch.mps.driver_allocated_memory() / 2**20, 1)
    return found


def peak_memory_mb() -> float:
    """The most memory this process has held at once, in MB (2**20 bytes)."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # macOS counts bytes, Linux kilobytes
