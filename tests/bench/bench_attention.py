"""Fused attention with the two extra keys beside torch.nn.MultiheadAttention, whose parameters it shares.

    python tests/bench/bench_attention.py

At the paper's size, 216 x 384, a block of N frames and the reference has (N + 1) * 1296 tokens of width 384.
"as the authors call it" is MultiheadAttention with its default need_weights=True, which keeps the weights of
every head in memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import torch
from peak_memory import peak_growth

from colorlab.papers.lstvc.attention import Attention

WIDTH, HEADS, CELLS = 384, 8, 27 * 48


def build() -> tuple[Attention, torch.nn.MultiheadAttention]:
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(
        WIDTH, HEADS, add_bias_kv=True, add_zero_attn=True, batch_first=True
    ).eval()
    ours = Attention(WIDTH, HEADS).eval()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def variants():
    ours, theirs = build()
    return {"ours": lambda x: ours(x, x, x),
            "MultiheadAttention, need_weights=False": lambda x: theirs(x, x, x, need_weights=False)[0],
            "MultiheadAttention, as the authors call it": lambda x: theirs(x, x, x)[0]}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="*", default=[2, 3, 5])
    parser.add_argument("--peak", nargs=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        x = torch.randn(1, (int(arguments.peak[1]) + 1) * CELLS, WIDTH)
        run = list(variants().values())[int(arguments.peak[0])]
        run(x[:, :64])
        return print(1024 * peak_growth(lambda: run(x)))
    print(f"width {WIDTH}, {HEADS} heads, {arguments.threads} threads, float32, torch "
          f"{torch.__version__}, best of {arguments.repeats}")
    print(f"{'N':>2} {'tokens':>6} {'':44} {'s':>7} {'to ours':>8} {'MiB':>7} {'apart':>8}")
    for N in arguments.frames:
        x = torch.randn(1, (N + 1) * CELLS, WIDTH, generator=torch.Generator().manual_seed(1))
        times: dict[str, list[float]] = {}
        for _ in range(arguments.repeats):
            for name, run in (runs := variants()).items():
                began = time.perf_counter()
                run(x)
                times.setdefault(name, []).append(time.perf_counter() - began)
        expected = runs["ours"](x)
        for index, (name, run) in enumerate(runs.items()):
            command = [sys.executable, __file__, "--peak", str(index), str(N)]
            memory = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(f"{N:2d} {x.shape[1]:6d} {name:44} {min(times[name]):7.3f} "
                  f"{min(times[name]) / min(times['ours']):8.2f} {memory:7.0f} "
                  f"{float((run(x) - expected).abs().max()):8.1e}", flush=True)


if __name__ == "__main__":
    main()
