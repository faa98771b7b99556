"""What a result depends on: the notebook's sources, the package's code, the course weights, the versions of
everything."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from colorlab.experiments.parameters import Cell
from colorlab.files.project_folders import PACKAGE, checkpoints_folder

# Environment variables that affect results; a repetition must restore them.
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG",
             "CUDA_VISIBLE_DEVICES")


def notebook_hash(cells: list[Cell]) -> str:
    """Hash of a notebook's content: its cells' kinds, sources and tags, without outputs and counters."""
    return digest(cells)


def code_hash() -> str:
    """Hash of the package's sources and of the course weights that it takes, wherever COLORLAB_CHECKPOINTS
    has them."""
    weights = checkpoints_folder()
    files = sorted(PACKAGE.rglob("*.py")) + (sorted(weights.iterdir()) if weights.is_dir() else [])
    return digest([[file.name, hashlib.sha256(file.read_bytes()).hexdigest()]
                   for file in files
                   if file.is_file()])


def fingerprint(cells: list[Cell], parameters: dict[str, Any], folder: Path, code: str) -> str:
    """Hash of everything that determines a run's result; of two runs with equal hashes only one is needed.

    folder: the notebook's, against which paths among the parameters are read: a film that was replaced under
    the same name is a different input. code: `code_hash()`, taken once for many runs.
    """
    return digest(
        [notebook_hash(cells), parameters,
         sorted(inputs(parameters, folder).items()), code,
         versions()])


def inputs(parameters: dict[str, Any], folder: Path) -> dict[str, list[int]]:
    """The parameters that name files, with the files' states."""
    return {name: state for name, value in parameters.items() if (state := file_state(value, folder))}


def file_state(value: Any, folder: Path) -> list[int] | None:
    """Size and time of the file that a parameter names, None where it names none."""
    if not isinstance(value, str) or not value or len(value) > 1000 or "\0" in value:
        return None
    path = folder / value
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else None


def digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def requirements() -> list[str]:
    """What colorlab needs, as its metadata states it ("torch>=2.4"), without the extras; empty where it is
    not installed."""
    try:
        stated = metadata.requires("colorlab") or []
    except metadata.PackageNotFoundError:
        return []
    return [line for line in stated if "extra ==" not in line]


def versions() -> dict[str, str]:
    """The versions of Python, of colorlab and of every package that it needs."""
    found = {"python": platform.python_version()}
    for name in ["colorlab", *(re.match(r"[\w.-]+", line).group() for line in requirements())]:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def version_differences(one: dict[str, str], other: dict[str, str],
                        words: tuple[str, str] = ("then", "now")) -> list[str]:
    """`torch 2.4.0 then, 2.5.1 now` for each package that is not the same in both."""
    return [f"{name} {one.get(name, 'not known')} {words[0]}, {other.get(name, 'not known')} {words[1]}"
            for name in {**one, **other} if one.get(name) != other.get(name)]


def git_state() -> dict[str, Any] | None:
    """The commit of the checkout the package is in and whether anything differs from it; None outside a
    checkout."""
    if not shutil.which("git") or not (PACKAGE.parent / ".git").exists():
        return None

    def ask(*words: str) -> str:
        return subprocess.run(["git", "-C", str(PACKAGE.parent), *words], capture_output=True,
                              text=True).stdout.strip()

    return {
        "commit": ask("rev-parse", "HEAD"),
        "changed": bool(ask("status", "--porcelain", "--untracked-files=no"))
    }


def machine() -> dict[str, Any]:
    return {"system": platform.platform(), "processor": platform.machine(), "cores": cores()}


def cores() -> int:
    """The CPU cores that this process may use, which containers and queues make fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
