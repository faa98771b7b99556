"""Where a pixel's colour comes from, as maps over the film's frames: for notebooks and for the question "why this colour?"."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colorlab.modules.sources import Source
from colorlab.papers.colormnet.state import Look, State


def attention(network: nn.Module, l: Tensor, state: State, at: tuple[int, int]) -> dict[Source, Tensor]:
    """{source: (H, W)}, none negative, all of them together summing to 1.

    l: (1, 1, H, W), the frame to be coloured next; at: (y, x). Sources are the references, "frame 5", "long-term memory"
    (prototypes, at the places where they were first seen) and "neighbours (frame 5)" (local attention). Memory and neighbourhood count a half each, as the
    network adds the two (or as its `share` says). A cell's weight is spread over its pixels. The hidden state and the frame's own
    features have no place of origin and are left out.
    """
    y, x = at
    H, W = l.shape[-2:]
    if len(l) != 1 or not (0 <= y < H and 0 <= x < W):
        raise ValueError(f"attention looks at one pixel of one film: l (1, 1, H, W) and (y, x) inside, got {tuple(l.shape)}, {at}")
    state = network.opened(l, state)
    if state.given is not None:
        own = l.new_zeros(H, W)
        own[y, x] = 1
        return {_source(state, "exemplar", state.frame): own}
    grid_h, grid_w = state.hidden.shape[-2:]
    top, left = (grid_h * network.stride - H) // 2, (grid_w * network.stride - W) // 2
    row, column = (y + top) // network.stride, (x + left) // network.stride
    with network.autocast(l.device):
        look = network.look(l, state)
        query = look.query
        near, share = _neighbours(network, look, state, row, column)
    cells: dict[Source, Tensor] = {}
    for kind, weights in network.propagation.sources(state.held, query, row * grid_w + column):
        source = _source(state, *kind)
        cells[source] = cells.get(source, 0) + weights * (1 - share)  # an exemplar may be held twice: foreign at first, then as its frame
    if near is not None:
        cells[Source("neighbours (frame {frame})", "frame", state.last.frame)] = near.flatten() * share
    maps = {name: network.crop(_spread(weights.view(grid_h, grid_w), network.stride), l) for name, weights in cells.items()}
    total = float(sum(m.sum() for m in maps.values()))
    if total == 0:  # everything was read from the padding
        return {name: torch.full_like(m, 1 / (len(maps) * H * W)) for name, m in maps.items()}
    return {name: m / total for name, m in maps.items()}


def _neighbours(network: nn.Module, look: Look, state: State, row: int, column: int) -> tuple[Tensor | None, float]:
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


def _source(state: State, kind: str, frame: int) -> Source:
    """What the propagation calls a kind and a frame; a negative frame counts the foreign exemplars down from -1."""
    if kind == "exemplar":
        pictures = [source for source in state.sources if source.frame is None]
        foreign = pictures or sorted(state.sources, key=lambda source: source.frame)[:1]
        own = {source.frame: source for source in state.sources}
        return foreign[-1 - frame] if frame < 0 else own.get(frame, Source("reference (frame {frame})", "reference", frame))
    return {"long-term": Source("long-term memory", "memory"), "frame": Source("frame {frame}", "frame", frame),
            "previous": Source("previous frame", "frame", max(0, state.frame - 1))}[kind]
