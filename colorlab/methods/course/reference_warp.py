"""The reference's colours warped to a frame by similarity and position: the course's addition to CAVC.

CAVC's `Fusion` puts each token where its patch lies, whatever the frame shows there. Here each cell q of 4 x
4 pixels attends to all cells p of the reference and takes their colours: softmax over p of s cos(k(p), k(q))
- |p - q|² / 2 reach², where the key k is a projection of frozen ImageNet features and of a few learned ones,
of lightness alone. s and reach are learned. Colours are carried as linear functions of lightness
(`color_lines`), so that edges appear where the frame has them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorlab.methods.course.color_lines import draw_lines, fit_lines
from colorlab.modules.fast.streamed_correlation import match
from colorlab.modules.pretrained import PretrainedFeatures, quarter_maps, unit

CELL = 4    # pixels
LEARNED = 32
AB = 50     # scale of ab


class WarpedReference(NamedTuple):
    picture: Tensor     # (B, 3, H, W) lightness in [-1, 1] and ab / 50 of each pixel's match
    similarity: Tensor  # (B, 1, H, W) similarity, at most 1, of the best cell, minus its distance penalty


class Encoded(NamedTuple):
    """A reference encoded for lookup: M = h * w cells."""

    key: Tensor    # (B, M, C)
    color: Tensor  # (B, M, 16 + 1) its lines and its lightness


class ReferenceWarp(nn.Module):
    def __init__(self, channels: int = 64, pretrained: bool = True):
        super().__init__()
        self.frozen = PretrainedFeatures(4, pretrained)
        self.learned = nn.Sequential(
            nn.Conv2d(1, LEARNED // 2, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(LEARNED // 2, LEARNED, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(LEARNED, LEARNED, 3, stride=2, padding=1),
        )
        self.project = nn.Conv2d(sum(self.frozen.channels[1:]) + LEARNED, channels, 1, bias=False)
        nn.init.orthogonal_(self.project.weight)
        self.sharpness = nn.Parameter(torch.tensor(1 / 0.03).log())  # s
        self.reach = nn.Parameter(torch.tensor(0.5).log())           # in heights of the frame

    def keys(self, l: Tensor) -> Tensor:
        """(B, 1, H, W) in [-1, 1], multiples of 8 -> (B, C, H/4, W/4): centred, of length 1, in float32 at
        least."""
        enlarged = F.interpolate(50 * l + 50, scale_factor=2.0, mode="bilinear")
        keys = self.project(torch.cat((*quarter_maps(self.frozen, enlarged), unit(self.learned(l))), dim=1))
        return F.normalize(keys - keys.mean((-2, -1), keepdim=True), dim=1)

    def encode(self, reference: Tensor) -> Encoded:
        """reference: (B, 3, H, W), lightness in [-1, 1] and ab / 50, at the frame's size."""
        l, ab = reference[:, :1], reference[:, 1:]
        key = self.keys(l)
        x, y = self._places(key)
        sharp, wide = self.sharpness.exp(), (2 * self.reach).exp()
        place = torch.stack(
            (x / wide, y / wide, -(x.square() + y.square()) / (2 * wide))).expand(len(key), -1, -1, -1)
        key = torch.cat((sharp * key, place), dim=1)
        return Encoded(_cells(key), _cells(torch.cat((fit_lines(l, ab, CELL), F.avg_pool2d(l, CELL)), dim=1)))

    def query(self, l: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) -> the queries of its cells, (B, N, C + 3), and the term that cancels in the softmax:
        -|q|² / 2 reach², (N,)."""
        keys = self.keys(l)
        x, y = self._places(keys)
        query = torch.cat((keys, torch.stack((x, y, torch.ones_like(x))).expand(len(keys), -1, -1, -1)),
                          dim=1)
        return _cells(query), (-(x.square() + y.square()) / (2 * (2 * self.reach).exp())).flatten()

    def forward(self, l: Tensor, reference: Encoded) -> WarpedReference:
        """l: (B, 1, H, W) in [-1, 1], H and W multiples of 8; reference: of `encode`, for the same size."""
        (B, _, H, W), device = l.shape, l.device.type
        with torch.autocast(device, enabled=False):
            query, rest = self.query(l)
            mixed, best = match(query, reference.key, reference.color, temperature=1.0)
            mixed = mixed.mT.unflatten(-1, (H // CELL, W // CELL))
            ab = draw_lines(mixed[:, :-1], l, CELL)
            similarity = ((best + rest) / self.sharpness.exp()).view(B, 1, H // CELL, W // CELL)
            light, similarity = (F.interpolate(x, scale_factor=float(CELL), mode="bilinear")
                                 for x in (mixed[:, -1:], similarity))
        return WarpedReference(torch.cat((light, ab), dim=1), similarity)

    @staticmethod
    def means(l: Tensor) -> Tensor:
        """Lightness averaged over each cell, for comparison with the warped reference: (..., 1, H, W) -> the
        same."""
        H, W = l.shape[-2:]
        cells = F.avg_pool2d(F.pad(l.flatten(0, -4), (0, -W % CELL, 0, -H % CELL), mode="replicate"), CELL)
        return F.interpolate(cells, scale_factor=float(CELL),
                             mode="bilinear")[..., :H, :W].unflatten(0, l.shape[:-3])

    @staticmethod
    def weights(query: Tensor, reference: Encoded, at: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """Where the pixel (y, x) of one frame of `size` (H, W) finds its colours: (H/4, W/4), summing to 1.
        query: of `query`."""
        h, w = size[0] // CELL, size[1] // CELL
        return (reference.key[0] @ query[0, at[0] // CELL * w + at[1] // CELL]).softmax(0).view(h, w)

    @staticmethod
    def _places(like: Tensor) -> tuple[Tensor, Tensor]:
        """x and y of each cell's centre, (h, w), in heights of the frame, 0 in its middle."""
        h, w = like.shape[-2:]
        y = (torch.arange(h, device=like.device, dtype=like.dtype) + 0.5 - h / 2) / h
        x = (torch.arange(w, device=like.device, dtype=like.dtype) + 0.5 - w / 2) / h
        return x.expand(h, w), y[:, None].expand(h, w)


def _cells(maps: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C)."""
    return maps.flatten(2).mT
