"""ColorMNet at course size: which of the paper's stages are replaced, and why.

| stage of `papers.colormnet` | here |
|---|---|
| G, DINOv2 | EfficientNet-Lite0 of ImageNet, frozen (`backbones.PretrainedGuide`); convolutions need no position embedding |
| L, ResNet-50 | a small CNN that is trained |
| what is remembered: values | plus chroma (`carried_chroma`), so that an untrained network already copies the colour of the best match |
| V + L, memory and neighbourhood added | values added; chroma mixed by a learned gate |
| D, the decoder's chroma | a correction of the carried chroma |

Similarities are divided by 16 (`temperature`): at 1, keys grow until each pixel reads a single entry and no
gradient reaches the others. With `register`, each entry also carries the place it came from in each exemplar.
That place, and the place in the frame stored last, is refined by lightness, and colour is read there at full
size: it is not a copy of a copy, however long the film. The decoder's correction applies to carried colours
only, not to colours read this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from colorlab.methods.course.backbones import GUIDES
from colorlab.methods.course.carried_chroma import PLACE, CarriedCells, CarriedChroma, numbers
from colorlab.methods.course.registration import place_channels
from colorlab.papers.colormnet.build import build_features, build_propagation
from colorlab.papers.colormnet.config import ColorMNetConfig
from colorlab.papers.colormnet.features import FrameEncoder, Query
from colorlab.papers.colormnet.model import ColorMNet
from colorlab.papers.colormnet.state import AB_SCALE, SeenFrame, Predicted, State


@dataclass(frozen=True)
class CourseColorMNetConfig(ColorMNetConfig):
    """The paper's fields and our additions."""

    backbones: str = "imagenet"  # one of `backbones.GUIDES`
    # refinement steps of the places that colour is read from (`registration`); None: cells only
    register: int | None = 3

    @classmethod
    def course(cls) -> CourseColorMNetConfig:
        """Under 2 M parameters; pixels are matched on a grid of stride 4, 1,792 cells at 128 x 224."""
        return cls(temperature=16.0, mem_every=2, max_mid_frames=3, min_mid_frames=2, prototypes=256,
                   max_long=1024, channels=(64, 16, 8), decoder=(48, 16, 8), hidden_inner=32, key=48,
                   value=24, hidden=16, guide=(128, 4), value_trunk=24)


@dataclass(frozen=True)
class CourseState(State):
    exemplars: tuple[Tensor, ...] = ()  # (B, 3, H', W') Lab, those seen so far, which the places refer to
    expected: int = 0                   # their final number, including those to come
    picture: Tensor | None = None       # (B, 3, H', W') Lab, the frame stored last

    @property
    def nbytes(self) -> int:
        return super().nbytes + sum(t.nbytes for t in (*self.exemplars, self.picture) if t is not None)


class Read(NamedTuple):
    """What was read from one source."""

    value: Tensor                # (B, 2, Cv, h, w)
    carried: CarriedCells
    place: Tensor | None = None  # (B, 3, h, w) nearby: where in the frame stored last


