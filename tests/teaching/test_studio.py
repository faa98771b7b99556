"""The colour studio, as it is used without a browser: what is painted is a reference, and the colour
propagates from it."""

import base64
import io

import nbformat
import numpy as np
import pytest
from PIL import Image

import colorlab
from colorlab import clips
from colorlab.cli import main
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.files.video import write_video
from colorlab.teaching import plots
from colorlab.teaching.studio import Studio


def ab(picture):
    return rgb_to_lab(frames_to_rgb(picture.copy()))[1:].permute(1, 2, 0).numpy()  # (H, W, 2)


@pytest.fixture
def film():
    grey = clips.film("face", 4, 48, 80).mean(-1, keepdims=True)
    return list(np.repeat(grey, 3, -1).astype(np.uint8))


@pytest.fixture
def studio(film):
    made = Studio(film, methods=("copy",), size=None, cuts=None)
    made._spread.value = False
    return made


def test_a_stroke_is_opaque_where_it_is_and_transparent_elsewhere(studio):
    studio.frame = 2
    studio.stroke([(10, 20), (10, 40)], "#ff0000", 3)
    (number, painting), = studio.references()
    assert number == 2 and painting.shape == (48, 80, 4)
    assert (
        painting[10, 30].tolist() == [255, 0, 0, 255]
        and painting[13, 30, 3] == 255
        and painting[20, 30, 3] == 0
    )
    assert painting[10, 15, 3] == 0 and 120 < (painting[..., 3] > 0).sum() < 220


def test_what_is_painted_propagates_and_keeps_the_films_lightness(studio, film):
    studio.stroke([(24, 20), (24, 60)], "#2060ff", 8)
    studio.propagate()
    last = studio.results["copy"][3]
    assert ab(last)[24, 40, 1] < -20 and np.abs(ab(last)[2, 2]).max() < 3
    assert studio.results["copy"][3].shape == film[3].shape and len(studio.confidence["copy"]) == 4
    expected = list(colorlab.colorize(film, studio.references(), colorlab.load("copy")))
    assert all(np.array_equal(one, other) for one, other in zip(studio.results["copy"], expected))


def test_a_stroke_in_the_browser_is_a_stroke(studio):
    studio._easel.color, studio._easel.radius = "#00ff00", 2
    studio._easel.stroke = [[5.2, 6.7], [5.2, 12.1]]
    assert studio.painting()[5, 9].tolist() == [0, 255, 0, 255]


def test_a_click_asks_why(studio):
    studio.stroke([(24, 20), (24, 60)], "#2060ff", 8)
    studio.frame = 1
    studio._easel.asked = [24, 40]
    assert "100 % from" in studio._note.value and studio.explanation.color[1] < -20
    assert studio._why.layout.display is None


def test_a_picture_of_this_frame_is_its_painting_and_a_loose_one_is_loose(studio):
    picture = np.full((96, 160, 3), (200, 30, 30), np.uint8)
    studio.drop(picture)
    studio.frame = 3
    studio.drop(picture, of_this_frame=True)
    (number, painting), loose = studio.references()
    assert (
        number == 3 and painting.shape == (48, 80, 4) and (painting[..., 3] == 255).all() and loose is picture
    )
    studio.erase()
    assert len(studio.references()) == 1


def test_the_easel_shows_the_frame_with_its_paint(studio, film):
    studio.stroke([(24, 40)], "#ff2020", 6)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(studio._easel.png))))
    assert ab(shown)[24, 40, 0] > 40 and np.abs(ab(shown)[2, 2]).max() < 1
    l = lambda picture: rgb_to_lab(frames_to_rgb(picture.copy()))[0]
    assert (l(shown) - l(film[0])).abs()[:10].max() < 1


def test_nothing_painted_is_said_in_the_note_and_raised_in_python(studio):
    with pytest.raises(InputError, match="paint on a frame first"):
        studio.propagate()
    studio._try(studio.propagate)
    assert "paint on a frame first" in studio._note.value


def test_what_is_saved_is_what_colorize_takes(studio, tmp_path):
    studio.frame = 1
    studio.stroke([(24, 40)], "#ff2020", 6)
    saved = studio.save(tmp_path / "painted")
    assert saved == [str(tmp_path / "painted" / "frame_1.png") + "@1"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "painted" / "frame_1.png")), studio.painting())


def test_a_page_without_a_kernel_shows_a_still(studio):
    studio.stroke([(24, 40)], "#ff2020", 6)
    studio.propagate()
    bundle = studio._repr_mimebundle_()
    shown = bundle[0] if isinstance(bundle, tuple) else bundle
    still = Image.open(io.BytesIO(base64.b64decode(shown["image/jpeg"])))
    assert 700 < still.size[0] <= plots.PAGE and "painted: [0]" in shown["text/plain"]


@pytest.mark.parametrize("methods", [(), ("copy", "flow", "lstvc")])
def test_one_method_or_two(film, methods):
    with pytest.raises(InputError, match="one method or two"):
        Studio(film, methods=methods)


def test_a_start_beyond_the_film(film):
    with pytest.raises(InputError, match="no frame 9"):
        Studio(film, methods=("copy",), start=9)


def test_the_command_writes_a_notebook_that_runs(film, tmp_path, capsys):
    write_video(tmp_path / "film.mp4", film, rate=12)
    code = main([
        "studio",
        str(tmp_path / "film.mp4"), "--method", "copy", "--frames", "3", "--notebook",
        str(tmp_path / "studio.ipynb")
    ])
    assert code == 0 and capsys.readouterr().out.strip() == str(tmp_path / "studio.ipynb")
    cell, = (cell for cell in nbformat.read(tmp_path / "studio.ipynb", 4).cells if cell.cell_type == "code")
    namespace = {}
    exec(cell.source, namespace)
    assert namespace["studio"].film.count() == 3 and list(namespace["studio"].models) == ["copy"]


def test_bad_input_is_one_line_and_code_2(film, tmp_path, capsys):
    write_video(tmp_path / "film.mp4", film, rate=12)
    assert main(
        ["studio",
         str(tmp_path / "film.mp4"), "--start", "50", "--notebook",
         str(tmp_path / "n.ipynb")]) == 2
    assert "has the frames 0 to 3" in capsys.readouterr().err and not (tmp_path / "n.ipynb").exists()


def test_a_stroke_spreads_over_its_frame_and_strokes_stay(studio):
    studio.stroke([(24, 40)], "#ff2020", 6)
    studio._spread.value = True
    (_, whole), = studio.references()
    assert (whole[..., 3] == 255).all() and ab(whole[..., :3])[24, 40, 0] > 40
    assert ab(whole[..., :3])[2, 2, 0] > 20  # one stroke alone reaches everything
    studio.stroke([(4, 4), (4, 70)], "#808080", 4)
    (_, whole), = studio.references()
    assert abs(ab(whole[..., :3])[4, 40]).max() < 6 and ab(whole[..., :3])[24, 40, 0] > 40


def test_a_whole_picture_is_not_spread(studio):
    studio.drop(np.full((48, 80, 3), (200, 30, 30), np.uint8), of_this_frame=True)
    studio._spread.value = True
    (_, whole), = studio.references()
    assert np.array_equal(whole, studio.painting())
