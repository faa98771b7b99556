"""The state passed from one frame to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from colorlab.modules.references import Reference
from colorlab.modules.sources import Source, reference_sources

from colorlab.papers.colormnet.features import Features, Query
from colorlab.papers.colormnet.propagation import held_bytes

AB_SCALE = 110.0  # the network's chroma is ab / 110, its lightness L / 50 - 1


class SeenFrame(NamedTuple):
    """A frame as network input."""

    image: Tensor       # (B, 3, H', W') L three times, in [-1, 1], padded
    features: Features
    query: Query


class Predicted(NamedTuple):
    """A frame's colours as the network has them."""

    chroma: Tensor  # (B, 2, H', W') in about ±1, padded
    # for subclasses: passed from prediction to what is stored
    carried: object | None = None


class Remembered(NamedTuple):
    """The frame that was stored last: what local attention reads."""

    frame: int
    key: Tensor   # (B, Ck, h, w)
    rows: Tensor  # (B, C, h, w) its values, and whatever is remembered beside them


@dataclass(frozen=True)
class State:
    """Everything that the next frame depends on. Immutable: keep it, rewind to it, continue from it twice."""

    references: tuple[Reference, ...]    # references still to come
    # the frame of each reference that it was given, None for a picture that is no frame
    moments: tuple[int | None, ...] = ()
    frame: int = 0                       # index of the next frame
    size: tuple[int, int] | None = None  # height and width of the film, known from its first frame on
    held: tuple = ()                     # what the propagation holds, one value per film
    hidden: Tensor | None = None         # (B, 2, Ch, h, w)
    last: Remembered | None = None
    renewed: int | None = None  # the frame at which the value encoder last updated the hidden state
    position: Tensor | None = None       # the guide's position embedding at this size

    @property
    def sources(self) -> list[Source]:
        """The names of all references that the film was given."""
        return reference_sources([Reference(moment, None) for moment in self.moments])

    @property
    def given(self) -> Reference | None:
        """The exemplar of the next frame, if it has one."""
        return next((reference for reference in self.references if reference.frame == self.frame), None)

    def after_frame(self) -> State:
        left = tuple(reference for reference in self.references if reference.frame != self.frame)
        return replace(self, frame=self.frame + 1, references=left)

    @property
    def nbytes(self) -> int:
        """Bytes of what is remembered of the film."""
        tensors = (self.hidden, *(self.last[1:] if self.last else ()))
        return held_bytes(self.held) + sum(t.nbytes for t in tensors if t is not None)
