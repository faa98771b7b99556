"""Imports go one way: from the rooms at the top of the map in README.md down to those at its foot, and never
in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("cli", "teaching", "experiments", "train", "film", "metrics", "clips", "methods", "papers",
         "modules", "color", "files")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "colorlab").rglob("*.py")
}


def imported(module: str) -> set[str]:
    """The modules of colorlab that a module imports, anywhere in its file."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            found |= {
                below if (below := f"{node.module}.{alias.name}") in FILES else node.module
                for alias in node.names
            }
    return (found & FILES.keys()) - {"colorlab", module}


IMPORTS = {module: imported(module) for module in FILES}


def room(module: str) -> str:
    return (module.split(".") + [""])[1]


def test_no_module_imports_a_room_above_its_own():
    upward = [f"{module} imports {other}" for module, others in IMPORTS.items() for other in others
              if room(module) in ROOMS and ROOMS.index(room(other)) < ROOMS.index(room(module))]
    assert upward == []


def test_there_is_no_circle():
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError and names it


def test_a_paper_knows_nothing_of_the_course():
    assert [
        module for module, others in IMPORTS.items()
        if room(module) == "papers" and any("course" in other for other in others)
    ] == []


def test_there_are_at_most_a_dozen_rooms_and_the_readme_shows_them_in_this_order():
    assert {room(module) for module in FILES} - {"", "__main__"} == set(ROOMS) and len(ROOMS) <= 12
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = [
        line.split("`")[1].rstrip("/").removesuffix(".py")
        for line in readme.partition("## A map of the package")[2].splitlines()
        if line.startswith("| `") and line.count("|") == 4
    ]
    assert tuple(shown[:len(ROOMS)]) == ROOMS
