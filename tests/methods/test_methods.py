import pytest
import torch
from torch.testing import assert_close

import colorlab
from colorlab import methods
from colorlab.files.errors import InputError
from colorlab.modules.frames import as_clip
from colorlab.modules.references import parse_references


def picture(height, width, generator):
    """A Lab image (1, 3, H, W) of noise."""
    return torch.cat((torch.rand(1, 1, height, width, generator=generator) * 100,
                      torch.randn(1, 2, height, width, generator=generator) * 20), dim=1)


def test_the_six_methods_have_their_public_names():
    assert colorlab.METHODS == ("cavc", "lstvc", "colormnet", "tcavc", "copy", "flow")


@pytest.mark.parametrize("method", colorlab.METHODS)
def test_every_method_colors_a_clip(method):
    """The interface of all: start, step on a clip and on a frame, any size, a state that is a value."""
    model = colorlab.load(method, preset="tiny")
    generator = torch.Generator().manual_seed(0)
    reference = picture(50, 70, generator)
    clip = torch.rand(1, 2, 1, 45, 61, generator=generator) * 100
    with torch.inference_mode():
        start = model.start(None if method == "tcavc" else [(0, reference)])
        ab, after = model.step(clip, start)
        assert ab.shape == (1, 2, 2, 45, 61) and ab.isfinite().all() and ab.abs().max() <= 150
        single, _ = model.step(clip[:, 0], after)
        assert single.shape == (1, 2, 45, 61)
        again, _ = model.step(clip, start)  # the state was not touched: run on from it twice
        assert torch.equal(again, ab)


@pytest.mark.parametrize("method", colorlab.METHODS)
def test_attention_is_a_distribution(method):
    model = colorlab.load(method, preset="tiny")
    generator = torch.Generator().manual_seed(0)
    reference = picture(40, 56, generator)
    clip = torch.rand(1, 2, 1, 40, 56, generator=generator) * 100
    with torch.inference_mode():
        _, state = model.step(clip, model.start(None if method == "tcavc" else [(0, reference)]))
        maps = model.attention(clip[:, 1], state, at=(11, 17))
    assert all(values.shape == (40, 56) and (values >= 0).all() for values in maps.values())
    assert sum(float(values.sum()) for values in maps.values()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("method", ("cavc", "lstvc", "colormnet", "tcavc"))
def test_the_seed_decides_the_weights(method):
    first, same, other = (colorlab.load(method, preset="tiny", seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_loading_leaves_the_global_random_state_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    colorlab.load("copy")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("arguments, said", [
    (dict(method="deoldify"), "no method named 'deoldify'; there are cavc"),
    (dict(method="copy", preset="huge"), "no preset named 'huge'"),
    (dict(method="lstvc", preset="tiny",
          blocksize=3), "lstvc, preset tiny, has no setting blocksize; it has .*block_size"),
    (dict(method="cavc", preset="tiny", weights="released"), "published no weights"),
    (dict(method="lstvc", preset="tiny", weights="/nowhere/x.safetensors"), "no checkpoint at /nowhere"),
])
def test_wrong_names_get_one_clear_line(arguments, said):
    with pytest.raises(InputError, match=said):
        colorlab.load(**arguments)


def test_changes_reach_the_config():
    assert methods.configure("lstvc", "tiny", block_size=3).block_size == 3


def test_references_in_every_form():
    image = torch.zeros(1, 3, 4, 4)
    assert parse_references(None) == ()
    assert [item.frame for item in parse_references(image)] == [None]
    assert [item.frame for item in parse_references([image, (7, image)])] == [None, 7]
    with pytest.raises(ValueError, match="two references for one frame"):
        parse_references([(7, image), (7, image)])
    with pytest.raises(ValueError, match="rgb_to_lab"):
        parse_references(torch.zeros(1, 1, 4, 4))


def test_a_frame_is_a_clip_of_one():
    frame = torch.rand(2, 1, 3, 4)
    clip, single = as_clip(frame)
    assert single and clip.shape == (2, 1, 1, 3, 4)
    with pytest.raises(ValueError, match="step wants L"):
        as_clip(torch.rand(2, 3, 4, 5))


def clip_and_reference(frames=2, size=(16, 24)):
    generator = torch.Generator().manual_seed(0)
    lab = torch.rand(1, frames + 1, 3, *size, generator=generator) * 100
    return lab[:, 1:, :1], torch.cat((lab[:, 0, :1], lab[:, 0, 1:] - 50), dim=1)


@pytest.mark.parametrize("method", ("cavc", "lstvc", "colormnet", "tcavc"))
def test_every_network_is_called_with_a_clip_and_its_references(method):
    l, reference = clip_and_reference()
    model = colorlab.load(method, "tiny")
    found = model(l, [(0, reference)])
    assert found.shape == (1, 2, 2, 16, 24) and found.requires_grad
    if method != "colormnet":  # whose training reads other frames than its use does
        assert_close(found, model.step(l, model.start([(0, reference)]))[0], atol=1e-3, rtol=0)


@pytest.mark.parametrize("method", ("cavc", "lstvc"))
def test_a_call_can_be_exported(method):
    """tcavc's is lstvc's; colormnet's draws by chance which frames it reads, so that it has no one graph."""
    call, model = clip_and_reference(), colorlab.load(method, "tiny")
    with torch.no_grad():
        exported = torch.export.export(model, call, strict=False).module()
        assert_close(exported(*call), model(*call), atol=1e-4, rtol=0)


def test_what_only_the_course_adds_can_be_switched_off_everywhere_and_on_nowhere_else():
    plain = colorlab.load("lstvc", "tiny").config
    assert colorlab.load("lstvc", "tiny", register=None, rolling=False).config == plain
    assert colorlab.load("cavc", "tiny", lay_channels=0).config == colorlab.load("cavc", "tiny").config
    with pytest.raises(InputError, match="lstvc, preset tiny, has no setting register"):
        colorlab.load("lstvc", "tiny", register=3)
