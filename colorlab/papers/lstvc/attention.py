"""The transformer parts that all subnets share: attention with two extra keys, one layer of it, and positions
in space and time."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention in which every query may also attend to a learned key, or to nothing.

    After the projection a learned key and value (`bias_k`, `bias_v`) and then an all-zero key and value are
    appended to the sequence: S keys become S + 2, and weight on the last one is attention to nothing.
    Parameters and results are those of `torch.nn.MultiheadAttention(..., add_bias_kv=True,
    add_zero_attn=True)`, which materialises the attention matrix; here the fused kernel computes a few rows
    at a time.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0):
        super().__init__()
        if width % heads:
            raise ValueError(f"attention of width {width} cannot be split over {heads} heads")
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))  # query, key, value
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.bias_k, self.bias_v = (nn.Parameter(torch.empty(1, 1, width)) for _ in range(2))
        self.out_proj = nn.Linear(width, width)
        for weight in (self.in_proj_weight, self.bias_k, self.bias_v):
            nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """query: (B, Q, C), key and value: (B, S, C). Returns (B, Q, C)."""
        query, key, value = self._project(query, key, value)
        dropout = self.dropout if self.training else 0.0
        # (B, heads, Q, C / heads)
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def weights(self, query: Tensor, key: Tensor) -> Tensor:
        """Attention weights of each query, averaged over the heads: (B, Q, S + 2), the learned and the zero
        key last; rows sum to 1."""
        query, key, _ = self._project(query, key, key)
        return (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1).mean(1)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project, append the two extra keys and values, split over the heads: (B, heads, Q or S + 2, C /
        heads)."""
        weight, bias = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        query, key, value = (F.linear(x, w, b) for x, w, b in zip((query, key, value), weight, bias))
        query, key, value = (self._split(x) for x in (query, key, value))
        # Concatenated per head, so that each head's keys are contiguous: the fused kernel reads them once for
        # every strip of queries.
        key, value = (torch.cat(
            (x, self._split(extra.to(x)).expand(len(x), -1, -1, -1), torch.zeros_like(x[:, :, :1])), dim=2)
                      for x, extra in ((key, self.bias_k), (value, self.bias_v)))
        return query, key, value

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, S, C) -> (B, heads, S, C / heads)."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network, each on the normalised tokens and added to them."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float = 0.0):
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, position: Tensor | None = None, first: int = 0) -> Tensor:
        """tokens: (B, S, C); position: (S, C), added to queries and keys but not to values.

        first: tokens before this one serve as keys and values only. Returns (B, S - first, C).
        """
        values = self.norm1(tokens)
        keys = values if position is None else values + position
        tokens = tokens[:, first:]
        tokens = tokens + self.dropout(self.attention(keys[:, first:], keys, values))
        return tokens + self.dropout(
            self.linear2(self.dropout(F.relu(self.linear1(self.norm2(tokens)), inplace=True))))


def sine_position(frames: int, height: int, width: int, channels: int,
                  device: torch.device | None = None) -> Tensor:
    """Position embedding of a block's cells in space and time: (frames, channels, height, width), float32, in
    [-1, 1] (VisTR's 3-D sine).

    A third of the channels each for time, row and column. Each coordinate counts from 1 and is divided by its
    last, so it runs up to
    2 pi whatever the size: a shorter block is stretched, and the reference, which comes first, is at time 1.
    """
    if channels % 6:
        raise ValueError("a position has sine and cosine of three coordinates: channels must be a "
                         f"multiple of 6, got {channels}")
    # each (size, channels / 3)
    axes = [_sine(size, channels // 3, device) for size in (frames, height, width)]
    time, row, column = axes[0][:, :, None, None], axes[1].T[None, :, :, None], axes[2].T[None, :, None, :]
    return torch.cat([axis.expand(frames, -1, height, width) for axis in (time, row, column)], dim=1)


def _sine(size: int, channels: int, device: torch.device | None) -> Tensor:
    coordinate = torch.arange(1, size + 1, dtype=torch.float32, device=device)
    coordinate = coordinate / (coordinate[-1] + 1e-6) * 2 * math.pi
    channel = torch.arange(channels, dtype=torch.float32, device=device)
    angle = coordinate[:, None] / 10000 ** (2 * (channel / 2).floor() / channels)        # (size, channels)
    return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1)


def to_tokens(maps: Tensor, videos: int) -> Tensor:
    """(B * n, C, h, w) -> (B, n * h * w, C): frame by frame, row by row."""
    return maps.unflatten(0, (videos, -1)).movedim(2, -1).flatten(1, 3)


def to_maps(tokens: Tensor, height: int, width: int) -> Tensor:
    """(B, n * h * w, C) -> (B * n, C, h, w)."""
    return tokens.unflatten(1, (-1, height, width)).movedim(-1, 2).flatten(0, 1)
