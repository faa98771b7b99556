"""The reference matters. Loss alone does not show it: skips alone reach "grey with average colours", and the
loss still falls."""

from dataclasses import replace

import pytest
import torch
from skimage import data
from torch.nn import functional as F

from colorlab.color import frames_to_rgb, join_lab, lab_to_rgb, rgb_to_lab, split_lab
from colorlab.methods.course.cavc import CourseCAVC, CourseCAVCConfig


@pytest.fixture(scope="module")
def clips():
    """One grey clip, a camera passing over a photograph, in four colourings: ab turned by 0, 90, 180, 270
    degrees. Lab (4, 3, 3, 32, 32)."""
    photograph = F.avg_pool2d(frames_to_rgb(data.coffee())[None], 10)  # (1, 3, 40, 60)
    # (1, 3, 3, 32, 32)
    clip = torch.stack([photograph[..., 3:35, 8 + 4 * t:40 + 4 * t] for t in range(3)], 1)
    l, ab = split_lab(rgb_to_lab(clip))
    a, b = ab.split(1, dim=2)
    turned = [join_lab(l, torch.cat(pair, 2)) for pair in ((a, b), (-b, a), (-a, -b), (b, -a))]
    return rgb_to_lab(lab_to_rgb(torch.cat(turned)))                   # what of it sRGB can show


@pytest.fixture(scope="module")
def trained(clips):
    """The course network after a short while on the clips' first two frames, each clip with its first frame
    as reference."""
    torch.manual_seed(0)
    # as the paper has it: by tokens and histogram alone
    model = CourseCAVC(replace(CourseCAVCConfig.course(), lay_channels=0)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    l = clips[:1, :2, :1].expand(4, -1, -1, -1, -1)  # the very same grey
    for _ in range(45):
        optimizer.zero_grad()
        F.l1_loss(model.paint(l, model.start(clips[:, 0])), 2 * lab_to_rgb(clips[:, :2]) - 1).backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def error(model, references, truth):
    """Mean distance in ab on the third frame, which was not trained on."""
    ab, _ = model.step(truth[:1, 2, :1].expand(4, -1, -1, -1), model.start(references[:, 0]))
    return float((ab - truth[:, 2, 1:]).abs().mean())


def test_each_reference_gives_its_own_colours_to_the_same_grey_frame(trained, clips):
    # the four turns average to grey: nothing else does better
    ignoring_the_reference = float(clips[:, 2, 1:].abs().mean())
    assert error(trained, clips, clips) < 0.5 * ignoring_the_reference


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_exchanging_references_exchanges_colours(trained, clips, turn):
    others = clips.roll(turn, 0)
    assert error(trained, others, others) < 0.5 * error(trained, others, clips)
