"""Interlaced film: coloured field by field, written with its order of fields; or deinterlaced on request."""

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import VideoReformatter
from films import StopAfter, Stopped, flagged, planar, planes_of, save_film
from PIL import Image

from colorlab.cli import models
from colorlab.cli import main
from colorlab.files.video import read_video
from colorlab.files.video.fields import field_order
from colorlab.files.video.pixels import Colors, plane_of, rgb_to_frame
from colorlab.film.colorize import split_fields, join_fields
from colorlab.film.job import FilmJob
from colorlab.methods.baselines import Copy

SIZE = (64, 96)
ENCODERS = {
    "x264": ("libx264", ".mp4", {"flags": "+ildct+ilme", "crf": "1"}),  # MBAFF
    "ffv1": ("ffv1", ".mkv", {}),
    "mpeg2": ("mpeg2video", ".mpg", {"flags": "+ildct+ilme", "qscale": "1"})
}


def bar(at, colored=True):
    """Fields (32, 96) of a bar that moves: luma, and red chroma (16, 48) where the bar is."""
    y = np.full((32, 96), 60, np.uint8)
    y[:, at:at + 16] = 180
    cr = np.full((16, 48), 128, np.uint8)
    cr[:, at // 2:at // 2 + 8] = 160 if colored else 128
    return y, cr


def frames_of(order, n=4, colored=True):
    """Interlaced frames whose two fields show the bar 8 pixels apart."""
    made = []
    for k in range(n):
        fields = [bar(8 + 16 * k, colored), bar(16 + 16 * k, colored)]
        top, bottom = fields if order == "tff" else fields[::-1]
        y, cr = np.empty(SIZE, np.uint8), np.empty((32, 48), np.uint8)
        y[0::2], y[1::2], cr[0::2], cr[1::2] = top[0], bottom[0], top[1], bottom[1]
        made.append(planar("yuv420p", y, 128, cr))
    return flagged(made, order)


def film(folder, order, how="ffv1", **more):
    codec, suffix, options = ENCODERS[how]
    return save_film(folder / f"in{suffix}", frames_of(order, **more), codec=codec, matrix=6, color_range=1,
                     options=options)


def orders(path):
    with av.open(str(path)) as opened:
        return {field_order(frame) for frame in opened.decode(video=0)}


def colorize(source, *more, out):
    Image.new("RGB", SIZE[::-1], (120, 120, 120)).save(source.parent / "ref.png")
    return main([
        "colorize",
        str(source), "--reference",
        str(source.parent / "ref.png"), "--method", "copy", "--device", "cpu", "-o",
        str(source.parent / out), *map(str, more)
    ])


@pytest.mark.parametrize("how", ENCODERS)
@pytest.mark.parametrize("order", ["tff", "bff"])
def test_the_order_of_fields_is_read_from_the_frames(tmp_path, order, how):
    assert read_video(film(tmp_path, order, how)).fields == order


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("out, more", [("out.mp4", ()), ("out.mov", ()), ("out.mkv", ("--lossless",))])
def test_an_interlaced_film_stays_one_with_its_order_of_fields(tmp_path, order, out, more):
    assert colorize(film(tmp_path, order, colored=False), *more, out=out) == 0
    assert orders(tmp_path / out) == {order}


def test_a_telecined_film_gets_a_hint_and_a_plain_one_none(tmp_path, capsys):
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(30, 220, (16, 80)), np.ones((4, 4))).astype(np.uint8)  # (64, 320)
    steps, pulled = [texture[:, 5 * k:5 * k + 96] for k in range(40)], []
    for a, b, c, d in zip(*(steps[k::4] for k in range(4))):
        for top, bottom in ((a, a), (b, b), (b, c), (c, d), (d, d)):
            picture = top.copy()
            picture[1::2] = bottom[1::2]
            pulled.append(picture)
    for name, pictures in (("telecined.mkv", pulled), ("plain.mkv", steps)):
        source = save_film(tmp_path / name, [planar("yuv420p", picture, 128, 128) for picture in pictures],
                           codec="ffv1")
        assert colorize(source, "--cuts", "none", out="out.mp4") == 0
        said = capsys.readouterr().err
        assert ("telecined.mkv is telecined" in said
                and "fieldmatch,decimate" in said) == (name == "telecined.mkv")
    assert "plain.mkv is" not in said


