"""nbval compares something: the committed notebooks were run, few outputs are passed over, and a wrong
package turns them red.

The notebooks themselves are run and compared by `make test`, through nbval with `tests/nbval.cfg`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from colorlab.experiments import read_parameters

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PASSED_OVER = re.compile(
    r"nbval[-_]ignore[-_]output|nbval[-_]skip|nbval[-_]raises[-_]exception|raises-exception", re.IGNORECASE)
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: Path) -> list[dict]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def passed_over(cell: dict) -> bool:
    """Whether nbval is told not to compare this cell, by a tag or by a comment."""
    return bool(
        PASSED_OVER.search(" ".join(cell["metadata"].get("tags", ())) + "\n" + "".join(cell["source"])))


def compared_text(cell: dict) -> bool:
    """Whether the cell shows text of its own that nbval compares; a picture's "<Figure ...>" is none."""
    shown = [
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
        for output in cell["outputs"]
    ]
    return not passed_over(cell) and any(text and not text.startswith("<") for text in shown)


@each_notebook
def test_a_notebook_says_what_it_is_for_and_ends_with_questions_reading_and_a_way_on(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert "**You will" in text and "*Before you run it:*" in text and "break it" in text.lower()
    questions = text[re.search(r"\*\*Questions\*\*|## .*[Qq]uestions", text).start():]
    assert re.findall(r"(?m)^(\d)\. ", questions)[:5] == list("12345")
    assert "urther reading" in questions and (notebook == NOTEBOOKS[-1] or "*Next" in text)


@each_notebook
def test_every_cell_was_executed_in_order(notebook):
    assert [cell["execution_count"] for cell in code_cells(notebook)] == list(
        range(1, len(code_cells(notebook)) + 1)
    )


@each_notebook
def test_no_cell_failed_or_warned(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell["outputs"]]
    assert [
        output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"
    ] == []


@each_notebook
def test_pictures_are_of_pixels(notebook):
    kinds = {
        kind for cell in code_cells(notebook) for output in cell["outputs"]
        for kind in output.get("data", {})
    }
    assert kinds & {"image/svg+xml", "application/pdf"} == set()


@each_notebook
def test_at_least_a_third_of_the_cells_show_text_that_is_compared(notebook):
    cells = code_cells(notebook)
    assert 3 * sum(map(compared_text, cells)) >= len(cells)


def test_at_most_a_tenth_of_the_outputs_is_passed_over():
    shown = [cell for notebook in NOTEBOOKS for cell in code_cells(notebook) if cell["outputs"]]
    assert 10 * sum(map(passed_over, shown)) <= len(shown)


@pytest.mark.parametrize("number", ["03", "04", "05", "06", "07", "09", "10"])
def test_a_notebook_of_networks_takes_a_profile_and_a_device(number):
    given = read_parameters(next(notebook for notebook in NOTEBOOKS if notebook.name.startswith(number)))
    assert (given["profile"].default, given["device"].default) == ("course", "auto")


RED_IN_LAB = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
    {"cell_type": "code", "id": "one", "metadata": {}, "execution_count": 1, "source":
     "import torch\nfrom colorlab.color import rgb_to_lab\nprint([round(value, 1) for "
     "value in rgb_to_lab(torch.tensor([1.0, 0, 0]).view(3, 1, "
     "1)).flatten().tolist()])",
     # a known answer
     "outputs": [{"output_type": "stream", "name": "stdout", "text": "[53.2, 80.1, 67.2]\n"}]}]}


def test_a_changed_constant_in_the_package_turns_nbval_red(tmp_path):
    (tmp_path / "true").mkdir()
    shutil.copytree(ROOT / "colorlab", tmp_path / "wrong" / "colorlab",
                    ignore=shutil.ignore_patterns("__pycache__"))
    color = tmp_path / "wrong" / "colorlab" / "color.py"
    changed = color.read_text(encoding="utf-8").replace("D65 = (0.95047", "D65 = (0.99")
    assert changed != color.read_text(encoding="utf-8")
    color.write_text(changed, encoding="utf-8")
    # a kernel starts in its notebook's folder and finds the package there before the installed one
    for folder in ("true", "wrong"):
        (tmp_path / folder / "small.ipynb").write_text(json.dumps(RED_IN_LAB))
    shutil.copy(ROOT / "notebooks" / "01_lab_color.ipynb", tmp_path / "wrong")
    done = subprocess.run([
        sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfEp", "-p", "no:cacheprovider", "--nbval",
        "--nbval-current-env", "--nbval-sanitize-with", ROOT / "tests" / "nbval.cfg", "--rootdir", tmp_path,
        "-c", os.devnull, tmp_path
    ], capture_output=True, text=True, timeout=300, cwd=tmp_path,
                          env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
                          | {"COLORLAB_CACHE": str(tmp_path / "cache")})
    results = re.findall(r"^(PASSED|FAILED|ERROR) (\S+?)::", done.stdout, flags=re.MULTILINE)
    assert set(results) == {("PASSED", "true/small.ipynb"), ("FAILED", "wrong/small.ipynb"),
                            ("PASSED", "wrong/01_lab_color.ipynb"),
                            ("FAILED", "wrong/01_lab_color.ipynb")}, done.stdout
