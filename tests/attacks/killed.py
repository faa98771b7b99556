"""Commands killed at random moments and given again end in what an undisturbed one leaves.

    python tests/attacks/killed.py [colorize train run sweep evaluate batch frames] [--times 10] [--seed 0]

Each command is done once in peace, which also says how long it takes; then it is killed (SIGKILL to it and
all its children) at a random moment of that time, seeded, again and again up to `--times` kills in a row of
fresh starts, given again until it ends, and what it leaves is compared byte by byte, apart from what tells
times and machines. Some minutes for each command; exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]  # the tests' own modules

import av  # noqa: E402
import numpy as np  # noqa: E402
from attacks.mutations import BOOK  # noqa: E402
from films import patches, save_film  # noqa: E402
from PIL import Image  # noqa: E402

GREY = patches(8, 12)


class Attack(NamedTuple):
    """A command line with {out} for its output, and what of that output must be the same."""

    arguments: tuple[str, ...]
    left: Callable[[Path], object]


def prepare(home: Path) -> dict[str, Attack]:
    frames = [
        av.VideoFrame.from_ndarray(np.roll(GREY, n, 1), "rgb24").reformat(format="yuv420p") for n in range(60)
    ]
    save_film(home / "in.mp4", frames)
    Image.fromarray((GREY * (np.array((200, 90, 60)) / 255)).astype(np.uint8)).save(home / "ref.png")
    (home / "films").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(home / "in.mp4", home / "films" / name)
    cells = [{
        "cell_type": "code", "id": f"c{n}", "execution_count": None, "metadata": {}, "outputs": [],
        "source": source
    } for n, source in enumerate(("import time\nfrom colorlab.experiments import record\ntime.sleep(1)",
                                  "record(twice=2 * seed)"))]
    (home / "book.ipynb").write_text(json.dumps(BOOK | {"cells": BOOK["cells"][:1] + cells}))
    color = ("--reference", f"{home / 'ref.png'}@0", "--method", "lstvc", "--preset", "tiny", "--segment",
             "8", "--device", "cpu", "-o")
    return {
        "colorize": Attack(("colorize", str(home / "in.mp4"), *color, "{out}/out.mp4"), files),
        "frames": Attack(("colorize", str(home / "in.mp4"), *color, "{out}/frames"), files),
        "batch": Attack(("colorize", str(home / "films"), *color, "{out}/films"), files),
        "train": Attack(("train", "--method", "lstvc", "--preset", "tiny", "--embedded", "--cpu", "--workers",
                         "0", "--steps", "12", "--save-every", "2", "--out", "{out}/run"), network),
        "run": Attack(("run", str(home / "book.ipynb"), "--out", "{out}/runs", "--jobs", "1"), metrics),
        "sweep": Attack(
            ("sweep", str(home / "book.ipynb"), "-g", "seed=1,2,3", "--out", "{out}/sweep", "--jobs", "1"),
            metrics),
        "evaluate": Attack(("evaluate", str(home / "in.mp4"), str(
            home / "in.mp4"), "--metrics", "psnr,ssim,colorfulness,cdc", "--device", "cpu", "--json",
                            "{out}/out.json", "--csv", "{out}/out.csv"), files),
    }


def files(out: Path) -> dict[str, str]:
    """Every file, hidden ones too: nothing may be left over."""
    return {
        str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(out.rglob("*"))
        if file.is_file()
    }


def network(out: Path) -> dict[str, object]:
    lines = [json.loads(line) for line in (out / "run" / "metrics.jsonl").read_text().splitlines()]
    kept = {file: checksum for file, checksum in files(out).items() if file.endswith(".safetensors")}
    return kept | {
        "losses": [(line["step"], line.get("loss"))
                   for line in lines], "names": [name for name in files(out) if "/." not in name]
    }


def metrics(out: Path) -> dict[str, object]:
    found = {str(file.relative_to(out)): file.read_text() for file in sorted(out.rglob("metrics.json"))}
    states = {
        str(file.relative_to(out)): json.loads(file.read_text())["status"]
        for file in sorted(out.rglob("run.json"))
    }
    return found | states | {"names": sorted(name for name in files(out))}


def ended(arguments: tuple[str, ...], out: Path, seconds: float | None = None) -> tuple[int, str]:
    """Run a command, or kill it after so many seconds; its exit code (-9 for killed) and what it said."""
    line = [sys.executable, "-m", "colorlab", *(word.format(out=out) for word in arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          start_new_session=True, cwd=out) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
    return process.returncode, said


def attacked(name: str, attack: Attack, times: int, rng: random.Random, home: Path) -> list[str]:
    peace = home / f"{name}-peace"
    peace.mkdir()
    began = time.monotonic()
    code, said = ended(attack.arguments, peace)
    took, expected, wrong = time.monotonic() - began, attack.left(peace), []
    if code != 0:
        return [f"undisturbed: exit code {code}: {said[-500:]}"]
    done = 0
    while done < times:
        out = home / f"{name}-killed"
        out.mkdir()
        for _ in range(rng.randint(1, 3)):  # kills in a row
            moment = rng.uniform(0.2, 1.0) * took
            done += ended(attack.arguments, out, moment)[0] == -signal.SIGKILL
        code, said = ended(attack.arguments, out)
        if code != 0 or "Traceback" in said:
            wrong.append(f"given again: exit code {code}: {said[-500:]}")
        elif (left := attack.left(out)) != expected:
            wrong.append(f"left {left}, not {expected}")
        sys.stderr.write(f"{name}: {done} kills, {len(wrong)} wrong\n")
        shutil.rmtree(out)
    sys.stdout.write(f"{name}: {done} kills, {took:.1f} s in peace, {len(wrong)} wrong\n")
    sys.stdout.flush()
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", help="which (default: all)")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        attacks = prepare(Path(folder))
        for name in args.commands or attacks:
            wrong += [
                f"{name}: {line}"
                for line in attacked(
                    name, attacks[name], args.times, random.Random(f"{args.seed} {name}"), Path(folder)
                )
            ]
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
