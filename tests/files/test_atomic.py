"""Output that appears whole or not at all: full disks, killed writers, links and devices."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from colorlab.files import atomic
from colorlab.files.errors import InputError
from colorlab.files.video import write_image, write_video
from colorlab.files.atomic import remove_leftovers, atomically, write_json, write_text
from colorlab.film.saved_state import save_state
from colorlab.train.saved_run import save_weights

NOISE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)


@pytest.fixture
def full_disk():
    """Files cannot grow beyond 20 kB, which the system tells as it tells of a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("name, write", [
    ("a.txt", lambda path: write_text(path, "x" * 100_000)),
    ("a.json", lambda path: write_json(path, ["x" * 100_000])),
    ("a.png", lambda path: write_image(path, NOISE)),
    ("a.state", lambda path: save_state(path, torch.zeros(100_000))),
    ("folder", lambda path: write_video(path, [NOISE] * 2)),
    ("a.mp4", lambda path: write_video(path, [NOISE] * 30)),
    ("a.safetensors", lambda path: save_weights(path, {"x": torch.zeros(100_000)}, {})),
])
def test_a_full_disk_is_one_line_that_names_the_file_and_leaves_nothing(tmp_path, full_disk, name, write):
    with pytest.raises(InputError) as raised:
        write(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value) and "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_when_writing_fails(tmp_path):
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        with atomically(tmp_path / "a.txt") as temporary:
            temporary.write_text("half of")
            raise KeyboardInterrupt
    assert (tmp_path / "a.txt").read_text() == "before" and len(list(tmp_path.iterdir())) == 1


KILLED = """
import os, sys
from pathlib import Path
from colorlab.files.atomic import atomically
with atomically(Path(sys.argv[1], "a.txt")) as file, atomically(Path(sys.argv[1], "folder")) as folder:
    file.write_text("half")
    folder.mkdir()
    (folder / "inner").write_text("half")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise there")
def test_what_a_killed_process_left_goes_when_the_next_one_writes(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)],
                   env=os.environ | {"PYTHONPATH": str(Path(atomic.__file__).parents[2])})
    assert len(list(tmp_path.glob(".*"))) == 2
    (tmp_path / ".mine.part.txt").touch()
    with atomically(tmp_path / "b.txt") as temporary:  # what is in the making now is no leftover
        temporary.write_text("b")
        assert len(list(tmp_path.glob(".*"))) == 2  # the one in the making, and one of another kind
        atomic._looked_through.clear()
        remove_leftovers(tmp_path)
        assert temporary.exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".mine.part.txt", "b.txt"]


def test_a_link_stays_a_link_to_what_is_new(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "a.txt").symlink_to(tmp_path / "disk" / "real.txt")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").is_symlink() and (tmp_path / "disk" / "real.txt").read_text() == "new"


def test_nothing_is_put_in_the_place_of_a_device_or_a_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.txt").mkdir()
    for name in ("pipe", "empty.txt"):
        with pytest.raises(InputError, match="cannot write"):
            write_text(tmp_path / name, "x")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty.txt", "pipe"]


def test_a_long_name_has_room_for_a_temporary_one(tmp_path):
    name = "ä" * 120 + ".png"
    write_image(tmp_path / name, NOISE)
    assert Image.open(tmp_path / name).size == (300, 200)
