"""`python -m colorlab.train.matching`: the quality of matching alone, before any network corrects the matched
colour.

    python -m colorlab.train.matching --data FOLDER --method copy patches imagenet lstvc --weights course

The definition: frames at short side 128, cropped to multiples of 8; the first frame is the reference. The
colour of a cell of 4 x 4 pixels is the mean ab of its pixels. Each cell of frames 10 and 30 takes the mean
colour of the reference's cells, weighted by a softmax over similarity / temperature. The error is the
distance in ab from the cell's own colour, averaged over cells, then over clips. Features are centred over
positions and scaled to length 1, similarity is their cosine, and the temperature is the one of 0.01, 0.02,
0.03 with the smallest error over both frames; `colormnet` has a similarity and a temperature of its own. PSNR
is that of RGB of the same two frames at that temperature, cells enlarged bilinearly under the frame's
lightness.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.color import (fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab,
                            split_lab)
from colorlab.files.errors import InputError
from colorlab.metrics import psnr
from colorlab.modules.pretrained import PretrainedFeatures, quarter_maps
from colorlab.papers.colormnet.readout import similarity as colormnet_similarity
from colorlab.papers.lstvc.correspondence import centered_unit
from colorlab.papers.lstvc.state import stacked
from colorlab.train.measure import SHORT_SIDE, read_clip

CELL = 4               # pixels
MOMENTS = (10, 30)     # frames whose match with frame 0 is measured
TEMPERATURES = (0.01, 0.02, 0.03)
LEARNED = ("lstvc", "colormnet", "cavc")
MATCHERS = ("copy", "patches", "random", "imagenet", *LEARNED)

# a frame's L (1, 1, H, W), the reference in Lab (1, 3, H, W) -> (N, M)
Similarity = Callable[[Tensor, Tensor], Tensor]


class Measure(NamedTuple):
    """The similarity of a frame's cells and the reference's, and the temperatures to choose from."""

    similarity: Similarity
    temperatures: tuple[float, ...] = TEMPERATURES


class Worth(NamedTuple):
    """The matching quality of one method: means over clips, at the best temperature."""

    errors: dict[int, float]  # by moment: mean distance in ab of a cell
    psnr: float               # dB, mean over moments
    temperature: float


def cosines(frame: Sequence[Tensor], reference: Sequence[Tensor]) -> Tensor:
    """Eq. 1 of LSTVC for any features: lists of maps (1, C, h, w) on one grid, taken together -> (N, M) in
    [-1, 1]."""
    query, key = (centered_unit(torch.cat(list(maps), dim=1).flatten(2).mT[0]) for maps in (frame, reference))
    return query @ key.mT


def mixed(similarity: Tensor, color: Tensor, temperature: float) -> Tensor:
    """similarity (N, M), the reference's colours (1, 2, h, w), M = h * w -> each cell's mix of them, the same
    shape: N = M."""
    weights = (similarity / temperature).softmax(-1)                          # (N, M)
    return (color.flatten(2) @ weights.mT).view_as(color)


def cell_colors(ab: Tensor) -> Tensor:
    """(1, 2, H, W) -> (1, 2, H/4, W/4): the mean of each cell."""
    return F.avg_pool2d(ab, CELL)


def distance(found: Tensor, truth: Tensor) -> float:
    """Mean over cells of the distance in ab of two (1, 2, h, w)."""
    return float((found - truth).norm(dim=1).mean())


# What the similarities are made of


def patches(l: Tensor) -> list[Tensor]:
    """Notebook 02's descriptor: 9 x 9 patches of L (1, 1, H, W) from three scales, each as its mean and the
    rest; maps (1, C, H/4, W/4)."""
    maps = []
    for scale in (1, 2, 4):
        padded = F.pad(F.avg_pool2d(l, scale), (4, 4, 4, 4), mode="replicate")
        found = F.unfold(padded, 9, stride=CELL // scale).view(
            1, 81, l.shape[-2] // CELL, l.shape[-1] // CELL
        )
        mean = found.mean(1, keepdim=True)
        maps += [mean, found - mean]
    return maps


def frozen_maps(l: Tensor, eye: PretrainedFeatures) -> list[Tensor]:
    """The maps of strides 4, 8 and 16 of L (1, 1, H, W) enlarged twice, on one grid and each of unit size:
    (1, C, H/4, W/4).

    H and W are multiples of 8.
    """
    return quarter_maps(eye, F.interpolate(l, scale_factor=2.0, mode="bilinear"))


def by(features: Callable[[Tensor], Sequence[Tensor]]) -> Similarity:
    """The cosine of `features` of both lightness images."""
    return lambda l, reference: cosines(features(l), features(reference[:, :1]))


def of_copy(l: Tensor, reference: Tensor) -> Tensor:
    """Each cell matches the one at its own place, and no other."""
    return torch.eye(l.shape[-2] // CELL * (l.shape[-1] // CELL))


def of_lstvc(model: nn.Module) -> Similarity:
    """The mean of its heads' cosines (N, M), for a frame at the beginning of a film."""
    def similarity(l: Tensor, reference: Tensor) -> Tensor:
        clip = l[:, None]                                                     # (1, 1, 1, H, W)
        state = model.with_encoded(clip, model.start(reference))
        features, _ = model.features(model.seen(clip), stacked(model.references(state, 1)), state)
        query, key = model.heads.queries_and_keys(features, 1)                # (1, heads, N or M, C)
        return (query[0] @ key[0].mT).mean(0)
    return similarity


