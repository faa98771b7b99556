"""`make labs`: the student edition runs and says "not yet", nbgrader takes the assignments and grades them as
they deserve."""

import ast
import json
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest

from colorlab.files.errors import InputError
from colorlab.teaching.labs import assignment, build, exercises, main, self_study_edition, student_edition

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)

EXERCISE = '''def {name}(x):
    ### BEGIN SOLUTION
    return {answer}
    ### END SOLUTION

from colorlab.teaching.exercises import check

check({name}, 3, expected={expected})'''
DOUBLE = EXERCISE.format(name="my_double", answer="2 * x", expected="2 * three")
HALF = EXERCISE.format(name="my_half", answer="x / 2", expected="three / 2")


def small_book(*sources: str) -> nbformat.NotebookNode:
    new = nbformat.v4.new_code_cell
    cells = [
        new("three: int = 3", metadata={"tags": ["parameters"]}),
        new("# NBVAL_IGNORE_OUTPUT\nprint(three)"), *map(new, sources)
    ]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {
        "display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}})


def grader():
    return pytest.importorskip("nbgrader", reason="needs nbgrader: pip install -e \".[labs]\"")


def test_an_exercise_is_cut_where_the_solution_ends():
    [found] = exercises(small_book(DOUBLE))
    assert (found.index, found.name) == (2, "my_double")
    assert found.answer.endswith("### END SOLUTION") and found.check.startswith(
        "from colorlab.teaching.exercises")


@pytest.mark.parametrize("source, complaint", [
    (DOUBLE.replace("### END SOLUTION", "# the end"), "one `### BEGIN SOLUTION` and after it one"),
    (DOUBLE.replace("check(my_double", "assert bool(my_double"), "must end in a call of `check`"),
    (DOUBLE.partition("\n\nfrom")[0], "must end in a call of `check`"),
    ("y = 1\n" + DOUBLE, "must stand in a function, with nothing before it"),
])
def test_a_cell_that_is_no_exercise_is_named(source, complaint):
    with pytest.raises(InputError, match=re.escape(complaint)) as error:
        exercises(small_book(source), "03_wrong.ipynb")
    assert "03_wrong.ipynb, cell 2" in str(error.value)


def test_exercises_of_one_name_are_refused():
    with pytest.raises(InputError, match="two exercises named my_double"):
        exercises(small_book(DOUBLE, DOUBLE))


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, capsys):
    grader()
    nbformat.write(small_book(DOUBLE.replace("check(my_double", "bool(my_double")), tmp_path / "a.ipynb")
    assert main([str(tmp_path), "--out", str(tmp_path / "labs")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "a.ipynb, cell 2" in said and not (tmp_path / "labs").exists()


@each_notebook
def test_the_student_edition_holds_no_solution_and_no_output(notebook):
    grader()
    book = nbformat.read(notebook, as_version=4)
    student, found = student_edition(book), exercises(book)
    assert len(student.cells) == len(book.cells)
    for exercise in found:
        source = student.cells[exercise.index].source
        assert "raise NotImplementedError" in source and exercise.check in source and "SOLUTION" not in source
        solution = exercise.answer.partition("### BEGIN SOLUTION\n")[2].partition("    ### END SOLUTION")[0]
        assert solution.strip() and solution not in source
    assert all(not cell.outputs and cell.execution_count is None
               for cell in student.cells
               if cell.cell_type == "code")
    assert "NBVAL" not in nbformat.writes(student)


@each_notebook
def test_for_self_study_each_solution_is_folded_away_below_its_exercise(notebook):
    book = nbformat.read(notebook, as_version=4)
    found, edition = exercises(book, notebook.name), self_study_edition(book, notebook.name)
    nbformat.validate(edition)
    unsolved = [
        cell
        for cell in edition.cells
        if cell.cell_type == "code" and re.search(r"^check\(", cell.source, re.M)
    ]
    folded = [cell.source for cell in edition.cells if "<details><summary>A solution" in cell.source]
    assert len(unsolved) == len(folded) == len(found)
    for exercise, cell, solution in zip(found, unsolved, folded):
        lines = (
            exercise.answer.partition("### BEGIN SOLUTION")[2].rpartition("### END")[0].strip().splitlines()
        )
        assert exercise.name in solution and all(line.strip() in solution for line in lines)
        assert "raise NotImplementedError" in cell.source and "SOLUTION" not in cell.source
    assert not any(cell.outputs for cell in edition.cells if cell.cell_type == "code")


def test_an_exercise_for_self_study_runs_and_says_not_yet_and_its_folded_solution_is_right():
    cell, folded = self_study_edition(small_book(DOUBLE)).cells[2:]
    names = {"three": 3}
    *lines, last = ast.parse(cell.source).body
    exec(compile(ast.Module(lines, []), "<cell>", "exec"), names)
    assert eval(ast.unparse(last), names).line == "my_double: not yet written."
    solution = re.search(r"```python\n(.*)\n```", folded.source, re.S)[1]
    assert eval(solution.removeprefix("return "), {"x": 3}) == 6


def test_what_a_learner_has_written_stays(tmp_path, capsys):
    nbformat.write(small_book(DOUBLE), tmp_path / "small.ipynb")
    command = [str(tmp_path / "small.ipynb"), "--self-study", str(tmp_path / "mine")]
    assert main(command) == 0 and "1 exercises" in capsys.readouterr().out
    (tmp_path / "mine" / "small.ipynb").write_text("my own")
    assert main(command) == 0 and "stay as they are" in capsys.readouterr().out
    assert (tmp_path / "mine" / "small.ipynb").read_text() == "my own"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["small.ipynb"]


@each_notebook
def test_the_assignment_is_valid_for_nbgrader(notebook):
    grader()
    from nbgrader.nbgraderformat import MetadataValidator

    book = nbformat.read(notebook, as_version=4)
    found, source = exercises(book), assignment(book, notebook.name)
    MetadataValidator().validate_nb(source)  # grade ids present and each there once, points, cell types
    nbformat.validate(source)
    marks = [cell.metadata.nbgrader for cell in source.cells if "nbgrader" in cell.metadata]
    assert [mark.grade_id
            for mark in marks] == [part for each in found for part in (each.name, f"check_{each.name}")]
    assert sum(mark.get("points", 0) for mark in marks) == len(found)
    assert all(mark.locked == mark.grade != mark.solution for mark in marks)


def said_by_checks(executed: Path) -> list[str]:
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["outputs"][-1]["data"]["text/plain"]) for cell in cells
            if cell["cell_type"] == "code" and re.search(r"^check\(", "".join(cell["source"]), re.MULTILINE)]


