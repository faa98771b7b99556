"""Both released stages against the authors' own numbers: stage 1 by itself, then the whole pipeline through
its 8-bit reference."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden.bupt import released_shapes, released_tcavc
from safetensors.torch import load_file
from torch.testing import assert_close

from colorlab.files.checkpoints import rename
from colorlab.papers.lstvc import LSTVCConfig
from colorlab.papers.tcavc.released import STAGE1
from colorlab.papers.tcavc.script import color_film, cover_and_crop, paint_first

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "tcavc_stage1.safetensors")


@pytest.fixture(scope="module")
def released():
    return released_tcavc()


def test_stage_1_has_the_published_parameters(released):
    assert sum(parameter.numel() for parameter in released.reference.parameters()) == 32_802_658


def test_each_name_of_stage_1_is_ours(released):
    ours = {f"reference.{name}" for name in released.reference.state_dict()}
    assert set(rename({name: torch.empty(0) for name in released_shapes("tcavc_stage1")}, STAGE1)) == ours


def test_stage_1_layer_by_layer(released, golden):
    stage1 = released.reference
    source, skips = stage1.down(golden["net.x"])
    assert_close(skips.full[:1, :8], golden["net.conv1_2norm"], atol=1e-3, rtol=0)
    assert_close(stage1.down.shrink2(skips.half)[:1, :16], golden["net.conv2_2norm_ss"], atol=1e-3, rtol=0)
    assert_close(source[:1], golden["net.conv4_3norm"], atol=1e-3, rtol=0)
    source = stage1.middle[0](source)
    assert_close(source[:1], golden["net.conv5_3norm"], atol=1e-3, rtol=0)
    source = stage1.middle[2](stage1.middle[1](source))
    assert_close(source[:1], golden["net.conv7_3norm"], atol=1e-3, rtol=0)


def test_stage_1_end_to_end(released, golden):
    assert_close(released.reference(golden["net.x"]), golden["net.ab"], atol=1e-2, rtol=0)


def test_stage_1_from_picture_to_picture(released, golden):
    """80 x 128 pictures, the network at 40 x 64, as the script's 480 x 848 and 216 x 384."""
    small = F.interpolate(golden["frame.lab"], size=(40, 64), mode="bilinear")
    assert_close(small, golden["frame.lab_small"], atol=1e-4, rtol=0)
    assert_close(released.reference.paint(small[:, :1] + 50), golden["frame.ab_small"], atol=1e-2, rtol=0)
    painted = paint_first(released.reference, golden["frame.rgb"].numpy(), full=(80, 128), small=(40, 64))
    assert_close(torch.from_numpy(painted).int(), golden["frame.out_rgb"].int(), atol=1, rtol=0)


@pytest.mark.parametrize("shape", ["wide", "tall", "same"])
def test_pictures_are_covered_and_cropped_as_the_script_does(golden, shape):
    cropped = cover_and_crop(golden[f"crop.{shape}_in"].numpy(), (80, 128))
    assert_close(torch.from_numpy(cropped).int(), golden[f"crop.{shape}_out"].int(), atol=1, rtol=0)


def test_both_stages_through_8_bits(released, golden, monkeypatch):
    monkeypatch.setattr(released.propagation.heads, "temperature", 1e-10)
    monkeypatch.setattr(released.propagation, "config", LSTVCConfig(block_size=2))
    sizes = {"full": (80, 128), "small": (40, 64)}
    frames = golden["pipeline.gray"].numpy()
    reference = paint_first(released.reference, frames[0], **sizes)
    assert_close(torch.from_numpy(reference).int(), golden["pipeline.reference"].int(), atol=1, rtol=0)
    painted = np.stack(list(color_film(released.propagation, frames, reference, **sizes)))
    assert (np.abs(painted.astype(int) - golden["pipeline.rgb"].numpy()) <= 1).mean() > 0.995
