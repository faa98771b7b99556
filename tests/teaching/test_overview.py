"""The overview figures: their boxes are real modules, in the files they name, and show what a pass left
there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import colorlab
from colorlab import clips
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.teaching import overview
from colorlab.teaching.overview import OVERVIEWS, catch, drawn, present

PACKAGE = Path(colorlab.__file__).parent
FILM = rgb_to_lab(frames_to_rgb(clips.film("street", 5, 64, 112)))


@pytest.fixture(scope="module", params=OVERVIEWS)
def method(request):
    """A method's name, its course network, untrained, and what it was given."""
    name = request.param
    return name, colorlab.load(name, "course"), None if name == "tcavc" else [(0, FILM[:1])]


def test_every_box_names_the_file_that_holds_its_class(method):
    """Of the course's network where it has a stage of its own; of the paper's network the file that the table
    names."""
    name, model, _ = method
    paper = colorlab.load(name, "tiny")
    for network, at_home in ((model, False), (paper, True)):
        declared = {box.module: box.file for box in OVERVIEWS[name]}
        for box in present(OVERVIEWS[name], network):
            if not box.file:
                continue
            source, part = PACKAGE / box.file, overview._found(network, box.module)
            assert source.is_file()
            assert not at_home or box.file == f"papers/{declared[box.module]}", box.name
            if not isinstance(part, nn.Module):  # a method
                assert f"def {part.__name__}(" in source.read_text(), box.name
            elif type(part).__module__.startswith("torch."):
                assert f"self.{box.module} = " in source.read_text(), box.name
            else:
                assert f"class {type(part).__name__}(" in source.read_text(), box.name


def test_every_box_ran_and_the_figure_is_as_wide_as_a_page(method):
    name, model, references = method
    boxes = present(OVERVIEWS[name], model)
    caught = catch(model, boxes, FILM, references)
    assert set(caught) >= {box.module for box in boxes}
    figure = drawn(name, boxes, caught, FILM)
    assert figure.shape[1] == overview.PAGE and np.ptp(figure.reshape(-1, 3), axis=0).min() > 200


def test_the_hooks_are_gone_afterwards(method):
    name, model, references = method
    catch(model, present(OVERVIEWS[name], model), FILM, references)
    assert not any(module._forward_hooks for module in model.modules())
    owners = [model, *model.modules()]
    assert not any(key in vars(owner) for owner in owners for key in ("paint", "read", "write"))


def test_the_papers_network_has_all_boxes_but_the_courses_own():
    for name, own in (("cavc", {"laying"}), ("colormnet", {"carry"}), ("lstvc", set()), ("tcavc", set())):
        model = colorlab.load(name, "tiny")
        assert {box.module
                for box in OVERVIEWS[name]} - {box.module for box in present(OVERVIEWS[name], model)} <= own


def test_a_module_of_another_name_is_an_error():
    model = colorlab.load("lstvc", "course")
    boxes = tuple(
        box._replace(module="fusing") if box.module == "fusion" else box for box in OVERVIEWS["lstvc"])
    with pytest.raises(ValueError, match="'Fusion' shows 'fusing', and CourseLSTVC has no such module"):
        present(boxes, model)


def test_a_module_that_did_not_run_is_an_error():
    model = colorlab.load("lstvc", "course")
    with pytest.raises(
            ValueError,
            match="no result of Linkage: query, Linkage: store: give a film of more than 2 frames"):
        catch(model, OVERVIEWS["lstvc"], FILM[:2], [(0, FILM[:1])])


def test_boxes_stand_apart_and_arrows_lead_to_boxes():
    for boxes in OVERVIEWS.values():
        places = [(box.at[0], column) for box in boxes for column in range(box.at[1], box.at[1] + box.wide)]
        assert len(set(places)) == len(places)
        assert {target for box in boxes for target in box.into} <= {box.module for box in boxes}


def test_an_arrow_passes_a_box_that_this_network_lacks():
    boxes = tuple(box for box in OVERVIEWS["colormnet"] if box.module != "carry")
    decoder = next(box for box in boxes if box.module == "decoder")
    assert list(overview._reached(decoder, boxes)) == ["result"]


def test_equal_features_get_equal_colours_and_others_others():
    features = torch.randn(12, 1, 2).repeat_interleave(4, 2)
    colors = overview._strongest(features)
    assert (
        torch.allclose(colors[..., 0], colors[..., 3]) and (colors[..., 0] - colors[..., 4]).abs().max() > 0.5
    )


def test_tokens_of_several_frames_show_the_last():
    last = torch.arange(2 * 3 * 5.0).view(6, 5)
    tokens = overview.Cells(torch.cat((torch.zeros(12, 5), last)), 8)
    assert torch.equal(overview._on_grid(tokens, (16, 24))[:, 1, 2], last[5])


def test_the_inputs_of_a_module_are_those_of_its_last_call():
    layer = nn.Bilinear(2, 3, 1)
    with overview.inputs_of(layer) as given:
        for x, y in ((torch.zeros(1, 2), torch.zeros(1, 3)), (torch.ones(1, 2), torch.ones(1, 3))):
            layer(x, y)
    layer(torch.zeros(1, 2), torch.zeros(1, 3))   # no longer listened to
    assert len(given) == 2 and given[0].eq(1).all() and given[1].eq(1).all()
