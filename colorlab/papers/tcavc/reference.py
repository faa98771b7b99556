"""Stage 1: where the reference comes from (TCAVC §3.2, Eq. 3; other ways: §5.2, Table 3).

A *painter* is any callable from lightness (B, 1, H, W), L in [0, 100], to a Lab picture (B, 3, H, W) of the
same size. The paper's own network is one, `painter_from_images` wraps any program that colours a picture, and
a picture that already exists needs none: pass it to `start`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.color import frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.modules.color_subnet import MiddleStage, WayDown, WayUp
from colorlab.modules.padding import repeat_border

Painter = Callable[[Tensor], Tensor]

PRIORS, PREVIOUS = 4, 3  # input channels that the released network keeps at 0.5, and at 0


class ReferenceColorizer(nn.Module):
    """Colour a picture from its lightness alone (Eq. 3): the colour network of Deep Exemplar with eight input
    channels.

    A first frame has only the last of them: L - 50. The first four were priors of a condition network that
    the authors abandoned, now constant 0.5; the next three are the Lab of the previous frame, used in their
    training on clips, here zeros. The weights expect both.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.down = WayDown(PRIORS + PREVIOUS + 1, width)
        self.middle = nn.ModuleList(MiddleStage(8 * width, dilation) for dilation in (2, 2, 1))
        self.up = WayUp(width)

    def forward(self, channels: Tensor) -> Tensor:
        """channels: (B, 8, H, W), H and W multiples of 8 -> ab (B, 2, H, W) in ±128."""
        source, skips = self.down(channels)
        for stage in self.middle:
            source = stage(source)
        return 128 * self.up(source, skips).tanh()

    def paint(self, l: Tensor) -> Tensor:
        """l: (B, 1, H, W), L in [0, 100], any H and W -> ab (B, 2, H, W)."""
        H, W = l.shape[-2:]
        l = repeat_border(l, multiple=8, smallest=16)
        priors, previous = (
            l.new_full((len(l), PRIORS, *l.shape[-2:]), 0.5),
            l.new_zeros(len(l), PREVIOUS, *l.shape[-2:]),
        )
        return self(torch.cat((priors, previous, l - 50), dim=1))[..., :H, :W]


def paint_at(colorizer: nn.Module, l: Tensor, size: tuple[int, int]) -> Tensor:
    """Colour l (B, 1, H, W) at a smaller size (h, w) and join it with the full L: Lab (B, 3, H, W), as the
    released script does.

    There: 216 x 384 for pictures of 480 x 848; bilinear both ways, without smoothing.
    """
    small = F.interpolate(l, size=size, mode="bilinear", align_corners=False)
    return join_lab(
        l, F.interpolate(colorizer.paint(small), size=l.shape[-2:], mode="bilinear", align_corners=False))


def through_8_bits(lab: Tensor) -> Tensor:
    """Lab (B, 3, H, W) after a round trip through an 8-bit picture file: RGB levels truncated to integers.

    The released code passes a PNG between its stages. This changes L by up to a unit or so, and by more where
    colours leave the gamut.
    """
    exact = lab.cpu() if lab.device.type == "mps" else lab  # which has no float64
    levels = lab_to_rgb(exact.double()).mul(255).floor().div(255)
    return rgb_to_lab(levels).to(lab.dtype).to(lab.device)


def painter_from_images(colorize_image: Callable[[np.ndarray], np.ndarray]) -> Painter:
    """A painter from any program that colours a picture: uint8 RGB (H, W, 3), grey -> uint8 RGB (H, W, 3),
    coloured.

    Its ab is joined with the film's own L. Raises InputError where it returns something else, or another
    size.
    """
    def paint(l: Tensor) -> Tensor:
        grey = rgb_to_frames(lab_to_rgb(join_lab(l, l.new_zeros(len(l), 2, *l.shape[-2:]))))
        painted = []
        for picture in grey:
            colored = np.asarray(colorize_image(picture))
            if colored.dtype != np.uint8 or colored.shape != picture.shape:
                raise InputError(f"the image colorizer returned {colored.dtype} {colored.shape} for uint8 "
                                 f"{picture.shape}: it must return uint8 RGB of the same size")
            painted.append(torch.from_numpy(colored))
        lab = rgb_to_lab(frames_to_rgb(torch.stack(painted))).to(l)
        return join_lab(l, lab[:, 1:])
    return paint
