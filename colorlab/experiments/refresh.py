"""Notebooks executed in place, clean enough to commit: what a reader on the web sees and what nbval compares
with."""

import json
import tempfile
from pathlib import Path
from typing import Any, Iterable

from colorlab.experiments.batch import run
from colorlab.experiments.jobs import find_notebooks
from colorlab.files.errors import InputError
from colorlab.files.atomic import write_text

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KEPT = ("tags", "jupyter", "nbgrader", "slideshow", "editable", "deletable")  # of a cell's metadata
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def refresh(notebooks: Iterable[str | Path], jobs: int | None = None, progress: bool = True) -> list[Path]:
    """Execute notebooks with their default parameters and put the outputs into the notebooks themselves.

    Either all are written or, if a cell in any of them fails or draws something that cannot be compared,
    none. Cell ids and tags stay; times, versions and the state of widgets, which would differ each time, go.
    Returns the paths.
    Raises InputError naming the notebook and what is wrong.
    """
    paths, clean = find_notebooks(notebooks), []
    with tempfile.TemporaryDirectory() as folder:
        for done in run(paths, out=folder, jobs=jobs, fresh=True, progress=progress):
            if not done.finished:
                raise InputError(f"nothing was written, because a cell failed: {done.error}")
            executed = json.loads((done.job.folder / done.job.notebook.name).read_text(encoding="utf-8"))
            clean.append((done.job.notebook, cleaned(executed, done.job.notebook.name)))
        for path, notebook in clean:
            write_text(path, json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    return paths


def cleaned(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """The notebook's JSON without what differs from run to run. name: the file's, for the error."""
    for cell in notebook["cells"]:
        cell["metadata"] = {
            key: value for key, value in cell["metadata"].items() if key in KEPT and value != []
        }
        if "outputs" in cell:
            cell["outputs"] = joined(cell["outputs"])
        for output in cell.get("outputs", ()):
            clean_output(output, f"{name}, In [{cell['execution_count']}]")
    return notebook | {"metadata": {"kernelspec": KERNEL, "language_info": {"name": "python"}}}


def joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge consecutive text outputs: where the kernel splits them depends on timing."""
    together: list[dict[str, Any]] = []
    for output in outputs:
        before = together[-1] if together else {}
        if output["output_type"] == "stream" and before.get("name") == output["name"]:
            before["text"] = "".join((*before["text"], *output["text"])).splitlines(keepends=True)
        else:
            together.append(output)
    return together


def clean_output(output: dict[str, Any], place: str) -> None:
    data = output.get("data", {})
    if "image/svg+xml" in data or "application/pdf" in data:
        raise InputError(
            f"{place} draws SVG or PDF, whose random ids no test can compare; let it draw PNG or JPEG")
    # Without its state a widget's view is an error message; its picture or text alternatives still work.
    data.pop(WIDGET_VIEW, None)
    output.get("metadata", {}).pop(WIDGET_VIEW, None)
