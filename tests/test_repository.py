"""What must not be in the repository: large files, addresses of registries, notebooks that cannot be
parametrised."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST_FILE = 16 * 2**20     # a course network's weights
LARGEST_NOTEBOOK = 2**20
TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".cfg", ".ipynb", ".json", ".js", ".css", ".sh", ""}
# Words that have no business in what we publish, written so that this file does not hold them itself.
LEFTOVERS = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK")) + r")\b")
# An index of packages other than the public one, or a machine's own paths, in a file that others will use.
ADDRESSES = re.compile(r"(--(extra-)?index-"
                       r"url|--find-"
                       r"links|\bfile:/"
                       r"//|/home/\w+/|/ro"
                       r"ot/|/Users/\w+/|\b\d+\.\d+\.\d+\.\d+:\d+)")


def tracked() -> list[Path]:
    """The files under version control that are there; all files outside a checkout."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    return [(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
            for path in tracked()
            if path.suffix in TEXT]


def test_no_file_is_large():
    assert [str(path) for path in tracked() if path.stat().st_size > LARGEST_FILE] == []


def test_no_registry_or_machine_is_named():
    assert [(name, found.group()) for name, text in texts() if (found := ADDRESSES.search(text))] == []


def test_nothing_is_marked_as_left_over():
    assert [(name, found.group())
            for name, text in texts()
            if not name.endswith(".ipynb") and (found := LEFTOVERS.search(text))] == []


def test_no_generated_file_is_committed():
    generated = ("runs/", "data/cache/", ".venv/", "build/", "dist/")
    names = [str(path.relative_to(ROOT)) for path in tracked()]
    assert [
        name for name in names if name.startswith(generated) or "__pycache__" in name or ".egg-info" in name
    ] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small(notebook):
    assert notebook.stat().st_size < LARGEST_NOTEBOOK


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_one_parameters_cell(notebook):
    from colorlab.experiments import read_parameters

    tagged = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
              if "parameters" in cell["metadata"].get("tags", ())]
    assert len(tagged) == 1 and read_parameters(notebook)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_stores_no_widget_state_and_no_time(notebook):
    book = json.loads(notebook.read_text(encoding="utf-8"))
    assert "widgets" not in book["metadata"] and "papermill" not in book["metadata"]
    assert [cell["id"] for cell in book["cells"] if {"papermill", "execution"} & set(cell["metadata"])] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_names_each_of_its_cells_once(notebook):
    ids = [cell["id"] for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]]
    assert len(ids) == len(set(ids))
