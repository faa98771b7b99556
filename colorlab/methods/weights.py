"""Checkpoints: where they come from, how a file is recognised, and how released names map to ours.

The authors' checkpoints were not available when this was written. The loading code is tested on files with
the same names and shapes; it has not been run on the real ones.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlab.files.checkpoints import begins, mismatches, read_state, rename
from colorlab.files.errors import InputError
from colorlab.files.project_folders import INSTALLED_CHECKPOINTS, cache_folder, checkpoints_folder

CHECKPOINTS = checkpoints_folder()
# Downloads do not belong inside an installed package: it may be read-only, and they would be removed with it.
RELEASED_HERE = cache_folder(
) / "released" if CHECKPOINTS == INSTALLED_CHECKPOINTS else CHECKPOINTS / "released"

# Where the authors publish; none of these addresses is known to be stable enough for automatic download.
RELEASED = {
    "colormnet": "the ColorMNet repository's release page (yyang181/colormnet on GitHub): "
                 "DINOv2FeatureV6_LocalAtten_s2_154000.pth",
    "lstvc": "the OneDrive link in the readme of bupt-ai-cz/TCVC on GitHub, folder stage2: "
             "checkpoint_encoder_finetune*.pth and checkpoint_decoder_finetune*.pth, put in one folder",
    "tcavc": "the OneDrive link in the readme of bupt-ai-cz/TCVC on GitHub: "
             "colornet_iter_*.pth and both files of stage2, put in one folder",
}

# What `colorlab weights fetch NAME` can fetch: address and destination. Found in public repositories, not
# tried from here. PyTorch's file names carry the first digits of their SHA-256; no checksum of the other has
# been published.
ADDRESSES = {
    "colormnet": (
        "https://github.com/yyang181/colormnet/releases/download/v0.1/DINOv2FeatureV6_LocalAtten_s2_154000.pth",
        RELEASED_HERE / "colormnet.pth",
    ),
    "vgg19": ("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", None),  # for the perceptual loss
    "raft": ("https://download.pytorch.org/models/raft_large_C_T_SKHT_V2-ff5fadd5.pth", None),  # for flow
}


def address(name: str) -> tuple[str, Path]:
    """(address, destination) of weights that can be fetched by name; for others an InputError that says what
    to do."""
    if name not in ADDRESSES:
        where = f": get them from {RELEASED[name]}" if name in RELEASED else ""
        raise InputError(f"no address to fetch {name!r} from{where}; by name there are "
                         f"{', '.join(ADDRESSES)}, else give https://... and --out")
    url, place = ADDRESSES[name]
    return url, place or Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])


def load_weights(model: nn.Module, method: str, preset: str, weights: str | Path) -> None:
    """Fill a network as `colorlab.load` promises: "none", "imagenet", "course", "released" or a PATH."""
    if not any(True for _ in model.parameters()) or weights == "none":  # the baselines have no weights
        return
    if weights == "imagenet":
        if not hasattr(model, "load_backbones"):
            raise InputError(f"{method} has no pretrained backbone; use weights='none'")
        model.load_backbones()
    elif weights == "course":
        load_state(model, method, course_file(method, preset))
    elif weights == "released":
        load_state(model, method, released_path(method))
    else:
        load_state(model, method, Path(weights))


def course_file(method: str, preset: str = "course") -> Path:
    """Path of a course network's trained weights; InputError if there are none."""
    if preset != "course":
        raise InputError(f"weights='course' fit preset='course', not {preset!r}")
    path = CHECKPOINTS / f"{method}.safetensors"
    if not path.is_file():
        raise InputError(f"no course weights for {method} at {path}; use weights='none', or train them "
                         "with `colorlab train`")
    return path


def released_path(method: str) -> Path:
    """Path where the authors' checkpoint is expected; the InputError says where to get it."""
    if method not in RELEASED:
        raise InputError(f"the authors of {method} have published no weights; use weights='none' or 'course'")
    for path in (RELEASED_HERE / method, RELEASED_HERE / f"{method}.pth"):
        if path.exists():
            return path
    raise InputError(f"the released weights of {method} are not here: get them from "
                     f"{RELEASED[method]}, then pass the path as weights=..., or put it at "
                     f"{RELEASED_HERE / method}")


def load_state(model: nn.Module, method: str, path: Path) -> None:
    """Load a checkpoint strictly: every parameter is filled, and no tensor is left over except those in
    `released.UNUSED`."""
    model.load_state_dict(converted(path, method, model.state_dict()))


def load_initial(model: nn.Module, method: str, path: Path) -> str:
    """Initialise from a pretrained file of another network, as the paper does: matching parts are filled, the
    rest stays.

    The method's `initial` module lists the files; each is recognised by its tensor names. Returns a one-line
    summary of what was done. Raises InputError for a method that uses no such file, for an unknown file, and
    for one whose names or shapes do not fit.
    """
    initial = _module_of(method, "initial")
    if initial is None:
        raise InputError(f"{method} begins with no other network's file; leave --initial out")
    state = {name.removeprefix("vistr."): value for name, value in read_state(path).items()}
    whose, names = next(((whose, names) for whose, (sign, names) in initial.FILES.items() if sign in state),
                        ("", ()))
    if not whose:
        raise InputError(f"{path} is none of the files that {method} begins with: {initial.SOURCES}")
    own = model.state_dict()
    places = {name: (theirs, ours) for theirs, ours in names for name in own
              if begins(name, ours) and not name.endswith(initial.WITHOUT_SOURCE)}
    expected = {theirs + name[len(ours):]: own[name] for name, (theirs, ours) in places.items()}
    if not expected or (
        problems := mismatches({name: state[name] for name in expected if name in state}, expected)
    ):
        raise InputError(f"{path} is {whose}'s and does not fit this {method} network: "
                         f"{problems if expected else 'it has no such part'}; it fits preset='paper'")
    model.load_state_dict({
        name: state[places[name][0] + name[len(places[name][1]):]] if name in places else value
        for name, value in own.items()
    })
    return f"{whose}: {len(places)} of {len(own)} tensors from {path.name}"


def converted(path: Path, method: str, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's tensors under our names; InputError if names or shapes are not the expected ones."""
    released = _module_of(method, "released")
    state = read_state(path, getattr(released, "flatten", None))
    if released is not None and not set(expected) <= set(state):
        state = released.convert(state) if hasattr(released, "convert") else rename(
            state, released.NAMES, released.UNUSED)
    problems = mismatches(state, expected)
    if problems:
        raise InputError(f"{path} does not fit this {method} network: {problems}; was it made with another "
                         "preset or other changes?")
    return dict(state)


def _module_of(method: str, name: str) -> object | None:
    try:
        return importlib.import_module(f"colorlab.papers.{method}.{name}")
    except ModuleNotFoundError:
        return None
