"""Every exercise of the course: its solution passes, wrong answers get the hint that fits, and nothing ends
in a traceback."""

import ast
from functools import cache
from pathlib import Path
from textwrap import indent

import nbformat
import pytest
from notebook_slices import names_of, run, slice_before
from wrong_answers import ALSO_RIGHT, WRONG

from colorlab.teaching.exercises import Verdict
from colorlab.teaching.labs import BEGIN, END, STUB, Exercise, exercises

NOTEBOOKS = {path.stem: path for path in sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))}
SHORT = {"steps": 8}  # parameters of the notebooks that make their networks learn for a moment only


@cache
def book(stem: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS[stem], as_version=4)


EXERCISES = {
    f"{stem}.{exercise.name}": (stem, exercise)
    for stem in NOTEBOOKS
    for exercise in exercises(book(stem), stem)
}
each_exercise = pytest.mark.parametrize("name", EXERCISES)


@cache
def surroundings(name: str) -> dict:
    """The notebook's names that this exercise needs, as they are when its cell begins."""
    stem, exercise = EXERCISES[name]
    cells = [cell for cell in book(stem).cells[:exercise.index] if cell.cell_type == "code"]
    statements = [statement for cell in cells for statement in shortened(ast.parse(cell.source).body)]
    namespace = {"__name__": "notebook"}
    run(slice_before(statements, names_of(*ast.parse(exercise.answer + "\n" + exercise.check).body)),
        namespace)
    return namespace


def shortened(statements: list[ast.stmt]) -> list[ast.stmt]:
    for statement in statements:
        if isinstance(statement, ast.AnnAssign) and statement.target.id in SHORT:
            statement.value = ast.copy_location(ast.Constant(SHORT[statement.target.id]), statement.value)
    return statements


def with_body(exercise: Exercise, body: str) -> str:
    head = exercise.answer.partition(BEGIN)[0].rstrip(" ")
    return head + indent(body, "    ")


def verdict(name: str, body: str | None = None, answer: str | None = None) -> Verdict:
    """What the notebook says to an answer with this body (None: the solution)."""
    exercise = EXERCISES[name][1]
    source = answer or (exercise.answer if body is None else with_body(exercise, body))
    namespace = dict(surroundings(name))
    *before, last = ast.parse(source + "\n" + exercise.check).body
    run(before, namespace)
    return eval(compile(ast.Expression(last.value), "<check>", "eval"), namespace)


@each_exercise
def test_the_stated_solution_passes(name):
    assert verdict(name) == (True, f"✓ {EXERCISES[name][1].name}")


@pytest.mark.parametrize("name, body",
                         [(name, body) for name, bodies in ALSO_RIGHT.items() for body in bodies])
def test_another_way_to_write_it_passes_too(name, body):
    assert verdict(name, body).passed, verdict(name, body).line


@pytest.mark.parametrize("name, body, hint", [
    pytest.param(name, body, hint, id=f"{name}: {hint}")
    for name, answers in WRONG.items() if name in EXERCISES for body, hint in answers
])
def test_a_wrong_answer_gets_the_hint_that_fits(name, body, hint, recwarn):
    passed, line = verdict(name, body)
    assert not passed and "not yet" in line and hint in line and "\n" not in line, line


@pytest.mark.parametrize("body, hint", [(STUB, "not yet written"), ("pass", "is there a `return`?"),
                                        ("return an_unknown_name", "`an_unknown_name` is not known here"),
                                        ("return 1 / 0", "stops with ZeroDivisionError"),
                                        ("return 'grey'", "returns a str"), ("return {}", "returns a dict")])
@each_exercise
def test_what_students_meet_first_gets_its_hint_in_every_exercise(name, body, hint):
    passed, line = verdict(name, body)
    assert not passed and hint in line and "\n" not in line, line


@each_exercise
def test_an_exercise_has_three_typical_wrong_answers(name):
    assert len(WRONG.get(name, ())) >= 3
    assert len({hint for _, hint in WRONG[name]}) >= 3


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_a_notebook_has_at_least_two_exercises(stem):
    assert sum(name.startswith(f"{stem}.") for name in EXERCISES) >= 2


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_every_check_of_a_notebook_belongs_to_an_exercise(stem):
    checked = [
        index for index, cell in enumerate(book(stem).cells)
        if cell.cell_type == "code" and any(line.startswith("check(") for line in cell.source.split("\n"))
    ]
    assert checked == [exercise.index for owner, exercise in EXERCISES.values() if owner == stem]


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_no_other_cell_needs_a_students_answer(stem):
    """So that the student edition runs to the end."""
    own = {exercise.index: exercise.name for owner, exercise in EXERCISES.values() if owner == stem}
    others = [
        cell.source
        for index, cell in enumerate(book(stem).cells)
        if cell.cell_type == "code" and index not in own
    ]
    assert (
        set(own.values())
        & names_of(*(statement for source in others for statement in ast.parse(source).body)).used
        == set()
    )


def test_wrong_answers_are_of_exercises_that_are_there():
    assert sorted((WRONG.keys() | ALSO_RIGHT.keys()) - EXERCISES.keys()) == []


def test_the_marks_are_those_of_nbgrader():
    preprocessors = pytest.importorskip("nbgrader.preprocessors")
    clear = preprocessors.ClearSolutions()
    assert clear.begin_solution_delimeter in BEGIN and clear.end_solution_delimeter in END
