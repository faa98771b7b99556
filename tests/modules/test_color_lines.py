import pytest
import torch
import torch.nn.functional as F

from colorlab.modules.color_lines import draw_lines, fit_lines


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_a_line_is_found_where_chroma_is_one():
    l = noise(2, 1, 16, 24).clamp(-1, 1)
    chroma = torch.cat((0.3 * l + 0.1, -0.2 * l), dim=1)
    lines = fit_lines(l, chroma, 4)
    assert lines.shape == (2, 4, 4, 6)
    for channel, value in enumerate((0.3, -0.2, 0.1, 0.0)):
        assert torch.allclose(lines[:, channel], torch.tensor(value), atol=0.02)  # slopes are shrunk by FLAT / variance
    assert torch.allclose(draw_lines(lines, l, 4), chroma, atol=0.05)


def test_a_flat_cell_carries_its_mean():
    lines = fit_lines(torch.full((1, 1, 4, 4), 0.5), noise(1, 2, 4, 4), 4)
    assert torch.allclose(lines[:, :2], torch.zeros(1, 2, 1, 1), atol=1e-6)
    assert torch.allclose(lines[:, 2:], F.avg_pool2d(noise(1, 2, 4, 4), 4), atol=1e-6)


def test_edges_come_out_where_the_receiving_frame_has_them():
    """A light red shape on dark blue: its border is inside a cell, and stays sharp where enlarged means would bleed."""
    l = torch.full((1, 1, 16, 16), -0.5)
    l[..., 6:] = 0.5
    chroma = torch.cat((l, -l), dim=1)
    drawn = draw_lines(fit_lines(l, chroma, 4), l, 4)
    bled = F.interpolate(F.avg_pool2d(chroma, 4), scale_factor=4, mode="bilinear")
    assert (drawn - chroma).abs().max() < 0.2 * (bled - chroma).abs().max()


@pytest.mark.parametrize("flat", [False, True])
def test_gradients_are_finite(flat):
    l = (torch.zeros(1, 1, 8, 8) if flat else noise(1, 1, 8, 8)).requires_grad_()
    chroma = noise(1, 2, 8, 8).requires_grad_()
    draw_lines(fit_lines(l, chroma, 4), l, 4).square().sum().backward()
    assert l.grad.isfinite().all() and chroma.grad.isfinite().all()
