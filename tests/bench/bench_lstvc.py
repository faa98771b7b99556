"""LSTVC at the paper's size: seconds a frame and peak memory, ours beside the formulation that the authors
wrote down.

    python tests/bench/bench_lstvc.py            # N = 2 and 3 (--frames 2 3), both, 216 x 384
    python tests/bench/bench_lstvc.py --blocks   # ours for N = 1 to 6, as the paper's Table 3
    python tests/bench/bench_lstvc.py --work  # GFLOP a frame for N = 1 to 6: counted, not timed, so the same
    on any machine

"plain" keeps every weight of every attention and the whole correlation matrix in memory, makes the
reference's features once per block, paints the reference's colours along with the frames', and enlarges maps
before the convolutions that follow. Both run the same parameters, in turn, in one process; a peak is the most
that is resident while a block is coloured: libraries, the parameters' 0.5 GiB and all. The second block is
measured: the state is there and warm.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from peak_memory import peak_growth, peak_resident
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from colorlab.modules import color_subnet
from colorlab.modules.fast.streamed_correlation import Match
from colorlab.papers.lstvc import LSTVC, LSTVCConfig, cnn_transformer, colorization, correspondence
from colorlab.papers.lstvc.attention import Attention
from colorlab.papers.lstvc.colorization import Colorization

SIZE = (216, 384)


class Cost(NamedTuple):
    """Of a frame: seconds by the clock and of the processor, all threads together, which other processes
    disturb less; GiB at the peak."""

    clock: float = math.inf
    processor: float = math.inf
    peak: float = math.inf


def plain_attention(self: Attention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = self._project(query, key, value)
    weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)
    return self.out_proj((weights @ value).transpose(1, 2).flatten(2))


def plain_match(query: Tensor, key: Tensor, value: Tensor, temperature: float) -> Match:
    correlation = query @ key.mT
    return Match((correlation / temperature).softmax(-1) @ value, correlation.amax(-1))


def plain_colorization(self, frames: Tensor, references: Tensor, tokens: Tensor) -> Tensor:
    """Every frame, the reference too (a second copy of the first frame stands for it: as much work), all the
    way."""
    frames = torch.cat((frames[:, :references.shape[1]], frames), dim=1)
    source, skips = self.down(frames.flatten(0, 1))
    source = source.unflatten(0, frames.shape[:2])
    source = torch.cat((references, source[:, references.shape[1]:]), dim=1)
    for stage in self.middle:
        source, tokens = stage(source, tokens)
    return self.up(source.flatten(0, 1), skips).unflatten(0, frames.shape[:2])[:, references.shape[1]:]


def plain_bilinear(x: Tensor, conv: nn.Conv2d, scale: int) -> Tensor:
    return conv(F.interpolate(x, scale_factor=scale, mode="bilinear"))


def plain_nearest(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, bias, padding=1)


class Plain:
    """Within it, the network computes as written down."""

    def __enter__(self) -> None:
        others = {(Attention, "forward"): plain_attention, (Colorization, "forward"): plain_colorization,
                  (correspondence, "match"): plain_match, (correspondence, "upsampled_conv"): plain_bilinear,
                  (color_subnet, "nearest_conv"): plain_nearest}
        others |= {(module, "instance_norm"): F.instance_norm
                   for module in (correspondence, cnn_transformer, colorization, color_subnet)}
        self.kept = [(*place, getattr(*place)) for place in others]
        for place, other in others.items():
            setattr(*place, other)

    def __exit__(self, *_: object) -> None:
        for owner, name, value in self.kept:
            setattr(owner, name, value)


def network() -> LSTVC:
    """The paper's network with weights of a sensible size; which ones does not matter here."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = LSTVC(LSTVCConfig()).eval()
    for tensor in model.to_empty(device="cpu").state_dict().values():
        tensor.normal_(std=(tensor.numel() / len(tensor)) ** -0.5) if tensor.ndim > 1 else tensor.fill_(0.5)
    return model


def film(frames: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return 100 * torch.rand(1, frames, 1, *SIZE, generator=generator), 50 * torch.rand(
        1, 3, *SIZE, generator=generator)


def block(model: LSTVC, l: Tensor, state, plain: bool):
    if not plain:
        return model.step(l, state)
    with Plain():
        return model.step(l, replace(state, size=None, encoded=(None,)))


@torch.inference_mode()
def measured(model: LSTVC, N: int, repeats: int) -> tuple[Cost, Cost, float]:
    """The best of ours and of plain, run in turn; and how far their results are apart."""
    l, reference = film(N)
    _, state = model.step(l, model.start(reference))
    best = [Cost(), Cost()]
    for _ in range(repeats):
        results = []
        for plain in (False, True):
            began = time.perf_counter(), time.process_time()
            peak_growth(lambda: results.append(block(model, l, state, plain)[0]))
            took = (time.perf_counter() - began[0]) / N, (time.process_time() - began[1]) / N
            best[plain] = Cost(*map(min, best[plain], (*took, peak_resident())))
    return *best, float((results[0] - results[1]).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", action="store_true")
    parser.add_argument("--work", action="store_true")
    parser.add_argument("--frames", type=int, nargs="*", default=[2, 3], help="N, frames of a block")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.work:
        return work()
    model = network()
    print(f"LSTVC, {SIZE[0]} x {SIZE[1]}, {arguments.threads} threads, float32, torch "
          f"{torch.__version__}, best of {arguments.repeats}")
    if arguments.blocks:
        return blocks(model, arguments.repeats)
    print(f"{'N':>2} {'':9} {'ours':>7} {'plain':>7} {'ratio':>6}")
    for N in arguments.frames:
        ours, plain, apart = measured(model, N, arguments.repeats)
        for what, one, other in zip(("s/frame", "processor", "peak GiB"), ours, plain):
            print(f"{N:2d} {what:9} {one:7.2f} {other:7.2f} {one / other:6.2f}")
        print(f"{N:2d} results differ by up to {apart:.1e} in ab", flush=True)


@torch.inference_mode()
def blocks(model: LSTVC, repeats: int) -> None:
    """The paper's Table 3 has its best time at N = 3 (DAVIS) and 5 (Videvo), on a GPU."""
    l, reference = film(6)
    print(f"{'N':>2} {'s/frame':>8} {'processor s/frame':>18}")
    for N in range(1, 7):
        _, state = model.step(l[:, :N], model.start(reference))
        best = (math.inf, math.inf)
        for _ in range(repeats):
            began = time.perf_counter(), time.process_time()
            model.step(l[:, :N], state)
            best = min(best, ((time.perf_counter() - began[0]) / N, (time.process_time() - began[1]) / N))
        print(f"{N:2d} {best[0]:8.2f} {best[1]:18.2f}", flush=True)


@torch.no_grad()
def work() -> None:
    """Additions and multiplications of a block, on tensors that hold nothing."""
    with torch.device("meta"):
        model, l, reference = (
            LSTVC(LSTVCConfig()).eval(),
            torch.empty(1, 6, 1, *SIZE),
            torch.empty(1, 3, *SIZE),
        )
    print(f"GFLOP a frame, {SIZE[0]} x {SIZE[1]}")
    for N in range(1, 7):
        _, state = model.step(l[:, :N], model.start(reference))
        with FlopCounterMode(display=False) as count:
            model.step(l[:, :N], state)
        print(f"N = {N}: {count.get_total_flops() / N / 1e9:.0f}", flush=True)


if __name__ == "__main__":
    main()
