"""Both released stages against the authors' own numbers: stage 1 by itself, then the whole pipeline through its 8-bit reference."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from golden.bupt import released_shapes, released_tcavc
from safetensors.torch import load_file
from torch.testing import assert_close

from colorlab.color import frames_to_rgb, join_lab, lab_to_rgb, rgb_to_lab
from colorlab.papers.tcavc.reference import paint_at, through_8_bits
from colorlab.papers.tcavc.released import STAGE1
from colorlab.weights import rename

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


def test_both_stages_through_8_bits(released, golden, monkeypatch):
    """80 x 128 pictures, both networks at 40 x 64, as the script's 480 x 848 and 216 x 384."""
    monkeypatch.setattr(released.propagation.heads, "temperature", 1e-10)
    small = {"size": (40, 64), "mode": "bilinear", "align_corners": False}
    lab = rgb_to_lab(frames_to_rgb(golden["pipeline.gray"]).double()).float()                   # (5, 3, 80, 128)
    reference = through_8_bits(paint_at(released.reference, lab[:1, :1], small["size"]))
    assert_close(levels(reference)[0], golden["pipeline.reference"].int(), atol=1, rtol=0)

    state, painted = released.start(F.interpolate(reference, **small)), []
    for l in F.interpolate(lab, **small)[None, :, :1].split(2, dim=1):
        ab, state = released.step(l, state)
        painted.append(ab[0])
    ab = F.interpolate(torch.cat(painted), size=(80, 128), mode="bilinear", align_corners=False)
    rgb = (lab_to_rgb(join_lab(lab[:, :1], ab).double()) * 255).int().movedim(1, -1)            # cut off, as the script does
    close = (rgb - golden["pipeline.rgb"].int()).abs() <= 1
    assert close.double().mean() > 0.995


def levels(lab):
    return (lab_to_rgb(lab.double()) * 255).round().int().movedim(1, -1)
