"""VGG-19 up to relu5_2, for the perceptual losses (LSTVC Eq. 9, TCAVC Eq. 5).

Both papers, like Deep Exemplar before them, use the weights of the original Caffe network, which expects BGR
minus a mean, times 255. torchvision's weights expect RGB normalised by ImageNet's mean and deviation. `load`
distinguishes the two kinds of file by their tensor names and sets `preparation` accordingly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.color import lab_to_rgb
from colorlab.files.errors import InputError

# number, channels, convolutions; pooled in between
BLOCKS = ((1, 64, 2), (2, 128, 2), (3, 256, 4), (4, 512, 4), (5, 512, 2))
LAYERS = tuple(f"relu{block}_{k + 1}" for block, _, count in BLOCKS for k in range(count))
# where torchvision's `features` has these convolutions
TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30)
FILE = "vgg19-dcbb9e9d.pth"                        # torchvision's, where torch keeps downloads
CAFFE_MEAN = (0.40760392, 0.45795686, 0.48501961)  # B, G, R in [0, 1]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def caffe_input(lab: Tensor) -> Tensor:
    """Lab (B, 3, H, W), L in [0, 100] -> input of Caffe's VGG: BGR minus its mean, times 255."""
    bgr = lab_to_rgb(lab).flip(-3).unbind(-3)
    # Python numbers, not a tensor: no copy to the device
    return torch.stack([255 * (channel - mean) for channel, mean in zip(bgr, CAFFE_MEAN)], dim=-3)


def imagenet_input(lab: Tensor) -> Tensor:
    """Lab (B, 3, H, W), L in [0, 100] -> what torchvision's VGG takes."""
    rgb = lab_to_rgb(lab).unbind(-3)
    return torch.stack([(channel - mean) / std
                        for channel, mean, std in zip(rgb, IMAGENET_MEAN, IMAGENET_STD)], dim=-3)


class VGG19(nn.Module):
    """Feature maps of a Lab picture. Frozen; built with seeded random weights, `trained` is False until
    `load` has succeeded."""

    def __init__(self, seed: int = 0):
        super().__init__()
        inputs, convs = 3, {}
        for block, channels, count in BLOCKS:
            for k in range(count):
                convs[f"conv{block}_{k + 1}"] = nn.Conv2d(inputs, channels, 3, padding=1)
                inputs = channels
        self.convs = nn.ModuleDict(convs)
        self.preparation, self.trained = imagenet_input, False
        generator = torch.Generator().manual_seed(seed)
        for conv in convs.values():  # He et al.: keeps the scale of activations
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(conv.bias)
        self.eval().requires_grad_(False)

    def forward(self, lab: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """lab: (B, 3, H, W) with L in [0, 100]; layers: of LAYERS. Returns {layer: (B, C, h, w)}."""
        x, found = self.preparation(lab), {}
        for name in LAYERS:
            if name.endswith("_1") and name != "relu1_1":
                x = F.max_pool2d(x, 2)
            x = F.relu(self.convs[name.replace("relu", "conv")](x))
            if name in layers:
                found[name] = x
            if len(found) == len(set(layers)):
                return found
        raise ValueError(f"VGG-19 here has {', '.join(LAYERS)}, not {', '.join(set(layers) - set(found))}")

    def load(self, path: str | Path) -> VGG19:
        """Take trained weights from a file: torchvision's VGG-19 or a port of Caffe's. Raises InputError for
        anything else."""
        from colorlab.files.checkpoints import read_state  # its loader reads files safely

        state = read_state(Path(path))
        caffe = "conv1_1.weight" in state
        names = {name: name if caffe else f"features.{index}" for name, index in zip(self.convs, TORCHVISION)}
        self._fill(state, names, path)
        self.preparation, self.trained = (caffe_input if caffe else imagenet_input), True
        return self

    def _fill(self, state: Mapping[str, Tensor], names: Mapping[str, str], path: str | Path) -> None:
        try:
            self.convs.load_state_dict({
                f"{ours}.{part}": state[f"{theirs}.{part}"]
                for ours, theirs in names.items()
                for part in ("weight", "bias")
            })
        except (KeyError, RuntimeError) as error:
            raise InputError(f"{path} does not hold VGG-19: {' '.join(str(error).split())[:120]}") from error


def trained_vgg(path: str | Path | None = None) -> VGG19:
    """VGG-19 with trained weights, from `path` or torch's download cache. The InputError says what to get."""
    found = Path(path) if path else Path(torch.hub.get_dir(), "checkpoints", FILE)
    if not found.is_file():
        raise InputError("the perceptual loss needs VGG-19: get "
                         f"https://download.pytorch.org/models/{FILE} (548 MB) and put it at {found}, or "
                         "train without it (--set weights.perceptual=0)")
    return VGG19().load(found)
