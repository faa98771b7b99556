"""Packed weights: the same numbers, of the weights as they are now, and only where that is of use."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from colorlab.modules.fast import packed_conv
from colorlab.modules.fast.packed_conv import PackedConv2d, pack_convolutions

packs = pytest.mark.skipif(not packed_conv._can_pack(),
                           reason="this PyTorch has no oneDNN to arrange weights for")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolution(**options) -> PackedConv2d:
    torch.manual_seed(0)
    return PackedConv2d(192, 160, 3, **{"padding": 1, **options})


def plainly(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return nn.Conv2d._conv_forward(conv, x, conv.weight, conv.bias)


@packs
@pytest.mark.parametrize("options",
                         [{}, {"stride": 2}, {"padding": 0, "bias": False}, {"dilation": 2, "padding": 2}])
def test_numbers_are_the_same(options):
    conv = convolution(**options).to(memory_format=torch.channels_last)
    x = random(2, 192, 14, 15).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert_close(conv(x), plainly(conv, x), atol=1e-5, rtol=1e-5)
        # another size, the same weights
        other = random(1, 192, 9, 7, seed=1).to(memory_format=torch.channels_last)
        assert_close(conv(other), plainly(conv, other), atol=1e-5, rtol=1e-5)
        assert len(conv._packed) == 1


@packs
@torch.no_grad()
def test_parts_of_the_input_channels_add_up():
    conv, x = convolution(), random(1, 192, 10, 10)
    apart = conv.of_channels(x[:, :100], 0, 100) + conv.of_channels(x[:, 100:], 100, None, conv.bias)
    assert_close(apart, conv(x), atol=1e-5, rtol=1e-5)


@packs
@torch.no_grad()
@pytest.mark.parametrize("change", ["in place", "loaded", "data", "double and back"])
def test_changed_weights_are_noticed(change):
    conv, x = convolution(), random(1, 192, 8, 8)
    before = conv(x)
    doubled = 2 * conv.weight
    if change == "in place":
        conv.weight.mul_(2)
    elif change == "loaded":
        conv.load_state_dict({"weight": doubled, "bias": conv.bias})
    elif change == "data":
        conv.weight.data = doubled
    else:
        conv.double().weight.mul_(2)
        conv.float()
    assert_close(
        conv(x) - conv.bias[:, None, None], 2 * (before - conv.bias[:, None, None]), atol=1e-5, rtol=1e-4)


@packs
def test_only_inference_with_many_weights_for_the_pixels_packs():
    conv = convolution()
    conv(random(1, 192, 8, 8)).sum().backward()
    assert conv._packed is None and conv.weight.grad.abs().sum() > 0
    with torch.no_grad():
        conv(random(1, 192, 40, 40))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert conv(random(1, 192, 8, 8)).dtype == torch.bfloat16
        PackedConv2d(8, 8, 3)(random(1, 8, 8, 8))
        assert conv._packed is None
        conv(random(1, 192, 8, 8))
        assert conv._packed


@packs
@torch.no_grad()
def test_a_network_with_packed_weights_is_copied_saved_and_named_as_before():
    network = nn.Sequential(nn.Conv2d(192, 160, 3), nn.BatchNorm2d(160))
    names, x = list(network.state_dict()), random(1, 192, 8, 8)
    pack_convolutions(network)
    expected = network.eval()(x)
    assert network[0]._packed and list(network.state_dict()) == names
    assert torch.equal(copy.deepcopy(network)(x), expected)
    torch.save(network.state_dict(), io.BytesIO())
