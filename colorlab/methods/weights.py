"""Checkpoints: where they come from, how a file is recognised, which released name becomes which of ours.

Nothing here unpickles code: safetensors files hold tensors only, and `torch.load` runs with `weights_only=True`.
The authors' checkpoints were not at hand when this was written. What reads them is tested on files of the same names and
shapes; it has not been run against the real ones.
"""

from __future__ import annotations

import argparse
import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlab.files.errors import InputError
from colorlab.files.places import INSTALLED_CHECKPOINTS, cache_folder, checkpoints_folder

CHECKPOINTS = checkpoints_folder()
# What is fetched for an installed package has no place in it: it may not be written, and would go with it.
RELEASED_HERE = cache_folder() / "released" if CHECKPOINTS == INSTALLED_CHECKPOINTS else CHECKPOINTS / "released"

SUFFIXES = (".safetensors", ".pth", ".pt")

# Where the authors publish; none of these addresses is known to be stable enough to be fetched without a person.
RELEASED = {
    "colormnet": "the ColorMNet repository's release page (yyang181/colormnet on GitHub): DINOv2FeatureV6_LocalAtten_s2_154000.pth",
    "lstvc": "the OneDrive link in the readme of bupt-ai-cz/TCVC on GitHub, folder stage2: checkpoint_encoder_finetune*.pth and "
             "checkpoint_decoder_finetune*.pth, put in one folder",
    "tcavc": "the OneDrive link in the readme of bupt-ai-cz/TCVC on GitHub: colornet_iter_*.pth and both files of stage2, put in one "
             "folder",
}

# What `colorlab weights fetch NAME` knows where to get: address, and where it belongs. Found in public repositories, not tried from
# here. PyTorch's names carry the first digits of their SHA-256; for the other nobody has published one.
ADDRESSES = {
    "colormnet": ("https://github.com/yyang181/colormnet/releases/download/v0.1/DINOv2FeatureV6_LocalAtten_s2_154000.pth",
                  RELEASED_HERE / "colormnet.pth"),
    "vgg19": ("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", None),  # for the perceptual loss
    "raft": ("https://download.pytorch.org/models/raft_large_C_T_SKHT_V2-ff5fadd5.pth", None),  # for flow
}


def address(name: str) -> tuple[str, Path]:
    """(address, where the file belongs) of weights that can be fetched by name; InputError for others, with what to do."""
    if name not in ADDRESSES:
        where = f": get them from {RELEASED[name]}" if name in RELEASED else ""
        raise InputError(f"no address to fetch {name!r} from{where}; by name there are {', '.join(ADDRESSES)}, else give https://... and --out")
    url, place = ADDRESSES[name]
    return url, place or Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])


def check_fits(path: Path, method: str, preset: str = "paper") -> None:
    """Raise InputError unless a checkpoint can be read safely and its names and shapes are this network's. Builds no numbers."""
    from colorlab.methods import configure, network_and_config

    with torch.device("meta"):
        model = network_and_config(method)[0](configure(method, preset))
    _converted(path, method, model.state_dict())


def load_weights(model: nn.Module, method: str, preset: str, weights: str | Path) -> None:
    """Fill a network as `colorlab.load` promises: "none", "imagenet", "course", "released" or a PATH."""
    if not any(True for _ in model.parameters()) or weights == "none":  # the baselines have nothing to fill
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
    """Where the trained weights of a course network lie; InputError where there are none."""
    if preset != "course":
        raise InputError(f"weights='course' fit preset='course', not {preset!r}")
    path = CHECKPOINTS / f"{method}.safetensors"
    if not path.is_file():
        raise InputError(f"no course weights for {method} at {path}; use weights='none', or train them with `colorlab train`")
    return path


def released_path(method: str) -> Path:
    """Where the authors' checkpoint is expected; InputError says where to get it."""
    if method not in RELEASED:
        raise InputError(f"the authors of {method} have published no weights; use weights='none' or 'course'")
    for path in (RELEASED_HERE / method, RELEASED_HERE / f"{method}.pth"):
        if path.exists():
            return path
    raise InputError(f"the released weights of {method} are not here: get them from {RELEASED[method]}, then pass the path as "
                     f"weights=..., or put it at {RELEASED_HERE / method}")


def load_state(model: nn.Module, method: str, path: Path) -> None:
    """Load a checkpoint strictly: every parameter is filled, nothing is left over but what `released.UNUSED` names."""
    model.load_state_dict(_converted(path, method, model.state_dict()))


def load_initial(model: nn.Module, method: str, path: Path) -> str:
    """Begin with a pretrained file of another network that a paper began with: what it fits is filled, the rest stays.

    The method's `initial` module knows the files; each is recognised by its names. Returns what was done, in a line. Raises InputError for
    a method that began with none, another file, and one whose names or shapes do not fit.
    """
    initial = _module_of(method, "initial")
    if initial is None:
        raise InputError(f"{method} begins with no other network's file; leave --initial out")
    state = {name.removeprefix("vistr."): value for name, value in read_state(path).items()}
    whose, names = next(((whose, names) for whose, (sign, names) in initial.FILES.items() if sign in state), ("", ()))
    if not whose:
        raise InputError(f"{path} is none of the files that {method} begins with: {initial.SOURCES}")
    own = model.state_dict()
    places = {name: (theirs, ours) for theirs, ours in names for name in own
              if _begins(name, ours) and not name.endswith(initial.WITHOUT_SOURCE)}
    expected = {theirs + name[len(ours):]: own[name] for name, (theirs, ours) in places.items()}
    if not expected or (problems := _mismatches({name: state[name] for name in expected if name in state}, expected)):
        raise InputError(f"{path} is {whose}'s and does not fit this {method} network: "
                         f"{problems if expected else 'it has no such part'}; it fits preset='paper'")
    model.load_state_dict({name: state[places[name][0] + name[len(places[name][1]):]] if name in places else value
                           for name, value in own.items()})
    return f"{whose}: {len(places)} of {len(own)} tensors from {path.name}"


