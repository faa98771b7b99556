"""The streamed correlation beside the plain formula: time and peak memory of one frame's warp, two heads.

    python tests/bench/bench_correlation.py  # 216 x 384, 480 x 848 and, streamed only, 1080 x 1920
    python tests/bench/bench_correlation.py --sizes 216x384      # some of them

A frame of H x W is matched on H/4 x W/4 positions of 256 channels. Plain needs the matrix and its softmax in
memory at once: 67 GB each for 1080p, so there it is not run. Times are the best of some, streamed and plain
in turn in one process; memory is the growth of a fresh process's peak, the inputs not counted. Gradients are
timed at the size that LSTVC is trained at, 216 x 384, and not above. Half an hour on two cores, most of it
1080p.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from peak_memory import peak_growth
from torch import Tensor

from colorlab.modules.fast.streamed_correlation import match

CHANNELS, HEADS = 256, 2
PLAIN_FITS = 30_000  # positions: beyond, the plain matrices would take over 10 GB
TRAINED = 54 * 96  # positions of a training frame


def plain(query: Tensor, key: Tensor, value: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    correlation = query @ key.mT
    if temperature < 1e-6:
        best = correlation.argmax(-1, keepdim=True)
        return value.gather(1, best.expand(-1, -1, value.shape[-1])), correlation.amax(-1)
    return (correlation / temperature).softmax(-1) @ value, correlation.amax(-1)


def inputs(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features as a trained network has them: each query has one good match and is unlike the rest."""
    generator = torch.Generator().manual_seed(0)
    N = (height // 4) * (width // 4)
    key = F.normalize(torch.randn(HEADS, N, CHANNELS, generator=generator), dim=-1)
    query = F.normalize(key.roll(7, 1) + 0.02 * torch.randn(HEADS, N, CHANNELS, generator=generator), dim=-1)
    return query, key, torch.randn(HEADS, N, 2, generator=generator)


def run(function, tensors: tuple[Tensor, Tensor, Tensor], temperature: float, gradients: bool):
    if not gradients:
        with torch.inference_mode():
            return function(*tensors, temperature)
    tensors = [x.detach().requires_grad_() for x in tensors]
    mixed, similarity = function(*tensors, temperature)
    (mixed.square().sum() + similarity.sum()).backward()
    return mixed.detach(), tensors[0].grad


def peak(name: str, height: int, width: int, temperature: float, gradients: bool) -> None:
    tensors = inputs(height, width)
    # libraries are loaded before the count starts
    run(match, tuple(x[:, :64] for x in tensors), temperature, gradients)
    print(
        peak_growth(lambda: run({"streamed": match, "plain": plain}[name], tensors, temperature, gradients)))


def peak_apart(*arguments: object) -> float:
    command = [sys.executable, __file__, "--peak", *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="*", default=["216x384", "480x848", "1080x1920"])
    parser.add_argument("--peak", nargs=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        name, height, width, temperature, gradients = arguments.peak
        return peak(name, int(height), int(width), float(temperature), gradients == "True")
    print(f"one frame, {HEADS} heads, {CHANNELS} channels, {arguments.threads} threads, "
          f"float32, torch {torch.__version__}, best of {arguments.repeats}")
    print(f"{'size':>10} {'':14} {'streamed s':>11} {'plain s':>9} {'ratio':>6} "
          f"{'streamed GiB':>13} {'plain GiB':>10} {'apart':>8}")
    for size in arguments.sizes:
        height, width = map(int, size.split("x"))
        for label, temperature, gradients in (
            ("soft", 0.01, False),
            ("nearest", 1e-10, False),
            ("soft, trained", 0.01, True),
        ):
            positions = (height // 4) * (width // 4)
            fits = positions < PLAIN_FITS
            if gradients and positions > TRAINED:
                continue
            row(size, label, inputs(height, width), temperature, gradients, fits,
                arguments.repeats if fits else 1)


def row(size: str, label: str, tensors, temperature: float, gradients: bool, fits: bool,
        repeats: int) -> None:
    times, results = {match: [], plain: []}, {}
    for _ in range(repeats):
        for function in (match, plain) if fits else (match,):
            began = time.perf_counter()
            results[function] = run(function, tensors, temperature, gradients)
            times[function].append(time.perf_counter() - began)
    height, width = size.split("x")
    memory = [
        peak_apart(name, height, width, temperature, gradients)
        for name in (("streamed", "plain") if fits else ("streamed",))
    ]
    line = f"{size:>10} {label:14} {min(times[match]):11.3f}"
    if fits:
        apart = max(float((a - b).abs().max()) for a, b in zip(results[match], results[plain]))
        line += (f" {min(times[plain]):9.3f} {min(times[match]) / min(times[plain]):6.2f} "
                 f"{memory[0]:13.2f} {memory[1]:10.2f} {apart:8.1e}")
    else:
        line += f" {'-':>9} {'-':>6} {memory[0]:13.2f} {'-':>10} {'-':>8}"
    print(line, flush=True)


if __name__ == "__main__":
    main()
