import pytest
import torch
from torch import nn

import colorlab
from colorlab import data
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.remembered import Remembered


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.calls = nn.Identity(), 0

    def forward(self, x, scale=1.0):
        self.calls += 1
        return {"out": self.inner(x) * scale}


@torch.inference_mode()
def test_what_was_computed_is_not_computed_again():
    module, remembered, x = Counted(), Remembered(), torch.randn(2, 3)
    for _ in range(3):
        with remembered:
            assert torch.equal(module(x.clone(), scale=2.0)["out"], 2 * x)
    assert module.calls == 1


@pytest.mark.parametrize("change", [lambda x: x + 1e-7, lambda x: x.view(3, 2), lambda x: x.double()], ids=["value", "shape", "type"])
@torch.inference_mode()
def test_other_numbers_are_computed(change):
    module, x = Counted(), torch.ones(2, 3)
    with Remembered():
        module(x)
        assert torch.equal(module(change(x))["out"], change(x))
    assert module.calls == 2


@torch.inference_mode()
def test_two_modules_do_not_answer_for_each_other():
    first, second, x = nn.Linear(3, 3), nn.Linear(3, 3), torch.randn(2, 3)
    with Remembered():
        assert not torch.equal(first(x), second(x))


@torch.inference_mode()
def test_a_caller_may_write_into_what_it_gets():
    module, x = Counted(), torch.ones(2)
    with Remembered():
        for _ in range(3):
            out = module(x)["out"]
            assert torch.equal(out, x)
            out.zero_()


def test_learning_is_left_alone():
    module, x = Counted(), torch.ones(2)
    with Remembered():
        module(x)
        module(x)
    assert module.calls == 2


@torch.inference_mode()
def test_the_oldest_is_forgotten_where_there_is_no_room():
    module, remembered = Counted(), Remembered(limit=3 * 400)
    with remembered:
        for value in (0.0, 1.0, 2.0, 3.0, 0.0, 3.0):
            module(torch.full((100,), value))
    assert module.calls == 5


@torch.inference_mode()
def test_outside_it_modules_are_as_they_were():
    module, x, call = Counted(), torch.ones(2), nn.Module.__call__
    with pytest.raises(ZeroDivisionError), Remembered():
        module(x)
        raise ZeroDivisionError
    assert nn.Module.__call__ is call
    module(x)
    assert module.calls == 2


@pytest.mark.parametrize("method", colorlab.METHODS)
@torch.inference_mode()
def test_a_method_says_the_same_to_the_bit(method):
    lab = rgb_to_lab(frames_to_rgb(data.embedded_clip("parallax", frames=3, height=32, width=48).frames))
    model = colorlab.load(method, "tiny" if method not in ("copy", "flow") else "course")
    state = model.start(None if method == "tcavc" else [(0, lab[:1])])
    for frame in range(2):
        _, state = model.step(lab[None, frame, :1], state)
    remembered = Remembered()
    for at in ((3, 4), (20, 30), (3, 4)):
        with remembered:
            maps = model.attention(lab[None, 2, :1], state, at=at)
        plain = model.attention(lab[None, 2, :1], state, at=at)
        assert maps.keys() == plain.keys() and all(torch.equal(maps[name], plain[name]) for name in plain)
