import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab
from torch.testing import assert_close

from colorlab import color
from colorlab.color import (fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab,
                            rgb_to_lab_as_written, split_lab)


def cube(red: int, step: int = 1) -> np.ndarray:
    """uint8 (H, W, 3): every green and blue (in steps) beside one red."""
    levels = np.arange(0, 256, step)
    return np.stack(np.meshgrid([red], levels, levels, indexing="ij"), -1)[0].astype(np.uint8)


@pytest.mark.parametrize("red", range(0, 256, 15))
def test_lab_is_scikit_images(red):
    rgb = cube(red, 3) / 255.0
    ours = rgb_to_lab(torch.tensor(rgb, dtype=torch.float32).movedim(-1, 0))
    assert_close(ours.movedim(0, -1).double().numpy(), rgb2lab(rgb), atol=1e-3, rtol=0)


def test_the_equations_as_they_are_written_are_what_is_computed():
    rgb = torch.tensor(cube(40, 3) / 255.0).movedim(-1, 0)
    # the rounded constants of the standard do not quite meet at the knee
    assert_close(rgb_to_lab(rgb), rgb_to_lab_as_written(rgb), atol=1e-3, rtol=0)


@pytest.mark.parametrize("red", range(0, 256, 15))
def test_rgb_is_scikit_images_inside_the_gamut(red):
    lab = rgb2lab(cube(red, 3) / 255.0)
    ours = lab_to_rgb(torch.tensor(lab, dtype=torch.float32).movedim(-1, 0))
    assert_close(ours.movedim(0, -1).double().numpy(), lab2rgb(lab), atol=1e-4, rtol=0)


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")
def test_rgb_is_scikit_images_outside_the_gamut():
    lab = np.random.default_rng(0).uniform([0, -128, -128], [100, 128, 128], (64, 64, 3))
    ours = lab_to_rgb(torch.tensor(lab, dtype=torch.float32).movedim(-1, 0))
    assert_close(ours.movedim(0, -1).double().numpy(), lab2rgb(lab), atol=1e-4, rtol=0)


def test_every_8_bit_color_comes_back():
    for red in range(256):
        frame = cube(red)
        assert np.array_equal(rgb_to_frames(lab_to_rgb(rgb_to_lab(frames_to_rgb(frame)))),
                              frame), f"red {red}"


def test_grey_has_no_color():
    lab = rgb_to_lab(torch.linspace(0, 1, 256).expand(3, 1, 256))
    assert_close(lab[1:], torch.zeros(2, 1, 256), atol=1e-2, rtol=0)


def test_known_lightness():
    red, white = rgb_to_lab(torch.tensor([[1.0, 1], [0, 1], [0, 1]])[..., None])[0, :, 0]
    assert_close(torch.stack((red, white)), torch.tensor([53.2408, 100.0]), atol=1e-3, rtol=0)


def test_slabs_are_the_whole(monkeypatch):
    image = torch.rand(2, 3, 37, 50, generator=torch.Generator().manual_seed(0))
    whole = rgb_to_lab(image)
    monkeypatch.setattr(color, "SLAB", 300)
    assert_close(rgb_to_lab(image), whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("convert, low, high", [(rgb_to_lab, -1.0, 2.0), (lab_to_rgb, -150.0, 150.0)])
def test_gradients_are_finite_everywhere(convert, low, high):
    image = torch.empty(3, 40, 40).uniform_(low, high, generator=torch.Generator().manual_seed(0))
    image[:, 0] = 0  # black
    image.requires_grad_()
    convert(image).sum().backward()
    assert image.grad.isfinite().all()


def test_gradient_is_the_derivative():
    image = torch.rand(3, 4, 4, dtype=torch.float64,
                       generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(rgb_to_lab, image)
    inside = rgb_to_lab(image * 0.8 + 0.1).detach().requires_grad_()
    assert torch.autograd.gradcheck(lab_to_rgb, inside)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_loses_nothing_after_entry(dtype):
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert_close(rgb_to_lab(image), rgb_to_lab(image.float()), atol=0, rtol=0)
    assert lab_to_rgb(image).dtype == torch.float32


def test_autocast_changes_nothing():
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(rgb_to_lab(image), rgb_to_lab(image.double()).float(), atol=1e-3, rtol=0)


def test_double_stays_double():
    assert rgb_to_lab(torch.rand(3, 2, 2, dtype=torch.float64)).dtype == torch.float64


def test_fitting_keeps_lightness_and_hue():
    l = torch.linspace(2, 98, 30).expand(1, 40, 30)
    angle = torch.linspace(0, 6.28, 40)[:, None].expand(40, 30)
    lab = join_lab(l, 90 * torch.stack((angle.cos(), angle.sin())))
    seen = rgb_to_lab(lab_to_rgb(fit_gamut(lab)))
    assert_close(seen[:1], l, atol=0.15, rtol=0)
    assert (rgb_to_lab(lab_to_rgb(lab))[:1] - l).abs().max() > 3  # what plain clipping does to lightness
    parallel = seen[1] * angle.sin() - seen[2] * angle.cos()
    assert parallel.abs().max() < 0.3


def test_fitting_leaves_real_colors_alone():
    lab = rgb_to_lab(frames_to_rgb(cube(200, 5)))
    assert_close(fit_gamut(lab), lab, atol=0, rtol=0)


def test_fitting_is_as_colorful_as_can_be():
    lab = torch.tensor([50.0, 127.0, 60.0]).view(3, 1, 1)
    fitted = fit_gamut(lab)
    slightly_more = join_lab(fitted[:1], fitted[1:] * 1.01)
    assert_close(lab_to_rgb(fitted).max(), torch.tensor(1.0), atol=1e-3, rtol=0) if lab_to_rgb(
        fitted
    ).max() > 0.99 else assert_close(lab_to_rgb(fitted).min(), torch.tensor(0.0), atol=2e-3, rtol=0)
    assert (fit_gamut(slightly_more) - slightly_more).abs().max() > 0


def test_split_and_join_are_inverse():
    lab = torch.rand(2, 3, 4, 5)
    assert_close(join_lab(*split_lab(lab)), lab)


def test_integers_are_refused_with_the_mend():
    with pytest.raises(ValueError, match="frames_to_rgb"):
        rgb_to_lab(torch.zeros(3, 2, 2, dtype=torch.uint8))
    with pytest.raises(ValueError, match="uint8 shaped"):
        frames_to_rgb(np.zeros((2, 2, 3), dtype=np.float32))
