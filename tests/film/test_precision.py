"""In what a network computes is chosen, and is over when the network's turn is."""

import numpy as np
import pytest
import torch
from torch import nn

import colorlab
from colorlab.cli import main
from colorlab.film.precision import PRECISIONS, computed_in

FRAMES = [np.full((16, 16, 3), 90 + n, np.uint8) for n in range(2)]


def switches() -> tuple:
    return (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32,
            torch.is_autocast_enabled("cpu"),
            torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None)


class Witness(nn.Module):
    """A method that colours nothing and notes what it is computed in."""

    frames_per_step = 1

    def __init__(self):
        super().__init__()
        self.seen = []

    def start(self, references):
        self.seen.append(switches())
        return None

    def step(self, l, state):
        self.seen.append(switches())
        return l.new_zeros(*l.shape[:-3], 2, *l.shape[-2:]), state


@pytest.mark.parametrize("precision, expected", [
    ("float32", (False, False, False, None)), ("tf32", (True, True, False, None)),
    ("bf16", (True, True, True, torch.bfloat16)), ("fp16", (True, True, True, torch.float16))])
def test_colorize_computes_in_what_it_is_told_and_the_caller_goes_on_in_its_own(precision, expected):
    before, witness = switches(), Witness()
    for _ in colorlab.colorize(FRAMES, FRAMES[0], witness, precision=precision):
        assert switches() == before  # between two frames the caller's own code runs
    assert witness.seen == [expected] * 3 and switches() == before


def test_after_an_error_all_is_as_it_was():
    before = switches()
    with pytest.raises(RuntimeError), computed_in("bf16", "cpu"):
        raise RuntimeError
    assert switches() == before
    with pytest.raises(ValueError, match="float32, tf32, bf16, fp16"), computed_in("half", "cpu"):
        pass


@pytest.mark.parametrize("precision", PRECISIONS)
def test_on_a_processor_tf32_is_float32_and_half_precision_is_not(precision):
    from colorlab.clips import embedded_clip

    frames = embedded_clip("layers", 3, 32, 48).frames
    model = colorlab.load("lstvc", "tiny")
    exact, found = (np.stack(list(colorlab.colorize(frames, [(0, frames[0])], model, precision=p)))
                    for p in ("float32", precision))
    assert np.array_equal(found, exact) == (precision in ("float32", "tf32"))


def test_the_command_line_knows_no_other(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main([
            "colorize",
            str(tmp_path), "--method", "copy", "--precision", "half", "-o",
            str(tmp_path / "out")
        ])
    assert stop.value.code == 2 and "float32" in capsys.readouterr().err
