import dataclasses

import pytest
import torch
from torch.testing import assert_close

from colorlab.files.errors import InputError
from colorlab.papers.lstvc import LSTVC, LSTVCConfig
from colorlab.papers.lstvc.attention import Attention


def tiny(seed=0, **changes):
    torch.manual_seed(seed)
    return LSTVC(dataclasses.replace(LSTVCConfig.tiny(), **changes)).eval()


def film(frames=5, height=32, width=40, videos=1, seed=3):
    generator = torch.Generator().manual_seed(seed)
    l = 100 * torch.rand(videos, frames, 1, height, width, generator=generator)
    return l, picture(height, width, videos, seed + 1)


def picture(height=32, width=40, videos=1, seed=4):
    generator = torch.Generator().manual_seed(seed)
    lab = torch.rand(videos, 3, height, width, generator=generator)
    return torch.cat((100 * lab[:, :1], 120 * lab[:, 1:] - 60), dim=1)


def color(model, l, references):
    """The film in blocks of the model's own size."""
    with torch.no_grad():
        return model(l, references)


def test_attention_is_torchs_own_with_its_two_extra_keys():
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(24, 4, add_bias_kv=True, add_zero_attn=True, batch_first=True)
    ours = Attention(24, 4)
    ours.load_state_dict(theirs.state_dict())
    query, memory = torch.randn(2, 7, 24), torch.randn(2, 5, 24)
    expected, weights = theirs(query, memory, memory)
    assert_close(ours(query, memory, memory), expected)
    assert_close(ours.weights(query, memory), weights)


def test_a_state_can_be_kept_and_gone_on_from_twice():
    model, (l, reference) = tiny(), film()
    _, state = model.step(l[:, :2], model.start(reference))
    once, _ = model.step(l[:, 2:4], state)
    model.step(l[:, 4:], state)
    again, _ = model.step(l[:, 2:4], state)
    assert_close(once, again, atol=0, rtol=0)


def test_the_linkage_carries_something_from_block_to_block():
    model, (l, reference) = tiny(), film()
    _, state = model.step(l[:, :2], model.start(reference))
    linked, _ = model.step(l[:, 2:], state)
    alone, _ = model.step(l[:, 2:], model.start(reference))
    assert (linked - alone).abs().max() > 0.1


def test_without_linkage_blocks_do_not_know_each_other():
    model, (l, reference) = tiny(linkage=False), film()
    _, state = model.step(l[:, :2], model.start(reference))
    assert_close(
        model.step(l[:, 2:], state)[0],
        model.step(l[:, 2:], model.start(reference))[0], atol=0, rtol=0)


def test_without_transformer_there_are_no_tokens():
    model, (l, reference) = tiny(transformer=False), film()
    together = color(model, l, reference)
    assert model.encoder(torch.ones(2, 16, 4, 4), torch.ones(1, 32, 24)).tokens is None
    assert together.shape == (
        1, 5, 2, 32, 40) and not [name for name, _ in model.named_parameters() if "attention" in name]


def test_without_the_second_head_the_guide_is_one_warp():
    model, (l, reference) = tiny(second_head=False), film()
    look, _ = model.look(l[:, :2], model.start(reference))
    assert look.warped.shape == (1, 2, 1, 2, 8, 10)
    assert model.colorization.down.conv1_1[0].in_channels == 4  # L, a, b, similarity


def test_the_preceding_frame_guides_the_next_where_the_variant_asks_for_it():
    model, (l, reference) = tiny(preceding_frame=True, block_size=1), film()
    _, state = model.step(l[:, 0], model.start(reference))
    guided, _ = model.step(l[:, 1], state)
    other, _ = model.step(l[:, 1], dataclasses.replace(state, preceding=state.preceding + 30))
    assert (guided - other).abs().max() > 0.1


def test_a_shorter_last_block_and_single_frames_are_blocks_too():
    model, (l, reference) = tiny(block_size=3), film(frames=4)
    state = model.start(reference)
    first, state = model.step(l[:, :3], state)
    last, state = model.step(l[:, 3], state)
    assert first.shape == (1, 3, 2, 32, 40) and last.shape == (1, 2, 32, 40) and state.frame == 4
    assert_close(color(model, l, reference)[:, 3], last)


def test_each_video_of_a_batch_is_by_itself():
    model, (l, reference) = tiny().double(), (x.double() for x in film(frames=3, videos=2))
    both = color(model, l, reference)
    assert_close(both[1:], color(model, l[1:], reference[1:]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 50), (17, 130)])
def test_any_size_comes_back_as_it_went_in(size):
    l, _ = film(2, *size)
    assert color(tiny(), l, picture(20, 30)).shape == (1, 2, 2, *size)


def test_what_is_padded_is_the_border_repeated():
    """A film of 30 x 37 is coloured as one of 32 x 40 whose last rows and columns are copies; whatever else
    were put there shows."""
    model, (l, reference) = tiny(), film(3, 30, 37)
    rows, columns = torch.arange(32).clamp(max=29), torch.arange(40).clamp(max=36)
    by_hand = lambda maps: maps[..., rows[:, None], columns]
    assert_close(color(model, l, reference),
                 color(model, by_hand(l), by_hand(reference))[..., :30, :37], atol=1e-3, rtol=0)


