"""Window attention against torchvision's Swin block, and against attention over the whole picture with a
table of who may meet."""

import pytest
import torch
from torch.testing import assert_close

from colorlab.papers.cavc.window_attention import WindowBlock, WindowPair

SIZES = [(8, 8), (16, 24), (11, 13), (5, 21), (3, 2), (17, 9)]


def seeded(block):
    torch.manual_seed(0)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block.eval()


def dense_weights(block, x):
    """Attention of every pixel to every pixel: (B, heads, H * W, H * W). No padding, no rolling, no windows
    cut out."""
    _, H, W, C = x.shape
    s = block.window
    shifts = [block.shift if side > s else 0 for side in (H, W)]
    y, column = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    home = torch.stack(
        ((y - shifts[0]).div(s, rounding_mode="floor"), (column - shifts[1]).div(s, rounding_mode="floor")),
        -1)
    home, place = home.view(-1, 2), torch.stack((y, column), -1).view(-1, 2)
    meet = (home[:, None] == home).all(-1)
    offset = (place[:, None] - place).clamp(-s + 1, s - 1) + s - 1
    bias = block.bias[offset[..., 0] * (2 * s - 1) + offset[..., 1]].permute(2, 0, 1)
    query, key, _ = block.qkv(block.norm1(x)).flatten(1, 2).unflatten(-1, (3, block.heads, -1)).permute(
        2, 0, 3, 1, 4)
    return ((query @ key.mT) * (C // block.heads) ** -0.5 + bias).masked_fill(~meet, -torch.inf).softmax(-1)


def dense(block, x):
    value = (
        block.qkv(block.norm1(x)).flatten(1, 2).unflatten(-1, (3, block.heads, -1)).permute(2, 0, 3, 1, 4)[2]
    )
    mixed = (dense_weights(block, x) @ value).transpose(1, 2).flatten(2).view_as(x)
    x = x + block.proj(mixed)
    return x + block.mlp(block.norm2(x))


@pytest.mark.parametrize("shift", [0, 4])
@pytest.mark.parametrize("size", [(32, 40), (8, 40), (40, 8), (8, 8)])
def test_equals_torchvisions_swin_block_where_windows_divide_the_size(size, shift):
    swin = pytest.importorskip("torchvision.models.swin_transformer")
    torch.manual_seed(0)
    theirs = swin.SwinTransformerBlock(32, 2, [8, 8], [shift, shift], mlp_ratio=2.0).eval()
    torch.nn.init.normal_(theirs.attn.relative_position_bias_table)
    names = {
        "attn.relative_position_bias_table": "bias", "mlp.3.weight": "mlp.2.weight",
        "mlp.3.bias": "mlp.2.bias"
    }
    ours = WindowBlock(32, 2, 8, shift)
    ours.load_state_dict({
        names.get(name, name.removeprefix("attn.")): value
        for name, value in theirs.state_dict().items()
        if not name.endswith("index")
    })
    x = torch.randn(2, *size, 32)
    assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shift", [0, 4])
@pytest.mark.parametrize("size", SIZES)
def test_at_any_size_a_pixel_meets_the_real_pixels_of_its_window_and_no_other(size, shift):
    block = seeded(WindowBlock(12, 3, 8, shift))
    x = torch.randn(2, *size, 12)
    assert_close(block(x), dense(block, x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shift", [0, 4])
@pytest.mark.parametrize("size", SIZES)
def test_weights_of_a_pixel_are_its_row_of_the_softmax(size, shift):
    block = seeded(WindowBlock(12, 3, 8, shift))
    x, (y, column) = torch.randn(2, *size, 12), (size[0] // 2, size[1] - 1)
    expected = dense_weights(block, x).mean(1)[:, y * size[1] + column].view(2, *size)
    assert_close(block.weights(x, (y, column)), expected, atol=1e-6, rtol=1e-5)


def test_images_of_a_batch_do_not_meet():
    block = seeded(WindowBlock(8, 2, 4, 2))
    x = torch.randn(3, 9, 10, 8)
    assert_close(block(x), torch.cat([block(image) for image in x.split(1)]))


def test_what_is_outside_a_pixels_two_windows_does_not_reach_it():
    pair = seeded(WindowPair(8, 1, window=4))
    features = torch.randn(1, 8, 16, 16)
    changed = features.clone()
    # the pixel's shifted window ends before column 6, and its windows' windows before column 8
    changed[..., 10:] += 1
    assert_close(pair(changed)[..., :8, :6], pair(features)[..., :8, :6])
    assert not torch.allclose(pair(changed)[..., 10:], pair(features)[..., 10:])


def test_a_pixel_outside_the_picture_is_refused():
    with pytest.raises(ValueError, match=r"\(9, 0\) lies outside"):
        WindowBlock(4, 1, 4).weights(torch.randn(1, 8, 8, 4), (9, 0))


def test_heads_must_share_the_channels_evenly():
    with pytest.raises(ValueError, match="3 attention heads cannot share 8 channels"):
        WindowBlock(8, 3)
