"""How fast and how large ColorMNet is, against the plain formulation of the same network: the same weights,
the same numbers.

    python tests/bench/bench_colormnet.py  # both sizes, 60 frames; half an hour on two cores
    python tests/bench/bench_colormnet.py --sizes 224x224 --frames 6    # a look
    python tests/bench/bench_colormnet.py --growth  # the state over a film that fills the memory many times
    python tests/bench/bench_colormnet.py --device cuda --sizes 536x960 --half bfloat16 --no-plain

Times are taken frame by frame, ours and the plain one in turn, so that a machine that is busy is so for both:
trust the ratios. "plain" computes what the authors' code computes: the guide enlarged before its convolution,
dense similarities and weights for the memory, a dense matrix for local attention, attention written out,
channels first, nothing shared or kept.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

import torch
import torch.nn.functional as F
from peak_memory import peak_growth, peak_resident
from torch import Tensor, nn

from colorlab.modules.fast.packed_conv import PackedConv2d
from colorlab.papers.colormnet import ColorMNet, ColorMNetConfig, features, local_attention, memory
from colorlab.papers.colormnet.blocks import Fusion, unfold_chroma, fold_chroma
from colorlab.papers.colormnet.readout import Reading


def plain_upsampled_conv(x: Tensor, conv: nn.Conv2d, scale: int) -> Tensor:
    return conv(F.interpolate(x, scale_factor=scale, mode="bilinear") if scale > 1 else x)


def plain_channel_attention(self: features.ChannelAttention, guide: Tensor, local: Tensor) -> Tensor:
    heads = lambda x: x.flatten(2).unflatten(1, (self.heads, -1))
    query, key = (F.normalize(heads(x), dim=-1)
                  for x in (self.query_local(self.query(guide)), self.key_local(self.key(local))))
    weights = (query @ key.mT * self.temperature).softmax(-1)
    return self.out(
        (weights @ heads(self.value_local(self.value(local)))).flatten(1, 2).unflatten(-1, guide.shape[-2:]))


def plain_fusion(self: Fusion, frame: Tensor, own: Tensor) -> Tensor:
    x = self.block1(fold_chroma(torch.cat((frame[:, None].expand(-1, 2, -1, -1, -1), own), dim=2)))
    return unfold_chroma(self.block2(x + self.attention(x)))


def plain_read(key: Tensor, shrinkage: Tensor, value: Tensor, query: Tensor, selection: Tensor, k: int,
               temperature: float) -> Reading:
    weighted = query * selection
    scores = 2 * (key @ weighted.mT) - key.square() @ selection.mT - (weighted * query).sum(1)  # (M, N)
    scores = scores * shrinkage[:, None] / key.shape[1] ** 0.5
    best, index = scores.topk(min(k, len(key)), dim=0)
    # (M, N), mostly zeros
    weights = torch.zeros_like(scores).scatter_(0, index, (best / temperature).softmax(0))
    return Reading((value.mT @ weights).mT, weights.sum(1), None, None)


def plain_window_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, window: int) -> Tensor:
    (B, C, h, w), radius = query.shape, window // 2
    around = F.unfold(key, window, padding=radius).view(B, C, window**2, h * w)
    inside = F.unfold(key.new_ones(1, 1, h, w), window, padding=radius)
    logits = (query.flatten(2)[:, :, None] / C**0.5 * around).sum(1) + bias.flatten(2) - 1e8 * (1 - inside)
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    dy, dx = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    # (window², N)
    place = (y.flatten() + dy.flatten()[:, None]) * (w + 2 * radius) + x.flatten() + dx.flatten()[:, None]
    dense = logits.new_zeros(B, (h + 2 * radius) * (w + 2 * radius),
                             h * w).scatter_(1, place[None].to(key.device), logits.softmax(1))
    return (F.pad(value, (radius,) * 4).flatten(2) @ dense).unflatten(-1, (h, w))


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Everything that this package does to be fast, undone."""
    patches = [
        mock.patch.object(features, "upsampled_conv", plain_upsampled_conv),
        mock.patch.object(features.ChannelAttention, "forward", plain_channel_attention),
        mock.patch.object(Fusion, "forward", plain_fusion),
        mock.patch.object(memory, "read_top", plain_read),
        mock.patch.object(local_attention, "window_attention", plain_window_attention),
        mock.patch.object(PackedConv2d, "_conv_forward", nn.Conv2d._conv_forward)
    ]
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


def released_like(plain: bool = False, **changes: object) -> ColorMNet:
    """The paper's network with weights of a sensible size; what they are does not matter here."""
    torch.manual_seed(0)
    with torch.device("meta"):
        network = ColorMNet(replace(ColorMNetConfig(), **changes))
    network.to_empty(device="cpu").eval()
    for name, tensor in network.state_dict().items():
        if (
            name.endswith("running_var")
            or name.endswith("gamma")
            or (name.endswith("weight") and tensor.ndim == 1)
        ):
            tensor.fill_(1)
        elif tensor.is_floating_point() and tensor.ndim > 1:
            tensor.normal_(std=(tensor.numel() / tensor.shape[0]) ** -0.5)
        else:
            tensor.zero_()
    for parameter in network.parameters():
        if parameter.ndim == 3 and parameter.shape[1:] == (1, 1):
            parameter.data.fill_(1)
    for block in network.features.guide.transformer.blocks if plain else ():
        block.attn.fused_attn = False
    return network.to(memory_format=torch.contiguous_format if plain else torch.channels_last)


