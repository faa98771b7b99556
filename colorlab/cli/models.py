"""The network that a command uses."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from colorlab.cli.terminal import pick_device
from colorlab.methods import load, record

if TYPE_CHECKING:  # so that --help loads no library
    from torch import nn

DEFAULT_WEIGHTS = {"paper": "released", "course": "course", "tiny": "none"}


class Models:
    """The command's network, loaded when the first film needs it."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.device, self.model = args, pick_device(args.device), None

    def get(self) -> nn.Module:
        if self.model is None:
            self.model = load(self.args.method, self.args.preset, weights_of(self.args))
        return self.model


def weights_of(args: argparse.Namespace) -> str:
    """The requested weights, or the preset's default."""
    if args.weights:
        return args.weights
    return DEFAULT_WEIGHTS[args.preset] if record(args.method).course_weights else "none"
