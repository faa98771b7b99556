"""Many inputs and one name: the two files are named before any work, and nothing is lost."""

import numpy as np
import pytest
from films import grey_ramp, save_film
from PIL import Image

from colorlab.cli import main
from colorlab.files.errors import InputError
from colorlab.files.video import names, read_video
from colorlab.files.video.names import check_names


def pictures(folder, *files):
    folder.mkdir()
    for n, file in enumerate(files):
        Image.fromarray(np.full((16, 24, 3), 40 * n, np.uint8)).save(folder / file)
    return folder


def colorize(folder, *more, out="out"):
    if not (folder.parent / "ref.png").exists():
        Image.new("RGB", (48, 32), (200, 60, 60)).save(folder.parent / "ref.png")
    given = () if "--reference" in more else ("--reference", str(folder.parent / "ref.png"))
    return [
        "colorize",
        str(folder), *given, "--method", "copy", "--device", "cpu", "-o",
        str(folder.parent / out), *map(str, more)
    ]


@pytest.fixture
def batch(tmp_path):
    """a.mp4 and b.avi, b.mkv: two films each, of which some would get one name."""
    folder = tmp_path / "films"
    folder.mkdir()
    save_film(folder / "a.mp4", grey_ramp(2))
    return folder


def test_two_films_of_a_batch_that_would_get_one_output_are_named(batch, capsys):
    save_film(batch / "a.avi", grey_ramp(2), codec="mpeg4")
    assert main(colorize(batch)) == 2
    said = capsys.readouterr().err
    assert f"{batch / 'a.avi'} and {batch / 'a.mp4'} would both become a.mp4" in said
    assert not list((batch.parent / "out").iterdir())


@pytest.mark.parametrize("more, message",
                         [(("--preview", 2), "would both get the contact sheet a.preview.jpg"),
                          (("--reference", "{name}.png"), "are both a in --reference")])
def test_two_films_that_differ_in_suffix_alone_share_no_sheet_and_no_reference(batch, capsys, more, message):
    save_film(batch / "a.mkv", grey_ramp(2))
    assert main(colorize(batch, *more)) == 2 and message in capsys.readouterr().err
    assert main(colorize(batch)) == 0  # and without such an option nothing stands in the way
    assert sorted(f.name for f in (batch.parent / "out").iterdir()) == ["a.mkv", "a.mp4"]


def test_capitals_alone_tell_films_apart_only_where_the_disk_does(batch, capsys, monkeypatch):
    save_film(batch / "A.mp4", grey_ramp(2))
    monkeypatch.setattr(names, "ignores_case", lambda folder: True)
    assert main(colorize(batch)) == 2 and "would both become a.mp4" in capsys.readouterr().err
    monkeypatch.setattr(names, "ignores_case", lambda folder: False)
    assert main(colorize(batch)) == 0 and len(list((batch.parent / "out").iterdir())) == 2


@pytest.mark.parametrize("files", [("0001.PNG", "0001.jpeg"), ("1.png", "1.jpg", "2.png", "10.png")])
def test_two_pictures_of_one_frame_are_named(tmp_path, capsys, files):
    folder = pictures(tmp_path / "in", *files)
    with pytest.raises(InputError, match=f"are both the frame {files[0].split('.')[0]}"):
        read_video(folder)
    assert main(colorize(folder)) == 2 and not (tmp_path / "out").exists()


def test_frames_of_a_training_clip_go_by_the_same_check(tmp_path):
    from colorlab.clips.windows import frame_files
    with pytest.raises(InputError, match="are both the frame 00000"):
        frame_files(pictures(tmp_path / "clip", "00000.png", "00000.jpg", "00001.png"))


def test_photographs_of_one_name_are_not_packed_into_one(tmp_path):
    from colorlab.train.pack import pack
    with pytest.raises(InputError, match="would both be packed as photos_dog.jpg"):
        pack([pictures(tmp_path / "photos", "dog.png", "dog.jpg", "cat.png")], tmp_path / "out")


def test_a_truth_that_is_there_twice_is_not_chosen_by_chance(tmp_path, capsys):
    for side, films in (("pr", ["a.mp4"]), ("tr", ["a.mkv", "a.avi"])):
        (tmp_path / side).mkdir()
        for film in films:
            save_film(tmp_path / side / film, grey_ramp(2),
                      codec="mpeg4" if film.endswith("avi") else "libx264")
    assert main(["evaluate", str(tmp_path / "pr"), str(tmp_path / "tr"), "--metrics", "psnr"]) == 2
    assert (
        f"{tmp_path / 'tr' / 'a.avi'} and {tmp_path / 'tr' / 'a.mkv'} are both the clip a"
        in capsys.readouterr().err
    )


def test_accents_composed_in_two_ways_are_one_name(tmp_path):
    with pytest.raises(InputError, match="one"):
        check_names([tmp_path / "caf\u00e9", tmp_path / "cafe\u0301"], lambda file: file.name, "are one")


def test_a_file_that_looks_like_an_option_is_told_how_to_be_written(capsys):
    assert main(["colorize", "-a.mp4", "--method", "copy", "-o", "out.mp4"]) == 2
    assert capsys.readouterr(
    ).err == "colorlab: -a.mp4 looks like an option; if it is a file, write ./-a.mp4\n"