def _converted(path: Path, method: str, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's tensors under our names; InputError where they are not the expected names and shapes."""
    released = _module_of(method, "released")
    state = read_state(path, getattr(released, "flatten", None))
    if released is not None and not set(expected) <= set(state):
        state = released.convert(state) if hasattr(released, "convert") else rename(state, released.NAMES, released.UNUSED)
    problems = _mismatches(state, expected)
    if problems:
        raise InputError(f"{path} does not fit this {method} network: {problems}; was it made with another preset or other changes?")
    return dict(state)


def read_state(path: Path, flatten: Callable[[Mapping], Mapping] | None = None) -> dict[str, Tensor]:
    """A state dict from a .safetensors or .pth file, or from a folder of them, merged.

    A file that wraps its state dict as {"model": ...} or {"state_dict": ...} is unwrapped; a "module." prefix is dropped.
    flatten: what a method's `released` module knows about files that hold more than one network; it is asked first.
    """
    path = Path(path)
    if path.is_dir():
        return _merged({file: read_state(file, flatten) for file in sorted(path.iterdir()) if file.suffix in SUFFIXES}, path)
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}; give the path of a .safetensors or .pth file")
    content = _read(path)
    if flatten is not None and isinstance(content, Mapping):
        content = flatten(content)
    for wrapper in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(torch.is_tensor(value) for value in content.values()):
        raise InputError(f"{path} holds no state dict: a mapping of names to tensors was expected")
    if odd := next((name for name in content if not isinstance(name, str)), None):
        raise InputError(f"{path} holds no state dict: its entries are named by text, one is named {odd!r}")
    return {name.removeprefix("module."): _plain(value, name, path) for name, value in content.items()}


def _read(path: Path) -> object:
    """What a file holds, whatever that is; InputError where it cannot be read, or not without running code."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file that is refused or read; torch's doubts about it are no help
            with torch.serialization.safe_globals([argparse.Namespace]):  # of options: VisTR's program keeps its own beside the weights
                return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise InputError(f"no permission to read {path}") from error
    except Exception as error:  # a damaged pickle makes torch's reader stumble in every way there is
        kind = "a whole .safetensors file" if path.suffix == ".safetensors" else "a checkpoint that can be read safely"
        raise InputError(f"{path} is not {kind} ({_first_line(error)})") from error


def _plain(value: Tensor, name: str, path: Path) -> Tensor:
    """A tensor of numbers, as a network's are; InputError for one without numbers, sparse ones, and numbers that are none."""
    if value.is_meta or value.layout != torch.strided or value.is_quantized:
        raise InputError(f"{path} holds no numbers for {name}, or not one for each place; save the network's state_dict() as it is")
    if value.is_complex():
        raise InputError(f"{path} holds complex numbers for {name}; no network here has such")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise InputError(f"{path} is damaged: {name} holds what is no number (nan or infinite); take another checkpoint")
    return value


def _merged(states: Mapping[Path, Mapping[str, Tensor]], folder: Path) -> dict[str, Tensor]:
    """One state dict of several files that share no name."""
    if not states:
        raise InputError(f"no checkpoint in {folder}; it should hold the method's {', '.join(SUFFIXES)} files")
    merged: dict[str, Tensor] = {}
    for file, state in states.items():
        if twice := next((name for name in state if name in merged), None):
            raise InputError(f"{file} holds {twice}, which another file of {folder} holds too; leave one set of files there")
        merged |= state
    return merged


def rename(state: Mapping[str, Tensor], names: Sequence[tuple[str, str]], unused: Sequence[str] = ()) -> dict[str, Tensor]:
    """Released names -> ours. `names` pairs dotted prefixes, the longest that fits wins; `unused` prefixes are dropped."""
    table = sorted(names, key=lambda pair: -len(pair[0]))
    renamed = {}
    for name, value in state.items():
        if any(_begins(name, prefix) for prefix in unused):
            continue
        ours = next((new + name[len(old):] for old, new in table if _begins(name, old)), name)
        if ours in renamed:
            raise InputError(f"two entries of the checkpoint become {ours}; it is not a file of this network")
        renamed[ours] = value
    return renamed


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _mismatches(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    missing = [name for name in expected if name not in state]
    surplus = [name for name in state if name not in expected]
    shapes = [f"{name} is {tuple(state[name].shape)}, not {tuple(value.shape)}" for name, value in expected.items()
              if name in state and state[name].shape != value.shape]
    kinds = [f"{name} is {state[name].dtype}" for name, value in expected.items()
             if name in state and state[name].is_floating_point() != value.is_floating_point()]
    said = [f"{len(found)} entries {what} (first: {found[0]})" for found, what in
            ((missing, "missing"), (surplus, "too many"), (shapes, "of another shape"), (kinds, "of another kind of number")) if found]
    return "; ".join(said)


def _module_of(method: str, name: str) -> object | None:
    try:
        return importlib.import_module(f"colorlab.papers.{method}.{name}")
    except ModuleNotFoundError:
        return None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
