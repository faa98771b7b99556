"""What LSTVC carries from block to block, as an immutable value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from colorlab.modules.references import Reference

from colorlab.papers.lstvc.cnn_transformer import HighFeatures


class EncodedReference(NamedTuple):
    """The frame-independent encoding of a reference, at the film's padded size H, W."""

    image: Tensor       # (B, 3, H, W) Lab
    high: HighFeatures  # cnn (B, 512, H/8, W/8) and tokens (B, 384, H/8, W/8)
    low: Tensor         # (B, 256, H/4, W/4) R_low
    # (B, 2 or more, H/4, W/4) what the warp carries over: ab / 128, and whatever else the output needs
    color: Tensor
    source: Tensor      # (B, 512, H/8, W/8) its input to the middle of the colorization subnet


def stacked(encoded: list[EncodedReference]) -> EncodedReference:
    """References of (B, ...) each -> one of (B, R, ...)."""
    cnn, tokens = (torch.stack([getattr(one.high, name)
                                for one in encoded], dim=1)
                   for name in HighFeatures._fields)
    image, low, color, source = (
        torch.stack([getattr(one, name) for one in encoded], dim=1)
        for name in ("image", "low", "color", "source")
    )
    return EncodedReference(image, HighFeatures(cnn, tokens), low, color, source)


@dataclass(frozen=True)
class LSTVCState:
    """Immutable: keep it, rewind to it, continue from it twice; each step returns a new one.

    Its size does not grow with the film: the linkage keeps the length of the first block.
    """

    references: tuple[Reference, ...]
    frame: int = 0                                     # index of the next frame
    linkage: Tensor | None = None                      # (B, M, 384) i_t of Eq. 7; None before the first block
    grid: tuple[int, int] | None = None  # (h, w) of the cells that the linkage's tokens stood for at first
    preceding: Tensor | None = None  # (B, 2, H, W) ab of the frame before, where the variant uses it
    size: tuple[int, int] | None = None                # (H, W) of the film, once a step has seen it
    encoded: tuple[EncodedReference | None, ...] = ()  # one per reference, None until a block needs it

    def in_use(self, count: int) -> tuple[int, ...]:
        """Which references the next `count` frames use, by index into `references`.

        All pictures that are not frames of the film; of the film's own coloured frames those inside the
        block, the nearest before and
        the nearest after it: the cost of a block does not grow with the number of key frames.
        """
        first, last = self.frame, self.frame + count - 1
        framed = sorted((r.frame, index) for index, r in enumerate(self.references) if r.frame is not None)
        near = [index for frame, index in framed if first <= frame <= last]
        near += [index for frame, index in framed if frame < first][-1:]
        near += [index for frame, index in framed if frame > last][:1]
        return tuple(index for index, r in enumerate(self.references) if r.frame is None or index in near)

    def detach(self) -> LSTVCState:
        """The same state without the graph behind it, for training a block at a time; references are then
        encoded anew."""
        linkage, preceding = (None if x is None else x.detach() for x in (self.linkage, self.preceding))
        return replace(self, linkage=linkage, preceding=preceding, encoded=(None,) * len(self.references))
