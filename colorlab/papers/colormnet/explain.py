"""Where a pixel's colour comes from, as maps over the film's frames: for notebooks and for the question "why
this colour?"."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colorlab.modules.sources import Attention, Source, own_pixel
from colorlab.papers.colormnet.state import State


@torch.no_grad()
def attention_of(network: nn.Module, l: Tensor, state: State) -> Attention:
    """{source: (H, W)} for any pixel (y, x), none negative, all of them together summing to 1.

    l: (1, 1, H, W), the frame to be coloured next. Sources are the references, "frame 5", "long-term memory"
    (prototypes, at the places where they were first seen) and "neighbours (frame 5)" (local attention).
    Memory and neighbourhood count half each, since the network adds the two (or as its `shares` say). A
    cell's weight is spread over its pixels. The hidden state and the frame's own features come from no
    particular place and are left out.
    """
    H, W = l.shape[-2:]
    if len(l) != 1:
        raise ValueError(f"attention looks at one film: l (1, 1, H, W), got {tuple(l.shape)}")
    state = network.opened(l, state)
    if state.given is not None:
        return lambda at: {_source(state, "exemplar", state.frame): own_pixel(l, at)}
    grid_h, grid_w = state.hidden.shape[-2:]
    top, left = (grid_h * network.stride - H) // 2, (grid_w * network.stride - W) // 2
    near = shares = None
    with network.autocast(l.device):
        look = network.look(l, state)
        if network.local_attention is not None and state.last is not None:
            near = network.local_attention.weights(look.query.key, state.last.key)[0]        # (window², h, w)
            shares = network.shares(look, state)                                             # (h, w)

    @torch.no_grad()
    def at_pixel(at: tuple[int, int]) -> dict[Source, Tensor]:
        y, x = at
        if not (0 <= y < H and 0 <= x < W):
            raise ValueError(f"attention: the pixel (y, x) = {at} lies outside the frame of {H} x {W}")
        row, column = (y + top) // network.stride, (x + left) // network.stride
        share = 0.0 if near is None else float(shares[row, column])
        cells: dict[Source, Tensor] = {}
        for kind, weights in network.propagation.sources(state.held, look.query, row * grid_w + column):
            source = _source(state, *kind)
            # an exemplar may be stored twice: as foreign, then as its frame
            cells[source] = cells.get(source, 0) + weights * (1 - share)
        if near is not None:
            cells[Source("neighbours (frame {frame})", "frame",
                         state.last.frame)] = share * _in_window(near, row, column).flatten()
        maps = {
            source: network.crop(_spread(weights.view(grid_h, grid_w), network.stride), l)
            for source, weights in cells.items()
        }
        total = float(sum(m.sum() for m in maps.values()))
        if total == 0:  # everything was read from the padding
            return {source: torch.full_like(m, 1 / (len(maps) * H * W)) for source, m in maps.items()}
        return {source: m / total for source, m in maps.items()}
    return at_pixel


def _in_window(weights: Tensor, row: int, column: int) -> Tensor:
    """Local attention's weights (window², h, w) of one cell, on the grid: (h, w)."""
    window = int(len(weights) ** 0.5)
    h, w = weights.shape[-2:]
    padded = weights.new_zeros(h + window - 1, w + window - 1)
    padded[row:row + window, column:column + window] = weights[:, row, column].view(window, window)
    return padded[window // 2:window // 2 + h, window // 2:window // 2 + w]


def _spread(cells: Tensor, stride: int) -> Tensor:
    """(h, w) -> (stride * h, stride * w) with the same sum."""
    return cells.repeat_interleave(stride, 0).repeat_interleave(stride, 1) / stride**2


def _source(state: State, kind: str, frame: int) -> Source:
    """The Source for a kind and a frame of the propagation; foreign exemplars have frames -1, -2, ..."""
    if kind == "exemplar":
        pictures = [source for source in state.sources if source.frame is None]
        foreign = pictures or sorted(state.sources, key=lambda source: source.frame)[:1]
        own = {source.frame: source for source in state.sources}
        return foreign[-1 - frame] if frame < 0 else own.get(
            frame, Source("reference (frame {frame})", "reference", frame))
    return {
        "long-term": Source("long-term memory", "memory"), "frame": Source("frame {frame}", "frame", frame),
        "previous": Source("previous frame", "frame", max(0, state.frame - 1))
    }[kind]
