"""From warped colour to colour: the colorization subnet (LSTVC §3.2, Eq. 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.color_lines import draw_lines, fit_lines, numbers
from colorlab.modules.color_subnet import MiddleStage, WayDown, WayUp
from colorlab.modules.instance_norm import instance_norm
from colorlab.modules.registration import bring, places

from .attention import TransformerLayer, to_maps, to_tokens
from .correspondence import Warp
from .state import EncodedReference

DILATIONS = (2, 2, 1)  # of layers 5, 6 and 7
COLOR = 2 + numbers(4)  # of what the heads bring over for a corrected output, ab and lines; places come after


class LinkedStage(nn.Module):
    """A middle stage of the colour network beside one transformer layer, each handing its result to the other."""

    def __init__(self, channels: int, dilation: int, width: int, heads: int, inner: int, dropout: float):
        super().__init__()
        self.branch = MiddleStage(channels, dilation)
        self.layer = TransformerLayer(width, heads, inner, dropout)
        self.cnn_to_tokens = nn.Linear(channels + width, width)
        self.tokens_to_cnn = nn.Conv2d(channels + width, channels, kernel_size=1)

    def forward(self, source: Tensor, tokens: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
        """source: (B, n, C, h, w), tokens: (B, n * h * w, width). Returns both for the frames from `first` on."""
        n, _, h, w = source.shape[1:]
        tokens = self.cnn_to_tokens(torch.cat((to_tokens(source.flatten(0, 1), len(source)), tokens), dim=-1))
        tokens = self.layer(tokens, first=first * h * w)
        source = source[:, first:].flatten(0, 1)
        both = torch.cat((self.branch(source), to_maps(tokens, h, w)), dim=1)
        source = instance_norm(self.tokens_to_cnn(both) + source)
        return source.unflatten(0, (-1, n - first)), tokens


class PlainStage(nn.Module):
    """A middle stage without the transformer branch, as in the network that this one grew from."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.branch = MiddleStage(channels, dilation)

    def forward(self, source: Tensor, tokens: None, first: int = 0) -> tuple[Tensor, None]:
        source = source[:, first:]
        return self.branch(source.flatten(0, 1)).unflatten(0, source.shape[:2]), None


class Colorization(nn.Module):
    """The colour network of `modules.color_subnet` with a transformer in its middle.

    A reference goes through it as one more frame, so that the other frames' tokens can look at it; its own colours are known and are not
    painted again. Its way down depends on nothing else: `source` makes it once.
    """

    def __init__(self, stages: list[nn.Module], inputs: int, width: int = 64, outputs: int = 2):
        super().__init__()
        self.down = WayDown(inputs, width)
        self.middle = nn.ModuleList(stages)
        self.up = WayUp(width, outputs)

    def source(self, picture: Tensor) -> Tensor:
        """picture: (F, inputs, H, W) -> what the middle stages take in, (F, C, H/8, W/8)."""
        return self.down(picture)[0]

    def forward(self, frames: Tensor, references: Tensor, tokens: Tensor | None) -> Tensor:
        """frames: (B, T, inputs, H, W): L / 50 and the guide; references: (B, R, C, H/8, W/8), their `source`;
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
    """The paper's output: all colour is the subnet's own."""

    outputs = 2

    def carried(self, l: Tensor, ab: Tensor) -> Tensor:
        """What the heads are to bring over of a reference, l (B, 1, H, W) and ab / 128: (B, 2, H/4, W/4), the top left of each sixteen."""
        return ab[..., ::4, ::4]

    def values(self, references: EncodedReference) -> Tensor:
        """What of each cell the heads mix: (B, R, V, H/4, W/4)."""
        return references.color

    def forward(self, painted: Tensor, warp: Warp, l: Tensor, references: Tensor) -> Tensor:
        """painted: (B, T, 2, H, W), the subnet's output; l: (B, T, 1, H, W) in [0, 100]; references: (B, R, 3, H, W), Lab. Returns ab
        (B, T, 2, H, W) in ±128."""
        return 128 * painted.tanh()


class Corrected(nn.Module):
    """The warped colour, mean of the heads, as far as the subnet trusts it, and what the subnet adds: a third channel says how far.

    With a zero-initialised last layer that is the warp, but for 1 %. register: steps that make the matched places exact; colours read there then
    replace the corrected ones as far as lightness agrees and the warp is trusted.
    """

    outputs = 3
    trusts = 5.0  # the sigmoid of it is how far a warp is trusted before training

    def __init__(self, register: int | None = None):
        super().__init__()
        self.register = register

    def carried(self, l: Tensor, ab: Tensor) -> Tensor:
        """The heads bring over each cell's mean ab and, to be drawn at full size, its lines: (B, 2 + 16, H/4, W/4)."""
        return torch.cat((F.avg_pool2d(ab, 4), fit_lines(l, ab, 4)), dim=1)

    def values(self, references: EncodedReference) -> Tensor:
        if self.register is None:
            return references.color
        return torch.cat((references.color, places(references.color)), dim=2)

    def forward(self, painted: Tensor, warp: Warp, l: Tensor, references: Tensor) -> Tensor:
        B, T = l.shape[:2]
        pixels, painted = l.flatten(0, 1), painted.flatten(0, 1).float()
        trust = (painted[:, 2:] + self.trusts).sigmoid()                             # (B * T, 1, H, W)
        drawn = draw_lines(self.lines(warp).flatten(0, 1), pixels / 50 - 1, 4)       # (B * T, 2, H, W)
        ab = 128 * (trust * drawn + painted[:, :2].tanh())
        if self.register is not None:
            ab = ab + trust * self._registered(ab, warp, l, references)
        return ab.unflatten(0, (B, T))

    def _registered(self, drawn: Tensor, warp: Warp, l: Tensor, references: Tensor) -> Tensor:
        """What colours read at exact places add to the drawn ones, (B * T, 2, H, W): every reference for every frame, in one batch."""
        T, R = l.shape[1], references.shape[1]
        place = warp.color[:, :, :, COLOR:].mean(2).unflatten(2, (R, -1)).flatten(0, 2)      # (B * T * R, 3, H/4, W/4)
        picture = references.repeat_interleave(T, 0).flatten(0, 1)                           # (B * T * R, 3, H, W)
        brought = bring(l.flatten(0, 1).repeat_interleave(R, 0), picture, place, self.register)
        added = brought.trust * (brought.ab - drawn.repeat_interleave(R, 0))
        return added.unflatten(0, (-1, R)).sum(1)                                            # trusts add up to 1 at most

    def handed_on(self, l: Tensor, ab: Tensor, warp: Warp) -> Tensor:
        """`carried` of a block's last frame: the lines that were read, and fitted anew only what was added to them."""
        lines = self.lines(warp)[:, -1]
        return torch.cat((F.avg_pool2d(ab, 4), lines + fit_lines(l, ab - draw_lines(lines, l, 4), 4)), dim=1)

    @staticmethod
    def lines(warp: Warp) -> Tensor:
        """(B, T, 16, H/4, W/4), mean of the heads."""
        return warp.color[:, :, :, 2:COLOR].mean(2)
