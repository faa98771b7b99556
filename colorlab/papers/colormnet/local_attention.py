"""Local attention: read the last remembered frame in a window around each pixel (ColorMNet §3.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.fast.local_window import window_attention


class LocalAttention(nn.Module):
    """Eq. 12 with what the authors' code adds: a learned relative bias, a depthwise 5x5 and a linear layer
    after it."""

    def __init__(self, key: int = 64, value: int = 512, window: int = 15):
        super().__init__()
        self.window = window  # λ in Eq. 12
        self.relative = nn.Conv2d(key, window**2, 1)
        self.spread = nn.Conv2d(2 * value, 2 * value, 5, padding=2, groups=2 * value, bias=False)
        # besides the value encoder's input, the only layer that mixes a and b
        self.project = nn.Linear(2 * value, 2 * value)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """query, key: (B, Ck, h, w) of this frame and of the remembered one; value: (B, 2, Cv, h, w) -> what
        is to be added to what was read from memory, of the same shape."""
        return self.projected(self.mixed(query, key, value.flatten(1, 2)))

    def mixed(self, query: Tensor, key: Tensor, rows: Tensor) -> Tensor:
        """The softmax of Eq. 12: each pixel's weighted mean of any rows (B, C, h, w) over its window."""
        return window_attention(query, key, rows, self.relative(query), self.window)

    def projected(self, mixed: Tensor) -> Tensor:
        """(B, 2 Cv, h, w) -> (B, 2, Cv, h, w)."""
        out = self.project(self.spread(mixed).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out.unflatten(1, (2, -1))

    def weights(self, query: Tensor, key: Tensor) -> Tensor:
        """(B, window², h, w): each pixel's weights over its window, row by row from (-r, -r); 0 outside the
        image."""
        neighbours = F.unfold(key.float(), self.window, padding=self.window // 2)  # (B, Ck * window², N)
        neighbours = neighbours.unflatten(1, (key.shape[1], -1)).unflatten(-1, key.shape[-2:])
        logits = (query.float().unsqueeze(2) *
                  neighbours).sum(1) / key.shape[1]**0.5 + self.relative(query).float()
        inside = F.unfold(key.new_ones(1, 1, *key.shape[-2:], dtype=torch.float), self.window,
                          padding=self.window // 2)
        outside = inside.unflatten(-1, key.shape[-2:]) == 0                        # (1, window², h, w)
        return logits.masked_fill(outside, -torch.inf).softmax(1)
