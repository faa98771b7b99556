"""The page that says where each section of a paper lives: every name on it exists, and no section, equation,
figure or table is left out."""

import ast
import json
import re
from functools import lru_cache
from pathlib import Path

import pytest

from colorlab.clips.datasets import DATA_SETS
from colorlab.experiments.ablations import TABLES
from colorlab.metrics import METRICS
from colorlab.train.recipes import PAPER

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "colorlab/papers/sections.md").read_text(encoding="utf-8")
PAPERS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M))
KEYS = {"TABLES": TABLES, "DATA_SETS": DATA_SETS, "METRICS": METRICS, "RECIPES": PAPER}
# How many of each the papers number, and the sections that say something of their method, data or results.
NUMBERED = {
    "CAVC": {"Fig.": 5, "Table": 5}, "LSTVC": {"Eq.": 11, "Fig.": 8, "Table": 3},
    "ColorMNet": {"Eq.": 13, "Fig.": 7, "Table": 3}, "TCAVC": {"Eq.": 7, "Fig.": 7, "Table": 4}
}
SECTIONS = {
    "CAVC": "3.1 3.1.1 3.1.2 3.1.3 4.1 4.2.1 4.2.2 4.3 5 6.1 6.2 6.3", "LSTVC": "3.1 3.2 3.3 4 5.1 5.2 5.3",
    "ColorMNet": "3.1 3.2 3.3 4.1 4.2 5", "TCAVC": "3.1 3.2 3.3 4 5.1 5.2 5.3 5.4"
}
DATA = {
    "CAVC": "davis2017 ldv uvo", "LSTVC": "davis2017 fvi videvo", "ColorMNet": "davis2017 videvo nvcc2023",
    "TCAVC": "imagenet reds sportsmot nvcc2023 fvi"
}


def rows(paper: str) -> list[list[str]]:
    lines = [line for line in PAPERS[paper].splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@lru_cache(maxsize=None)
def names_of(path: Path) -> set[str]:
    """Classes, functions and constants of a module, and methods as Class.method."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.add(node.name)
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            found |= {target.id} if isinstance(target, ast.Name) else set()
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{method.name}" for method in node.body if isinstance(method, ast.FunctionDef)
            }
    return found


@lru_cache(maxsize=None)
def headings(number: str) -> set[str]:
    notebook, = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return set(re.findall(r"^#+ (.*?)\s*$", text, re.M))


def home(file: str) -> Path:
    """Where a file of the page lies: a test by its name, a module below a paper's folder or the package."""
    if Path(file).name.startswith("test_"):
        found = list((ROOT / "tests").rglob(file))
        return found[0] if len(found) == 1 else Path("nowhere")
    below = ROOT / "colorlab/papers" / file
    return below if below.is_file() else ROOT / "colorlab" / file


def test_every_name_of_code_and_tests_is_there():
    targets = re.findall(r"`([\w/]+\.py)::([\w.]+)`", PAGE)
    lost = [
        f"{file}::{name}" for file, name in targets
        if not home(file).is_file() or name not in names_of(home(file))
    ]
    assert lost == [] and len(targets) > 150


def test_every_heading_is_in_its_notebook():
    parts = [
        part for paper in PAPERS for row in rows(paper) for part in re.findall(r'(\d\d) "([^"]+)"', row[3])
    ]
    assert [part for part in parts if part[1] not in headings(part[0])] == [] and len(parts) > 60


def test_every_key_is_in_its_table():
    keys = re.findall(r"`([A-Z_]+)\[([^\]]+)\]`", PAGE)
    assert [(table, key) for table, key in keys if key not in KEYS.get(table, ())] == [] and len(keys) > 30


@pytest.mark.parametrize("paper", NUMBERED)
def test_nothing_that_a_paper_numbers_is_left_out(paper):
    labels = [label.strip() for row in rows(paper) for label in row[0].split(",")]
    wanted = {f"{kind} {number}" for kind, count in NUMBERED[paper].items() for number in range(1, count + 1)}
    wanted |= {f"§{section}" for section in SECTIONS[paper].split()}
    assert set(labels) == wanted
    assert set(DATA[paper].split()) <= {
        key for table, key in re.findall(r"`([A-Z_]+)\[([^\]]+)\]`", PAPERS[paper]) if table == "DATA_SETS"
    }


@pytest.mark.parametrize("paper", NUMBERED)
def test_every_row_says_what_where_and_how_it_was_checked(paper):
    words = ("golden", "known", "again", "property", "quoted", "not here", "nothing to compute")
    assert [row[0]
            for row in rows(paper)
            if len(row) != 5 or not all(row) or not row[4].startswith(words)] == []
