"""Swin attention: every pixel attends to the 8 x 8 window it lies in, then to a window shifted by half (CAVC
§3.1.1, §3.1.3).

One pair of blocks, regular and shifted, serves Single Channel Attention and all eight levels of
U-Colorization. The paper says "Swin attention" and no more; the blocks are those of the first Swin
Transformer (Liu et al., 2021), channels last inside.

Two things differ from the usual code; neither changes a number if windows divide the size:

- All windows go through **one** `scaled_dot_product_attention`, never holding the (windows, N, N) weights.
  Windows are on its batch axis and images times heads on its head axis: a mask then varies along the first
  only, so that the one-head blocks at full resolution, where it is largest, share it between images without a
  copy.
- Other sizes are padded, and padding is masked for every real pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class WindowPair(nn.Module):
    """Attention within windows, then within windows shifted by half a window, so that colour can cross a
    border."""

    def __init__(self, width: int, heads: int, window: int = 8):
        super().__init__()
        self.regular = WindowBlock(width, heads, window, shift=0)
        self.shifted = WindowBlock(width, heads, window, shift=window // 2)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape, any H and W."""
        return self.shifted(self.regular(features.movedim(1, -1))).movedim(-1, 1)

    def weights(self, features: Tensor, at: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What the pixel at (y, x) attends to: the regular and the shifted block's attention, each (B, H, W)
        and summing to 1.

        features: (B, C, H, W), what `forward` would be given; the shifted block sees the regular block's
        output.
        """
        features = features.movedim(1, -1)
        return self.regular.weights(features, at), self.shifted.weights(self.regular(features), at)


class WindowBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), within windows (Swin Transformer, Fig. 3b)."""

    def __init__(self, width: int, heads: int, window: int = 8, shift: int = 0):
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} attention heads cannot share {width} channels evenly")
        self.heads, self.window, self.shift = heads, window, shift
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        # per head, one number for each offset (dy, dx)
        self.bias = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        self.register_buffer("offsets", relative_offsets(window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        B, H, W, C = x.shape
        # (n, B * heads, N, C / heads) each
        query, key, value = self._split_heads(self.qkv(self._to_windows(self.norm1(x))))
        mask = self._mask(H, W, B)  # (1 or n, 1 or B * heads, N, N)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.unflatten(1, (B, self.heads)).transpose(2, 3).flatten(3)  # (n, B, N, C)
        x = x + self._from_windows(self.proj(mixed), H, W)
        return x + self.mlp(self.norm2(x))

    def weights(self, x: Tensor, at: tuple[int, int]) -> Tensor:
        """Softmax row of the pixel at (y, x), averaged over heads: x (B, H, W, C) -> (B, H, W), zero outside
        its window."""
        B, H, W, _ = x.shape
        y, column = at
        if not (0 <= y < H and 0 <= column < W):
            raise ValueError(
                f"pixel {at} lies outside the picture: (y, x) goes from (0, 0) to {(H - 1, W - 1)}")
        query, key, _ = self._split_heads(self.qkv(self._to_windows(self.norm1(x))))
        pixels = torch.arange(1, H * W + 1, device=x.device).view(1, H, W, 1)  # numbered from 1: padding is 0
        pixels = self._to_windows(pixels)[:, 0, :, 0]                          # (n, N)
        n, token = (pixels == y * W + column + 1).nonzero()[0].tolist()
        mask = self._mask(H, W, B)
        mask = mask[n if len(mask) > 1 else 0, :, token]                       # (1 or B * heads, N)
        scale = query.shape[-1] ** -0.5
        row = (torch.einsum("hc,hnc->hn", query[n, :, token], key[n]) * scale + mask).softmax(-1)
        row = row.unflatten(0, (B, self.heads)).mean(1)                        # (B, N)
        real = pixels[n] > 0
        return row.new_zeros(B, H * W).index_copy_(1, pixels[n][real] - 1, row[:, real]).view(B, H, W)

    def _split_heads(self, qkv: Tensor) -> tuple[Tensor, ...]:
        """(n, B, N, 3 C) -> query, key, value (n, B * heads, N, C / heads)."""
        # (3, n, B, heads, N, C / heads)
        qkv = qkv.unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        return qkv.flatten(2, 3).unbind(0)

    def _shifts(self, H: int, W: int) -> tuple[int, int]:
        """How far windows are shifted down and right; 0 if one window covers the whole side."""
        return tuple(self.shift if side > self.window else 0 for side in (H, W))

    def _to_windows(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (n, B, N, C): zero-pad, shift, cut into n windows of N pixels."""
        _, H, W, _ = x.shape
        s, shifts = self.window, self._shifts(H, W)
        if H % s or W % s:
            x = F.pad(x, (0, 0, 0, -W % s, 0, -H % s))
        if any(shifts):
            x = x.roll((-shifts[0], -shifts[1]), dims=(1, 2))
        B, H, W, C = x.shape
        return x.view(B, H // s, s, W // s, s, C).permute(1, 3, 0, 2, 4, 5).reshape(-1, B, s * s, C)

    def _from_windows(self, windows: Tensor, H: int, W: int) -> Tensor:
        """Inverse of `_to_windows`: (n, B, N, C) -> (B, H, W, C)."""
        _, B, _, C = windows.shape
        s, shifts = self.window, self._shifts(H, W)
        rows, columns = -(-H // s), -(-W // s)
        x = (
            windows.view(rows, columns, B, s, s, C)
            .permute(2, 0, 3, 1, 4, 5)
            .reshape(B, rows * s, columns * s, C)
        )
        if any(shifts):
            x = x.roll(shifts, dims=(1, 2))
        return x[:, :H, :W]

    def _mask(self, H: int, W: int, B: int) -> Tensor:
        """What is added to query · key: (1, or a window each; 1, or images times heads; N, N)."""
        N = self.window ** 2
        bias = self.bias[self.offsets].view(N, N, -1).permute(2, 0, 1)[None]      # (1, heads, N, N)
        shifts = self._shifts(H, W)
        if any(shifts) or H % self.window or W % self.window:
            (rows, row), (columns, column) = (
                neighbours(side, self.window, shift, bias.device) for side, shift in zip((H, W), shifts)
            )
            meet = rows[:, None, :, None, :, None] & columns[None, :, None, :, None, :]
            kinds = bias.masked_fill(~meet.reshape(-1, 1, N, N), -torch.inf)      # (up to 9, heads, N, N)
            bias = kinds[(row[:, None] * len(columns) + column).flatten()]        # (n, heads, N, N)
        if self.heads > 1 and B > 1:
            bias = bias[:, None].expand(-1, B, -1, -1, -1).flatten(1, 2)          # (n, B * heads, N, N)
        return bias


def relative_offsets(window: int) -> Tensor:
    """Which row of the bias table a pair of pixels in a window uses: (N * N,), one number for each (dy,
    dx)."""
    at = torch.arange(window)
    distance = at[:, None] - at + window - 1                                      # (s, s) in [0, 2 s - 2]
    return (distance[:, None, :, None] * (2 * window - 1) + distance[None, :, None, :]).flatten()


def neighbours(side: int, window: int, shift: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Along one side, which places of a window may attend to each other: (kinds, s, s) bool, and each
    window's kind (windows,).

    After the shift the last window holds pixels from both ends, which are not neighbours, and padding must
    not be attended to. That concerns the last two windows at most, so there are up to three kinds, whatever
    the size. Every place may attend to itself.
    """
    padded = side + -side % window
    place = torch.arange(max(0, padded - 3 * window), padded, device=device)
    strip = (place >= padded - shift).long() if shift else torch.zeros_like(place)
    strip = strip + 2 * ((place + shift) % padded >= side)  # padding gets separate labels
    strip = strip.view(-1, window)
    windows = padded // window
    kind = (torch.arange(windows, device=device) - (windows - len(strip))).clamp(min=0)
    return strip[:, :, None] == strip[:, None, :], kind
