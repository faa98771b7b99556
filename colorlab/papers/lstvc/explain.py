"""Where a pixel's colour comes from: the maps behind `LSTVC.attention`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colorlab.modules.padding import repeat_border
from colorlab.modules.sources import Attention, Source
from colorlab.papers.lstvc.attention import to_tokens
from colorlab.papers.lstvc.state import LSTVCState, stacked


@torch.no_grad()
def attention_of(model: nn.Module, l: Tensor, state: LSTVCState) -> Attention:
    """l: (1, 1, 1, H, W), one frame of one film; state with its references encoded. See `LSTVC.attention`."""
    H, W = l.shape[-2:]
    if len(l) != 1 or l.shape[1] != 1:
        raise ValueError(f"attention looks at one frame of one film, (1, 1, H, W), got a batch of {len(l)} "
                         f"x {l.shape[1]}")
    references, sources = stacked(model.references(state, 1)), model.sources(state, 1)
    lightness = repeat_border(l[:, 0], multiple=8, smallest=16)[:, None]
    seen = model.seen(lightness)
    features, _ = model.features(seen, references, state)
    # (heads, h * w or R * h * w, C)
    query, key = (part[0] for part in model.compared(features, len(sources), state))
    tokens = to_tokens(seen.high.tokens[0], 1)         # (1, H/8 * W/8, 384)
    temperature = max(model.config.temperature, 1e-6)  # the nearest neighbour: a softmax that is one-hot

    @torch.no_grad()
    def at_pixel(at: tuple[int, int]) -> dict[Source, Tensor]:
        y, x = at
        if not (0 <= y < H and 0 <= x < W):
            raise ValueError(f"attention: the pixel (y, x) = {at} lies outside the frame of {H} x {W}")
        linked, share = _linkage_map(
            model, state, tokens[:, (y // 8) * (lightness.shape[-1] // 8) + x // 8][:, None]
        )
        h, w = features.shape[-2:]
        correlation = (key @ query[:, (y // 4) * w + x // 4, :, None])[..., 0]   # (heads, R * h * w)  Eq. 1
        maps = (correlation / temperature).softmax(-1).view(len(key), -1, h, w)  # Eq. 2, each head's sum to 1
        similarity = correlation.amax(-1).clamp(min=1e-3)                        # Eq. 3
        weights = (1 - share) * similarity / similarity.sum()                    # (heads,)
        named = {source.detailed(f"{head} head"): weights[k] * _enlarged(maps[k, position], 4, (H, W))
                 for position, source in enumerate(sources) for k, head in enumerate(model.heads.names)}
        if linked is not None:
            named[Source("linkage state", "memory")] = share * _enlarged(linked, 8, (H, W))
        total = sum(map.sum() for map in named.values())  # weight on the padding is missing from it
        return {source: map / total for source, map in named.items()}
    return at_pixel


def _linkage_map(model: nn.Module, state: LSTVCState, token: Tensor) -> tuple[Tensor | None, float]:
    """What Eq. 6's query of one token, (1, 1, 384), attends to, (h, w) summed over the state's frames, and
    its weight relative to the token."""
    if state.linkage is None:
        return None, 0.0
    attention = model.linkage.query_layer.attention
    added = attention(token, state.linkage, state.linkage)
    share = float(added.norm() / (added.norm() + token.norm()))
    seen = attention.weights(token, state.linkage)[0, 0, :-2]  # the learned and the zero key have no position
    return (seen / seen.sum()).view(-1, *state.grid).sum(0), share


def _enlarged(map: Tensor, factor: int, size: tuple[int, int]) -> Tensor:
    """Each cell's weight spread evenly over its `factor` x `factor` pixels, cropped to size."""
    map = map.repeat_interleave(factor, 0).repeat_interleave(factor, 1) / factor ** 2
    return map[:size[0], :size[1]]
