"""How colour is propagated from frame to frame: memory, and its two alternatives in the paper's Table 2.

All three have one interface: `write` stores a frame's keys and values, `read` retrieves values for a frame.
Their state is a tuple with one entry per film, returned by `write` and passed in again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from colorlab.papers.colormnet.features import Query
from colorlab.papers.colormnet.memory import Memory, MemoryConfig, seen
from colorlab.papers.colormnet.readout import similarity

Source = tuple[str, int]  # kind ("long-term", "exemplar", "frame", "previous") and frame index


class Found(NamedTuple):
    rows: Tensor  # (B, C, h, w) what was read
    held: tuple   # the state with usage updated


class MemoryPropagation(nn.Module):
    """ColorMNet's memory: frames stored at intervals, read by similarity, compressed when there are many
    (§3.2)."""

    def __init__(self, config: MemoryConfig):
        super().__init__()
        self.config = config

    def write(self, held: tuple[Memory, ...], query: Query, rows: Tensor, frame: int,
              keep: bool) -> tuple[Memory, ...]:
        """rows: (B, C, h, w) values; `keep` for exemplars. Start with an empty `held`."""
        held = held or tuple(Memory(self._settings()) for _ in rows)
        # (B, N, C)
        columns = [part.flatten(2).mT for part in (query.key, query.shrinkage, query.selection, rows)]
        return tuple(memory.write(seen(key, shrinkage[:, 0], selection, value, frame), keep)
                     for memory, key, shrinkage, selection, value in zip(held, *columns))

    def read(self, held: tuple[Memory, ...], query: Query) -> Found:
        readings = [memory.read(key.flatten(1).mT, selection.flatten(1).mT)
                    for memory, key, selection in zip(held, query.key, query.selection)]
        rows = torch.stack([reading.value.mT for reading, _ in readings]).unflatten(2, query.key.shape[-2:])
        return Found(rows.contiguous(memory_format=torch.channels_last),
                     tuple(memory for _, memory in readings))

    def sources(self, held: tuple[Memory, ...], query: Query, cell: int) -> Iterator[tuple[Source, Tensor]]:
        """Where the first film's `cell` reads from: a source and its (N,) weights over the cells of the
        feature grid."""
        memory, entries = held[0], held[0].entries
        key, selection = (part[0].flatten(1).mT[cell:cell + 1] for part in (query.key, query.selection))
        # (M,)
        scores = similarity(entries.key, entries.shrinkage, key, selection)[0] / memory.config.temperature
        if memory.config.top_k is not None:
            worst = scores.topk(min(memory.config.top_k, len(scores))).values[-1]
            scores = scores.masked_fill(scores < worst, -torch.inf)
        weights = scores.softmax(0)
        kind = torch.full_like(entries.frame, 2)
        kind[:memory.long + memory.kept] = 1
        kind[:memory.long] = 0
        frame = entries.frame.where(kind > 0, 0)  # prototypes of all frames together
        for k, f in sorted(set(zip(kind.tolist(), frame.tolist()))):
            chosen = (kind == k) & (frame == f)
            cells = weights.new_zeros(query.key[0, 0].numel())
            yield (("long-term", "exemplar", "frame")[k],
                   f), cells.index_add(0, entries.cell[chosen], weights[chosen])

    def _settings(self) -> MemoryConfig:
        """In training every entry is read, so that gradients also reach entries outside the top k; none is
        compressed."""
        return replace(self.config, top_k=None, long_term=False) if self.training else self.config


class Recurrent(nn.Module):
    """"w/ Recurrent": only the previous frame's values are kept, each at its own position, refined by a
    convolution."""

    def __init__(self, rows: int, key: int):
        super().__init__()
        self.mend = nn.Conv2d(rows + key, rows, 3, padding=1)
        nn.init.zeros_(self.mend.weight)
        nn.init.zeros_(self.mend.bias)

    def write(self, held: tuple[Tensor, ...], query: Query, rows: Tensor, frame: int,
              keep: bool) -> tuple[Tensor, ...]:
        return tuple(rows)

    def read(self, held: tuple[Tensor, ...], query: Query) -> Found:
        rows = torch.stack(held)  # (B, C, h, w)
        values, places = rows.split((self.mend.out_channels, rows.shape[1] - self.mend.out_channels), dim=1)
        mended = values + self.mend(torch.cat((values, query.key.to(rows.dtype)), dim=1))
        return Found(torch.cat((mended, places), dim=1), held)

    def sources(self, held: tuple[Tensor, ...], query: Query, cell: int) -> Iterator[tuple[Source, Tensor]]:
        """The same place in the frame before."""
        weights = query.key.new_zeros(query.key[0, 0].numel())
        weights[cell] = 1
        yield ("previous", 0), weights


def held_bytes(held: tuple) -> int:
    """Bytes held, for any of the above."""
    return sum(one.nbytes for one in held)
