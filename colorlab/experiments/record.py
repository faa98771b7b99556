"""Results reported by a notebook: `record(psnr=31.2)` stores a number for the table of runs."""

import json
import os
from pathlib import Path
from typing import Any

from colorlab.files.atomic import write_json

# names containing one of these are machine-dependent and not reproducible
MEASURED = ("second", "memory")
RUN_FOLDER = "COLORLAB_RUN_FOLDER"  # set for the kernel of a run; absent when a person works in the notebook


def record(**values: Any) -> None:
    """Keep named results of this run in its `metrics.json`; a name given again takes the new value.

    values: numbers, strings, lists and dicts of these; numpy and torch numbers and arrays are turned into
    such. Numbers that are not finite are kept as Python's json writes them (NaN, Infinity). In interactive
    use, outside a run, nothing is written, so the same cell works for both. Name times and memory accordingly
    (`seconds_per_frame`, `peak_memory_mb`): they are not compared when a run is repeated.

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
