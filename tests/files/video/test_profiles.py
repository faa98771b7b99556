"""Pictures of other colour spaces, depths and orientations are read as the colours that they mean."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from profiles import ADOBE, P3, SRGB_CURVE, cmyk_profile, grey_profile, rgb_profile

from colorlab.cli import main
from colorlab.clips.windows import picture_size, read_crop
from colorlab.files.errors import InputWarning
from colorlab.files.video import read_image, read_video


def flat(path, color, mode="RGB", **how):
    Image.new(mode, (24, 16), color).save(path, **how)
    return path


def at_once(path, color, **how):
    return read_image(flat(path, color, **how))[8, 12].tolist()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_display_p3_is_converted(tmp_path, suffix):
    more = {"quality": 100} if suffix == ".jpg" else {"lossless": True} if suffix == ".webp" else {}
    found = at_once(tmp_path / f"p{suffix}", (200, 60, 60), icc_profile=rgb_profile(P3, SRGB_CURVE), **more)
    assert np.abs(np.array(found) - (217, 42, 52)).max() <= (2 if suffix == ".jpg" else 1)


def test_adobe_rgb_is_converted(tmp_path):
    # linear = (v / 255) ** (563 / 256); to XYZ D50, to linear sRGB; sRGB's curve
    assert np.abs(
        np.array(at_once(tmp_path / "a.png", (150, 120, 90), icc_profile=rgb_profile(ADOBE, 563 / 256))) -
        (161, 120, 88)).max() <= 1


def test_srgb_and_untagged_pictures_stay_as_they_are(tmp_path):
    from PIL import ImageCms
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for name, more in (("plain.png", {}), ("tagged.png", {"icc_profile": srgb})):
        Image.fromarray(picture).save(tmp_path / name, **more)
        assert np.abs(read_image(tmp_path / name).astype(int) - picture).max() <= (1 if more else 0)


def test_transparency_survives_the_conversion(tmp_path):
    found = read_image(
        flat(tmp_path / "a.png", (200, 60, 60, 77), "RGBA", icc_profile=rgb_profile(P3, SRGB_CURVE)),
        alpha=True)
    assert found.shape[-1] == 4 and np.abs(found[0, 0].astype(int) - (217, 42, 52, 77)).max() <= 1


def test_tagged_cmyk_goes_by_its_profile(tmp_path):
    found = at_once(tmp_path / "c.tif", (255, 0, 0, 255), mode="CMYK", icc_profile=cmyk_profile())
    assert np.abs(np.array(found) - 48).max() <= 3  # L* 20, though black ink alone would be taken as 0
    assert max(at_once(tmp_path / "u.tif", (255, 0, 0, 255), mode="CMYK")) == 0


def test_tagged_grey_goes_by_its_profile(tmp_path):
    # linear light
    assert np.abs(np.array(at_once(tmp_path / "g.png", 128, mode="L", icc_profile=grey_profile(1.0))) -
                  188).max() <= 1


def png(path, picture, *chunks, depth=8, kind=2):
    """A PNG of uint8 or uint16 (H, W, C) with chunks of its own."""
    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in picture)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", picture.shape[1], picture.shape[0], depth, kind, 0, 0, 0)),
             *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts))
    return path


def gamma(value):
    return b"gAMA", struct.pack(">I", round(value * 100000))


def chromaticities(*numbers):
    return b"cHRM", struct.pack(">8I", *(round(n * 100000) for n in numbers))


P3_XY = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


def test_a_png_may_name_its_gamma_and_primaries(tmp_path):
    flat_rgb = np.full((4, 4, 3), (200, 60, 60), np.uint8)
    assert read_image(png(tmp_path / "g.png", np.full((4, 4, 3), 128, np.uint8),
                          gamma(1.0)))[0, 0].tolist() == [188] * 3
    assert np.abs(
        read_image(png(tmp_path / "p.png", flat_rgb, chromaticities(*P3_XY)))[0, 0].astype(int) -
        (217, 42, 52)).max() <= 1
    assert np.array_equal(read_image(png(tmp_path / "s.png", flat_rgb, gamma(0.45455))), flat_rgb)
    # which comes first
    assert np.array_equal(read_image(png(tmp_path / "r.png", flat_rgb, (b"sRGB", b"\0"), gamma(1.0))),
                          flat_rgb)


def test_sixteen_bits_are_rounded_not_cut(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (9, 11, 3)).astype(np.uint16)
    expected = (deep.astype(float) / 257).round().astype(np.uint8)
    assert np.array_equal(read_image(png(tmp_path / "d.png", deep, depth=16)), expected)
    with_alpha = np.dstack((deep, np.full((9, 11), 0x8080, np.uint16)))
    assert np.array_equal(read_image(png(tmp_path / "t.png", with_alpha, depth=16, kind=6), alpha=True),
                          np.dstack((expected, np.full((9, 11), 128, np.uint8))))


def test_a_broken_profile_is_a_warning_and_the_numbers_stay(tmp_path, capsys):
    path = flat(tmp_path / "b.png", (200, 60, 60), icc_profile=b"no profile" * 20)
    with pytest.warns(InputWarning, match="b.png: its colour profile cannot be used"):
        assert read_image(path)[0, 0].tolist() == [200, 60, 60]
    (tmp_path / "in").mkdir()
    flat(tmp_path / "in" / "0.png", (90, 90, 90))
    assert main([
        "colorize",
        str(tmp_path / "in"), "--reference",
        str(path), "--method", "copy", "--device", "cpu", "-o",
        str(tmp_path / "out")
    ]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("colorlab: ")]
    assert len(lines) == 1 and "cannot be used" in lines[0]


def test_frames_of_folders_and_photographs_for_training_are_converted_and_upright_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "in").mkdir()
    path = flat(tmp_path / "in" / "0.jpg", (200, 60, 60), icc_profile=rgb_profile(P3, SRGB_CURVE),
                quality=100, exif=exif)
    for picture in (next(iter(read_video(tmp_path / "in"))), read_crop(path, (0, 0, 16, 24), (24, 16))):
        assert picture.shape == (24, 16, 3) and np.abs(picture.astype(int) - (217, 42, 52)).max() <= 2
    assert picture_size(path) == (24, 16)


def test_an_animated_reference_gives_its_first_picture_and_says_so(tmp_path):
    pictures = [Image.new("RGB", (8, 8), color) for color in ((200, 60, 60), (0, 0, 255))]
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:])
    with pytest.warns(InputWarning, match="animated; its first picture is taken"):
        assert read_image(tmp_path / "a.png")[0, 0].tolist() == [200, 60, 60]
