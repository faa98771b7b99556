"""One frame or several: unify the two shapes that `step` accepts."""

from __future__ import annotations

from torch import Tensor


def as_clip(l: Tensor) -> tuple[Tensor, bool]:
    """(B, T, 1, H, W) or (B, 1, H, W), L in [0, 100] -> ((B, T, 1, H, W), whether it was a single frame)."""
    if l.ndim not in (4, 5) or l.shape[-3] != 1 or not l.is_floating_point():
        raise ValueError(f"step wants L in [0, 100] shaped (B, T, 1, H, W) or (B, 1, H, W), got {l.dtype} "
                         f"{tuple(l.shape)}; rgb_to_lab(rgb)[..., :1, :, :] makes that from RGB in [0, 1]")
    return (l.unsqueeze(1), True) if l.ndim == 4 else (l, False)
