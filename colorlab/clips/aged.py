"""Synthetic old film: a colour film turned into a scanned, worn grey print, with ground truth.

    old = aged(film("street", 24), Wear(splice=12), seed=0)
    old.frames, old.truth       # the worn film in grey, and the colour that each of its pixels should have

Wear is applied in the order in which it happened to real prints, and on linear light, not on stored values.
The film stock turns colours into grey. The camera gate causes gate weave. The exposure flickers, the print
fades, the emulsion has grain, and the projector scratches the film and leaves dust. At a splice some frames
are lost and the picture jumps. Each kind of wear has its own random numbers, so that turning one off does not
change the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.color import frames_to_rgb, from_linear, rgb_to_frames, to_linear
from colorlab.files.errors import InputError

PANCHROMATIC = (0.2126, 0.7152, 0.0722)  # luminance, ITU-R BT.709
ORTHOCHROMATIC = (0.0, 0.65, 0.35)       # blind to red, as most film until the 1920s: lips and brick are dark


@dataclass(frozen=True)
class Wear:
    """How worn a film is; 0 turns a kind of wear off. Lengths are in pixels of a picture 128 high and grow
    with it."""

    stock: tuple[float, float, float] = PANCHROMATIC  # shares of red, green and blue light in the grey; sum 1
    weave: float = 1.0         # pixels: standard deviation of the frame's position in each direction
    flicker: float = 0.12      # standard deviation of the exposure's natural logarithm
    grain: float = 0.025       # standard deviation of the grain in stored values from 0 to 1, at middle grey
    fade: float = 0.15         # share of the range of light that is lost: black turns grey
    dust: float = 3.0          # spots on a frame, on average
    scratches: int = 2         # lines that run down the film
    splice: int | None = None  # the frame of the worn film with which the part behind a splice begins
    lost: int = 3              # frames that are missing there
    jump: float = 5.0          # pixels by which the picture sits lower behind the splice, for some frames


class Aged(NamedTuple):
    """A worn film of T frames, with ground truth."""

    frames: np.ndarray    # (T, H, W, 3) uint8, three equal channels: the scan
    truth: np.ndarray  # (T, H, W, 3) uint8: the film in colour, unworn, in the places where `frames` shows it
    kept: np.ndarray      # (T,) int: which frame of the film that went in each one is
    offset: np.ndarray    # (T, 2) float: (dy, dx) in pixels by which a frame is shifted down and to the right
    exposure: np.ndarray  # (T,) float: the factor on its light
    damage: np.ndarray    # (T, H, W) bool: under a scratch, dust or the splice's cement


def aged(frames: np.ndarray, wear: Wear = Wear(), seed: int = 0) -> Aged:
    """Apply wear to a film.

    frames: uint8 (T, H, W, 3) in colour. A seed gives the same film every time. With a splice, `wear.lost`
    frames are missing from the result. Raises InputError for frames of another kind, and for a splice outside
    the film.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames):
        raise InputError(f"aged wants a film, uint8 (T, H, W, 3), got {frames.dtype} {frames.shape}")
    kept = _kept(len(frames), wear)
    T, H, W = len(kept), *frames.shape[1:3]
    unit = H / 128
    kinds = ("weave", "flicker", "grain", "dust", "scratches")
    draw = {kind: np.random.default_rng((seed, number)) for number, kind in enumerate(kinds)}
    offset = _offsets(T, wear, draw["weave"]) * unit
    exposure = np.exp(wear.flicker * _slow_and_quick(T, draw["flicker"]))

    truth = _moved(to_linear(frames_to_rgb(frames[kept])), offset)  # (T, 3, H, W) light
    light = torch.einsum("tchw,c->thw", truth, torch.tensor(wear.stock))
    light = light * torch.from_numpy(exposure).float()[:, None, None]
    light = wear.fade * 0.35 + (1 - wear.fade) * light
    stored = from_linear(light.clamp(0, 1))                         # (T, H, W), as a scanner stores it
    stored = stored + wear.grain * _grain(stored, unit, draw["grain"])
    tone, damage = _damage((T, H, W), wear, unit, draw)
    stored = torch.where(damage, tone, stored).clamp(0, 1)
    scan, colors = stored[:, None].expand(-1, 3, -1, -1), from_linear(truth.clamp(0, 1))
    return Aged(rgb_to_frames(scan), rgb_to_frames(colors), kept, offset, exposure, damage.numpy())


def _kept(count: int, wear: Wear) -> np.ndarray:
    if wear.splice is None:
        return np.arange(count)
    if not 0 < wear.splice < count - wear.lost or wear.lost < 0:
        raise InputError(f"a splice at frame {wear.splice} with {wear.lost} frames lost does not fit into "
                         f"a film of {count} frames")
    return np.concatenate((np.arange(wear.splice), np.arange(wear.splice + wear.lost, count)))


