"""LPIPS and FID beside torchmetrics' own calls, on 12 frames of 240 x 427, the networks filled with random
stand-in weights.

    python tests/bench/bench_metrics_networks.py

What is compared is the whole way from frames to the number; weights change no time. FVD has no library that
is kept up, so nothing stands beside it. Both sides take turns in one process; compare the ratios, not the
times.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from unittest import mock

import numpy as np
import torch
from skimage import data, transform

from colorlab import metrics
from colorlab.metrics import networks

ROUNDS, FRAMES = 3, 12


def clips() -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true frames, uint8 (T, H, W, 3): a photograph that moves, and the same with noise."""
    photo = (255 * transform.resize(data.astronaut(), (240, 427), anti_aliasing=True)).astype(np.uint8)
    truth = np.stack([np.roll(photo, 3 * t, axis=1) for t in range(FRAMES)])
    noise = np.random.default_rng(0).normal(0, 9, truth.shape)
    return np.clip(truth + noise, 0, 255).astype(np.uint8), truth


def write_stand_ins() -> None:
    """Files as the libraries publish them, with random weights, where the metrics look for them."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torchvision.models import alexnet

    networks.FILES["alex"].path.parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(alexnet(weights=None).state_dict(), networks.FILES["alex"].path)
    with torch.device("meta"), mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict"), mock.patch(
            "torch.load", return_value={}):
        empty = FeatureExtractorInceptionV3("names", ["2048"], "nowhere").state_dict()
    weights = {
        name: torch.randn(value.shape) / max(1, value[0].numel() if value.ndim else 1)**0.5
        for name, value in empty.items()
    }
    positive = {
        name: value.abs() + 0.5 if name.endswith("running_var") else value for name, value in weights.items()
    }
    torch.save(positive, networks.FILES["inception"].path)


def cases() -> dict[str, tuple[Callable[[], float], Callable[[], float]]]:
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    predicted, truth = clips()
    tools = metrics.Tools(
        networks={
            metrics.InceptionFeatures: metrics.InceptionFeatures(),
            metrics.PerceptualDistance: metrics.PerceptualDistance(),
        }
    )
    lpips = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=False)
    fid = FrechetInceptionDistance(feature=2048,
                                   feature_extractor_weights_path=str(networks.FILES["inception"].path),
                                   antialias=False)
    planes = [torch.from_numpy(clip).permute(0, 3, 1, 2) for clip in (predicted, truth)]

    def library_lpips() -> float:
        scaled = [plane / 127.5 - 1 for plane in planes]
        return float(torch.stack([lpips(a[None], b[None]) for a, b in zip(*scaled)]).mean())

    def library_fid() -> float:
        fid.reset()
        fid.update(planes[1], real=True)
        fid.update(planes[0], real=False)
        return float(fid.compute())

    return {name: (lambda name=name: metrics.evaluate(predicted, truth, (name,), tools=tools)[name], library)
            for name, library in (("lpips", library_lpips), ("fid", library_fid))}


def main() -> None:
    torch.set_num_threads(1)
    with (
        tempfile.TemporaryDirectory() as home,
        mock.patch.dict(os.environ, {"TORCH_HOME": home}),
        torch.inference_mode(),
    ):
        write_stand_ins()
        sys.stdout.write(f"{'metric':8} {'ours':>9} {'library':>9} {'ratio':>6}  values agree to\n")
        for name, calls in cases().items():
            values = [call() for call in calls]  # warm
            times: list[list[float]] = [[], []]
            for turn in range(ROUNDS):
                for side in ((0, 1), (1, 0))[turn % 2]:
                    begin = time.perf_counter()
                    calls[side]()
                    times[side].append(time.perf_counter() - begin)
            ours, theirs = map(statistics.median, times)
            agree = abs(values[0] - values[1]) / abs(values[1])
            sys.stdout.write(f"{name:8} {ours:7.2f} s {theirs:7.2f} s {ours / theirs:6.2f}  {agree:.0e}\n")


if __name__ == "__main__":
    main()
