"""The six methods by name, and how one is built: network class, preset, changes, weights."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from colorlab.errors import InputError

if TYPE_CHECKING:
    from torch import nn

# name -> (module, network class, config class); imported when asked for
_HOMES = {
    "cavc": ("colorlab.papers.cavc", "CAVC", "CAVCConfig"),
    "lstvc": ("colorlab.papers.lstvc", "LSTVC", "LSTVCConfig"),
    "colormnet": ("colorlab.papers.colormnet", "ColorMNet", "ColorMNetConfig"),
    "tcavc": ("colorlab.papers.tcavc", "TCAVC", "TCAVCConfig"),
    "copy": ("colorlab.baselines", "Copy", "CopyConfig"),
    "flow": ("colorlab.baselines", "Flow", "FlowConfig"),
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
    return dataclasses.replace(getattr(config_class, preset)(), **changes)


def load(method: str, preset: str = "paper", weights: str | Path = "none", seed: int = 0, **changes: object) -> nn.Module:
    """Build a method's network, in eval mode on the CPU; the caller moves it with `.to(device)`.

    method: one of METHODS. preset: "paper" (full size, as in the authors' code), "course" (small, for a laptop) or "tiny" (for
    tests). weights: "none" is the seeded initialisation; "imagenet" the same with backbones from ImageNet/DINOv2; "course" the
    trained weights that ship with the project; "released" the authors' checkpoint; or the PATH of a checkpoint, ours or
    theirs. changes: fields of the method's config. The same seed gives the same bits; the global random state is left alone.
    Raises InputError, in one line, for names that do not exist and weights that are not to be had or do not fit.
    """
    import torch  # not at the top: the names of the methods are to be had without it

    from colorlab.weights import load_weights

    network_class, _ = network_and_config(method)
    config = configure(method, preset, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network_class(config)
    load_weights(model, method, preset, weights)
    return model.eval()
