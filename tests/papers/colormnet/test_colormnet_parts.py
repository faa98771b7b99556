"""Local attention against a plain loop, what the paper exchanges, and training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from colorlab.files.errors import InputError
from colorlab.modules.fast.local_window import window_attention, window_attention_as_written
from colorlab.papers.colormnet import ColorMNet, ColorMNetConfig
from colorlab.papers.colormnet.local_attention import LocalAttention
from colorlab.papers.colormnet.released import NAMES, convert
from colorlab.papers.colormnet.unroll import unroll


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("size", "window"), [((9, 11), 5), ((3, 20), 7), ((8, 8), 15)])
def test_local_attention_is_the_plain_loop(size, window):
    query, key, value, bias = random(1, 4, *size), random(1, 4, *size, seed=1), random(1, 3, *size, seed=2), \
        random(1, window**2, *size, seed=3)
    assert_close(window_attention(query, key, value, bias, window),
                 window_attention_as_written(query, key, value, bias, window))


def test_the_weights_that_are_shown_are_those_that_are_used():
    torch.manual_seed(0)
    attention, query, key = LocalAttention(4, 3, 5), random(2, 4, 6, 9), random(2, 4, 6, 9, seed=1)
    value = random(2, 3, 6, 9, seed=2)
    weights = attention.weights(query, key)
    around = F.unfold(value, 5, padding=2).unflatten(1, (3, 25)).unflatten(-1, (6, 9))
    assert_close((weights[:, None] * around).sum(2),
                 window_attention(query, key, value, attention.relative(query), 5))


def build(**changes: object) -> ColorMNet:
    torch.manual_seed(0)
    return ColorMNet(replace(ColorMNetConfig.tiny(), **changes))


@pytest.mark.parametrize(
    "changes", [{"features": "resnet50"}, {"features": "dinov2"}, {"features": "concatenation"},
                {"propagation": "stacking"}, {"propagation": "recurrent"}, {"local_attention": False},
                {"deep_update_every": 3}, {"long_term": False}, {"top_k": None}])
def test_what_the_paper_exchanges_runs_and_learns(changes):
    network, l, reference = build(**changes), random(1, 6, 1, 12, 20) * 10 + 50, random(1, 3, 12, 20) * 30
    with torch.inference_mode():
        ab, state = network.eval().step(l, network.start(reference))
        maps = network.attention(l[:, 0], state, at=(3, 4))
    assert ab.shape == (1, 6, 2, 12, 20) and ab.isfinite().all()
    assert sum(float(m.sum()) for m in maps.values()) == pytest.approx(1, abs=1e-4)
    out = network.train()(l, [(0, reference)], torch.Generator().manual_seed(0))
    out.square().mean().backward()
    assert network.decoder.predict.weight.grad.abs().sum() > 0


def test_stacking_holds_every_frame_and_recurrence_one():
    l, reference = random(1, 6, 1, 12, 20) * 10 + 50, random(1, 3, 12, 20)
    with torch.inference_mode():
        _, stacked = (network := build(propagation="stacking").eval()).step(l, network.start(reference))
        _, carried = (network := build(propagation="recurrent").eval()).step(l, network.start(reference))
    cells = stacked.hidden.shape[-2] * stacked.hidden.shape[-1]
    assert stacked.held[0].size == 7 * cells  # the reference and six frames
    assert carried.held[0].shape[-2:] == carried.hidden.shape[-2:]


def test_gradients_reach_the_keys_through_every_frame_of_a_clip():
    network = build().train()
    torch.nn.init.normal_(network.decoder.predict.weight, std=0.1)
    l = (random(2, 4, 1, 12, 20) * 10 + 50).requires_grad_()
    out = network(l, [(0, random(2, 3, 12, 20) * 30)])
    out[:, 3].square().mean().backward()
    assert out.shape == (2, 4, 2, 12, 20)
    assert all(float(l.grad[:, t].abs().sum()) > 0 for t in range(4))
    untouched = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert untouched == ["features.guide.mask_token"]


def test_training_draws_are_the_generators_alone():
    network, l, reference = build().train(), random(1, 7, 1, 12, 20) * 10 + 50, random(1, 3, 12, 20) * 30
    torch.nn.init.normal_(network.decoder.predict.weight, std=0.1)
    runs = [
        unroll(network, l, network.start([(0, reference)]),
               torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_in_training_all_is_read_and_nothing_compressed():
    network, l = build().train(), random(1, 9, 1, 12, 20) * 10 + 50
    with torch.no_grad():
        _, state = network.step(l, network.start([(0, random(1, 3, 12, 20))]))
    memory = state.held[0]
    # frames 0, 2, 4, 6, 8
    assert memory.long == 0 and memory.size == 5 * state.hidden.shape[-2] * state.hidden.shape[-1]
    assert (memory.config.top_k, memory.config.long_term) == (None, False)


def test_the_courses_backbones_have_no_pretrained_weights():
    with pytest.raises(InputError, match="preset='paper'"):
        build().load_backbones()


def test_batch_norms_stay_as_they_are_in_training():
    network = build().train()
    assert network.training and not network.features.guide.norm.training


def test_no_name_of_the_table_is_there_twice():
    assert len({old for old, _ in NAMES}) == len(NAMES) and len({new for _, new in NAMES}) == len(NAMES)


def test_a_released_value_encoder_for_one_object_gets_a_fifth_channel():
    converted = convert({"value_encoder.conv1.weight": torch.ones(64, 4, 7, 7)})[
        "value_encoder.cnn.conv1.weight"
    ]
    assert converted.shape == (64, 5, 7, 7) and converted[:, 4].abs().sum() == 0




@pytest.mark.parametrize("changes", [{"features": "vgg"}, {"propagation": "flow"}, {"backbones": "large"}])
def test_a_part_that_does_not_exist_is_named(changes):
    with pytest.raises(ValueError, match=f"got .*{next(iter(changes.values()))}"):
        build(**changes)
