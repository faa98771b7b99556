"""The numbers in a film file and the RGB that they stand for.

A film stores luma and colour difference (Y, Cb, Cr), mostly. What they mean depends on three tags: the matrix
(which weights
of R, G and B make Y: BT.601, BT.709, BT.2020), the range (8-bit Y of 16-235, "limited", or 0-255, "full")
and, for the player's screen, primaries and transfer. Tags are often missing; `colors_of` guesses as players
do. The code points are those of ITU-T H.273, which FFmpeg uses too.

The conversions round correctly (within 0.51 of a level against the equations,
`tests/files/video/test_pixels.py`), which swscale does
only when asked: its defaults take the nearest colour sample and are up to two levels off. Transfer functions
    are not
touched: a PQ or HLG film keeps its flat look.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation, VideoReformatter

from colorlab.files.video.fields import marked_as

RGB, BT709, UNSPECIFIED, BT470BG, BT601 = 0, 1, 2, 5, 6  # H.273 matrix coefficients; BT.470BG's are BT.601's
SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # H.273 -> swscale's own numbers
LUMA_WEIGHTS = {
    1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
    9: (0.2627, 0.0593), 10: (0.2627, 0.0593)
}  # the shares of red and blue in luma, by H.273's matrix
MATRICES = {RGB, *SWSCALE_MATRIX}  # not read: YCgCo, ICtCp and others that are no plain weighted sum
LIMITED, FULL = 1, 2  # FFmpeg's AVColorRange
SWSCALE_WHITE = 65280  # swscale's white in RGB of 16 bits, 255 * 256, where 65535 is meant
BEST = int(Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
           | Interpolation.FULL_CHR_H_INP)


class Colors(NamedTuple):
    """What a film's numbers mean, as H.273 code points. 2 is "unspecified" where a tag may stay so."""

    matrix: int         # which weights make luma; never unspecified; 0 for a film that stores RGB
    full: bool          # 8-bit luma in 0-255 rather than 16-235
    primaries: int = 2  # passed on untouched
    transfer: int = 2   # passed on untouched


def guessed_matrix(height: int, width: int) -> int:
    """The matrix of a film that does not say: BT.709 for high definition, BT.601 below, as players have
    it."""
    return BT709 if width >= 1280 or height > 576 else BT601


def colors_of(frame: VideoFrame) -> Colors:
    """What a decoded frame's numbers mean: its tags, and a player's guess where there are none."""
    rgb = frame.format.is_rgb or frame.format.has_palette
    grey = is_grey(frame)
    matrix = RGB if rgb else frame.colorspace
    if not rgb and (matrix == UNSPECIFIED or matrix == RGB):  # grey PNG and the like say "RGB"
        matrix = guessed_matrix(frame.height, frame.width)
    untagged = frame.color_range not in (LIMITED, FULL)
    full = rgb or frame.format.name.startswith("yuvj") or frame.color_range == FULL or (grey and untagged)
    return Colors(matrix, full, frame.color_primaries, frame.color_trc)


def is_grey(frame: VideoFrame) -> bool:
    """Whether the frame is one plane of whole numbers of 8 to 16 bits."""
    name = frame.format.name
    return name.startswith("gray") and not name.startswith("grayf")


def bits_of(frame: VideoFrame) -> int:
    """How many bits the frame's finest channel has."""
    return max(component.bits for component in frame.format.components)


def frame_to_rgb(frame: VideoFrame, colors: Colors, reformatter: VideoReformatter,
                 deep: bool = False) -> np.ndarray:
    """A decoded frame of any format -> (H, W, 3) uint8 RGB, as stored (not yet turned upright).

    deep: uint16 of 0 to 65535 for a frame of more than 8 bits.
    """
    deep = deep and bits_of(frame) > 8
    if is_grey(frame):
        return _grey_to_rgb(frame, colors.full, deep)
    if colors.matrix == RGB:
        return frame.to_ndarray(format="rgb48le" if deep else "rgb24")
    source_range = FULL if colors.full else LIMITED
    # To planar RGB and not to packed: swscale's packed conversion with full chroma is three times slower.
    planar = reformatter.reformat(frame, format="gbrp16le" if deep else "gbrp", interpolation=BEST,
                                  src_colorspace=SWSCALE_MATRIX[colors.matrix], src_color_range=source_range,
                                  dst_color_range=FULL, threads=1)
    rgb = planar.to_ndarray()
    return (rgb * np.float32(65535 / SWSCALE_WHITE)).round().clip(0, 65535).astype(np.uint16) if deep else rgb


def _grey_to_rgb(frame: VideoFrame, full: bool, deep: bool) -> np.ndarray:
    """Grey of 8 to 16 bits -> (H, W, 3) uint8, or uint16; swscale would ignore the range here."""
    bits, rows = frame.format.components[0].bits, plane_of(frame, 0)  # (H, W)
    levels, unit = np.arange(2**bits), 2 ** (bits - 8)
    black, white = (0, 2**bits - 1) if full else (16 * unit, 235 * unit)
    word, most = (np.uint16, 65535) if deep else (np.uint8, 255)
    table = ((levels - black) * (most / (white - black))).round().clip(0, most).astype(word)
    return np.repeat(table[rows][..., None], 3, axis=-1)  # (H, W, 3)


