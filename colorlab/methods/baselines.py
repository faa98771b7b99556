"""Two methods without a network, which every learned one should beat: colour held still, and colour carried
by optical flow.

`copy` shows how far the reference's colour gets without any motion. `flow` is made as strong as possible
without learning: colour moves from frame to frame along the flow, and where the flow cannot be trusted
(something comes into view, or the warped lightness does not match) it is repaired from trusted neighbours of
similar lightness.

**Choices, with measurements** (eleven real clips of 22 frames, short side 128, first frame as reference,
TV-L1 flow, mean PSNR of RGB): `copy` 27.2 dB; warping from frame to frame 33.4; sampling the reference along
the composed flows 33.3 (sharper, and better without occlusion, but it drifts at edges, where the blur of
frame-to-frame warping limits the error); frame to frame with repair 34.0. With another classical flow, one
flow straight to the reference was worst, and bicubic sampling was 0.9 dB worse than bilinear without repair
and no better with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.files.errors import InputError
from colorlab.modules.flow import estimate_flow, raft_file, warp
from colorlab.modules.flow.occlusion import inconsistent
from colorlab.modules.flow.warping import pixel_grid
from colorlab.modules.frames import as_clip
from colorlab.modules.references import Reference, References, parse_references
from colorlab.modules.resizing import resized
from colorlab.modules.sources import Attention, Source, own_pixel, reference_sources


@dataclass(frozen=True)
class CopyConfig:
    """Nothing to set."""

    @classmethod
    def paper(cls) -> CopyConfig:
        return cls()

    @classmethod
    def course(cls) -> CopyConfig:
        return cls()

    @classmethod
    def tiny(cls) -> CopyConfig:
        return cls()


@dataclass(frozen=True)
class CopyState:
    references: tuple[Reference, ...]
    frame: int = 0  # index of the next frame


class Copy(nn.Module):
    """The colour of the reference nearest in time, not moved (of two equally near, the earlier).

    A reference of another size is stretched to the film's. A picture that is not a frame of the film is used
    only if there is no other reference.
    """

    method = "copy"
    frames_per_step = 1
    description = "the reference's colour, held still"

    def __init__(self, config: CopyConfig = CopyConfig()):
        super().__init__()
        self.config = config

    def start(self, references: References) -> CopyState:
        return CopyState(_at_least_one(references, "copy"))

    def step(self, l: Tensor, state: CopyState) -> tuple[Tensor, CopyState]:
        """L (B, T, 1, H, W) or (B, 1, H, W) -> ab of the same leading shape, and the state after these
        frames."""
        clip, single = as_clip(l)
        T = clip.shape[1]
        nearest = [state.references[self.nearest(state.references, state.frame + t)] for t in range(T)]
        # (B, T, 2, H, W)
        ab = torch.stack([_colors(reference, clip[:, t]) for t, reference in enumerate(nearest)], 1)
        return (ab[:, 0] if single else ab), replace(state, frame=state.frame + T)

    def attention(self, l: Tensor, state: CopyState, at: tuple[int, int]) -> dict[Source, Tensor]:
        """All of a pixel's colour comes from the same place of one reference."""
        return self.attention_of(l, state)(at)

    def attention_of(self, l: Tensor, state: CopyState) -> Attention:
        sources, nearest = _sources(state.references, l), self.nearest(state.references, state.frame)
        return lambda at: {
            source: own_pixel(l.float(), at)
            if n == nearest else torch.zeros_like(l[0, 0], dtype=torch.float32)
            for n, source in enumerate(sources)
        }

    @staticmethod
    def nearest(references: tuple[Reference, ...], frame: int) -> int:
        """Index of the reference for a frame."""
        dated = [(abs(r.frame - frame), r.frame, index)
                 for index, r in enumerate(references)
                 if r.frame is not None]
        return min(dated)[2] if dated else 0


@dataclass(frozen=True)
class FlowConfig:
    estimator: Literal["auto", "raft", "classical"] = "auto"  # auto: RAFT if its weights are present locally
    repair: bool = True          # repair colour where the flow is unreliable; False: plain warping
    lightness_error: float = 8.0   # a warped L that is off by this much reduces trust by 40 %
    lightness_kinship: float = 4.0  # a neighbour whose L differs by this much weighs 40 % less in a repair
    reach: int = 12              # radius in pixels of a repair's neighbourhood, at a short side of 128

    @classmethod
    def paper(cls) -> FlowConfig:
        return cls()

    @classmethod
    def course(cls) -> FlowConfig:
        """The same numbers on every machine: never RAFT."""
        return cls(estimator="classical")

    @classmethod
    def tiny(cls) -> FlowConfig:
        return cls(estimator="classical", reach=4)


