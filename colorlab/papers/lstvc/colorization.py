"""From warped colour to colour: the colorization subnet (LSTVC §3.2, Eq. 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colorlab.modules.color_subnet import MiddleStage, WayDown, WayUp
from colorlab.modules.instance_norm import instance_norm

from colorlab.papers.lstvc.attention import TransformerLayer, to_maps, to_tokens
from colorlab.papers.lstvc.correspondence import Warp
from colorlab.papers.lstvc.state import EncodedReference

DILATIONS = (2, 2, 1)  # of layers 5, 6 and 7


class LinkedStage(nn.Module):
    """A middle stage of the colour network in parallel with one transformer layer, each feeding its result to
    the other."""

    def __init__(self, channels: int, dilation: int, width: int, heads: int, inner: int, dropout: float):
        super().__init__()
        self.branch = MiddleStage(channels, dilation)
        self.layer = TransformerLayer(width, heads, inner, dropout)
        self.cnn_to_tokens = nn.Linear(channels + width, width)
        self.tokens_to_cnn = nn.Conv2d(channels + width, channels, kernel_size=1)

    def forward(self, source: Tensor, tokens: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
        """source: (B, n, C, h, w), tokens: (B, n * h * w, width). Returns both for the frames from `first`
        on."""
        n, _, h, w = source.shape[1:]
        tokens = self.cnn_to_tokens(torch.cat((to_tokens(source.flatten(0, 1), len(source)), tokens), dim=-1))
        tokens = self.layer(tokens, first=first * h * w)
        source = source[:, first:].flatten(0, 1)
        both = torch.cat((self.branch(source), to_maps(tokens, h, w)), dim=1)
        source = instance_norm(self.tokens_to_cnn(both) + source)
        return source.unflatten(0, (-1, n - first)), tokens


class PlainStage(nn.Module):
    """A middle stage without the transformer branch, as in the network that this one extends."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.branch = MiddleStage(channels, dilation)

    def forward(self, source: Tensor, tokens: None, first: int = 0) -> tuple[Tensor, None]:
        source = source[:, first:]
        return self.branch(source.flatten(0, 1)).unflatten(0, source.shape[:2]), None


class Colorization(nn.Module):
    """The colour network of `modules.color_subnet` with a transformer in its middle.

    A reference passes through it as one more frame, so that the other frames' tokens can attend to it; its
    own colours are known and are not painted again. Its encoding depends on nothing else: `source` computes
    it once.
    """

    def __init__(self, stages: list[nn.Module], inputs: int, width: int = 64, outputs: int = 2):
        super().__init__()
        self.down = WayDown(inputs, width)
        self.middle = nn.ModuleList(stages)
        self.up = WayUp(width, outputs)

    def source(self, picture: Tensor) -> Tensor:
        """picture: (F, inputs, H, W) -> input of the middle stages, (F, C, H/8, W/8)."""
        return self.down(picture)[0]

    def forward(self, frames: Tensor, references: Tensor, tokens: Tensor | None) -> Tensor:
        """frames: (B, T, inputs, H, W): L / 50 and the guide; references: (B, R, C, H/8, W/8), their
        `source`;
        tokens: (B, (R + T) * H/8 * W/8, width). Returns (B, T, outputs, H, W), before any tanh.
        """
        B, T = frames.shape[:2]
        source, skips = self.down(frames.flatten(0, 1))
        source = torch.cat((references, source.unflatten(0, (B, T))), dim=1)         # (B, R + T, C, H/8, W/8)
        for stage in self.middle[:-1]:
            source, tokens = stage(source, tokens)
        source, _ = self.middle[-1](source, tokens, first=references.shape[1])       # (B, T, C, H/8, W/8)
        return self.up(source.flatten(0, 1), skips).unflatten(0, (B, T))


class Painted(nn.Module):
    """The paper's output: the subnet paints all colour itself."""

    outputs = 2

    def carried(self, l: Tensor, ab: Tensor) -> Tensor:
        """What the heads carry over from a reference, l (B, 1, H, W) and ab / 128: (B, 2, H/4, W/4), the top
        left of each sixteen pixels."""
        return ab[..., ::4, ::4]

    def values(self, references: EncodedReference) -> Tensor:
        """What the heads mix of each cell: (B, R, V, H/4, W/4)."""
        return references.color

    def forward(self, painted: Tensor, warp: Warp, l: Tensor, references: Tensor) -> Tensor:
        """painted: (B, T, 2, H, W), the subnet's output; l: (B, T, 1, H, W) in [0, 100]; references: (B, R,
        3, H, W), Lab. Returns ab (B, T, 2, H, W) in ±128."""
        return 128 * painted.tanh()
