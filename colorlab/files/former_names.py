"""Modules that were moved stay importable under their former names, which other people's notebooks and
scripts use.

`import colorlab.data` returns the module `colorlab.clips` itself. Nothing in the package uses a former name.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# former name, below `colorlab` -> where it is; what lies below a former name is found below the new one
MOVED = {
    "ablations": "experiments.ablations",
    "baselines": "methods.baselines",
    "coloring": "film.colorize",
    "compare": "experiments.compare",
    "confidence": "film.confidence",
    "data": "clips",
    "datasets": "clips.datasets",
    "doctor": "teaching.doctor",
    "errors": "files.errors",
    "exercises": "teaching.exercises",
    "explore": "teaching.explore",
    "film_cost": "experiments.film_cost",
    "flow": "modules.flow",
    "guidance": "film.references",
    "labs": "teaching.labs",
    "losses": "train.losses",
    "plots": "teaching.plots",
    "restoring": "film.job",
    "scenes": "film.cuts",
    "sheets": "film.contact_sheets",
    "video": "files.video",
    "weights": "methods.weights",
    "modules.streamed_correlation": "modules.fast.streamed_correlation",
    "modules.color_lines": "methods.course.color_lines",
    "modules.registration": "methods.course.registration",
}


class FormerNames(MetaPathFinder, Loader):
    """Finds `colorlab.FORMER...` by importing what it has become."""

    def find_spec(self, name: str, path: object = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, rest = name.partition(".")
        for former, now in MOVED.items():
            if package == "colorlab" and (rest == former or rest.startswith(f"{former}.")):
                return ModuleSpec(name, self, origin=f"colorlab.{now}{rest[len(former):]}")
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(spec.origin)
        spec.loader_state = module.__spec__  # Python is about to replace it by the former name's
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has already run under its own name; restore its own spec."""
        module.__spec__ = module.__spec__.loader_state


# before the path finder, which would find and load files below a former package a second time
sys.meta_path.insert(0, FormerNames())
