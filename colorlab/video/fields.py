"""Interlaced film: two pictures in one frame, one in the even lines and one in the odd, half a frame's time apart.

Where colour has half the lines of lightness (4:2:0), lines of colour belong to one field each, and are enlarged and shrunk within it: across
the fields the colour of one moment would be mixed into the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from colorlab.video.pixels import plane_of

ORDERS = {"tff": "tt", "bff": "bb"}  # top or bottom field first: as filters call it, and as encoders do
NAMES = {"tff": "top field first", "bff": "bottom field first", "": "progressive"}


class Filtered:
    """Frames through a chain of FFmpeg's filters, such as (("bwdif", "mode=send_frame"),)."""

    def __init__(self, *filters: tuple[str, str]):
        self.filters, self.graph = filters, None

    def push(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """Give the chain a frame, or None after the last; what comes out of it."""
        if frame is not None and self.graph is None:
            self.graph = self._graph(frame)
        if self.graph is None:
            return
        self.graph.push(frame)
        while True:
            try:
                yield self.graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return

    def _graph(self, frame: av.VideoFrame) -> Graph:
        graph = Graph()
        last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 25))
        for name, settings in self.filters:
            added = graph.add(name, settings)
            last.link_to(added)
            last = added
        last.link_to(graph.add("buffersink"))
        graph.configure()
        return graph


def field_order(frame: av.VideoFrame) -> str:
    """tff, bff, or "" for a progressive frame, as its flags say; one that cannot be taken apart into fields counts as progressive."""
    if not frame.interlaced_frame or frame.height % 2:
        return ""
    return "tff" if any(Filtered(("select", r"eq(interlace_type\,TOPFIRST)")).push(frame)) else "bff"


def deinterlaced(frames: Iterable[av.VideoFrame], flagged: bool) -> Iterator[av.VideoFrame]:
    """As many progressive frames, by bwdif, each at the time of its frame's first field.

    flagged: whether the film says which of its frames are interlaced; if it does not, all are taken to be, top field first.
    """
    chain = Filtered(("bwdif", f"mode=send_frame:parity={'auto' if flagged else 'tff'}:deint={'interlaced' if flagged else 'all'}"))
    for frame in frames:
        yield from chain.push(frame)
    yield from chain.push(None)


def has_colors_of_fields(frame: av.VideoFrame) -> bool:
    """Whether lines of colour are fewer than those of lightness, and can be told apart by field."""
    return len(frame.planes) > 1 and frame.format.chroma_height(16) == 8 and frame.height % 4 == 0


def split_fields(frame: av.VideoFrame) -> tuple[av.VideoFrame, av.VideoFrame]:
    """The even lines and the odd lines of a frame as two frames of half the height, with its tags."""
    fields = []
    for first in (0, 1):
        field = av.VideoFrame(frame.width, frame.height // 2, frame.format.name)
        for number in range(len(frame.planes)):
            plane_of(field, number)[:] = plane_of(frame, number)[first::2]
        field.colorspace, field.color_range = frame.colorspace, frame.color_range
        fields.append(field)
    return fields[0], fields[1]


def woven(rgb: np.ndarray, to_frame: Callable[[np.ndarray], av.VideoFrame]) -> av.VideoFrame:
    """(H, W, 3) -> a frame whose fields `to_frame` makes one by one."""
    fields = [to_frame(rgb[first::2]) for first in (0, 1)]
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], fields[0].format.name)
    for number in range(len(frame.planes)):
        plane_of(frame, number)[0::2], plane_of(frame, number)[1::2] = (plane_of(field, number) for field in fields)
    return frame
