"""A course's labs, made from the notebooks: one source, four editions, and a folder for the leaderboard.

    python -m colorlab.teaching.labs notebooks --self-study labs/self-study     (what `make lab` does)

    labs/self-study/    for a learner alone: exercises to fill in, the solution folded away below each

    python -m colorlab.teaching.labs notebooks --out labs                       (what `make labs` does)

    labs/student/       without solutions and outputs; runs to the end, every check says "not yet"
    labs/instructor/    with both
    labs/nbgrader/      an nbgrader course: one assignment for each notebook, one point for each exercise
    labs/submissions/   the class's folder for the leaderboard, with an example to copy

An exercise is one code cell: a function whose solution stands between `### BEGIN SOLUTION` and `### END
SOLUTION`, and below it what checks it, which ends in a call of `check`:

    def my_warp(correlation, reference_ab):
        ### BEGIN SOLUTION
        return correlation.softmax(-1) @ reference_ab
        ### END SOLUTION

    from colorlab.teaching.exercises import check

    check(my_warp, correlation, reference_ab, expected=warp.ab)

nbgrader removes the solutions and, later, grades. It needs answer and test in separate cells, so the cell is
split, and the second, which is locked, ends in a hidden `assert`: a student sees the hint, the grader the
failure. nbgrader is required (`pip install -e ".[labs]"`), except for the self-study edition.
"""

from __future__ import annotations

import argparse
import ast
import copy
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from colorlab.experiments import find_notebooks
from colorlab.files.errors import InputError
from colorlab.files.atomic import atomically

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = "# your lines here\nraise NotImplementedError"
SOLUTION = """<details><summary>A solution of <code>{name}</code></summary>

```python
{solution}
```

</details>"""
# Comments for the tests of the course, not for its readers.
FOR_TESTS = re.compile(r"^# NBVAL_\w+\n", re.MULTILINE)

CONFIG = f'''"""Configuration of nbgrader for the labs of colorlab."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "colorlab"
c.ClearSolutions.code_stub = {{"python": {STUB!r}}}
c.ExecutePreprocessor.timeout = 600  # seconds for a cell; some train a network
'''

README = """# Labs

Made by `make labs` from the course's notebooks; make them again after these have changed.

- `student/`: to hand out without nbgrader. Every exercise checks itself.
- `instructor/`: the same with solutions and outputs.
- `nbgrader/`: a course folder. In it, with colorlab's environment active, for each lab:

```bash
nbgrader generate_assignment {first}     # writes release/
nbgrader release_assignment {first}      # or hand out release/ yourself
nbgrader autograde {first}               # after submitted/STUDENT/{first}/ was collected
nbgrader generate_feedback {first}
```

- `submissions/`: the folder for the leaderboard of notebook 12. Each student, or team, puts a folder of theirs into it, with a Python file and a
  safetensors file (`submissions/example` is one). Then

```bash
python -m colorlab.experiments.leaderboard submissions --clips CLIPS --out leaderboard.html
```

  colours the clips below `CLIPS`, which only you have, with each of them in a process of its own, and writes a page that ranks them. Without `--clips`
  it makes clips from a secret number. `--seconds` and `--memory` are the limits. `python -m colorlab.experiments.leaderboard --help` says the rest;
  `colorlab/experiments/leaderboard.py` says what cheating it stops and what it does not.

| notebook | exercises, one point each |
|---|---|
{table}
"""

EXAMPLE = '''"""An example submission: the reference's colour held still, and its strength, one number that was learned."""

import torch
from torch import Tensor, nn

from colorlab.modules.frames import as_clip
from colorlab.modules.references import parse_references
from colorlab.modules.resizing import resized


class Example(nn.Module):
    frames_per_step = 1

    def __init__(self):
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(1.0))

    def start(self, references) -> Tensor:
        """references: a picture (B, 3, H, W) in Lab, or [(0, picture)] -> the state: its colours."""
        return parse_references(references)[0].image[:, 1:]

    def step(self, l: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """l: (B, T, 1, H, W) or (B, 1, H, W) in [0, 100] -> ab of the same shape with 2 channels, and the next state."""
        clip, single = as_clip(l)
        ab = self.strength * resized(state, clip.shape[-2:])[:, None].expand(-1, clip.shape[1], -1, -1, -1)
        return (ab[:, 0] if single else ab), state


def build() -> nn.Module:
    return Example()
'''


class Exercise(NamedTuple):
    """One code cell, and its two halves."""

    index: int   # of the cell in the notebook
    name: str    # of the function to be written
    answer: str  # the function, its solution between the marks
    check: str   # all below it; the last statement is the check


