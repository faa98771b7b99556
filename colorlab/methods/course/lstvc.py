"""LSTVC at course size: which of the paper's stages are replaced, and why.

| stage of `papers.lstvc` | here |
|---|---|
| backbone (ResNet-101 of ImageNet) | a small trained ResNet plus frozen EfficientNet-Lite0 features |
| references | the frame coloured last joins them, as in TCAVC's Eq. 4 it guides the next one (`rolling`) |
| Eq. 1 to 3 | the same, with a learned preference for references over that frame |
| Eq. 5, the output | the warped colour scaled by the subnet's trust in it, plus the subnet's correction (`Corrected`) |

A reference enters the backbone as its lightness, so that features do not depend on colour. The heads carry
over each cell's mean colour, not that of the top left of its sixteen pixels, and linear functions of
lightness (`color_lines`) to reconstruct it at full size. Matching is precise to a cell; lightness refines the
place, and the colour is read there at full size (`registration`), so that it does not blur however often it
is propagated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.methods.course.backbones import RESNETS, PretrainedBackbone
from colorlab.methods.course.corrected_warp import Corrected
from colorlab.modules.choosing import choose
from colorlab.modules.sources import Source
from colorlab.papers.lstvc.cnn_transformer import HighFeatures
from colorlab.papers.lstvc.correspondence import Warp
from colorlab.papers.lstvc.model import LSTVC, LSTVCConfig, Seen, padded
from colorlab.papers.lstvc.state import EncodedReference, LSTVCState

# initial similarity penalty of the previous frame against a reference: 3 τ
PREFERENCE = -0.03


@dataclass(frozen=True)
class CourseLSTVCConfig(LSTVCConfig):
    """The paper's fields and our additions."""

    backbone: str = "imagenet"  # one of `backbones.RESNETS`
    rolling: bool = True  # the frame coloured before is matched like a reference
    register: int | None = 3    # refinement steps of a matched place (`registration`); None: cells only

    @classmethod
    def course(cls) -> CourseLSTVCConfig:
        """Small enough for a laptop's CPU; untrained, it already outputs the warped colour."""
        return cls(encoder_blocks=2, channels=96, width=96, heads=4, linkage_heads=4, inner=192,
                   match_channels=64, residual_blocks=1, color_width=12, dropout=0.0,
                   backbone_blocks=(1, 1, 2), backbone_taps=(1, 1, 1), backbone_width=6,
                   backbone_frozen=False, block_size=2)


class Colored(NamedTuple):
    """The last frame of a block, kept if the next block uses it as a reference."""

    lab: Tensor         # (B, 3, H, W), without gradient
    color: Tensor       # (B, 18, H/4, W/4) what the warp carries over of it
    high: HighFeatures  # and `low`: its features, computed when it was coloured, at the padded size
    low: Tensor

    def detach(self) -> Colored:
        high = HighFeatures(*(part.detach() for part in self.high))
        return Colored(self.lab.detach(), self.color.detach(), high, self.low.detach())


@dataclass(frozen=True)
class CourseLSTVCState(LSTVCState):
    last: Colored | None = None  # the frame before, if it serves as a reference

    def detach(self) -> CourseLSTVCState:
        return replace(super().detach(), last=None if self.last is None else self.last.detach())


class CourseLSTVC(LSTVC):
    """The paper's network with a frozen feature extractor, a rolling reference and a corrected warp."""

    State = CourseLSTVCState
    config: CourseLSTVCConfig

    def __init__(self, config: CourseLSTVCConfig = CourseLSTVCConfig.course()):
        super().__init__(config)
        self.heads.preference = nn.Parameter(torch.full((len(self.heads.names),), PREFERENCE))

    def build_backbone(self) -> nn.Module:
        return choose(RESNETS, "backbone", self.config.backbone)(super().build_backbone())

    def build_output(self) -> Corrected:
        return Corrected(self.config.register)

    def initialise(self) -> None:
        """The correction starts at zero, and the warp, which must work untrained, as a comparison of like
        with like: one projection for both sides, no positions, colour as its mean."""
        super().initialise()
        self.heads.phi.load_state_dict(self.heads.theta.state_dict())
        for layer in (self.colorization.up.to_ab, self.heads.position):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            resnet = self.backbone.small if isinstance(self.backbone, PretrainedBackbone) else self.backbone
            resnet.conv1.weight.copy_(resnet.conv1.weight.mean(1, keepdim=True).expand(-1, 3, -1, -1))

    def references(self, state: CourseLSTVCState, count: int) -> list[EncodedReference]:
        """The references in use, followed by the frame before."""
        if state.last is None:
            return super().references(state, count)
        lab, color, high, low = state.last
        last = EncodedReference(padded(lab), high, low, color, self.source(padded(lab)))
        return [*super().references(state, count), last]

    def sources(self, state: CourseLSTVCState, count: int) -> list[Source]:
        last = [] if state.last is None else [Source("last frame {frame}", "frame", state.frame - 1)]
        return super().sources(state, count) + last

    def compared(self, features: Tensor, references: int, state: CourseLSTVCState) -> tuple[Tensor, Tensor]:
        """If the frame before is matched too, one extra channel adds `preference` to the similarity."""
        query, key = super().compared(features, references, state)
        if state.last is None:
            return query, key
        cells = features.shape[-2] * features.shape[-1]
        offset = self.heads.preference.to(key)[:, None].expand(-1, cells)
        offset = F.pad(offset, (key.shape[2] - cells, 0)).expand(len(key), -1, -1)  # (B, heads, R * h * w)
        return F.pad(query, (0, 1), value=1.0), torch.cat((key, offset.unsqueeze(-1)), dim=-1)

    def matched(self, features: Tensor, references: EncodedReference, state: CourseLSTVCState) -> Warp:
        if state.last is None:
            return super().matched(features, references, state)
        values = self.output.values(references)                                      # (B, R, V, H/4, W/4)
        return self.heads.warp(*self.compared(features, values.shape[1], state), values)

    def after(self, state: CourseLSTVCState, l: Tensor, ab: Tensor, warp: Warp, seen: Seen,
              tokens: Tensor | None) -> CourseLSTVCState:
        state = super().after(state, l, ab, warp, seen, tokens)
        return (
            replace(state, last=self._colored(l[:, -1], ab[:, -1], warp, seen))
            if self.config.rolling
            else state
        )

    def _colored(self, l: Tensor, ab: Tensor, warp: Warp, seen: Seen) -> Colored:
        """A block's last frame, l (B, 1, H, W) and ab (B, 2, H, W), as a reference for the next block."""
        color = self.output.handed_on(padded(l) / 50 - 1, padded(ab) / 128, warp)
        high = HighFeatures(*(part[:, -1] for part in seen.high))
        return Colored(torch.cat((l, ab), dim=1).detach(), color, high, seen.low[:, -1])
