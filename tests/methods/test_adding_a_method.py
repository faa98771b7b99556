"""The page on how to add a method is followed, word by word, in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "colorlab/papers/README.md").read_text()


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package with the page's method in it."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "colorlab", folder / "colorlab", ignore=shutil.ignore_patterns("__pycache__"))
    init, model, line = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    home = folder / "colorlab/papers/palette"
    home.mkdir()
    (home / "__init__.py").write_text(init)
    (home / "model.py").write_text(model)
    methods = folder / "colorlab/methods/__init__.py"
    before = methods.read_text()
    methods.write_text(before.replace("_HOMES = {\n", "_HOMES = {\n" + line, 1))
    assert methods.read_text() != before
    return folder


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_the_new_method_keeps_the_contract(copy):
    test = shutil.copy(ROOT / "tests/methods/test_methods.py", copy)
    ran = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "palette", test)
    assert ran.returncode == 0 and "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_new_method_colors_a_film_from_the_command_line(copy):
    shade = np.linspace(0.8, 1, 32)[:, None, None]  # so that there is no lightness between two bins
    picture = np.concatenate((np.tile(shade * (220, 60, 40), (1, 24, 1)), np.tile(shade * (20, 30, 90), (1, 24, 1))), axis=1).astype(np.uint8)
    grey = rgb2lab(picture) * (1, 0, 0)
    film = copy / "film"
    film.mkdir()
    Image.fromarray(picture).save(copy / "reference.png")
    Image.fromarray((lab2rgb(grey)[:, ::-1] * 255).round().astype(np.uint8)).save(film / "00000.png")
    ran = run(copy, "-m", "colorlab", "colorize", "film", "--reference", "reference.png", "--method", "palette", "-o", "out")
    assert ran.returncode == 0, ran.stderr
    colored = np.asarray(Image.open(next((copy / "out").glob("*.png")))).astype(int)
    assert abs(colored[16, ::-1] - picture[16]).max() <= 12  # its red and its blue, on the other side
