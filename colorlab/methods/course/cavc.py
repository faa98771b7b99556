"""CAVC at course size: which of the paper's stages are replaced, and why.

| stage of `papers.cavc` | here |
|---|---|
| color_features, ViT-B/32 | EfficientNet-Lite0's map of stride 32 of a picture of 224 x 224, which has the same 49 patches |
| SCA_features | plus the reference's colours, warped to the frame by similarity and position (`laying`) |
| output | a correction of the warped colours |

A network trained on fifty films cannot paint a palette from tokens. So painting starts from the warped
colours, and the network learns where they are wrong. This adds a search for matches, which the paper's method
does not have: `lay_channels=0` is the paper's method at course size. The mean colours of each patch are
concatenated to its features, because a small network learns to use them sooner.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorlab.color import join_lab, lab_to_rgb, split_lab
from colorlab.methods.course.backbones import EXTRACTORS
from colorlab.methods.course.reference_warp import AB, ReferenceWarp
from colorlab.modules.references import References, parse_references
from colorlab.modules.resizing import resized
from colorlab.modules.sources import Attention, Source
from colorlab.papers.cavc.explain import cells_to_pixels, unpadded
from colorlab.papers.cavc.model import CAVC, CAVCConfig
from colorlab.papers.cavc.state import State, as_channels, blend

WARPED = 4       # channels of the warped reference: lightness, ab, similarity
TRUSTED = 5.0  # its sigmoid is the initial trust in the warped colours


@dataclass(frozen=True)
class CourseCAVCConfig(CAVCConfig):
    """The paper's fields and our additions."""

    extractor: str = "imagenet"  # one of `backbones.EXTRACTORS`
    # of the keys for matching a cell's colour; 0: no warp
    lay_channels: int = field(default=64, metadata={"least": 0})

    @classmethod
    def course(cls) -> CourseCAVCConfig:
        """Narrow at the highest resolutions: fast on a laptop."""
        return cls(sca_width=8, sca_features=16, widths=(16, 48, 96, 128), decoder_widths=(96, 48, 16, 8),
                   color_width=64, code_width=64, bins=32, dropout=0.0, frames_at_once=4)


@dataclass(frozen=True)
class CourseState(State):
    # R of (B, 3, h, w): the references themselves, L in [-1, 1] and ab / 50
    pictures: tuple[Tensor, ...] = ()


class CourseCAVC(CAVC):
    """The paper's network with a frozen feature extractor and the reference's colours warped to each
    frame."""

    extractors = EXTRACTORS
    config: CourseCAVCConfig

    def __init__(self, config: CourseCAVCConfig = CourseCAVCConfig.course()):
        if config.lay_channels:
            self.beside, self.outputs = WARPED, 4
        super().__init__(config)
        self.laying = ReferenceWarp(config.lay_channels, config.extractor
                             != "random") if config.lay_channels else None
        if self.laying:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    @property
    def matches(self) -> bool:
        return self.laying is not None

    def start(self, references: References) -> CourseState:
        state = super().start(references)
        pictures = tuple(scaled(reference.image)
                         for reference in parse_references(references)) if self.laying else ()
        return CourseState(state.frame, state.moments, state.tokens, state.histograms, pictures)

    def paint(self, l: Tensor, state: CourseState) -> Tensor:
        """(B, T, 1, H, W) -> (B, T, 3, H, W) RGB in [-1, 1]."""
        if self.laying is None:
            return super().paint(l, state)
        B, T = l.shape[:2]
        laid = self.lay(as_channels(l), state).flatten(0, 1)
        tokens, histograms = (part.flatten(0, 1) for part in self.guidance(state, B, T))
        return self.corrected(as_channels(l.flatten(0, 1)), tokens, histograms, laid).unflatten(0, (B, T))

    def lay(self, channels: Tensor, state: State) -> Tensor:
        """(B, T, C, H, W) -> (B, T, 4, H, W): the references' L in [-1, 1] and ab / 50, warped to the next T
        frames and mixed by `blend`, and their similarity."""
        H, W = channels.shape[-2:]
        frames = self.padded(channels[:, :, :1].flatten(0, 1)).unflatten(0, channels.shape[:2])
        pictures = [
            resized(picture.to(channels), (H, W)).expand(len(channels), -1, -1, -1)
            for picture in state.pictures
        ]
        encoded = [self.laying.encode(self.padded(picture)) for picture in pictures]
        laid = []
        for t, frame in enumerate(frames.unbind(1)):
            shares = blend(state.moments, state.frame + t)
            laid.append(
                sum(share * torch.cat(self.laying(frame, reference), dim=1)
                    for share, reference in zip(shares, encoded)
                    if share))
        return torch.stack(laid, dim=1)[..., :H, :W]

    def corrected(self, channels: Tensor, tokens: Tensor, histograms: Tensor, laid: Tensor) -> Tensor:
        """`u_colorization` starting from the warped reference, (B, 4, H, W), weighted by its trust in it."""
        H, W = channels.shape[-2:]
        features = torch.cat((self.sca(self.padded(channels)).features, self.padded(laid)), dim=1)
        painted = self.painted(features, tokens, histograms)[..., :H, :W]
        trust = (painted[:, 3:].float() + TRUSTED).sigmoid()
        start = 2 * lab_to_rgb(join_lab(50 * channels[:, :1] + 50, trust * AB * laid[:, 1:3])) - 1
        # not tanh: a zero correction leaves the warped colours unchanged
        return F.hardtanh(start.to(painted) + painted[:, :3])

    @torch.no_grad()
    def attention_of(self, l: Tensor, state: CourseState) -> Attention:
        """As the paper's; half of a reference's share goes to where the warp finds the pixel's colours in
        it."""
        of_paper, size = super().attention_of(l, state), l.shape[-2:]
        if self.laying is None:
            return of_paper
        frame = self.padded(as_channels(l))
        query, _ = self.laying.query(frame)                                  # (1, N, C + 3)
        encoded = [
            self.laying.encode(self.padded(resized(picture.to(frame), size))) for picture in state.pictures
        ]

        @torch.no_grad()
        def at_pixel(at: tuple[int, int]) -> dict[Source, Tensor]:
            maps = of_paper(at)
            for source, placed in maps.items():
                if source.kind == "reference":  # weight on the padding is added to the border
                    found = self.laying.weights(query, encoded[source.index], at, frame.shape[-2:])
                    maps[source] = (
                        placed + placed.sum() * unpadded(cells_to_pixels(found, *frame.shape[-2:]), *size)
                    ) / 2
            return maps
        return at_pixel


def scaled(lab: Tensor) -> Tensor:
    """Lab (B, 3, h, w) -> L in [-1, 1], as the network expects it, and ab / 50."""
    l, ab = split_lab(lab)
    return torch.cat((as_channels(l), ab / AB), dim=1)