def rgb_to_frame(rgb: np.ndarray, pix_fmt: str, colors: Colors, reformatter: VideoReformatter,
                 fields: str = "") -> VideoFrame:
    """(H, W, 3) uint8 or uint16 RGB -> a frame to encode, in `pix_fmt` (a YUV one), carrying the tags of
    `colors`.

    fields: tff or bff for a frame of two fields, whose colours are not mixed.
    """
    if rgb.dtype == np.uint16:
        frame = _deep_frame(rgb, pix_fmt, colors, bool(fields))
        tag(frame, colors)
        return frame
    source = marked_as(VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"), fields)
    frame = reformatter.reformat(source, format=pix_fmt, interpolation=BEST,
                                 dst_colorspace=SWSCALE_MATRIX[colors.matrix], src_color_range=FULL,
                                 dst_color_range=FULL if colors.full else LIMITED, threads=1)
    tag(frame, colors)
    return frame


def _deep_frame(rgb: np.ndarray, pix_fmt: str, colors: Colors, fields: bool) -> VideoFrame:
    """(H, W, 3) uint16 RGB -> a planar YUV frame by the standards' own equations, rounded once; swscale's
    grey of 16 bits is off by a code."""
    frame = VideoFrame(rgb.shape[1], rgb.shape[0], pix_fmt)
    bits = frame.format.components[0].bits
    red, blue = LUMA_WEIGHTS[colors.matrix]
    to_luma = np.array((red, 1 - red - blue, blue))
    matrix = np.stack(
        (to_luma, ((0, 0, 1) - to_luma) / (2 * (1 - blue)), ((1, 0, 0) - to_luma) / (2 * (1 - red)))) / 65535
    spans = np.full(3, 2**bits - 1) if colors.full else np.array((219, 224, 224)) * 2 ** (bits - 8)
    zeros = (0 if colors.full else 16 * 2 ** (bits - 8), 2 ** (bits - 1), 2 ** (bits - 1))
    samples = rgb.astype(np.float32) @ (matrix * spans[:, None]).T.astype(np.float32)     # (H, W, 3)
    for number, zero in enumerate(zeros):
        plane = plane_of(frame, number)
        (h, w), (H, W) = plane.shape, rgb.shape[:2]
        channel = samples[..., number].reshape(H, w, W // w).mean(-1) if number else samples[..., 0]
        if h < H:
            channel = _half_the_lines(channel, fields)
        plane[:] = np.rint(channel + zero).clip(0, 2**bits - 1)
    return frame


def _half_the_lines(channel: np.ndarray, fields: bool) -> np.ndarray:
    """(H, w) -> (H / 2, w): the mean of every two lines; in fields those of each field by itself, where a
    sample lies a quarter of the way from the first of its two lines in the top field and three quarters in
    the bottom one, as MPEG-2 and its heirs have it."""
    if not fields:
        return channel.reshape(-1, 2, channel.shape[1]).mean(1)
    top, bottom = (channel[first::2].reshape(-1, 2, channel.shape[1]) for first in (0, 1))     # (H / 4, 2, w)
    halves = 0.75 * top[:, 0] + 0.25 * top[:, 1], 0.25 * bottom[:, 0] + 0.75 * bottom[:, 1]
    return np.stack(halves, 1).reshape(-1, channel.shape[1])


def plane_of(frame: VideoFrame, number: int) -> np.ndarray:
    """(H, W) of one plane, without the padding of its rows; a view, to read or to write."""
    word = np.dtype(np.uint8) if frame.format.components[0].bits == 8 else np.dtype(np.uint16).newbyteorder(
        ">" if frame.format.is_big_endian else "<")
    plane = frame.planes[number]
    return np.frombuffer(plane, word).reshape(plane.height, plane.line_size // word.itemsize)[:, :plane.width]


def tag(frame: VideoFrame, colors: Colors) -> None:
    """Say in the frame what its numbers mean."""
    frame.colorspace, frame.color_range = colors.matrix, FULL if colors.full else LIMITED
    frame.color_primaries, frame.color_trc = colors.primaries, colors.transfer


class Turn(NamedTuple):
    """How a stored picture is turned to stand upright: transposed or not, then mirrored in rows or
    columns."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """(H, W, ...) as stored -> as shown, contiguous; (W, H, ...) where it is transposed."""
        if self == Turn():
            return picture
        upright = picture.swapaxes(0, 1) if self.transpose else picture
        return np.ascontiguousarray(upright[::-1 if self.flip_rows else 1, ::-1 if self.flip_columns else 1])


def turn_of(frame: VideoFrame) -> Turn:
    """The turn that a decoded frame's display matrix asks for, to the nearest quarter; mirrors included."""
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return Turn()
    # The pixel in column p and row q is shown in column a p + c q and row b p + d q.
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(data), np.int32).reshape(3, 3).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, flip_rows=d < 0, flip_columns=a < 0)
    return Turn(True, flip_rows=b < 0, flip_columns=c < 0)
