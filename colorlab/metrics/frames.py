"""The distance of one frame from the ground truth: PSNR and SSIM, and the variants behind published
numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from colorlab.files.errors import InputError

Frame = np.ndarray  # (H, W, 3) uint8 RGB, as films and folders give it

PSNR_CEILING = 100.0  # dB; value of equal frames in a mean, which would otherwise be infinite


def psnr(predicted: Frame, truth: Frame) -> float:
    """Peak signal-to-noise ratio of one frame, 20 log10(255 / sqrt(MSE)) in dB; infinite for equal frames.

    predicted, truth: (H, W, 3) uint8. MSE runs over all pixels and R, G, B together.
    """
    error = mean_squared_error(predicted, truth)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def mean_psnr(values: Iterable[float]) -> float:
    """The papers' number: the mean over frames of dB, each at most PSNR_CEILING."""
    return float(np.mean([min(value, PSNR_CEILING) for value in values]))


def psnr_of_error(mean_squared: float) -> float:
    """PSNR of a squared error that was averaged first, over many frames: always the lower of the two
    means."""
    return PSNR_CEILING if mean_squared == 0 else float(
        min(10 * np.log10(255**2 / mean_squared), PSNR_CEILING))


def psnr_wrapped_uint8(predicted: Frame, truth: Frame) -> float:
    """A wrong PSNR, for demonstration in notebook 08 only: what ColorMNet's published script prints as PSNR.

    It subtracts and squares arrays of uint8, so both wrap around at 256: an error of 16 levels squares to 0,
    and the mean can never exceed 249. The worse the frame, the more it overestimates: for errors like noise it
    levels off near 28 dB, and it cannot fall below 24.2 dB.
    """
    check_pair(predicted, truth)
    error = float(np.mean((predicted - truth) ** 2))
    return float("inf") if error == 0 else float(20 * np.log10(255 / np.sqrt(error)))


def mean_squared_error(predicted: Frame, truth: Frame) -> float:
    """Mean over pixels and channels of the squared difference in levels, exact where uint8 would wrap
    around."""
    check_pair(predicted, truth)
    difference = np.subtract(predicted, truth, dtype=np.float32).reshape(len(predicted), -1)
    # a row's sum is precise enough in float32, a frame's is not
    rows = np.einsum("hw,hw->h", difference, difference)
    return float(rows.sum(dtype=np.float64) / difference.size)


def ssim(predicted: Frame, truth: Frame) -> float:
    """Structural similarity as `skimage.metrics.structural_similarity` has it by default, in [-1, 1].

    7 x 7 uniform window, sample covariance, data range 255, mean over R, G and B: ColorMNet's column. It is
    not Wang et al.'s own (`ssim_gaussian`), and torchmetrics' differs from both, as it includes the padded
    border. Equal to the library's up to rounding, in two thirds of its time.
    """
    _check_window(predicted, truth, 7)
    x, y = truth.astype(np.float32), predicted.astype(np.float32)
    # Sums of 49 products of levels stay below 2^24, so float32 holds them exactly; from here on, float64.
    sums = [_window_sums(image).astype(np.float64) for image in (x, y, x * x, y * y, x * y)]
    mean_x, mean_y = sums[0] / 49, sums[1] / 49
    var_x, var_y = (sums[2] - sums[0] * mean_x) / 48, (sums[3] - sums[1] * mean_y) / 48
    covariance = (sums[4] - sums[0] * mean_y) / 48
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def _window_sums(image: np.ndarray) -> np.ndarray:
    """(H, W, C) -> (H-6, W-6, C): the sum over every 7 x 7 window that fits, 7 as 2 + 2 + 2 + 1 along each
    axis."""
    for axis in (0, 1):
        image = np.moveaxis(image, axis, 0)
        two = image[:-1] + image[1:]
        image = two[:-5] + two[2:-3] + two[4:-1] + image[6:]
        image = np.moveaxis(image, 0, axis)
    return image


def ssim_gaussian(predicted: Frame, truth: Frame) -> float:
    """Structural similarity with the settings of Wang et al. 2004: Gaussian window, sigma 1.5, 11 x 11."""
    from skimage.metrics import structural_similarity

    _check_window(predicted, truth, 11)
    return float(
        structural_similarity(truth, predicted, channel_axis=2, data_range=255, gaussian_weights=True,
                              sigma=1.5, use_sample_covariance=False))


def check_frame(frame: Frame) -> None:
    """Raise ValueError unless this is a frame: (H, W, 3) uint8."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        got = f"{frame.dtype} {tuple(frame.shape)}" if hasattr(frame, "dtype") else type(frame).__name__
        raise ValueError(f"a frame is an array of uint8 (H, W, 3), got {got}; "
                         "rgb_to_frames() makes that from RGB in [0, 1]")


def check_pair(predicted: Frame, truth: Frame) -> None:
    """Raise ValueError unless these are two frames of one size."""
    check_frame(predicted)
    check_frame(truth)
    if predicted.shape != truth.shape:
        raise ValueError(
            f"the predicted frame is {predicted.shape[:2]} and the truth {truth.shape[:2]} (H, W)")


def _check_window(predicted: Frame, truth: Frame, window: int) -> None:
    check_pair(predicted, truth)
    if min(truth.shape[:2]) < window:
        H, W = truth.shape[:2]
        raise InputError(f"SSIM needs frames of at least {window} x {window} pixels, these are {W} x {H}")
