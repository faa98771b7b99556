"""Where a pixel's colour comes from: the maps behind `LSTVC.attention`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colorlab.modules.padding import repeat_border
from colorlab.modules.sources import Source
from colorlab.papers.lstvc.attention import to_tokens
from colorlab.papers.lstvc.state import LSTVCState, stacked


@torch.no_grad()
def attention_maps(model: nn.Module, l: Tensor, state: LSTVCState, at: tuple[int, int]) -> dict[Source, Tensor]:
    """l: (1, 1, 1, H, W), one frame of one film; state with its references encoded. See `LSTVC.attention`."""
    H, W = l.shape[-2:]
    y, x = at
    if len(l) != 1 or l.shape[1] != 1:
        raise ValueError(f"attention looks at one frame of one film, (1, 1, H, W), got a batch of {len(l)} x {l.shape[1]}")
    if not (0 <= y < H and 0 <= x < W):
        raise ValueError(f"attention: the pixel (y, x) = {at} lies outside the frame of {H} x {W}")
    references, sources = stacked(model.references(state, 1)), model.sources(state, 1)
    lightness = repeat_border(l[:, 0], multiple=8, smallest=16)[:, None]
    features, _ = model.features(model.seen(lightness), references, state)

    linked, share = _linkage_map(model, lightness, state, at)
    correlation = _correlation(model, features, state, len(sources), at)      # (heads, R, h, w)
    temperature = max(model.config.temperature, 1e-6)                         # the nearest neighbour: a softmax that is one-hot
    maps = (correlation.flatten(1) / temperature).softmax(-1).view_as(correlation)  # Eq. 2, each head's sum to 1
    similarity = correlation.flatten(1).amax(-1).clamp(min=1e-3)              # Eq. 3
    weights = (1 - share) * similarity / similarity.sum()                     # (heads,)
    named = {source.detailed(f"{head} head"): weights[k] * _enlarged(maps[k, position], 4, (H, W))
             for position, source in enumerate(sources) for k, head in enumerate(model.heads.names)}
    if linked is not None:
        named[Source("linkage state", "memory")] = share * _enlarged(linked, 8, (H, W))
    total = sum(map.sum() for map in named.values())                          # what fell on the padding is missing from it
    return {name: map / total for name, map in named.items()}


def _correlation(model: nn.Module, features: Tensor, state: LSTVCState, references: int, at: tuple[int, int]) -> Tensor:
    """Eq. 1 of one cell with all cells of the references: (heads, R, h, w)."""
    h, w = features.shape[-2:]
    query, key = model.compared(features, references, state)                  # (1, heads, h * w or R * h * w, C)
    return (key[0] @ query[0, :, (at[0] // 4) * w + at[1] // 4, :, None])[..., 0].view(-1, references, h, w)


def _linkage_map(model: nn.Module, l: Tensor, state: LSTVCState, at: tuple[int, int]) -> tuple[Tensor | None, float]:
    """Where Eq. 6's query of one token looks, (h, w) summed over the state's frames, and how much it weighs beside the token."""
    if state.linkage is None:
        return None, 0.0
    w = l.shape[-1] // 8
    tokens = to_tokens(model.project(model.backbone((l[:, 0] / 100).expand(-1, 3, -1, -1)).high).tokens, 1)
    token = tokens[:, (at[0] // 8) * w + at[1] // 8][:, None]                 # (1, 1, 384)
    attention = model.linkage.query_layer.attention
    added = attention(token, state.linkage, state.linkage)
    share = float(added.norm() / (added.norm() + token.norm()))
    seen = attention.weights(token, state.linkage)[0, 0, :-2]                 # the learnt and the zero key are nowhere
    return (seen / seen.sum()).view(-1, *state.grid).sum(0), share


def _enlarged(map: Tensor, factor: int, size: tuple[int, int]) -> Tensor:
    """Each cell's weight spread evenly over its `factor` x `factor` pixels, cropped to size."""
    map = map.repeat_interleave(factor, 0).repeat_interleave(factor, 1) / factor ** 2
    return map[:size[0], :size[1]]
