"""How much a call adds to a process's peak of resident memory; Linux only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def peak_growth(call: Callable[[], object]) -> float:
    """GiB by which `call` raises the peak above what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _status("VmHWM")
    call()
    return _status("VmHWM") - before


def peak_resident() -> float:
    """GiB, the process's peak so far: libraries, parameters and all."""
    return _status("VmHWM")


def _status(field: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 2 ** 20
