"""What a film holds beside its pictures and sound comes along where the container can hold it; one line lists
what is left out."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from films import fill_planes, grey_ramp, save_film
from PIL import Image

from colorlab.cli import main
from colorlab.files.video import read_video
from colorlab.files.video.extras import HDR

MASTERED = (
    "mastering-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):cll=1000,400"
)
SCREEN = HDR((34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 50, 10000000), (1000, 400))


def with_cover(output):
    stream = output.add_stream("mjpeg")
    stream.width, stream.height, stream.pix_fmt, stream.disposition = (
        32,
        32,
        "yuvj420p",
        Disposition.attached_pic,
    )
    data = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 30)).save(data, "JPEG")

    def finish():
        packet = av.Packet(data.getvalue())
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 24)
        output.mux(packet)

    return finish


def with_timecode(output):
    output.streams[0].metadata["timecode"] = "01:02:03:04"
    return lambda: None


def deep(n=3):
    return [fill_planes(av.VideoFrame(48, 32, "yuv420p10le"), (300 + 50 * k, 512, 512)) for k in range(n)]


def colorize(source, out, *more):
    Image.new("RGB", (48, 32), (120, 120, 120)).save(source.parent / "ref.png")
    return main([
        "colorize",
        str(source), "--reference",
        str(source.parent / "ref.png"), "--method", "copy", "--device", "cpu", "-o",
        str(source.parent / out), *map(str, more)
    ])


def left_out(capsys):
    return [
        line.partition(": ")[2]
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("left out of ")
    ]


def streams(path):
    with av.open(str(path)) as film:
        return [(s.type, s.codec_context.name if s.codec_context else None,
                 bool(s.disposition & Disposition.attached_pic)) for s in film.streams]


@pytest.mark.parametrize("segment", [96, 1])
def test_the_screen_an_hdr10_film_was_made_for_is_kept(tmp_path, capsys, segment):
    source = save_film(tmp_path / "in.mkv", deep(), matrix=9, color_range=1,
                       options={"x264-params": MASTERED}, color_primaries=9, color_trc=16)
    assert read_video(source).hdr == SCREEN
    assert colorize(source, "out.mp4", "--segment", segment) == 0 and read_video(
        tmp_path / "out.mp4").hdr == SCREEN and not left_out(capsys)
    assert colorize(source, "loss.mkv", "--lossless") == 0 and left_out(capsys) == [
        "HDR10's mastering display and content light"
    ]


def test_a_cover_comes_along_in_mp4_and_as_an_attached_file_in_matroska(tmp_path, capsys):
    source = save_film(tmp_path / "in.mp4", grey_ramp(3), extra=with_cover)
    assert ("video", "mjpeg", True) in streams(source)
    for out in ("out.mp4", "out.mkv"):
        assert colorize(source, out) == 0 and not left_out(capsys) and read_video(tmp_path / out).count() == 3
        cover = next(s for s in streams(tmp_path / out) if s[2])
        assert cover[:2] == ("video", "mjpeg")
    assert colorize(source, "out.mov") == 0 and left_out(capsys) == ["the cover"]


def test_a_timecode_comes_along_where_it_can_be_counted(tmp_path, capsys):
    source = save_film(tmp_path / "in.mov", grey_ramp(3), extra=with_timecode)
    for out in ("out.mov", "out.mp4", "out.mkv"):
        assert colorize(source, out) == 0 and not left_out(capsys)
        with av.open(str(tmp_path / out)) as film:
            assert "01:02:03:04" in [value for stream in film.streams for value in stream.metadata.values()]
    assert colorize(source, "out.webm") == 0 and left_out(capsys) == ["the timecode"]


def test_transparency_bits_and_second_pictures_are_named(tmp_path, capsys):
    source = save_film(tmp_path / "in.webm", [av.VideoFrame(48, 32, "yuva420p") for _ in range(2)],
                       codec="libvpx-vp9")
    assert colorize(source, "out.webm") == 0 and left_out(capsys) == ["transparency"]
    twelve = save_film(
        tmp_path / "in.mkv",
        [fill_planes(av.VideoFrame(48, 32, "yuv420p12le"), (900, 2048, 2048))] * 2,
        codec="ffv1",
    )
    assert colorize(twelve, "out.mp4") == 0 and left_out(capsys) == ["2 of 12 bits"]
    assert colorize(twelve, "frames") == 0 and left_out(capsys) == ["all but the pictures, of which 8 bits"]

    def second(output):
        stream = output.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"

        def finish():
            frame = grey_ramp(1)[0]
            frame.pts, frame.time_base = 0, Fraction(1, 24)
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return finish

    assert colorize(save_film(tmp_path / "two.mkv", grey_ramp(2), extra=second), "two.mp4") == 0
    assert left_out(capsys) == ["a second stream of pictures (mpeg4)"]


def test_a_plain_film_has_nothing_left_out(tmp_path, capsys):
    assert colorize(save_film(tmp_path / "in.mp4", grey_ramp(3)), "out.mp4") == 0 and not left_out(capsys)
    times = [[stamp.start
              for stamp in read_video(tmp_path / name).stamps()]
             for name in ("in.mp4", "out.mp4")]
    assert np.array_equal(*map(np.diff, times))
