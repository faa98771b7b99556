import pytest
import torch
from torch.testing import assert_close

import colorlab
from colorlab.clips import embedded_clip
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.methods import baselines
from colorlab.methods.baselines import CarriedColor, Copy, Flow, FlowConfig, match_lightness, repair
from colorlab.modules.flow import FlowEstimate
from colorlab.modules.flow.warping import pixel_grid

PLAIN = FlowConfig(estimator="classical", repair=False)


def picture(height: int = 12, width: int = 16, seed: int = 0) -> torch.Tensor:
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return torch.cat((100 * noise[:, :1], 100 * noise[:, 1:] - 50), 1)


def constant_flow(dx: float, dy: float):
    """An estimator that answers (dx, dy) from the new frame to the old one, and the opposite back."""
    def estimate(a: torch.Tensor, b: torch.Tensor, how: str) -> FlowEstimate:
        flow = torch.tensor((float(dx), float(dy))).view(1, 2, 1, 1).expand(len(a), 2, *a.shape[-2:]).clone()
        flow[len(a) // 2:] *= -1  # the second half of the batch asks for the way back
        return FlowEstimate(flow, "classical")
    return estimate


def lab_clip(name: str, frames: int = 4) -> torch.Tensor:
    return rgb_to_lab(frames_to_rgb(embedded_clip(name, frames, 48, 84).frames))


def test_copy_holds_the_reference_nearest_in_time_and_of_two_the_earlier():
    early, late = picture(seed=1), picture(seed=2)
    model = Copy()
    ab, state = model.step(torch.zeros(1, 9, 1, 12, 16), model.start([(7, late), (1, early)]))
    assert [("early" if frame.equal(early[0, 1:]) else "late")
            for frame in ab[0]] == ["early"] * 5 + ["late"] * 4
    assert state.frame == 9


def test_copy_prefers_a_frame_of_the_film_to_a_picture_that_is_none():
    model = Copy()
    ab, _ = model.step(torch.zeros(1, 1, 12, 16), model.start([picture(seed=1), (30, picture(seed=2))]))
    assert_close(ab, picture(seed=2)[:, 1:])


@pytest.mark.parametrize("model", [Copy(), Flow(FlowConfig.tiny())])
def test_a_reference_of_another_size_is_stretched_to_the_films(model):
    flat = torch.tensor((50.0, 20.0, -30.0)).view(1, 3, 1, 1).expand(1, 3, 31, 17)
    ab, _ = model.step(torch.full((1, 1, 33, 41), 50.0), model.start([(0, flat)]))
    assert_close(ab, flat[:, 1:, :1, :1].expand(1, 2, 33, 41))


@pytest.mark.parametrize("name", ["rotation", "layers", "parallax"])
def test_flow_is_far_better_than_copy_where_things_move(name):
    lab = lab_clip(name)
    errors = []
    for model in (Copy(), Flow(FlowConfig.course())):
        ab, _ = model.step(lab[None, :, :1], model.start([(0, lab[:1])]))
        errors.append((ab[0] - lab[:, 1:])[1:].square().mean())
    assert errors[1] < 0.4 * errors[0]


def test_repair_helps_where_things_come_into_view():
    lab = lab_clip("layers", 4)
    plain, mended = Flow(PLAIN), Flow(FlowConfig.course())
    error = [
        (model.step(lab[None, :, :1], model.start([(0, lab[:1])]))[0][0] - lab[:, 1:])[1:].square().mean()
        for model in (plain, mended)
    ]
    assert error[1] < error[0]


def test_color_moves_with_the_flow(monkeypatch):
    # each frame looks two pixels left, one down
    monkeypatch.setattr(baselines, "estimate_flow", constant_flow(-2, 1))
    image = picture()
    model = Flow(PLAIN)
    ab, _ = model.step(image[:, :1].expand(1, 3, 1, 12, 16), model.start([(0, image)]))
    assert_close(ab[0, 2, :, :10, 4:], image[0, 1:, 2:, :12], atol=1e-3, rtol=0)


def test_flow_attention_follows_a_pixel_back_to_the_reference(monkeypatch):
    monkeypatch.setattr(baselines, "estimate_flow", constant_flow(-2.25, 1))
    image = picture()
    model = Flow(PLAIN)
    _, state = model.step(image[:, :1].expand(1, 2, 1, 12, 16), model.start([(0, image), picture(seed=3)]))
    maps = model.attention(image[:, :1], state, at=(3, 9))
    assert_close(sum(m.sum() for m in maps.values()), torch.tensor(1.0))
    expected = torch.zeros(12, 16)
    expected[5, 4:6] = 0.5  # two frames back: x = 9 - 4.5, y = 3 + 2
    assert_close(maps["reference (frame 0)"], expected, atol=1e-3, rtol=0)


def test_copy_attention_is_the_same_place():
    model = Copy()
    maps = model.attention(torch.zeros(1, 1, 12, 16), model.start([(9, picture()), (0, picture())]),
                           at=(3, 5))
    nearest, other = maps["reference (frame 0)"], maps["reference (frame 9)"]
    assert nearest[3, 5] == 1 and nearest.sum() == 1 and other.sum() == 0


def test_a_later_reference_takes_over_from_its_frame_on():
    lab = lab_clip("rotation")
    blue = torch.cat((lab[3:4, :1], torch.full_like(lab[3:4, 1:], -40.0)), 1)
    model = Flow(FlowConfig.tiny())
    ab, _ = model.step(lab[None, :, :1], model.start([(0, lab[:1]), (3, blue)]))
    assert_close(ab[0, 3:], torch.full_like(ab[0, 3:], -40.0))
    assert (ab[0, 2] - lab[2, 1:]).abs().mean() < 5


@pytest.mark.parametrize("model", [Copy(), Flow(FlowConfig.tiny())])
def test_one_step_of_many_frames_is_many_steps_of_one_and_a_state_can_be_run_twice(model):
    lab = lab_clip("occlusion", 3)
    start = model.start([lab[:1], (1, lab[1:2])])
    together, _ = model.step(lab[None, :, :1], start)
    state, alone = start, []
    for l in lab[:, :1].split(1):
        ab, state = model.step(l, state)
        alone.append(ab)
    assert_close(torch.cat(alone), together[0])


def test_repair_gives_an_unknown_pixel_the_color_of_like_lightness():
    # dark left, light right
    l = torch.cat((torch.full((1, 1, 9, 10), 20.0), torch.full((1, 1, 9, 10), 80.0)), -1)
    ab = torch.where(l < 50, 30.0, -30.0).repeat(1, 2, 1, 1)
    trust = torch.ones_like(l)
    trust[..., 6:14] = 0  # around the edge nothing is known
    wrong = torch.where(trust > 0, ab, 99.0)
    assert_close(
        repair(CarriedColor(wrong, pixel_grid(ab)), l, trust, reach=8, kinship=4.0).ab, ab, atol=0.1, rtol=0)


def test_a_picture_gives_its_colors_to_places_of_like_lightness():
    image = picture(32, 32)
    image[:, 0] = torch.where(image[:, 0] > 50, 90.0, 10.0)[0].round()
    image[:, :1, :, :16], image[:, :1, :, 16:] = 10.0, 90.0
    image[:, 1:, :, :16], image[:, 1:, :, 16:] = 40.0, -40.0  # dark is red, light is blue
    l = image[:, :1].flip(-1) * 0.8 + 5                       # mirrored, and printed paler
    interior = torch.cat((match_lightness(l, image).ab[..., 4:12], match_lightness(l, image).ab[..., 20:28]),
                         -1)
    assert (interior[..., :8] < -30).all() and (interior[..., 8:] > 30).all()


def test_a_picture_of_the_same_shot_colors_the_first_frame_better_than_standing_still():
    lab = lab_clip("parallax", 5)
    flow, still = Flow(FlowConfig.course()), Copy()
    errors = [(model.step(lab[:1, :1], model.start(lab[4:]))[0] - lab[:1, 1:]).square().mean()
              for model in (flow, still)]
    assert errors[0] < 0.8 * errors[1]


def test_flow_says_what_estimated_it():
    lab = lab_clip("rotation", 2)
    model = Flow(FlowConfig.tiny())
    _, state = model.step(lab[None, :, :1], model.start([(0, lab[:1])]))
    assert state.estimator == "classical" and "classical" in model.description


@pytest.mark.parametrize("name", ["copy", "flow"])
def test_without_a_reference_the_message_says_what_to_give(name):
    with pytest.raises(InputError, match=f"{name} needs a reference"):
        colorlab.load(name).start(None)


def test_a_batch_is_its_films_one_by_one():
    lab = torch.stack((lab_clip("rotation", 2), lab_clip("exposure", 2)))  # (2, T, 3, H, W)
    model = Flow(FlowConfig.tiny())
    both, _ = model.step(lab[:, :, :1], model.start([(0, lab[:, 0])]))
    second, _ = model.step(lab[1:, :, :1], model.start([(0, lab[1:, 0])]))
    assert_close(both[1:], second)
