"""Copying everything except the pictures from one film file to another."""

from __future__ import annotations

from pathlib import Path

import av

from colorlab.files.errors import InputError
from colorlab.files.video.extras import WITH_COVER, counts_timecode, cover_data, cover_name, covers
from colorlab.files.video.film import Film
from colorlab.files.video.opening import open_film, picture_stream

COPIED = ("audio", "subtitle", "attachment")
# of the file, not of the content
FILE_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
STREAM_TAGS = {"language", "title", "comment", "handler_name"}


class Copied:
    """The sound, subtitles and attachments of `like`, copied packet by packet; titles, chapters, covers and
    timecode too."""

    def __init__(self, output: av.container.OutputContainer, suffix: str, like: Film):
        self.output = output
        self.input = open_film(like.path)
        self.pictures = picture_stream(self.input)
        self.streams = {
            s.index: self._added(s, suffix, like.path) for s in self.input.streams if s.type in COPIED
        }
        output.metadata.update({k: v for k, v in self.input.metadata.items() if k.lower() not in FILE_TAGS})
        output.set_chapters(self.input.chapters())
        sources = [s for s in self.input.streams if s.index in self.streams and s.type != "attachment"]
        self.covers = self._covers(suffix, like.path)
        self.timecode = self._timecode() if counts_timecode(suffix, like.rate) else None
        self.packets = self.input.demux(sources) if sources else iter(())
        self.pending: av.Packet | None = next(self.packets, None)
        self.earliest: dict[int, int] = {}  # when the next packet of each stream can be decoded

    def _added(self, stream: av.stream.Stream, suffix: str, path: Path) -> av.stream.Stream:
        try:
            added = self.output.add_stream_from_template(stream)
        except ValueError as error:
            codec = stream.codec_context.name if stream.codec_context else "unknown"
            raise InputError(f"a {suffix} file cannot hold the {stream.type} of {path} ({codec}); give the "
                             f"output a name in .mkv, or in {path.suffix} like the source") from error
        name_like(added, stream)
        return added

    def _covers(self, suffix: str, path: Path) -> list[tuple[av.stream.Stream, bytes]]:
        """The covers, where the container has room for them: streams of their own, or in Matroska files
        attached."""
        added = []
        for number, stream in enumerate(covers(self.input) if suffix.lower() in WITH_COVER else ()):
            data = cover_data(path, stream.index)
            if suffix.lower() == ".mkv":
                self.output.add_attachment(*cover_name(stream, number), data)
            else:
                added.append((self._added(stream, suffix, path), data))
        return added

    def _timecode(self) -> str | None:
        return next((value for stream in self.input.streams
                     for key, value in stream.metadata.items() if key.lower() == "timecode"), None)

    def mux_covers(self) -> None:
        """After the header."""
        for stream, data in self.covers:
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
            self.output.mux(packet)

    def until(self, seconds: float) -> None:
        """Copy the packets that begin before this second of the film."""
        while self.pending is not None:
            packet = self.pending
            if packet.dts is not None:  # the empty packet that ends each stream has none
                if float(packet.dts * packet.time_base) > seconds:
                    return
                self._in_order(packet)
                packet.stream = self.streams[packet.stream.index]
                self.output.mux(packet)
            self.pending = next(self.packets, None)

    def _in_order(self, packet: av.Packet) -> None:
        """Move a packet that would be decoded before the last of its stream behind that, as FFmpeg does: no
        container takes it otherwise."""
        earliest = self.earliest.get(packet.stream.index, packet.dts)
        packet.dts = max(packet.dts, earliest)
        if packet.pts is not None and packet.stream.type != "subtitle":
            packet.pts = max(packet.pts, packet.dts)
        self.earliest[packet.stream.index] = packet.dts + (packet.stream.type != "subtitle")

    def __enter__(self) -> Copied:
        return self

    def __exit__(self, *_: object) -> None:
        self.input.close()


def name_like(stream: av.stream.Stream, source: av.stream.Stream) -> None:
    """Give a stream the language, title and default mark of its source."""
    stream.metadata.update({k: v for k, v in source.metadata.items() if k.lower() in STREAM_TAGS})
    stream.disposition = source.disposition