def test_its_luma_stays_to_the_last_code_in_both_fields(tmp_path):
    source = film(tmp_path, "tff", colored=False)
    assert colorize(source, "--lossless", out="out.mkv") == 0
    for before, after in zip(planes_of(source), planes_of(tmp_path / "out.mkv"), strict=True):
        assert all(np.array_equal(*pair) for pair in zip(before, after))


@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "10 bits"])
def test_colour_of_one_field_does_not_reach_into_the_other(tmp_path, deep):
    source = film(tmp_path, "tff")
    rgb = next(iter(read_video(source))).astype(int)
    chroma = rgb[..., 0] - rgb[..., 2]
    # the bar is there in the top field alone
    assert chroma[0::2, 10:14].min() > 40 and abs(chroma[1::2, 8:14]).max() < 3
    pix_fmt, unit = ("yuv420p10le", 257) if deep else ("yuv420p", 1)
    frame = rgb_to_frame((rgb * unit).astype(np.uint16 if deep else np.uint8), pix_fmt, Colors(6, False),
                         VideoReformatter(), "tff")
    made, stored = plane_of(frame,
                            2).astype(float) / (4 if deep else 1), planes_of(source)[0][2].astype(float)
    inside = np.ones(48, bool)
    inside[[3, 4, 7, 8, 11, 12, 15, 16]] = False          # the bar's edges are smoothed from left to right
    assert np.abs(made - stored)[:, inside].max() <= 1.5  # and so it is written


def test_where_lines_of_colour_lie_in_fields_is_where_swscale_looks_for_them():
    ramp = np.repeat(np.linspace(60, 190, 64)[:, None], 96, 1)  # red grows from the top to the bottom
    rgb = np.stack((ramp, np.full_like(ramp, 90), np.full_like(ramp, 90)), -1)
    made = [
        plane_of(rgb_to_frame(pixels, fmt, Colors(6, False), VideoReformatter(), "tff"),
                 2)[2:-2].astype(float) / unit
        for pixels, fmt, unit in ((rgb.round().astype(np.uint8), "yuv420p", 1),
                                  ((rgb * 257).astype(np.uint16), "yuv420p10le", 4))
    ]
    assert np.abs(made[0] - made[1]).max() <= 1


def test_a_progressive_film_is_not_touched_by_any_of_this(tmp_path):
    source = save_film(tmp_path / "in.mkv", [planar("yuv420p", np.full(SIZE, 90, np.uint8), 128, 128)] * 3,
                       codec="ffv1")
    assert read_video(source).fields == "" and colorize(source, out="out.mp4") == 0 and orders(
        tmp_path / "out.mp4") == {""}


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_the_network_sees_each_field_as_a_picture_in_the_order_of_time(tmp_path, monkeypatch, order):
    from colorlab.methods.baselines import Copy
    seen = []

    class Watching(Copy):
        def step(self, l, state):
            seen.append(float(l[0, 0, 32].argmax()))                              # where the bar begins
            return super().step(l, state)

    monkeypatch.setattr(models, "load", lambda *_, **__: Watching())
    assert colorize(film(tmp_path, order, colored=False), out="out.mp4") == 0
    assert len(seen) == 8 and np.abs(np.diff(seen) - 8).max() <= 2  # always onwards, by half a frame's way


def test_a_reference_of_a_frame_is_that_frames_in_fields_too(tmp_path, monkeypatch):
    from colorlab.methods.baselines import Copy
    given = []

    class Asking(Copy):
        def start(self, reference):
            given.append(reference)
            return super().start(reference)

    monkeypatch.setattr(models, "load", lambda *_, **__: Asking())
    source = film(tmp_path, "tff", colored=False)
    Image.new("RGB", SIZE[::-1], (160, 90, 90)).save(tmp_path / "own.png")
    assert main([
        "colorize",
        str(source), "--reference", f"{tmp_path / 'own.png'}@2", "--method", "copy", "--device", "cpu", "-o",
        str(tmp_path / "out.mp4")
    ]) == 0
    assert given[0][0][0] == 4                                                    # the fifth field


