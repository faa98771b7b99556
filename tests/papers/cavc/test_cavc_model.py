"""CAVC as a whole: sizes, state, what the reference does, and that the ablations are what they say."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from colorlab.color import rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.papers.cavc import CAVC, CAVCConfig
from colorlab.papers.cavc.state import blend


def network(**changes) -> CAVC:
    torch.manual_seed(0)
    return CAVC(replace(CAVCConfig.tiny(), **changes)).eval()


def picture(seed: int, *size: int) -> torch.Tensor:
    """A Lab image (1, 3, H, W) of colours that exist."""
    rgb = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))
    return rgb_to_lab(rgb)


def film(seed: int, *shape: int) -> torch.Tensor:
    return 100 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("changes, expected", [({}, 12_460_488), ({"guide": "none"}, 12_221_704),
                                               ({"similarity": "none"}, 12_460_424),
                                               ({"extractor": "vgg19"}, 12_427_208)])
def test_the_paper_preset_and_its_ablations_have_the_specified_number_of_parameters(changes, expected):
    pytest.importorskip("torchvision")
    with torch.device("meta"):
        assert count(CAVC(replace(CAVCConfig.paper(), **changes))) == expected


def test_each_module_has_the_specified_number_of_parameters():
    pytest.importorskip("torchvision")
    with torch.device("meta"):
        model = CAVC(CAVCConfig.paper())
    assert {name: count(module) for name, module in model.named_children()} == {
        "sca": 5_331, "encoder": 7_299_636, "fusion": 99_968, "hist": 114_944, "decoder": 4_940_510,
        "head": 99
    }
    assert [count(level) for level in model.encoder] == [141_828, 496_648, 1_976_336, 4_684_824]
    assert [count(level) for level in model.decoder] == [3_680_784, 939_272, 244_356, 76_098]
    assert count(model.extractor) == 87_455_232


def test_a_frozen_extractor_is_neither_saved_nor_trained_but_moves_along():
    pytest.importorskip("torchvision")
    with torch.device("meta"):
        model = CAVC(CAVCConfig.paper())
    assert not any("extractor" in name for name in model.state_dict()) and len(model.state_dict()) == 313
    assert not any(name.startswith("extractor") for name, _ in model.named_parameters())
    model.train().to(torch.bfloat16)
    assert model.extractor.network.class_token.dtype == model.extractor.mean.dtype == torch.bfloat16
    assert not model.extractor.network.training


def test_random_colour_features_are_announced(monkeypatch):
    model = network()
    monkeypatch.setattr(type(model.extractor), "frozen", True)
    with pytest.warns(UserWarning, match="random weights"):
        model.start(picture(0, 20, 20))


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (100, 178), (3, 50)])
def test_any_size_comes_out_as_it_went_in(size):
    model = network()
    ab, _ = model.step(film(0, 1, 2, 1, *size), model.start(picture(1, 30, 41)))
    assert ab.shape == (1, 2, 2, *size) and ab.isfinite().all() and ab.abs().max() < 130


def test_frames_at_once_are_the_same_as_one_by_one_and_the_state_can_be_rewound():
    model = network()
    l, start = film(0, 1, 4, 1, 20, 24), model.start([(0, picture(1, 20, 24)), (3, picture(2, 20, 24))])
    together, after = model.step(l, start)
    state, alone = start, []
    for frame in l.unbind(1):
        ab, state = model.step(frame, state)
        alone.append(ab)
    assert_close(torch.stack(alone, 1), together, atol=1e-4, rtol=1e-4)
    assert start.frame == 0 and state.frame == after.frame == 4
    assert_close(model.step(l, start)[0], together)


def test_films_of_a_batch_keep_their_own_references():
    model = network()
    l, references = film(0, 2, 2, 1, 16, 16), torch.cat((picture(1, 16, 16), picture(2, 16, 16)))
    together, _ = model.step(l, model.start(references))
    alone = [model.step(l[i:i + 1], model.start(references[i:i + 1]))[0] for i in range(2)]
    assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_one_reference_serves_all_films_of_a_batch():
    model = network()
    reference = picture(1, 16, 16)
    l = film(0, 2, 1, 16, 16)
    expected, _ = model.step(l, model.start(reference.expand(2, -1, -1, -1)))
    # ab units; batches round apart
    assert_close(model.step(l, model.start(reference))[0], expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("part", ["tokens", "histograms"])
def test_tokens_and_histogram_each_reach_the_colours(part):
    model = network()
    l, one, other = (
        film(0, 1, 1, 32, 32),
        model.start(picture(1, 32, 32)),
        model.start(picture(2, 32, 32) * 0.5),
    )
    ab, _ = model.step(l, one)
    exchanged, _ = model.step(l, replace(one, **{part: getattr(other, part)}))
    assert (ab - exchanged).abs().max() > 0.1


def test_without_a_guide_the_histogram_is_not_heard():
    model = network(guide="none")
    l, one, other = (
        film(0, 1, 1, 32, 32),
        model.start(picture(1, 32, 32)),
        model.start(picture(2, 32, 32) * 0.5),
    )
    ab, _ = model.step(l, one)
    assert_close(model.step(l, replace(one, histograms=other.histograms))[0], ab, atol=0, rtol=0)


def test_painting_with_three_equal_channels_is_painting_with_one():
    model = network()
    state = model.start(picture(1, 16, 16))
    tokens, histograms = (part[:, 0] for part in model.guidance(state, B=1, T=1))
    grey = film(0, 1, 1, 16, 16) / 50 - 1
    paint = model.u_colorization
    assert_close(paint(grey.expand(-1, 3, -1, -1), tokens, histograms), paint(grey, tokens, histograms),
                 atol=1e-5, rtol=1e-4)


def test_ab_are_the_chroma_of_the_painted_picture():
    model = network()
    l, state = film(0, 1, 2, 1, 16, 16), model.start(picture(1, 16, 16))
    painted = model.paint(l, state)
    assert painted.shape == (1, 2, 3, 16, 16) and painted.abs().max() <= 1
    assert_close(model.step(l, state)[0], rgb_to_lab((painted + 1) / 2)[:, :, 1:])


def test_every_parameter_gets_a_finite_gradient():
    model = network().train()
    ab, _ = model.step(torch.cat((film(0, 1, 1, 1, 32, 32), torch.zeros(1, 1, 1, 32, 32)), 1),
                       model.start(picture(1, 32, 32)))
    ab.square().mean().backward()
    silent = [
        name for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.abs().sum() > 0
    ]
    assert silent == []


def test_bfloat16_autocast_changes_colours_little():
    model = network()
    l, state = film(0, 1, 1, 32, 32), model.start(picture(1, 32, 32))
    exact, _ = model.step(l, state)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, _ = model.step(l, state)
    assert (exact - rough).abs().mean() < 0.5


@pytest.mark.parametrize("size, at", [((32, 48), (5, 40)), ((19, 37), (18, 36)), ((5, 3), (0, 2))])
def test_attention_maps_sum_to_one_together(size, at):
    model = network()
    maps = model.attention(film(0, 1, 1, *size), model.start(picture(1, 20, 20)), at)
    assert list(maps) == ["reference", "frame 0 (window)", "frame 0 (shifted window)"]
    assert all(map.shape == size and (map >= 0).all() for map in maps.values())
    assert_close(sum(map.sum() for map in maps.values()), torch.tensor(1.0))


def test_attention_names_the_references_that_speak_to_the_frame():
    model = network()
    l, state = film(0, 1, 1, 32, 32), model.start(
        [picture(1, 8, 8), (0, picture(2, 8, 8)),
         picture(3, 8, 8), (4, picture(4, 8, 8))])
    shares = {
        name: round(float(map.sum()), 4)
        for name, map in model.attention(l, replace(state, frame=1), (3, 3)).items()
    }
    assert shares == {
        "reference": 0.1111, "reference (frame 0)": 0.0833, "reference 2": 0.1111,
        "reference (frame 4)": 0.0278, "frame 1 (window)": 0.3333, "frame 1 (shifted window)": 0.3333
    }
    assert "reference (frame 4)" not in model.attention(l, state, (3, 3))


@pytest.mark.parametrize("patch", [0, 20, 42, 48])
def test_a_pixels_share_of_a_patch_is_what_the_fusion_lays_on_it(patch):
    model = network()
    tokens = model.start(picture(1, 70, 70)).tokens[0]
    changed = tokens.clone()
    changed[:, 1 + patch] *= -1
    encoded = torch.zeros(1, 16, 10, 14)  # of a frame of 160 x 224
    change = (model.fusion(encoded, changed) - model.fusion(encoded, tokens)).norm(dim=1)[0]
    whole = model.fusion.project(model.fusion.norm(changed) -
                                 model.fusion.norm(tokens)) - model.fusion.project.bias
    shares = [[
        model.patch_shares(160, 224, (16 * y + 3, 16 * x + 15), 49).flatten()[patch] for x in range(14)
    ] for y in range(10)]
    assert_close(change / whole[0, 1 + patch].norm(), torch.tensor(shares), atol=1e-5, rtol=1e-4)


def test_channel_maps_of_a_colour_picture_have_one_of_each_per_channel():
    model = network()
    maps = model.channel_maps(picture(0, 21, 30) / 100, at=(20, 29))
    assert all(map.shape == (1, 3, 21, 30) for map in maps)
    assert_close(maps.window.sum((2, 3)), torch.ones(1, 3))
    assert_close(maps.shifted.sum((2, 3)), torch.ones(1, 3))


@pytest.mark.parametrize("moments, frame, expected", [((None,), 7, [1]), ((None, None), 7, [0.5, 0.5]),
                                                      ((5,), 0, [1]), ((5,), 9, [1]), ((0, 10), 0, [1, 0]),
                                                      ((0, 10), 4, [0.6, 0.4]), ((10, 0), 4, [0.4, 0.6]),
                                                      ((0, 10), 10, [0, 1]), ((0, 10), 12, [0, 1]),
                                                      ((0, 10, 20), 15, [0, 0.5, 0.5]), ((3, 8), 1, [1, 0]),
                                                      ((None, 0, 10), 5, [0.5, 0.25, 0.25])])
def test_references_are_blended_by_nearness_in_time(moments, frame, expected):
    assert blend(moments, frame) == pytest.approx(expected)


def test_equal_seeds_give_equal_networks():
    assert_close(network().state_dict(), network().state_dict(), atol=0, rtol=0)


@pytest.mark.parametrize("changes, message",
                         [({"extractor": "resnet"}, "extractor='resnet'.*'vit', 'vgg19', 'patches'"),
                          ({"similarity": "dot"}, "similarity='dot'"), ({"guide": "text"}, "guide='text'"),
                          ({"decoder_widths": (8, 8)}, "4 widths need as many decoder_widths, got 2")])
def test_a_config_that_cannot_be_built_says_what_can(changes, message):
    with pytest.raises(InputError, match=message):
        network(**changes)


def test_no_reference_is_refused():
    with pytest.raises(InputError, match="tcavc"):
        network().start(None)


def test_references_for_another_number_of_films_are_refused():
    model = network()
    with pytest.raises(ValueError, match="3 films and the references are for 2"):
        model.step(film(0, 3, 1, 16, 16), model.start(torch.cat((picture(0, 8, 8), picture(1, 8, 8)))))
