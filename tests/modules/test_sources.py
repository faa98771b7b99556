"""A map says by its type which picture it lies on; its name is for people."""

import numpy as np
import pytest
import torch

import colorlab
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.video import read_video, write_video
from colorlab.film.contact_sheets import explain
from colorlab.film.references import guide
from colorlab.modules.references import Reference
from colorlab.modules.sources import Source, reference_sources
from colorlab.teaching.explore import colors_from

RED, BLUE = (np.full((32, 48, 3), color, np.uint8) for color in ((200, 40, 40), (40, 40, 200)))


def lab(picture: np.ndarray) -> torch.Tensor:
    return rgb_to_lab(frames_to_rgb(torch.from_numpy(picture[None])))


def test_references_are_named_by_what_they_are_and_numbered_by_their_place():
    image = torch.zeros(1, 3, 8, 8)
    sources = reference_sources([Reference(5, image), Reference(None, image), Reference(None, image)])
    assert sources == ["reference (frame 5)", "reference", "reference 2"]
    assert [(s.kind, s.frame, s.index) for s in sources] == [
        ("reference", 5, 0),
        ("reference", None, 1),
        ("reference", None, 2),
    ]


def test_a_source_keeps_what_it_stands_for_when_its_name_changes():
    source = Source("neighbours (frame {frame})", "frame", 7)
    assert (source, source.later(10), source.detailed("near")) == (
        "neighbours (frame 7)",
        "neighbours (frame 17)",
        "neighbours (frame 7), near",
    )
    assert source.later(10).frame == 17 and source.detailed("near").later(1) == "neighbours (frame 8), near"
    assert Source("long-term memory", "memory").later(3) == "long-term memory"


@pytest.mark.parametrize("method", ["copy", "flow", "lstvc", "colormnet", "cavc"])
def test_the_map_lies_on_the_picture_that_the_colour_came_from(method, recwarn):
    """Frame 0 is given in red, and a blue picture beside it: each map of a reference stands before that very
    picture."""
    film = torch.cat([lab(RED)] * 2)
    explorer = colors_from(colorlab.load(method, "tiny"), film, [(0, lab(RED)), lab(BLUE)])
    behind = {
        source.index: background
        for source, background in explorer.view.backgrounds.items()
        if source.kind == "reference"
    }
    seen = {
        index: int(np.asarray(background).reshape(3, -1).mean(1).argmax())
        for index, background in behind.items()
    }
    assert seen == {index: (0, 2)[index] for index in seen} and 0 in seen


def test_a_sheet_shows_the_picture_that_the_colour_came_from(tmp_path):
    write_video(tmp_path / "film.mkv", [RED, RED, RED])
    film = read_video(tmp_path / "film.mkv")
    sheet = lambda *references: explain(
        film, guide(film, references), colorlab.load("copy"), (1, 10, 20), None, torch.device("cpu")
    )
    found = sheet((0, RED), BLUE)
    assert found.shares == {"reference (frame 0)": 1.0}
    # the picture that gave nothing is not shown
    assert np.array_equal(found.sheet, sheet((0, RED), np.full_like(BLUE, 255)).sheet)
    assert not np.array_equal(found.sheet, sheet((0, np.full_like(RED, 255)), BLUE).sheet)
