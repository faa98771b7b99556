"""Names in the files that the authors publish, and ours: stage 1's one file, and LSTVC's two for stage 2."""

from __future__ import annotations

from colorlab.papers.lstvc import released as lstvc
from colorlab.papers.lstvc.released import WAY_DOWN, WAY_UP, under

flatten = lstvc.flatten  # of any of the three files; stage 1's is flat already

STAGE1: tuple[tuple[str, str], ...] = (
    ("conv1_1", "reference.down.conv1_1"),
    *under("", "reference.down.", WAY_DOWN),
    *((f"conv{layer}_{k}", f"reference.middle.{layer - 5}.conv{k}")
      for layer in (5, 6, 7)
      for k in (1, 2, 3)),
    *under("", "reference.up.", WAY_UP),
)
NAMES: tuple[tuple[str, str], ...] = (*STAGE1, *under("", "propagation.", lstvc.NAMES))
UNUSED: tuple[str, ...] = lstvc.UNUSED
