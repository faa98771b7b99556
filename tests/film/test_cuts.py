"""Where scenes begin, which references colour which scene, and what becomes of a picture of which only a part
is given."""

import numpy as np
import pytest
import torch
from torch import nn

import colorlab
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.film.cuts import find_cuts
from colorlab.film.references import guide

RED, BLUE, GREEN = (np.full((48, 64, 3), color, np.uint8)
                    for color in ((200, 60, 60), (60, 60, 200), (60, 160, 60)))


def moving(seed, count=12, speed=2, size=(96, 128)):
    """A film of one scene: a camera pans over blurred noise."""
    noise = torch.rand(1, 1, 24, 40, generator=torch.Generator().manual_seed(seed))
    wide = (
        nn.functional.interpolate(noise, (size[0], size[1] * 2), mode="bicubic")[0, 0]
        .clamp(0, 1)
        .mul(255)
        .byte()
        .numpy()
    )
    return [np.repeat(wide[:, speed * n : speed * n + size[1], None], 3, -1) for n in range(count)]


def ab(frame):
    return rgb_to_lab(frames_to_rgb(np.ascontiguousarray(frame)))[1:].mean((1, 2))


def reddish(frame):
    return ab(frame)[0] > 20 and ab(frame)[1] > -20


# ---- finding cuts ----

def test_a_cut_is_found_at_the_new_scenes_first_frame():
    assert find_cuts(moving(1) + moving(2) + moving(3)) == [12, 24]


@pytest.mark.parametrize("speed", [0, 1, 4])
def test_motion_is_no_cut(speed):
    assert find_cuts(moving(1, 20, speed)) == []


def test_a_cut_is_found_amid_motion():
    assert find_cuts(moving(1, speed=4) + moving(2, speed=4)) == [12]


@pytest.mark.parametrize("near", [1, 2, 11])
def test_cuts_near_the_ends_are_found(near):
    film = moving(1, 12) + moving(2, 12)
    assert find_cuts(film[12 - near :]) == [near] and find_cuts(film[: 12 + near]) == [12]


def test_flicker_and_fades_are_no_cuts():
    light = [1.0, 0.6, 1.0, 0.7, 0.5, 0.9, 1.0, 0.8, 0.6, 0.4, 0.2, 0.0]
    assert find_cuts([(frame * level).astype(np.uint8) for frame, level in zip(moving(1), light)]) == []


def test_a_scene_after_black_is_a_new_one_only_if_it_is_another():
    black = [np.zeros((96, 128, 3), np.uint8)] * 5
    assert find_cuts(moving(1) + black + moving(2)) == [17]
    assert find_cuts(moving(1)[:6] + black + moving(1)[6:]) == []


@pytest.mark.parametrize("count", [1, 2])
def test_a_few_frames_of_something_else_are_no_cut(count):
    film = moving(1, 20)
    film[8 : 8 + count] = moving(2, count)
    assert find_cuts(film) == []


def test_noise_flat_frames_and_a_single_frame_hold_no_cut():
    noise = np.random.default_rng(0).integers(0, 256, (9, 48, 64, 3), dtype=np.uint8)
    flat = [np.full((48, 64, 3), 10 * n, np.uint8) for n in range(9)]
    assert find_cuts(noise) == find_cuts(flat) == find_cuts(noise[:1]) == find_cuts([]) == []


# ---- references by scene ----

def copied(film, references, cuts, **how):
    return list(colorlab.colorize(film, references, colorlab.load("copy"), cuts=cuts, **how))


def tinted(frame, color):
    """A frame in a colour: (H, W, 3), as light as it was, roughly."""
    return (frame * (color[0, 0] / color[0, 0].mean())).clip(0, 255).astype(np.uint8)


def test_no_reference_reaches_over_a_cut():
    film = moving(1) + moving(2)
    references = [(0, tinted(film[0], RED)), (13, tinted(film[13], BLUE))]
    reds = [reddish(frame) for frame in copied(film, references, "auto")]
    assert reds == [True] * 12 + [False] * 12
    # the nearest in time
    assert [reddish(frame) for frame in copied(film, references, None)] == [True] * 7 + [False] * 17


def test_cuts_by_hand_are_obeyed():
    film = moving(1)
    references = [(0, tinted(film[0], RED)), (11, tinted(film[11], BLUE))]
    assert [reddish(frame) for frame in copied(film, references, [9])] == [True] * 9 + [False] * 3


def test_a_scene_without_a_reference_takes_the_loose_picture_most_like_it():
    one, other = moving(1), moving(2)
    loose = [tinted(other[5], BLUE), tinted(one[5], RED)]
    assert [reddish(frame) for frame in copied(one + other + one, loose, [12, 24])
            ] == [True] * 12 + [False] * 12 + [True] * 12


def test_a_scene_that_comes_back_takes_the_coloured_frame_most_like_it():
    one, other = moving(1), moving(2)
    references = [(0, tinted(one[0], RED)), (12, tinted(other[0], BLUE))]
    assert [reddish(frame) for frame in copied(one + other + one, references, [12, 24])
            ] == [True] * 12 + [False] * 12 + [True] * 12


