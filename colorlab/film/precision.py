"""A network's numerical precision: an explicit choice instead of a device's default.

| name | meaning |
|---|---|
| float32 | float32 everywhere, as on a CPU. NVIDIA's TF32, which torch otherwise uses for convolutions, is off |
| tf32 | float32 in memory; convolutions and matrix products on an NVIDIA GPU round their operands to 10 bits of mantissa. No difference elsewhere |
| bf16, fp16 | autocast: convolutions and matrix products in half precision; what needs full precision stays float32 (see `color`, `streamed_correlation`) |
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

PRECISIONS = ("float32", "tf32", "bf16", "fp16")


@contextmanager
def computed_in(precision: str, device: str) -> Iterator[None]:
    """Context in which networks on a device of this type ("cuda", "cpu", "mps") use this precision; settings
    are restored afterwards. For one thread at a time."""
    import torch  # imported here so that the names are available without it

    if precision not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    try:
        with torch.autocast(device, dtype=half) if half else nullcontext():
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
