"""Pretrained files that the authors' training starts from, and the names of what they fill here.

LSTVC §4: "we utilize the pretrained video instance segmentation network VisTR to initialize the Transformer
branch in CNN-Transformer blocks"; TCAVC §4 adds Deep Exemplar ([13], whose colour network the second stage
contains). Neither says which layer goes where:

- VisTR's encoder has six layers, of the width, heads and inner width of ours. Each of the two stacks of
  CNN-Transformer blocks, four in the encoder and three in the colorization subnet, takes as many of them,
  starting from the first. The learned extra keys have no counterpart there. VisTR normalises after each
  residual, these layers before: the weights fit in name and shape, and are an initialisation, not a copy.
- Deep Exemplar's colour network has seven inputs as ours: lightness, warped colour, similarity, and the frame
  before, which the second head replaces here.

The files were not available when this was written; the code that reads them is tested on files with the same
names and shapes.
"""

from __future__ import annotations

from colorlab.papers.lstvc.released import MIDDLE, TRANSFORMER, WAY_DOWN, WAY_UP, under

WITHOUT_SOURCE = ("attention.bias_k", "attention.bias_v")  # name endings of parameters that no file has

_STACKS = ((4, "encoder.blocks"), (3, "colorization.middle"))
VISTR = tuple(pair for count, stack in _STACKS for k in range(count)
              for pair in under(f"transformer.encoder.layers.{k}.", f"{stack}.{k}.layer.", TRANSFORMER))
DEEP_EXEMPLAR = (
    ("conv1_1", "colorization.down.conv1_1"),
    *under("", "colorization.down.", WAY_DOWN),
    *under("", "colorization.middle.", MIDDLE),
    *under("", "colorization.up.", WAY_UP),
)

# whose -> (a name that only this file has, its names and ours); a file's own prefix "vistr." is dropped first
FILES = {
    "VisTR": ("transformer.encoder.layers.0.self_attn.in_proj_weight", VISTR),
    "Deep Exemplar": ("conv10_ab.weight", DEEP_EXEMPLAR),
}
SOURCES = ("VisTR's checkpoint of its ResNet-101 (Epiphqny/VisTR on GitHub: the link in its "
           "readme), Deep Exemplar's colornet_iter_*.pth "
           "(zhangmozhe/Deep-Exemplar-based-Video-Colorization on GitHub, its releases)")
