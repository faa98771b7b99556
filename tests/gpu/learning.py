"""Part 3: gradients against the CPU, the judges' turn and the temporal loss among them; a training step's
time by each recipe; then, with --data, the course networks are trained one after another in the time that is
left, and their weights are among the results.

Paper recipes run without the perceptual loss (VGG-19's weights are not to be had offline) and with given
motion (nor are RAFT's).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from numerics import mode
from report import Report

import colorlab
from colorlab.clips import survey
from colorlab.modules.discriminator import PatchDiscriminator
from colorlab.train import ClipWindows, EmbeddedWindows, Recipe, Settings, recipe_for, split, train
from colorlab.train.batches import Batch, Motion, collate
from colorlab.train.forward import TrainingPass
from colorlab.train.objective import Objective, DiscriminatorPass
from colorlab.train.recipes import LossWeights

METHODS = ("lstvc", "colormnet", "cavc", "tcavc")


def run(report: Report, args: argparse.Namespace) -> None:
    for method in METHODS:
        report.add("gradients", method=method, **gradients(method, report.device))
    for method in METHODS:
        if report.left() > 25:
            report.add("a step", **step_time(method, report, args.small))
    for left, method in zip((4, 3, 2, 1), METHODS):
        if args.data and report.left() > 30 * left:
            report.add(
                "training", **course(report, method, args.data, (report.left() - 15) / left, args.small)
            )


def course(report: Report, method: str, folders: list[Path], seconds: float,
           small: bool) -> dict[str, object]:
    """Train one course network for so long, on a schedule that ends then: its steps are counted from the time
    of the first ones."""
    found = survey(*folders)
    clips, validation = split(found.clips)
    changes = {"semantic_correspondence": False
               } if method == "tcavc" else {"register": None} if method in ("lstvc", "colormnet") else {}
    recipe = recipe_for(method, "tiny" if small else "course")
    settings = Settings(progress=False, log_every=1, cpu=report.device.type == "cpu",
                        workers=0 if small else 12)
    began = time.monotonic()
    trial = replace(recipe, steps=4 if small else 20)
    record = train(_network(method, small, changes), method, trial,
                   ClipWindows(trial, clips, found.photographs), None, settings)
    each = sorted(record.column("seconds")[1])[trial.steps // 2]
    recipe = replace(recipe, steps=max(1, int(0.9 * (seconds - (time.monotonic() - began)) / each)))
    settings = replace(settings, log_every=10, validation=validation, validate_every=recipe.steps,
                       save_every=recipe.steps)
    record = train(_network(method, small, changes), method, recipe,
                   ClipWindows(recipe, clips, found.photographs), report.folder / method, settings)
    _, scores = record.column("psnr")
    return {
        "method": method, "steps": recipe.steps, "seconds a step": each,
        "PSNR on validation clips": scores[-1] if scores else float("nan")
    }


def _network(method: str, small: bool, changes: dict[str, object]) -> torch.nn.Module:
    return colorlab.load(method, "tiny" if small else "course", **changes)


def gradients(method: str, device: torch.device) -> dict[str, float]:
    """Relative distance of all gradients together, ours and the judges', from the CPU's.

    In float64 but for ColorMNet, which searches its memory in float32: an untrained match at temperature 0.01
    makes so much of a rounding that LSTVC's gradients in float32 are 27 % from those in float64 on one and
    the same processor.
    """
    recipe = recipe_for(
        method,
        "tiny",
        weights=LossWeights(l1=0.1, temporal=0.5, smoothness=0.1, adversarial=0.2),
        batch=2,
        frames=4,
    )
    batch = collate([EmbeddedWindows(recipe, scenes=("parallax",))[k] for k in range(recipe.batch)])
    dtype = torch.float32 if method == "colormnet" else torch.float64
    batch = batch._replace(lab=batch.lab.to(dtype), motion=Motion(*(part.to(dtype) for part in batch.motion)))
    with mode("float32", device):
        here, there = (_gradients(method, recipe, batch, place, dtype)
                       for place in (torch.device("cpu"), device))
    return {name: float((there[name] - here[name]).norm() / here[name].norm()) for name in here}


def _gradients(method: str, recipe: Recipe, batch: Batch, device: torch.device,
               dtype: torch.dtype) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    objective, network = Objective(recipe), colorlab.load(method, "tiny").train().to(dtype)
    judges = torch.nn.ModuleDict({"colors": PatchDiscriminator(width=8)}).to(device, dtype)
    wrapped, batch = TrainingPass(network, method).to(device), batch.to(device)
    predictions = wrapped(batch.lab, None, 0)
    terms = objective.terms({"colors": predictions["colors"]}, batch.motion, judges)
    sum(weight * loss for weight, loss in terms.values()).backward()
    DiscriminatorPass(judges)({"colors": predictions["colors"]}).backward()
    flat = {"network": network, "judges": judges}
    return {
        name: torch.cat([p.grad.flatten().cpu()
                         for p in module.parameters()
                         if p.grad is not None])
        for name, module in flat.items()
    }


def step_time(method: str, report: Report, small: bool) -> dict[str, object]:
    """Five steps of the paper's recipe on embedded films, the fastest; and how many windows a second one
    reader makes."""
    recipe = recipe_for(method, "tiny" if small else "paper", motion="given", steps=5, precision="no")
    recipe = replace(recipe, weights=replace(recipe.weights, perceptual=0.0),
                     reference=replace(recipe.reference, perceptual=0.0))
    windows = EmbeddedWindows(recipe, films=1)
    began = time.perf_counter()
    windows[0], windows[1]
    read = (time.perf_counter() - began) / 2
    network = colorlab.load(method, "tiny" if small else "paper")
    if report.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    record = train(network, method, recipe, windows, None,
                   Settings(progress=False, log_every=1, cpu=report.device.type == "cpu"))
    _, seconds = record.column("seconds")
    _, waited = record.column("waited")
    return {
        "method": method, "size": f"{recipe.size[0]}x{recipe.size[1]}", "batch": recipe.batch,
        "frames": recipe.frames, "seconds": min(s - w for s, w in zip(seconds, waited)),
        "windows a second and reader": 1 / read,
        "GiB": torch.cuda.max_memory_allocated() / 2**30 if report.device.type == "cuda" else float("nan")
    }
