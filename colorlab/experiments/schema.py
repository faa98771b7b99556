"""Validation of a run's record before it is used: other programs, and `colorlab train`, write a run.json
too."""

from pathlib import Path
from typing import Any

from colorlab.files.atomic import read_json

NUMBER, TEXT, NAMED = (int, float), (str,), (dict,)
NOTHING = type(None)
# name -> the types that it may have; a record may hold more
RECORD: dict[str, tuple[type, ...]] = {
    "status": TEXT,
    "error": (dict, NOTHING),
    "notebook": TEXT,
    "notebook_hash": TEXT,
    "parameters": NAMED,
    "given": NAMED,
    "inputs": NAMED,
    "started": TEXT,
    "seconds": NUMBER,
    "device": (str, NOTHING),
    "peak_memory_mb": (*NUMBER, NOTHING),
    "versions": NAMED,
    "machine": NAMED,
    "environment": NAMED,
    "git": (dict, NOTHING),
    "code_hash": TEXT,
    "fingerprint": TEXT,
}
STATES = ("finished", "failed")
LARGEST = 1e15  # a number of seconds or megabytes beyond this is none


def problem_of(record: Any) -> str | None:
    """Why this is no record of a run, in a few words; None where it is one."""
    if not isinstance(record, dict):
        return f"it is a {type(record).__name__}"
    for name, kinds in RECORD.items():
        if name not in record:
            return f"it has no {name}"
        value = record[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            return f"its {name} is a {type(value).__name__}"
        if isinstance(value, NUMBER) and not 0 <= value <= LARGEST:
            return f"its {name} is {str(value)[:20]}"
    if record["status"] not in STATES:
        return f"its status is {record['status'][:20]!r}"
    if "\0" in record["notebook"]:
        return "its notebook is no path"
    return _problem_inside(record)


def _problem_inside(record: dict[str, Any]) -> str | None:
    error, git = record["error"], record["git"]
    if error is not None and not all(
            isinstance(error.get(name), str) for name in ("cell", "line", "message")):
        return "its error is not one of a cell"
    if git is not None and not (isinstance(git.get("commit"), str) and "changed" in git):
        return "its git is not a commit"
    if not all(isinstance(version, str) for version in record["versions"].values()):
        return "its versions are not text"
    if missing := [name for name in record["inputs"] if name not in record["parameters"]]:
        return f"its inputs name {missing[0]}, which is no parameter"
    return None


def read_run(file: Path) -> dict[str, Any] | None:
    """The record in a run.json; None where there is none or it is something else."""
    record = read_json(file)
    return None if problem_of(record) else record


def read_metrics(file: Path) -> dict[str, Any]:
    """What a run recorded; empty if there is no such file, or another program wrote it."""
    found = read_json(file)
    return found if isinstance(found, dict) else {}
