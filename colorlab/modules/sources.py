"""Where a colour comes from: the names of the maps of `model.attention`, and what they refer to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor

from colorlab.modules.references import Reference

# What a method's `attention_of(l, state)` returns: for any pixel (y, x) of that frame {source: (H, W)},
# together summing to 1. Work shared by the pixels of one frame is done once.
Attention = Callable[[tuple[int, int]], "dict[Source, Tensor]"]
Kind = Literal["reference", "frame", "memory", "itself"]


class Source(str):
    """The name of a map, "reference 2" or "neighbours (frame 7)", that also says what it is a map of.

    kind: "reference": one of the references that `start` was given; "frame": a frame of the film that was
        coloured before; "memory": several frames together, at the places where they were seen; "itself": the
        frame that is being coloured.
    index: which reference, by its place in the list that `start` was given.
    frame: which frame of the film; of a reference, the frame whose colours it gives, None for a picture that
        is no frame of it.
    name: with "{frame}" where the frame's number belongs.
    """

    kind: Kind
    index: int | None
    frame: int | None

    def __new__(cls, name: str, kind: Kind, frame: int | None = None, index: int | None = None) -> Source:
        source = super().__new__(cls, name.format(frame=frame))
        source.pattern, source.kind, source.frame, source.index = name, kind, frame, index
        return source

    def detailed(self, detail: str) -> Source:
        """The same source, further qualified: "reference, vanilla head"."""
        return Source(f"{self.pattern}, {detail}", self.kind, self.frame, self.index)

    def later(self, frames: int) -> Source:
        """The same source in a film that began so many frames earlier."""
        return (
            self if self.frame is None else Source(self.pattern, self.kind, self.frame + frames, self.index)
        )


def own_pixel(l: Tensor, at: tuple[int, int]) -> Tensor:
    """The map (H, W) of a colour that comes from the pixel's own position; l: (..., H, W) of the frame."""
    own = l.new_zeros(l.shape[-2:])
    own[at] = 1
    return own


def reference_sources(references: Sequence[Reference]) -> list[Source]:
    """One source for each reference: "reference", "reference 2" for pictures, "reference (frame 5)" for
    frames of the film."""
    sources, pictures = [], 0
    for index, reference in enumerate(references):
        pictures += reference.frame is None
        name = (
            "reference (frame {frame})"
            if reference.frame is not None
            else "reference"
            if pictures == 1
            else f"reference {pictures}"
        )
        sources.append(Source(name, "reference", reference.frame, index))
    return sources
