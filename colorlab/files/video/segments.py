"""A film file written in segments that are joined without encoding again.

Each segment is a NUT file encoded independently, with the film's own encoder; so its content depends on its
frames alone, not on when the work was interrupted. Joining copies the compressed packets and gives them the
time stamps of the film.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from colorlab.files.errors import InputError
from colorlab.files.video.encode import Encoder, stamps_of
from colorlab.files.video.film import Film
from colorlab.files.video.opening import open_film, picture_stream
from colorlab.files.atomic import atomically


def join_segments(path: Path, segments: Sequence[Path], like: Film | None, rate: Fraction,
                  copied: bool = True, lossless: bool = False, frames: int | None = None) -> int:
    """Join segments, in order, into one film; returns its number of frames. The film appears when it is
    complete.

    like, rate: as for `write_film`. copied: whether sound, subtitles, titles and chapters of `like` come
    along. lossless: whether the segments are. Only the packets of one segment are held at a time. Raises
    InputError where a segment is damaged, or where they do not hold as many `frames` as they should.
    """
    with open_film(segments[0]) as first:
        context = picture_stream(first).codec_context
        shape = context.height, context.width, 3
    with atomically(path) as temporary:
        number = join(temporary, lambda: map(segment_packets, segments), shape, like, rate, copied, lossless)
        if frames is not None and number != frames:
            raise InputError(f"cannot write {path}: its segments hold {number} frames of {frames}; give the "
                             "same command again, which makes them anew")
    return number


def join(path: Path, groups: Callable[[], Iterator[list[av.Packet]]], shape: tuple[int, ...],
         like: Film | None, rate: Fraction, copied: bool, lossless: bool) -> int:
    """Write groups of compressed frames, each decodable by itself, as one film; returns its number of frames.
    They are gone through twice."""
    delay = max(_delay(group) for group in groups())
    # The encoder that made the packets is opened for its header, and encodes nothing.
    with Encoder(path, shape, like, rate, iter(()), copied, lossless=lossless) as output:
        for number, packet in enumerate(_stamped(groups(), like, rate, delay), start=1):
            output.pass_on(packet)
    return number


def _stamped(groups: Iterable[list[av.Packet]], like: Film | None, rate: Fraction,
             delay: int) -> Iterator[av.Packet]:
    """All packets in decoding order, with the film's time stamps.

    A packet is decoded `delay` frames before a frame of its place in line is shown: decoding times so made
    grow across the joints, at any rate, where each segment's own would overlap.
    """
    stamps = stamps_of(like, rate)
    earlier: list[int] = []                                      # when the last `delay` frames were shown
    for packets in groups:
        shown = list(islice(stamps, len(packets)))
        if not earlier:
            earlier = [shown[0].start - (delay - n) * max(1, shown[0].duration) for n in range(delay)]
        decoded = earlier + [stamp.start for stamp in shown]
        for place, (packet, rank) in enumerate(zip(packets, _ranks(packets))):
            packet.pts, packet.dts, packet.duration = shown[rank].start, decoded[place], shown[rank].duration
            yield packet
        earlier = decoded[len(decoded) - delay :]


def segment_packets(segment: Path) -> list[av.Packet]:
    """A segment's compressed frames, in decoding order."""
    with open_film(segment) as container:
        packets = [packet for packet in container.demux(picture_stream(container)) if packet.size]
    if not packets:
        raise InputError(f"{segment} holds no frames; remove its folder and begin anew")
    return packets


def groups_of(path: Path) -> Iterator[list[av.Packet]]:
    """A finished film's compressed frames from key frame to key frame, in decoding order, as its encoder made
    them."""
    with open_film(path) as container:
        stream, group = picture_stream(container), []
        prefixed = (
            stream.codec_context.name == "h264" and bytes(stream.codec_context.extradata or b"")[:1] == b"\1"
        )
        for packet in container.demux(stream):
            if packet.is_keyframe and group:
                yield group
                group = []
            if packet.size:
                group.append(_with_start_codes(packet) if prefixed else packet)
        yield group


def _with_start_codes(packet: av.Packet) -> av.Packet:
    """H.264 as encoders make it: MP4 and Matroska put each unit's length where a start code was."""
    data, at, units = bytes(packet), 0, []
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        units.append(b"\0\0\0\1" + data[at + 4 : at + 4 + length])
        at += 4 + length
    plain = av.Packet(b"".join(units))
    plain.pts, plain.dts, plain.duration, plain.time_base = (
        packet.pts,
        packet.dts,
        packet.duration,
        packet.time_base,
    )
    plain.is_keyframe = packet.is_keyframe
    return plain


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
