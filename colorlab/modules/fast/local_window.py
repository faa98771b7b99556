"""Attention of every pixel over the window around it: ColorMNet's local attention, and the course CAVC's
warp.

No compiled extension and no dense matrix: the map is cut into square tiles, each tile's queries attend to the
keys of the tile and of a margin around it, and keys outside a query's own window are masked.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# queries per tile side: small tiles waste less on masked keys, large ones make longer matrix products
TILE = 8


def window_attention_as_written(query: Tensor, key: Tensor, value: Tensor, bias: Tensor,
                                window: int) -> Tensor:
    """ColorMNet's Eq. 12, one pixel after the other. Shapes as for `window_attention`."""
    (_, Ck, h, w), radius, out = query.shape, window // 2, torch.zeros_like(value)
    for y in range(h):
        for x in range(w):
            rows = torch.arange(max(0, y - radius), min(h, y + radius + 1))
            columns = torch.arange(max(0, x - radius), min(w, x + radius + 1))
            near = lambda maps: maps[..., rows[:, None], columns].flatten(2)  # (B, C, n)
            # of the window² displacements
            which = ((rows[:, None] - y + radius) * window + columns - x + radius).flatten()
            logits = (query[:, :, y, x, None] * near(key)).sum(1) / Ck**0.5 + bias[:, which, y, x]
            out[:, :, y, x] = (near(value) * logits.softmax(-1)[:, None]).sum(-1)
    return out


def window_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, window: int) -> Tensor:
    """softmax(q · k / √Ck + bias) v over the `window` x `window` pixels around each pixel that lie in the
    image (Eq. 12).

    query, key: (B, Ck, h, w); value: (B, Cv, h, w); bias: (B, window², h, w), one per displacement. Returns
    (B, Cv, h, w).
    """
    B, Ck, h, w = query.shape
    radius, rows, columns = window // 2, -(-h // TILE), -(-w // TILE)
    grow = (0, columns * TILE - w, 0, rows * TILE - h)
    margin = (radius, radius + grow[1], radius, radius + grow[3])
    inside = F.pad(query.new_ones(1, 1, h, w), margin)

    queries = _tiles(F.pad(query / Ck**0.5, grow), TILE)               # (B, tiles, TILE², Ck)
    keys = _tiles(F.pad(key, margin), TILE + 2 * radius)               # (B, tiles, side², Ck)
    displacement = _displacements(window, query.device)                # (TILE², side²)
    biases = _tiles(F.pad(bias, grow), TILE)                           # (B, tiles, TILE², window²)
    biases = F.pad(biases.float(), (0, 1), value=-torch.inf)           # the last one: outside the window
    logits = (queries @ keys.mT).float() + biases.gather(-1, displacement.expand(*biases.shape[:2], -1, -1))
    # Outside the image but within the window: a large negative number and not -inf, because a query that only
    # pads its tile has no other keys.
    logits = logits + (_tiles(inside, TILE + 2 * radius).float() - 1).mT * 1e8
    weights = logits.softmax(-1).to(value.dtype)
    mixed = weights @ _tiles(F.pad(value, margin), TILE + 2 * radius)  # (B, tiles, TILE², Cv)
    mixed = mixed.view(B, rows, columns, TILE, TILE, -1).permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
    return mixed[..., :h, :w].contiguous(memory_format=torch.channels_last)


def _tiles(x: Tensor, side: int) -> Tensor:
    """(B, C, ...) -> (B, tiles, side², C): squares of `side` pixels at stride TILE, row by row."""
    # (B, rows, columns, C, side, side)
    tiles = x.permute(0, 2, 3, 1).unfold(1, side, TILE).unfold(2, side, TILE)
    return tiles.flatten(1, 2).permute(0, 1, 3, 4, 2).flatten(2, 3)


def _displacements(window: int, device: torch.device) -> Tensor:
    """(TILE², side²): the index among the window² displacements from a tile's query to a key of the larger
    square."""
    query = torch.arange(TILE, device=device)
    key = torch.arange(TILE + window - 1, device=device)
    offset = key - query[:, None]  # (TILE, side), 0 .. window-1 if within
    within = (offset >= 0) & (offset < window)
    index = offset[:, None, :, None] * window + offset[None, :, None, :]  # (TILE, TILE, side, side)
    index = index.masked_fill(~(within[:, None, :, None] & within[None, :, None, :]), window**2)
    return index.flatten(2).flatten(0, 1)
