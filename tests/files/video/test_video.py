"""Films and folders in and out: every frame, its time, its sound; whole or not at all; one line for what
cannot be read."""

import itertools
import os
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from films import fill_planes, grey_ramp, packets, save_film, with_tone
from PIL import Image

import colorlab.files.video
from colorlab.files.errors import InputError
from colorlab.files.video import read_image, read_video, write_video

NOISE = np.random.default_rng(0).integers(0, 256, (30, 32, 48, 3), dtype=np.uint8)


def lights(film) -> list[int]:
    return [int(frame[16, 24, 1]) for frame in film]


def noisy_film(path, n=30, **how):
    frames = [av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p") for rgb in NOISE[:n]]
    return save_film(path, frames, **how)


# ---- reading ----

@pytest.mark.parametrize("n", [1, 2, 10, 31])
def test_every_frame_is_given_also_those_that_the_decoder_holds_back(tmp_path, n):
    path = save_film(tmp_path / "in.mp4", grey_ramp(n), options={"crf": "1", "bf": "4"})
    film = read_video(path)
    assert len(list(film)) == film.count() == film.frames == n


def test_frames_come_in_the_order_in_which_they_are_shown(tmp_path):
    film = read_video(save_film(tmp_path / "in.mp4", grey_ramp(12), options={"crf": "1", "bf": "4"}))
    assert lights(film) == sorted(lights(film))


def test_a_film_can_be_read_twice_and_left_halfway(tmp_path):
    film = read_video(save_film(tmp_path / "in.mp4", grey_ramp(10)))
    assert lights(itertools.islice(film, 3)) == lights(film)[:3]
    assert lights(film) == lights(film)


@pytest.mark.parametrize("codec, suffix", [("libx264", ".mkv"), ("libvpx-vp9", ".webm"), ("mpeg4", ".avi"),
                                           ("libx265", ".mp4"), ("libx264", ".ts")])
def test_other_containers_and_encoders_are_read(tmp_path, codec, suffix):
    film = read_video(save_film(tmp_path / f"in{suffix}", grey_ramp(10, (64, 96)), codec=codec, options={}))
    expected = [(20 + 8 * k - 16) * 255 / 219 for k in range(10)]  # limited-range luma
    assert np.abs(np.array(lights(film)) - expected).max() < 6  # as near as these encoders come


@pytest.mark.parametrize("degrees, corner", [(0, (0, 0)), (90, (-1, 0)), (180, (-1, -1)), (270, (0, -1))])
def test_a_turned_film_comes_out_upright(tmp_path, degrees, corner):
    frame = fill_planes(av.VideoFrame(48, 32, "yuv420p"), (30, 128, 128))
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(32, -1).copy()
    rows[:12, :12] = 220  # a light corner, top left as stored
    frame.planes[0].update(rows.tobytes())
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=24, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write the turn")
        stream.set_display_rotation(degrees)  # counterclockwise
        frame.pts, frame.time_base = 0, Fraction(1, 24)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    film = read_video(path)
    picture = next(iter(film))
    assert picture.shape[:2] == film.size == ((48, 32) if degrees in (90, 270) else (32, 48))
    assert [c for c in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if picture[c].min() > 180] == [corner]
    write_video(tmp_path / "out.mp4", film, like=path)
    assert read_video(tmp_path / "out.mp4").size == film.size  # not turned a second time


def test_a_mirrored_film_comes_out_upright():
    from colorlab.files.video.pixels import Turn
    picture = np.arange(6).reshape(2, 3)
    assert Turn(flip_columns=True).apply(picture).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert Turn(transpose=True).apply(picture).tolist() == [[0, 3], [1, 4], [2, 5]]


# ---- writing ----

def test_variable_frame_rates_keep_their_time_stamps(tmp_path):
    stamps = [0, 40, 83, 200, 210, 500, 1000, 1033, 1066, 2000]
    source = save_film(tmp_path / "in.mp4", grey_ramp(10), stamps=stamps, time_base=Fraction(1, 1000))
    for name in ("out.mp4", "out.mkv", "out.mov", "out.webm"):
        assert write_video(tmp_path / name, read_video(source), like=source) == 10
        film = read_video(tmp_path / name)
        assert [round(1000 * stamp.start * film.time_base) for stamp in film.stamps()] == stamps


def test_constant_frame_rates_stay_exact(tmp_path):
    source = save_film(tmp_path / "in.mp4", grey_ramp(30), time_base=Fraction(1001, 30000))
    write_video(tmp_path / "out.mp4", read_video(source), like=source)
    film = read_video(tmp_path / "out.mp4")
    assert [stamp.start * film.time_base
            for stamp in film.stamps()] == [Fraction(1001 * k, 30000) for k in range(30)]


def test_sound_is_copied_packet_for_packet(tmp_path):
    source = save_film(tmp_path / "in.mp4", grey_ramp(12), extra=with_tone)
    write_video(tmp_path / "out.mp4", read_video(source), like=source)
    assert len(packets(source, "audio")) > 10
    assert packets(tmp_path / "out.mp4", "audio") == packets(source, "audio")


def test_subtitles_are_copied(tmp_path):
    def subtitle(output):
        stream = output.add_stream("subrip")
        stream.codec_context.subtitle_header = (
            b"[Script Info]\n[V4+ Styles]\nFormat: Name\nStyle: Default\n[Events]\nFormat: Text\n"
        )

        def finish():
            packet = av.Packet(b"Where is the colour?")
            packet.stream, packet.pts, packet.dts, packet.duration, packet.time_base = (
                stream,
                100,
                100,
                200,
                Fraction(1, 1000),
            )
            output.mux(packet)
        return finish

    source = save_film(tmp_path / "in.mkv", grey_ramp(12), extra=subtitle)
    assert packets(source, "subtitle") == [(0.1, b"Where is the colour?")]
    write_video(tmp_path / "out.mkv", read_video(source), like=source)
    assert packets(tmp_path / "out.mkv", "subtitle") == packets(source, "subtitle")


def test_a_container_that_cannot_hold_the_sound_is_refused_before_any_work(tmp_path):
    source = save_film(tmp_path / "in.mp4", grey_ramp(12), extra=with_tone)
    pulled = []
    frames = (pulled.append(1) or frame for frame in read_video(source))
    with pytest.raises(InputError, match=r"\.webm.*aac.*\.mkv"):
        write_video(tmp_path / "out.webm", frames, like=source)
    assert len(pulled) == 1 and os.listdir(tmp_path) == ["in.mp4"]


def test_shape_of_pixels_is_kept(tmp_path):
    source = save_film(tmp_path / "in.mp4", grey_ramp(3), sample_aspect_ratio=Fraction(16, 15))
    write_video(tmp_path / "out.mp4", read_video(source), like=source)
    assert read_video(tmp_path / "out.mp4").pixel_aspect == Fraction(16, 15)


def test_streams_keep_their_language_and_default_mark(tmp_path):
    def tagged(output):
        finish = with_tone(output)
        for stream, language in zip(output.streams, ("eng", "deu")):
            stream.metadata["language"], stream.disposition = language, Disposition.default
        return finish

    source = save_film(tmp_path / "in.mkv", grey_ramp(12), extra=tagged)
    write_video(tmp_path / "out.mkv", read_video(source), like=source)
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert [(s.type, s.language, s.disposition) for s in film.streams] == [
            ("video", "eng", 1),
            ("audio", "deu", 1),
        ]


def test_titles_and_chapters_are_kept(tmp_path):
    source = tmp_path / "in.mkv"

    def title(output):
        output.metadata["title"] = "The Farm"
        output.set_chapters(
            [{"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000),
              "metadata": {"title": "Milk"}}])
        return lambda: None

    save_film(source, grey_ramp(12), extra=title)
    write_video(tmp_path / "out.mkv", read_video(source), like=source)
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert film.metadata["title"] == "The Farm" and [c["metadata"]["title"] for c in film.chapters()] == [
            "Milk"
        ]


def test_more_frames_than_the_film_goes_on_at_its_rate(tmp_path):
    source = save_film(tmp_path / "in.mp4", grey_ramp(5))
    write_video(tmp_path / "out.mp4", list(read_video(source)) * 2, like=source)
    film = read_video(tmp_path / "out.mp4")
    assert [stamp.start * film.time_base * 24 for stamp in film.stamps()] == list(range(10))


def test_frames_of_different_sizes_are_no_film(tmp_path):
    with pytest.raises(InputError, match="frame 1 is .*one size"):
        write_video(tmp_path / "out.mp4", [NOISE[0], NOISE[0][:-2]])
    with pytest.raises(InputError, match="uint8 arrays"):
        write_video(tmp_path / "out.mp4", [NOISE[0] / 255])
    with pytest.raises(InputError, match="no frames"):
        write_video(tmp_path / "out.mp4", [])


# ---- whole or not at all ----

class Stop(BaseException):
    """As Ctrl-C: not an Exception."""


@pytest.mark.parametrize("name", ["out.mp4", "out"])
def test_an_interrupted_output_leaves_nothing_behind(tmp_path, name):
    def frames():
        yield from NOISE[:3]
        raise Stop

    with pytest.raises(Stop):
        write_video(tmp_path / name, frames())
    assert os.listdir(tmp_path) == []


def test_an_interrupted_output_leaves_the_old_film_as_it_was(tmp_path):
    old = noisy_film(tmp_path / "out.mp4", 4).read_bytes()
    with pytest.raises(InputError, match="one size"):
        write_video(tmp_path / "out.mp4", [NOISE[0], NOISE[0][:-2]])
    assert (tmp_path / "out.mp4").read_bytes() == old


def test_the_name_appears_only_when_the_film_is_whole(tmp_path):
    seen = []
    frames = (seen.append((tmp_path / "out.mp4").exists()) or frame for frame in NOISE[:5])
    write_video(tmp_path / "out.mp4", frames)
    assert seen == [False] * 5 and os.listdir(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("link", [False, True])
def test_an_output_that_is_the_input_is_refused(tmp_path, link):
    source = noisy_film(tmp_path / "in.mp4", 3)
    target = source
    if link:
        target = tmp_path / "other.mp4"
        os.symlink(source, target)
    with pytest.raises(InputError, match="also the input"):
        write_video(target, read_video(source), like=source)


@pytest.mark.parametrize("name, message", [("missing/out.mp4", "does not exist"), ("out.txt", "films end in"),
                                           ("full", "not empty")])
def test_an_output_that_cannot_be_written_is_refused(tmp_path, name, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=message):
        write_video(tmp_path / name, NOISE[:2])
    assert (tmp_path / "full" / "letter.txt").read_text() == "dear"


# ---- what cannot be read ----

def test_missing_and_empty_files_say_so(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(InputError, match="no file or folder"):
        read_video(tmp_path / "nothing.mp4")
    with pytest.raises(InputError, match="is empty"):
        read_video(tmp_path / "empty.mp4")


@pytest.mark.parametrize("content", [b"hello\n" * 500, bytes(5000), NOISE[0].tobytes()],
                         ids=["text", "zeros", "noise"])
def test_a_file_that_is_no_film_says_so(tmp_path, content):
    (tmp_path / "in.mp4").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a film"):
        read_video(tmp_path / "in.mp4")


def test_a_film_of_another_name_is_read(tmp_path):
    noisy_film(tmp_path / "in.mp4", 3).rename(tmp_path / "in.avi")
    assert len(list(read_video(tmp_path / "in.avi"))) == 3


def test_a_picture_or_sound_is_not_a_film(tmp_path):
    Image.fromarray(NOISE[0]).save(tmp_path / "in.png")
    (tmp_path / "in.png").rename(tmp_path / "in.mp4")
    with pytest.raises(InputError, match="not a film but a single picture"):
        read_video(tmp_path / "in.mp4")
    with av.open(str(tmp_path / "in.m4a"), "w", format="mp4") as output:
        with_tone(output)()
    with pytest.raises(InputError, match="holds no pictures.*audio"):
        read_video(tmp_path / "in.m4a")


@pytest.mark.parametrize("suffix, codec", [(".mp4", "libx264"), (".mkv", "libx264"), (".webm", "libvpx-vp9"),
                                           (".avi", "mpeg4")])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.02])
def test_a_film_that_was_cut_short_says_so(tmp_path, suffix, codec, kept):
    whole = noisy_film(tmp_path / f"in{suffix}", codec=codec, options={}).read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match="cut short"):
        list(read_video(cut))
    with pytest.raises(InputError, match="cut short"):
        read_video(cut).count()


