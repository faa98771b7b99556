"""What the match alone is worth: known answers for each measure, and the command that prints the table."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import colorlab
from colorlab.clips import embedded_clip
from colorlab.color import rgb_to_lab
from colorlab.methods.course.reference_warp import ReferenceWarp
from colorlab.modules.pretrained import PretrainedFeatures
from colorlab.train.matching import (Measure, Pair, by, cell_colors, cosines, distance, frozen_maps, main,
                                     mixed, of_cavc, of_colormnet, of_copy, of_lstvc, patches, worth)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def lab(height: int = 32, width: int = 48, seed: int = 0) -> torch.Tensor:
    return rgb_to_lab(noise(1, 3, height, width, seed=seed))


def test_a_rolled_picture_finds_its_colours_where_they_went():
    maps, color = [noise(1, 20, 4, 6), noise(1, 12, 4, 6, seed=1)], 50 * noise(1, 2, 4, 6, seed=2)
    found = mixed(cosines(maps, [map.roll(1, -1) for map in maps]), color.roll(1, -1), 0.01)
    assert distance(found, color) < 1e-2 < distance(color.roll(1, -1), color)


def test_what_all_positions_share_does_not_count():
    frame, reference = noise(1, 20, 4, 6), noise(1, 20, 4, 6, seed=1)
    assert_close(cosines([frame + 7], [3 * reference]), cosines([frame], [reference]), atol=1e-5, rtol=0)


def test_a_patch_is_found_where_the_picture_has_moved_to():
    l = 100 * noise(1, 1, 32, 64)
    best = cosines(patches(l), patches(l.roll((16, 8), (-1, -2)))).argmax(-1).view(8, 16)
    expected = torch.arange(8 * 16).view(8, 16).roll((-4, -2), (-1, -2))
    inside = slice(2, 4), slice(4, 8)  # far enough from the rim, which is not the same for both
    assert torch.equal(best[inside], expected[inside])


def test_frozen_maps_stand_on_cells_and_have_unit_size():
    maps = frozen_maps(100 * noise(1, 1, 24, 40), PretrainedFeatures(4, pretrained=False))
    assert [tuple(map.shape) for map in maps] == [(1, channels, 6, 10) for channels in (24, 40, 112)]
    assert_close(maps[1].square().mean(1), torch.ones(1, 6, 10), atol=1e-3, rtol=0)


def test_the_error_of_a_copy_is_the_distance_to_it():
    reference = lab()
    frame = reference + torch.tensor((0.0, 3.0, 4.0)).view(1, 3, 1, 1)
    found = worth(Measure(of_copy, (1e-3,)), [[Pair(10, frame, reference), Pair(30, reference, reference)]])
    assert found.errors == {10: pytest.approx(5, abs=1e-4), 30: pytest.approx(0, abs=1e-4)}


def test_the_best_temperature_is_taken():
    similarity = lambda l, reference: 0.1 * torch.eye(96)  # one true match: the colder, the better
    found = worth(Measure(similarity, (0.1, 0.001, 0.01)), [[Pair(10, lab(), lab())]])
    assert found.temperature == 0.001 and found.errors[10] < 1e-3


def test_lstvcs_measure_is_the_similarity_that_its_head_reports():
    reference, l = lab(), lab(seed=1)[:, :1]
    model = colorlab.load("lstvc", "tiny", second_head=False)
    look, _ = model.look(l[:, None], model.start(reference))
    with torch.no_grad():
        assert_close(of_lstvc(model)(l, reference).amax(-1), look.similarity.flatten())


def test_with_two_heads_lstvcs_measure_is_their_mean():
    reference, l = lab(), lab(seed=1)[:, :1]
    model = colorlab.load("lstvc", "tiny")
    both = []
    compared = model.heads.queries_and_keys
    model.heads.queries_and_keys = lambda *given: both.append(compared(*given)) or both[-1]
    with torch.no_grad():
        model.look(l[:, None], model.start(reference))
        (query, key), found = both[0], of_lstvc(model)(l, reference)
        assert_close(found, (query[0, 0] @ key[0, 0].mT + query[0, 1] @ key[0, 1].mT) / 2)


def test_colormnets_measure_says_where_it_reads():
    reference, l = lab(), lab(seed=1)[:, :1]
    model = colorlab.load("colormnet", "tiny", temperature=4.0)
    with torch.no_grad():
        # the cell of pixel (9, 22)
        weights = of_colormnet(model)(l, reference).softmax(-1)[2 * 12 + 5].view(8, 12)
    (seen,) = model.attention(l, model.start(reference), at=(9, 22)).values()
    assert_close(cell_colors(seen[None, None])[0, 0] * 16, weights)
    assert int((weights > 0).sum()) == model.config.top_k


def test_cavcs_measure_is_its_layings_where_places_do_not_count():
    laying = ReferenceWarp(8, pretrained=False)
    with torch.no_grad():
        laying.reach.fill_(20.0)  # so far that every place is near
        model = torch.nn.Module()
        model.laying = laying
        reference, l = lab(), lab(seed=1)[:, :1]
        found = (of_cavc(model)(l, reference) / 0.03).softmax(-1)[2 * 12 + 5].view(8, 12)
        scaled = torch.cat((reference[:, :1] / 50 - 1, reference[:, 1:] / 50), dim=1)
        query, _ = laying.query(l / 50 - 1)
        assert_close(found, laying.weights(query, laying.encode(scaled), (9, 22), (32, 48)))


def test_measures_of_lightness_do_not_see_the_references_colours():
    reference, l = lab(), lab(seed=1)[:, :1]
    grey = reference * torch.tensor((1.0, 0.0, 0.0)).view(1, 3, 1, 1)
    assert torch.equal(by(patches)(l, reference), by(patches)(l, grey))


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("footage")
    for name, frames in (("layers", 31), ("short", 12)):
        (home / name).mkdir()
        for number, frame in enumerate(embedded_clip("layers", frames, 32, 52).frames):
            Image.fromarray(frame).save(home / name / f"{number:05d}.png")
    return home


def test_the_command_prints_a_row_for_each_method(footage, capsys):
    assert main(["--data", str(footage), "--clips", "layers", "--method", "copy", "patches"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["match", "t", "=", "10", "t", "=", "30", "PSNR", "temperature"]
    errors = {row.split()[0]: [float(number) for number in row.split()[1:3]] for row in rows}
    assert all(better < worse for better, worse in zip(errors["patches"], errors["copy"]))


def test_a_clip_that_ends_too_soon_is_named(footage, capsys):
    assert main(["--data", str(footage), "--clips", "short", "--method", "copy"]) == 2
    assert "short has 12 frames; the match is measured up to frame 30" in capsys.readouterr().err


def test_weights_that_are_not_there_are_named_before_anything_is_measured(footage, capsys):
    command = ["--data", str(footage), "--clips", "layers", "--method", "copy", "cavc", "--weights", "nothing"]
    assert main(command) == 2
    out, error = capsys.readouterr()
    assert out == "" and "no checkpoint at nothing" in error
