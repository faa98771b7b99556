"""What reading colour at exact places is worth, and what it costs: course networks with `register` and
without it, in one run.

    python tests/bench/bench_registration.py --data FOLDER [--method lstvc colormnet] [--clips validation]
    [--frames 24]

The same weights, trained with it: a network trained without it might do better without it than shown here.
PSNR as `colorlab.train.measure` has it; seconds are medians over the steps of the first clip, the two
networks taking turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.methods import load
from colorlab.train.measure import read_clip, score
from colorlab.train.validate import chosen_clips


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--method", nargs="+", default=["lstvc", "colormnet"])
    parser.add_argument("--clips", default="validation")
    parser.add_argument("--frames", type=int, default=24)
    arguments = parser.parse_args()
    clips = [
        read_clip(path, frames=arguments.frames) for path in chosen_clips(arguments.data, arguments.clips)
    ]
    flow = statistics.mean(score("", clip, load("flow", "course"), "cpu")[0].psnr for clip in clips)
    print(f"{len(clips)} clips, the first {arguments.frames} frames; flow {flow:.2f} "
          f"dB\n{'':24} {'dB':>7} {'ms a frame':>11}")
    for method in arguments.method:
        networks = {
            "register=None": load(method, "course", "course", register=None).eval(),
            "as it is": load(method, "course", "course").eval()
        }
        seconds = step_seconds(networks, clips[0])
        for name, network in networks.items():
            psnr = statistics.mean(score("", clip, network, "cpu")[0].psnr for clip in clips)
            print(f"{method + ', ' + name:24} {psnr:7.2f} {1000 * seconds[name]:11.0f}", flush=True)


@torch.inference_mode()
def step_seconds(networks: dict[str, torch.nn.Module], clip: list[np.ndarray]) -> dict[str, float]:
    """Median seconds a frame of one clip, the networks taking turns step by step."""
    lab = rgb_to_lab(frames_to_rgb(np.stack(clip)))[None]
    states = {name: network.start([(0, lab[:, 0])]) for name, network in networks.items()}
    taken: dict[str, list[float]] = {name: [] for name in networks}
    T = next(iter(networks.values())).frames_per_step
    for first in range(0, lab.shape[1] - T + 1, T):
        for name, network in networks.items():
            begun = time.perf_counter()
            _, states[name] = network.step(lab[:, first:first + T, :1], states[name])
            taken[name].append((time.perf_counter() - begun) / T)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


if __name__ == "__main__":
    main()
