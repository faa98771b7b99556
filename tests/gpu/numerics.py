"""Part 1: every method on the device against the same on the CPU.

ab of some frames after two blocks: the greatest and the mean difference, in units of ab. "float32" is without
TF32, "tf32" with it, "bfloat16" under autocast. A hard choice (the best entries, the best guess) may turn a
rounding into another answer in a few pixels: beside the greatest difference stands the share of values that
are apart by more than 1.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

import torch
from report import Report
from torch import Tensor, nn

import colorlab
from colorlab.clips import embedded_clip
from colorlab.color import frames_to_rgb, rgb_to_lab

MODES = ("float32", "tf32", "bfloat16")


@contextlib.contextmanager
def mode(name: str, device: torch.device) -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def film(frames: int, height: int, width: int) -> Tensor:
    """Lab (1, T, 3, H, W) of an embedded film."""
    return rgb_to_lab(frames_to_rgb(embedded_clip("parallax", frames, height, width).frames))[None]


@torch.inference_mode()
def colored(model: nn.Module, lab: Tensor) -> Tensor:
    """ab of all frames but the first, whose colours are given (tcavc: nothing is)."""
    own = type(model).__name__ == "TCAVC"
    state, found = model.start(None if own else [(0, lab[:, 0])]), []
    for block in lab[:, :, :1].split(model.frames_per_step, dim=1):
        ab, state = model.step(block, state)
        found.append(ab.float())
    return torch.cat(found, dim=1)[:, 1:]


def apart(found: Tensor, expected: Tensor) -> dict[str, float]:
    difference = (found.cpu() - expected).abs()
    return {
        "greatest": float(difference.max()), "mean": float(difference.mean()), "share above 1": float(
            (difference > 1).float().mean())
    }


def run(report: Report, args: argparse.Namespace) -> None:
    presets = {"tiny": (32, 48)} if args.small else {"course": (96, 160), "paper": (112, 144)}
    for preset, size in presets.items():
        for method in ("cavc", "lstvc", "colormnet", "tcavc"):
            if report.left() > 15:
                compare(report, method, preset, size)


def compare(report: Report, method: str, preset: str, size: tuple[int, int]) -> None:
    """One line for each mode; what fails in one is a finding and does not keep the others from being looked
    at."""
    lab = film(7, *size)
    model = colorlab.load(method, preset, weights="course" if preset == "course" else "none")
    expected = colored(model, lab)
    model = model.to(report.device)
    for name in MODES if report.device.type == "cuda" else MODES[::2]:
        facts = {"method": method, "preset": preset, "mode": name}
        try:
            with mode(name, report.device):
                report.add("numerics", **facts, **apart(colored(model, lab.to(report.device)), expected))
        except RuntimeError as error:
            report.add("numerics", **facts, failed=" ".join(str(error).split())[:200])
