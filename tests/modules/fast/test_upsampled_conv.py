import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from colorlab.modules.fast.upsampled_conv import nearest_conv, upsampled_conv, upsampled_conv_as_written
from colorlab.modules.instance_norm import instance_norm


def seeded(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


def convolution(*shape, layout=torch.contiguous_format):
    """Of shape (out, in, 3, 3), with a bias."""
    conv = torch.nn.Conv2d(shape[1], shape[0], 3, padding=1).double()
    conv.load_state_dict({"weight": seeded(*shape), "bias": seeded(shape[0])})
    return conv.to(memory_format=layout)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_before_the_enlargement_is_the_one_after_it(scale, layout):
    x, conv = seeded(2, 5, 3, 7), convolution(4, 5, 3, 3, layout=layout)
    assert_close(upsampled_conv(x, conv, scale), upsampled_conv_as_written(x, conv, scale), atol=1e-6, rtol=0)


def test_a_convolution_before_the_enlargement_has_the_same_gradients():
    x, conv = seeded(1, 3, 4, 5).requires_grad_(), convolution(2, 3, 3, 3)
    found = torch.autograd.grad(upsampled_conv(x, conv, 2).square().sum(), (x, *conv.parameters()))
    plainly = torch.autograd.grad(
        upsampled_conv_as_written(x, conv, 2).square().sum(), (x, *conv.parameters()))
    assert_close(found, plainly)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 4)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_enlarging_after_the_convolution_is_enlarging_before_it(size, layout):
    x, conv = seeded(2, 3, *size), convolution(5, 3, 3, 3)
    plainly = upsampled_conv_as_written(x, conv, 2, "nearest")
    assert_close(nearest_conv(x.contiguous(memory_format=layout), conv.weight, conv.bias), plainly)


def test_its_gradients_are_the_convolutions():
    tensors = [seeded(*shape).requires_grad_() for shape in ((1, 2, 3, 4), (3, 2, 3, 3), (3,))]
    plainly = F.conv2d(F.interpolate(tensors[0], scale_factor=2, mode="nearest"), *tensors[1:], padding=1)
    expected = torch.autograd.grad(plainly.square().sum(), tensors)
    assert_close(torch.autograd.grad(nearest_conv(*tensors).square().sum(), tensors), expected)


def test_layouts_stay():
    x = torch.randn(1, 8, 4, 6).contiguous(memory_format=torch.channels_last)
    assert nearest_conv(x, torch.randn(8, 8, 3, 3),
                        torch.randn(8)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_instance_norm_is_torchs_and_as_exact(layout):
    x = torch.randn(2, 16, 96, 130, generator=torch.Generator().manual_seed(0)) + 5
    exact = F.instance_norm(x.double())
    assert_close(instance_norm(x.contiguous(memory_format=layout)).double(), exact, atol=1e-5, rtol=0)
