"""Weak references and contradicting ones."""

import numpy as np
import pytest
import torch
from films import grey_ramp, save_film
from PIL import Image

from colorlab.cli import main
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.film.contradictions import contradictions
from colorlab.film.palette import painted, read_palette, with_palette
from colorlab.film.references import Given, Guidance

PALETTE = np.array([(90, 60, 40), (120, 150, 190)], np.uint8)   # dark brown, light blue
RAMP = np.repeat(np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None], 16, 0)[..., None], 3, -1)


def lab(picture):
    return rgb_to_lab(frames_to_rgb(picture)).numpy()


def test_a_palette_is_colours_or_a_picture_of_swatches(tmp_path):
    assert read_palette("#5a3c28, #7896BE").tolist() == PALETTE.tolist()
    Image.fromarray(np.repeat(np.repeat(PALETTE[None], 20, 0), 20, 1)).save(tmp_path / "swatches.png")
    assert sorted(read_palette(str(tmp_path / "swatches.png")).tolist()) == sorted(PALETTE.tolist())
    with pytest.raises(InputError, match="give colours such as"):
        read_palette("brown")


def test_a_frame_is_painted_by_its_lightness_and_stays_as_light():
    before, after = lab(RAMP), lab(painted(RAMP, PALETTE))
    assert np.abs(after[0] - before[0]).max() < 0.6
    swatches = lab(PALETTE[None])[:, 0]
    for n in range(2):
        at = int(np.abs(before[0, 0] - swatches[0, n]).argmin())
        assert np.abs(after[1:, 0, at] - 0.8 * swatches[1:, n]).max() < 2.5
    assert np.abs(after[1:, 0, [0, -1]]).max() < 2                  # black and white have no colour


def test_only_scenes_without_a_picture_of_their_own_are_painted():
    own, frames = Given(1, RAMP), [RAMP] * 9
    assert [g.frame for g in with_palette(Guidance((own,), (4, 6)), frames, PALETTE).references] == [1, 4, 6]
    assert [g.frame for g in with_palette(Guidance((), ()), frames, PALETTE).references] == [0]
    assert with_palette(Guidance((Given(None, RAMP),), (4,)), frames, PALETTE).references[0].frame is None


def test_the_command_colours_with_a_palette_alone(tmp_path, capsys):
    from colorlab.files.video import read_video
    film = save_film(tmp_path / "in.mp4", grey_ramp(8))
    given = [
        "colorize",
        str(film), "--palette", "#5a3c28,#7896be", "--device", "cpu", "--cuts", "none", "-o",
        str(tmp_path / "out.mp4")
    ]
    assert main([*given, "--method", "copy"]) == 0
    assert int(np.ptp(next(iter(read_video(tmp_path / "out.mp4")))[16, 24].astype(int))) > 2
    assert main([*given, "--method", "tcavc"]) == 2 and "paints its own" in capsys.readouterr().err


def tinted(seed, color):
    grey = torch.nn.functional.interpolate(
        torch.rand(1, 1, 12, 16, generator=torch.Generator().manual_seed(seed)), (96, 128), mode="bicubic"
    )[0, 0]
    return (grey.clamp(0.1, 0.9).numpy()[..., None] * color).astype(np.uint8)


def test_pictures_that_give_one_thing_two_colours_are_found_and_others_are_not():
    red, blue, pink = tinted(0, (230, 120, 120)), tinted(0, (120, 120, 230)), tinted(0, (228, 124, 118))
    said = contradictions(Guidance((Given(0, red), Given(9, blue), Given(12, pink))))
    assert (
        [(pair.one, pair.other) for pair in said] in ([(0, 1), (1, 2)], [(1, 2), (0, 1)])
        and said[0].share > 0.8
        and said[0].distance > 30
    )
    # another picture may have other colours
    assert not contradictions(Guidance((Given(0, red), Given(9, tinted(5, (120, 120, 230))))))
    assert not contradictions(Guidance((Given(0, red), Given(9, blue)), (5,)))  # and so may another scene


def test_the_command_names_the_two(tmp_path, capsys):
    for name, color in (("red.png", (230, 120, 120)), ("blue.png", (120, 120, 230))):
        Image.fromarray(tinted(0, color)).resize((48, 32)).save(tmp_path / name)
    film = save_film(tmp_path / "in.mp4", grey_ramp(8))
    assert main([
        "colorize",
        str(film), "--reference",
        str(tmp_path / "red.png@0"), "--reference",
        str(tmp_path / "blue.png@4"), "--method", "copy", "--device", "cpu", "--cuts", "none", "-o",
        str(tmp_path / "out.mp4")
    ]) == 0
    assert "red.png@0 and blue.png@4 contradict each other" in capsys.readouterr().err
