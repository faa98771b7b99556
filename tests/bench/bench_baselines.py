"""What the baselines cost and reach: python tests/bench/bench_baselines.py [FOLDER] [--frames N] [--clips N]
[--side N]

FOLDER: colour clips, one folder of frames each; without one, the embedded clips. The first frame is the
reference. PSNR is RGB's, averaged over the frames after the first, then over clips; times are processor time
per frame, one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.clips import CLIPS, embedded_clip, survey
from colorlab.clips.windows import frame_files
from colorlab.color import fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_lab
from colorlab.files.video import read_image
from colorlab.methods.baselines import Copy, Flow, FlowConfig
from colorlab.modules.flow import warp
from colorlab.modules.flow.warping import pixel_grid

METHODS = {
    "copy": Copy(),
    "frame to frame": Flow(FlowConfig(estimator="classical", repair=False)),
    "flow": Flow(FlowConfig.course()),
}


def clips(folder: Path | None, frames: int, count: int, side: int) -> Iterator[tuple[str, Tensor]]:
    """(name, RGB (T, 3, H, W) in [0, 1]) with the given short side."""
    if folder is None:
        for name in CLIPS:
            yield name, frames_to_rgb(embedded_clip(name, frames, side, side * 7 // 4).frames)
        return
    for path in survey(folder).clips[:count]:
        rgb = frames_to_rgb(np.stack([read_image(file) for file in frame_files(path)[:frames]]))
        H, W = rgb.shape[-2:]
        size = round(H * side / min(H, W)), round(W * side / min(H, W))
        yield path.name, F.interpolate(rgb, size, mode="bilinear", antialias=True).clamp(0, 1)


def psnr(l: Tensor, ab: Tensor, rgb: Tensor) -> float:
    error = (lab_to_rgb(fit_gamut(join_lab(l, ab))) - rgb).square().mean((1, 2, 3))
    return float((-10 * error[1:].log10()).mean())


def colored(model: torch.nn.Module, lab: Tensor) -> dict[str, Tensor]:
    """ab (T, 2, H, W) by a method; of plain flow also what the composed flows bring straight from the
    reference."""
    state, ab, composed = model.start([(0, lab[:1])]), [], []
    for l in lab[:, :1].split(1):
        color, state = model.step(l, state)
        ab.append(color)
        if isinstance(model, Flow) and not model.config.repair:
            composed.append(warp(lab[:1, 1:], state.trace - pixel_grid(state.trace), "border"))
    return {"": torch.cat(ab)} | ({" composed": torch.cat(composed)} if composed else {})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path)
    for option, default in (("frames", 12), ("clips", 8), ("side", 128)):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    reached, spent = {}, {}
    for name, rgb in clips(options.folder, options.frames, options.clips, options.side):
        lab = rgb_to_lab(rgb)
        for title, model in METHODS.items():
            begun = time.process_time()
            results = colored(model, lab)
            spent.setdefault(title, []).append((time.process_time() - begun) / len(lab))
            for suffix, ab in results.items():
                reached.setdefault(title + suffix, []).append(psnr(lab[:, :1], ab, rgb))
        print(f"  {name:28s}" + "  ".join(f"{title} {values[-1]:5.2f}" for title, values in reached.items()))
    for title, values in reached.items():
        cost = f"{1000 * np.median(spent[title]):8.0f} ms a frame" if title in spent else ""
        print(f"{title:28s} {np.mean(values):6.2f} dB {cost}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
