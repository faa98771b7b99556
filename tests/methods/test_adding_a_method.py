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
    methods.write_text(before.replace("RECORDS = {\n", "RECORDS = {\n" + line, 1))
    assert methods.read_text() != before
    return folder


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True,
                          text=True, timeout=300)


def test_the_new_method_keeps_the_contract(copy):
    test = shutil.copy(ROOT / "tests/methods/test_methods.py", copy)
    ran = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "palette", test)
    assert ran.returncode == 0 and "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_new_method_colors_a_film_from_the_command_line(copy):
    shade = np.linspace(0.8, 1, 32)[:, None, None]  # so that there is no lightness between two bins
    picture = np.concatenate(
        (np.tile(shade * (220, 60, 40), (1, 24, 1)), np.tile(shade * (20, 30, 90), (1, 24, 1))), axis=1
    ).astype(np.uint8)
    grey = rgb2lab(picture) * (1, 0, 0)
    film = copy / "film"
    film.mkdir()
    Image.fromarray(picture).save(copy / "reference.png")
    Image.fromarray((lab2rgb(grey)[:, ::-1] * 255).round().astype(np.uint8)).save(film / "00000.png")
    ran = run(copy, "-m", "colorlab", "colorize", "film", "--reference", "reference.png", "--method",
              "palette", "-o", "out")
    assert ran.returncode == 0, ran.stderr
    colored = np.asarray(Image.open(next((copy / "out").glob("*.png")))).astype(int)
    assert abs(colored[16, ::-1] - picture[16]).max() <= 12  # its red and its blue, on the other side


def test_the_new_method_is_trained_and_colours_with_what_it_learned(copy, tmp_path):
    """Red where the reference is dark, blue where it is bright: after the training the palette is no longer
    what it was."""
    clip = copy / "clips" / "drift"
    clip.mkdir(parents=True)
    row = (
        np.linspace(40, 200, 64)[None, :, None]
        * np.where(np.arange(64) < 32, 1, 0)[None, :, None]
        * (1, 0.3, 0.3)
    )
    picture = (row +
               np.linspace(40, 200, 64)[None, :, None] * np.where(np.arange(64) < 32, 0, 1)[None, :, None] *
               (0.3, 0.3, 1)).repeat(48, 0)
    for t in range(8):
        Image.fromarray(np.roll(picture, t, axis=1).astype(np.uint8)).save(clip / f"{t:05d}.png")
    out = copy / "trained"
    ran = run(copy, "-m", "colorlab", "train", "--method", "palette", "--preset", "tiny", "--data",
              str(clip.parent), "--out", str(out), "--steps", "4", "--cpu")
    assert ran.returncode == 0 and (out / "palette.safetensors").is_file(), ran.stdout + ran.stderr
    ran = run(copy, "-m", "colorlab", "colorize", str(clip), "--reference", f"{clip / '00000.png'}@0",
              "--method", "palette", "--preset", "tiny", "--weights", str(out / "palette.safetensors"), "-o",
              str(copy / "colored"))
    assert ran.returncode == 0 and len(list((copy / "colored").glob("*.png"))) == 8, ran.stderr
