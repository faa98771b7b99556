"""The methods by name: one record describes each, and `load` builds it from network, preset, changes and
weights."""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from colorlab.files.errors import InputError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Method:
    """What commands, training and tables know about a method. Code is given as "module:name" and imported on
    first use."""

    network: str  # the paper's network; the config beside it is called by the same name and "Config"
    course: str = ""                               # network of preset="course", if it is another
    learns: bool = True                            # it has weights: it is trained, stored and loaded
    needs_reference: bool = True                   # False: it makes its own
    course_weights: bool = False                   # trained ones ship in data/checkpoints
    recipe: str = "plain"  # how it is trained: a key of the tables in train/recipes.py
    forward: str = "colorlab.train.forward:see_clip"  # runs it on a training window
    confidence: str = ""  # its confidence, a function of film/confidence.py; "": it has none


_CONFIDENCE = "colorlab.film.confidence:"
_FORWARD = "colorlab.train.forward:"
_COURSE = "colorlab.methods.course."
RECORDS = {
    "cavc": Method("colorlab.papers.cavc:CAVC", _COURSE + "cavc:CourseCAVC", course_weights=True,
                   recipe="cavc", forward=_FORWARD + "see_cavc", confidence=_CONFIDENCE + "of_cavc"),
    "lstvc": Method("colorlab.papers.lstvc:LSTVC", _COURSE + "lstvc:CourseLSTVC", course_weights=True,
                    recipe="lstvc", forward=_FORWARD + "see_lstvc", confidence=_CONFIDENCE + "of_lstvc"),
    "colormnet": Method("colorlab.papers.colormnet:ColorMNet", _COURSE + "colormnet:CourseColorMNet",
                        course_weights=True, recipe="colormnet", forward=_FORWARD + "see_colormnet",
                        confidence=_CONFIDENCE + "of_colormnet"),
    "tcavc": Method("colorlab.papers.tcavc:TCAVC", _COURSE + "tcavc:CourseTCAVC", needs_reference=False,
                    course_weights=True, recipe="tcavc", forward=_FORWARD + "see_tcavc",
                    confidence=_CONFIDENCE + "of_tcavc"),
    "copy": Method("colorlab.methods.baselines:Copy", learns=False, confidence=_CONFIDENCE + "of_copy"),
    "flow": Method("colorlab.methods.baselines:Flow", learns=False, confidence=_CONFIDENCE + "of_flow"),
}
METHODS = tuple(RECORDS)
LEARNED = tuple(name for name, record in RECORDS.items() if record.learns)
PRESETS = ("paper", "course", "tiny")


def record(method: str) -> Method:
    """The record of a method. Raises InputError for an unknown name."""
    if method not in RECORDS:
        raise InputError(f"no method named {method!r}; there are {', '.join(METHODS)}")
    return RECORDS[method]


def record_of(model: nn.Module) -> Method | None:
    """The record of a built network, by its class's `method`; None for a network that belongs to no method
    here."""
    return RECORDS.get(getattr(model, "method", ""))


def imported(code: str) -> object:
    """Import and return the object that "module:name" refers to."""
    module, _, name = code.partition(":")
    return getattr(importlib.import_module(module), name)


def network_and_config(method: str, preset: str = "paper") -> tuple[type[nn.Module], type]:
    """The network class of a method's preset, and the class of its config."""
    said = record(method)
    network = said.course if preset == "course" and said.course else said.network
    return imported(network), imported(f"{network}Config")


