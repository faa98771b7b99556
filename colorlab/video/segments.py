"""A film file written in segments that are joined without encoding again.

Each segment is a NUT file encoded by itself, with the film's own encoder; so what it holds depends on its frames alone, not on when
the work was interrupted. Joining copies the compressed packets and gives them the time stamps of the film.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from colorlab.errors import InputError
from colorlab.video.encode import Encoder, stamps_of
from colorlab.video.film import Film, open_film, picture_stream
from colorlab.whole import whole


def join_segments(path: Path, segments: Sequence[Path], like: Film | None, rate: Fraction, copied: bool = True,
                  frames: int | None = None) -> int:
    """Make one film of segments, in order; returns its number of frames. The film appears when it is whole.

    like, rate: as for `write_film`. copied: whether sound, subtitles, titles and chapters of `like` come along. Only the packets of one
    segment are held at a time. Raises InputError where a segment is damaged, or where they do not hold as many `frames` as they should.
    """
    delay = max(_delay(_packets(segment)) for segment in segments)
    with open_film(segments[0]) as first:
        context = picture_stream(first).codec_context
        shape = context.height, context.width, 3
    # The encoder that made the segments is opened for its header, and encodes nothing.
    with whole(path) as temporary, Encoder(temporary, shape, like, rate, iter(()), copied) as output:
        for number, packet in enumerate(_stamped(segments, like, rate, delay), start=1):
            output.pass_on(packet)
        if frames is not None and number != frames:
            raise InputError(f"cannot write {path}: its segments hold {number} frames of {frames}; give the same command again, which makes "
                             "them anew")
    return number


def _stamped(segments: Sequence[Path], like: Film | None, rate: Fraction, delay: int) -> Iterator[av.Packet]:
    """All packets in decoding order, with the film's time stamps.

    A packet is decoded `delay` frames before a frame of its place in line is shown: decoding times so made grow across the
    joints, at any rate, where each segment's own would overlap.
    """
    stamps = stamps_of(like, rate)
    earlier: list[int] = []                                      # when the last `delay` frames were shown
    for segment in segments:
        packets = _packets(segment)
        shown = list(islice(stamps, len(packets)))
        if not earlier:
            earlier = [shown[0].start - (delay - n) * max(1, shown[0].duration) for n in range(delay)]
        decoded = earlier + [stamp.start for stamp in shown]
        for place, (packet, rank) in enumerate(zip(packets, _ranks(packets))):
            packet.pts, packet.dts, packet.duration = shown[rank].start, decoded[place], shown[rank].duration
            yield packet
        earlier = decoded[len(decoded) - delay :]


def _packets(segment: Path) -> list[av.Packet]:
    """A segment's compressed frames, in decoding order."""
    with open_film(segment) as container:
        packets = [packet for packet in container.demux(picture_stream(container)) if packet.size]
    if not packets:
        raise InputError(f"{segment} holds no frames; remove its folder and begin anew")
    return packets


def _ranks(packets: Sequence[av.Packet]) -> list[int]:
    """Which frame of its segment each packet is, in the order in which they are shown."""
    order = sorted(range(len(packets)), key=lambda place: packets[place].pts)
    ranks = [0] * len(packets)
    for rank, place in enumerate(order):
        ranks[place] = rank
    return ranks


def _delay(packets: Sequence[av.Packet]) -> int:
    """By how many frames decoding must run ahead of showing."""
    return max(place - rank for place, rank in enumerate(_ranks(packets)))
