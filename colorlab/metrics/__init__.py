"""Metrics: one function per column of the papers' tables, and `evaluate`, which runs them over films.

    metrics.psnr(predicted, truth)                        # two frames, (H, W, 3) uint8
    metrics.cdc(frames)                                   # a clip
    metrics.evaluate(predicted, truth, ("psnr", "cdc"))  # two films, frame by frame, {"psnr": ..., "truth":
    ...}

Numbers in this field are not comparable across papers: the same name stands for different things, and some
published scripts do not compute what they claim. Every number here comes with a one-line definition
(METRICS).
"""

from colorlab.metrics.efficientnet import EfficientNetCells, EfficientNetDistance
from colorlab.metrics.colors import colorfulness, colorfulness_absolute, colorfulness_lab
from colorlab.metrics.consistency import ColorConsistency, cdc, color_histograms, jensen_shannon
from colorlab.metrics.difference import ciede2000, difference
from colorlab.metrics.frames import (
    PSNR_CEILING, mean_psnr, mean_squared_error, psnr, psnr_of_error, psnr_wrapped_uint8, ssim, ssim_gaussian,
)
from colorlab.metrics.frechet import Moments, frechet_distance, moments
from colorlab.metrics.i3d import I3D, I3DFeatures
from colorlab.metrics.meters import Tools
from colorlab.metrics.networks import (
    FILES,
    InceptionFeatures,
    NTIREInceptionFeatures,
    PerceptualDistance,
    ntire_input,
)
from colorlab.metrics.score import ClipPair, evaluate, evaluate_clips
from colorlab.metrics.table import METRICS, STANDARD, Metric, missing
from colorlab.metrics.warping import (
    PairFlow, estimated_flow, given_flow, masked_error, warp_error, warp_error_ab, warp_error_lai,
)

__all__ = [
    "FILES",
    "I3D",
    "METRICS",
    "PSNR_CEILING",
    "STANDARD",
    "ClipPair",
    "ColorConsistency",
    "EfficientNetCells",
    "EfficientNetDistance",
    "I3DFeatures",
    "InceptionFeatures",
    "Metric",
    "Moments",
    "NTIREInceptionFeatures",
    "PairFlow",
    "PerceptualDistance",
    "Tools",
    "cdc",
    "ciede2000",
    "color_histograms",
    "colorfulness",
    "colorfulness_absolute",
    "colorfulness_lab",
    "difference",
    "estimated_flow",
    "evaluate",
    "evaluate_clips",
    "frechet_distance",
    "given_flow",
    "jensen_shannon",
    "masked_error",
    "mean_psnr",
    "mean_squared_error",
    "missing",
    "moments",
    "ntire_input",
    "psnr",
    "psnr_of_error",
    "psnr_wrapped_uint8",
    "ssim",
    "ssim_gaussian",
    "warp_error",
    "warp_error_ab",
    "warp_error_lai",
]