def test_damage_in_the_middle_says_so(tmp_path):
    whole = bytearray(noisy_film(tmp_path / "in.avi", codec="ffv1", options={}).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 9000] = bytes(9000)
    (tmp_path / "in.avi").write_bytes(whole)
    with pytest.raises(InputError, match="damaged or cut short"):
        list(read_video(tmp_path / "in.avi"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind here")
def test_a_file_that_may_not_be_read_says_so(tmp_path):
    path = noisy_film(tmp_path / "in.mp4", 3)
    path.chmod(0)
    with pytest.raises(InputError, match="no permission"):
        read_video(path)


# ---- folders ----

def save_frames(folder, names, sizes=None):
    folder.mkdir()
    for k, name in enumerate(names):
        Image.fromarray(NOISE[k] if sizes is None else np.zeros((*sizes[k], 3), np.uint8)).save(folder / name)
    return folder


def test_a_folder_of_frames_is_a_film_both_ways(tmp_path):
    names = [f"{k:05d}.png" for k in range(5)]
    source = save_frames(tmp_path / "in", names)
    assert write_video(tmp_path / "out", read_video(source), like=source) == 5
    assert sorted(os.listdir(tmp_path / "out")) == names
    assert np.array_equal(list(read_video(tmp_path / "out")), NOISE[:5])


def test_frames_are_ordered_by_number_and_keep_their_names(tmp_path):
    source = save_frames(tmp_path / "in", ["shot2.png", "shot10.png", "shot1.png"])
    assert [f.name for f in read_video(source).files] == ["shot1.png", "shot2.png", "shot10.png"]
    write_video(tmp_path / "out", read_video(source), like=source)
    assert [f.name for f in read_video(tmp_path / "out").files] == ["shot1.png", "shot2.png", "shot10.png"]


def test_a_folder_becomes_a_film_and_a_film_a_folder(tmp_path):
    source = save_frames(tmp_path / "in", [f"{k}.png" for k in range(6)])
    write_video(tmp_path / "film.mp4", read_video(source), like=source, rate=12)
    assert read_video(tmp_path / "film.mp4").rate == 12
    assert write_video(tmp_path / "out", read_video(tmp_path / "film.mp4"), like=tmp_path / "film.mp4") == 6
    assert sorted(os.listdir(tmp_path / "out"))[0] == "00000.png"


def test_other_files_in_a_folder_are_passed_over(tmp_path):
    source = save_frames(tmp_path / "in", ["0.png", "1.JPG", "2.jpeg"])
    (source / "notes.txt").write_text("n")
    (source / ".hidden.png").write_text("n")
    save_frames(source / "ref", ["0.png"])
    assert read_video(source).count() == len(list(read_video(source))) == 3


@pytest.mark.parametrize("make, message", [
    (lambda f: f.mkdir(), "holds no PNG or JPEG"),
    (lambda f: save_frames(f, ["0.png", "1.png", "2.png"], [(8, 8), (8, 8),
                                                            (8, 9)]), "different sizes.*2.png is 9x8"),
    (lambda f: (save_frames(f, ["0.png"]), (f / "1.png").write_bytes(b"")), "1.png is not a picture"),
], ids=["empty", "mixed", "broken"])
def test_a_folder_that_is_no_film_says_so(tmp_path, make, message):
    make(tmp_path / "in")
    with pytest.raises(InputError, match=message):
        read_video(tmp_path / "in")


def test_a_frame_that_was_cut_short_says_so(tmp_path):
    source = save_frames(tmp_path / "in", ["0.png", "1.png"])
    (source / "1.png").write_bytes((source / "1.png").read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"1\.png is damaged or cut short"):
        list(read_video(source))


def test_a_turned_photograph_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:8, :8] = 255
    Image.fromarray(picture).save(tmp_path / "0.png", exif=exif)
    upright = read_image(tmp_path / "0.png")
    assert upright.shape == (32, 16, 3) and upright[0, -1].min() == 255 and upright[0, 0].max() == 0
    assert read_video(tmp_path).size == (32, 16)


def test_sixteen_bit_grey_is_scaled_and_not_clipped(tmp_path):
    Image.fromarray(np.full((4, 4), 257 * 100, np.uint16)).save(tmp_path / "0.png")
    assert np.array_equal(read_image(tmp_path / "0.png"), np.full((4, 4, 3), 100))


def test_the_front_door_offers_both():
    assert {"read_video", "write_video"} <= set(colorlab.files.video.__all__)
