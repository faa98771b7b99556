"""Where a pixel's colour comes from: the maps behind `LSTVC.attention`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .attention import to_tokens
from .model import pad
from .state import LSTVCState

if TYPE_CHECKING:
    from .model import LSTVC


@torch.no_grad()
def attention_maps(model: LSTVC, l: Tensor, state: LSTVCState, at: tuple[int, int]) -> dict[str, Tensor]:
    """l: (1, 1, 1, H, W), one frame of one film; state with its references encoded. See `LSTVC.attention`."""
    H, W = l.shape[-2:]
    y, x = at
    if len(l) != 1 or l.shape[1] != 1:
        raise ValueError(f"attention looks at one frame of one film, (1, 1, H, W), got a batch of {len(l)} x {l.shape[1]}")
    if not (0 <= y < H and 0 <= x < W):
        raise ValueError(f"attention: the pixel (y, x) = {at} lies outside the frame of {H} x {W}")
    in_use = state.in_use(1)
    references, names = model._references(state, 1), [_name(state, index) for index in in_use]
    preceding = state.last is not None
    names += [f"last frame {state.frame - 1}"] * preceding
    lightness = pad(l[:, 0])[:, None]
    features, _ = model._features(model._seen(lightness), references, state)

    linked, share = _linkage_map(model, lightness, state, at)
    maps = _head_maps(model, features, len(names), preceding, at)             # (heads, R, h, w), each head's sum to 1
    similarity = model.heads(features, references.color, preceding).similarity[0, 0, :, y // 4, x // 4].clamp(min=1e-3)
    weights = (1 - share) * similarity / similarity.sum()                     # (heads,)
    named = {f"{name}, {head} head": weights[k] * _enlarged(maps[k, position], 4, (H, W))
             for position, name in enumerate(names) for k, head in enumerate(model.heads.names)}
    if linked is not None:
        named["linkage state"] = share * _enlarged(linked, 8, (H, W))
    total = sum(map.sum() for map in named.values())                          # what fell on the padding is missing from it
    return {name: map / total for name, map in named.items()}


def _head_maps(model: LSTVC, features: Tensor, references: int, preceding: bool, at: tuple[int, int]) -> Tensor:
    """Eq. 2's softmax of one cell: (heads, R, h, w)."""
    h, w = features.shape[-2:]
    query, key = model.heads.queries_and_keys(features, references, preceding)  # (1, heads, h * w or R * h * w, C)
    correlation = (key[0] @ query[0, :, (at[0] // 4) * w + at[1] // 4, :, None])[..., 0]
    temperature = max(model.config.temperature, 1e-6)                         # the nearest neighbour: a softmax that is one-hot
    return (correlation / temperature).softmax(-1).view(-1, references, h, w)


def _linkage_map(model: LSTVC, l: Tensor, state: LSTVCState, at: tuple[int, int]) -> tuple[Tensor | None, float]:
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


def _name(state: LSTVCState, index: int) -> str:
    reference = state.references[index]
    if reference.frame is not None:
        return f"frame {reference.frame}"
    pictures = [i for i, other in enumerate(state.references) if other.frame is None]
    return "reference" if pictures.index(index) == 0 else f"reference {pictures.index(index) + 1}"