def of_colormnet(model: nn.Module) -> Similarity:
    """Eq. 9b over its temperature, of those entries that are read: (N, M), -inf for the rest of each row."""
    def similarity(l: Tensor, reference: Tensor) -> Tensor:
        state = model.opened(l, model.start(reference))
        asking, stored = (model.look(x, state).query for x in (l, reference[:, :1]))
        key, shrinkage, query, selection = (
            map.flatten(2)[0].mT for map in (stored.key, stored.shrinkage, asking.key, asking.selection)
        )
        scores = colormnet_similarity(key, shrinkage[:, 0], query, selection) / model.config.temperature
        last = scores.topk(min(model.config.top_k or len(key), len(key))).values[:, -1:]
        return scores.masked_fill(scores < last, -torch.inf)
    return similarity


def of_cavc(model: nn.Module) -> Similarity:
    """The cosine of the keys that warp the reference's colours, ignoring distance."""
    keys = lambda l: model.laying.keys(l / 50 - 1).flatten(2)[0]
    return lambda l, reference: keys(l).mT @ keys(reference[:, :1])


def measure_for(method: str, weights: str = "none") -> Measure:
    """The measure of one of METHODS; weights: of the course networks."""
    from colorlab.methods import load

    if method == "copy":
        return Measure(of_copy, (1e-3,))  # far below 1: nothing of the other cells
    if method == "patches":
        return Measure(by(patches))
    if method in ("random", "imagenet"):
        eye = PretrainedFeatures(4, pretrained=method == "imagenet")
        return Measure(by(lambda l: frozen_maps(l, eye)))
    model = load(method, "course", weights)
    if method == "colormnet":
        return Measure(of_colormnet(model), (1.0,))
    return Measure(of_lstvc(model) if method == "lstvc" else of_cavc(model))


# The measurement


class Pair(NamedTuple):
    """A frame and its reference: Lab (1, 3, H, W) each, and the moment of the frame."""

    moment: int
    frame: Tensor
    reference: Tensor


def pairs(path: Path, short_side: int = SHORT_SIDE, moments: Sequence[int] = MOMENTS) -> list[Pair]:
    """A clip's frames at these moments, each with frame 0. Raises InputError where the clip ends before."""
    frames = read_clip(path, short_side, max(moments) + 1)
    if len(frames) <= max(moments):
        raise InputError(f"{path} has {len(frames)} frames; the match is measured up to frame {max(moments)}")
    height, width = (side // 8 * 8 for side in frames[0].shape[:2])
    lab = {t: rgb_to_lab(frames_to_rgb(frames[t][None, :height, :width])) for t in (0, *moments)}
    return [Pair(t, lab[t], lab[0]) for t in moments]


@torch.no_grad()
def worth(measure: Measure, clips: Sequence[Sequence[Pair]]) -> Worth:
    """Errors and PSNR over the pairs of all clips, at the temperature whose mean error is smallest."""
    every = [pair for clip in clips for pair in clip]
    # for each (moment, error, dB) of every pair
    tried = {temperature: [] for temperature in measure.temperatures}
    for moment, frame, reference in every:
        (l, ab), color = split_lab(frame), cell_colors(reference[:, 1:])
        similarity = measure.similarity(l, reference)
        for temperature, scores in tried.items():
            found = mixed(similarity, color, temperature)
            scores.append((moment, distance(found, cell_colors(ab)), decibels(found, frame)))
    best = min(tried, key=lambda temperature: sum(error for _, error, _ in tried[temperature]))
    errors = {
        moment: _mean([error
                       for t, error, _ in tried[best]
                       if t == moment])
        for moment in sorted({t for t, _, _ in tried[best]})
    }
    return Worth(errors, _mean([db for _, _, db in tried[best]]), best)


def decibels(found: Tensor, frame: Tensor) -> float:
    """PSNR of 8-bit RGB of cells' colours (1, 2, h, w) under the lightness of the frame, Lab (1, 3, H, W)."""
    picture = fit_gamut(
        join_lab(frame[:, :1], F.interpolate(found, scale_factor=float(CELL), mode="bilinear")))
    return psnr(*(rgb_to_frames(lab_to_rgb(lab))[0] for lab in (picture, frame)))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def main(arguments: Sequence[str] | None = None) -> int:
    from colorlab.train.validate import chosen_clips

    parser = argparse.ArgumentParser(
        prog="python -m colorlab.train.matching",
        description="What a match alone is worth: mean distance in ab of cells of 4 x 4 pixels at "
        "frames 10 and 30 of a clip, the first frame as reference.")
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="FOLDER",
                        help="folders with clips below them")
    parser.add_argument("--method", nargs="+", choices=MATCHERS, required=True)
    parser.add_argument("--weights", default="none",
                        help="of the course networks: course or none (default: none)")
    parser.add_argument("--clips", default="validation", metavar="NAME,NAME",
                        help="'validation' (default), 'training', 'all', or clips by name")
    parser.add_argument("--short-side", type=int, default=SHORT_SIDE)
    args = parser.parse_args(arguments)
    try:
        clips = [pairs(path, args.short_side) for path in chosen_clips(args.data, args.clips)]
        measures = {method: measure_for(method, args.weights) for method in args.method}
        sys.stdout.write(f"{'match':12} " + " ".join(f"{f't = {t}':>7}" for t in MOMENTS) +
                         f" {'PSNR':>7} {'temperature':>12}\n")
        for method, measure in measures.items():
            found = worth(measure, clips)
            errors = " ".join(f"{error:7.2f}" for error in found.errors.values())
            sys.stdout.write(f"{method:12} {errors} {found.psnr:7.2f} {found.temperature:12g}\n")
            sys.stdout.flush()
    except (InputError, OSError) as error:
        sys.stderr.write(f"matching: {' '.join(str(error).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
