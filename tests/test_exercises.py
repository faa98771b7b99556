import pytest
import torch

from colorlab.exercises import check

MATRIX = torch.arange(12.0).view(3, 4)


def say(answer, expected=MATRIX, **more):
    return check(lambda: answer, expected=expected, **more).line


def test_the_right_answer_passes():
    def double(x):
        return 2 * x
    verdict = check(double, MATRIX, expected=2 * MATRIX)
    assert verdict.passed and repr(verdict) == "✓ double"


@pytest.mark.parametrize("answer, hint", [
    (MATRIX.T, "last two axes are exchanged"),
    (MATRIX.flatten(), "arranged otherwise"),
    (MATRIX[:2], r"Its shape is \(2, 4\)"),
    (-MATRIX, "sign"),
    (MATRIX * 100, "it is 100 times the answer"),
    (MATRIX - 50, "it is -50 off everywhere"),
    (MATRIX / 0, "nan or infinity"),
    (torch.cat((MATRIX[:2], MATRIX[2:] * 0 + torch.tensor([8.0, 9, 10, 99]))), "8 % of the values are off"),
    (None, "returns nothing"),
    ("grey", "returns a str"),
])
def test_a_wrong_answer_gets_the_hint_that_fits(answer, hint):
    import re
    assert re.search(hint, say(answer))
    assert not check(lambda: answer, expected=MATRIX).passed


def test_transposed_squares_are_noticed():
    square = torch.rand(3, 3, generator=torch.Generator().manual_seed(0))
    assert "transposed" in say(square.T, square)


def test_own_hints_come_first():
    assert "Do you count from zero" in say(MATRIX + 1, hints={"Do you count from zero?": lambda given: given.min() == 1})


def test_errors_become_one_line():
    def broken(x):
        return x @ x
    line = check(broken, MATRIX, expected=MATRIX).line
    assert line.startswith("broken: not yet. It stops with RuntimeError") and "\n" not in line


def test_an_unwritten_body_reads_not_yet():
    def unwritten():
        raise NotImplementedError
    assert check(unwritten, expected=1).line == "unwritten: not yet written."