def configure(method: str, preset: str = "paper", **changes: object) -> object:
    """The frozen config of a method's preset with some fields changed, as `dataclasses.replace` changes them.

    A change to a field that this preset does not have raises InputError, which lists the fields that exist.
    Fields that only the course network has may be switched off in any preset (None, 0 or False), since the
    paper's network lacks them anyway.
    """
    record(method)
    if preset not in PRESETS:
        raise InputError(f"no preset named {preset!r}; there are {', '.join(PRESETS)}")
    _, config_class = network_and_config(method, preset)
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    extras = {field.name
              for field in dataclasses.fields(network_and_config(method, "course")[1])} - set(fields)
    changes = {name: value for name, value in changes.items() if name not in extras or value}
    unknown = sorted(set(changes) - set(fields))
    if unknown:
        raise InputError(f"{method}, preset {preset}, has no setting {', '.join(unknown)}; it has "
                         f"{', '.join(fields)}")
    presets = [
        dataclasses.asdict(getattr(config_class, name)()) for name in PRESETS if hasattr(config_class, name)
    ]
    chosen = getattr(config_class, preset)()
    for name, value in changes.items():
        if wanted := _unfit(value, [known[name] for known in presets], fields[name].metadata.get("least", 1)):
            raise InputError(f"{name} of {method} is {getattr(chosen, name)!r} in preset {preset} and wants "
                             f"{wanted}, not {value!r}")
    return dataclasses.replace(chosen, **changes)


def _unfit(value: object, known: list, least: int = 1) -> str:
    """What a setting expects if this value is not acceptable, judged by the presets' values; "" if it is
    acceptable."""
    if isinstance(value, (list, tuple)) and any(isinstance(item, tuple) for item in known):
        inner = [part for item in known if isinstance(item, tuple) for part in item]
        return next((f"{wanted} in each place" for part in value if (wanted := _unfit(part, inner))),
                    "" if value else "at least one number")
    # if None has no meaning, the network raises its own error, as it does for other values
    if any(value is item for item in known) or value is None:
        return ""
    types = {type(item) for item in known if item is not None}
    if bool in types or isinstance(value, bool):
        return (
            ""
            if bool in types and isinstance(value, bool)
            else "true or false"
            if bool in types
            else "a number"
        )
    if types == {float} or types == {int, float}:
        return "" if isinstance(value, (int, float)) and value == value else "a number"
    if int in types:
        least = min(least, *(item for item in known if isinstance(item, int)))
        return "" if isinstance(value, int) and value >= least else f"a whole number from {least} up"
    return "" if not types or type(value) in types else f"a {types.pop().__name__}"


def load(method: str, preset: str = "paper", weights: str | Path = "none", seed: int = 0,
         **changes: object) -> nn.Module:
    """Build a method's network, in eval mode on the CPU; the caller moves it with `.to(device)`.

    method: one of METHODS. preset: "paper" (full size, as in the authors' code), "course" (small, for a
    laptop) or "tiny" (for tests). weights: "none" is the seeded initialisation; "imagenet" the same with
    backbones from ImageNet/DINOv2; "course" the trained weights that ship with the project; "released" the
    authors' checkpoint; or the PATH of a checkpoint, ours or theirs. changes: fields of the method's config.
    The same seed gives the same bits; the global random state is left alone. Raises InputError, in one line,
    for unknown names and for weights that are unavailable or do not fit.
    """
    import torch  # imported here so that the method names are available without it

    from colorlab.methods.weights import load_weights
    from colorlab.modules.fast.packed_conv import pack_convolutions

    network_class, _ = network_and_config(method, preset)
    config = configure(method, preset, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = network_class(config)
        except Exception as error:
            if not changes or isinstance(error, InputError):
                raise
            stated = ", ".join(f"{name}={value!r}" for name, value in changes.items())
            raise InputError(f"{method} cannot be built with {stated} "
                             f"({' '.join(str(error).split())[:120] or type(error).__name__})") from error
    pack_convolutions(model)
    load_weights(model, method, preset, weights)
    return model.eval()


def check_fits(path: Path, method: str, preset: str = "paper") -> None:
    """Raise InputError unless a checkpoint can be read safely and its names and shapes match this network.
    Allocates no weights."""
    import torch

    from colorlab.methods.weights import converted

    with torch.device("meta"):
        model = network_and_config(method, preset)[0](configure(method, preset))
    converted(path, method, model.state_dict())
