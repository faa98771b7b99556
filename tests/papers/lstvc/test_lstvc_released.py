"""The paper's network against numbers of the authors' own: parameters filled by rule, module by module and
over several blocks."""

import copy
from pathlib import Path

import pytest
import torch
from golden.bupt import released_shapes, released_tcavc
from safetensors.torch import load_file
from torch.testing import assert_close

import colorlab
from colorlab.color import lab_to_rgb
from colorlab.files.checkpoints import rename
from colorlab.files.errors import InputError
from colorlab.papers.lstvc import LSTVCConfig
from colorlab.papers.lstvc.attention import sine_position
from colorlab.papers.lstvc.backbone import Taps
from colorlab.papers.lstvc.released import NAMES, UNUSED

GOLDEN = Path(__file__).parents[2] / "golden"
SHAPES = released_shapes("lstvc")
NORMS = ("bn1", "bn2", "bn3", "downsample.1")  # frozen in the authors' code: buffers, not parameters


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "lstvc.safetensors")


@pytest.fixture(scope="module")
def released():
    return released_tcavc().propagation


def tokens(golden, name):
    return golden[name].transpose(0, 1)  # the files hold (sequence, batch, channels)


def lab(golden, name):
    return golden[name] + torch.tensor([50.0, 0, 0]).view(3, 1, 1)  # the files hold L centred


def without_tail(name):
    return name.rsplit(".", 1)[0]


def test_what_is_built_and_what_is_named_unused_make_the_papers_count(released):
    built = sum(parameter.numel() for parameter in released.parameters())
    unused = [torch.Size(shape).numel() for name, shape in SHAPES.items()
              if name.startswith(UNUSED) and not without_tail(name).endswith(NORMS)]
    assert built + sum(unused) == 148_214_898


def test_each_released_name_is_ours_or_unused(released):
    renamed = rename({name: torch.empty(0) for name in SHAPES}, NAMES, UNUSED)
    assert set(renamed) == set(released.state_dict())


def test_the_two_files_of_the_authors_fill_one_network(tmp_path):
    """A small network's parameters, written as the authors write theirs."""
    ours = colorlab.load("lstvc", preset="tiny", seed=5).state_dict()
    table = sorted(NAMES, key=lambda pair: -len(pair[1]))
    theirs = {
        next(old + name[len(new):] for old, new in table if name.startswith(new + ".")): value for name, value
        in ours.items()
    }
    part = lambda prefix: {
        name.removeprefix(prefix): value for name, value in theirs.items() if name.startswith(prefix)
    }
    counter = {"backbone.0.body.bn1.num_batches_tracked": torch.tensor(1)}
    torch.save({"model": part("encoder.") | counter, "inter_save": part("inter_save."), "epoch": 7},
               tmp_path / "encoder.pth")
    torch.save({"model": part("decoder.")}, tmp_path / "decoder.pth")
    loaded = colorlab.load("lstvc", preset="tiny", weights=tmp_path).state_dict()
    assert all(torch.equal(loaded[name], ours[name]) for name in ours)
    torch.save({"model": part("decoder.")}, tmp_path / "again.pth")
    with pytest.raises(InputError, match="another file"):
        colorlab.load("lstvc", preset="tiny", weights=tmp_path)


def test_the_reference_enters_as_rgb(golden):
    assert_close(lab_to_rgb(lab(golden, "color.lab")), golden["color.rgb"], atol=1e-6, rtol=0)


def test_backbone(released, golden):
    half, quarter, high = released.backbone(golden["backbone.rgb"])
    assert_close(half[:, ::8], golden["backbone.layer1_2"], atol=1e-4, rtol=0)
    assert_close(quarter[:, ::8], golden["backbone.layer2_3"], atol=1e-4, rtol=0)
    assert_close(high, torch.cat((golden["backbone.layer3_19"], golden["backbone.layer3_3"]), dim=1),
                 atol=1e-4, rtol=0)


def test_position(golden):
    assert_close(sine_position(3, 4, 6, 384), golden["position.embedding"][0], atol=1e-5, rtol=0)


def test_attention_and_its_weights(released, golden):
    attention = released.linkage.store_layer.attention
    query, memory = tokens(golden, "attention.query"), tokens(golden, "attention.memory")
    assert_close(attention(query, memory, memory), tokens(golden, "attention.out"), atol=1e-5, rtol=0)
    assert_close(attention.weights(query, memory), golden["attention.weights"], atol=1e-5, rtol=0)


def test_cnn_transformer_block(released, golden):
    position = golden["position.embedding"][0].movedim(1, -1).flatten(0, 2)
    cnn, trans = released.encoder.blocks[0](golden["block.cnn"], tokens(golden, "block.trans"), position)
    assert_close(cnn, golden["block.cnn_out"], atol=1e-4, rtol=0)
    assert_close(trans, tokens(golden, "block.trans_out"), atol=1e-4, rtol=0)


