"""A submission to the leaderboard: a folder with one Python file, which builds a network, and one safetensors
file, which fills it.

    ada/method.py             build() -> an nn.Module with `start` and `step`, see colorlab/papers/README.md
    ada/weights.safetensors   what `load_state_dict` gets; every name must fit

`pack` writes both from a notebook; `load` builds the network from them. Weights are safetensors only, because
a pickle can run code. Run as `python -m colorlab.experiments.submissions FOLDER`, this module is the process
in which one submission colours films (started by leaderboard.py): FOLDER holds its inputs and receives its
outputs. It gets grey frames and one reference picture for each film, never the colours that it is scored
against.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from colorlab.experiments.sandbox import confine, limit, python_folders
from colorlab.files.errors import InputError
from colorlab.film.colorize import colorize

METHOD, WEIGHTS = "method.py", "weights.safetensors"
GIVEN, MADE, JOB, READY = "given", "made", "job.json", "ready"
LARGEST = 1 << 29  # bytes of one file of a submission


class Submission(NamedTuple):
    name: str
    source: bytes   # of the Python file
    weights: bytes  # of the safetensors file


def pack(folder: str | Path, source: str, model: nn.Module) -> Path:
    """Write a submission: `source` must define `build()`, and the network that it builds must take `model`'s
    weights.

    Returns the folder. Raises InputError if the two do not fit, so that this shows before submission.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METHOD).write_text(source.rstrip() + "\n", encoding="utf-8")
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    load(folder)
    return folder


def find(folder: str | Path) -> list[Submission]:
    """The submissions in a folder, by name; their files are read immediately, so that no submission can
    change another's.

    Folders whose names begin with a dot or an underscore are passed over. Raises InputError for a folder that
    is not there or holds none, and for a submission that is not one Python file and one safetensors file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} with submissions")
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"):
        files = [path for path in place.iterdir() if path.is_file() and not path.is_symlink()]
        code, weights = ([path for path in files if path.suffix == kind] for kind in (".py", ".safetensors"))
        if len(code) != 1 or len(weights) != 1:
            raise InputError(f"{place} holds {len(code)} Python files and {len(weights)} safetensors files; "
                             "a submission is one of each")
        if large := [path for path in (*code, *weights) if path.stat().st_size > LARGEST]:
            raise InputError(f"{large[0]} is larger than {LARGEST >> 20} MB")
        found.append(Submission(place.name, code[0].read_bytes(), weights[0].read_bytes()))
    if not found:
        raise InputError(f"{folder} holds no submission; each is a folder with a Python file and a "
                         "safetensors file")
    return found


def load(folder: str | Path) -> nn.Module:
    """Build a submission's network and fill it, in eval mode. This runs its code. Raises InputError for what
    does not fit."""
    folder = Path(folder)
    spec = importlib.util.spec_from_file_location("method", folder / METHOD)
    module = importlib.util.module_from_spec(spec)
    sys.modules["method"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    if not callable(getattr(module, "build", None)):
        raise InputError(f"{METHOD} defines no function build(), which makes the network")
    model = module.build()
    named = all(callable(getattr(model, name, None)) for name in ("start", "step"))
    if not isinstance(model, nn.Module) or not named:
        raise InputError("build() must return an nn.Module with start(references) and step(l, state)")
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        said = " ".join(str(error).split())[:300]
        raise InputError(f"{WEIGHTS} does not fit the network that build() makes: {said}") from None
    return model.eval()


def main(folder: Path) -> int:
    """Colour what lies in FOLDER/given into FOLDER/made, confined to FOLDER."""
    job = json.loads((folder / JOB).read_text())
    torch.set_num_threads(job["threads"])
    black = np.zeros((16, 16, 3), np.uint8)
    colorize([black], black, nn.Identity())  # what is imported late is imported now
    limit(job["memory"], job["seconds"])
    if job["confined"]:
        confine(python_folders(), [folder])
    (folder / READY).touch()
    model = load(folder)
    for number, name in enumerate(job["films"]):
        with np.load(folder / GIVEN / name) as given:
            frames, reference, first = given["grey"], given["reference"], bool(given["first"])
        colored = np.stack(list(colorize(list(frames), [(0, reference)] if first else reference, model)))
        np.save(folder / MADE / f"{number}.npy", colored)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
