"""Runs of notebooks: what they refuse, what they leave, what they survive."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from colorlab import experiments
from colorlab.cli import main
from colorlab.experiments import provenance
from colorlab.experiments.parameters import parse_cell
from colorlab.files.errors import InputError


def notebook(path: Path, *cells: str, parameters: str = "", tagged: int = 1) -> Path:
    """Write a notebook; where `parameters` is given it is the first cell, with the tag, as often as `tagged`
    says."""
    sources = [(source, ["parameters"]) for source in [parameters] * tagged if source] + [
        (source, []) for source in cells
    ]
    book = {
        "nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{
            "cell_type": "code", "id": f"cell-{n}", "execution_count": None,
            "metadata": {"tags": tags} if tags else {}, "outputs": [], "source": source
        } for n, (source, tags) in enumerate(sources)]
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(book))
    return path


def cells_of(path: Path) -> list[dict]:
    return json.loads(path.read_text())["cells"]


def printed(cell: dict) -> str:
    return "".join(cell["outputs"][0]["text"])


def run(*notebooks: Path, out: Path, **options) -> list[experiments.Run]:
    return experiments.run(notebooks, out=out, progress=False, **options)


TYPES = """
size: int = 64
ratio: float = 0.5  # how much
name = "a=b"        # a value with an equals sign
deep = False
method: Literal["copy", "flow"] = "copy"
limit: float | None = None
clips = ["pan",
         "zoom"]
