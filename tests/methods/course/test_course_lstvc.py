"""What the course adds to LSTVC: a rolling reference, a corrected warp, exact places, a frozen eye."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close

import colorlab
from colorlab.methods.course.color_lines import draw_lines
from colorlab.methods.course.lstvc import CourseLSTVC, CourseLSTVCConfig
from colorlab.modules.flow import warp
from colorlab.papers.lstvc.model import padded


def tiny(seed=0, **changes):
    """Without anything of the course's but a corrected warp, unless it is asked for; two frames a block."""
    torch.manual_seed(seed)
    plain = {"backbone": "resnet", "rolling": False, "register": None, "block_size": 2}
    return CourseLSTVC(dataclasses.replace(CourseLSTVCConfig.tiny(), **(plain | changes))).eval()


def film(frames=5, height=32, width=40, videos=1, seed=3):
    generator = torch.Generator().manual_seed(seed)
    l = 100 * torch.rand(videos, frames, 1, height, width, generator=generator)
    return l, picture(height, width, videos, seed + 1)


def picture(height=32, width=40, videos=1, seed=4):
    generator = torch.Generator().manual_seed(seed)
    lab = torch.rand(videos, 3, height, width, generator=generator)
    return torch.cat((100 * lab[:, :1], 120 * lab[:, 1:] - 60), dim=1)


def color(model, l, references):
    """The film in blocks of the model's own size."""
    with torch.no_grad():
        return model(l, references)


def test_the_frame_before_stands_beside_the_references_where_the_variant_asks_for_it():
    model, (l, reference) = tiny(rolling=True), film()
    _, state = model.step(l[:, :2], model.start(reference))
    assert state.last.lab.shape == (1, 3, 32, 40)
    model.heads.preference.data.fill_(2.0)  # only the frame before matches
    after, _ = model.step(l[:, 2:4], state)
    redder = state.last._replace(color=state.last.color + 0.25)
    changed, _ = model.step(l[:, 2:4], dataclasses.replace(state, last=redder))
    assert (changed - after).mean() > 10
    model.heads.preference.data.fill_(-2.0)  # or never
    assert_close(
        model.step(l[:, 2:4], dataclasses.replace(state, last=redder))[0],
        model.step(l[:, 2:4], state)[0], atol=1e-3, rtol=0)


def test_what_the_warp_brought_over_is_handed_on_as_it_is():
    """Untrained, nothing is added: the next block finds the very lines that this one has read."""
    model, (l, reference) = tiny(rolling=True), film()
    model.output.trusts = 50.0  # wholly
    look, state = model.look(l[:, :2], model.start(reference))
    assert state.last.color.shape == (1, 18, 8, 10)
    painted = look.ab[:, -1] / 128
    assert_close(draw_lines(state.last.color[:, 2:], l[:, 1] / 50 - 1, 4), painted, atol=1e-4, rtol=0)


def drift(frames=2, height=48, width=64):
    """Lab (1, T, 3, H, W): blurred noise that moves by (1.6, -0.8) pixels a frame, so that nothing stays in
    its cell."""
    noise = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        noise = torch.nn.functional.avg_pool2d(noise, 7, 1, 3)
    still = noise / noise.std() * torch.tensor([15.0, 25.0, 25.0]).view(3, 1, 1) + torch.tensor(
        [50.0, 0.0, 0.0]).view(3, 1, 1)
    moves = torch.arange(frames)[:, None, None, None] * torch.tensor([-1.6, 0.8]).view(2, 1, 1).expand(
        -1, height, width)
    return warp(still.expand(frames, -1, -1, -1), moves, "border")[None]


@pytest.mark.parametrize("rolling", [False, True])
def test_colours_read_at_exact_places_are_truer(rolling):
    lab, error = drift(4), {}
    for register in (None, 2):
        model = tiny(rolling=rolling, register=register)
        error[register] = (
            (color(model, lab[:, :, :1], lab[:, 0]) - lab[:, :, 1:])[:, 1:, :, 8:-8, 8:-8].abs().mean()
        )
    assert error[2] < 0.6 * error[None]


