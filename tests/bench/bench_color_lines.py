"""What is lost where colour is carried in few cells: as means, as one line in lightness for a cell, as
colorlab does it.

    python tests/bench/bench_color_lines.py --data FOLDER [--clips validation] [--frames 16]

The true colours of real clips (short side 128) are put into cells of stride 4 and drawn again with the true
lightness: PSNR of RGB, mean over frames, then over clips. "five times" fits anew to what was drawn, as a
network would that carried colour from frame to frame so. No network
is at work here: what is lost in matching comes on top.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.color import frames_to_rgb, join_lab, lab_to_rgb, rgb_to_lab, split_lab
from colorlab.methods.course.color_lines import FLAT, draw_lines, fit_lines
from colorlab.train.measure import read_clip
from colorlab.train.validate import chosen_clips

CELL = 4


def means(l: Tensor, chroma: Tensor) -> Tensor:
    return F.interpolate(F.avg_pool2d(chroma, CELL), scale_factor=CELL, mode="bilinear")


def one_line(l: Tensor, chroma: Tensor) -> Tensor:
    """Least squares over each cell by itself."""
    mean_l, mean = F.avg_pool2d(l, CELL), F.avg_pool2d(chroma, CELL)
    slope = (F.avg_pool2d(l * chroma, CELL) - mean_l * mean) / (
        (F.avg_pool2d(l.square(), CELL) - mean_l.square()).clamp(min=0) + FLAT)
    slope, offset = F.interpolate(torch.cat((slope, mean - slope * mean_l), 1), scale_factor=CELL,
                                  mode="bilinear").chunk(2, 1)
    return slope * l + offset


def four_lines(l: Tensor, chroma: Tensor) -> Tensor:
    return draw_lines(fit_lines(l, chroma, CELL), l, CELL)


def psnr(carry: Callable, frames: list[np.ndarray], times: int) -> float:
    rgb = frames_to_rgb(np.stack(frames))
    rgb = rgb[..., :rgb.shape[-2] // CELL * CELL, :rgb.shape[-1] // CELL * CELL]
    light, ab = split_lab(rgb_to_lab(rgb))
    l, chroma = light / 50 - 1, ab / 110
    for _ in range(times):
        chroma = carry(l, chroma)
    drawn = lab_to_rgb(join_lab(light, 110 * chroma)).clamp(0, 1)
    return float((-10 * (drawn - rgb).square().mean((1, 2, 3)).log10()).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--clips", default="validation")
    parser.add_argument("--frames", type=int, default=16)
    arguments = parser.parse_args()
    clips = [
        read_clip(path, frames=arguments.frames) for path in chosen_clips(arguments.data, arguments.clips)
    ]
    print(f"{len(clips)} clips, the first {arguments.frames} frames\n{'':12} "
          f"{'once, dB':>9} {'five times':>11}")
    for carry in (means, one_line, four_lines):
        once, often = (np.mean([psnr(carry, clip, times) for clip in clips]) for times in (1, 5))
        print(f"{carry.__name__:12} {once:9.2f} {often:11.2f}", flush=True)


if __name__ == "__main__":
    main()
