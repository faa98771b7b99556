"""Confidence in each pixel's colour: a number in [0, 1] for the quality of the match that the colour came
from.

| method | confidence |
|---|---|
| lstvc, tcavc | S of LSTVC's Eq. 3: the cosine between the pixel and its best match in the references, mean of the heads, 0 where negative |
| colormnet | the best similarity in memory (Eq. 9) per key channel, as exp(S / sqrt(C)): 1 for a key already in memory |
| copy, flow | agreement in lightness between the pixel and the place its colour came from: exp(-(difference / 8)^2 / 2) |
| cavc | the same for the lightness warped with the colour (course size); the paper's network does no matching and has no confidence |

A frame that is itself a reference is 1 everywhere. Values of different methods are not comparable; within a
film they show where to look first, and where another reference would help most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.methods import imported, record_of
from colorlab.modules.flow.warping import pixel_grid, warp
from colorlab.modules.frames import as_clip
from colorlab.modules.resizing import resized
from colorlab.papers.colormnet.readout import pixels_at_once, similarity

LIKENESS = 8.0  # units of L that cost a carried colour 40 % of its confidence


class ConfidentStep(NamedTuple):
    """The output of a step, and its confidence."""

    ab: Tensor          # as `model.step` returns it
    confidence: Tensor  # (B, T, 1, H, W) in [0, 1]
    state: object


def offers_confidence(model: nn.Module) -> bool:
    """Whether `confident_step` supports this model: its method defines a confidence, and this network does
    matching."""
    said = record_of(model)
    return said is not None and bool(said.confidence) and getattr(model, "matches", True)


def confident_step(model: nn.Module, l: Tensor, state: object) -> ConfidentStep:
    """`model.step(l, state)` and its confidence, for a model that has one. l: (B, T, 1, H, W) or (B, 1, H,
    W)."""
    return imported(record_of(model).confidence)(model, l, state)


def of_lstvc(model: nn.Module, l: Tensor, state: object) -> ConfidentStep:
    clip, single = as_clip(l)
    B, T, _, H, W = clip.shape
    look, after = model.look(clip, state)
    sure = look.similarity.mean(2).clamp(0, 1)                              # (B, T, h, w)
    sure = F.interpolate(sure, scale_factor=4.0)[..., :H, :W].unsqueeze(2)  # a cell is 4 x 4 pixels
    own = [any(reference.frame == state.frame + t for reference in state.references) for t in range(T)]
    return ConfidentStep(look.ab[:, 0] if single else look.ab, _certain(sure, own), after)


def of_tcavc(model: nn.Module, l: Tensor, state: object) -> ConfidentStep:
    started = model.with_reference(as_clip(l)[0], state)
    sure = of_lstvc(model.propagation, l, started.propagated)
    return sure._replace(state=type(state)(sure.state.frame, sure.state))


def of_cavc(model: nn.Module, l: Tensor, state: object) -> ConfidentStep:
    clip, _ = as_clip(l)
    ab, after = model.step(l, state)
    laid = model.lay(clip / 50 - 1, state)
    sure = _likeness(50 * laid[:, :, :1] + 50, model.laying.means(clip))
    return ConfidentStep(
        ab, _certain(sure, [state.frame + t in state.moments for t in range(clip.shape[1])]), after
    )


def _certain(sure: Tensor, own: list[bool]) -> Tensor:
    """sure (B, T, 1, H, W), with 1 for the frames that are references themselves."""
    return torch.stack([torch.ones_like(one) if known else one for one, known in zip(sure.unbind(1), own)],
                       dim=1)


def of_colormnet(model: nn.Module, l: Tensor, state: object) -> ConfidentStep:
    return _frame_by_frame(model, l, state, lambda frame, before, after: _seen_before(model, frame, before))


def of_copy(model: nn.Module, l: Tensor, state: object) -> ConfidentStep:
    return _frame_by_frame(model, l, state, lambda frame, before, after: _same_lightness(
        frame, before, model.nearest(before.references, before.frame)))


def of_flow(model: nn.Module, l: Tensor, state: object) -> ConfidentStep:
    return _frame_by_frame(model, l, state, lambda frame, before, after: _same_lightness(
        frame, before, after.source, after.trace))


def _frame_by_frame(
    model: nn.Module, l: Tensor, state: object, judged: Callable[[Tensor, object, object], Tensor]
) -> ConfidentStep:
    """judged: maps a frame, the state before it and the state after it to (B, 1, H, W)."""
    clip, single = as_clip(l)
    found, sure = [], []
    for frame in clip.unbind(1):
        before, (ab, state) = state, model.step(frame, state)
        sure.append(judged(frame, before, state))
        found.append(ab)
    return ConfidentStep(found[0] if single else torch.stack(found, 1), torch.stack(sure, 1), state)


def _seen_before(model: nn.Module, l: Tensor, state: object) -> Tensor:
    """(B, 1, H, W): the best similarity of each cell with what is in memory before this frame."""
    state = model.opened(l, state)
    if state.given is not None:
        return torch.ones_like(l)
    with model.autocast(l.device):
        query = model.look(l, state).query
    h, w = query.key.shape[-2:]
    cells = []
    for memory, key, selection in zip(state.held, query.key, query.selection):
        e, key, selection = memory.entries, key.flatten(1).mT, selection.flatten(1).mT  # (h * w, C)
        slabs = zip(*(part.split(pixels_at_once(e.key)) for part in (key, selection)))
        # (h * w,), never positive
        best = torch.cat([similarity(e.key, e.shrinkage, k, s).amax(-1) for k, s in slabs])
        cells.append((best / key.shape[1] ** 0.5).exp().clamp(max=1).view(1, h, w))
    sure = F.interpolate(torch.stack(cells), scale_factor=float(model.stride), mode="bilinear")
    return model.crop(sure, l)


def _same_lightness(l: Tensor, before: object, index: int, trace: Tensor | None = None) -> Tensor:
    """(B, 1, H, W): agreement in lightness between a pixel and the place in reference `index` that its colour
    came from.

    trace: (B, 2, H, W) x, y of that place; None for the pixel's own.
    """
    reference = before.references[index]
    if reference.frame == before.frame:
        return torch.ones_like(l)
    there = resized(reference.image[:, :1].to(l), l.shape[-2:]).expand(len(l), -1, -1, -1)
    if trace is not None:
        there = warp(there, trace - pixel_grid(trace), "border")
    return _likeness(there, l)


def _likeness(there: Tensor, l: Tensor) -> Tensor:
    return torch.exp(-((there - l) / LIKENESS).square() / 2)
