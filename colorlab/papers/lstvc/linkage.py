"""The state passed from one block of frames to the next (LSTVC §3.2, Eq. 6 and 7)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.papers.lstvc.attention import Attention


class LinkageLayer(nn.Module):
    """Cross-attention: `tokens` attend to `other`; both halves of the subnet are this layer."""

    def __init__(self, width: int = 384, heads: int = 4, inner: int = 2048, dropout: float = 0.0):
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, other: Tensor) -> Tensor:
        """tokens: (B, S, C), other: (B, M, C), of any two lengths. Returns (B, S, C)."""
        tokens = self.norm1(tokens + self.dropout(self.attention(tokens, other, other)))
        inner = self.dropout(F.relu(self.linear1(tokens), inplace=True))
        return self.norm2(tokens + self.dropout(self.linear2(inner)))


class Linkage(nn.Module):
    """Query the state before a block, store the block's tokens after it; the state keeps the length of the
    first block."""

    def __init__(self, width: int = 384, heads: int = 4, inner: int = 2048, dropout: float = 0.0):
        super().__init__()
        self.query_layer = LinkageLayer(width, heads, inner, dropout)
        self.store_layer = LinkageLayer(width, heads, inner, dropout)

    def query(self, tokens: Tensor, state: Tensor | None) -> Tensor:
        """hi_t of Eq. 6: tokens (B, S, C) of this block and the state (B, M, C), None before the first
        block."""
        return tokens if state is None else self.query_layer(tokens, state)

    def store(self, state: Tensor | None, tokens: Tensor) -> Tensor:
        """i_t of Eq. 7: the state with what this block's output tokens ho_t add to it."""
        return tokens if state is None else self.store_layer(state, tokens)


class NoLinkage(nn.Module):
    """Each block on its own: row "w/o Linkage Subnet" of the paper's Table 2."""

    def query(self, tokens: Tensor, state: Tensor | None) -> Tensor:
        return tokens

    def store(self, state: Tensor | None, tokens: Tensor) -> None:
        return None
