import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from colorlab.modules.fast.streamed_correlation import best_match, match, match_as_written


def example(dtype=torch.float64, queries=23, keys=17):
    generator = torch.Generator().manual_seed(1)
    query, key = (F.normalize(torch.randn(2, n, 8, generator=generator, dtype=dtype), dim=-1)
                  for n in (queries, keys))
    return query, key, torch.randn(2, keys, 3, generator=generator, dtype=dtype)


# one row at a time, several strips of which the last is short, all at once
@pytest.mark.parametrize("pairs", [1, 40, 10_000])
def test_streamed_is_plain(pairs):
    query, key, value = example()
    for streamed, expected in zip(match(query, key, value, 0.01, pairs),
                                  match_as_written(query, key, value, 0.01)):
        assert_close(streamed, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_gradients_are_those_of_the_plain_formula(temperature):
    inputs = [x.requires_grad_() for x in example()]
    upstream = [torch.randn(2, 23, 3, dtype=torch.float64), torch.randn(2, 23, dtype=torch.float64)]
    streamed = torch.autograd.grad(match(*inputs, temperature, pairs=40), inputs, upstream)
    expected = torch.autograd.grad(match_as_written(*inputs, temperature), inputs, upstream)
    for got, wanted in zip(streamed, expected):
        assert_close(got, wanted, atol=1e-10, rtol=1e-10)


def test_gradients_are_those_of_finite_differences():
    inputs = [x.requires_grad_() for x in example(queries=5, keys=4)]
    assert torch.autograd.gradcheck(lambda *x: match(*x, 0.5, pairs=8), inputs)


def test_nearest_neighbour_is_the_limit_of_small_temperatures():
    query, key, value = example()
    nearest, similarity = match(query, key, value, 1e-10, pairs=40)
    assert_close(nearest, match_as_written(query, key, value, 1e-4)[0], atol=1e-12, rtol=0)
    assert_close(nearest, value.gather(1, best_match(query, key)[..., None].expand(-1, -1, 3)))
    assert_close(similarity, (query @ key.mT).amax(-1))


def test_nearest_neighbour_still_teaches_the_similarity():
    query, key, value = (x.requires_grad_() for x in example())
    grads = torch.autograd.grad(match(query, key, value, 0.0, pairs=40).similarity.sum(), (query, key))
    wanted = torch.autograd.grad((query @ key.mT).amax(-1).sum(), (query, key))
    for got, expected in zip(grads, wanted):
        assert_close(got, expected)


def test_half_precision_is_computed_in_float32():
    query, key, value = (x.bfloat16() for x in example(torch.float32))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, similarity = match(query, key, value, 0.01)
    expected = match_as_written(query.float(), key.float(), value.float(), 0.01)
    assert mixed.dtype == torch.float32
    assert_close(mixed, expected[0], atol=1e-4, rtol=0)
    assert_close(similarity, expected[1], atol=1e-6, rtol=0)


def test_no_strip_is_larger_than_allowed(monkeypatch):
    largest = []
    mm = torch.mm
    monkeypatch.setattr(torch, "mm", lambda *args, out: largest.append(out.numel()) or mm(*args, out=out))
    inputs = [x.requires_grad_() for x in example(queries=50)]
    match(*inputs, 0.01, pairs=60).mixed.sum().backward()
    # forward and backward, two of a batch, three rows of 17 at a time
    assert max(largest) <= 60 and len(largest) == 2 * 2 * 17


def test_wrong_shapes_are_named():
    query, key, value = example()
    with pytest.raises(ValueError, match="match wants query"):
        match(query, key[..., :4], value, 0.01)
