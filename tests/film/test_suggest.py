"""--suggest N: the frames that a person should paint next, and what each would improve."""

import numpy as np
import pytest
from films import planar, save_film
from PIL import Image

from colorlab.cli import main
from colorlab.film.cuts import look_at, structure
from colorlab.film.references import Given, Guidance
from colorlab.film.suggest import Sample, sample, suggest, unexplained


def checks(seed, size=(64, 96)):
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(30, 220, (size[0] // 8, size[1] // 8)), np.ones((8, 8))).astype(np.uint8)


SCENES = [checks(seed) for seed in range(3)]
NOVEL = SCENES[0].copy()
NOVEL[:, 40:] = checks(9)[:, 40:]  # something new fills half of the first scene's picture


def film_of(folder, lumas):
    return save_film(folder / "in.mkv", [planar("yuv420p", luma, 128, 128) for luma in lumas], codec="ffv1")


# cuts at 18 and 34, new things from 10 on
FRAMES = [SCENES[0]] * 10 + [NOVEL] * 8 + [SCENES[1]] * 16 + [SCENES[2]] * 4


def looks():
    rgb = [np.repeat(luma[..., None], 3, -1) for luma in FRAMES]
    return Sample(list(range(len(rgb))), [look_at(frame) for frame in rgb])


def test_the_longest_scene_without_a_picture_comes_first():
    found = suggest(looks(), Guidance((), (18, 34)), 38, 4)
    assert (
        18 <= found[0].frame < 34 and found[0].mends == (18, 33) and "nothing of this scene" in found[0].why
    )
    # each scene, and what is new in the first
    assert sorted(one.mends for one in found) == [(0, 17), (10, 17), (18, 33), (34, 37)]
    assert [one.gain for one in found] == sorted((one.gain for one in found), reverse=True)


def test_what_a_reference_explains_is_not_suggested_again():
    given = Given(3, np.zeros((64, 96, 3), np.uint8))
    found = suggest(looks(), Guidance((given,), (18, 34)), 38, 9)
    # then nothing is left to mend
    assert not any(one.mends[0] <= 9 and one.frame <= 9 for one in found) and len(found) == 3
    new = next(one for one in found if one.frame < 18)
    assert new.mends == (10, 17) and new.why == "new things are in view"


def test_where_the_method_is_unsure_counts():
    given = tuple(Given(frame, np.zeros((64, 96, 3), np.uint8)) for frame in (0, 10, 18, 34))
    sure = suggest(looks(), Guidance(given, (18, 34)), 38, 3, lambda: np.zeros(38))
    doubt = np.zeros(38)
    doubt[20:28] = 0.9
    unsure = suggest(looks(), Guidance(given, (18, 34)), 38, 3, lambda: doubt)
    assert (
        not sure and unsure[0].mends == (20, 27) and unsure[0].why == "the method is unsure of what is there"
    )


def test_many_frames_are_compared_as_two_are():
    seen = looks().looks
    assert np.allclose(unexplained(seen[0], [seen[12], seen[20]]),
                       [min(1, structure(seen[0], seen[k])) for k in (12, 20)], atol=1e-5)


def test_the_sample_has_the_first_frame_of_each_scene_and_the_references(monkeypatch):
    monkeypatch.setattr("colorlab.film.suggest.SAMPLED", 5)
    seen, cuts = sample([np.repeat(luma[..., None], 3, -1) for luma in FRAMES], 38, [13], None)
    assert {0, 13, 18}.issubset(seen.frames) and 18 in cuts and len(seen.frames) < 12


@pytest.mark.parametrize("more", [(), ("--reference", "ref.png@0", "--method", "copy")])
def test_the_command_writes_the_frames_and_says_what_they_mend(tmp_path, capsys, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (96, 64), (150, 100, 100)).save("ref.png")
    film = film_of(tmp_path, FRAMES)
    assert main(
        ["colorize",
         str(film), "--suggest", "2", "--cuts", "18,34", "--device", "cpu", "-o", "paint", *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    written = sorted(file.name for file in (tmp_path / "paint").iterdir())
    assert len(lines) == len(written) == 2 and all("improves frames" in line for line in lines)
    first = int(lines[0].split(":")[0][-10:-4])
    assert 18 <= first < 34 and np.asarray(Image.open(
        tmp_path / "paint" / f"{first:06d}.png")).shape == (64, 96, 3)


@pytest.mark.parametrize("more, message", [(("--suggest", "0", "-o", "paint"), "counts frames"),
                                           (("--suggest", "2"), "give one with -o"),
                                           (("--suggest", "2", "-o", "paint.mp4"), "a name without a dot")])
def test_what_cannot_be_suggested_is_one_line(tmp_path, capsys, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    assert main(["colorize", str(film_of(tmp_path, FRAMES[:3])), *more
                 ]) == 2 and message in capsys.readouterr().err
