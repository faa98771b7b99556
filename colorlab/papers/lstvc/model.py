"""Exemplar-based Video Colorization with Long-term Spatiotemporal Dependency.

Siqi Chen, Xueming Li, Xianlin Zhang, Mingdao Wang, Yu Zhang, Jiatong Han, Yue Zhang; Knowledge-Based Systems
2024, arXiv 2303.15081.

A film is coloured N frames at a time. Features of the reference and of the block's grey frames are exchanged
between convolutions and a transformer (`cnn_transformer`), two heads warp colour from the reference to each
frame (`correspondence`), a second network paints guided by that (`colorization`), and the block's transformer
tokens are passed on to the next block (`linkage`).

| paper | here | shape |
|---|---|---|
| N | `block_size`, T for a given block | |
| B_t^l | `l` | (B, T, 1, H, W) |
| y^lab | a reference | (B, 3, H, W) |
| R_low, R_high | `Fusion.low`, `HighFeatures` | (.., 256, H/4, W/4), (.., 2048, H/8, W/8) |
| hi_t, ho_t | tokens into and out of `CNNTransformer` | (B, n * H/8 * W/8, 384), n = R + T |
| R'_high, R' | `Encoded.cnn`, what `Fusion` returns | (.., 512, H/8, W/8), (.., 512, H/4, W/4) |
| W_k^ab, S_k | `Warp.ab`, `Warp.similarity`, k = vanilla, augmented | (B, T, 2, 2, H/4, W/4), (B, T, 2, H/4, W/4) |
| i_t | `LSTVCState.linkage` | (B, M, 384), M = tokens of the first block |
| τ (Eq. 2) | `temperature` | |

**Departures.** Where the text and the released network differ, this is the released network, because its
weights are available and only it has the 148.21 M parameters that the paper states.

- τ has no value in the paper, but §4 lists an unused γ = 0.01: we read γ as τ. It is also the released code's
  default. The released *inference script* passes 1e-10 instead, a hard nearest neighbour: `temperature=1e-10`
  reproduces it.
- Four CNN-Transformer blocks (text: 3); 8 heads, 4 in the linkage (text: 6 and 4); a learned and a zero key in
  all attention (text: none).
- The reference enters in colour (text: treated as a grey frame). No ImageNet mean is subtracted.
- The heads are halves of one feature map, the augmented one 0.8 of R'_high (text: two 1x1 convolutions and a
  sum; §4 lists α = 0.75, for which it names no use). It alone gets positions: added to the frames' features,
  subtracted from the reference's.
- The colorization subnet takes L, W_1, W_2, S_1, S_2; the reference is one more frame beside the block's (Eq.
  5: concatenated).
- The linkage is two full transformer layers (Eq. 6, 7: attention and a sum).
- `tokens` leave the encoder detached: it learns through its convolutions. The linkage's own layers do learn
  through the state.
- N = 3 is the paper's best on DAVIS and the released script's. Counted here, at 216 x 384, a frame takes 1009
  GFLOP at N = 1, 861 at 2, 827 at 3, 822 at 4, 828 at 5, 840 at 6 (`tests/bench/bench_lstvc.py --work`):
  beyond 3 a larger block only costs memory.
- The transformers begin with VisTR's weights (§4). `colorlab train --initial FILE` reads VisTR's checkpoint
  (`initial.py`); it was not available here, so none of our networks started from it, and the assignment of
  its layers is our reading.

Our additions: features of a reference are computed once per film, not once per block, and its colours are not
painted again (same numbers). Several references are allowed where the paper has one: the warp's softmax runs
over all their cells. A frame that is itself a reference comes back in its own colours. A reference of another
size is resized to the film's. Batches: the released code mixes up the heads of different videos; here videos
are independent. H and W are padded to multiples of 8 by replicating the border.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.color import split_lab
from colorlab.files.errors import InputError
from colorlab.modules.frames import as_clip
from colorlab.modules.padding import repeat_border
from colorlab.modules.references import Reference, References, parse_references
from colorlab.modules.resizing import resized
from colorlab.modules.sources import Attention, Source, reference_sources

from colorlab.papers.lstvc.attention import to_tokens
from colorlab.papers.lstvc.backbone import Backbone, FrozenBatchNorm, TrainedNorm
from colorlab.papers.lstvc.cnn_transformer import CNNTransformer, ConvEncoder, HighFeatures, Project
from colorlab.papers.lstvc.colorization import DILATIONS, Colorization, LinkedStage, Painted, PlainStage
from colorlab.papers.lstvc.correspondence import DoubleHead, Fusion, VanillaHead, Warp
from colorlab.papers.lstvc.explain import attention_of
from colorlab.papers.lstvc.linkage import Linkage, NoLinkage
from colorlab.papers.lstvc.state import EncodedReference, LSTVCState, stacked


@dataclass(frozen=True)
class LSTVCConfig:
    """Defaults: the released network. The last four fields exchange whole modules, as the paper's Table 2
    does."""

    block_size: int = 3           # N: frames coloured together
    temperature: float = 0.01     # τ in Eq. 2; below 1e-6: the nearest neighbour only
    mix: float = 0.8              # how much of the augmented head is R'_high
    encoder_blocks: int = 4
    channels: int = 512           # of the CNN branch
    width: int = 384              # of a token; a multiple of 6 (positions) and of the heads
    heads: int = 8
    linkage_heads: int = 4
    inner: int = 2048             # of the feed-forward networks
    match_channels: int = 256     # of each head
    residual_blocks: int = 3
    color_width: int = 64         # the colour network's first layers; eight times as many in its middle
    dropout: float = 0.1          # inside the transformers, in training only
    backbone_blocks: tuple[int, int, int] = (3, 4, 19)
    backbone_taps: tuple[int, int, int] = (2, 3, 3)
    backbone_width: int = 64
    backbone_frozen: bool = True  # batch norms with fixed statistics; else group norms that learn
    # the transformer branches of both subnets; without them there is no linkage either
    transformer: bool = True
    linkage: bool = True
    second_head: bool = True      # the augmented head
    # the frame coloured before guides the next, as TCAVC's Eq. 4 says (its code does not)
    preceding_frame: bool = False

    @classmethod
    def paper(cls) -> LSTVCConfig:
        return cls()

    @classmethod
    def tiny(cls) -> LSTVCConfig:
        return cls(encoder_blocks=1, channels=16, width=24, heads=2, linkage_heads=2, inner=32,
                   match_channels=8, residual_blocks=1, color_width=4, dropout=0.0, backbone_blocks=(1, 1, 2),
                   backbone_taps=(1, 1, 1), backbone_width=4)


class SeenBlock(NamedTuple):
    """A block with what the heads carried over, for pictures like the paper's Fig. 7."""

    ab: Tensor          # (B, T, 2, H, W) the result
    warped: Tensor      # (B, T, heads, 2, h, w) each head's colour in ab units, h = H/4 rounded up
    similarity: Tensor  # (B, T, heads, h, w) in [-1, 1]


