"""The compressed memory of past frames, read by similarity (ColorMNet §3.2).

A `Memory` is immutable: `write` and `read` return a new one. It belongs to one film, so films of one batch
may hold different numbers of entries.

Entries are in this order: prototypes of the long-term memory, then the exemplars, then the recent frames,
oldest first. When `max_mid_frames` frames are held (all exemplars count as one), all recent frames but the
last min_mid_frames - 1 are compressed into `prototypes` entries; exemplars never are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from colorlab.papers.colormnet.readout import Reading, read_all, read_top, similarity


@dataclass(frozen=True)
class MemoryConfig:
    """When frames are stored and compressed; defaults: ColorMNet §4.1 and the authors' test script."""

    top_k: int | None = 30     # entries that a pixel reads; None: all of them, as in training
    max_mid_frames: int = 10   # N_s: compress when this many frames are held
    min_mid_frames: int = 5    # N_s - N_e: frames left then
    prototypes: int = 128      # M: entries that the compressed frames become
    max_long: int = 10_000     # entries of the long-term memory, above which the least used are evicted
    long_term: bool = True     # False: nothing is compressed, the memory grows with the film
    temperature: float = 1.0   # divides the similarity before the softmax; 1 in the paper

    def __post_init__(self):
        if not 1 <= self.min_mid_frames <= self.max_mid_frames:
            raise ValueError(f"1 <= min_mid_frames <= max_mid_frames, got {self.min_mid_frames} and "
                             f"{self.max_mid_frames}")
        if (
            self.prototypes < 1
            or self.max_long < self.prototypes
            or (self.top_k is not None and self.top_k < 1)
        ):
            raise ValueError("top_k and prototypes are at least 1 and max_long at least prototypes, got "
                             f"{self.top_k}, {self.prototypes}, {self.max_long}")


class Entries(NamedTuple):
    """M stored positions: a row each."""

    key: Tensor        # (M, Ck)
    shrinkage: Tensor  # (M,)
    selection: Tensor  # (M, Ck) used once, when the entry becomes a prototype
    value: Tensor      # (M, C) both chroma channels' values, concatenated
    use: Tensor        # (M,) how much has been read from this entry
    life: Tensor       # (M,) how often it could have been read
    frame: Tensor  # (M,) the frame it was seen in, -1 - i for the i-th picture that is no frame of the film
    cell: Tensor       # (M,) where in the feature grid, row by row

    def at(self, index: Tensor | slice) -> Entries:
        return Entries(*(field[index] for field in self))

    @property
    def usage(self) -> Tensor:
        """(M,) how much is read from each entry per reading: S' in the text after Eq. 6."""
        return self.use / self.life


def seen(key: Tensor, shrinkage: Tensor, selection: Tensor, value: Tensor, frame: int) -> Entries:
    """Entries of one frame, never read yet: (N, Ck), (N,), (N, Ck), (N, C)."""
    cells = torch.arange(len(key), device=key.device)
    return Entries(key, shrinkage, selection, value, torch.zeros_like(shrinkage),
                   torch.full_like(shrinkage, 1e-7), torch.full_like(cells, frame), cells)


def join(*parts: Entries) -> Entries:
    return Entries(*(torch.cat(fields) for fields in zip(*parts)))


@dataclass(frozen=True)
class Memory:
    """Entries and where one kind ends and the next begins."""

    config: MemoryConfig
    entries: Entries | None = None
    long: int = 0                   # leading entries that are prototypes
    kept: int = 0                   # entries after them that are exemplars, never compressed
    recent: tuple[int, ...] = ()    # entries of each recent frame

    @property
    def size(self) -> int:
        return 0 if self.entries is None else len(self.entries.key)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return 0 if self.entries is None else sum(field.nbytes for field in self.entries)

    def write(self, new: Entries, keep: bool = False) -> Memory:
        """A memory that also holds this frame; `keep`: it is an exemplar. Eq. 4, 5, and Eq. 7, 8 when
        compression is due."""
        if self.entries is None:
            entries = new
        elif keep:
            end = self.long + self.kept
            entries = join(self.entries.at(slice(end)), new, self.entries.at(slice(end, None)))
        else:
            entries = join(self.entries, new)
        recent = self.recent if keep else (*self.recent, len(new.key))
        memory = replace(self, entries=entries, kept=self.kept + len(new.key) * keep, recent=recent)
        frames = len(recent) + (memory.kept > 0)
        return memory.consolidated(
        ) if self.config.long_term and frames >= self.config.max_mid_frames else memory

    def read(self, key: Tensor, selection: Tensor) -> tuple[Reading, Memory]:
        """key, selection: (N, Ck) of the querying pixels -> what they read, and the memory with updated
        usage."""
        top_k, e = self.config.top_k, self.entries
        if top_k is None:
            reading = read_all(e.key, e.shrinkage, e.value, key, selection, self.config.temperature)
        else:
            reading = read_top(e.key, e.shrinkage, e.value, key, selection, top_k, self.config.temperature)
        if not self.config.long_term:
            return reading, self
        counted = e._replace(use=e.use + reading.received.detach(), life=e.life + 1)
        return reading, replace(self, entries=counted)

    def consolidated(self) -> Memory:
        """The older recent frames as prototypes of the long-term memory (Eq. 7, 8)."""
        leaving = len(self.recent) - (self.config.min_mid_frames - 1)
        begin = self.long + self.kept
        end = begin + sum(self.recent[:leaving])
        if leaving <= 0 or end == begin:
            return self
        long = self.without_the_least_used()
        new = prototypes(self.entries.at(slice(begin, end)), self.config.prototypes)
        kept, rest = self.entries.at(slice(self.long, begin)), self.entries.at(slice(end, None))
        return replace(self, entries=join(long, new, kept, rest), long=len(long.key) + len(new.key),
                       recent=self.recent[leaving:])

    def without_the_least_used(self) -> Entries:
        """The long-term memory, with room for new prototypes. All entries that tie with the last one evicted
        are evicted too."""
        long = self.entries.at(slice(self.long))
        surplus = self.long - (self.config.max_long - self.config.prototypes)
        if surplus <= 0:
            return long
        return long.at(long.usage > long.usage.kthvalue(surplus).values)


def prototypes(candidates: Entries, count: int) -> Entries:
    """The `count` most used candidates; each gets the mix of values that its own key would read.

    The key is the entry's own (T_M in Eq. 7c); value and shrinkage are softmax mixtures over all candidates.
    The paper picks values too; the authors' code mixes them.
    """
    chosen = candidates.at(candidates.usage.topk(min(count, len(candidates.key))).indices)  # most used first
    scores = similarity(candidates.key, candidates.shrinkage, chosen.key, chosen.selection)  # (P, candidates)
    weights = scores.softmax(-1)
    mixed = weights.to(candidates.value.dtype) @ candidates.value
    return chosen._replace(value=mixed, shrinkage=weights @ candidates.shrinkage,
                           use=torch.zeros_like(chosen.use), life=torch.full_like(chosen.life, 1e-7))