@dataclass(frozen=True)
class FlowState:
    """The last frame and its colours: all that the next frame needs."""

    references: tuple[Reference, ...]
    frame: int = 0                # index of the next frame
    l: Tensor | None = None       # (B, 1, H, W) lightness of the frame before
    ab: Tensor | None = None      # (B, 2, H, W) its colours
    # (B, 2, H, W) x, y in `source` from where each pixel's colour came, at film size
    trace: Tensor | None = None
    source: int = 0               # index of the reference that it came from
    estimator: str | None = None  # which estimator made the last flow: "raft" or "classical"


class CarriedColor(NamedTuple):
    """Colours of a frame, (B, 2, H, W), and where they come from: x, y in the reference at film size, (B, 2,
    H, W)."""

    ab: Tensor
    trace: Tensor


class Flow(nn.Module):
    """Colour carried from each frame to the next along optical flow.

    - A reference that is a frame of the film gives that frame its own colours, which are carried on from
      there. Nothing is propagated backwards, because the film is streamed.
    - Until the first such frame, a picture that is not a frame of the film is used if there is one, else the
      first reference is treated as such a picture: flow carries over what it can match (the same shot), and
      the rest is coloured from nearby places of similar lightness and texture (after Welsh et al. 2002).
    - If the film changes size, propagation restarts from the reference in use.
    """

    method = "flow"
    frames_per_step = 1

    def __init__(self, config: FlowConfig = FlowConfig()):
        super().__init__()
        self.config = config

    @property
    def description(self) -> str:
        """Which flow carries the colour."""
        raft = self.config.estimator == "raft" or (self.config.estimator == "auto" and raft_file().is_file())
        return "colour carried by optical flow: " + ("RAFT" if raft else "classical (TV-L1)")

    def start(self, references: References) -> FlowState:
        return FlowState(_at_least_one(references, "flow"))

    def step(self, l: Tensor, state: FlowState) -> tuple[Tensor, FlowState]:
        """L (B, T, 1, H, W) or (B, 1, H, W) -> ab of the same leading shape, and the state after these
        frames."""
        clip, single = as_clip(l)
        frames = []
        for frame in clip.float().unbind(1):
            state = self._next(frame, state)
            frames.append(state.ab)
        ab = torch.stack(frames, 1).to(l.dtype)  # (B, T, 2, H, W)
        return (ab[:, 0] if single else ab), state

    def attention(self, l: Tensor, state: FlowState, at: tuple[int, int]) -> dict[Source, Tensor]:
        """The place in the reference that the colour of pixel `at` originates from: four pixels with bilinear
        weights.

        For a repaired pixel, the neighbour with the largest weight in the repair is followed.
        """
        return self.attention_of(l, state)(at)

    def attention_of(self, l: Tensor, state: FlowState) -> Attention:
        """`attention` for any pixel of one frame; the flow is estimated once."""
        sources, after = _sources(state.references, l), self._next(l.float(), state)

        def at_pixel(at: tuple[int, int]) -> dict[Source, Tensor]:
            maps = {source: torch.zeros_like(l[0, 0], dtype=torch.float32) for source in sources}
            target = maps[sources[after.source]]
            H, W = target.shape
            x, y = (position.clamp(0, last)
                    for position, last in zip(after.trace[0, :, at[0], at[1]], (W - 1, H - 1)))
            for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
                i, j = min(int(y) + row, H - 1), min(int(x) + column, W - 1)
                target[i, j] += (1 - (y - int(y) - row).abs()) * (1 - (x - int(x) - column).abs())
            return maps
        return at_pixel

    def _next(self, l: Tensor, state: FlowState) -> FlowState:
        """The state after one frame, l (B, 1, H, W)."""
        own = [index for index, reference in enumerate(state.references) if reference.frame == state.frame]
        if own:
            ab = _colors(state.references[own[0]], l)
            return replace(state, frame=state.frame + 1, l=l, ab=ab, trace=pixel_grid(ab).expand_as(ab),
                           source=own[0])
        if state.l is not None and state.l.shape == l.shape:
            before, source = CarriedColor(state.ab, state.trace), state.source
            carried, estimator = self._carry(l, state.l, before, before)
        else:
            source = self._picture(state) if state.l is None else state.source
            carried, estimator = self._from_picture(l, state.references[source])
        return replace(state, frame=state.frame + 1, l=l, ab=carried.ab, trace=carried.trace, source=source,
                       estimator=estimator)

    @staticmethod
    def _picture(state: FlowState) -> int:
        """Index of the reference to start from when the first frame has none: a picture, else the earliest
        frame."""
        dated = [reference.frame is not None for reference in state.references]
        return min(range(len(dated)), key=lambda index:
                   (dated[index], state.references[index].frame or 0, index))

    def _from_picture(self, l: Tensor, reference: Reference) -> tuple[CarriedColor, str]:
        """Colours for a frame l (B, 1, H, W) from a picture of another moment or another scene."""
        picture = resized(reference.image.to(l), l.shape[-2:])  # (B, 3, H, W)
        there = CarriedColor(picture[:, 1:], pixel_grid(picture[:, 1:]).expand_as(picture[:, 1:]))
        return self._carry(l, picture[:, :1], there, match_lightness(l, picture))

    def _carry(
        self, l: Tensor, l_before: Tensor, before: CarriedColor, otherwise: CarriedColor
    ) -> tuple[CarriedColor, str]:
        """Warp colours along the flow from l_before to l, both (B, 1, H, W), and repair those that cannot be
        trusted.

        otherwise: colours to repair with. If it is the previous frame itself, neighbours are used; else these
        colours.
        """
        now, then = l / 100, l_before / 100
        flows, estimator = estimate_flow(
            torch.cat((now, then)), torch.cat((then, now)), self.config.estimator
        )
        flow, opposite = flows.chunk(2)
        carried = CarriedColor(*(warp(field, flow, "border") for field in before))
        if not self.config.repair:
            return carried, estimator
        error = warp(l_before, flow, "border") - l
        trust = torch.exp(-(error / self.config.lightness_error) ** 2 / 2)
        trust = trust * ~inconsistent(flow, warp(opposite, flow, "border"))  # (B, 1, H, W) in [0, 1]
        if otherwise is before:
            reach = max(2, round(self.config.reach * min(l.shape[-2:]) / 128))
            return repair(carried, l, trust, reach, self.config.lightness_kinship), estimator
        trace = torch.where(trust > 0.5, carried.trace, otherwise.trace)
        return CarriedColor(otherwise.ab.lerp(carried.ab, trust), trace), estimator


