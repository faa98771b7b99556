"""What each network is shown of a window of film in training, and what it answers.

The first frame is the reference, in its own colours, and the rest are to be coloured, with gradients through linkage and memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from colorlab.color import rgb_to_lab, split_lab


class Prediction(NamedTuple):
    """Colours for frames `first`, first + 1, ... of a window, beside the truth."""

    ab: Tensor                 # (B, T, 2, H, W)
    truth: Tensor              # (B, T, 3, H, W) Lab
    first: int                 # index in the window of the first of these frames
    rgb: Tensor | None = None  # (B, T, 3, H, W) in [-1, 1], where the network paints that


class Pass(nn.Module):
    """A network and how it is shown a window, as one module: what several processes have to keep in step is inside."""

    def __init__(self, network: nn.Module, method: str, lightness_noise: float = 0.0):
        super().__init__()
        self.network = network
        self.see, self.lightness_noise = _SEE[method], lightness_noise

    def forward(self, lab: Tensor, draw: int) -> dict[str, Prediction]:
        """lab: (B, T, 3, H, W). draw: seeds what the whole batch has in common by chance. Returns predictions by name."""
        return self.see(self, lab, draw)


def see_lstvc(train: Pass, lab: Tensor, draw: int) -> dict[str, Prediction]:
    """Blocks in turn, linked; the reference is the first frame itself."""
    ab = train.network(lab[:, :, :1], [(0, lab[:, 0])])
    return {"colors": Prediction(ab[:, 1:], lab[:, 1:], 1)}


def see_colormnet(train: Pass, lab: Tensor, draw: int) -> dict[str, Prediction]:
    """Predictions are remembered and read again; which frames are read is drawn once for the batch."""
    ab = train.network(lab[:, :, :1], [(0, lab[:, 0])], torch.Generator().manual_seed(draw))
    return {"colors": Prediction(ab[:, 1:], lab[:, 1:], 1)}


def see_tcavc(train: Pass, lab: Tensor, draw: int) -> dict[str, Prediction]:
    """Stage 1 paints every frame from lightness alone; stage 2 is given the true first frame (§4), as a picture, as in use."""
    network, l = train.network, lab[:, :, :1]
    noisy = l + train.lightness_noise * torch.randn_like(l) if train.lightness_noise else l
    painted = network.reference.paint(noisy.flatten(0, 1)).unflatten(0, lab.shape[:2])
    found = {"reference": Prediction(painted, lab, 0)}
    if network.propagation is not None:
        found["colors"] = Prediction(network(l, lab[:, 0])[:, 1:], lab[:, 1:], 1)
    return found


def see_cavc(train: Pass, lab: Tensor, draw: int) -> dict[str, Prediction]:
    """Frames by themselves, painted in RGB by what is known of the first."""
    rgb = train.network.paint(lab[:, 1:, :1], train.network.start(lab[:, 0]))
    return {"colors": Prediction(split_lab(rgb_to_lab((rgb + 1) / 2))[1], lab[:, 1:], 1, rgb)}


_SEE: dict[str, Callable[[Pass, Tensor, int], dict[str, Prediction]]] = {
    "lstvc": see_lstvc, "colormnet": see_colormnet, "tcavc": see_tcavc, "cavc": see_cavc}
