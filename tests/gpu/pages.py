"""Part 4: the notebooks that are taken to the papers' sizes, run to their last cell."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

from report import Report

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def run(report: Report, args: argparse.Namespace) -> None:
    missing = [
        name for name in ("papermill", "ipykernel", "ipywidgets", "anywidget")
        if importlib.util.find_spec(name) is None
    ]
    for name in ("05_memory_propagation", "07_training"):
        path = NOTEBOOKS / f"{name}.ipynb"
        if missing or not path.exists():
            report.add("pages", notebook=name,
                       skipped=f"not installed here: {', '.join(missing)}" if missing else "not in this copy")
        elif args.small:
            report.add("pages", notebook=name, skipped="--small")
        elif report.left() < 60:
            report.add("pages", notebook=name, skipped=f"only {report.left():.0f} s were left")
        else:
            began = time.monotonic()
            command = [
                sys.executable, "-m", "colorlab", "run",
                str(path), "-p", "profile", "paper", "--out",
                str(report.folder / "pages")
            ]
            code = subprocess.run(command, timeout=report.left(), check=False).returncode
            report.add("pages", notebook=name, seconds=round(time.monotonic() - began), exit_code=code)
