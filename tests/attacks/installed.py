"""Does what is installed from a wheel work, without a clone, from another folder, with a home that cannot be
written?

    python tests/attacks/installed.py [--keep FOLDER]

Builds a wheel of this checkout, installs it alone into a new environment that sees the packages of the Python
that runs this (so nothing is fetched), and tries the Python surface, `colorize`, `run`, `doctor` and `weights
list` there. Some three minutes; exit code 1 where something fails. Needs setuptools.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOAD = """
import colorlab, numpy as np
model = colorlab.load("lstvc", preset="course", weights="course")
frames = [np.full((48, 64, 3), 90 + n, np.uint8) for n in range(4)]
picture = np.zeros((48, 64, 3), np.uint8) + np.array((200, 60, 60), np.uint8)
assert len(list(colorlab.colorize(frames, [(0, picture)], model))) == 4
assert "site-packages" in colorlab.__file__, colorlab.__file__
print("colorlab.load and colorize:", colorlab.__file__)
"""
FILM = """
import sys, numpy as np
from colorlab.files.video import write_image, write_video
write_video(sys.argv[1], [np.full((48, 64, 3), 90 + n, np.uint8) for n in range(6)])
write_image(__import__("pathlib").Path(sys.argv[2]), np.zeros((48, 64, 3), np.uint8) + np.array((200, 60, 60), np.uint8))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, metavar="FOLDER",
                        help="work in this new folder and leave it there")
    args = parser.parse_args()
    if args.keep:
        args.keep.mkdir(parents=True)
        return tried(args.keep)
    with tempfile.TemporaryDirectory() as folder:
        return tried(Path(folder))


def tried(folder: Path) -> int:
    python = installed(folder)
    work = folder / "elsewhere"
    work.mkdir()
    film, picture = str(work / "film.mp4"), str(work / "ref.png")
    notebook = str(ROOT / "notebooks" / "01_lab_color.ipynb")
    command = [python, "-m", "colorlab"]
    steps = [
        ("load", [python, "-c", LOAD], 0, "site-packages"),
        ("a film", [python, "-c", FILM, film, picture], 0, ""),
        ("colorize", [
            *command, "colorize", film, "--reference", f"{picture}@0", "--method", "lstvc", "-o",
            str(work / "out.mp4")
        ], 0, "6 frames"),
        ("weights list", [*command, "weights", "list"], 0, str(folder / "env")),
        ("doctor", [*command, "doctor"], None, "course weights of cavc, lstvc, colormnet, tcavc"),
        ("run", [*command, "run", notebook, "--out", str(work / "runs")], 0, "1 of 1 finished"),
        ("run, missing", [*command, "run", "notebooks/01_lab_color.ipynb"], 2, "come with a clone"),
    ]
    failed = 0
    for name, line, code, said in steps:
        done = subprocess.run(line, cwd=work, env=bare(work), capture_output=True, text=True)
        good = (code is None or done.returncode
                == code) and said in done.stdout + done.stderr and "Traceback" not in done.stderr
        failed += not good
        sys.stdout.write(f"{'ok' if good else 'FAILED':8}{name}\n" +
                         ("" if good else f"{done.stdout[-2000:]}{done.stderr[-3000:]}\n"))
    return int(failed > 0)


def installed(folder: Path) -> str:
    """The Python of a new environment with the wheel of this checkout in it, and all else as in this
    one's."""
    subprocess.run([
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w",
        str(folder / "wheel"),
        copied(folder)
    ], check=True)
    environment = folder / "env"
    venv.create(environment, with_pip=False, symlinks=os.name != "nt")
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    home = Path(
        subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                       capture_output=True, text=True).stdout.strip())
    wheel, = (folder / "wheel").glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target",
         str(home),
         str(wheel)], check=True)
    (home / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(python)


def copied(folder: Path) -> str:
    """What is committed or about to be, without what was built here before."""
    names = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True,
        capture_output=True)
    for name in filter(None, names.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            target = folder / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    return str(folder / "source")


def bare(work: Path) -> dict[str, str]:
    """An environment without this checkout, whose home is no folder that anything could be written to."""
    (work / "home").touch()  # a file: even root cannot write below it
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "TMPDIR", "OMP_NUM_THREADS", "SYSTEMROOT")
    }
    shared = os.path.join(sys.prefix, "share", "jupyter")  # nbconvert's templates, which are no package
    return kept | {
        "JUPYTER_PATH": shared, "HOME": str(work / "home" / "nobody"), "USERPROFILE": str(
            work / "home" / "nobody")
    }


if __name__ == "__main__":
    sys.exit(main())
