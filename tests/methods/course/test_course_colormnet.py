"""What the course adds to ColorMNet: chroma carried beside the values, and places made exact by lightness."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import colorlab
from colorlab.methods.course.color_lines import draw_lines, fit_lines
from colorlab.methods.course.colormnet import CourseColorMNet, CourseColorMNetConfig


@pytest.fixture(scope="module")
def network() -> CourseColorMNet:
    return build()


def build(**changes: object) -> CourseColorMNet:
    """Without a frozen eye or exact places, unless they are asked for."""
    torch.manual_seed(0)
    plain = {"backbones": "small", "register": None}
    network = CourseColorMNet(replace(CourseColorMNetConfig.tiny(), **(plain | changes))).eval()
    # zero at the start: then only carried colour would be seen
    torch.nn.init.normal_(network.decoder.predict.weight, std=0.05)
    return network


def film(T: int = 8, H: int = 20, W: int = 28, B: int = 1, seed: int = 0) -> Tensor:
    """(B, T, 3, H, W) Lab: coloured noise, blurred, drifting to the right."""
    noise = torch.randn(B, 1, 3, H, W, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool2d(noise.flatten(0, 1), 5, 1, 2).unflatten(0, (B, 1))
    clip = torch.cat([smooth.roll(2 * t, -1) for t in range(T)], dim=1)
    return (
        clip * torch.tensor([60.0, 80.0, 80.0])[:, None, None] + torch.tensor([50.0, 0.0, 0.0])[:, None, None]
    )


def run(network: CourseColorMNet, lab: Tensor, references: object) -> Tensor:
    with torch.inference_mode():
        return network.step(lab[:, :, :1], network.start(references))[0]


def smooth_film(T: int, H: int, W: int) -> Tensor:
    """The same, so smooth that it can be followed to a fraction of a pixel."""
    return 6 * torch.nn.functional.avg_pool3d(film(T, H, W) - 50, (1, 7, 7), 1, (0, 3, 3)) + 50


def test_before_any_training_the_colour_of_the_best_match_is_carried_over():
    network = build(top_k=1, local_attention=False, temperature=1e-3)
    torch.nn.init.zeros_(network.decoder.predict.weight)
    lab = film(1, 16, 16)[:, 0]
    l = lab[:, :1] / 50 - 1
    with torch.inference_mode():
        ab, _ = network.step(lab[:, :1], network.start(lab))  # the reference is the frame itself
    assert_close(ab, draw_lines(fit_lines(l, lab[:, 1:], 4), l, 4), atol=1e-3, rtol=0)


def test_what_was_read_is_handed_on_and_only_the_rest_is_fitted(network):
    """Lines fitted anew to what lines drew would blur with every frame."""
    carry, lab = network.carry, film(1, 16, 16)[:, 0]
    l, nowhere = lab[:, :1] / 50 - 1, torch.zeros(1, 3, 4, 4)
    read = carry.fit(l, torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(1)), nowhere)
    none = torch.zeros(1, 2, 16, 16)
    drawn, _ = carry(l, read, none, [])
    assert_close(carry.fit(l, drawn, nowhere, read).packed(), read.packed(), atol=1e-6, rtol=0)
    assert (carry.fit(l, drawn, nowhere).packed() - read.packed()).abs().max() > 0.01
    more = carry.fit(l, drawn + 0.1, nowhere, read)
    assert_close(carry(l, more, none, [])[0], drawn + 0.1, atol=1e-5, rtol=0)


def test_a_colours_place_in_the_exemplar_is_carried_along_and_stays_exact():
    """Each frame reads the very cell of the one before, and the film drifts by half a cell: what is handed on
    is where the colour now is."""
    carry, lab = build(register=2).carry, smooth_film(10, 32, 64)
    column = torch.arange(16.0).expand(8, 16)
    place = torch.stack((torch.ones(8, 16), column, torch.arange(8.0)[:, None].expand(8, 16)))[None]
    read = carry.fit(lab[:, 0, :1] / 50 - 1, lab[:, 0, 1:] / 110, place)
    for t in range(1, 10):
        l = lab[:, t, :1] / 50 - 1
        chroma, read = carry(l, read, torch.zeros(1, 2, 32, 64), [lab[:, 0]])
        read = carry.fit(l, chroma, read.places, read)
    known, x, y = read.places[0, :, 1:-1, 6:-1]  # what has not come in from the left
    assert known.mean() > 0.25                   # nine trusts, multiplied
    assert (x / known - (column - 18 / 4)[1:-1, 6:-1]).abs().median() < 0.05 and (
        y / known - place[0, 2, 1:-1, 6:-1]).abs().median() < 0.05


def test_a_correction_is_for_drawn_colours_and_not_for_those_read_at_exact_places():
    carry, lab = build(register=2).carry, smooth_film(1, 32, 64)[:, 0]
    l, chroma = lab[:, :1] / 50 - 1, lab[:, 1:] / 110
    column, row = torch.arange(16.0).expand(8, 16), torch.arange(8.0)[:, None].expand(8, 16)
    correction = torch.full((1, 2, 32, 64), 0.3)
    for share in (0.0, 1.0):  # of the exemplar in what was read: nothing of it, or each cell's own place
        read = carry.fit(l, chroma, share * torch.stack((torch.ones(8, 16), column, row))[None])
        change = carry(l, read, correction, [lab])[0] - carry(l, read, 0 * correction, [lab])[0]
        assert_close(change, (1 - share) * correction, atol=1e-3, rtol=0)


def test_colours_read_at_exact_places_are_truer(network):
    lab = film(2, 32, 48)
    error = {}
    for register in (None, 2):
        network = build(register=register)
        torch.nn.init.zeros_(network.decoder.predict.weight)
        error[register] = (run(network, lab, [(0, lab[:, 0])]) - lab[:, :, 1:])[:, 1, ..., 4:].abs().mean()
    assert error[2] < 0.6 * error[None]


def test_every_exemplar_has_places_and_is_looked_at_again():
    network, lab = build(register=2), film(6)
    red = torch.tensor([0.0, 40.0, 0.0]).view(1, 3, 1, 1)
    with torch.inference_mode():
        _, state = network.step(
            lab[:, :4, :1], network.start([(0, lab[:, 0]), (3, lab[:, 3]), (5, lab[:, 5])])
        )
        (first, second), last = state.exemplars, state.last
        redder = [
            replace(state, exemplars=(first + red, second)),
            replace(state, exemplars=(first, second + red)),
            replace(state, picture=state.picture + red)
        ]
        ab, *changed = (network.step(lab[:, 4, :1], one)[0] for one in (state, *redder))
    assert_close(network.crop(first, lab[:, 0]), lab[:, 0])
    assert_close(network.crop(second, lab[:, 3]), lab[:, 3])
    places, own = network.carry.unpacked(network.beside_values(last.rows)).places.split((9, 3), dim=1)
    # frame 3 is the second of three exemplars
    assert_close(places, torch.cat((0 * own, own, 0 * own), dim=1))
    assert all((one - ab)[:, 0].mean() > 2 for one in changed)


def test_a_frame_that_was_coloured_remembers_where_in_the_exemplar_its_colours_are():
    network, lab = build(register=2), smooth_film(5, 32, 48)
    with torch.inference_mode():
        _, state = network.step(lab[:, :, :1], network.start([(0, lab[:, 0])]))
    places, own = network.carry.unpacked(network.beside_values(state.last.rows)).places.split(3, dim=1)
    drift = (places[:, 1] / places[:, 0].clamp(min=1e-6) - own[:, 1])[places[:, 0] > 0.5]
    assert state.last.frame == 4 and len(drift) > 10
    assert_close(drift.median(), torch.tensor(-2.0), atol=0.5, rtol=0)  # the film moves half a cell a frame


def test_recurrence_hands_places_on_as_they_are():
    network, lab = build(register=2, propagation="recurrent"), film(3)
    torch.nn.init.ones_(network.propagation.mend.bias)
    with torch.inference_mode():
        _, state = network.step(lab[:, 0, :1], network.start([(0, lab[:, 0])]))
        far, near, _ = network.far_and_near(
            network.look(lab[:, 1, :1], state).query, replace(state, last=None))
    assert near is None
    assert_close(far.carried.places, state.last.rows[:, -3:])


def test_a_place_of_another_lightness_can_be_told(network):
    """The gate sees how far the lightness that came along is from the frame's own."""
    carry = build().carry
    far = near = torch.zeros(1, 2, network.config.value, 4, 4)
    l = torch.zeros(1, 1, 16, 16)
    here, wrong = (carry.fit(l + shift, torch.zeros(1, 2, 16, 16), torch.zeros(1, 3, 4, 4))
                   for shift in (0.0, 0.5))
    carry.gate.weight.data[:, -4:] = -1  # distrusts what is near and wrong
    trusted, distrusted = (carry.share(far, near, here, other, l) for other in (here, wrong))
    assert torch.allclose(trusted, torch.tensor(0.5)) and (distrusted < trusted).all()


@pytest.mark.parametrize("references", ["frame 0", "a picture", "both", "a later frame"])
def test_as_many_exemplars_are_expected_as_come(references):
    """Places are kept for every exemplar that will come, from the first frame on; a later frame's serves as a
    foreign one until then."""
    network, lab = build(register=2), film(4)
    given = {
        "frame 0": [(0, lab[:, 0])], "a picture": lab[:, 2], "both": [lab[:, 2], (0, lab[:, 0])],
        "a later frame": [(3, lab[:, 3])]
    }[references]
    state = network.start(given)
    assert state.expected == {"frame 0": 1, "a picture": 1, "both": 2, "a later frame": 2}[references]
    with torch.inference_mode():
        _, after = network.step(lab[:, :, :1], state)
    assert len(after.exemplars) == state.expected


def test_the_course_preset_is_small_and_matches_on_a_fine_grid():
    network = colorlab.load("colormnet", "course")
    assert sum(p.numel() for p in network.parameters()) < 5_000_000
    with torch.inference_mode():
        state = network.opened(torch.full((1, 1, 128, 224), 50.0), network.start(torch.zeros(1, 3, 128, 224)))
    assert state.held[0].size >= 1500
