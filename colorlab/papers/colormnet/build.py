"""Which modules a config names, and how they start: the paper's network, its small sisters, and the parts of Table 2."""

from __future__ import annotations

from torch import nn

from . import backbones
from .carry import numbers
from .config import ColorMNetConfig
from .features import ConcatenatedScale, FrameEncoder, GuidedFusion, GuideOnlyScale, LocalOnly
from .propagation import MemoryPropagation, Recurrent
from .value_encoder import ValueEncoder

FEATURES = {"pvgfe": GuidedFusion, "resnet50": LocalOnly, "dinov2": GuideOnlyScale, "concatenation": ConcatenatedScale}
PROPAGATION = {"memory": MemoryPropagation, "stacking": MemoryPropagation, "recurrent": Recurrent}


# Where each source of features comes from; the guide's for the fields of the config and the stride of the CNN.
GUIDES = {"pretrained": lambda c: backbones.dinov2_guide(), "small": lambda c: backbones.small_guide(*c.guide, backbones.SmallCNN.stride),
          "imagenet": lambda c: backbones.PretrainedGuide(c.guide[0]),
          "random": lambda c: backbones.PretrainedGuide(c.guide[0], pretrained=False)}


def build_features(c: ColorMNetConfig) -> FrameEncoder:
    if c.features not in FEATURES or c.backbones not in GUIDES:
        raise ValueError(f"features is one of {', '.join(FEATURES)} and backbones one of {', '.join(GUIDES)}, "
                         f"got {c.features!r} and {c.backbones!r}")
    pretrained = c.backbones == "pretrained"
    stride = 16 if pretrained else backbones.SmallCNN.stride
    cnn = guide = None
    if c.features != "dinov2":
        cnn = backbones.ResNet50() if pretrained else backbones.SmallCNN(c.channels)
    if c.features != "resnet50":
        guide = GUIDES[c.backbones](c)
    return FrameEncoder(cnn, guide, FEATURES[c.features], c.channels, stride)


def build_value_encoder(c: ColorMNetConfig) -> ValueEncoder:
    cnn = backbones.ResNet18() if c.backbones == "pretrained" else backbones.SmallValueCNN(c.value_trunk)
    return ValueEncoder(cnn, c.channels[0], c.value, c.hidden)


def build_propagation(c: ColorMNetConfig, stride: int) -> MemoryPropagation | Recurrent:
    if c.propagation not in PROPAGATION:
        raise ValueError(f"propagation is one of {', '.join(PROPAGATION)}, got {c.propagation!r}")
    if c.propagation == "recurrent":
        return Recurrent(2 * c.value + (numbers(stride) if c.carry_chroma else 0), c.key)
    return MemoryPropagation(c.memory)


def initialise(network: nn.Module) -> None:
    """What does not start as PyTorch starts it; the two convolutions of the hidden state do so themselves."""
    nn.init.orthogonal_(network.key_heads.key.weight)
    nn.init.zeros_(network.key_heads.key.bias)
    if network.carry is not None:  # nothing is added to the carried chroma yet
        nn.init.zeros_(network.decoder.predict.weight)
        nn.init.zeros_(network.decoder.predict.bias)
