"""Lightness comes out as it went in: every code of luma at its own depth, whatever the colour."""

import numpy as np
import pytest
from films import LUMA_WEIGHTS, MATRIX, planar, planes_of, save_film
from PIL import Image

from colorlab.cli import main
from colorlab.files.video import read_video

SIZE = (32, 64)


def film_of(folder, codes, pix_fmt, full=False, matrix="709", chroma=None):
    """One lossless frame with this luma, (H, W)."""
    neutral = 2 ** (pix_bits(pix_fmt) - 1) if chroma is None else chroma
    frame = planar(pix_fmt, codes, *(() if pix_fmt.startswith("gray") else (neutral, neutral)))
    return save_film(folder / "in.mkv", [frame, frame], codec="ffv1", matrix=MATRIX[matrix],
                     color_range=2 if full else 1)


def pix_bits(pix_fmt):
    return next((bits for bits in (10, 12, 14, 16) if f"{bits}le" in pix_fmt), 8)


def ramp(bits, low=0, high=1):
    """(32, 64): codes from a share of all to another, evenly, the last one too."""
    return np.linspace(low * (2**bits - 1), high * (2**bits - 1),
                       SIZE[0] * SIZE[1]).round().astype(np.uint16 if bits > 8 else np.uint8).reshape(SIZE)


def colored(film, color, *more, out="out.mkv"):
    Image.new("RGB", SIZE[::-1], color).save(film.parent / "ref.png")
    assert main([
        "colorize",
        str(film), "--reference",
        str(film.parent / "ref.png"), "--method", "copy", "--device", "cpu", "--cuts", "none", "--lossless",
        "-o",
        str(film.parent / out), *map(str, more)
    ]) == 0
    return planes_of(film.parent / out)


def enlarged(plane, shape):
    """(H / 2, W / 2) -> (H, W) as players do it: along straight lines between samples, which lie amid 2 x 2
    pixels."""
    for axis, side in enumerate(shape):
        at = (np.arange(side) + 0.5) * plane.shape[axis] / side - 0.5
        plane = np.apply_along_axis(lambda row: np.interp(at, np.arange(len(row)), row), axis, plane)
    return plane


def lightness(planes, bits, matrix, full):
    """L* of Y, Cb, Cr (H, W) each, by the equations of the standards, in float64."""
    red, blue = LUMA_WEIGHTS[matrix]
    unit = 2 ** (bits - 8)
    scale, black = ((2**bits - 1), 0) if full else (219 * unit, 16 * unit)
    y = (planes[0].astype(float) - black) / scale
    cb, cr = ((enlarged(p, y.shape) - 128 * unit) / (scale if full else 224 * unit) for p in planes[1:])
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    light = [
        np.where(c > 0.04045, ((np.clip(c, 0, 1) + 0.055) / 1.055)**2.4,
                 np.clip(c, 0, 1) / 12.92) for c in (r, g, b)
    ]
    share = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]
    return np.where(share > (6 / 29) ** 3, 116 * np.cbrt(share) - 16, share * (29 / 3) ** 3)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv420p12le", "gray", "gray10le", "gray12le"])
def test_without_colour_every_code_is_the_sources_own(tmp_path, pix_fmt, full):
    bits = pix_bits(pix_fmt)
    film = film_of(tmp_path, ramp(bits), pix_fmt, full)  # below black and above white too
    for y, cb, cr in colored(film, (120, 120, 120)):
        assert np.array_equal(y, ramp(bits)) and set(np.unique(cb)) == set(np.unique(cr)) == {2 ** (bits - 1)}


@pytest.mark.parametrize("matrix", ["601", "709", "2020"])
@pytest.mark.parametrize("pix_fmt, color", [("yuv420p10le", (60, 90, 200)), ("yuv420p12le", (200, 60, 60)),
                                            ("yuv420p", (150, 110, 90))])