def repair(carried: CarriedColor, l: Tensor, trust: Tensor, reach: int, kinship: float,
           enough: float = 0.9) -> CarriedColor:
    """Repair colours with low trust from trusted neighbours of similar lightness.

    l, trust: (B, 1, H, W), trust in [0, 1]. Each low-trust pixel is blended, by its trust, with the mean of
    the colours on a 9 x 9 lattice that extends `reach` pixels to each side, weighted by trust, distance and
    similarity of L.
    """
    H, W = l.shape[-2:]
    b, y, x = (trust[:, 0] < enough).nonzero(as_tuple=True)            # (N,) each: the low-trust pixels
    offset = torch.linspace(-reach, reach, 9, device=l.device).round().long()
    dy, dx = (o.flatten() for o in torch.meshgrid(offset, offset, indexing="ij"))
    near = -(dy**2 + dx**2) / (2 * (reach / 2) ** 2)                   # (81,)
    ab, trace = carried.ab.clone(), carried.trace.clone()
    for part in torch.arange(len(b), device=l.device).split(1 << 16):  # flat memory for any size of film
        bs, ys, xs = b[part, None], y[part, None], x[part, None]
        yy, xx = (ys + dy).clamp(0, H - 1), (xs + dx).clamp(0, W - 1)  # (n, 81)
        unlike = (l[bs, 0, yy, xx] - l[bs, 0, ys, xs]) / kinship
        weight = (near - unlike.square() / 2).exp() * trust[bs, 0, yy, xx] + 1e-12
        # (n, 2)
        mended = (carried.ab[bs, :, yy, xx] * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
        own = trust[bs[:, 0], 0, ys[:, 0], xs[:, 0]][:, None]
        ab[bs[:, 0], :, ys[:, 0],
           xs[:, 0]] = carried.ab[bs[:, 0], :, ys[:, 0], xs[:, 0]] * own + mended * (1 - own)
        best = weight.argmax(1, keepdim=True)
        followed = carried.trace[bs, :, yy.gather(1, best), xx.gather(1, best)][:, 0]
        trace[bs[:, 0], :, ys[:, 0], xs[:, 0]] = torch.where(
            own > 0.5, trace[bs[:, 0], :, ys[:, 0], xs[:, 0]], followed
        )
    return CarriedColor(ab, trace)


def match_lightness(l: Tensor, picture: Tensor, samples: int = 24) -> CarriedColor:
    """Colour a frame l (B, 1, H, W) from places of a Lab picture (B, 3, H, W) that look similar in grey.

    The comparison uses L, normalised to the picture's mean and standard deviation, the local standard
    deviation of L in 5 x 5 pixels and, weakly, the position; colours are a softmax-weighted mean over a
    lattice of samples x samples places.
    """
    features = torch.cat((_look(l, picture[:, :1]), _place(l)), 1)                       # (B, 4, H, W)
    others = torch.cat((_look(picture[:, :1], picture[:, :1]), _place(l)), 1)
    y, x = (torch.linspace(0, side - 1, min(side, samples), device=l.device).round().long()
            for side in l.shape[-2:])
    pick = lambda field: field[..., y[:, None], x].flatten(2)                              # (B, C, M)
    keys, colors, places = pick(others), pick(picture[:, 1:]), pick(pixel_grid(l.expand(-1, 2, -1, -1)))
    ab, best = [], []
    for queries in features.flatten(2).split(1 << 15, -1):
        distance = torch.cdist(queries.mT, keys.mT).square()                               # (B, n, M)
        ab.append(colors @ (-distance).softmax(-1).mT)                                     # (B, 2, n)
        best.append(places[0][:, distance.argmin(-1)].movedim(0, 1))                       # (B, 2, n)
    return CarriedColor(*(torch.cat(parts, -1).view(len(l), 2, *l.shape[-2:]) for parts in (ab, best)))


def _look(l: Tensor, like: Tensor) -> Tensor:
    """L (B, 1, H, W) with another's mean and standard deviation, and its local deviation, in steps of 5: (B,
    2, H, W)."""
    center, spread = l.mean((-2, -1), keepdim=True), l.std((-2, -1), keepdim=True).clamp(min=1)
    matched = (l - center) / spread * like.std((-2, -1), keepdim=True) + like.mean((-2, -1), keepdim=True)
    mean, square = (F.avg_pool2d(field, 5, 1, 2, count_include_pad=False)
                    for field in (matched, matched.square()))
    return torch.cat((matched, (square - mean.square()).clamp(min=0).sqrt()), 1) / 5


def _place(l: Tensor, importance: float = 4.0) -> Tensor:
    """Positions scaled so that the whole frame is `importance` steps wide and high: (B, 2, H, W)."""
    x, y = pixel_grid(l.expand(-1, 2, -1, -1)).unbind(1)
    return (torch.stack((x / l.shape[-1], y / l.shape[-2]), dim=1) * importance).expand(len(l), -1, -1, -1)


def _at_least_one(references: References, method: str) -> tuple[Reference, ...]:
    parsed = parse_references(references)
    if not parsed:
        raise InputError(f"{method} needs a reference to take its colours from; give an image or "
                         "(frame_index, image)")
    return parsed


def _colors(reference: Reference, l: Tensor) -> Tensor:
    """The ab of a reference at the size, batch, device and dtype of a frame l (B, 1, H, W): (B, 2, H, W)."""
    ab = resized(reference.image[:, 1:].float().to(l.device), l.shape[-2:])
    return ab.to(l.dtype).expand(len(l), -1, -1, -1)


def _sources(references: tuple[Reference, ...], l: Tensor) -> list[Source]:
    if l.ndim != 4 or len(l) != 1:
        raise ValueError(f"attention looks at one frame, L shaped (1, 1, H, W), got {tuple(l.shape)}")
    return reference_sources(references)
