"""The reference's colours laid over a frame, by place and by likeness (ours, for the course size; see `model`, Departures).

`Fusion` lays each token where its patch lies, whatever is there now. Here a pixel looks round in the reference, as far as the window
reaches, and takes the colours of what is grey as it is: softmax over the window of -|k(p) - k(q)|² / 2 - |p - q|² / 2 reach², where the
key k is the lightness, its mean and its deviation round about, and a few learned features. On a grid of half the frame's size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorlab.modules.local_window import window_attention
from colorlab.modules.resizing import resized

AROUND = 5  # cells along the side of the square whose mean and deviation stand in the key


class Laying(nn.Module):
    """Numbers that begin as: 6 units of L, 10 of its mean, 5 of its deviation and 6 cells of distance each count one."""

    def __init__(self, window: int, learned: int = 8):
        super().__init__()
        self.window = window
        self.sharpness = nn.Parameter(torch.tensor([50 / 6, 50 / 10, 50 / 5]).log())  # of L / 50, as the network sees lightness
        self.reach = nn.Parameter(torch.tensor(6.0).log())
        self.learned = nn.Sequential(nn.Conv2d(3, 2 * learned, 3, padding=1), nn.GELU(), nn.Conv2d(2 * learned, learned, 3, padding=1))
        nn.init.normal_(self.learned[-1].weight, std=0.02)

    def forward(self, channels: Tensor, reference: Tensor) -> Tensor:
        """channels: (B, C, H, W) in [-1, 1], the first is lightness; reference: (B, 3, n, n), lightness alike and ab.

        Returns (B, 3, H, W): the lightness and ab of what each pixel has chosen.
        """
        return F.interpolate(self.chosen(channels, reference), channels.shape[-2:], mode="bilinear", align_corners=False)

    def chosen(self, channels: Tensor, reference: Tensor) -> Tensor:
        """The same for the cells of the grid: (B, 3, h, w). In float32 at least: bfloat16 cannot tell 6 units of L apart in a square."""
        with torch.autocast(channels.device.type, enabled=False):
            return self._chosen(*(x.to(torch.promote_types(x.dtype, torch.float32)) for x in (channels, reference)))

    def _chosen(self, channels: Tensor, reference: Tensor) -> Tensor:
        laid = resized(reference, _grid(channels))
        key, query = self.keys(laid[:, :1]), self.keys(resized(channels[:, :1], _grid(channels)))
        # -|k - q|² / 2 is q · k - |k|² / 2 up to what softmax does not see.
        key = torch.cat((key, -key.square().sum(1, keepdim=True) / 2), dim=1)
        query = torch.cat((query, torch.ones_like(query[:, :1])), dim=1)
        nearness = self.nearness(query).flatten()[None, :, None, None].expand(len(query), -1, *query.shape[-2:])
        return window_attention(query * query.shape[1] ** 0.5, key, laid, nearness, self.window)

    def keys(self, l: Tensor) -> Tensor:
        """(B, 1, h, w) in [-1, 1] -> (B, 3 + learned, h, w), in which a distance of one is a clear difference."""
        mean = _mean(l)
        seen = torch.cat((l, mean, (_mean((l - mean).square()) + 1e-4).sqrt()), dim=1)
        return torch.cat((seen * self.sharpness.exp().view(1, 3, 1, 1), self.learned(seen)), dim=1)

    def nearness(self, like: Tensor) -> Tensor:
        """-|p - q|² / 2 reach² of the window's places: (window, window)."""
        offset = torch.arange(self.window, dtype=like.dtype, device=like.device) - self.window // 2
        return -(offset.square()[:, None] + offset.square()) / (2 * (2 * self.reach).exp())

    @torch.no_grad()
    def weights(self, channels: Tensor, reference: Tensor, at: tuple[int, int]) -> Tensor:
        """Where the pixel (y, x) finds its colours: (h, w) over the grid, summing to 1. For one frame."""
        h, w = _grid(channels)
        row, column = at[0] * h // channels.shape[-2], at[1] * w // channels.shape[-1]
        key, query = self.keys(resized(reference, (h, w))[:, :1])[0], self.keys(resized(channels[:, :1], (h, w)))[0, :, row, column]
        radius = self.window // 2
        places = F.pad(self.nearness(key), (w, w, h, h), value=-torch.inf)  # wide enough to be laid round any cell
        places = places[h + radius - row:2 * h + radius - row, w + radius - column:2 * w + radius - column]
        alike = -(key - query[:, None, None]).square().sum(0) / 2
        return (alike + places).flatten().softmax(0).view(h, w)


def _grid(channels: Tensor) -> tuple[int, int]:
    return -(-channels.shape[-2] // 2), -(-channels.shape[-1] // 2)


def _mean(x: Tensor) -> Tensor:
    """Of the square around each cell, at the border of what there is of it."""
    return F.avg_pool2d(x, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False)
