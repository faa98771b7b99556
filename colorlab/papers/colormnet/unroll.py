"""A clip as in training: the exemplar's colours go in once, predictions are fed back, gradients flow through
all of it.

What differs from inference (`ColorMNet.step`), as in the authors' training: every frame is stored, and a
frame reads the exemplars and at most two others, drawn at random; local attention sees the frame just before;
the hidden state's deep update comes at random. In training mode all entries are read, not the best 30.
"""

from __future__ import annotations

from dataclasses import replace
import torch
from torch import Tensor, nn

from colorlab.papers.colormnet.state import AB_SCALE, State

DEEP_UPDATE_PROBABILITY = 0.2
OTHERS = 2  # frames read beside the exemplars


def unroll(network: nn.Module, l: Tensor, state: State, generator: torch.Generator | None = None) -> Tensor:
    """l: (B, T, 1, H, W), L in [0, 100]; `state` from `start`. Returns ab (B, T, 2, H, W) in ±110.

    Frames with given colours are returned unchanged. `generator` draws the frames to read and the deep
    updates.
    """
    state = network.opened(l[:, 0], state)
    exemplars, others, frames = state.held, [], []
    for t, frame in enumerate(l.unbind(1)):
        given = state.given
        with network.autocast(l.device):
            look = network.look(frame, state)
            if given is None:
                held = exemplars
                for query, rows, index in others if network.config.propagation != "memory" else _some(
                        others, generator):
                    held = network.propagation.write(held, query, rows, index, False)
                predicted, state = network.predict(look, replace(state, held=held), update=t > 0)
                ab = network.crop(predicted.chroma, frame) * AB_SCALE
            else:
                ab, predicted = network.given_colors(given, frame)
            frames.append(ab)
            if t + 1 == l.shape[1]:
                break
            by_chance = t > 0 and float(torch.rand((), generator=generator)) < DEEP_UPDATE_PROBABILITY
            rows, state = network.valued(look, predicted, state, given is not None or by_chance)
            state = network.remember(look, predicted, rows, state, keep=given is not None)
            if given is None:
                others.append((look.query, rows, t))
            else:
                exemplars = network.propagation.write(exemplars, look.query, rows, t, True)
        state = state.after_frame()
    return torch.stack(frames, dim=1)


def _some(frames: list, generator: torch.Generator | None) -> list:
    """At most OTHERS of them, in order."""
    if len(frames) <= OTHERS:
        return frames
    chosen = torch.randperm(len(frames), generator=generator)[:OTHERS]
    return [frames[i] for i in sorted(chosen.tolist())]
