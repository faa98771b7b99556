"""ColorMNet: A Memory-based Deep Spatial-Temporal Feature Propagation Network for Video Colorization.

Yang, Dong, Tang, Pan, ECCV 2024, with the network and the settings of the authors' released checkpoint and
test script.

=================  =====================================================  ===========================
paper              here                                                   file
=================  =====================================================  ===========================
G, L, F            `Guide`, `ResNet50`, `Features.coarse`                 backbones.py, features.py
Eq. 2              `ChannelAttention`                                     features.py
Q, K               `KeyHeads`: `Query.key`                                features.py
V, E               `ValueEncoder`                                         value_encoder.py
A, Eq. 4-8         `Memory.write`, `Memory.consolidated`, `prototypes`    memory.py
W, Eq. 9, 10       `similarity`, `read_top`                               readout.py
L^p, Eq. 12        `LocalAttention`                                       local_attention.py
D, Eq. 13          `Decoder`                                              decoder.py
Table 2            `FEATURES`, `PROPAGATION`                              build.py, propagation.py
=================  =====================================================  ===========================

**Departures.** Where paper and released code differ, this is the code:

- Eq. 1: only the guide passes a 3x3 convolution; query, key and value are 1x1 and depthwise 3x3, at twice the
  width, after a layer norm. Eq. 2's attention is between channels: 8 heads, cosine similarity, a learned
  temperature that multiplies, the guide as residual. There are three such blocks, at strides 16, 8 and 4; the
  paper has one.
- Eq. 9: each query channel has a learned selection, each entry a learned shrinkage; 1/8; only the 30 best
  entries are read.
- Eq. 7, 8: keys are picked, values and shrinkages are softmax mixtures; prototypes accumulate to 10,000, then
  the least used are evicted.
- §3.2: N_s = 10 frames includes the exemplar. Usage is the mass of the top-30 softmax, over the readings
  since insertion.
- Eq. 12: the source is the last *stored* frame, 1 to 5 frames back, not the previous one; a relative bias, a
  depthwise 5x5 and a linear layer come with it. After a foreign exemplar the first frame has no local
  attention.
- The recurrent hidden state, the decoder's CBAM and its skips are in the code alone; they are XMem's.

Where we deviate from the code:

- It knows the length of the film and does not store the last frame. A stream has no known end, so we store
  it. No output differs.
- It tracks the usage of long-term entries only if it expects the memory to fill; we always do. No output
  differs.
- Its evictions by exactly 0 entries, min_mid_frames = 1, more prototypes than candidates and fewer entries
  than top_k are errors; here they work. So do clips of one frame with a foreign exemplar, and frames under
  112 pixels.
- Every exemplar is kept for good, all of them counting as one of the N_s frames; the code protects the first
  alone. Where the first exemplar belongs to a later frame, it also serves as a foreign exemplar until the
  film reaches it.
- An exemplar of another size is resized in Lab, antialiased; the code resizes 8-bit RGB.
- Nothing is rounded to 8 bits, and no autocast is on unless `precision` asks for it (the authors' figures are
float16 ones).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.modules.frames import as_clip
from colorlab.modules.references import Reference, parse_references
from colorlab.modules.resizing import resized
from colorlab.modules.sources import Attention, Source

from colorlab.papers.colormnet import backbones, explain
from colorlab.papers.colormnet.build import build_features, build_propagation, build_value_encoder, initialise
from colorlab.papers.colormnet.config import ColorMNetConfig
from colorlab.papers.colormnet.decoder import Decoder
from colorlab.papers.colormnet.features import FrameEncoder, KeyHeads
from colorlab.papers.colormnet.local_attention import LocalAttention
from colorlab.papers.colormnet.state import AB_SCALE, SeenFrame, Predicted, Remembered, State
from colorlab.papers.colormnet.unroll import unroll


class ColorMNet(nn.Module):
    """Colour a film frame by frame from a memory of what was coloured before."""

    method = "colormnet"
    State = State

    def __init__(self, config: ColorMNetConfig = ColorMNetConfig()):
        super().__init__()
        self.config = c = config
        self.features = self.build_features()
        self.stride = self.features.stride
        patch = 1 if self.features.guide is None else self.features.guide.patch
        self.multiple = math.lcm(self.stride, patch)  # frames are padded to multiples of this
        self.key_heads = KeyHeads(c.channels[0], c.key)
        self.value_encoder = build_value_encoder(c)
        self.propagation = self.build_propagation()
        self.local_attention = LocalAttention(c.key, c.value, c.window) if c.local_attention else None
        self.decoder = Decoder(c.channels, c.value, c.hidden, c.decoder, self.stride // 4, c.hidden_inner)
        initialise(self)
        # the layout with the fewest copies in convolutions and per-pixel norms
        self.to(memory_format=torch.channels_last)
        self.train(self.training)

    # What subclasses may override

    def build_features(self) -> FrameEncoder:
        return build_features(self.config)

    def build_propagation(self) -> nn.Module:
        return build_propagation(self.config)

    @property
    def frames_per_step(self) -> int:
        return 1

    @property
    def matches(self) -> bool:
        """Whether colours are found by matching: "w/ Recurrent" does no matching."""
        return self.config.propagation != "recurrent"

    def train(self, mode: bool = True) -> ColorMNet:
        """Batch norms keep their statistics in training too, as in the authors' training; `propagation` reads
        all entries."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def start(self, references: Tensor | Sequence[Tensor | tuple[int, Tensor]]) -> State:
        """The state before a film's first frame.

        references: a Lab image (B, 3, H, W) that is not a frame of the film, or a list of images and
        (frame_index, image): that frame's own colours. Of any size. Raises ValueError without any: ColorMNet
        has no colours of its own.
        """
        parsed = parse_references(references)
        if not parsed:
            raise ValueError("ColorMNet needs a reference: a Lab image (B, 3, H, W), or a list with "
                             "(frame_index, image); the method 'tcavc' paints its own")
        return self.State(parsed, tuple(reference.frame for reference in parsed))

    def step(self, l: Tensor, state: State) -> tuple[Tensor, State]:
        """Color the next frame or frames.

        l: (B, T, 1, H, W) or (B, 1, H, W), L in [0, 100], any H and W. Returns ab of the same leading shape
        with 2 channels, in ±110, and the state after them. Raises ValueError if the size changes within a
        film.
        """
        clip, single = as_clip(l)
        frames = []
        for frame in clip.unbind(1):
            ab, state = self._frame(frame, state)
            frames.append(ab)
        return (frames[0] if single else torch.stack(frames, dim=1)), state

    def forward(self, l: Tensor, references: Tensor | Sequence[Tensor | tuple[int, Tensor]],
                generator: torch.Generator | None = None) -> Tensor:
        """A clip as in training (B, T, 1, H, W) -> ab (B, T, 2, H, W), through which gradients flow; see
        unroll.py."""
        return unroll(self, l, self.start(references), generator)

    def attention(self, l: Tensor, state: State, at: tuple[int, int]) -> dict[Source, Tensor]:
        """Where pixel (y, x) of the next frame gets its colour from: maps (H, W) that together sum to 1; see
        sources.py."""
        return self.attention_of(l, state)(at)

    def attention_of(self, l: Tensor, state: State) -> Attention:
        """`attention` for any pixel of one frame; shared work is done once."""
        return explain.attention_of(self, l, state)

    def load_backbones(self) -> None:
        """Start the backbones from ImageNet's and DINOv2's weights, as the authors' training does. Needs a
        network once."""
        backbones.load_pretrained(self.features.cnn, self.features.guide, self.value_encoder.cnn)

    # The stages of one frame, in order

    def _frame(self, l: Tensor, state: State) -> tuple[Tensor, State]:
        state = self.opened(l, state)
        given, every = state.given, self.config.deep_update_every
        due = (
            given is not None
            or state.last is None
            or state.frame - state.last.frame >= self.config.write_every
        )
        with self.autocast(l.device):
            look = self.look(l, state)
            if given is None:
                predicted, state = self.predict(look, state, update=not due or every >= 0)
                ab = self.crop(predicted.chroma, l) * AB_SCALE
            else:
                ab, predicted = self.given_colors(given, l)
            if due:
                waited = every < 0 or state.renewed is None or state.frame - state.renewed >= every
                deep = waited and (state.frame > 0 or given is not None)
                rows, state = self.valued(look, predicted, state, deep)
                state = self.remember(look, predicted, rows, state, keep=given is not None)
        return ab, state.after_frame()

    def opened(self, l: Tensor, state: State) -> State:
        """The state before a frame; before the first one, sizes are set and foreign exemplars are stored."""
        if state.size is not None:
            if state.size != tuple(l.shape[-2:]):
                raise ValueError(
                    f"this film began at {state.size[0]} x {state.size[1]} and now brings a frame of "
                    f"{l.shape[-2]} x {l.shape[-1]}; start() anew for another film")
            return state
        foreign = [r for r in state.references if r.frame is None]
        own = tuple(r for r in state.references if r.frame is not None)
        if not foreign and all(r.frame != 0 for r in own):
            foreign = [min(own, key=lambda r: r.frame)]
        H, W = (-(-size // self.multiple) * self.multiple for size in l.shape[-2:])
        state = replace(
            state, size=tuple(l.shape[-2:]), references=own,
            hidden=l.new_zeros(len(l), 2, self.config.hidden, H // self.stride, W // self.stride,
                               dtype=torch.float), position=self.features.position(H, W))
        with self.autocast(l.device):
            for i, reference in enumerate(foreign):
                lab = _resized(reference.image, l)
                look = self.look(lab[:, :1], state)
                rows, state = self.valued(look, Predicted(self.pad(lab[:, 1:] / AB_SCALE)), state, deep=False)
                state = replace(
                    state, held=self.propagation.write(state.held, look.query, rows, -1 - i, True)
                )
        return state

    def look(self, l: Tensor, state: State) -> SeenFrame:
        """L (B, 1, H, W) in [0, 100] -> the frame as the network sees it, padded with mid-grey, its features
        and its key."""
        image = self.pad(l / 50 - 1).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        features = self.features(image, state.position)
        return SeenFrame(image, features, self.key_heads(features.coarse))

    def predict(self, look: SeenFrame, state: State, update: bool) -> tuple[Predicted, State]:
        """Chroma of the padded frame (Eq. 13); `update`: also update the hidden state."""
        read, state = self.read(look, state)
        logits, state = self.decode(look, read, state, update)
        return Predicted(logits.tanh()), state

    def read(self, look: SeenFrame, state: State) -> tuple[Tensor, State]:
        """(B, 2, Cv, h, w), V + L: the read-out of memory plus that of the last stored frame nearby."""
        value, held = self.propagation.read(state.held, look.query)
        value, state = value.unflatten(1, (2, -1)), replace(state, held=held)
        if self.local_attention is None or state.last is None:
            return value, state
        nearby = self.local_attention(look.query.key, state.last.key, state.last.rows.unflatten(1, (2, -1)))
        return value + nearby, state

    def decode(self, look: SeenFrame, read: Tensor, state: State, update: bool) -> tuple[Tensor, State]:
        """The decoded read-out at full size before the tanh, (B, 2, H', W'), and the state with the next
        hidden state."""
        decoded = self.decoder(look.features, read, state.hidden)
        if update:
            state = replace(state, hidden=self.decoder.hidden_update(decoded, state.hidden))
        return decoded.logits, state

    def shares(self, look: SeenFrame, state: State) -> Tensor:
        """(h, w): the share of each cell's colour that comes from nearby and not from memory, for the first
        film: the two are added."""
        return torch.full_like(look.query.key[0, 0], 0.5)

    def given_colors(self, reference: Reference, l: Tensor) -> tuple[Tensor, Predicted]:
        """An exemplar's ab (B, 2, H, W) at the film's size, and as the network sees it."""
        ab = _resized(reference.image, l)[:, 1:]
        return ab, Predicted(self.pad(ab / AB_SCALE))

    def valued(self, look: SeenFrame, predicted: Predicted, state: State, deep: bool) -> tuple[Tensor, State]:
        """The value to store for a frame, (B, C, h, w); `deep`: also update the hidden state from it."""
        value = self.value_encoder(look.image, predicted.chroma, look.features.coarse)
        if deep:
            state = replace(state, hidden=self.value_encoder.deep_update(value, state.hidden),
                            renewed=state.frame)
        return value.flatten(1, 2), state

    def remember(
        self, look: SeenFrame, predicted: Predicted, rows: Tensor, state: State, keep: bool
    ) -> State:
        """The state that also holds this frame; `keep` for exemplars."""
        held = self.propagation.write(state.held, look.query, rows, state.frame, keep)
        return replace(state, held=held, last=Remembered(state.frame, look.query.key, rows))

    # Sizes and precision

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """Autocast to the config's precision; if it asks for none, the caller's own autocast applies."""
        if self.config.precision == "float32":
            return torch.autocast(device.type, enabled=torch.is_autocast_enabled(device.type))
        return torch.autocast(device.type, dtype=getattr(torch, self.config.precision))

    def pad(self, x: Tensor) -> Tensor:
        """Zeros on both sides, up to a multiple of `multiple`; an odd pixel goes to the bottom or right."""
        spare_y, spare_x = (-size % self.multiple for size in x.shape[-2:])
        return F.pad(x, (spare_x // 2, spare_x - spare_x // 2, spare_y // 2, spare_y - spare_y // 2))

    def crop(self, x: Tensor, like: Tensor) -> Tensor:
        H, W = like.shape[-2:]
        top, left = (x.shape[-2] - H) // 2, (x.shape[-1] - W) // 2
        return x[..., top:top + H, left:left + W]


def _resized(lab: Tensor, l: Tensor) -> Tensor:
    """A reference (B or 1, 3, ., .) at the film's batch, size and device, (B, 3, H, W)."""
    return resized(lab.to(l), l.shape[-2:]).expand(len(l), -1, -1, -1)
