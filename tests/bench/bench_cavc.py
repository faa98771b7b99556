"""How fast CAVC is beside the same network written plainly: `python tests/bench/bench_cavc.py`.

"plain" is window attention as one writes it first: softmax(q k + bias + mask) v with the weights held in
memory, a mask for every window made anew, and features in the order (B, C, H, W). Same parameters, same
numbers. One thread; processor time (not the clock's) of the best of several runs, both in turn, so that other
work on the machine counts as little as can be.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import replace

import torch
from torch import Tensor

from colorlab.papers.cavc import CAVC, CAVCConfig, channel_attention
from colorlab.papers.cavc.window_attention import WindowBlock

RUNS = 5


def plain_forward(self: WindowBlock, x: Tensor) -> Tensor:
    """(B, H, W, C) -> the same, the first way that comes to mind."""
    B, H, W, C = x.shape
    query, key, value = self.qkv(self._to_windows(self.norm1(x))).unflatten(-1, (3, self.heads, -1)).permute(
        3, 0, 1, 4, 2, 5)
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5                  # (n, B, heads, N, N)
    N = self.window ** 2
    scores = scores + self.bias[self.offsets].view(N, N, -1).permute(2, 0, 1)
    if any(self._shifts(H, W)) or H % self.window or W % self.window:
        region = torch.zeros(1, H, W, 1)
        down, right = self._shifts(H, W)
        region[:, :down] += 1
        region[:, :, :right] += 2
        region = self._to_windows(region + 1)[:, 0, :, 0]                             # (n, N), padding 0
        scores = scores + torch.where(region[:, None] == region[:, :, None], 0.0, -torch.inf)[:, None, None]
    mixed = (scores.softmax(-1) @ value).transpose(2, 3).flatten(3)                   # (n, B, N, C)
    x = x + self._from_windows(self.proj(mixed), H, W)
    return x + self.mlp(self.norm2(x))


def best_of(run: dict[str, object], runs: int = RUNS) -> dict[str, float]:
    """Seconds of processor time, the least of several, of each in turn."""
    seconds = {name: float("inf") for name in run}
    for _ in range(runs + 1):
        for name, call in run.items():
            start = time.thread_time()
            call()
            seconds[name] = min(seconds[name], time.thread_time() - start)
    return seconds


def compare(config: CAVCConfig, size: tuple[int, int]) -> tuple[dict[str, float], float]:
    """Times of one grey frame, and the largest difference in ab."""
    torch.manual_seed(0)
    model = CAVC(config).eval()
    state, l = model.start(60 * torch.rand(1, 3, 96, 96)), 100 * torch.rand(1, 1, *size)
    ours, order = WindowBlock.forward, channel_attention.channels_last

    def fused() -> Tensor:
        return model.step(l, state)[0]

    def plain() -> Tensor:
        WindowBlock.forward, channel_attention.channels_last = plain_forward, lambda features: features
        try:
            return model.step(l, state)[0]
        finally:
            WindowBlock.forward, channel_attention.channels_last = ours, order

    difference = float((fused() - plain()).abs().max())
    return best_of({"plain": plain, "fused": fused}), difference


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # random extractors are fast enough to time
    rows = (
        ("paper, 256 x 256", CAVCConfig.paper(), (256, 256)),
        ("course, 128 x 224", CAVCConfig.course(), (128, 224)),
        ("course, 100 x 178", CAVCConfig.course(), (100, 178)),
    )
    print(f"torch {torch.__version__}, 1 thread, float32, one grey channel, best of {RUNS} "
          "in processor time\n")
    print(f"{'':20}{'plain':>10}{'fused':>10}{'plain / fused':>16}{'largest |Δab|':>16}")
    with torch.inference_mode():
        for name, config, size in rows:
            seconds, difference = compare(replace(config, extractor="patches"), size)
            ratio = seconds["plain"] / seconds["fused"]
            print(f"{name:20}{seconds['plain']:9.3f}s{seconds['fused']:9.3f}s{ratio:16.2f}{difference:16.1e}")


if __name__ == "__main__":
    main()
