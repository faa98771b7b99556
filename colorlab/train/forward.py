"""How each network is run on a training window, and what it predicts.

The first frame is the reference, in its own colours, and the rest are coloured, with gradients through
linkage and memory.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from colorlab.color import rgb_to_lab, split_lab
from colorlab.methods import imported, record


class Prediction(NamedTuple):
    """Colours for frames `first`, first + 1, ... of a window, beside the truth."""

    ab: Tensor                 # (B, T, 2, H, W)
    truth: Tensor              # (B, T, 3, H, W) Lab
    first: int                 # index in the window of the first of these frames
    rgb: Tensor | None = None  # (B, T, 3, H, W) in [-1, 1], if the network paints RGB
    matched: Tensor | None = None  # (B, t <= T, heads, 2, H/4, W/4) ab that matching alone carried over


class TrainingPass(nn.Module):
    """A network and its training forward pass as one module, so that distributed training synchronises all of
    it."""

    def __init__(self, network: nn.Module, method: str, lightness_noise: float = 0.0):
        super().__init__()
        self.network = network
        self.see, self.lightness_noise = imported(record(method).forward), lightness_noise

    def forward(self, lab: Tensor, loose: Tensor | None, draw: int) -> dict[str, Prediction]:
        """lab: (B, T, 3, H, W); loose: references (B, 3, H, W), or None where the first frame is the
        reference. draw: seeds the random choices shared by the whole batch. Returns predictions by name."""
        return self.see(self, lab, loose, draw)


def see_clip(train: TrainingPass, lab: Tensor, loose: Tensor | None, draw: int) -> dict[str, Prediction]:
    """Any network whose `forward` colours a clip: l (B, T, 1, H, W) and references -> ab (B, T, 2, H, W)."""
    ab, first = train.network(lab[:, :, :1], _references(lab, loose)), int(loose is None)
    return {"colors": Prediction(ab[:, first:], lab[:, first:], first)}


def see_lstvc(train: TrainingPass, lab: Tensor, loose: Tensor | None, draw: int) -> dict[str, Prediction]:
    """Blocks in turn, linked; the reference is the first frame itself, or a loose one."""
    network, T = train.network, lab.shape[1]
    state, looks = network.start(_references(lab, loose)), []
    for block in lab[:, :, :1].split(network.config.block_size, dim=1):
        look, state = network.look(block, state)
        looks.append(look)
    first = int(loose is None)
    # later blocks also match with coloured frames
    ab, matched = torch.cat([look.ab for look in looks], dim=1), looks[0].warped
    return {"colors": Prediction(ab[:, first:], lab[:, first:], first, matched=matched[:, first:T])}


def see_colormnet(train: TrainingPass, lab: Tensor, loose: Tensor | None, draw: int) -> dict[str, Prediction]:
    """Predictions are stored in memory and read again; which frames are read is drawn once per batch."""
    ab = train.network(lab[:, :, :1], _references(lab, loose), torch.Generator().manual_seed(draw))
    first = int(loose is None)
    return {"colors": Prediction(ab[:, first:], lab[:, first:], first)}


def see_tcavc(train: TrainingPass, lab: Tensor, loose: Tensor | None, draw: int) -> dict[str, Prediction]:
    """Stage 1 paints every frame from lightness alone; stage 2 is given the true first frame (§4) as a
    picture, as at inference."""
    network, l = train.network, lab[:, :, :1]
    noisy = l + train.lightness_noise * torch.randn_like(l) if train.lightness_noise else l
    painted = network.reference.paint(noisy.flatten(0, 1)).unflatten(0, lab.shape[:2])
    found = {"reference": Prediction(painted, lab, 0)}
    if network.propagation is not None:
        found["colors"] = Prediction(network(l, lab[:, 0])[:, 1:], lab[:, 1:], 1)
    return found


def see_cavc(train: TrainingPass, lab: Tensor, loose: Tensor | None, draw: int) -> dict[str, Prediction]:
    """Independent frames, painted in RGB from the first frame or a loose reference."""
    first = int(loose is None)
    rgb = train.network.paint(lab[:, first:, :1], train.network.start(lab[:, 0] if loose is None else loose))
    return {"colors": Prediction(split_lab(rgb_to_lab((rgb + 1) / 2))[1], lab[:, first:], first, rgb)}


def _references(lab: Tensor, loose: Tensor | None) -> Tensor | list[tuple[int, Tensor]]:
    return [(0, lab[:, 0])] if loose is None else loose

