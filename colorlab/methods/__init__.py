"""The six methods by name, and how one is built: network class, preset, changes, weights."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from colorlab.files.errors import InputError

if TYPE_CHECKING:
    from torch import nn

# name -> (module, network class, config class); imported when asked for
_HOMES = {
    "cavc": ("colorlab.papers.cavc", "CAVC", "CAVCConfig"),
    "lstvc": ("colorlab.papers.lstvc", "LSTVC", "LSTVCConfig"),
    "colormnet": ("colorlab.papers.colormnet", "ColorMNet", "ColorMNetConfig"),
    "tcavc": ("colorlab.papers.tcavc", "TCAVC", "TCAVCConfig"),
    "copy": ("colorlab.methods.baselines", "Copy", "CopyConfig"),
    "flow": ("colorlab.methods.baselines", "Flow", "FlowConfig"),
}
METHODS = tuple(_HOMES)
PRESETS = ("paper", "course", "tiny")


def network_and_config(method: str) -> tuple[type[nn.Module], type]:
    """The network class and the config class of a method."""
    if method not in _HOMES:
        raise InputError(f"no method named {method!r}; there are {', '.join(METHODS)}")
    module, network, config = _HOMES[method]
    home = importlib.import_module(module)
    return getattr(home, network), getattr(home, config)


def configure(method: str, preset: str = "paper", **changes: object) -> object:
    """The frozen config of a method's preset with some fields changed, as `dataclasses.replace` changes them.

    A change that names no field is refused, with the fields that exist.
    """
    _, config_class = network_and_config(method)
    if preset not in PRESETS:
        raise InputError(f"no preset named {preset!r}; there are {', '.join(PRESETS)}")
    fields = [field.name for field in dataclasses.fields(config_class)]
    unknown = sorted(set(changes) - set(fields))
    if unknown:
        raise InputError(f"{method} has no setting {', '.join(unknown)}; it has {', '.join(fields)}")
    presets = [dataclasses.asdict(getattr(config_class, name)()) for name in PRESETS]
    for name, value in changes.items():
        if wanted := _unfit(value, [known[name] for known in presets]):
            raise InputError(f"{name} of {method} is {presets[0][name]!r} in the paper's preset and wants {wanted}, not {value!r}")
    return dataclasses.replace(getattr(config_class, preset)(), **changes)


def _unfit(value: object, known: list) -> str:
    """What a setting wants where this value will not do, going by the values of the presets; "" where it will."""
    if isinstance(value, (list, tuple)) and any(isinstance(item, tuple) for item in known):
        inner = [part for item in known if isinstance(item, tuple) for part in item]
        return next((f"{wanted} in each place" for part in value if (wanted := _unfit(part, inner))), "" if value else "at least one number")
    if any(value is item for item in known) or value is None:  # where None stands for nothing, a network says itself; so it does elsewhere
        return ""
    types = {type(item) for item in known if item is not None}
    if bool in types or isinstance(value, bool):
        return "" if bool in types and isinstance(value, bool) else "true or false" if bool in types else "a number"
    if types == {float} or types == {int, float}:
        return "" if isinstance(value, (int, float)) and value == value else "a number"
    if int in types:
        least = min(1, *(item for item in known if isinstance(item, int)), 1)
        return "" if isinstance(value, int) and value >= least else f"a whole number from {least} up"
    return "" if not types or type(value) in types else f"a {types.pop().__name__}"


def load(method: str, preset: str = "paper", weights: str | Path = "none", seed: int = 0, **changes: object) -> nn.Module:
    """Build a method's network, in eval mode on the CPU; the caller moves it with `.to(device)`.

    method: one of METHODS. preset: "paper" (full size, as in the authors' code), "course" (small, for a laptop) or "tiny" (for
    tests). weights: "none" is the seeded initialisation; "imagenet" the same with backbones from ImageNet/DINOv2; "course" the
    trained weights that ship with the project; "released" the authors' checkpoint; or the PATH of a checkpoint, ours or
    theirs. changes: fields of the method's config. The same seed gives the same bits; the global random state is left alone.
    Raises InputError, in one line, for names that do not exist and weights that are not to be had or do not fit.
    """
    import torch  # not at the top: the names of the methods are to be had without it

    from colorlab.methods.weights import load_weights

    network_class, _ = network_and_config(method)
    config = configure(method, preset, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = network_class(config)
        except Exception as error:
            if not changes or isinstance(error, InputError):
                raise
            stated = ", ".join(f"{name}={value!r}" for name, value in changes.items())
            raise InputError(f"{method} cannot be built with {stated} ({' '.join(str(error).split())[:120] or type(error).__name__})") from error
    load_weights(model, method, preset, weights)
    return model.eval()
