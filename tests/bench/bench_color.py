"""Lab conversion at 1080p beside scikit-image and kornia, interleaved in one process.

    python tests/bench/bench_color.py          # kornia is compared where it is installed
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from skimage.color import lab2rgb, rgb2lab

from colorlab.color import lab_to_rgb, rgb_to_lab

ROUNDS = 7


def median_seconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median wall time of each call, the calls taking turns so that a drifting machine treats them alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    return {name: sorted(values)[ROUNDS // 2] for name, values in times.items()}


def main() -> None:
    rgb = torch.rand(3, 1080, 1920, generator=torch.Generator().manual_seed(0))
    lab = rgb_to_lab(rgb)
    rgb_array, lab_array = (image.movedim(0, -1).contiguous().numpy() for image in (rgb, lab))
    forward = {"colorlab": lambda: rgb_to_lab(rgb), "scikit-image": lambda: rgb2lab(rgb_array)}
    backward = {"colorlab": lambda: lab_to_rgb(lab), "scikit-image": lambda: lab2rgb(lab_array)}
    try:
        import kornia.color
        forward["kornia"] = lambda: kornia.color.rgb_to_lab(rgb[None])
        backward["kornia"] = lambda: kornia.color.lab_to_rgb(lab[None])
    except ImportError:
        print("kornia is not installed; left out")
    print(f"1920x1080 float32, {torch.get_num_threads()} threads, median of {ROUNDS}, torch "
          f"{torch.__version__}")
    with torch.inference_mode():
        for title, calls in (("RGB to Lab", forward), ("Lab to RGB", backward)):
            seconds = median_seconds(calls)
            for name, value in seconds.items():
                print(f"{title}  {name:13} {1000 * value:7.1f} ms   {value / seconds['colorlab']:5.2f} x")


if __name__ == "__main__":
    main()
