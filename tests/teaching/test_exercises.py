import numpy as np
import pytest
import torch

from colorlab.teaching.exercises import check

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
    assert "Do you count from zero" in say(
        MATRIX + 1, hints={"Do you count from zero?": lambda given: given.min() == 1}
    )


def test_errors_become_one_line():
    def broken(x):
        return x @ x
    line = check(broken, MATRIX, expected=MATRIX).line
    assert line.startswith("broken: not yet. It stops with RuntimeError") and "\n" not in line


def test_an_unwritten_body_reads_not_yet():
    def unwritten():
        raise NotImplementedError
    assert check(unwritten, expected=1).line == "unwritten: not yet written."


def test_a_hint_may_be_the_wrong_result_that_it_is_said_to():
    assert "in bits" in say(MATRIX / 3,
                            hints={"That is in bits.": MATRIX / 3, "Never said.": lambda given: True})


def test_a_hint_that_fails_on_an_answer_is_passed_over():
    assert "sign" in say(-MATRIX, hints={"Broken.": lambda given: given[7, 7] > 0})


@pytest.mark.parametrize("answer, hint", [
    (MATRIX.numpy(), "returns a numpy array, where a tensor is wanted: torch.from_numpy"),
    (list(MATRIX), "returns a list, where a tensor is wanted: torch.stack"),
    ((MATRIX, 1.0), "returns a tuple, where a tensor is wanted"),
    (MATRIX.sum, "was not called: is a pair of brackets missing?"),
    (MATRIX.flip(0), "axis 0 runs the other way"),
    (MATRIX[torch.tensor([1, 0, 2])], "in other places"),
])
def test_an_answer_of_another_kind_or_order_is_named(answer, hint):
    assert hint in say(answer)


def test_a_tensor_where_an_array_is_wanted():
    assert "`.numpy()` makes one" in say(MATRIX, MATRIX.numpy())


def test_a_number_is_a_number_whoever_computed_it():
    for one in (0.5, torch.tensor(0.5), np.float64(0.5), np.array(0.5)):
        for other in (0.5, torch.tensor(0.5), np.float64(0.5)):
            assert check(lambda: one, expected=other).passed


@pytest.mark.parametrize("answer, hint", [(6, "it is 2 times the answer"), (-3, "sign"),
                                          (0.3, "1/10 of the answer"), (7.7, "too large"),
                                          (2.9, "too small")])
def test_a_wrong_number_is_not_told_the_right_one(answer, hint):
    line = say(answer, 3.0)
    assert hint in line and "3.0" not in line.replace(str(answer), "")


def test_rows_that_should_sum_to_one():
    weights = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    assert "Each row of the answer sums to one; these sum to" in say(weights ** 0.7, weights)


def test_what_should_be_symmetric():
    square = torch.tensor([[1.0, 0.4, 0.1], [0.4, 2.0, 0.3], [0.1, 0.3, 3.0]])
    assert "The answer is symmetric" in say(
        square + torch.tensor([[0.0, 0.5, 0.9], [0.1, 0, 0.2], [0.7, 0, 0]]), square)


def test_what_should_not_be_negative():
    assert "nowhere negative; this goes down to -2" in say(
        torch.tensor([-2.0, 1, 5]), torch.tensor([0.0, 2, 3])
    )


def test_an_answer_cannot_spoil_what_it_is_given():
    kept = MATRIX.clone()
    check(lambda x: x.mul_(0), MATRIX, expected=kept)
    assert torch.equal(MATRIX, kept)


def test_a_name_of_a_cell_that_was_not_run():
    def uses_the_cell_above(x):
        return features_of_the_frame @ x  # noqa: F821
    line = check(uses_the_cell_above, MATRIX, expected=MATRIX).line
    assert (
        "`features_of_the_frame` is not known here" in line and "Run All Above" in line and "\n" not in line
    )


def test_a_slip_of_the_pen_is_told_from_it():
    def slips(reference):
        return refrence  # noqa: F821
    assert "did you mean `reference`?" in check(slips, MATRIX, expected=MATRIX).line


def test_the_line_that_fails_is_named():
    def broken(x):
        y = x + 1
        return y @ x
    assert "(in the line `return y @ x`)" in check(broken, MATRIX, expected=MATRIX).line


def test_torch_saying_not_implemented_is_no_unwritten_answer():
    def strange():
        raise NotImplementedError("'softmax' not implemented for 'Byte'")
    assert "It stops with NotImplementedError: 'softmax'" in check(strange, expected=1).line


def test_a_cell_that_stops_at_an_unknown_name_says_which_cells_to_run():
    """In a kernel, where the name stands in no answer but in the cell itself."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(
        "from colorlab.teaching.exercises import check\ncheck(abs, features, expected=features)")])
    nbclient.NotebookClient(book, allow_errors=True, timeout=120).execute()
    error, hint = book.cells[0].outputs
    assert error["ename"] == "NameError"
    assert hint["data"]["text/plain"].startswith(
        "`features` is not known here: has the cell that makes it not been run")


def test_what_is_right_is_known_by_the_functions_name():
    def my_entropy(weights):
        return -torch.special.xlogy(weights, weights).sum(-1)

    weights = torch.eye(3)
    assert check(my_entropy, weights) == (True, "✓ my_entropy")
    my_entropy = lambda weights: weights.sum(-1)  # noqa: E731
    my_entropy.__name__ = "my_entropy"
    assert not check(my_entropy, weights).passed


def test_a_renamed_exercise_is_told_so():
    def my_entropie(weights):
        return weights

    assert "did you rename" in check(my_entropie, torch.eye(3)).line


def test_an_answer_that_is_known_cannot_be_spoiled_by_the_function_that_is_checked():
    def my_entropy(weights):
        return torch.special.entr(weights.fill_(0.5)).sum(-1)

    weights = torch.eye(3)
    assert not check(my_entropy, weights).passed and torch.equal(weights, torch.eye(3))
