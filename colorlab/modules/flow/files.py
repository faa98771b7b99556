"""The `.flo` files of the Middlebury benchmark: a magic number, width, height, then (dx, dy) pixel by
pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from colorlab.files.errors import InputError
from colorlab.files.atomic import atomically

MAGIC = np.float32(202021.25)  # reads "PIEH" as bytes


def read_flo(path: str | Path) -> Tensor:
    """Read a `.flo` file -> (2, H, W) float32 in pixels, x first.

    InputError for a file that is cut short or starts with something else; some data sets of this field have
    `.flo` files without the magic number, and guessing their layout could silently swap width and height.
    """
    raw = Path(path).read_bytes()
    if len(raw) < 12 or np.frombuffer(raw, "<f4", 1)[0] != MAGIC:
        raise InputError(f"{path} is not a .flo file: it does not start with the number 202021.25")
    W, H = np.frombuffer(raw, "<i4", 2, offset=4).tolist()
    if W < 1 or H < 1 or len(raw) != 12 + 8 * W * H:
        raise InputError(
            f"{path} is damaged: a {W} x {H} flow has {12 + 8 * W * H} bytes, the file {len(raw)}")
    field = np.frombuffer(raw, "<f4", 2 * W * H, offset=12).reshape(H, W, 2)
    if not np.isfinite(field).all():
        raise InputError(f"{path} is damaged: it holds motion that is no number; make or fetch it again")
    return torch.from_numpy(field.astype(np.float32)).permute(2, 0, 1).contiguous()


def write_flo(path: str | Path, flow: Tensor) -> None:
    """Write a flow, (2, H, W) in pixels, as a `.flo` file, atomically."""
    if flow.ndim != 3 or flow.shape[0] != 2:
        raise ValueError(
            f"write_flo wants one flow (2, H, W), got {tuple(flow.shape)}; take flow[0] of a batch")
    H, W = flow.shape[-2:]
    field = flow.detach().permute(1, 2, 0).to("cpu", torch.float32).numpy().astype("<f4")
    with atomically(Path(path)) as temporary:
        temporary.write_bytes(
            MAGIC.astype("<f4").tobytes() + np.array([W, H], "<i4").tobytes() + field.tobytes())