def exercises(book: NotebookNode, name: str = "notebook") -> list[Exercise]:
    """The exercises of a notebook in their order. Raises InputError where one is not built as above."""
    found = [_exercise(index, cell.source, f"{name}, cell {index}") for index, cell in enumerate(book.cells)
             if cell.cell_type == "code" and (BEGIN in cell.source or END in cell.source)]
    names = [exercise.name for exercise in found]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise InputError(
            f"{name} has two exercises named {', '.join(twice)}; nbgrader tells them apart by their names")
    return found


def student_edition(book: NotebookNode) -> NotebookNode:
    """The notebook without solutions and outputs."""
    ClearSolutions, ClearOutput = _preprocessors()
    book, resources = copy.deepcopy(book), {}
    for cell in book.cells:
        cell.source = FOR_TESTS.sub("", cell.source)
    for preprocessor in (ClearSolutions(code_stub={"python": STUB}, enforce_metadata=False), ClearOutput()):
        book, resources = preprocessor.preprocess(book, resources)
    return book


def self_study_edition(book: NotebookNode, name: str = "notebook") -> NotebookNode:
    """The notebook without outputs, each solution in a folded cell below its exercise."""
    found = {exercise.index: exercise for exercise in exercises(book, name)}
    book = copy.deepcopy(book)
    cells = []
    for index, cell in enumerate(book.cells):
        cell.source = FOR_TESTS.sub("", cell.source)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cells.append(cell)
        if exercise := found.get(index):
            head, solution = exercise.answer.split(BEGIN)
            cell.source = f"{head}{textwrap.indent(STUB, head.rpartition(chr(10))[2])}\n\n{exercise.check}"
            solution = textwrap.dedent(solution.rpartition(END)[0]).strip()
            cells.append(nbformat.v4.new_markdown_cell(
                SOLUTION.format(name=exercise.name, solution=solution), id=f"{cell.id}-solution"))
    book.cells = cells
    return book


def for_self_study(notebooks: Iterable[str | Path], out: str | Path) -> list[str]:
    """Write the self-study edition of these notebooks into `out`; a line for each notebook that is new there.
    An existing one contains somebody's answers and is left unchanged."""
    lines = []
    for path in find_notebooks(notebooks):
        there = Path(out) / path.name
        if not there.exists():
            book = _read(path)
            there.parent.mkdir(parents=True, exist_ok=True)
            with atomically(there) as temporary:
                nbformat.write(self_study_edition(book, path.name), temporary)
            lines.append(f"{path.stem:28} {len(exercises(book, path.name))} exercises")
    return lines


def assignment(book: NotebookNode, name: str = "notebook") -> NotebookNode:
    """The notebook as nbgrader's source: solutions in, each exercise an answer cell and a locked test
    cell."""
    _, ClearOutput = _preprocessors()
    halves = {exercise.index: exercise for exercise in exercises(book, name)}
    book = copy.deepcopy(book)
    cells = []
    for index, cell in enumerate(book.cells):
        cell.source = FOR_TESTS.sub("", cell.source)
        cells += _graded(cell, halves[index]) if index in halves else [cell]
    book.cells = cells
    return ClearOutput().preprocess(book, {})[0]


