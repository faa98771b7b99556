"""Keeping a film's own luma exactly under new colours.

A film stores luma Y' = r R' + g G' + b B', weighted by its matrix, while colorization keeps CIELAB's L. For
grey the two are equivalent; for a colour of the same L, Y' differs a little. So the source's code plus that
difference is written, rounded once: without colour every code equals the source's, also above white and below
black, and a smooth ramp stays smooth at any bit depth.
"""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from colorlab.files.video.pixels import LUMA_WEIGHTS, RGB, Colors, is_grey, plane_of
from colorlab.files.video.shots import Luma

# formats whose first plane is luma and nothing else
PLANAR = ("yuv4", "yuvj4", "yuva4", "nv12", "nv16", "nv21", "nv24")


def luma_of(frame: VideoFrame, colors: Colors, reformatter: VideoReformatter) -> Luma | None:
    """The luma of a decoded frame, not turned; None where it stores RGB."""
    if colors.matrix == RGB:
        return None
    if not (is_grey(frame) or frame.format.name.startswith(PLANAR)):
        depth = "" if frame.format.components[
            0].bits == 8 else f"{_deep_enough(frame.format.components[0].bits)}le"
        # packed ones; luma is copied
        frame = reformatter.reformat(frame, format=f"yuv444p{depth}", threads=1)
    return Luma(plane_of(frame, 0).copy(), frame.format.components[0].bits)


def keep_luma(frame: VideoFrame, luma: Luma, colored: np.ndarray, source: np.ndarray, colors: Colors) -> None:
    """Put the source's luma, changed as much as the new colour asks, into a frame that was made of `colored`.

    colored, source: (H, W, 3) RGB of one type, after and before; frame: of a YUV format.
    """
    bits = frame.format.components[0].bits
    top = 2**bits - 1
    codes = at_depth(luma, bits, colors.full)
    if not np.array_equal(colored, source):
        red, blue = LUMA_WEIGHTS[colors.matrix]
        span = (top if colors.full else 219 * 2 ** (bits - 8)) / np.iinfo(colored.dtype).max
        # (H, W)
        change = np.subtract(colored, source, dtype=np.float32) @ np.array(
            [red, 1 - red - blue, blue], np.float32
        )
        codes = (codes + np.rint(change * np.float32(span))).clip(0, top)
    plane_of(frame, 0)[:] = codes


def at_depth(luma: Luma, bits: int, full: bool) -> np.ndarray:
    """Codes of another depth, (H, W): the same numbers where it is the same, exact where it is more, rounded
    where it is less."""
    if bits == luma.bits:
        return luma.codes.astype(np.int32)
    scale = (2**bits - 1) / (2**luma.bits - 1) if full else 2.0 ** (bits - luma.bits)
    return np.rint(luma.codes * scale).clip(0, 2**bits - 1).astype(np.int32)


def _deep_enough(bits: int) -> int:
    return next(depth for depth in (9, 10, 12, 14, 16) if depth >= bits)