class CourseColorMNet(ColorMNet):
    """The paper's network with a frozen feature extractor and chroma carried beside the values."""

    State = CourseState
    config: CourseColorMNetConfig

    def __init__(self, config: CourseColorMNetConfig = CourseColorMNetConfig.course()):
        super().__init__(config)
        self.carry = CarriedChroma(config.value, self.stride, config.register)
        self.registers = config.register is not None
        nn.init.zeros_(self.decoder.predict.weight)  # initially, nothing is added to the carried chroma
        nn.init.zeros_(self.decoder.predict.bias)
        self.to(memory_format=torch.channels_last)
        self.train(self.training)

    def build_features(self) -> FrameEncoder:
        return build_features(self.config, GUIDES)

    def build_propagation(self) -> nn.Module:
        return build_propagation(self.config, numbers(self.stride))

    def start(self, references: Tensor | Sequence[Tensor | tuple[int, Tensor]]) -> CourseState:
        state = super().start(references)
        # the earliest is a foreign exemplar, too: see `opened`
        twice = None not in state.moments and 0 not in state.moments
        return replace(state, expected=len(state.moments) + twice if self.registers else 0)

    def predict(self, look: SeenFrame, state: CourseState, update: bool) -> tuple[Predicted, CourseState]:
        """Chroma reconstructed from what was carried, with the decoder's correction."""
        far, near, held = self.far_and_near(look.query, state)
        state, value, carried = replace(state, held=held), far.value, far.carried
        if near is not None:
            value = value + near.value
            share = self.gate(look, far, near)                                   # (B, 1, h, w)
            read = far.carried.packed()
            carried = self.carry.unpacked(
                torch.lerp(read,
                           near.carried.packed().to(read.dtype), share.to(read.dtype)))
        logits, state = self.decode(look, value, state, update)
        nearby, last = (near.place, state.picture) if near is not None else (None, None)
        chroma, carried = self.carry(look.image[:, :1], carried, logits, state.exemplars, nearby, last)
        return Predicted(chroma, carried), state

    def far_and_near(self, query: Query, state: CourseState) -> tuple[Read, Read | None, tuple]:
        """What is read from memory, what is read nearby (None without a stored frame), and the new memory."""
        rows, held = self.propagation.read(state.held, query)
        far = Read(self.values_of(rows), self.carry.unpacked(self.beside_values(rows)))
        if self.local_attention is None or state.last is None:
            return far, None, held
        mixed = self.local_attention.mixed(query.key, state.last.key, state.last.rows)
        values, beside = mixed[:, :2 * self.config.value], self.beside_values(mixed)
        beside, place = beside.split(
            (beside.shape[1] - PLACE, PLACE), dim=1) if self.registers else (beside, None)
        return far, Read(self.local_attention.projected(values), self.carry.unpacked(beside), place), held

    def gate(self, look: SeenFrame, far: Read, near: Read) -> Tensor:
        return self.carry.share(far.value, near.value, far.carried, near.carried, look.image[:, :1])

    def shares(self, look: SeenFrame, state: CourseState) -> Tensor:
        """(h, w): how much of each cell's carried chroma comes from nearby, for the first film of the
        batch."""
        far, near, _ = self.far_and_near(look.query, state)
        return self.gate(look, far, near)[0, 0]

    def valued(self, look: SeenFrame, predicted: Predicted, state: CourseState,
               deep: bool) -> tuple[Tensor, CourseState]:
        """The values, followed by what is carried: an exemplar's own colours and places, else what the chroma
        was reconstructed from."""
        values, state = super().valued(look, predicted, state, deep)
        carried = predicted.carried
        if carried is not None:
            place = carried.places
        elif self.registers:
            place = own_places(values, len(state.exemplars), state.expected)
            state = replace(state, exemplars=(*state.exemplars, in_lab(look, predicted)))
        else:
            place = values[:, :0]
        carried = self.carry.fit(look.image[:, :1], predicted.chroma, place, carried)
        return torch.cat((values, carried.packed().to(values.dtype)), dim=1), state

    def remember(self, look: SeenFrame, predicted: Predicted, rows: Tensor, state: CourseState,
                 keep: bool) -> CourseState:
        state = super().remember(look, predicted, rows, state, keep)
        if not self.registers:
            return state
        last = state.last._replace(rows=torch.cat((rows, own_places(rows)), dim=1))
        return replace(state, last=last, picture=in_lab(look, predicted))

    def values_of(self, rows: Tensor) -> Tensor:
        """(B, C, h, w) of what was remembered -> (B, 2, Cv, h, w)."""
        return rows[:, :2 * self.config.value].unflatten(1, (2, -1))

    def beside_values(self, rows: Tensor) -> Tensor:
        return rows[:, 2 * self.config.value:]


def in_lab(look: SeenFrame, predicted: Predicted) -> Tensor:
    """A padded frame with its colours, Lab (B, 3, H', W'), for later frames to read."""
    return torch.cat((50 * (look.image[:, :1].float() + 1), AB_SCALE * predicted.chroma.detach().float()),
                     dim=1)


def own_places(rows: Tensor, number: int = 0, pictures: int = 1) -> Tensor:
    """(B, C, h, w) of a picture -> (B, 3 R, h, w): each cell's own position, in that one of the R
    pictures."""
    return place_channels(rows[:, None].expand(-1, pictures, -1, -1, -1))[:, number]
