"""Where a pixel's colour comes from, as maps over the film's frames: for notebooks and for the question "why this colour?"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .state import Look, State

if TYPE_CHECKING:
    from .model import ColorMNet


def attention(network: ColorMNet, l: Tensor, state: State, at: tuple[int, int]) -> dict[str, Tensor]:
    """{source: (H, W)}, none negative, all of them together summing to 1.

    l: (1, 1, H, W), the frame to be coloured next; at: (y, x). Sources are "reference", "reference 2" (pictures that are no frames
    of the film), "reference (frame 5)" (a frame's own colours), "frame 5", "long-term memory" (prototypes, at the places where
    they were first seen) and "neighbours (frame 5)" (local attention). Memory and neighbourhood count a half each, as the
    network adds the two; where chroma is carried, its learned share. A cell's weight is spread over its pixels. The hidden state
    and the frame's own features have no place of origin and are left out. Where places in the exemplar are carried (`register`), the maps
    are still of what was read, one link of the chain: what "frame 5" held there came itself from the exemplar.
    """
    y, x = at
    H, W = l.shape[-2:]
    if len(l) != 1 or not (0 <= y < H and 0 <= x < W):
        raise ValueError(f"attention looks at one pixel of one film: l (1, 1, H, W) and (y, x) inside, got {tuple(l.shape)}, {at}")
    state = network.opened(l, state)
    if state.given is not None:
        own = l.new_zeros(H, W)
        own[y, x] = 1
        return {f"reference (frame {state.frame})": own}
    grid_h, grid_w = state.hidden.shape[-2:]
    top, left = (grid_h * network.stride - H) // 2, (grid_w * network.stride - W) // 2
    row, column = (y + top) // network.stride, (x + left) // network.stride
    with network.autocast(l.device):
        look = network.look(l, state)
        query = look.query
        near, share = _neighbours(network, look, state, row, column)
    cells = {_name(*source): weights * (1 - share)
             for source, weights in network.propagation.sources(state.held, query, row * grid_w + column)}
    if near is not None:
        cells[f"neighbours (frame {state.last.frame})"] = near.flatten() * share
    maps = {name: network.crop(_spread(weights.view(grid_h, grid_w), network.stride), l) for name, weights in cells.items()}
    total = float(sum(m.sum() for m in maps.values()))
    if total == 0:  # everything was read from the padding
        return {name: torch.full_like(m, 1 / (len(maps) * H * W)) for name, m in maps.items()}
    return {name: m / total for name, m in maps.items()}


def _neighbours(network: ColorMNet, look: Look, state: State, row: int, column: int) -> tuple[Tensor | None, float]:
    """Local attention's weights (h, w) for a cell, and the share of the colour that comes from there."""
    if network.local_attention is None or state.last is None:
        return None, 0.0
    key = look.query.key
    h, w = key.shape[-2:]
    window, radius = network.local_attention.window, network.local_attention.window // 2
    weights = network.local_attention.weights(key, state.last.key)[0, :, row, column].view(window, window)
    padded = weights.new_zeros(h + 2 * radius, w + 2 * radius)
    padded[row:row + window, column:column + window] = weights
    return padded[radius:radius + h, radius:radius + w], network.share(look, state, row, column)


def _spread(cells: Tensor, stride: int) -> Tensor:
    """(h, w) -> (stride * h, stride * w) with the same sum."""
    return cells.repeat_interleave(stride, 0).repeat_interleave(stride, 1) / stride**2


def _name(kind: str, frame: int) -> str:
    if frame < 0:
        return "reference" if frame == -1 else f"reference {-frame}"
    return {"long-term": "long-term memory", "exemplar": f"reference (frame {frame})", "frame": f"frame {frame}",
            "previous": "previous frame"}[kind]
