"""Build the modules that a config names, and initialise them: the paper's network, its small variants, and
Table 2's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from colorlab.papers.colormnet import backbones
from colorlab.papers.colormnet.config import ColorMNetConfig
from colorlab.papers.colormnet.features import (
    ConcatenatedScale,
    FrameEncoder,
    GuidedFusion,
    GuideOnlyScale,
    LocalOnly,
)
from colorlab.papers.colormnet.propagation import MemoryPropagation, Recurrent
from colorlab.papers.colormnet.value_encoder import ValueEncoder

FEATURES = {
    "pvgfe": GuidedFusion, "resnet50": LocalOnly, "dinov2": GuideOnlyScale, "concatenation": ConcatenatedScale
}
PROPAGATION = {"memory": MemoryPropagation, "stacking": MemoryPropagation, "recurrent": Recurrent}
# The guide by the config's `backbones`; for the fields of the config and the stride of the CNN.
GUIDES = {"pretrained": lambda c: backbones.dinov2_guide(),
          "small": lambda c: backbones.small_guide(*c.guide, backbones.SmallCNN.stride)}


def build_features(
    c: ColorMNetConfig, guides: Mapping[str, Callable[[ColorMNetConfig], nn.Module]] = GUIDES
) -> FrameEncoder:
    if c.features not in FEATURES or c.backbones not in guides:
        raise ValueError(f"features is one of {', '.join(FEATURES)} and backbones one of "
                         f"{', '.join(guides)}, got {c.features!r} and {c.backbones!r}")
    pretrained = c.backbones == "pretrained"
    stride = 16 if pretrained else backbones.SmallCNN.stride
    cnn = guide = None
    if c.features != "dinov2":
        cnn = backbones.ResNet50() if pretrained else backbones.SmallCNN(c.channels)
    if c.features != "resnet50":
        guide = guides[c.backbones](c)
    return FrameEncoder(cnn, guide, FEATURES[c.features], c.channels, stride)


def build_value_encoder(c: ColorMNetConfig) -> ValueEncoder:
    cnn = backbones.ResNet18() if c.backbones == "pretrained" else backbones.SmallValueCNN(c.value_trunk)
    return ValueEncoder(cnn, c.channels[0], c.value, c.hidden)


def build_propagation(c: ColorMNetConfig, beside: int = 0) -> MemoryPropagation | Recurrent:
    """beside: how many numbers are remembered per cell beside its values."""
    if c.propagation not in PROPAGATION:
        raise ValueError(f"propagation is one of {', '.join(PROPAGATION)}, got {c.propagation!r}")
    if c.propagation == "recurrent":
        return Recurrent(2 * c.value + beside, c.key)
    return MemoryPropagation(c.memory)


def initialise(network: nn.Module) -> None:
    """Apply the initialisations that differ from PyTorch's; the two hidden-state convolutions initialise
    themselves."""
    nn.init.orthogonal_(network.key_heads.key.weight)
    nn.init.zeros_(network.key_heads.key.bias)
