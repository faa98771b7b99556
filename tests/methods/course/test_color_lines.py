import pytest
import torch
import torch.nn.functional as F

from colorlab.methods.course.color_lines import draw_lines, fit_lines, numbers


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_a_line_is_found_where_chroma_is_one():
    l = noise(2, 1, 16, 24).clamp(-1, 1)
    chroma = torch.cat((0.3 * l + 0.1, -0.2 * l), dim=1)
    lines = fit_lines(l, chroma, 4)
    assert lines.shape == (2, numbers(4), 4, 6) == (2, 16, 4, 6)
    # two slopes and two offsets of each of the cell's four lines
    for number, value in enumerate((0.3, -0.2, 0.1, 0.0)):
        # slopes are shrunk by FLAT / variance
        assert torch.allclose(lines[:, 4 * number:4 * number + 4], torch.tensor(value), atol=0.04)
    assert torch.allclose(draw_lines(lines, l, 4), chroma, atol=0.05)


def test_where_lightness_is_flat_a_line_is_the_mean_around_its_pixels():
    chroma = noise(1, 2, 8, 8)
    lines = fit_lines(torch.full((1, 1, 8, 8), 0.5), chroma, 4)
    assert torch.allclose(lines[:, :8], torch.zeros(1, 8, 2, 2), atol=1e-6)
    assert torch.allclose(
        F.pixel_shuffle(lines[:, 8:], 2)[..., 1:3, 1:3], F.avg_pool2d(chroma[..., 1:7, 1:7], 4, 2), atol=1e-6)


def test_edges_come_out_where_the_receiving_frame_has_them():
    """A light red shape on dark blue: its border is inside a cell, and stays sharp where enlarged means would
    bleed."""
    l = torch.full((1, 1, 16, 16), -0.5)
    l[..., 6:] = 0.5
    chroma = torch.cat((l, -l), dim=1)
    drawn = draw_lines(fit_lines(l, chroma, 4), l, 4)
    bled = F.interpolate(F.avg_pool2d(chroma, 4), scale_factor=4, mode="bilinear")
    assert (drawn - chroma).abs().max() < 0.2 * (bled - chroma).abs().max()


def test_a_border_inside_a_cell_is_kept_where_lightness_does_not_show_it():
    """A single line for the cell could only say its mean."""
    chroma = torch.zeros(1, 2, 16, 16)
    chroma[..., :10] = 1
    drawn = draw_lines(fit_lines(torch.zeros(1, 1, 16, 16), chroma, 4), torch.zeros(1, 1, 16, 16), 4)
    assert drawn[..., :8].min() > 0.9 and drawn[..., 12:].max() < 0.1


@pytest.mark.parametrize("flat", [False, True])
def test_gradients_are_finite(flat):
    l = (torch.zeros(1, 1, 8, 8) if flat else noise(1, 1, 8, 8)).requires_grad_()
    chroma = noise(1, 2, 8, 8).requires_grad_()
    draw_lines(fit_lines(l, chroma, 4), l, 4).square().sum().backward()
    assert l.grad.isfinite().all() and chroma.grad.isfinite().all()
