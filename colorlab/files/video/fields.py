"""Interlaced film: two pictures in one frame, one in the even lines and one in the odd, half a frame period
apart.

With 4:2:0 subsampling each chroma line belongs to one field, and chroma is resampled within fields: across
fields the colours of two moments would be mixed. swscale does so with frames that are marked as interlaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
from av.filter import Graph

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
        last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format,
                                time_base=frame.time_base or Fraction(1, 25))
        for name, settings in self.filters:
            added = graph.add(name, settings)
            last.link_to(added)
            last = added
        last.link_to(graph.add("buffersink"))
        graph.configure()
        return graph


def marked_as(frame: av.VideoFrame, fields: str) -> av.VideoFrame:
    """The frame, marked as made of two fields, tff or bff; as it is where fields is ""."""
    return next(Filtered(("setfield", fields)).push(frame)) if fields else frame


def field_order(frame: av.VideoFrame) -> str:
    """tff, bff, or "" for a progressive frame, as its flags say; one that cannot be taken apart into fields
    counts as progressive."""
    if not frame.interlaced_frame or frame.height % 2:
        return ""
    return "tff" if any(Filtered(("select", r"eq(interlace_type\,TOPFIRST)")).push(frame)) else "bff"


def deinterlaced(frames: Iterable[av.VideoFrame], flagged: bool) -> Iterator[av.VideoFrame]:
    """As many progressive frames, by bwdif, each at the time of its frame's first field.

    flagged: whether the film says which of its frames are interlaced; if it does not, all are taken to be,
    top field first.
    """
    chain = Filtered(
        ("bwdif",
         f"mode=send_frame:parity={'auto' if flagged else 'tff'}:deint={'interlaced' if flagged else 'all'}"))
    for frame in frames:
        yield from chain.push(frame)
    yield from chain.push(None)
