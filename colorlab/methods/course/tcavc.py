"""TCAVC at course size: which of the paper's stages are replaced, and why.

| stage of `papers.tcavc` | here |
|---|---|
| C_1, the reference colorization network | a decoder on frozen ImageNet features (`backbones.PretrainedColorizer`) |
| its ab | multiplied by `vividness` |
| S and C_2, LSTVC's network | the course's LSTVC |

An uncertain network averages the possible colours, and the course's, trained on 1,400 photographs, is
uncertain about most: on validation clips its pictures have half the ground truth's colourfulness, and with a
vividness of 1.7 about nine tenths of it, at a cost of 1.5 dB of PSNR.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from colorlab.methods.course.backbones import COLORIZERS
from colorlab.methods.course.lstvc import CourseLSTVC, CourseLSTVCConfig
from colorlab.modules.choosing import choose
from colorlab.papers.lstvc import LSTVCConfig
from colorlab.papers.tcavc.model import TCAVC, TCAVCConfig


@dataclass(frozen=True)
class CourseTCAVCConfig(TCAVCConfig):
    """The paper's fields and our additions."""

    colorizer: str = "imagenet"  # stage 1, one of `backbones.COLORIZERS`
    vividness: float = 1.7       # factor on the ab that stage 1 predicts
    stage2: LSTVCConfig = field(default_factory=CourseLSTVCConfig.course)

    @classmethod
    def course(cls) -> CourseTCAVCConfig:
        return cls()


class CourseTCAVC(TCAVC):
    """The paper's two stages: the first on frozen features, the second the course's LSTVC."""

    stage2 = CourseLSTVC
    config: CourseTCAVCConfig

    def build_reference(self) -> nn.Module:
        return choose(COLORIZERS, "colorizer", self.config.colorizer)()

    def stage1(self, l: Tensor) -> Tensor:
        return self.config.vividness * super().stage1(l)