def test_a_registered_place_says_which_reference_it_is_a_place_of():
    """The second reference has the frames' lightness and red for colour, the first is another scene."""
    lab = drift()
    scene, red = lab[:, 0].flip(-1), torch.cat((lab[:, 0, :1], torch.full_like(lab[:, 0, 1:], 50)), dim=1)
    model = tiny(register=2, temperature=1e-3)
    ab = color(model, lab[:, :1, :1], [scene, red])
    assert ab.sub(50).abs().median() < 5


@pytest.mark.parametrize("rolling", [False, True])
def test_each_video_of_a_batch_is_registered_with_its_own_reference(rolling):
    """In float64, where two guesses hardly ever differ by less than the rounding of one batch and of
    another."""
    lab = torch.cat((drift(4), drift(4).flip(-1))).double()
    model = tiny(rolling=rolling, register=2).double()
    both = color(model, lab[:, :, :1], lab[:, 0])
    assert_close(both[1:], color(model, lab[1:, :, :1], lab[1:, 0]), atol=1e-6, rtol=0)


def test_the_frame_before_has_its_own_maps():
    model, (l, reference) = tiny(rolling=True), film()
    _, state = model.step(l[:, :2], model.start(reference))
    maps = model.attention(l[:, 2], state, at=(29, 36))
    assert {"reference, vanilla head", "last frame 1, vanilla head",
            "last frame 1, augmented head"} <= set(maps)
    assert_close(sum(m.sum() for m in maps.values()), torch.tensor(1.0), atol=1e-5, rtol=0)


def test_the_course_network_starts_from_the_colour_it_carries():
    """Where ab is the same line in L all over the reference, any match carries that line, and the frame's own
    L draws it."""
    model = colorlab.load("lstvc", preset="course", register=None)
    l, reference = film(2, 64, 96)
    slope, offset = (torch.tensor(pair).view(2, 1, 1) for pair in ((0.5, -0.3), (10.0, -5.0)))
    reference[:, 1:] = slope * (reference[:, :1] - 50) + offset
    look, _ = model.look(l, model.start(reference))
    trust = torch.tensor(model.output.trusts).sigmoid()  # how far the warp is trusted before training
    assert_close(look.ab, trust * (slope * (l - 50) + offset), atol=1, rtol=0)


def test_where_the_warp_is_not_trusted_the_subnets_own_colours_stand_alone():
    model = colorlab.load("lstvc", preset="course")
    l, reference = film(1, 64, 96)
    with torch.no_grad():
        model.colorization.up.to_ab.bias.copy_(torch.tensor([0.1, -0.2, -100.0]))
    look, _ = model.look(l, model.start(reference))
    own = 128 * torch.tensor([0.1, -0.2]).tanh().view(2, 1, 1)
    assert_close(look.ab, own.expand_as(look.ab), atol=1e-3, rtol=0)


def test_equal_things_have_equal_features_whatever_their_colour():
    model = colorlab.load("lstvc", preset="course")
    other = picture(seed=3)
    other[:, :1] = picture()[:, :1]
    assert_close(model.encode(picture(), (32, 48)).low, model.encode(other, (32, 48)).low)


def test_the_frame_before_is_seen_as_it_was_when_it_was_coloured():
    model, (l, reference) = tiny(rolling=True), film(4)
    _, state = model.step(l[:, :2], model.start(reference))
    alone = model.seen(padded(l[:, 1])[:, None])
    assert_close(state.last.low, alone.low[:, 0], atol=1e-5, rtol=0)


def test_the_course_network_is_small_and_matches_on_a_fine_grid():
    model = colorlab.load("lstvc", preset="course")
    assert sum(parameter.numel() for parameter in model.parameters()) < 5_000_000
    assert model.look(film(1, 128, 224)[0], model.start(picture()))[0].similarity[0, 0, 0].numel() >= 1500