def build(notebooks: Iterable[str | Path], out: str | Path) -> list[str]:
    """Write the three editions of these notebooks and the leaderboard's folder below `out`; a line for each
    notebook.

    Existing files are overwritten, except nbgrader's configuration; gradebook and the submissions of students
    are not touched. Raises InputError for a notebook that cannot be read, or with an exercise that is not
    built as above.
    """
    out, lines, books = Path(out), [], {path: _read(path) for path in find_notebooks(notebooks)}
    listed = {path.stem: [each.name for each in exercises(book, path.name)] for path, book in books.items()}
    for path, book in books.items():
        _write(student_edition(book), out / "student" / path.name)
        _write(book, out / "instructor" / path.name)
        _write(assignment(book, path.name), out / "nbgrader" / "source" / path.stem / path.name)
        lines.append(f"{path.stem:28} {len(listed[path.stem])} exercises: {', '.join(listed[path.stem])}")
    if not (out / "nbgrader" / "nbgrader_config.py").exists():  # keep a teacher's changes
        (out / "nbgrader" / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    write_example(out / "submissions" / "example")
    table = "\n".join(f"| `{stem}` | {', '.join(f'`{name}`' for name in names) or 'none'} |"
                      for stem, names in listed.items())
    (out / "README.md").write_text(README.format(first=next(iter(listed)), table=table), encoding="utf-8")
    return lines


def write_example(folder: Path) -> None:
    """Write a submission to copy; existing files in the folder are kept."""
    if not folder.exists():
        import torch  # imported here because the editions need no network

        from colorlab.experiments.submissions import pack

        class Example(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.strength = torch.nn.Parameter(torch.tensor(0.97))

        pack(folder, EXAMPLE, Example())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m colorlab.teaching.labs", description="Make the labs of a course from its notebooks."
    )
    parser.add_argument("notebooks", nargs="*", default=["notebooks"],
                        help="notebooks, or folders of them (default: notebooks)")
    parser.add_argument(
        "--out", default="labs",
        help="where to write student/, instructor/, nbgrader/ and submissions/ (default: labs)")
    parser.add_argument(
        "--self-study", metavar="FOLDER",
        help="write the self-study edition into FOLDER instead; notebooks that are there already stay as "
        "they are")
    given = parser.parse_args(arguments)
    try:
        if given.self_study:
            lines = for_self_study(given.notebooks, given.self_study)
            sys.stdout.write(
                "".join(f"{line}\n" for line in lines)
                or f"{given.self_study} is complete; notebooks in it stay as they are. Delete one "
                "to begin it again.\n"
            )
            return 0
        lines = build(given.notebooks, given.out)
    except InputError as error:
        sys.stderr.write(f"labs: {' '.join(str(error).split())}\n")
        return 2
    sys.stdout.write("\n".join(lines) +
                     f"\nwritten to {given.out}; {Path(given.out) / 'README.md'} says how to go on\n")
    return 0


def _exercise(index: int, source: str, where: str) -> Exercise:
    lines = source.split("\n")
    marks = [(number, mark)
             for number, line in enumerate(lines)
             for mark in (BEGIN, END)
             if line.strip() == mark]
    if [mark for _, mark in marks] != [BEGIN, END]:
        raise InputError(
            f"{where}: one `{BEGIN}` and after it one `{END}` are wanted, each on a line of its own")
    last = marks[1][0]
    answer, rest = "\n".join(lines[:last + 1]), "\n".join(lines[last + 1:]).strip("\n")
    try:
        function, checks = ast.parse(answer).body, ast.parse(rest).body
    except SyntaxError as error:
        raise InputError(f"{where}: the exercise cannot be cut in two below `{END}`: {error.msg}") from None
    if len(function) != 1 or not isinstance(function[0], ast.FunctionDef):
        raise InputError(
            f"{where}: the solution must stand in a function, with nothing before it in its cell")
    if not checks or not isinstance(checks[-1], ast.Expr) or not ast.unparse(checks[-1]).startswith("check("):
        raise InputError(
            f"{where}: below the solution of {function[0].name} the cell must end in a call of `check`")
    return Exercise(index, function[0].name, answer, rest)


def _graded(cell: NotebookNode, exercise: Exercise) -> list[NotebookNode]:
    """An answer cell, and a test cell that passes only if the verdict is positive."""
    kept = {key: value for key, value in cell.metadata.items() if key != "nbgrader"}
    marks = {"schema_version": 3, "task": False, "cell_type": "code"}
    answer = nbformat.v4.new_code_cell(exercise.answer, id=cell.id, metadata=kept | {"nbgrader": marks | {
        "grade_id": exercise.name, "solution": True, "grade": False, "locked": False}})
    lines = exercise.check.split("\n")
    call = ast.parse(exercise.check).body[-1].lineno - 1
    lines[call] = "verdict = " + lines[call]
    lines += [
        "verdict", "### BEGIN HIDDEN TESTS", "assert verdict.passed, verdict.line", "### END HIDDEN TESTS"
    ]
    test = nbformat.v4.new_code_cell("\n".join(lines), id=f"{cell.id}-check", metadata={"nbgrader": marks | {
        "grade_id": f"check_{exercise.name}", "solution": False, "grade": True, "locked": True, "points": 1}})
    return [answer, test]


def _preprocessors() -> tuple[type, type]:
    try:
        from nbgrader.preprocessors import ClearOutput, ClearSolutions
    except ImportError:
        raise InputError("labs are made with nbgrader, which is not installed: pip install -e "
                         "\".[labs]\", or `make labs`") from None
    return ClearSolutions, ClearOutput


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # any exception of nbformat's reader for a file that is not a notebook
        raise InputError(f"{path} cannot be read as a notebook: {error}") from None


def _write(book: NotebookNode, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)


if __name__ == "__main__":
    sys.exit(main())