def test_under_a_colour_lightness_is_within_half_a_step_of_8_bits(tmp_path, pix_fmt, color, matrix):
    bits = pix_bits(pix_fmt)
    codes = np.repeat(np.linspace(100, 132, 64)[None] * 2**(bits - 8), 32, 0).round().astype(ramp(bits).dtype)
    y, cb, cr = colored(film_of(tmp_path, codes, pix_fmt, matrix=matrix), color)[0]
    grey = np.full((16, 32), 2 ** (bits - 1))
    assert np.abs(cr.astype(int) - grey).mean() > 4 * 2 ** (bits - 8)  # there is colour
    change = np.abs(
        lightness((y, cb, cr), bits, matrix, False) -
        lightness((codes, grey, grey), bits, matrix, False))[1:-1, 1:-1]
    # in 8 bits Y, Cb and Cr are each rounded to a whole step
    assert change.max() < (100 / 219 if bits == 8 else 0.5 * 100 / 255)


def test_a_smooth_sky_of_10_bits_gets_no_steps(tmp_path):
    codes = np.repeat(np.arange(497, 561, dtype=np.uint16)[None], 32, 0)  # one code a pixel
    y = colored(film_of(tmp_path, codes, "yuv420p10le"), (110, 130, 170))[0][0].astype(int)
    assert np.diff(y[0]).min() >= 0 and np.diff(y[0]).max() <= 2 and len(np.unique(y)) > 56


def test_more_bits_than_an_encoder_writes_are_rounded_not_cut(tmp_path):
    film = film_of(tmp_path, ramp(12), "yuv420p12le")
    Image.new("RGB", SIZE[::-1], (120, 120, 120)).save(tmp_path / "ref.png")
    assert main([
        "colorize",
        str(film), "--reference",
        str(tmp_path / "ref.png"), "--method", "copy", "--device", "cpu", "-o",
        str(tmp_path / "out.mp4")
    ]) == 0
    assert read_video(tmp_path / "out.mp4").pix_fmt == "yuv420p10le"
    # that encoder loses a little
    assert np.abs(planes_of(tmp_path / "out.mp4")[0][0] - ramp(12) / 4).mean() < 2


def test_a_film_turned_on_its_side_keeps_its_luma_too(tmp_path):
    from colorlab.files.video.pixels import Turn
    film = read_video(film_of(tmp_path, ramp(10), "yuv420p10le"))
    film.turn, film.size = Turn(True, flip_rows=True), SIZE[::-1]
    shot = next(film.shots_from(0))
    assert shot.rgb.shape == (64, 32, 3) and np.array_equal(shot.luma.codes, ramp(10).T[::-1])


def test_sixteen_bits_hold_what_eight_would_lose(tmp_path):
    rgb = next(read_video(film_of(tmp_path, ramp(10), "yuv420p10le")).shots_from(0)).rgb
    exact = ((ramp(10).astype(float) - 64) / 876).clip(0, 1) * 65535
    assert rgb.dtype == np.uint16 and np.abs(rgb - exact[..., None]).max() < 16  # of 64, a code


def test_a_film_without_any_loss_is_matroska(tmp_path, capsys):
    film = film_of(tmp_path, ramp(8), "yuv420p")
    Image.new("RGB", SIZE[::-1], (120, 120, 120)).save(tmp_path / "ref.png")
    assert main([
        "colorize",
        str(film), "--reference",
        str(tmp_path / "ref.png"), "--method", "copy", "--lossless", "-o",
        str(tmp_path / "out.mp4")
    ]) == 2
    assert "give the output a name in .mkv" in capsys.readouterr().err and not (tmp_path / "out.mp4").exists()


def test_saturation_multiplies_the_colour_and_nothing_else(tmp_path):
    film = film_of(tmp_path, ramp(10, 0.3, 0.7), "yuv420p10le")
    whole, half, none = (colored(film, (130, 110, 110), "--saturation", s, out=f"{s}.mkv")[0]
                         for s in (1, 0.5, 0))
    assert np.array_equal(none[0], ramp(10, 0.3, 0.7)) and set(np.unique(none[1:])) == {512}
    chroma = [planes[2].astype(int) - 512 for planes in (whole, half)]
    assert chroma[0].min() > 8 and np.abs(chroma[0] - 2 * chroma[1]).max() <= 3