def film(height: int, width: int) -> tuple[Tensor, Callable[[int], Tensor]]:
    """An exemplar (1, 3, H, W), and L of frame t: soft noise that drifts."""
    noise = F.interpolate(
        torch.randn(1, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(0)),
        size=(height, width), mode="bicubic").clamp(-2, 2)
    lab = noise * 20 + torch.tensor([50.0, 0, 0])[:, None, None]
    return lab, lambda t: lab[:, :1].roll((t, 2 * t), (-2, -1))


def timed(work: Callable[[], object], device: str) -> tuple[object, float]:
    begin = time.perf_counter()
    result = work()
    if device == "cuda":
        torch.cuda.synchronize()
    return result, time.perf_counter() - begin


def race(height: int, width: int, frames: int, device: str, half: str | None, with_plain: bool) -> None:
    """Ours and the others frame by frame in turn: milliseconds a frame (median), ratio to plain, largest
    difference."""
    runners = {"ours": released_like()}
    if with_plain:
        runners["plain"] = released_like(plain=True)
    if half:
        runners[half] = released_like(precision=half)
    lab, l = film(height, width)
    states = {name: network.to(device).start([(0, lab.to(device))]) for name, network in runners.items()}
    times, difference = {name: [] for name in runners}, {name: 0.0 for name in runners}
    growth = {}
    for t in range(frames):
        frame, outputs = l(t).to(device), {}
        for name, network in runners.items():
            with torch.inference_mode(), plainly() if name == "plain" else contextlib.nullcontext():
                (outputs[name], states[name]), seconds = timed(
                    lambda: network.step(frame, states[name]), device
                )
            times[name].append(seconds)
        for name, ab in outputs.items():
            difference[name] = max(difference[name], float((ab - outputs["ours"]).abs().mean()))
        if t % 10 == 9:
            growth[t + 1] = states["ours"].nbytes / 2**20
    first = min(2, frames - 1)  # the exemplar's frame is not predicted, and the first ones warm up
    base = statistics.median(times["plain" if with_plain else "ours"][first:])
    for name, seconds in times.items():
        middle = statistics.median(seconds[first:])
        write(f"{height}x{width}  {name:9s} {1000 * middle:9.1f} ms/frame   "
              f"{middle / base:5.2f} of {'plain' if with_plain else 'ours'}   differs by up to "
              f"{difference[name]:.1e} in ab (mean over a frame)")
    write(f"{height}x{width}  state, MB: " + ", ".join(f"{size:.0f} after {t}" for t, size in growth.items()))
    if device == "cuda":
        write(f"{height}x{width}  peak GPU memory "
              f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB, all runners and their weights")


def peak(height: int, width: int, frames: int, plain: bool) -> None:
    """In a process of its own: the peak of memory, and what of it came after the network was built and the
    film opened."""
    network = released_like(plain)
    lab, l = film(height, width)

    def film_through() -> None:
        state = network.start([(0, lab)])
        for t in range(frames):
            with torch.inference_mode(), plainly() if plain else contextlib.nullcontext():
                _, state = network.step(l(t), state)

    growth = peak_growth(film_through)
    write(f"{height}x{width}  {'plain' if plain else 'ours':9s} peak {peak_resident():.2f} "
          f"GiB, {growth:.2f} above what the network holds, over {frames} frames")


@torch.inference_mode()
def growth(frames: int, device: str) -> None:
    """The state of a film of small frames, under settings that fill the long-term memory soon: it grows, and
    then it does not."""
    network = released_like(mem_every=1, max_mid_frames=4, min_mid_frames=2, prototypes=48,
                            max_long=480).to(device)
    lab, l = film(112, 112)
    state, sizes = network.start([(0, lab.to(device))]), []
    for t in range(frames):
        _, state = network.step(l(t).to(device), state)
        sizes.append(state.nbytes / 2**20)
    write("112x112  state, MB, at most 480 entries in long-term memory: "
          + ", ".join(f"{max(sizes[t - 10:t]):.2f} by {t}" for t in range(10, frames + 1, 10)))


def write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="224x224,480x854")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--half", choices=["bfloat16", "float16"])
    parser.add_argument("--no-plain", action="store_true")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--peak", choices=["ours", "plain"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    write(f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads, "
          f"{options.frames} frames")
    if options.growth:
        return growth(options.frames, options.device)
    for size in options.sizes.split(","):
        height, width = map(int, size.split("x"))
        if options.peak:
            peak(height, width, options.frames, options.peak == "plain")
            continue
        race(height, width, options.frames, options.device, options.half, not options.no_plain)
        for which in ("ours", "plain") if options.device == "cpu" and not options.no_plain else ():
            subprocess.run(
                [sys.executable, __file__, "--sizes", size, "--frames",
                 str(options.frames), "--peak", which], check=True)


if __name__ == "__main__":
    main()
