"""What a notebook says about itself: `record(psnr=31.2)` writes a number where a table of runs will find
it."""

import json
import os
from pathlib import Path
from typing import Any

from colorlab.files.whole import write_json

# a name that holds one of these tells of the machine: no repetition gives it again
MEASURED = ("second", "memory")
RUN_FOLDER = "COLORLAB_RUN_FOLDER"  # set for the kernel of a run; absent when a person works in the notebook


def record(**values: Any) -> None:
    """Keep named results of this run in its `metrics.json`; a name given again takes the new value.

    values: numbers, strings, lists and dicts of these; numpy and torch numbers and arrays are turned into
    such. Numbers that are not finite are kept as Python's json writes them (NaN, Infinity). In a notebook
    that is worked in by hand, where there
    is no run, nothing is written: the same cell does for both. Times and memory go under names that say so
    (`seconds_per_frame`, `peak_memory_mb`): a repetition of the run is not held to them.

    Raises TypeError for a value that JSON cannot hold.
    """
    plain = {name: as_plain(value, name) for name, value in values.items()}
    if folder := os.environ.get(RUN_FOLDER):
        path = Path(folder, "metrics.json")
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        write_json(path, known | plain, indent=2)


def as_plain(value: Any, name: str) -> Any:
    """`value` as JSON holds it."""
    if hasattr(value, "tolist"):  # numpy and torch, numbers and arrays alike
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [as_plain(item, name) for item in value]
    if isinstance(value, dict):
        return {str(key): as_plain(item, name) for key, item in value.items()}
    raise TypeError(f"record({name}=...) takes numbers, strings, lists and dicts, got "
                    f"{type(value).__name__}; record what you measured on it")
