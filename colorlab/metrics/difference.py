"""CIEDE2000, the perceptual difference between two colours: about 1 is just noticeable side by side.

After G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 color-difference formula: implementation notes,
supplementary test data, and mathematical observations", Color Research and Application 30(1), 2005; their
equation numbers are given in the comments. All weights are 1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.metrics.frames import Frame, check_pair

FAR = 25.0**7


def ciede2000(one: Tensor, other: Tensor) -> Tensor:
    """Lab (..., 3, H, W) twice -> (..., H, W), never negative, 0 for equal colours; symmetric."""
    (l1, a1, b1), (l2, a2, b2) = one.unbind(-3), other.unbind(-3)
    mean = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2                                    # (2), (3)
    g = 0.5 * (1 - _saturating(mean))                                                         # (4)
    a1, a2 = (1 + g) * a1, (1 + g) * a2                                                       # (5)
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)                                         # (6)
    h1, h2 = (torch.atan2(b, a).rad2deg().remainder(360) for a, b in ((a1, b1), (a2, b2)))    # (7)
    grey = c1 * c2 == 0
    turn = torch.where(grey, torch.zeros_like(h1), h2 - h1)
    turn = torch.where(turn > 180, turn - 360, torch.where(turn < -180, turn + 360, turn))    # (10)
    dl, dc, dh = l2 - l1, c2 - c1, 2 * (c1 * c2).sqrt() * torch.sin(torch.deg2rad(turn / 2))  # (8), (9), (11)
    l, c, total = (l1 + l2) / 2, (c1 + c2) / 2, h1 + h2                                       # (12), (13)
    apart = (h1 - h2).abs() > 180
    # (14)
    h = torch.where(grey, total,
                    torch.where(apart, torch.where(total < 360, total + 360, total - 360), total) / 2)
    # (15)
    t = 1 - 0.17 * _cos(h - 30) + 0.24 * _cos(2 * h) + 0.32 * _cos(3 * h + 6) - 0.20 * _cos(4 * h - 63)
    rotation = torch.deg2rad(60 * torch.exp(-((h - 275) / 25).square()))                      # 2 times (16)
    s_l = 1 + 0.015 * (l - 50).square() / (20 + (l - 50).square()).sqrt()                     # (18)
    s_c, s_h = 1 + 0.045 * c, 1 + 0.015 * c * t                                               # (19), (20)
    r_t = -torch.sin(rotation) * 2 * _saturating(c)                                           # (17), (21)
    dl, dc, dh = dl / s_l, dc / s_c, dh / s_h
    return (dl.square() + dc.square() + dh.square() + r_t * dc * dh).clamp(min=0).sqrt()      # (22)


def difference(predicted: Frame, truth: Frame) -> np.ndarray:
    """(H, W): CIEDE2000 of every pixel of two frames, uint8 (H, W, 3) RGB."""
    check_pair(predicted, truth)
    return ciede2000(*(rgb_to_lab(frames_to_rgb(frame)) for frame in (predicted, truth))).numpy()


def _saturating(chroma: Tensor) -> Tensor:
    """sqrt(C^7 / (C^7 + 25^7))."""
    power = chroma**7
    return (power / (power + FAR)).sqrt()


def _cos(degrees: Tensor) -> Tensor:
    return torch.cos(degrees * (math.pi / 180))
