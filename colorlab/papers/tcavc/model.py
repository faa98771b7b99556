"""Temporal Consistent Automatic Video Colorization via Semantic Correspondence.

Yu Zhang, Siqi Chen, Mingdao Wang, Xianlin Zhang, Chuang Zhu, Yue Zhang, Xueming Li; CVPR Workshops (NTIRE)
2023, arXiv 2305.07904.

A film without a reference: the first frame is coloured from its lightness alone (`reference`, stage 1), and
that picture becomes the reference of an exemplar-based network (stage 2), so that frames far apart still
agree.

| paper | here |
|---|---|
| C_1 (Eq. 3), reference colorization network | `ReferenceColorizer`, `TCAVC.reference` |
| I_ref^lab | the picture that `TCAVC.paint` returns |
| S, C_2 (Eq. 4), semantic correspondence and image colorization networks | `TCAVC.propagation`: LSTVC's network, as §4 says |
| Table 2, "semantic correspondence" | `semantic_correspondence` |
| Table 3, ways to get a reference | `painter`, or a picture given to `start` |

**Departures.** Where text and released code differ, this is the released code, so that its weights fit.

- Eq. 4 gives C_2 the frame coloured before; the released second stage takes none: only LSTVC's linkage state
  connects blocks. `preceding_frame=True` builds what the equation says (exactly so with `block_size=1`:
  frames of one block are coloured together, and all of them are given the last frame of the previous block).
- Stage 1 has eight input channels where the text has one: see `ReferenceColorizer`.
- The first frame is coloured again in stage 2 ("the remaining frames" in the text).
- The released pipeline writes the reference to an 8-bit PNG and reads it back; so does `paint`, unless
  `eight_bit_reference=False`.
- The released script paints at 216 x 384 and joins with the L of 480 x 848. Here stage 1 sees the first frame
  at the size that `step` is given; `reference.paint_at` does what the script does.
- The text's "group convolutions" are the three strided depthwise ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from colorlab.color import join_lab
from colorlab.files.errors import InputError
from colorlab.modules.frames import as_clip
from colorlab.modules.references import References, parse_references
from colorlab.modules.sources import Attention, Source, own_pixel
from colorlab.papers.lstvc import LSTVC, LSTVCConfig
from colorlab.papers.lstvc.state import LSTVCState

from colorlab.papers.tcavc.reference import Painter, ReferenceColorizer, through_8_bits


@dataclass(frozen=True)
class TCAVCConfig:
    """Defaults: the released networks."""

    block_size: int = 3                   # N: frames coloured together
    temperature: float = 0.01             # τ of the warp; the released script: 1e-10
    semantic_correspondence: bool = True  # False: each frame coloured by stage 1, on its own
    # the reference passes through 8-bit RGB, as through the released script's PNG
    eight_bit_reference: bool = True
    preceding_frame: bool = False         # as in Eq. 4, unlike the released code
    color_width: int = 64                 # of stage 1's first layers; eight times as many in its middle
    # its block_size, temperature, preceding_frame are taken from above
    stage2: LSTVCConfig = field(default_factory=LSTVCConfig)

    @classmethod
    def paper(cls) -> TCAVCConfig:
        return cls()

    @classmethod
    def tiny(cls) -> TCAVCConfig:
        return cls(color_width=4, stage2=LSTVCConfig.tiny())


@dataclass(frozen=True)
class TCAVCState:
    """Stage 2's state, once there is a reference. Immutable."""

    frame: int = 0  # index of the next frame
    # None before the first frame of a film that paints its own reference
    propagated: LSTVCState | None = None


