"""Sweeps: what they refuse, the table they leave, and a cluster whose worker is killed. Repetitions: what
they say and give."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from colorlab import experiments
from colorlab.cli import main
from colorlab.experiments import cluster as cluster_module
from colorlab.experiments import provenance
from colorlab.experiments.jobs import Job
from colorlab.experiments.repeat import compare
from colorlab.experiments.runner import Run
from colorlab.experiments.sweep import split_values
from colorlab.experiments.table import Table, flat
from colorlab.files.errors import InputError


def notebook(path: Path, *cells: str, parameters: str = "") -> Path:
    """Write a notebook of code cells; `parameters` is its first one, with the tag."""
    sources = [(parameters, ["parameters"]), *((source, []) for source in cells)]
    book = {
        "nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{
            "cell_type": "code", "id": f"cell-{n}", "execution_count": None,
            "metadata": {"tags": tags} if tags else {}, "outputs": [], "source": source
        } for n, (source, tags) in enumerate(sources)]
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(book))
    return path


def read_table(out: Path) -> list[dict[str, str]]:
    with open(out / "table.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def steady(monkeypatch):
    """The package as one that nobody edits meanwhile."""
    monkeypatch.setattr(provenance, "code_hash", lambda: "the same code")


@pytest.mark.parametrize("text, values", [
    ("1,2", ["1", "2"]),
    ("a, b c ,d", ["a", "b c", "d"]),
    ("'a,b',c", ["a,b", "c"]),
    ("[1,2],[3]", ["[1,2]", "[3]"]),
    ("it's,that's", ["it's", "that's"]),
    ("f(1).mp4,C:\\new", ["f(1).mp4", "C:\\new"]),
    ("'',a", ["", "a"]),
    ("[[1,2],[3,4]],{'a': [1, '],']}", ["[[1,2],[3,4]]", "{'a': [1, '],']}"]),
    ("a=b", ["a=b"]),
])
def test_values_part_at_commas_outside_quotes_and_brackets(text, values):
    assert split_values(text, "") == values


@pytest.mark.parametrize("grid, said", [
    (["size"], "names no parameter"),
    (["=1"], "names no parameter"),
    (["size=1,,2"], "an empty value"),
    (["size="], "an empty value"),
    (["size=[1,2"], "ends before its ]"),
    (["size='1,2"], "ends before its '"),
    (["size=1", "size=2"], "given twice"),
])
def test_a_grid_that_cannot_be_read_is_refused(grid, said):
    with pytest.raises(InputError, match=said):
        experiments.read_grid(grid)


PARAMETERS = "size: int = 8\nratio = 0.5\nname = 'x'\nwidths = [1, 2]\ndeep = False"


def planned(folder: Path, *grid: str, **more) -> list[Job]:
    book = notebook(folder / "book.ipynb", parameters=PARAMETERS)
    return experiments.plan_sweep(book, experiments.read_grid(grid), as_text=True, out=folder / "out", **more)


def test_one_run_for_each_combination_the_last_name_fastest(tmp_path):
    given = [job.parameters for job in planned(tmp_path, "size=1,2", "ratio=1,1e-3")]
    assert given == [{"size": size, "ratio": ratio} for size in (1, 2) for ratio in (1.0, 0.001)]


def test_each_value_has_the_type_that_the_parameters_cell_says(tmp_path):
    job = planned(tmp_path, "name=007", "widths=[3,4]", "deep=no", parameters={"ratio": "2"})[0]
    assert {name: (value, type(value)) for name, value in job.parameters.items()} == {
        "ratio": (2.0, float), "name": ("007", str), "widths": ([3, 4], list), "deep": (False, bool)}


def test_the_order_in_which_parameters_are_named_makes_no_other_runs(tmp_path):
    assert planned(tmp_path, "ratio=1", "size=2")[0] == planned(tmp_path, "size=2", "ratio=1")[0]


@pytest.mark.parametrize("grid, more, said", [
    (["sise=1"], {}, "did you mean 'size'"),
    (["size=1,big"], {}, "size of book.ipynb is int .* got 'big'"),
    (["size=7,007"], {}, "7 twice"),
    (["size=1"], {"parameters": {"size": "2"}}, "both one value and several"),
    ([], {}, "at least one"),
])
def test_a_sweep_that_does_not_fit_the_notebook_is_refused_before_anything_runs(tmp_path, grid, more, said):
    with pytest.raises(InputError, match=said):
        planned(tmp_path, *grid, **more)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments",
                         [["book.ipynb", "-g", "size=a"], ["book.ipynb", "-g", "size"], [".", "-g", "size=1"],
                          ["book.ipynb", "-g", "size=1", "--cluster", "tcp://localhost:1", "--jobs", "2"],
                          ["book.ipynb", "-g", "size=1", "--cluster", "no address"]])
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments):
    notebook(tmp_path / "book.ipynb", parameters="size = 1")
    notebook(tmp_path / "other.ipynb", parameters="size = 1")
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "runs").exists()


def test_dicts_become_columns_and_lists_stay_out():
    assert flat({"psnr": 1.5, "copy": {"psnr": 2, "per_frame": [1]},
                 "per_frame": [1, 2]}) == {"psnr": 1.5, "copy.psnr": 2}


def test_the_table_is_there_before_the_first_run_ends_and_grows(tmp_path):
    jobs = planned(tmp_path, "size=1,2")
    (tmp_path / "out").mkdir()
    table = Table(tmp_path / "out", jobs, ["size"])
    table.write({}, {jobs[0].name: "running", jobs[1].name: "waiting"})
    assert [(row["size"], row["state"]) for row in read_table(tmp_path / "out")] == [
        ("1", "running"),
        ("2", "waiting"),
    ]
    assert 'http-equiv="refresh"' in (tmp_path / "out" / "index.html").read_text()
    jobs[0].folder.mkdir()
    (jobs[0].folder / "metrics.json").write_text('{"psnr": 31.5, "size": 9}')
    ended = Run(jobs[0], {"status": "finished", "error": None, "seconds": 2.0, "device": "cpu"})
    table.write({jobs[0].folder: ended}, {})
    first, second = read_table(tmp_path / "out")
    assert (first["state"], first["psnr"], first["size"], first["recorded.size"]) == (
        "finished",
        "31.5",
        "1",
        "9",
    )
    assert (second["state"], second["psnr"]) == ("not run", "")
    assert 'http-equiv="refresh"' not in (tmp_path / "out" / "index.html").read_text()


def test_a_sweep_leaves_one_table_and_what_is_finished_is_not_run_again(
    tmp_path, steady, monkeypatch, capsys
):
    book = notebook(
        tmp_path / "book.ipynb", "from colorlab.experiments import record\nrecord(psnr=size * 1.5)",
        "with open('times.txt', 'a') as file:\n    _ = file.write(str(size))",
        "import IPython.display as show\nfrom PIL import Image\nImage.new('RGB', (9, 3), "
        "'red').save('red.png')\nshow.display(show.Image('red.png'))",
        "import os\nassert size != 2 or os.path.exists('mended'), 'too <small>'",
        parameters="size: int = 8\nname = ''")
    monkeypatch.chdir(tmp_path)
    typed = ["sweep", book.name, "-g", "size=1,2", "-p", "name", "a <b>", "--jobs", "2"]
    out = tmp_path / "runs" / "sweep-book"
    assert main(typed) == 1
    assert "1 of 2 finished" in (said := capsys.readouterr()).out and said.err.count("colorlab:") == 1
    rows = read_table(out)
    assert [(row["state"], row["size"], row["name"], row["psnr"])
            for row in rows] == [("finished", "1", "a <b>", "1.5"), ("failed", "2", "a <b>", "3.0")]
    assert "AssertionError: too <small>" in rows[1]["error"] and float(rows[0]["seconds"]) > 0
    page = (out / "index.html").read_text()
    for part in ("1 failed, 1 finished", "table.csv", "picture-1.png", "book.html", "too &lt;small&gt;",
                 "a &lt;b&gt;"):
        assert part in page
    assert "<b>" not in page
    (tmp_path / "mended").touch()
    assert main(typed) == 0
    assert sorted((tmp_path / "times.txt").read_text()) == ["1", "2", "2"]
    assert [row["state"] for row in read_table(out)] == ["finished", "finished"]


def test_an_address_where_nobody_answers_is_one_line(tmp_path, capsys):
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    book = notebook(tmp_path / "book.ipynb", parameters="size = 1")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        assert main([
            "sweep",
            str(book), "-g", "size=1", "--cluster", "tcp://localhost:9", "--out",
            str(tmp_path / "out")
        ]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no Dask scheduler answers at tcp://localhost:9" in said and not (
        tmp_path / "out").exists()


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


class Cluster:
    """A scheduler and two workers in processes of their own on this machine, with a copy of the package that
    nobody edits."""

    def __init__(self, folder: Path):
        self.folder, self.address, self.workers = folder, folder / "dask.json", []
        shutil.copytree(provenance.PACKAGE, folder / "site" / "colorlab",
                        ignore=shutil.ignore_patterns("__pycache__"))
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        wait_for(self.address.exists)
        self.workers = [self.start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard",
                                   "--local-directory", str(folder / name)) for name in "ab"]

    def start(self, what: str, *options: str) -> subprocess.Popen:
        with open(self.folder / f"{what}.log", "a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", what, "--scheduler-file",
                 str(self.address), *options], env=self.environment(), cwd=self.folder, stdout=log,
                stderr=log)

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.folder / "site")}

    def sweep(self, *arguments: str | Path) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "colorlab", "sweep", *arguments, "--cluster", self.address], text=True,
            env=self.environment(), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def worker_of(self, note: Path) -> subprocess.Popen:
        """The worker under which a run works that has noted its parents' process ids."""
        parents = json.loads(note.read_text())
        return next(worker for worker in self.workers if worker.pid in parents)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("distributed")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


