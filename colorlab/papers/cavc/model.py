"""CAVC: Cosine Attention Video Colorization (Stival, Torres and Pedrini, VISAPP 2024), Fig. 2 in code.

    L of a frame -> Single Channel Attention (channel_attention.py) -> encoder --.
    reference -> ViT-B/32 tokens ------------------------- fusion ---------------+-> decoder -> RGB
    reference -> colour histogram -> code -------------------------------------------^  (color_extraction.py,
    u_colorization.py)

| paper | here |
|---|---|
| s_g, gray frame | `l` (B, T, 1, H, W), to the network as L / 50 - 1 |
| s_r, reference frame | `references` |
| channel_att, channel_similarity, SCA_features | `ChannelFeatures.attended, .similarity, .features` |
| color_features (50 x 768) | `State.tokens` |
| color_histogram | `State.histograms`, through `hist` to a code |
| output | `CAVC.paint`, RGB in [-1, 1] |

Frames are independent of each other: the reference is encoded once, in `start`.

**Departures.** No network, weights or training code of CAVC are public, so this is a reconstruction.
Measurements below were made on this network. The choices that shape the result, and why:

- *The cosine* is between the attended channel and the next channel's embedding before attention, over the D =
  16 embedded features of a pixel, the last channel's neighbour being the first (channel_attention.py says why
  the other readings are constant on grey film). channel_att is 1 x H x W as the paper has it, by a 1x1
  convolution, and is added to its channel.
- *Three equal channels* give what one channel gives, so the film's L enters as one channel: same features, a
  third of the work.
- *64 SCA features* come from a shared 1x1 convolution of [channel, channel_att, channel_similarity], averaged
  over channels: a convolution over all channels at once would depend on how many there are, against
  contribution (iii).
- *The head* is one Swin head of width 16 with windows of 8, regular then shifted; the paper gives no sizes. 8
  divides all of 256..16.
- *ViT input* is resized to 224 with ImageNet's statistics, which the weights expect; the ViT is frozen and is
  not part of the checkpoint.
- *Fusion* resizes the 49 patch tokens bilinearly to the encoder's output, adds the class token everywhere and
  concatenates: 384 + 128 channels. The paper says "fusion"; a search for matches would be another method.
- *The histogram* is three marginal histograms of 256 bins, the same as CDC's, scaled so that a flat one is
  all ones: scaled to sum to 1, it is too weak to have an effect. It scales and shifts the features of each
  decoder level.
- *Convolutions* have shortcuts and group normalization; without them the path through the bottleneck can die
  at high learning rates, and the reference is ignored while the loss still falls.
- *The token projection starts large*, at five times PyTorch's default. On 48 x 80 films whose halves were
  recoloured separately, after 45 steps at 1e-3, exchanging the tokens moved ab by 2 with the default and by
  16 with this; at 3e-3 with the default it moved ab by 0.2: the path was dead.
- *Skips* join features of equal size, and SCA_features is the outermost: the paper lists it as the decoder's
  input.
- *Lightness:* the network paints RGB, lightness included. `step` keeps only its ab, so that the film's own L
  is preserved; `paint` returns the full RGB.
- *Reference:* the paper does not say which frame it is. Any picture works. Several are blended: see `blend`.
  A film's own frame given as reference is recoloured like every other frame, not copied.

Paper's training (§4.3): AdamW, 1e-4 falling linearly to 1e-6, 256 x 256; DAVIS for 100 epochs, then LDV for
10, and UVO separately for 10. Its loss is not given; we use L1 on RGB. "Overall, both phases of training were
conducted over 300,000 epochs" contradicts the 110 epochs: we read 300,000 iterations, the first 0.35 of them
on DAVIS (`train.recipes`, its `phases`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from colorlab.color import lab_to_rgb, rgb_to_lab, split_lab
from colorlab.files.errors import InputError
from colorlab.modules.choosing import choose
from colorlab.modules.frames import as_clip
from colorlab.modules.padding import repeat_border
from colorlab.modules.references import References, parse_references
from colorlab.modules.sources import Attention, Source
from colorlab.papers.cavc import explain
from colorlab.papers.cavc.channel_attention import CosineSimilarity, NoSimilarity, SingleChannelAttention
from colorlab.papers.cavc.color_extraction import VGG, Patches, VisionTransformer, histogram_features
from colorlab.papers.cavc.state import State, as_channels, blend
from colorlab.papers.cavc.u_colorization import DecoderLevel, EncoderLevel, Fusion, HistogramGuide, NoGuide

# The paper's ablations exchange one of these modules (Tables 3, 4 and 5); `Patches` is ours.
SIMILARITIES = {"cosine": CosineSimilarity, "none": NoSimilarity}
EXTRACTORS = {"vit": VisionTransformer, "vgg19": VGG, "patches": Patches}
GUIDES = {"histogram": HistogramGuide, "none": NoGuide}


@dataclass(frozen=True)
class CAVCConfig:
    """Sizes and exchangeable modules; the defaults are the paper's where it gives one, else the
    specification's."""

    similarity: str = "cosine"                            # one of SIMILARITIES (Table 3)
    extractor: str = "vit"                                # one of EXTRACTORS (Table 4)
    guide: str = "histogram"                              # one of GUIDES (Table 5)
    sca_width: int = 16  # embedded features of each pixel in Single Channel Attention
    sca_features: int = 64                                # SCA_features, §3.1.1
    widths: tuple[int, ...] = (64, 128, 256, 384)         # encoder levels, at 1/2 to 1/16 of the size
    decoder_widths: tuple[int, ...] = (256, 128, 64, 32)  # decoder levels, at 1/8 to full size
    head_width: int = 32  # channels of one attention head in encoder and decoder
    window: int = 8                                       # pixels along a window's side
    color_width: int = 128                                # channels of the tokens in the fusion
    code_width: int = 128                                 # size of the histogram's code
    bins: int = 256  # of the histogram, per channel; fewer make memorising a film harder
    dropout: float = 0.1                                  # of whole channels, in training
    frames_at_once: int = 1  # how many frames are coloured at a time; they do not see each other

    @classmethod
    def paper(cls) -> CAVCConfig:
        """12.5 M parameters beside the frozen ViT."""
        return cls()

    @classmethod
    def tiny(cls) -> CAVCConfig:
        """For tests."""
        return cls(extractor="patches", sca_width=4, sca_features=8, widths=(8, 8, 16, 16),
                   decoder_widths=(16, 8, 8, 8), head_width=8, window=4, color_width=8, code_width=8, bins=16,
                   dropout=0.0)