class TCAVC(nn.Module):
    """Colour a film without a reference: its first frame from lightness, the rest by correspondence with
    it."""

    method = "tcavc"
    stage2 = LSTVC  # the network of stage 2, built from a config

    def __init__(self, config: TCAVCConfig = TCAVCConfig(), painter: Painter | None = None):
        """painter: what makes the reference in stage 1's place: L (B, 1, H, W) -> Lab (B, 3, H, W)."""
        super().__init__()
        self.config = config
        self.painter = painter
        self.reference = self.build_reference()
        self.propagation = self.stage2(_stage2(config)) if config.semantic_correspondence else None

    def build_reference(self) -> nn.Module:
        return ReferenceColorizer(self.config.color_width)

    @property
    def frames_per_step(self) -> int:
        return self.config.block_size

    @property
    def matches(self) -> bool:
        return self.propagation is not None

    def start(self, references: References = None) -> TCAVCState:
        """None: the first frame seen is painted and becomes the reference. Or references, as for lstvc: then
        stage 1 is not used."""
        parsed = parse_references(references)
        if not parsed:
            return TCAVCState()
        if self.propagation is None:
            raise InputError(
                "tcavc without semantic correspondence has no use for a reference: start it with "
                "None, or set semantic_correspondence=True")
        return TCAVCState(propagated=self.propagation.start(references))

    def step(self, l: Tensor, state: TCAVCState) -> tuple[Tensor, TCAVCState]:
        """Colour one block. l: (B, T, 1, H, W) or (B, 1, H, W), L in [0, 100]. Returns ab, the same with 2
        channels, and the next state."""
        clip, _ = as_clip(l)
        if self.propagation is None:
            ab = self.stage1(clip.flatten(0, 1)).view(*l.shape[:-3], 2, *l.shape[-2:])
            return ab, TCAVCState(state.frame + clip.shape[1])
        state = self.with_reference(clip, state)
        ab, propagated = self.propagation.step(l, state.propagated)
        return ab, TCAVCState(propagated.frame, propagated)

    def forward(self, l: Tensor, references: References = None) -> Tensor:
        """A whole clip with gradients, for training: l (B, T, 1, H, W). Returns ab (B, T, 2, H, W).

        The stages are trained apart, as §4 says: no gradient reaches stage 1 through the reference it
        painted. To train stage 1, use `self.reference.paint`.
        """
        state, blocks = self.start(references), []
        for block in l.split(self.config.block_size, dim=1):
            ab, state = self.step(block, state)
            blocks.append(ab)
        return torch.cat(blocks, dim=1)

    def stage1(self, l: Tensor) -> Tensor:
        """The first stage's own colours: l (B, 1, H, W) -> ab (B, 2, H, W)."""
        return self.reference.paint(l)

    @torch.no_grad()
    def paint(self, l: Tensor) -> Tensor:
        """The reference for a film that begins with l (B, 1, H, W): Lab (B, 3, H, W), by the painter or else
        by stage 1."""
        painted = self.painter(l) if self.painter else join_lab(l, self.stage1(l))
        if not torch.is_tensor(painted) or painted.shape != (len(l), 3, *l.shape[-2:]):
            got = tuple(painted.shape) if torch.is_tensor(painted) else type(painted).__name__
            raise InputError(
                f"the painter returned {got}: it must return Lab {(len(l), 3, *l.shape[-2:])}, as "
                "large as the frame")
        return through_8_bits(painted) if self.config.eight_bit_reference else painted

    def attention(self, l: Tensor, state: TCAVCState, at: tuple[int, int]) -> dict[Source, Tensor]:
        """As `LSTVC.attention`; l: (1, 1, H, W). Without correspondence all colour comes from the pixel's own
        surroundings, and the only map, "this frame", points there."""
        return self.attention_of(l, state)(at)

    def attention_of(self, l: Tensor, state: TCAVCState) -> Attention:
        """`attention` for any pixel of one frame; shared work is done once."""
        clip, _ = as_clip(l)
        if self.propagation is None:
            return lambda at: {Source("this frame", "itself"): own_pixel(clip, at)}
        return self.propagation.attention_of(l, self.with_reference(clip, state).propagated)

    def load_backbones(self) -> None:
        """ImageNet weights for stage 2's ResNet-101."""
        if self.propagation is None:
            raise InputError("tcavc without semantic correspondence has no backbone to load; use "
                             "weights='none'")
        self.propagation.load_backbones()

    def with_reference(self, l: Tensor, state: TCAVCState) -> TCAVCState:
        """The state with a reference: painted from the first frame of l (B, T, 1, H, W) where none was
        given."""
        if state.propagated is not None:
            return state
        propagated = self.propagation.start(self.paint(l[:, 0]))
        return TCAVCState(state.frame, replace(propagated, frame=state.frame))


def _stage2(config: TCAVCConfig) -> LSTVCConfig:
    return replace(config.stage2, block_size=config.block_size, temperature=config.temperature,
                   preceding_frame=config.preceding_frame)
