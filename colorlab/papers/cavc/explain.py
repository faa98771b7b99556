"""What CAVC's colours are made from, as maps, for notebooks and to answer "why this colour?"."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorlab.modules.references import Reference
from colorlab.modules.sources import Attention, Source, reference_sources
from colorlab.papers.cavc.state import State, as_channels, blend
from colorlab.papers.cavc.u_colorization import placement


class ChannelMaps(NamedTuple):
    """Single Channel Attention's output for each channel, and what one pixel attends to in it. All (B, C, H,
    W)."""

    attended: Tensor    # channel_att, about as the input
    similarity: Tensor  # channel_similarity in [-1, 1]; (B, 0, H, W) without cosine
    window: Tensor      # attention in the pixel's window, sums to 1 in each channel
    shifted: Tensor     # attention in the window shifted by half, sums to 1 in each channel


def attention_of(network: nn.Module, l: Tensor, state: State) -> Attention:
    """What the colour of any pixel (y, x) is made from: {source: (H, W)}, all maps together summing to 1.

    l: (1, 1, H, W) of the frame that `state` awaits. CAVC has no attention between frame and reference, so
    three things are shown, a third each:

    - "reference", or "reference (frame 5)" for a frame of the film's own: which patches of the reference the
      fusion puts at this pixel. A patch token goes where its patch *lies*, whatever it shows. (The class
      token and the histogram affect all pixels alike and are not shown.) Several references share the third
      as `blend` weights them.
    - "frame 7 (window)" and "frame 7 (shifted window)", of the frame itself: where Single Channel Attention
      attends from this pixel.

    Both describe single layers; the layers in between spread colours further.
    """
    if l.shape[:2] != (1, 1) or state.tokens.shape[1] != 1:
        raise ValueError(f"attention looks at one frame of one film: l (1, 1, H, W), got {tuple(l.shape)}")
    H, W = l.shape[-2:]
    padded = network.padded(as_channels(l))
    shares = blend(state.moments, state.frame)
    sources = reference_sources([Reference(moment, None) for moment in state.moments])
    window, shifted = (Source(f"frame {{frame}} ({part})", "itself", state.frame)
                       for part in ("window", "shifted window"))

    @torch.no_grad()
    def at_pixel(at: tuple[int, int]) -> dict[Source, Tensor]:
        weights = network.sca.weights(padded, inside(at, H, W))
        placed = cells_to_pixels(patch_shares(network, H, W, at, state.tokens.shape[2] - 1).to(l), H, W)
        found = {source: share / 3 * placed for source, share in zip(sources, shares) if share}
        return found | {
            window: unpadded(weights.window, H, W)[0, 0] / 3,
            shifted: unpadded(weights.shifted, H, W)[0, 0] / 3
        }
    return at_pixel


def patch_shares(network: nn.Module, H: int, W: int, at: tuple[int, int], patches: int) -> Tensor:
    """The weight of each patch token in the fusion at pixel `at` of an H x W frame: (n, n), summing to 1."""
    scale = 2 ** len(network.config.widths)
    return placement(patches, (-(-H // scale), -(-W // scale)), (at[0] // scale, at[1] // scale))


def channel_maps(network: nn.Module, channels: Tensor, at: tuple[int, int]) -> ChannelMaps:
    """Single Channel Attention's intermediate maps for any picture: channels (B, C, H, W) in [-1, 1], at =
    (y, x)."""
    H, W = channels.shape[-2:]
    padded = network.padded(channels)
    found, weights = network.sca(padded), network.sca.weights(padded, inside(at, H, W))
    return ChannelMaps(found.attended[..., :H, :W], found.similarity[..., :H, :W],
                       unpadded(weights.window, H, W), unpadded(weights.shifted, H, W))


def inside(at: tuple[int, int], H: int, W: int) -> tuple[int, int]:
    """The pixel (y, x) itself; ValueError where it lies outside an H x W picture."""
    if not (0 <= at[0] < H and 0 <= at[1] < W):
        raise ValueError(f"pixel {tuple(at)} lies outside the picture: (y, x) goes from (0, 0) to "
                         f"{(H - 1, W - 1)}")
    return at


def cells_to_pixels(cells: Tensor, H: int, W: int) -> Tensor:
    """Weights of cells (h, w) over the pixels that they cover: (H, W), summing to 1."""
    pixels = F.interpolate(cells[None, None], (H, W), mode="area")[0, 0]
    return pixels / pixels.sum()


def unpadded(maps: Tensor, H: int, W: int) -> Tensor:
    """Crop maps (..., H', W'), adding the weight on repeated rows and columns to the pixel they repeat; sums
    are preserved."""
    rows = torch.arange(maps.shape[-2], device=maps.device).clamp(max=H - 1)
    columns = torch.arange(maps.shape[-1], device=maps.device).clamp(max=W - 1)
    maps = maps.new_zeros(*maps.shape[:-2], H, maps.shape[-1]).index_add_(-2, rows, maps)
    return maps.new_zeros(*maps.shape[:-1], W).index_add_(-1, columns, maps)