class Recorder(nn.Module):
    """Remembers what it was started with, and the lengths of its blocks."""

    frames_per_step = 5

    def __init__(self):
        super().__init__()
        self.starts, self.blocks = [], []

    def start(self, references):
        self.starts.append(references)
        return 0

    def step(self, l, state):
        self.blocks.append(l.shape[1] if l.ndim == 5 else 1)
        return torch.zeros(*l.shape[:-3], 2, *l.shape[-2:]), state


def test_each_scene_starts_anew_and_no_block_reaches_over_a_cut():
    model, film = Recorder(), moving(1, 24)
    list(colorlab.colorize(film, [(2, film[2]), (14, film[14])], model, cuts=[12]))
    assert model.blocks == [5, 5, 2, 5, 5, 2]
    # counted from the scene's first
    assert [[frame for frame, _ in references] for references in model.starts] == [[2], [2]]


def test_a_method_without_references_starts_each_scene_without():
    model = Recorder()
    list(colorlab.colorize(moving(1, 24), None, model, cuts=[12]))
    assert model.starts == [None, None]


@pytest.mark.parametrize("cuts", ["sometimes", [0], [-3], [2.5], [True]])
def test_cuts_that_are_none_say_so(cuts):
    with pytest.raises(InputError, match="cuts are 'auto' or the numbers of frames"):
        colorlab.colorize(moving(1), RED, colorlab.load("copy"), cuts=cuts)


def test_looking_ahead_needs_a_film_that_can_be_gone_through_twice():
    with pytest.raises(InputError, match="give a list, or the film"):
        colorlab.colorize(iter(moving(1)), RED, colorlab.load("copy"), cuts="auto")


# ---- parts ----

def part(color, size=(96, 128), left=64):
    """(H, W, 4): a colour left of a column, black and transparent right of it, as editors save it."""
    picture = np.zeros((*size, 4), np.uint8)
    picture[:, :left] = (*color[0, 0], 255)
    return picture


def test_where_a_reference_is_transparent_its_colour_is_unknown_to_copy():
    film = moving(1, 3)
    out = copied(film, [(0, part(RED))], None)[0]
    assert ab(out[:, :60]).norm() > 30 and np.abs(out[:, 68:].astype(int) - film[0][:, 68:]).max() <= 1


def test_the_rest_is_what_the_method_predicts_from_the_complete_references():
    film = moving(1, 6)
    out = copied(film, [(0, part(RED)), (3, tinted(film[3], BLUE))], None)[0]
    assert reddish(out[:, :60]) and ab(out[:, 68:])[1] < -20


def test_the_part_keeps_the_films_own_lightness_and_position_when_the_network_sees_it_small():
    film = moving(1, 3)
    guidance = guide(film, [(1, part(RED))])
    (frame, image), = guidance.to_lab(0, film[0], colorlab.load("copy"), 48, torch.device("cpu"))
    assert frame == 1 and image.shape == (1, 3, 48, 64)
    own = nn.functional.interpolate(
        rgb_to_lab(frames_to_rgb(film[1]))[None, :1], (48, 64), mode="bilinear", antialias=True)
    assert (image[:, :1] - own).abs().max() < 1e-4
    red = rgb_to_lab(frames_to_rgb(RED))[1:, 0, 0]
    assert (image[0, 1:, :, :30].mean((1, 2)) - red).abs().max() < 0.1  # no black creeps in at the edge


@pytest.mark.parametrize("method", ["lstvc", "colormnet", "cavc", "flow"])
def test_every_method_takes_parts(method):
    film = moving(1, 4, size=(32, 48))
    model = colorlab.load(method, "tiny")
    out = list(colorlab.colorize(film, [(1, part(RED, (32, 48), 24)), part(BLUE, (40, 30), 15)], model))
    assert len(out) == 4 and all(frame.shape == (32, 48, 3) for frame in out)


def test_an_opaque_alpha_channel_changes_nothing():
    film = moving(1, 3)
    opaque = np.dstack((tinted(film[0], RED), np.full((96, 128), 255, np.uint8)))
    assert np.array_equal(copied(film, [(0, opaque)], None), copied(film, [(0, opaque[..., :3])], None))


def test_a_picture_without_any_colour_is_refused():
    with pytest.raises(InputError, match="transparent all over"):
        colorlab.colorize(moving(1), [np.zeros((48, 64, 4), np.uint8)], colorlab.load("copy"))


def test_a_part_for_a_frame_that_the_film_does_not_have_is_refused():
    with pytest.raises(InputError, match="frame 99, which the film does not have"):
        colorlab.colorize(moving(1), [(99, part(RED))], colorlab.load("copy"))


def test_a_part_of_another_scene_is_used_as_a_loose_picture():
    film = moving(1) + moving(2)
    out = copied(film, [(3, part(RED))], [12])
    assert ab(out[20][:, :60]).norm() > 30