def test_fields_taken_apart_and_put_together_are_the_frames_again():
    frames = torch.arange(2 * 6 * 4.0).view(2, 1, 6, 4)
    for order in ("tff", "bff"):
        assert torch.equal(join_fields(split_fields(frames, order), order), frames)
    assert torch.equal(split_fields(frames, "bff")[0], frames[0, :, 1::2])


@pytest.mark.parametrize("method", ["lstvc", "colormnet", "flow"])
def test_every_method_colours_fields_and_goes_on_after_an_interruption(tmp_path, method):
    import colorlab
    from colorlab.film.references import guide
    from colorlab.film.job import FilmJob, restore

    opened = read_video(film(tmp_path, "tff", colored=False, n=5))

    def do(output, stop=None):
        job = FilmJob(opened, output, colorlab.load(method, "tiny"), None, torch.device("cpu"), {}, segment=2)
        return restore(job, guide(opened, [(0, np.full((*SIZE, 3), 120, np.uint8))]), StopAfter(stop))

    with pytest.raises(Stopped):
        do(tmp_path / "out.mp4", stop=4)
    assert do(tmp_path / "out.mp4") == do(tmp_path / "whole.mp4") == 5
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_deinterlacing_makes_as_many_whole_pictures_without_combs(tmp_path, order):
    source = film(tmp_path, order, colored=False)
    combed, smooth = (np.stack(list(read_video(source, deinterlace=how)))[..., 1].astype(int)
                      for how in (False, True))
    comb = [np.abs(2 * f[:, 1:-1] - f[:, :-2] - f[:, 2:]).mean() for f in (combed, smooth)]
    assert len(smooth) == len(combed) == 4 and comb[1] < 0.2 * comb[0]
    # the bar stands where the first field has it
    assert np.abs(smooth[0, 20:40, 10:14].mean() - (180 - 16) * 255 / 219) < 3
    assert colorize(source, "--deinterlace", "--lossless", out="out.mkv") == 0
    assert orders(tmp_path / "out.mkv") == {""} and read_video(tmp_path / "out.mkv").count() == 4
    assert [s.start for s in read_video(tmp_path / "out.mkv").stamps()
            ] == [s.start for s in read_video(source).stamps()]


def test_what_cannot_be_interlaced_says_so(tmp_path, capsys):
    assert colorize(film(tmp_path, "tff", colored=False), out="out.webm") == 2
    assert "is interlaced and a .webm cannot be; deinterlace it (--deinterlace)" in capsys.readouterr().err
    (tmp_path / "frames").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "frames" / "0.png")
    assert colorize(tmp_path / "frames", "--deinterlace",
                    out="out.mp4") == 2 and "says nothing of fields" in capsys.readouterr().err


def test_lines_that_no_field_shares_alike_keep_their_colour_by_finer_sampling(tmp_path):
    frames = flagged([planar("yuv422p", np.full((66, 96), 90, np.uint8), 128, 128) for _ in range(2)], "tff")
    source = save_film(tmp_path / "in.mkv", frames, codec="ffv1")
    assert colorize(source, out="out.mp4") == 0 and orders(tmp_path / "out.mp4") == {"tff"}
    assert read_video(tmp_path / "out.mp4").size == (66, 96)


def test_work_done_with_deinterlacing_is_not_taken_up_without_it(tmp_path):
    # no flags: its fields are "" both ways
    path = save_film(tmp_path / "combed.mp4",
                     [planar("yuv420p", np.full((32, 48), 90, np.uint8), 128, 128) for _ in range(2)])
    jobs = [
        FilmJob(read_video(path, asked), tmp_path / "out.mp4", Copy(), None, torch.device("cpu"), {})
        for asked in (False, True)
    ]
    assert jobs[0].identity != jobs[1].identity