widths: tuple[int, ...] = (1, 2)
device = choose()
"""


@pytest.mark.parametrize("name, text, value", [
    ("size", "007", 7),
    ("ratio", "1e-3", 1e-3),
    ("ratio", "2", 2.0),
    ("name", "007", "007"),
    ("name", "none", "none"),
    ("deep", "false", False),
    ("deep", "yes", True),
    ("method", "flow", "flow"),
    ("limit", "none", None),
    ("limit", "3", 3.0),
    ("clips", "pan,rotation", ["pan", "rotation"]),
    ("clips", "['a']", ["a"]),
    ("widths", "3,4", [3, 4]),
    ("device", "'cpu'", "cpu"),
])
def test_text_is_read_as_its_parameters_type(name, text, value):
    read = experiments.read_value(text, parse_cell(TYPES, "book.ipynb")[name])
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("name, text", [("size", "3.5"), ("size", "many"), ("ratio", "warm"),
                                        ("deep", "maybe"), ("method", "magic"), ("limit", "low"),
                                        ("widths", "1,b")])
def test_text_of_another_type_is_refused(name, text):
    with pytest.raises(InputError, match=f"{name} of the notebook is .* got"):
        experiments.read_value(text, parse_cell(TYPES, "book.ipynb")[name])


def test_the_comment_behind_a_parameter_is_its_help():
    assert parse_cell(TYPES, "book.ipynb")["ratio"].help == "how much"


def test_an_unknown_parameter_is_refused_with_the_likely_name(tmp_path):
    book = notebook(tmp_path / "book.ipynb", parameters="temperature = 0.01")
    with pytest.raises(InputError, match="no parameter 'temprature'; did you mean 'temperature'"):
        run(book, out=tmp_path / "runs", parameters={"temprature": 1.0})
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("value", ["0.5", True, None, [0.5]])
def test_a_value_of_another_type_is_refused(tmp_path, value):
    book = notebook(tmp_path / "book.ipynb", parameters="temperature = 0.01")
    with pytest.raises(InputError, match="temperature of book.ipynb is float"):
        run(book, out=tmp_path / "runs", parameters={"temperature": value})


def test_parameters_for_a_notebook_that_takes_none_are_refused(tmp_path):
    with pytest.raises(InputError, match="book.ipynb takes no parameters"):
        run(notebook(tmp_path / "book.ipynb", "1"), out=tmp_path / "runs", parameters={"size": 1})


def test_two_parameters_cells_are_refused(tmp_path):
    with pytest.raises(InputError, match="2 cells tagged 'parameters'"):
        experiments.read_parameters(notebook(tmp_path / "book.ipynb", parameters="size = 1", tagged=2))


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"cells": 3, "nbformat": 4}', '{"nbformat": 3}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content):
    (tmp_path / "book.ipynb").write_text(content)
    with pytest.raises(InputError, match="cannot be read as a notebook"):
        experiments.plan([tmp_path / "book.ipynb"])


def test_two_notebooks_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="different --out"):
        experiments.plan(
            [notebook(tmp_path / "a" / "book.ipynb", "1"),
             notebook(tmp_path / "b" / "book.ipynb", "2")])


def test_record_refuses_what_json_cannot_hold():
    with pytest.raises(TypeError, match="record\\(model=...\\)"):
        experiments.record(model=object())


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> experiments.Run:
    """One run with everything in it, made once for the tests that look at it."""
    folder = tmp_path_factory.mktemp("a {brace} in the name")
    book = notebook(
        folder / "book.ipynb", "import os, numpy\nfrom colorlab.experiments import record",
        "record(psnr=numpy.float32(size) / 2, per_frame=numpy.arange(2)); "
        "record(name=name, psnr=30.5)",
        "import ipywidgets\nipywidgets.IntSlider()", "print(os.getcwd())",
        "import IPython.display as show\nfrom PIL import Image\nImage.new('RGB', (900, "
        "300), 'red').save('red.png')\nshow.display(show.Image('red.png'))",
        parameters="size: int = 8\nname = 'none'\nseed = 3")
    return run(book, out=folder / "runs", parameters={"size": 16})[0]


def test_run_json_holds_what_a_repetition_needs(finished):
    record = json.loads((finished.job.folder / "run.json").read_text())
    assert record["parameters"] == {"size": 16, "name": "none", "seed": 3}
    assert (record["status"], record["seed"], record["given"]) == ("finished", 3, {"size": 16})
    assert record["versions"]["python"] and record["versions"]["torch"] and record[
        "notebook_hash"] and record["code_hash"]
    assert record["device"] == "cpu" and 0 < record["seconds"] < 600 and 20 < record["peak_memory_mb"] < 4000
    assert record["environment"]["PYTHONHASHSEED"] == "0" and int(
        record["environment"]["OMP_NUM_THREADS"]) >= 1


def test_metrics_json_holds_what_the_notebook_recorded(finished):
    assert finished.metrics == {"psnr": 30.5, "per_frame": [0, 1], "name": "none"}


def test_a_run_leaves_no_other_files(finished):
    assert sorted(file.name for file in finished.job.folder.iterdir()) == [
        "book.html", "book.ipynb", "metrics.json", "picture-1.png", "run.json"]
    assert [file.name for file in finished.job.folder.parent.iterdir() if file.name.startswith(".")] == []


def test_the_notebooks_folder_is_the_working_directory(finished):
    assert finished.job.notebook.parent.name in printed(cells_of(finished.job.folder / "book.ipynb")[-2])


def test_widget_state_is_not_stored(finished):
    assert "widgets" not in json.loads((finished.job.folder / "book.ipynb").read_text())["metadata"]


def test_the_page_shows_the_run_with_its_numbers_and_pictures(finished):
    page = (finished.job.folder.parent / "index.html").read_text()
    for part in ("1 finished", "size=16", "30.5", "book.html", "picture-1.png", "book.ipynb"):
        assert part in page
    from PIL import Image
    assert max(Image.open(finished.job.folder / "picture-1.png").size) == 320


def test_a_failed_cell_is_named_and_the_other_notebooks_still_run(tmp_path, capsys):
    broken = notebook(tmp_path / "broken.ipynb", "a = 1", "# say it\nraise ValueError('too\\nwarm')")
    whole = notebook(tmp_path / "whole.ipynb", "1 + 1")
    assert main(["run", str(broken), str(whole), "--out", str(tmp_path / "runs"), "--jobs", "2"]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("colorlab:")]
    assert len(said) == 1 and "broken.ipynb, cell In [2] `raise ValueError" in said[
        0] and "ValueError: too warm" in said[0]
    states = {
        name: json.loads((tmp_path / "runs" / name / "run.json").read_text())["status"]
        for name in ("broken", "whole")
    }
    assert states == {"broken": "failed", "whole": "finished"}
    assert json.loads((tmp_path / "runs" / "broken" / "metrics.json").read_text()) == {}


@pytest.mark.parametrize(
    "arguments", [["nothing.ipynb"], ["book.ipynb", "-p", "size", "big"], ["book.ipynb", "-p", "sise", "1"],
                  ["book.ipynb", "-p", "size", "1", "-p", "size", "2"], ["empty"]])
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments):
    notebook(tmp_path / "book.ipynb", parameters="size = 1")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["run", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def counting(path: Path, *more: str) -> Path:
    """A notebook that adds a letter to `times.txt` beside it each time it runs."""
    return notebook(path, "with open('times.txt', 'a') as file:\n    _ = file.write('x')", *more,
                    parameters="size = 1\nfilm = ''")


def times(path: Path) -> int:
    return len((path.parent / "times.txt").read_text())


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "code_hash", lambda: "the same code")  # also while someone is editing it
    book, out = counting(tmp_path / "book.ipynb"), tmp_path / "runs"
    run(book, out=out)
    assert run(book, out=out)[0].resumed and times(book) == 1
    assert not run(book, out=out, fresh=True)[0].resumed and times(book) == 2


def test_whatever_a_result_depends_on_makes_another_run(tmp_path, monkeypatch):
    def mark(**parameters) -> str:
        return experiments.plan([book], parameters, tmp_path)[0].fingerprint

    book, film = counting(tmp_path / "book.ipynb"), tmp_path / "film.mp4"
    film.write_text("one")
    marks = [mark(), mark(size=2), mark(film="film.mp4")]
    film.write_text("another")
    marks.append(mark(film="film.mp4"))
    monkeypatch.setattr(provenance, "code_hash", lambda: "other code")
    marks.append(mark())
    monkeypatch.undo()
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "3.0"})
    marks.append(mark())
    monkeypatch.undo()
    assert mark() == marks[0]
    counting(book, "1")
    assert len({*marks, mark()}) == 7


def test_a_dead_kernel_fails_the_run_and_is_not_retried(tmp_path):
    book = counting(tmp_path / "book.ipynb", "import os\nos._exit(1)", "1")
    done = run(book, out=tmp_path / "runs")[0]
    assert "cell number 3 `import os`: the kernel died" in done.error and times(book) == 1


def test_a_kernel_that_fails_to_start_is_started_again(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"first = {str(tmp_path / 'first')!r}\n"
        "if 'ipykernel_launcher' in sys.orig_argv and not os.path.exists(first):\n"
        "    open(first, 'w').close()\n"
        "    os._exit(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    book = counting(tmp_path / "book.ipynb")
    done = run(book, out=tmp_path / "runs")[0]
    assert (tmp_path / "first").exists() and done.finished and times(book) == 1


def test_runs_side_by_side_do_not_hear_one_another(tmp_path):
    books = [
        notebook(tmp_path / f"book{n}.ipynb",
                 "from colorlab.experiments import record\nrecord(mine=who)\nprint(who)",
                 parameters=f"who = {n}") for n in range(4)
    ]
    runs = run(*books, out=tmp_path / "runs", jobs=4)
    assert [done.metrics for done in runs] == [{"mine": n} for n in range(4)]
    assert [printed(cells_of(done.job.folder / done.job.notebook.name)[1])
            for done in runs] == [f"{n}\n" for n in range(4)]


def alive(pid: int) -> bool:
    """Whether a process still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes the Linux way")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_batch_leaves_whole_runs_alone_and_goes_on_from_them(tmp_path, how):
    first, second = counting(tmp_path / "1" / "first.ipynb"), counting(
        tmp_path / "2" / "second.ipynb", "import os, time\nopen('pid', 'w').write(str(os.getpid()))\n"
        "time.sleep(0 if os.path.exists('quick') else 600)")
    out, pid = tmp_path / "runs", tmp_path / "2" / "pid"
    batch = subprocess.Popen(
        [sys.executable, "-m", "colorlab", "run", first, second, "--out", out, "--jobs", "1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(provenance.PACKAGE.parent)})
    try:
        wait_for(lambda: pid.exists() and pid.read_text())
    finally:
        batch.send_signal(how)
    said = batch.communicate(timeout=60)[1]
    wait_for(lambda: not alive(int(pid.read_text())))
    assert (out / "first" / "run.json").exists() and not (out / "second").exists()
    if how == signal.SIGINT:
        assert batch.returncode == 130 and "Traceback" not in said and not list(out.glob(".partial*"))
        return
    (tmp_path / "2" / "quick").touch()
    runs = run(first, second, out=out)
    assert [done.resumed for done in runs] == [True, False] and all(done.finished for done in runs)
    assert (times(first), times(second)) == (1, 2) and not list(out.glob(".partial*"))


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_refreshed_notebook_has_outputs_ids_and_tags_and_nothing_that_changes(tmp_path):
    book = notebook(tmp_path / "book.ipynb", "print(size)", "import ipywidgets\nipywidgets.IntSlider()",
                    parameters="size = 3")
    experiments.refresh([book], progress=False)
    after = cells_of(book)
    assert [cell["id"] for cell in after] == ["cell-0", "cell-1", "cell-2"]
    assert [cell["execution_count"] for cell in after] == [1, 2, 3]
    assert after[0]["metadata"] == {"tags": ["parameters"]} and printed(after[1]) == "3\n"
    assert list(after[2]["outputs"][0]["data"]) == ["text/plain"] and after[2]["metadata"] == {}
    assert set(json.loads(book.read_text())["metadata"]) == {"kernelspec", "language_info"}


def test_text_printed_in_pieces_is_one_output_in_a_refreshed_notebook(tmp_path):
    slowly = "import sys, time\nfor word in ('one ', 'two\\n'):\n    print(word, end='', flush=True)\n    time.sleep(1)\nprint('!', file=sys.stderr)"
    book = notebook(tmp_path / "book.ipynb", slowly)
    experiments.refresh([book], progress=False)
    said, warned = cells_of(book)[0]["outputs"]
    assert (said["name"], said["text"], warned["name"]) == ("stdout", ["one two\n"], "stderr")


def test_a_failed_refresh_changes_no_notebook(tmp_path):
    good, bad = notebook(tmp_path / "good.ipynb", "print(1)"), notebook(tmp_path / "bad.ipynb", "1 / 0")
    before = good.read_text()
    with pytest.raises(InputError, match="nothing was written.*bad.ipynb.*ZeroDivisionError"):
        experiments.refresh([good, bad], progress=False)
    assert good.read_text() == before
