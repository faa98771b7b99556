"""How long each metric takes beside the obvious library call, on frames of 480 x 854; ratios below 1 are
quicker than the library.

    python tests/bench/bench_metrics.py

Both are called in turn in one process on one thread, and the median of each is taken: compare the ratios, not
the times.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage import data, transform
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from colorlab import metrics
from colorlab.modules import flow

ROUNDS = 10


def frames() -> tuple[np.ndarray, np.ndarray]:
    photo = transform.resize(data.astronaut(), (480, 854), anti_aliasing=True)
    truth = (255 * photo).round().astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 9, truth.shape)
    return np.clip(truth + noise, 0, 255).astype(np.uint8), truth


def library_colorfulness(frame: np.ndarray) -> float:
    """The few lines that circulate, on floats."""
    R, G, B = frame.astype(float).transpose(2, 0, 1)
    rg, yb = R - G, (R + G) / 2 - B
    return np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())


def library_colorfulness_lab(frame: np.ndarray) -> float:
    a, b = rgb2lab(frame)[..., 1:].transpose(2, 0, 1)
    return np.hypot(a.std(), b.std()) + 0.37 * np.hypot(a.mean(), b.mean())


def library_cdc(clip: list[np.ndarray]) -> float:
    """np.histogram and SciPy's distance, squared."""
    from scipy.spatial.distance import jensenshannon

    h = [[np.histogram(frame[..., c], bins=256, range=(0, 256))[0] / frame[..., c].size
          for c in range(3)]
         for frame in clip]
    return np.mean([
        np.mean([jensenshannon(h[i][c], h[i + t][c])**2
                 for i in range(len(h) - t)
                 for c in range(3)])
        for t in (1, 2, 4)
    ])


def library_warp_error(first: np.ndarray, second: np.ndarray, pair: metrics.PairFlow) -> float:
    """kornia's remap where it is installed, with the same mask."""
    from kornia.geometry.transform import remap

    first, second = (torch.from_numpy(frame).permute(2, 0, 1)[None] / 255 for frame in (first, second))
    y, x = torch.meshgrid(torch.arange(480.0), torch.arange(854.0), indexing="ij")
    warped = remap(second, x[None] + pair.forward[:, 0], y[None] + pair.forward[:, 1], align_corners=True)
    usable = flow.reliable_ruder(pair.forward, pair.backward).reliable
    return float(((warped - first).square() * usable).sum() / (3 * usable.sum()))


def cases() -> dict[str, tuple[Callable, Callable, str]]:
    predicted, truth = frames()
    clip = [np.roll(truth, shift, axis=1) // np.uint8(1 + shift % 2) for shift in range(6)]
    forward = torch.zeros(1, 2, 480, 854)
    forward[:, 0] = 1.5
    pair = metrics.PairFlow(forward, -forward, "exact")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 512)), rng.normal(0.1, 1.1, (600, 512))
    found = {
        "psnr": (lambda: metrics.psnr(predicted, truth), lambda: peak_signal_noise_ratio(truth, predicted),
                 "scikit-image"),
        "ssim": (lambda: metrics.ssim(predicted, truth),
                 lambda: structural_similarity(truth, predicted, channel_axis=2, data_range=255),
                 "scikit-image"),
        "colorfulness": (lambda: metrics.colorfulness(truth), lambda: library_colorfulness(truth), "numpy"),
        "colorfulness_lab": (lambda: metrics.colorfulness_lab(truth), lambda: library_colorfulness_lab(truth),
                             "scikit-image rgb2lab"),
        "cdc, 6 frames": (lambda: metrics.cdc(clip), lambda: library_cdc(clip), "np.histogram, scipy"),
        "frechet, 512-d": (lambda: metrics.frechet_distance(metrics.moments(x), metrics.moments(y)),
                           lambda: library_frechet(x, y), "torchmetrics, float64"),
    }
    try:
        import kornia.geometry  # noqa: F401

        found["warp_error"] = (lambda: metrics.warp_error(clip[0], clip[1], pair),
                               lambda: library_warp_error(clip[0], clip[1], pair), "kornia remap")
    except ImportError:
        sys.stdout.write("warp_error: kornia is not installed, nothing to compare with\n")
    return found


def library_frechet(x: np.ndarray, y: np.ndarray) -> float:
    from torchmetrics.image.fid import _compute_fid

    sides = [torch.from_numpy(side) for side in (x, y)]
    means, covariances = [side.mean(0) for side in sides], [torch.cov(side.T) for side in sides]
    return float(_compute_fid(means[0], covariances[0], means[1], covariances[1]))


def main() -> None:
    torch.set_num_threads(1)
    sys.stdout.write(f"{'metric':18} {'ours':>9} {'library':>9} {'ratio':>6}  values agree to  library\n")
    for name, (ours, library, what) in cases().items():
        times: tuple[list[float], list[float]] = ([], [])
        a, b = ours(), library()  # warm
        for turn in range(ROUNDS):
            pair = [(times[0], ours), (times[1], library)]
            for record, call in pair if turn % 2 else reversed(pair):  # neither always follows the other
                start = time.perf_counter()
                call()
                record.append(time.perf_counter() - start)
        mine, theirs = map(statistics.median, times)
        sys.stdout.write(f"{name:18} {1e3 * mine:6.1f} ms {1e3 * theirs:6.1f} ms {mine / theirs:6.2f}  "
                         f"{abs(a - b) / abs(b):15.1e}  {what}\n")


if __name__ == "__main__":
    main()
