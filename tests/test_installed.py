"""Installed from a wheel: the course weights come along, and what is not there is named.
`tests/attacks/installed.py` tries the commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with what a wheel would put into site-packages."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([
        sys.executable, "setup.py", "-q", "egg_info", "--egg-base",
        str(folder), "build_py", "--build-lib",
        str(folder / "site")
    ], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_the_wheel_holds_every_module_and_the_course_weights(site):
    ours = {file.relative_to(ROOT).as_posix() for file in (ROOT / "colorlab").rglob("*.py")}
    assert ours == {file.relative_to(site).as_posix() for file in site.rglob("*.py")}
    for method in ("cavc", "lstvc", "colormnet", "tcavc"):
        kept = (site / "colorlab" / "checkpoints" / f"{method}.safetensors").read_bytes()
        assert kept == (ROOT / "data" / "checkpoints" / f"{method}.safetensors").read_bytes()
        assert (site / "colorlab" / "checkpoints" / f"{method}.md").is_file()


TRIED = """
import colorlab, colorlab.methods.weights as weights
from colorlab import experiments
from colorlab.experiments.runner import homes
from colorlab.files.errors import InputError
colorlab.load("lstvc", preset="course", weights="course")
print(weights.course_file("cavc"))
try:
    experiments.plan(["notebooks/01_lab_color.ipynb"])
except InputError as error:
    print(error)
print(sorted(homes()))
"""


def test_elsewhere_the_weights_are_found_the_notebooks_named_and_kernels_have_a_home(site, tmp_path):
    (tmp_path / "file").touch()
    home = str(tmp_path / "file" / "home")  # even root cannot write there
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COLORLAB", "JUPYTER", "IPYTHON", "MPL"))
    }
    done = subprocess.run([sys.executable, "-c", TRIED], cwd=tmp_path, capture_output=True, text=True,
                          env=kept | {"PYTHONPATH": str(site), "HOME": home, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    where, missing, homes = done.stdout.splitlines()
    assert where == str(site / "colorlab" / "checkpoints" / "cavc.safetensors")
    assert "come with a clone" in missing
    assert (
        homes
        == "['IPYTHONDIR', 'JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'MPLCONFIGDIR']"
    )