HELD_UP = """
import json, os, psutil, time
from colorlab.experiments import record
with open(f'times-{n}.txt', 'a') as file:
    _ = file.write('x')
with open(f'.parents-{n}', 'w') as file:
    json.dump([os.getpid(), *(parent.pid for parent in psutil.Process().parents())], file)
os.replace(f'.parents-{n}', f'parents-{n}')
while n > 0 and not os.path.exists('go'):
    time.sleep(0.1)
record(answer=n * 2)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes the Unix way")
def test_a_stopped_sweep_ends_its_runs_on_the_cluster_and_the_workers_stay(cluster, tmp_path):
    book = notebook(tmp_path / "book.ipynb", HELD_UP, parameters="n = 1")
    sweep = cluster.sweep(book, "-g", "n=1,2", "--out", tmp_path / "out")
    wait_for(lambda: (tmp_path / "parents-1").exists() and (tmp_path / "parents-2").exists())
    kernels = [json.loads((tmp_path / f"parents-{n}").read_text())[0] for n in (1, 2)]
    sweep.send_signal(signal.SIGINT)
    said = sweep.communicate(timeout=60)[1]
    assert sweep.returncode == 130 and "Traceback" not in said
    import psutil
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in kernels))
    assert [row["state"] for row in read_table(tmp_path / "out")] == ["not run", "not run"]
    assert [worker.poll() for worker in cluster.workers] == [None, None]


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes the Unix way")
def test_a_killed_worker_loses_nothing_and_what_it_had_finished_is_not_run_again(cluster, tmp_path):
    """Two workers, three runs: 0 ends at once, 1 and 2 wait. The worker that has done 0 and is at 2 is
    killed."""
    book = notebook(tmp_path / "book.ipynb", HELD_UP, parameters="n = 0")
    sweep = cluster.sweep(book, "-g", "n=0,1,2", "--out", tmp_path / "out")
    wait_for(lambda: all((tmp_path / f"parents-{n}").exists() for n in range(3)))
    wait_for(
        lambda: [row["state"] for row in read_table(tmp_path / "out")] == ["finished", "running", "running"])
    victim = cluster.worker_of(tmp_path / "parents-2")
    assert victim is cluster.worker_of(tmp_path / "parents-0")
    victim.kill()
    (tmp_path / "go").touch()
    out, said = sweep.communicate(timeout=200)
    assert sweep.returncode == 0 and "3 of 3 finished" in out, said
    assert [(row["state"], row["n"], row["answer"]) for row in read_table(tmp_path / "out")] == [
        ("finished", str(n), str(n * 2)) for n in range(3)]
    assert [(tmp_path / f"times-{n}.txt").read_text() for n in range(3)] == ["x", "x", "xx"]
    # of the killed worker, which is a zombie until it is waited for
    assert not list((tmp_path / "out").glob(".partial*"))
    assert cluster.worker_of(tmp_path / "parents-2") is not victim


@pytest.mark.skipif(sys.platform == "win32", reason="goes with the two before it")
def test_a_worker_with_other_code_is_refused_by_name(cluster, tmp_path):
    book = notebook(tmp_path / "book.ipynb", HELD_UP, parameters="n = 0")
    code = ("import sys; from colorlab import experiments; experiments.provenance.code_hash = lambda: 'mine';"
            "experiments.sweep(sys.argv[1], {'n': [0]}, out=sys.argv[2], cluster=sys.argv[3])")
    asked = subprocess.run([sys.executable, "-c", code, book, tmp_path / "out", cluster.address],
                           env=cluster.environment(), cwd=cluster.folder, capture_output=True, text=True,
                           timeout=120)
    assert "would compute something else: colorlab's code" in asked.stderr
    assert not (tmp_path / "times-0.txt").exists()


RANDOM = ("import os, random\nfrom colorlab.experiments import "
          "record\nrandom.seed(seed)\nlucky = random.random()",
          "record(lucky=lucky, order=sorted('abcdefgh', key=hash), "
          "threads=os.environ['OMP_NUM_THREADS'])",
          "record(seconds=random.SystemRandom().random())")


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A folder with a notebook and one run of it, whose numbers come from a seed, Python's hashes and the
    number of threads."""
    folder = tmp_path_factory.mktemp("original")
    book = notebook(folder / "book.ipynb", *RANDOM, parameters="seed = 3\nfilm = 'film.txt'")
    (folder / "film.txt").write_text("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "code_hash", lambda: "the same code")
        patch.setenv("OMP_NUM_THREADS", "3")
        patch.setenv("PYTHONHASHSEED", "11")
        assert experiments.run([book], {"seed": 5}, out=folder / "runs", progress=False)[0].finished
    return folder


@pytest.fixture
def done(original, tmp_path, steady, monkeypatch) -> Run:
    """A copy of that run, as if it had been made where the copy stands, and other variables than it had."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    job = experiments.plan([tmp_path / "book.ipynb"], {"seed": 5}, tmp_path / "runs")[0]
    record = job.folder / "run.json"
    record.write_text(record.read_text().replace(str(original), str(tmp_path)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    return Run(job, json.loads(record.read_text()))


def test_a_worker_takes_what_one_that_died_had_finished_and_makes_anew_what_is_to_be_replaced(
        done, monkeypatch):
    distributed = pytest.importorskip("distributed")
    worker = SimpleNamespace(state=SimpleNamespace(nthreads=1, tasks={}), get_current_task=str,
                             log_event=lambda *news: None)
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    monkeypatch.setattr(cluster_module, "execute", lambda job, *more: Run(job, {"made": "anew"}))
    here = {"versions": provenance.versions(), "code": "the same code"}
    assert cluster_module.run_here(done.job, None, here, "news") == done.record
    assert cluster_module.run_here(done.job, done.record["started"], here, "news") == {"made": "anew"}


def test_a_repeated_run_has_the_same_numbers_whatever_has_become_of_notebook_and_variables(
        done, tmp_path, monkeypatch, capsys):
    notebook(done.job.notebook, "raise ValueError", parameters="other = 3")
    (tmp_path / "film.txt").write_text("another")
    monkeypatch.setattr(provenance, "versions", lambda: done.record["versions"] | {"torch": "99.0"})
    assert main(["run", "--repeat", str(done.job.folder / "run.json")]) == 0
    said = capsys.readouterr()
    again = tmp_path / "runs" / "repeats" / done.job.name
    then, now = (json.loads((folder / "metrics.json").read_text()) for folder in (done.job.folder, again))
    assert (
        {**then, "seconds": 0} == {**now, "seconds": 0}
        and now["threads"] == "3"
        and then["seconds"] != now["seconds"]
    )
    assert "the same numbers" in said.out
    differences = [line for line in said.err.splitlines() if line.startswith("differs")]
    assert len(differences) == 3 and said.err.startswith("differs")
    for part in ("book.ipynb has been changed", "the file that film names (film.txt) is another", "torch"):
        assert sum(part in line for line in differences) == 1
    with experiments.repetition(again) as third:  # a repetition can be repeated itself
        assert third.job.parameters == {"seed": 5}


def test_other_numbers_are_named_and_are_a_failure(done, capsys):
    metrics = done.job.folder / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"lucky": 0.25}))
    assert main(["run", "--repeat", str(done.job.folder)]) == 1
    said = capsys.readouterr()
    assert "colorlab: lucky: 0.25 then, 0." in said.err and "not the same numbers" in said.out
    assert said.err.startswith("differs      nothing")


@pytest.mark.parametrize("then, now, said", [
    ({"a": 1.0}, {"a": 1.0}, []),
    ({"a": float("nan")}, {"a": float("nan")}, []),
    ({"a": 1}, {}, ["a: 1 then, nothing now"]),
    ({"a": [1, 2, 3]}, {"a": [1, 5, 6]}, ["a[1]: 2 then, 5 now (2 values differ)"]),
    ({"b": {"c": 1}}, {"b": {"c": 2}}, ["b.c: 1 then, 2 now"]),
    ({"seconds_per_frame": 1, "flow": {"peak_memory_mb": 5}
      }, {"seconds_per_frame": 2, "flow": {"peak_memory_mb": 6}}, []),
])
def test_numbers_are_compared_by_name_and_times_are_not(then, now, said):
    assert compare(then, now) == said


@pytest.mark.parametrize("arguments, said", [
    (["--repeat", "nothing.json"], "is not there"), (["--repeat", "bad.json"], "cannot be read"),
    (["--repeat", "empty.json"], "no record"), (["--repeat", "empty.json", "book.ipynb"], "from the record"),
    ([], "no notebook is named"),
])
def test_what_cannot_be_repeated_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments, said):
    (tmp_path / "bad.json").write_text("not json")
    (tmp_path / "empty.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert main(["run", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error


def test_a_repetition_takes_no_runs_place(done, tmp_path):
    with pytest.raises(InputError, match="another --out"):
        with experiments.repetition(done.job.folder, out=tmp_path / "runs"):
            pass