class Seen(NamedTuple):
    """Grey frames as the two subnets receive them."""

    high: HighFeatures  # cnn (B, T, 512, H/8, W/8) and tokens (B, T, 384, H/8, W/8)
    low: Tensor         # (B, T, 256, H/4, W/4) R_low


class LSTVC(nn.Module):
    """Colour a film, a block of frames at a time, from one reference or several."""

    method = "lstvc"
    State = LSTVCState

    def __init__(self, config: LSTVCConfig = LSTVCConfig()):
        super().__init__()
        self.config = config
        self.backbone = self.build_backbone()
        half, quarter, high = self.backbone.channels
        self.project = Project(high, config.channels, config.width)
        self.linkage = _linkage(config)
        self.encoder = _encoder(config)
        self.fusion = Fusion(half, quarter, config.channels, 2 * config.match_channels,
                             config.residual_blocks, config.mix)
        head = DoubleHead if config.second_head else VanillaHead
        self.heads = head(config.match_channels, config.width, config.temperature)
        self.output = self.build_output()
        # L; ab and similarity of each head; ab before
        inputs = 1 + 3 * len(self.heads.names) + 2 * config.preceding_frame
        self.colorization = Colorization(
            _middle_stages(config), inputs, config.color_width, self.output.outputs
        )
        self.initialise()

    # What subclasses may override

    def build_backbone(self) -> nn.Module:
        c = self.config
        norm = FrozenBatchNorm if c.backbone_frozen else TrainedNorm
        return Backbone(c.backbone_blocks, c.backbone_taps, c.backbone_width, norm)

    def build_output(self) -> nn.Module:
        return Painted()

    def initialise(self) -> None:
        """The authors' initialisation of layers that they load no weights into."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1 and not name.startswith("backbone."):
                nn.init.xavier_uniform_(parameter)

    @property
    def frames_per_step(self) -> int:
        return self.config.block_size

    def start(self, references: References) -> LSTVCState:
        """references: a Lab image (B, 3, H, W), or a list of images and (frame_index, image): at least
        one."""
        parsed = parse_references(references)
        if not parsed:
            raise InputError(
                "lstvc colours from a reference: give it a coloured picture, or use tcavc, which "
                "paints its own")
        return self.State(parsed, encoded=(None,) * len(parsed))

    def step(self, l: Tensor, state: LSTVCState) -> tuple[Tensor, LSTVCState]:
        """Colour one block. l: (B, T, 1, H, W) or (B, 1, H, W), L in [0, 100]. Returns ab, the same with 2
        channels, and the next state."""
        clip, was_single = as_clip(l)
        look, state = self.look(clip, state)
        return (look.ab[:, 0] if was_single else look.ab), state

    def forward(self, l: Tensor, references: References) -> Tensor:
        """A whole clip with gradients, for training: l (B, T, 1, H, W) in blocks of `block_size`. Returns ab
        (B, T, 2, H, W)."""
        state, blocks = self.start(references), []
        for block in l.split(self.config.block_size, dim=1):
            ab, state = self.step(block, state)
            blocks.append(ab)
        return torch.cat(blocks, dim=1)

    def look(self, l: Tensor, state: LSTVCState) -> tuple[SeenBlock, LSTVCState]:
        """`step` for l (B, T, 1, H, W), also returning what each head carried over."""
        B, T, _, H, W = l.shape
        state = self.with_encoded(l, state)
        lightness = padded(l.flatten(0, 1)).unflatten(0, (B, T))  # (B, T, 1, H', W'), multiples of 8
        references = stacked(self.references(state, T))           # each (B, R, ...)

        seen = self.seen(lightness)
        features, tokens = self.features(seen, references, state)                 # (B, R + T, C, H'/4, W'/4)
        warp = self.matched(features, references, state)
        ab = self.paint(lightness, warp, references, tokens, state)[..., :H, :W]  # (B, T, 2, H, W)

        ab = _with_own_colors(ab, state)
        cells = (..., slice(math.ceil(H / 4)), slice(math.ceil(W / 4)))
        return SeenBlock(ab, 128 * warp.ab[cells],
                    warp.similarity[cells]), self.after(state, l, ab, warp, seen, tokens)

    def attention(self, l: Tensor, state: LSTVCState, at: tuple[int, int]) -> dict[Source, Tensor]:
        """Where the colour of pixel `at` = (y, x) comes from, with this frame as a block of its own.

        l: (1, 1, H, W). Returns maps (H, W) that together sum to 1: for each head and reference the softmax
        of Eq. 2, and "linkage state", where the query of Eq. 6 looks. A head's share is proportional to its
        similarity (Eq. 3); the linkage's is the length of what its attention adds to the token, relative to
        the token itself.
        """
        return self.attention_of(l, state)(at)

    def attention_of(self, l: Tensor, state: LSTVCState) -> Attention:
        """`attention` for any pixel of one frame; shared work is done once."""
        clip, _ = as_clip(l)
        return attention_of(self, clip, self.with_encoded(clip, state))

    def load_backbones(self) -> None:
        """Start the backbone from torchvision's ResNet-101, trained on ImageNet. Needs the full width and,
        once, a network."""
        if self.config.backbone_width != 64 or not self.config.backbone_frozen or not isinstance(
                self.backbone, Backbone):
            raise InputError("ImageNet weights fit the paper's ResNet-101 only: use preset='paper'")
        try:
            from torchvision.models import ResNet101_Weights
            state = ResNet101_Weights.IMAGENET1K_V1.get_state_dict(progress=False)
        except Exception as error:
            raise InputError(
                f"torchvision's ResNet-101 weights are not available ({error}): check the network, or "
                "use weights='none'") from error
        self.backbone.load_state_dict({name: state[name] for name in self.backbone.state_dict()})

    def encode(self, image: Tensor, size: tuple[int, int]) -> EncodedReference:
        """image: Lab (B, 3, any, any) -> the part of a reference's encoding that does not depend on the
        frames, for a film of `size` (H, W)."""
        image = padded(resized(image, size))
        taps = self.backbone(self.backbone.seen(image))
        l, ab = split_lab(image)
        color = self.output.carried(l / 50 - 1, ab / 128)
        return EncodedReference(image, self.project(taps.high), self.fusion.low(taps), color,
                                self.source(image))

    def source(self, image: Tensor) -> Tensor:
        """Encode a picture for the colorization subnet: its own colours replace the heads', with similarity
        1."""
        l, ab = split_lab(image)
        heads = len(self.heads.names)
        guide = [ab / 128] * heads + [torch.ones_like(l)] * heads + [ab / 128] * self.config.preceding_frame
        guide = torch.cat([F.interpolate(x[..., ::4, ::4], scale_factor=4.0) for x in guide], dim=1)
        return self.colorization.source(torch.cat((l / 50 - 1, guide), dim=1))

    def with_encoded(self, l: Tensor, state: LSTVCState) -> LSTVCState:
        """The state with all references encoded that this block uses, for the size, device and precision
        of l (B, T, 1, H, W)."""
        size = tuple(l.shape[-2:])
        encoded = state.encoded if state.size == size else (None,) * len(state.references)
        wanted = state.in_use(l.shape[1])
        encoded = tuple(self.encode(reference.image.to(l).expand(len(l), -1, -1, -1), size)
                        if known is None and index in wanted else known
                        for index, (known, reference) in enumerate(zip(encoded, state.references)))
        return replace(state, size=size, encoded=encoded)

    def references(self, state: LSTVCState, count: int) -> list[EncodedReference]:
        """The references of the next `count` frames."""
        return [state.encoded[index] for index in state.in_use(count)]

    def sources(self, state: LSTVCState, count: int) -> list[Source]:
        """The names of `references`."""
        named = reference_sources(state.references)
        return [named[index] for index in state.in_use(count)]

    def seen(self, l: Tensor) -> Seen:
        """Backbone and projected features of grey frames (B, T, 1, H, W), each independently."""
        taps = self.backbone((l / 100).flatten(0, 1).expand(-1, 3, -1, -1))
        frames = l.shape[:2]
        return Seen(HighFeatures(*(part.unflatten(0, frames) for part in self.project(taps.high))),
                    self.fusion.low(taps).unflatten(0, frames))

    def features(self, seen: Seen, references: EncodedReference,
                 state: LSTVCState) -> tuple[Tensor, Tensor | None]:
        """R' of references and frames (B, n, C, H/4, W/4), and ho_t (B, n * H/8 * W/8, 384)."""
        B = len(seen.low)
        cnn, tokens, low = (torch.cat((known, new), dim=1).flatten(0, 1)
                            for known, new in zip((*references.high, references.low), (*seen.high, seen.low)))
        tokens = self.linkage.query(to_tokens(tokens, B), state.linkage)
        encoded = self.encoder(cnn, tokens)
        return self.fusion(encoded.cnn, low).unflatten(0, (B, -1)), encoded.tokens

    def compared(self, features: Tensor, references: int, state: LSTVCState) -> tuple[Tensor, Tensor]:
        """What Eq. 1 correlates: of each head the frames' cells and those of the R references. See
        `DoubleHead.queries_and_keys`."""
        return self.heads.queries_and_keys(features, references)

    def matched(self, features: Tensor, references: EncodedReference, state: LSTVCState) -> Warp:
        """Eq. 1 to 3: the references' colours warped to the frames."""
        return self.heads(features, self.output.values(references))

    def paint(self, l: Tensor, warp: Warp, references: EncodedReference, tokens: Tensor | None,
              state: LSTVCState) -> Tensor:
        """Eq. 5: ab (B, T, 2, H, W) from lightness (B, T, 1, H, W), the warp at a quarter of the size, and
        the tokens."""
        guide = torch.cat((warp.ab.flatten(2, 3), warp.similarity), dim=2)           # (B, T, 6, H/4, W/4)
        guide = F.interpolate(guide.flatten(0, 1), scale_factor=4.0).unflatten(0, l.shape[:2])
        picture = [l / 50 - 1, guide.to(l)]
        if self.config.preceding_frame:
            before = l.new_zeros(len(l), 2, *state.size) if state.preceding is None else state.preceding / 128
            picture.append(padded(before)[:, None].expand(-1, l.shape[1], -1, -1, -1).to(l))
        painted = self.colorization(torch.cat(picture, dim=2), references.source, tokens)
        return self.output(painted, warp, l, references.image)

    def after(self, state: LSTVCState, l: Tensor, ab: Tensor, warp: Warp, seen: Seen,
              tokens: Tensor | None) -> LSTVCState:
        """The state after a block: the linkage stores its transformer tokens (Eq. 7)."""
        return replace(state, frame=state.frame + l.shape[1],
                       linkage=self.linkage.store(state.linkage, tokens), grid=state.grid
                       or tuple(side // 2 for side in seen.low.shape[-2:]),
                       preceding=ab[:, -1] if self.config.preceding_frame else None)


def _linkage(config: LSTVCConfig) -> nn.Module:
    if not (config.linkage and config.transformer):
        return NoLinkage()
    return Linkage(config.width, config.linkage_heads, config.inner, config.dropout)


def _encoder(config: LSTVCConfig) -> nn.Module:
    if not config.transformer:
        return ConvEncoder(config.encoder_blocks, config.channels)
    return CNNTransformer(config.encoder_blocks, config.channels, config.width, config.heads, config.inner,
                          config.dropout)


def _middle_stages(config: LSTVCConfig) -> list[nn.Module]:
    channels = 8 * config.color_width
    if not config.transformer:
        return [PlainStage(channels, dilation) for dilation in DILATIONS]
    return [
        LinkedStage(channels, dilation, config.width, config.heads, config.inner, config.dropout)
        for dilation in DILATIONS
    ]


# (B, C, H, W) -> H and W as the network can halve them
padded = partial(repeat_border, multiple=8, smallest=16)


def _with_own_colors(ab: Tensor, state: LSTVCState) -> Tensor:
    """ab (B, T, 2, H, W) of the frames from `state.frame` on, those that are references in the colours given
    for them."""
    own: dict[int, Reference] = {reference.frame: reference for reference in state.references}
    frames = [own[frame].image[:, 1:].to(ab).expand(len(ab), -1, -1, -1) if frame in own else None
              for frame in range(state.frame, state.frame + ab.shape[1])]
    if not any(frame is not None for frame in frames):
        return ab
    size = tuple(ab.shape[-2:])
    return torch.stack(
        [painted if known is None else resized(known, size) for painted, known in zip(ab.unbind(1), frames)],
        dim=1)