class CAVC(nn.Module):
    """Colour each frame by a reference's ViT tokens and histogram."""

    method = "cavc"
    matches = False  # it has no matching step
    extractors = EXTRACTORS
    beside = 0  # channels at full size beside SCA_features, added by subclasses
    outputs = 3      # channels of the last layer: RGB

    def __init__(self, config: CAVCConfig = CAVCConfig()):
        super().__init__()
        if len(config.decoder_widths) != len(config.widths):
            raise InputError(f"the decoder mirrors the encoder: {len(config.widths)} widths need as many "
                             f"decoder_widths, got {len(config.decoder_widths)}")
        self.config = config
        extractor = choose(self.extractors, "extractor", config.extractor)()
        if extractor.frozen:
            # unregistered: neither saved nor trained
            self.__dict__["extractor"] = extractor
        else:
            self.extractor = extractor
        similarity = choose(SIMILARITIES, "similarity", config.similarity)()
        guide = choose(GUIDES, "guide", config.guide)
        sizes = (config.head_width, config.window, config.dropout)

        self.sca = SingleChannelAttention(similarity, config.sca_width, config.sca_features, config.window)
        full = config.sca_features + self.beside  # channels at full size
        inner = (full, *config.widths)
        self.encoder = nn.ModuleList(EncoderLevel(i, o, *sizes) for i, o in zip(inner, config.widths))
        self.fusion = Fusion(extractor.width, config.color_width)
        self.hist = (
            nn.Sequential(
                nn.Linear(3 * config.bins, config.code_width),
                nn.GELU(),
                nn.Linear(config.code_width, config.code_width),
            )
            if guide.listens
            else nn.Identity()
        )
        inner = (config.widths[-1] + config.color_width, *config.decoder_widths)
        skips = (*config.widths[-2::-1], full)
        self.decoder = nn.ModuleList(
            DecoderLevel(i, s, o, guide(config.code_width, o), *sizes)
            for i, s, o in zip(inner, skips, config.decoder_widths)
        )
        self.head = nn.Conv2d(config.decoder_widths[-1], self.outputs, kernel_size=1)

    @property
    def frames_per_step(self) -> int:
        """Frames that `colorize` hands to one step: they are independent, so this affects memory only."""
        return self.config.frames_at_once

    def load_backbones(self) -> None:
        """Load ImageNet weights for the extractor. Raises InputError if they are unavailable or the extractor
        has none."""
        self.extractor.load_pretrained()

    def start(self, references: References) -> State:
        """Encode the references, each Lab (B, 3, h, w) of any size: a picture, or a list of pictures and
        (frame_index, picture)."""
        parsed = parse_references(references)
        if not parsed:
            raise InputError("cavc colours by a reference and was given none; pass a picture, or use tcavc, "
                             "which paints its own")
        if self.extractor.frozen and not self.extractor.pretrained:
            warnings.warn(f"the {self.config.extractor} colour extractor has random weights: good for "
                          "tests, and for speed and memory, not for colours; load with weights='imagenet' "
                          "for the real ones", stacklevel=2)
        pictures = [lab_to_rgb(reference.image) for reference in parsed]
        tokens = [self.extractor(rgb.to(self.head.weight.dtype)) for rgb in pictures]
        histograms = [histogram_features(rgb, self.config.bins) for rgb in pictures]
        return State(0, tuple(reference.frame for reference in parsed), torch.stack(tokens),
                     torch.stack(histograms))

    def step(self, l: Tensor, state: State) -> tuple[Tensor, State]:
        """Colour the next frames.

        l: (B, T, 1, H, W) or (B, 1, H, W), L in [0, 100], any H and W. Returns ab of the same shape with 2
        channels, in about ±110, and the state after these frames. Differentiable.
        """
        clip, single = as_clip(l)
        rgb = self.paint(clip, state)                                        # (B, T, 3, H, W)
        _, ab = split_lab(rgb_to_lab((rgb + 1) / 2))
        return (ab[:, 0] if single else ab), replace(state, frame=state.frame + clip.shape[1])

    def forward(self, l: Tensor, references: References) -> Tensor:
        """A whole clip with gradients: l (B, T, 1, H, W). Returns ab (B, T, 2, H, W). Training also needs
        RGB: see `paint`."""
        return self.step(l, self.start(references))[0]

    def paint(self, l: Tensor, state: State) -> Tensor:
        """The network's own pictures, lightness included, as the paper's output: (B, T, 1, H, W) -> (B, T, 3,
        H, W) RGB in [-1, 1]."""
        B, T = l.shape[:2]
        tokens, histograms = self.guidance(state, B, T)
        channels = as_channels(l.flatten(0, 1))
        return self.u_colorization(channels, tokens.flatten(0, 1),
                                   histograms.flatten(0, 1)).unflatten(0, (B, T))

    def guidance(self, state: State, B: int, T: int) -> tuple[Tensor, Tensor]:
        """The references' conditioning for each of the next T frames: tokens (B, T, 1 + n * n, width),
        histograms (B, T, 3 * bins)."""
        if state.tokens.shape[1] not in (1, B):
            raise ValueError(
                f"l holds {B} films and the references are for {state.tokens.shape[1]}; give one "
                "picture for each, or one for all")
        shares = [blend(state.moments, state.frame + t) for t in range(T)]
        tokens, histograms = (
            torch.stack([_mixed(known, voices) for voices in shares], dim=1)
            for known in (state.tokens, state.histograms)
        )
        return tokens.expand(B, -1, -1, -1), histograms.expand(B, -1, -1).to(tokens)

    def u_colorization(self, channels: Tensor, tokens: Tensor, histograms: Tensor) -> Tensor:
        """U-Colorization of one frame (§3.1.3).

        channels: (B, C, H, W) in [-1, 1], any C; tokens: (B, 1 + n * n, width); histograms: (B, 3 * bins).
        Returns RGB (B, 3, H, W) in [-1, 1].
        """
        H, W = channels.shape[-2:]
        features = self.sca(self.padded(channels)).features                  # (B, 64, H, W), padded
        return self.painted(features, tokens, histograms)[..., :H, :W].tanh()

    def painted(self, features: Tensor, tokens: Tensor, histograms: Tensor) -> Tensor:
        """Encoder, fusion and decoder: features (B, 64, H, W), padded -> (B, outputs, H, W), before any
        tanh."""
        skips = [features]
        for level in self.encoder:
            skips.append(level(skips[-1]))                                   # halves the size each time
        x = self.fusion(skips.pop(), tokens)                                 # (B, 384 + 128, H / 16, W / 16)
        code = self.hist(histograms)                                         # (B, 128)
        for level in self.decoder:
            x = level(x, skips.pop(), code)                                  # doubles it
        return self.head(x)

    def attention(self, l: Tensor, state: State, at: tuple[int, int]) -> dict[Source, Tensor]:
        """The sources of the colour of the pixel at (y, x); l: (1, 1, H, W). See `explain.attention_of`."""
        return self.attention_of(l, state)(at)

    def attention_of(self, l: Tensor, state: State) -> Attention:
        """`attention` for any pixel of one frame; shared work is done once."""
        return explain.attention_of(self, l, state)

    @torch.no_grad()
    def channel_maps(self, channels: Tensor, at: tuple[int, int]) -> explain.ChannelMaps:
        """Single Channel Attention's intermediate maps for any picture: channels (B, C, H, W) in [-1, 1], at
        = (y, x)."""
        return explain.channel_maps(self, channels, at)

    def patch_shares(self, H: int, W: int, at: tuple[int, int], patches: int) -> Tensor:
        """The weight of each patch token in the fusion at pixel `at` of an H x W frame: (n, n), summing to
        1."""
        return explain.patch_shares(self, H, W, at, patches)

    def padded(self, channels: Tensor) -> Tensor:
        """Pad to a size that every encoder level can halve."""
        return repeat_border(channels, multiple=2 ** len(self.config.widths))

    def _apply(self, fn, recurse: bool = True):
        """`.to(device)` and similar also move the extractor, which is not registered."""
        if self.extractor.frozen:
            self.extractor._apply(fn)
        return super()._apply(fn, recurse)


def _mixed(known: Tensor, shares: list[float]) -> Tensor:
    """(R, B, ...) -> (B, ...): the references' weighted mean. Weights stay Python numbers: as a tensor they
    would be copied to a GPU."""
    return sum(share * one for share, one in zip(shares, known) if share)
