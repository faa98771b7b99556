"""What the course adds to TCAVC: a first stage that stands on frozen features, and vividness."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close

import colorlab
from colorlab.color import join_lab
from colorlab.methods.course.lstvc import CourseLSTVCConfig
from colorlab.methods.course.tcavc import CourseTCAVC, CourseTCAVCConfig


def tiny(**changes):
    torch.manual_seed(0)
    stage2 = dataclasses.replace(CourseLSTVCConfig.tiny(), backbone="resnet")
    model = CourseTCAVC(CourseTCAVCConfig(colorizer="random", stage2=stage2, **changes)).eval()
    torch.nn.init.normal_(model.reference.to_ab.weight, std=0.05)  # zero at the start: it paints grey
    return model


def film(frames=4, height=32, width=40):
    return 100 * torch.rand(1, frames, 1, height, width, generator=torch.Generator().manual_seed(3))


def color(model, l, references=None):
    with torch.no_grad():
        return model(l, references)


@pytest.mark.parametrize("correspondence", [True, False])
def test_vividness_multiplies_what_stage_1_paints_and_nothing_else(correspondence):
    plain, vivid = (tiny(vividness=v, semantic_correspondence=correspondence, eight_bit_reference=False)
                    for v in (1.0, 2.0))
    l = film()
    if correspondence:
        assert_close(vivid.paint(l[:, 0])[:, 1:], 2 * plain.paint(l[:, 0])[:, 1:])
        given = join_lab(l[:, 0], 30 * torch.ones(1, 2, 32, 40))
        assert_close(color(vivid, l, given), color(plain, l, given), atol=0, rtol=0)
    else:
        assert_close(color(vivid, l), 2 * color(plain, l))


def test_the_course_networks_are_small():
    model = colorlab.load("tcavc", preset="course")
    assert sum(parameter.numel() for parameter in model.parameters()) < 5_000_000
