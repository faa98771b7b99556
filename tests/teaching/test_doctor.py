"""The doctor finds what is broken, says what mends it, and is not ill itself."""

import json
import os
import subprocess
import sys

import pytest

from colorlab.cli import main
from colorlab.experiments.provenance import PACKAGE
from colorlab.teaching import doctor


def test_this_machine_is_fit_for_the_tests():
    assert doctor.check().problems == ()


def test_every_check_answers_and_every_problem_has_a_fix():
    found = doctor.report()
    assert {finding.subject for finding in found} == {look.__name__ for look in doctor.CHECKS}
    assert all(finding.said and (finding.fix or finding.state == "ok") for finding in found)


def test_a_torchvision_of_another_torch_is_named_with_its_fix(tmp_path, monkeypatch):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" /
     "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = doctor.torchvision()
    assert (
        found.state == "problem"
        and "operator torchvision::nms does not exist" in found.said
        and "timm" in found.said
    )
    assert "--force-reinstall torch torchvision" in found.fix


def test_a_torch_that_cannot_be_imported_is_one_problem_not_many(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" /
     "__init__.py").write_text("raise ImportError('libcublas.so.12: cannot open shared object file')")
    done = subprocess.run([sys.executable, "-m", "colorlab", "doctor", "--json"], capture_output=True,
                          text=True, cwd=tmp_path, env=os.environ
                          | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])})
    problems = [finding for finding in json.loads(done.stdout) if finding["state"] == "problem"]
    assert done.returncode == 1 and [finding["subject"] for finding in problems] == ["torch"]
    assert "libcublas.so.12" in problems[0]["said"] and "reinstall" in problems[0]["fix"]


def test_importing_colorlab_and_its_command_line_leaves_torch_alone():
    done = subprocess.run([
        sys.executable, "-c", "import sys, colorlab, colorlab.cli, colorlab.experiments, "
        "colorlab.teaching.doctor\nsys.exit('torch' in sys.modules or 'papermill' in "
        "sys.modules)"
    ], env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)})
    assert done.returncode == 0


def test_a_missing_and_an_old_package_are_named(monkeypatch):
    monkeypatch.setattr("colorlab.experiments.provenance.requirements",
                        lambda: ["av>=14", "numpy>=1.26", "tqdm>=4"])
    monkeypatch.setattr(doctor, "installed", {"av": None, "numpy": "1.20", "tqdm": "4.1"}.get)
    assert [finding.said for finding in doctor.packages()
            ] == ["av is not installed", "numpy 1.20 is too old, >=1.26 is needed"]


def test_a_cache_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "file" / "cache"))
    found = doctor.cache()
    assert found.state == "problem" and "COLORLAB_CACHE" in found.fix


def test_a_check_that_throws_is_a_finding(monkeypatch):
    def film():
        raise OSError("libavcodec.so.61 is not there")

    monkeypatch.setattr(doctor, "CHECKS", (film,))
    assert doctor.report() == (
        doctor.Finding(
            "film", "problem", "could not be looked at: libavcodec.so.61 is not there", doctor.COMPLETE
        ),
    )


@pytest.mark.parametrize("state, code", [("ok", 0), ("note", 0), ("problem", 1)])
def test_only_a_problem_is_a_failure(monkeypatch, capsys, state, code):
    monkeypatch.setattr(doctor, "CHECKS", (lambda: doctor.Finding("film", state, "seen", "fix it"),))
    assert main(["doctor"]) == code
    assert "film" in capsys.readouterr().out


def test_a_notebook_shows_the_findings_as_a_table_with_nothing_unescaped():
    shown = doctor.Report([doctor.Finding("film", "problem", "<no codec>", "fix it")])._repr_html_()
    assert "&lt;no codec&gt;" in shown and shown.startswith("<table>") and "1 of 1" in shown