def test_a_student_edition_runs_to_the_end_and_every_check_says_not_yet(tmp_path):
    grader()
    from colorlab.experiments import run

    source = next(path for path in NOTEBOOKS if path.stem == "01_lab_color")
    build([source], tmp_path / "labs")
    [done] = run([tmp_path / "labs" / "student"], {"height": 48, "width": 64, "frame": 2},
                 out=tmp_path / "runs", progress=False)
    assert done.finished, done.error
    names = [exercise.name for exercise in exercises(nbformat.read(source, as_version=4))]
    [executed] = (tmp_path / "runs").rglob("01_lab_color*.ipynb")
    assert said_by_checks(executed) == [f"{name}: not yet written." for name in names]


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one small notebook, as `make labs` writes it, with its assignment generated by nbgrader
    itself."""
    grader()
    # as in an active environment: nbgrader calls alembic
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    nbformat.write(small_book(DOUBLE, HALF), tmp_path / "small.ipynb")
    build([tmp_path / "small.ipynb"], tmp_path / "labs")
    root = tmp_path / "labs" / "nbgrader"
    config = Config()
    exec((root / "nbgrader_config.py").read_text(), {"get_config": lambda: config})
    config.CourseDirectory.root = str(root)
    api = NbGraderAPI(config=config)
    made = api.generate_assignment("small")
    assert made["success"], made
    return root, api


def test_nbgrader_releases_what_students_may_see(course):
    root, _ = course
    released = nbformat.read(root / "release" / "small" / "small.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in released.cells)
    assert "SOLUTION" not in text and "HIDDEN" not in text and "return 2 * x" not in text
    assert text.count("raise NotImplementedError") == 2 and text.count("verdict = check(") == 2


def test_nbgrader_grades_a_right_a_wrong_and_a_missing_answer(course):
    root, api = course
    released = nbformat.read(root / "release" / "small" / "small.ipynb", as_version=4)
    stub = "# your lines here\n    raise NotImplementedError"
    for student, lines in (("right", ("return x + x", "return x / 2")),
                           ("half", ("return 2 + x", "return 0.5 * x")), ("absent", (stub, stub))):
        handed_in, bodies = nbformat.from_dict(released), iter(lines)
        cells = json.loads(nbformat.writes(handed_in))
        for cell in cells["cells"]:
            cell["source"] = re.sub(re.escape(stub), lambda _: next(bodies), "".join(cell["source"]))
        folder = root / "submitted" / student / "small"
        folder.mkdir(parents=True)
        (folder / "small.ipynb").write_text(json.dumps(cells), encoding="utf-8")
        graded = api.autograde("small", student)
        assert graded["success"], graded
    scores = {each["student"]: (each["score"], each["max_score"]) for each in api.get_submissions("small")}
    assert scores == {"right": (2, 2), "half": (1, 2), "absent": (0, 2)}


def test_nbgraders_own_validation_passes_the_solutions(course):
    from nbgrader.validator import Validator

    root, _ = course
    assert Validator().validate(str(root / "source" / "small" / "small.ipynb")) == {}


def test_a_second_build_keeps_the_teachers_configuration(tmp_path):
    grader()
    nbformat.write(small_book(DOUBLE), tmp_path / "small.ipynb")
    for _ in range(2):
        build([tmp_path / "small.ipynb"], tmp_path / "labs")
        config = tmp_path / "labs" / "nbgrader" / "nbgrader_config.py"
        config.write_text(config.read_text() + "# ours\n")
    assert config.read_text().count("# ours") == 2
    assert "| `small` | `my_double` |" in (tmp_path / "labs" / "README.md").read_text()


def test_the_class_gets_a_folder_for_submissions_with_an_example_that_runs(tmp_path):
    grader()
    from colorlab.experiments.compare import embedded_films
    from colorlab.experiments.leaderboard import TASKS, Limits, baseline, judge, tasks_of
    from colorlab.experiments.submissions import find

    nbformat.write(small_book(DOUBLE), tmp_path / "small.ipynb")
    build([tmp_path / "small.ipynb"], tmp_path / "labs")
    # a second build leaves the class's work alone
    (tmp_path / "labs" / "submissions" / "example" / "method.py").touch()
    kept = (tmp_path / "labs" / "submissions" / "example" / "method.py").stat().st_mtime_ns
    build([tmp_path / "small.ipynb"], tmp_path / "labs")
    assert (tmp_path / "labs" / "submissions" / "example" / "method.py").stat().st_mtime_ns == kept
    [example] = find(tmp_path / "labs" / "submissions")
    tasks = {task: tasks_of(embedded_films(3, 32, 56, 3, names=("layers",)), task) for task in TASKS}
    row, still = judge(example, tasks, Limits(60, 3000, 1)), baseline("copy", tasks)
    # 97 % of copy's colour
    assert row.failure == "" and 0.9 < row.colorfulness["first"] / still.colorfulness["first"] < 1
    assert (
        "python -m colorlab.experiments.leaderboard submissions"
        in (tmp_path / "labs" / "README.md").read_text()
    )
