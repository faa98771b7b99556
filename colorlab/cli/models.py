"""The network that a command asks for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from colorlab.cli.terminal import pick_device
from colorlab.methods import load, record

if TYPE_CHECKING:  # --help waits for no library
    from torch import nn

DEFAULT_WEIGHTS = {"paper": "released", "course": "course", "tiny": "none"}


class Models:
    """The network of the command, loaded when the first film needs it."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.device, self.model = args, pick_device(args.device), None

    def get(self) -> nn.Module:
        if self.model is None:
            self.model = load(self.args.method, self.args.preset, weights_of(self.args))
        return self.model


def weights_of(args: argparse.Namespace) -> str:
    """The weights asked for, or those that belong to the preset."""
    if args.weights:
        return args.weights
    return DEFAULT_WEIGHTS[args.preset] if record(args.method).course_weights else "none"