def test_padding_changes_nothing_where_none_is_needed():
    model, (l, reference) = tiny(transformer=False, temperature=1e-10), film(1, 32, 40)
    repeated = torch.cat((l, l[..., -1:, :]), dim=-2)
    assert color(model, l, reference).isfinite().all() and color(model, repeated, reference).shape[-2] == 33


def test_a_picture_of_another_size_is_brought_to_the_films():
    model, (l, reference) = tiny(), film(2)
    smooth = torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(reference, (4, 4, 4, 4), mode="replicate"), 9, 1)
    enlarged = torch.nn.functional.interpolate(smooth, scale_factor=2, mode="bilinear")
    assert color(model, l, enlarged).shape == (1, 2, 2, 32, 40)
    seen = model.encode(enlarged, (32, 40)).image
    a_pixel_off = (smooth.roll(1, -1) - smooth).abs().mean()
    assert (seen - smooth).abs().mean() < 0.5 * a_pixel_off


def test_colour_comes_from_the_reference_that_shows_it():
    """Two pictures, one of which is the frame: its colours are taken, whichever place it has."""
    model, (l, reference) = tiny(temperature=1e-10, second_head=False, transformer=False), film(1)
    grey = torch.cat((l[:, 0], l.new_zeros(1, 2, 32, 40)), dim=1)
    model.heads.phi.load_state_dict(model.heads.theta.state_dict())
    model.backbone.forward = lambda rgb, forward=model.backbone.forward: forward(
        rgb.mean(1, keepdim=True).expand(-1, 3, -1, -1))
    ends = [
        model.look(l, model.start(list(pair)))[0].warped for pair in ((grey, reference), (reference, grey))
    ]
    for warped in ends:
        assert (warped == 0).all(dim=3).double().mean() > 0.5  # the grey one shows the very same frame


def test_a_second_reference_has_its_say():
    model, (l, reference) = tiny(), film(2)
    two = color(model, l, [reference, picture(seed=9)])
    assert (two - color(model, l, reference)).abs().max() > 0.1


def test_a_frame_that_is_a_reference_comes_back_in_its_own_colours():
    model, (l, reference) = tiny(), film(5)
    ab = color(model, l, [picture(seed=8), (3, reference)])
    assert_close(ab[:, 3], reference[:, 1:])
    assert (ab[:, 2] - reference[:, 1:]).abs().max() > 1


def test_key_frames_near_the_block_are_looked_at_and_no_others():
    references = [picture(), *((frame, picture()) for frame in (0, 4, 5, 20, 30))]
    state = dataclasses.replace(tiny().start(references), frame=4)
    assert state.in_use(3) == (0, 1, 2, 3, 4)  # the picture; frame 0 before; 4 and 5 inside; 20 after
    assert dataclasses.replace(state, frame=25).in_use(3) == (0, 4, 5)


def test_the_state_does_not_grow():
    model, (l, reference) = tiny(block_size=1), film(6)
    sizes, state = [], model.start(reference)
    for frame in l.unbind(1):
        _, state = model.step(frame, state)
        sizes.append(state.linkage.shape)
    assert len(set(sizes)) == 1


def test_attention_maps_share_one_whole():
    model, (l, reference) = tiny(), film(4, 30, 37)
    _, state = model.step(l[:, :3], model.start([reference, (9, picture(seed=8))]))
    maps = model.attention(l[:, 3], state, at=(29, 36))
    assert set(maps) == {
        "reference, vanilla head", "reference, augmented head", "reference (frame 9), vanilla head",
        "reference (frame 9), augmented head", "linkage state"
    }
    assert all(map.shape == (30, 37) and map.min() >= 0 for map in maps.values())
    assert_close(sum(map.sum() for map in maps.values()), torch.tensor(1.0))
    assert maps["linkage state"].sum() > 0


def test_attention_points_at_what_the_warp_takes():
    model, (l, reference) = tiny(temperature=1e-10), film(1)
    state = model.start(reference)
    look, _ = model.look(l, state)
    maps = model.attention(l[:, 0], state, at=(13, 22))
    for k, head in enumerate(("vanilla", "augmented")):
        y, x = divmod(int(maps[f"reference, {head} head"].argmax()), 40)
        assert_close(look.warped[0, 0, k, :, 3, 5], reference[0, 1:, y // 4 * 4, x // 4 * 4])


def test_attention_outside_the_frame_is_refused():
    model, (l, reference) = tiny(), film(1)
    with pytest.raises(ValueError, match="outside the frame"):
        model.attention(l[:, 0], model.start(reference), at=(32, 0))


def test_no_reference_is_an_error_that_says_what_to_do():
    with pytest.raises(InputError, match="tcavc"):
        tiny().start(None)


def test_gradients_reach_every_part_that_learns():
    # the store's result is first read two blocks later
    model, (l, reference) = tiny(block_size=1).train(), film(3)
    model(l, reference).square().mean().backward()
    without = {
        name for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert not without


def test_bfloat16_autocast_finds_about_the_same_matches():
    model, (l, reference) = tiny(), film(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, _ = model.look(l, model.start(reference))
    whole, _ = model.look(l, model.start(reference))
    assert half.ab.isfinite().all() and half.similarity.dtype == torch.float32
    assert (half.similarity - whole.similarity).abs().mean() < 0.03


def test_two_heads_of_a_width_that_cannot_be_split_are_refused():
    with pytest.raises(ValueError, match="split over"):
        tiny(heads=5)
