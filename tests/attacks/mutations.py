"""Damage, seeded: what files look like after a bad disk, a broken download or a bad joke, and the commands
that are given them."""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import signal
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from films import patches, save_film, with_tone
from PIL import Image

import colorlab
from colorlab import experiments
from colorlab.cli import main
from colorlab.experiments import provenance
from colorlab.experiments.page import write_page
from colorlab.files.errors import InputError
from colorlab.files.video import read_video
from colorlab.modules.flow import write_flo
from colorlab.train.saved_run import load_checkpoint

GREY = patches(5, 7)
LONGEST = 30  # seconds that anything may take


def mutate(raw: bytes, rng: random.Random) -> bytes:
    """Damage to a file's bytes: bits flipped, bytes set, cut, zeroed, spliced with itself, or doubled."""
    data = bytearray(raw)
    kind = rng.choice(("bits", "bits", "head", "cut", "zero", "splice", "text", "twice"))
    place, length = rng.randrange(len(data)), rng.randint(1, max(1, len(data) // 4))
    if kind == "bits":
        for _ in range(rng.choice((1, 3, 30))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "head":
        data[rng.randrange(min(64, len(data)))] = rng.randrange(256)
    elif kind == "cut":
        del data[place:]
    elif kind == "zero":
        data[place : place + length] = bytes(len(data[place : place + length]))
    elif kind == "splice":
        start = rng.randrange(len(data))
        data[place:place] = data[start : start + length]
    elif kind == "text":
        data[place : place + 4] = rng.choice((b"null", b"-1e9", b"[[[[", b"\xff\xfe\x00\x00", b"9999"))
    else:
        data += bytes(data)
    return bytes(data)


@dataclass(frozen=True)
class Subject:
    """A file, and what is done with a damaged one: `use(path, folder)` gives an exit code, and raises
    AssertionError for half a result."""

    name: str
    raw: bytes
    use: Callable[[Path, Path], int]


def subjects(home: Path) -> list[Subject]:
    """Everything that may be damaged, made in `home`, which is read-only from then on."""
    home.mkdir(exist_ok=True)
    found: list[Subject] = []

    def add(path: Path, *uses: Callable[[Path, Path], int]) -> None:
        found.extend(
            Subject(f"{path.name} as {use.__name__.removeprefix('as_')}", path.read_bytes(), use)
            for use in uses)

    frames = [np.roll(GREY, n, 1) for n in range(8)]
    yuv = [av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuv420p") for frame in frames]
    for name, codec in (
        ("a.mp4", "libx264"),
        ("a.mkv", "ffv1"),
        ("a.avi", "mpeg4"),
        ("a.webm", "libvpx-vp9"),
    ):
        add(save_film(home / name, yuv, codec, extra=with_tone if name == "a.mkv" else None), as_film,
            as_truth)
    for name in ("a.png", "a.jpg", "a.tif"):
        Image.fromarray(GREY).save(home / name)
        add(home / name, as_reference, *([as_frame] if name != "a.tif" else []))
    network = colorlab.load("lstvc", "tiny").state_dict()
    from safetensors.torch import save_file
    save_file(network, home / "net.safetensors")
    torch.save(network, home / "net.pth")
    torch.save(dict(list(network.items())[:20]), home / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("net.safetensors", "net.pth", "old.pth"):
        add(home / name, as_weights)
    torch.save({"step": 1, "identity": {}, "network": network}, home / "checkpoint.pt")
    add(home / "checkpoint.pt", as_checkpoint)
    for name, mode in (("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tar.xz", "w:xz"), ("a.tar.bz2", "w:bz2")):
        with tarfile.open(home / name, mode) as archive:
            archive.add(home / "a.png", "x/1.png")
            archive.add(home / "a.jpg", "x/2.jpg")
        add(home / name, as_archive)
    with zipfile.ZipFile(home / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(home / "a.png", "x/1.png")
        archive.write(home / "a.jpg", "x/2.jpg")
    add(home / "a.zip", as_archive)
    write_flo(home / "a.flo", torch.ones(2, 5, 7))
    add(home / "a.flo", as_flow)
    (home / "book.ipynb").write_text(json.dumps(BOOK))
    (home / "run.json").write_text(json.dumps(record(home / "book.ipynb")))
    (home / "metrics.json").write_text(json.dumps({"psnr": 31.5, "of": {"copy": [1, 2]}}))
    add(home / "run.json", as_record, as_record_to_repeat)
    add(home / "metrics.json", as_metrics)
    add(home / "book.ipynb", as_notebook)
    Image.fromarray(GREY).save(home / "ref.png")
    return found


BOOK = {
    "nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{
        "cell_type": "code", "id": "a", "execution_count": None, "metadata": {"tags": ["parameters"]},
        "outputs": [], "source": "seed: int = 3  # of all\nratio = 0.5\nnames = ['a', 'b']"
    }, {
        "cell_type": "code", "id": "b", "execution_count": None, "metadata": {}, "outputs": [],
        "source": "print(seed)"
    }]
}


def record(notebook: Path) -> dict:
    """A run.json as a run of that notebook leaves it."""
    return {
        "status": "finished", "error": None, "notebook": str(notebook), "notebook_hash": "0" * 64,
        "parameters": {"seed": 3, "ratio": 0.5}, "given": {"seed": 3}, "seed": 3, "inputs": {},
        "started": "2026-01-01T00:00:00+00:00", "seconds": 1.5, "device": "cpu", "peak_memory_mb": 100.0,
        "machine": {"system": "x", "cores": 2}, "versions": provenance.versions(), "git": None,
        "environment": {"OMP_NUM_THREADS": "1"}, "code_hash": "0" * 64, "fingerprint": "0" * 64
    }


def colorize(film: Path, reference: Path, out: Path, *more: str) -> int:
    code = main([
        "colorize",
        str(film), "--reference", f"{reference}@0", "--method", "copy", "--preset", "tiny", "--device", "cpu",
        "-o",
        str(out), *more
    ])
    if code == 0:
        assert sum(1 for _ in read_video(out)) == sum(1 for _ in read_video(film)), "a film of another length"
    else:
        assert not out.exists(), "half a film"
    return code


def as_film(path: Path, folder: Path) -> int:
    return colorize(path, folder / "home" / "ref.png", folder / "out.mkv")


def as_truth(path: Path, folder: Path) -> int:
    code = main([
        "evaluate",
        str(folder / "home" / "a.mp4"),
        str(path), "--metrics", "psnr,colorfulness", "--json",
        str(folder / "out.json"), "--device", "cpu"
    ])
    assert (folder / "out.json").exists() == (code == 0)
    return code


def as_reference(path: Path, folder: Path) -> int:
    return colorize(folder / "home" / "a.mp4", path, folder / "out.mkv")


def as_frame(path: Path, folder: Path) -> int:
    (folder / "frames").mkdir()
    for n in range(2):
        shutil.copy(folder / "home" / "ref.png", folder / "frames" / f"{n}.png")
    path.rename(folder / "frames" / f"2{path.suffix}")
    return colorize(folder / "frames", folder / "home" / "ref.png", folder / "out")


def as_weights(path: Path, folder: Path) -> int:
    with contextlib.suppress(InputError):
        colorlab.load("lstvc", "tiny", path)
        return 0
    return 2


def as_checkpoint(path: Path, folder: Path) -> int:
    with contextlib.suppress(InputError):
        load_checkpoint(path)
        return 0
    return 2


def as_archive(path: Path, folder: Path) -> int:
    code = main(["data", "unpack", str(path), str(folder / "unpacked")])
    files = [file for file in (folder / "unpacked").rglob("*") if file.is_file()]
    assert len(files) == (0 if code else 2), f"{len(files)} of 2 files"
    return code


def as_flow(path: Path, folder: Path) -> int:
    from colorlab.modules.flow import read_flo

    with contextlib.suppress(InputError):
        assert torch.isfinite(read_flo(path)).all()
        return 0
    return 2


def as_record(path: Path, folder: Path) -> int:
    (folder / "runs" / "book").mkdir(parents=True)
    path.rename(folder / "runs" / "book" / "run.json")
    write_page(folder / "runs", {})
    return 0


def as_record_to_repeat(path: Path, folder: Path) -> int:
    with contextlib.suppress(InputError):
        with experiments.repetition(path, folder / "again") as again:
            assert not set(again.job.variables or ()) - set(provenance.VARIABLES)
        return 0
    return 2


def as_metrics(path: Path, folder: Path) -> int:
    (folder / "runs" / "book").mkdir(parents=True)
    shutil.copy(folder / "home" / "run.json", folder / "runs" / "book" / "run.json")
    path.rename(folder / "runs" / "book" / "metrics.json")
    write_page(folder / "runs", {})
    return 0


def as_notebook(path: Path, folder: Path) -> int:
    with contextlib.suppress(InputError):
        experiments.plan([path], {"seed": "4"}, folder / "runs", as_text=True)
        return 0
    return 2


@contextlib.contextmanager
def in_time(seconds: int) -> Iterator[None]:
    """Raise TimeoutError where the block hangs."""
    def late(*_: object) -> None:
        raise TimeoutError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attack(subject: Subject, number: int, home: Path, folder: Path) -> str | None:
    """Damage a file, have it used in `folder`, and say what is wrong with how that ended; None where it ended
    as it should."""
    folder.mkdir()
    (folder / "home").symlink_to(home)
    file = folder / f"m{''.join(Path(subject.name.split()[0]).suffixes)}"
    file.write_bytes(mutate(subject.raw, random.Random(f"{subject.name} {number}")))
    out, err = io.StringIO(), io.StringIO()
    try:
        with in_time(LONGEST), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = subject.use(file, folder)
    except BaseException as error:  # whatever it is, it should not have come this far
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {str(error)[:300]}"
    lines = [line for line in err.getvalue().replace("\r", "\n").splitlines() if line.startswith("colorlab:")]
    if code not in (0, 2):
        return f"exit code {code}: {lines[-1:]}"
    if "Traceback" in err.getvalue() or len(lines) > 1:
        return f"not one line: {err.getvalue()[-300:]}"
    if left := [entry.name for entry in folder.glob(".*")]:
        return f"left behind: {left}"
    return None