def test_linkage_with_a_longer_state(released, golden):
    block, state = tokens(golden, "linkage.tokens"), tokens(golden, "linkage.state")
    assert_close(released.linkage.query(block, state), tokens(golden, "linkage.query_out"), atol=1e-5, rtol=0)
    assert_close(released.linkage.store(state, block), tokens(golden, "linkage.store_out"), atol=1e-5, rtol=0)


def test_residual_block(released, golden):
    assert_close(released.fusion.residual[0](golden["residual.x"]), golden["residual.out"], atol=1e-5, rtol=0)


def test_fusion_of_three_depths(released, golden):
    """The file has the inputs of the second of three frames; each frame's fusion is its own."""
    low = released.fusion.low(Taps(golden["warp.layer1_2"], golden["warp.layer2_3"], None))
    assert_close(released.fusion(golden["warp.cnn"], low), golden["warp.fused"][1:2], atol=1e-4, rtol=0)


def test_double_head_on_fused_features(released, golden):
    reference_ab = golden["warp.ref_ab"][..., ::4, ::4] / 128
    warp = released.heads(golden["warp.fused"][None], reference_ab[None])
    guide = torch.cat((warp.color.flatten(2, 3), warp.similarity), dim=2)[0]
    assert_close(guide, golden["warp.guide"][1:], atol=1e-4, rtol=0)


@pytest.mark.parametrize("temperature, name", [(0.01, "soft"), (1e-10, "hard")])
def test_double_head(released, golden, temperature, name, monkeypatch):
    monkeypatch.setattr(released.heads, "temperature", temperature)
    warp = released.heads(golden["nonlocal.features"][None], golden["nonlocal.ref_ab"][None, None])
    guide = torch.cat((warp.color.flatten(2, 3), warp.similarity), dim=2)[0]
    # the first is the reference's own colour
    assert_close(guide, golden[f"nonlocal.guide_{name}"][1:], atol=1e-5, rtol=0)


def test_colorization_subnet(released, golden):
    picture = torch.cat((golden["colorize.l"] / 50, golden["colorize.guide"]), dim=1)
    reference = released.colorization.source(picture[:1])
    painted = released.colorization(picture[None, 1:], reference[None], tokens(golden, "colorize.trans"))
    assert_close(128 * painted[0].tanh(), golden["colorize.ab"][1:], atol=5e-3, rtol=0)


def assert_as_far_apart_as_rounding(found, expected, mean, worst):
    """The golden numbers are float64's. Four networks on end make a few values in 15,000 differ by some 20
    times the mean in float32, by how much hangs on the processor and on its threads; the mean does not."""
    assert_close(found, expected, atol=worst, rtol=0)
    assert (found - expected).abs().mean() < mean


@torch.no_grad()
def test_four_blocks_end_to_end_the_last_one_short(released, golden):
    state = released.start(lab(golden, "video.ref"))
    for block, l in enumerate(lab(golden, "video.frames")[None, :, :1].split(2, dim=1)):
        look, state = released.look(l, state)
        assert_as_far_apart_as_rounding(look.ab[0], golden[f"video.ab_{block}"][1:], mean=2e-3, worst=6e-2)
        assert_as_far_apart_as_rounding(
            look.warped[0], golden[f"video.warped_{block}"], mean=1e-3, worst=2e-2
        )
        assert_close(look.similarity[0], golden[f"video.similarity_{block}"], atol=1e-5, rtol=0)
        linkage = {0: "video.trans_0", 1: "video.state_1", 2: "video.state_2"}.get(block)
        if linkage:
            assert_close(state.linkage, tokens(golden, linkage), atol=2e-4, rtol=0)
    assert block == 3 and state.frame == 7


@torch.no_grad()
def test_in_float64_a_block_after_another_is_the_authors(released, golden):
    """What is left is what the files round: neither a clamp nor a best match hangs on a processor's rounding
    here."""
    network = copy.deepcopy(released).double()
    state = network.start(lab(golden, "video.ref").double())
    for block, l in enumerate(lab(golden, "video.frames")[None, :4, :1].double().split(2, dim=1)):
        look, state = network.look(l, state)
        assert_close(look.ab[0].float(), golden[f"video.ab_{block}"][1:], atol=1e-3, rtol=0)
        assert_close(look.warped[0].float(), golden[f"video.warped_{block}"], atol=3e-4, rtol=0)


@torch.no_grad()
def test_nearest_neighbour_of_the_released_inference(released, golden, monkeypatch):
    monkeypatch.setattr(released.heads, "temperature", 1e-10)
    state = released.start(lab(golden, "argmax.ref"))
    for block, l in enumerate(lab(golden, "argmax.frames")[None, :, :1].split(2, dim=1)):
        ab, state = released.step(l, state)
        assert_close(ab[0], golden[f"argmax.ab_{block}"][1:], atol=2e-2, rtol=0)


def test_paper_is_the_default():
    assert LSTVCConfig.paper() == LSTVCConfig()