def _slow_and_quick(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) numbers of mean 0 and standard deviation 1: half of the variance drifts slowly, half is
    independent in each frame."""
    quick, steps = rng.normal(size=(2, count))
    slow = np.empty(count)
    value = steps[0]
    for t in range(count):  # an autoregression with memory 0.8 and variance 1
        value = steps[0] if t == 0 else 0.8 * value + 0.6 * steps[t]
        slow[t] = value
    return (slow + quick) / 2**0.5


def _offsets(count: int, wear: Wear, rng: np.random.Generator) -> np.ndarray:
    """(T, 2) pixels at a height of 128: the weave, and after a splice a jump that decays within a few
    frames."""
    offset = wear.weave * np.stack([_slow_and_quick(count, rng) for _ in range(2)], axis=1)
    if wear.splice is not None:
        after = np.arange(count) - wear.splice
        offset[:, 0] += np.where(after >= 0, wear.jump * 0.5 ** np.maximum(after, 0), 0)
    return offset


def _moved(light: Tensor, offset: np.ndarray) -> Tensor:
    """(T, C, H, W), each frame moved by its (dy, dx), with border padding."""
    H, W = light.shape[-2:]
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in (H, W)), indexing="ij")
    place = torch.from_numpy(offset)[:, :, None, None]                                  # (T, 2, 1, 1)
    across, down = 2 * (x - place[:, 1]) / max(1, W - 1) - 1, 2 * (y - place[:, 0]) / max(1, H - 1) - 1
    grid = torch.stack((across, down), dim=-1)                                          # (T, H, W, 2)
    return F.grid_sample(light, grid.to(light), mode="bicubic", padding_mode="border", align_corners=True)


def _grain(stored: Tensor, unit: float, rng: np.random.Generator) -> Tensor:
    """(T, H, W) noise: standard deviation 1 at middle grey, less towards black and white; grains of about a
    pixel."""
    noise = torch.from_numpy(rng.normal(size=stored.shape)).float()
    sigma = 0.6 * unit
    taps = torch.exp(-torch.arange(-3.0, 4.0).square() / (2 * sigma**2))
    taps = taps / taps.square().sum().sqrt()  # keeps the standard deviation
    noise = F.conv2d(F.pad(noise[:, None], (3, 3, 3, 3), mode="reflect"), taps.view(1, 1, 1, 7))
    noise = F.conv2d(noise, taps.view(1, 1, 7, 1))[:, 0]
    return noise * (4 * stored * (1 - stored)).clamp(min=0).sqrt()


def _damage(shape: tuple[int, int, int], wear: Wear, unit: float,
            draw: dict[str, np.random.Generator]) -> tuple[Tensor, Tensor]:
    """Dirt and scratches: their tone (T, H, W) in stored values, and their mask, (T, H, W) bool."""
    T, H, W = shape
    tone, there = np.zeros(shape, np.float32), np.zeros(shape, bool)
    y, x = np.mgrid[:H, :W]
    rng = draw["scratches"]
    for _ in range(wear.scratches):
        first, length = int(rng.integers(-T // 2, T)), int(rng.integers(T // 3 + 1, T + 2))
        middle, sway, bright = rng.uniform(0.05, 0.95) * W, rng.uniform(0.5, 2) * unit, rng.random() < 0.6
        for t in range(max(0, first), min(T, first + length)):
            line = middle + sway * np.sin(0.5 * t + 2 * np.pi * y[:, :1] / (3 * H))  # (H, 1): it wanders
            here = np.abs(x - line) < max(0.5, 0.5 * unit)
            tone[t][here], there[t] = (0.95 if bright else 0.08), there[t] | here
    rng = draw["dust"]
    for t in range(T):
        for _ in range(rng.poisson(wear.dust)):
            at, radius = rng.uniform((0, 0), (H, W)), rng.uniform(0.8, 3.0) * unit
            turn, long, bright = rng.uniform(0, np.pi), rng.uniform(1, 2.5), rng.random() < 0.5
            dy, dx = y - at[0], x - at[1]
            along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
            here = (along / long) ** 2 + across**2 < radius**2
            tone[t][here], there[t] = (0.97 if bright else 0.04), there[t] | here
    # cement on the frame line: at the top of the first frame, below the one before
    if wear.splice is not None:
        bar = max(2, round(4 * unit))
        for t, rows in ((wear.splice, slice(0, bar)), (wear.splice - 1, slice(H - bar, H))):
            tone[t, rows], there[t, rows] = 0.9, True
    return torch.from_numpy(tone), torch.from_numpy(there)
