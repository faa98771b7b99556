"""Flicker of a clip's colours along its motion: the warp error of Lai et al. 2018.

For each pair of frames, sum(mask * (warp(I_{t+1}, F_{t->t+1}) - I_t)^2) / sum(mask), RGB in [0, 1], the mask
counted per channel; then the mean over pairs, then over clips. Flow and mask come from the **truth**, the
images are the scored ones. LSTVC's column WE seems to be this times 1000. Fading to grey lowers it, and part
of it is not due to colour: print the truth's own value beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.metrics.frames import Frame
from colorlab.modules.flow import estimate_flow, occlusion_lai, reliable_ruder, warp


class PairFlow(NamedTuple):
    """The motion of a pair of frames, and where it can be trusted."""

    forward: Tensor   # (1, 2, H, W) in pixels, on the grid of the first frame
    backward: Tensor  # (1, 2, H, W) on the grid of the second
    source: str       # "exact", "raft", "classical", ...


# index of the first frame, and the pair of the truth's frames
FlowOf = Callable[[int, Frame, Frame], PairFlow]


def estimated_flow(how: str = "auto", device: str = "cpu") -> FlowOf:
    """A flow for every pair, estimated from the truth's frames both ways (see
    `colorlab.modules.flow.estimate_flow`)."""

    def flow_of(index: int, first: Frame, second: Frame) -> PairFlow:
        a, b = (frames_to_rgb(frame)[None].to(device) for frame in (first, second))
        forward, backward = estimate_flow(a, b, how), estimate_flow(b, a, how)
        return PairFlow(forward.flow.cpu(), backward.flow.cpu(), forward.method)

    return flow_of


def given_flow(forward: Tensor, backward: Tensor, source: str = "exact") -> FlowOf:
    """Known flow of a whole clip, (T-1, 2, H, W) each: exact, or read from files."""
    return lambda index, first, second: PairFlow(forward[index, None], backward[index, None], source)


def warp_error(first: Frame, second: Frame, flow: PairFlow) -> float | None:
    """Warp error of one pair where Ruder et al.'s rules trust the flow: 0 for exact flow and steady colours.

    first, second: (H, W, 3) uint8. None where no pixel of the pair can be trusted.
    """
    usable = reliable_ruder(flow.forward, flow.backward).reliable
    return masked_error(_rgb(first), warp(_rgb(second), flow.forward), usable)


def warp_error_lai(first: Frame, second: Frame, flow: PairFlow) -> float:
    """Warp error of one pair exactly as Lai et al.'s script has it.

    Their mask does not check whether a pixel left the picture and their warp clamps at the border, so such
    pixels are compared with the border's colour: even exact flow and the truth itself do not give 0. A pair
    without a usable pixel gives 0.
    """
    usable = ~occlusion_lai(flow.forward, flow.backward)
    return masked_error(_rgb(first), warp(_rgb(second), flow.forward, padding_mode="border"), usable) or 0.0


def warp_error_ab(first: Frame, second: Frame, flow: PairFlow) -> float | None:
    """`warp_error` on the a and b of CIELAB alone (squared ab units): lightness comes from the input and
    carries no information here."""
    usable = reliable_ruder(flow.forward, flow.backward).reliable
    ab = [rgb_to_lab(_rgb(frame))[:, 1:] for frame in (first, second)]
    return masked_error(ab[0], warp(ab[1], flow.forward), usable)


def masked_error(image: Tensor, warped: Tensor, usable: Tensor) -> float | None:
    """Mean squared difference over usable pixels and channels; (1, C, H, W) twice, (1, 1, H, W) bool. None if
    none is."""
    count = int(usable.sum()) * image.shape[1]
    if count == 0:
        return None
    return float(((warped - image).square() * usable).sum(dtype=torch.float64) / count)


def _rgb(frame: Frame) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) in [0, 1]."""
    return frames_to_rgb(frame)[None]
