"""What the numbers in a film stand for: every format, matrix and range against the standards' equations."""

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from films import MATRIX, fill_planes, grey_ramp, save_film, solid, yuv_of

from colorlab.files.video import read_video, write_video
from colorlab.files.video.pixels import Colors, frame_to_rgb, rgb_to_frame

COLORS = [(0, 0, 0), (255, 255, 255), (200, 40, 30), (20, 160, 60), (37, 91, 190), (128, 128, 128),
          (240, 220, 40)]
FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le", "yuv444p12le"]


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", ["601", "709", "2020"])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_a_stored_color_comes_out_as_itself(pix_fmt, matrix, full):
    reformatter = VideoReformatter()
    for color in COLORS:
        frame = solid(color, (16, 32), pix_fmt, matrix, full)
        rgb = frame_to_rgb(frame, Colors(MATRIX[matrix], full), reformatter)
        assert rgb.shape == (16, 32, 3) and rgb.dtype == np.uint8
        # Y, Cb, Cr were rounded
        assert np.abs(rgb.astype(int) -
                      color).max() <= (1 if "10" in pix_fmt or "12" in pix_fmt else 2), color


def test_conversion_rounds_to_the_nearest_level():
    samples = np.random.default_rng(0).integers(40, 200, (3, 24, 32), dtype=np.uint8)
    frame = av.VideoFrame(32, 24, "yuv444p")
    for plane, values in zip(frame.planes, samples):
        rows = np.zeros((24, plane.line_size), np.uint8)
        rows[:, :32] = values
        plane.update(rows.tobytes())
    y, cb, cr = (samples.astype(float) - np.array([16, 128, 128])[:, None, None]) / np.array(
        [219, 224, 224])[:, None, None]
    red, blue = y + 2 * (1 - 0.2126) * cr, y + 2 * (1 - 0.0722) * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    exact = np.clip(np.stack([red, green, blue], -1) * 255, 0, 255)
    assert np.abs(frame_to_rgb(frame, Colors(1, False), VideoReformatter()) - exact).max() < 0.52


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", ["601", "709", "2020"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le"])
def test_a_color_is_stored_by_the_equations(pix_fmt, matrix, full):
    bits = 10 if "10" in pix_fmt else 8
    for color in COLORS:
        rgb = np.full((16, 32, 3), color, np.uint8)
        frame = rgb_to_frame(rgb, pix_fmt, Colors(MATRIX[matrix], full), VideoReformatter())
        assert (frame.colorspace, frame.color_range) == (MATRIX[matrix], 2 if full else 1)
        for plane, value in zip(frame.planes, yuv_of(color, matrix, full, bits)):
            stored = np.frombuffer(plane, np.uint8 if bits == 8 else "<u2")[0]
            assert abs(stored - value) <= 1.3 * 2 ** (bits - 8) / (1 if bits == 8 else 3), color


@pytest.mark.parametrize("pix_fmt, bits", [("gray", 8), ("gray10le", 10), ("gray16le", 16)])
def test_grey_keeps_its_range(pix_fmt, bits):
    for full, black, white in ((True, 0, 2**bits - 1), (False, 16 << (bits - 8), 235 << (bits - 8))):
        for level, grey in ((black, 0), (white, 255), ((black + white) / 2, 128)):
            rgb = frame_to_rgb(fill_planes(av.VideoFrame(32, 16, pix_fmt), [level]), Colors(6, full),
                               VideoReformatter())
            assert np.abs(rgb.astype(int) - grey).max() <= 1


@pytest.mark.parametrize("matrix, color_range, pix_fmt", [("601", 1, "yuv420p"), ("709", 1, "yuv420p"),
                                                          ("709", 2, "yuv420p"), ("601", 2, "yuv444p"),
                                                          ("2020", 1, "yuv420p10le")])
def test_a_film_keeps_its_tags_and_colors(tmp_path, matrix, color_range, pix_fmt):
    color = (200, 40, 30)
    frames = [solid(color, (32, 48), pix_fmt, matrix, color_range == 2) for _ in range(3)]
    source = save_film(tmp_path / "in.mkv", frames, matrix=MATRIX[matrix], color_range=color_range)
    write_video(tmp_path / "out.mp4", read_video(source), like=source)
    for film in (read_video(source), read_video(tmp_path / "out.mp4")):
        assert (film.colors.matrix, film.colors.full) == (MATRIX[matrix], color_range == 2)
        assert np.abs(next(iter(film))[16, 24].astype(int) - color).max() <= 3
    assert read_video(tmp_path / "out.mp4").pix_fmt.replace("j", "") == pix_fmt


def test_primaries_and_transfer_are_passed_on(tmp_path):
    source = save_film(tmp_path / "in.mkv", grey_ramp(3), matrix=9, color_range=1, color_primaries=9,
                       color_trc=16)
    write_video(tmp_path / "out.mp4", read_video(source), like=source)
    assert read_video(tmp_path / "out.mp4").colors == Colors(9, False, 9, 16)


def test_a_film_without_tags_is_read_as_players_do(tmp_path):
    small = save_film(tmp_path / "small.mkv", [solid((200, 40, 30), (48, 64), "yuv420p", "601")])
    large = save_film(tmp_path / "large.mkv", [solid((200, 40, 30), (720, 1280), "yuv420p", "709")])
    for path in (small, large):
        assert np.abs(next(iter(read_video(path)))[20, 20].astype(int) - (200, 40, 30)).max() <= 3


def test_without_like_the_output_is_tagged_709(tmp_path):
    write_video(tmp_path / "out.mp4", [np.full((32, 48, 3), (200, 40, 30), np.uint8)] * 3)
    film = read_video(tmp_path / "out.mp4")
    assert film.colors == Colors(1, False, 1, 1)
    assert np.abs(next(iter(film))[16, 24].astype(int) - (200, 40, 30)).max() <= 3


@pytest.mark.parametrize("size", [(33, 47), (33, 48), (32, 47)])
def test_odd_sizes_lose_no_pixel(tmp_path, size):
    rgb = np.zeros((*size, 3), np.uint8)
    rgb[-4:, -4:] = 255
    for name in ("out.mp4", "out.mkv", "out.webm"):
        write_video(tmp_path / name, [rgb] * 2)
        film = read_video(tmp_path / name)
        assert film.size == size
        assert next(iter(film))[-2, -2].min() > 235


def test_films_that_store_rgb_are_read_exactly(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    path = save_film(tmp_path / "in.mov", [av.VideoFrame.from_ndarray(rgb, "rgb24")], codec="png")
    assert np.array_equal(next(iter(read_video(path))), rgb)


def test_grey_films_become_colored_ones_of_the_same_lightness(tmp_path):
    greys = [
        av.VideoFrame.from_ndarray(np.full((32, 48), level, np.uint8), "gray") for level in (0, 60, 130, 255)
    ]
    source = save_film(tmp_path / "in.mkv", greys, codec="ffv1")
    write_video(tmp_path / "out.mkv", read_video(source), like=source)
    levels = [int(frame[16, 24, 1]) for frame in read_video(tmp_path / "out.mkv")]
    assert np.abs(np.array(levels) - (0, 60, 130, 255)).max() <= 2
