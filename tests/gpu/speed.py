"""Part 2: milliseconds a frame and the greatest GPU memory, warm, of the papers' networks at the papers'
sizes.

The papers: ColorMNet 70 ms and 1.9 GB at 536 x 960 on an A6000; LSTVC 70.6 ms at 216 x 384 with N = 3 on a
3090. Each step is waited for. "plain" is the same network with whole attention and correlation matrices, as
the benches under tests/bench have it.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from numerics import film, mode
from report import Report
from torch import nn

import colorlab

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

SIZES = {"colormnet": (536, 960), "lstvc": (216, 384), "tcavc": (216, 384), "cavc": (256, 256)}
WARM, TIMED = 30, 15  # frames
COMPILED = ("lstvc", "cavc")  # ColorMNet's memory changes its size from frame to frame; tcavc is lstvc


def plainly(method: str) -> AbstractContextManager:
    if method == "colormnet":
        from bench_colormnet import plainly
        return plainly()
    if method == "lstvc":
        from bench_lstvc import Plain
        return Plain()
    return contextlib.nullcontext()


@torch.inference_mode()
def measured(report: Report, model: nn.Module, method: str, size: tuple[int, int], warm: int,
             timed: int) -> dict[str, float]:
    """The frames of a short film over and over, as a film's number of frames costs time to make and not to
    colour."""
    lab, device = film(12, *size).to(report.device), report.device
    n = model.frames_per_step
    state = model.start(None if method == "tcavc" else [(0, lab[:, 0])])
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    frame, times = 0, []
    while frame < warm + timed:
        block = lab[:, frame % 12:frame % 12 + n, :1]
        began = time.perf_counter()
        _, state = model.step(block, state)
        if cuda:
            torch.cuda.synchronize()
        if frame >= warm:
            times.append((time.perf_counter() - began) / block.shape[1])
        frame += n
    times.sort()
    return {"ms a frame": 1000 * times[len(times) // 2], "slowest": 1000 * times[-1],
            "GiB": torch.cuda.max_memory_allocated() / 2 ** 30 if cuda else float("nan")}


def compiled(report: Report, model: nn.Module, method: str, size: tuple[int, int]) -> None:
    """The same with `torch.compile`, and the seconds until its first block is there; what cannot be compiled
    is a finding."""
    facts = {"method": method, "size": f"{size[0]}x{size[1]}", "mode": "tf32", "variant": "torch.compile"}
    try:
        model.step = torch.compile(model.step)
        with mode("tf32", report.device):
            began = time.perf_counter()
            measured(report, model, method, size, 0, model.frames_per_step)
            seconds = time.perf_counter() - began
            report.add("compiled", **facts, compiling=seconds,
                       **measured(report, model, method, size, WARM, TIMED))
    except Exception as error:  # noqa: BLE001: whatever a compiler says
        report.add("compiled", **facts, failed=" ".join(str(error).split())[:200])
    finally:
        model.__dict__.pop("step", None)


def run(report: Report, args: argparse.Namespace) -> None:
    warm, timed = (2, 2) if args.small else (WARM, TIMED)
    for method, size in SIZES.items():
        size = (32, 48) if args.small else size
        model = colorlab.load(method, "tiny" if args.small else "paper", weights="none").to(report.device)
        for name, variant in (("tf32", "ours"), ("float32", "ours"), ("bfloat16", "ours"),
                              ("tf32", "channels_last"), ("tf32", "plain")):
            if report.left() < 20 or (
                variant == "plain" and (args.small or method not in ("colormnet", "lstvc"))
            ):
                continue
            if variant == "channels_last":
                model = model.to(memory_format=torch.channels_last)
            with mode(name,
                      report.device), plainly(method) if variant == "plain" else contextlib.nullcontext():
                facts = {"method": method, "size": f"{size[0]}x{size[1]}", "mode": name, "variant": variant}
                try:
                    report.add("speed", **facts, **measured(report, model, method, size, warm, timed))
                except torch.OutOfMemoryError:
                    report.add("speed", **facts, failed="out of memory")
        if report.device.type == "cuda" and method in COMPILED and report.left() > 120:
            compiled(report, model, method, size)
        del model
        if report.device.type == "cuda":
            torch.cuda.empty_cache()
