"""How exactly a network computes: a choice that is made, and not a default of the device.

| name | what it is |
|---|---|
| float32 | float32 everywhere, as on a processor. NVIDIA's TF32, which torch else uses for convolutions, is off |
| tf32 | float32 in memory; convolutions and products of an NVIDIA GPU round what they multiply to 10 bits. No difference elsewhere |
| bf16, fp16 | autocast: convolutions and products in half precision; what needs its digits stays float32 (see `color`, `streamed_correlation`) |
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

PRECISIONS = ("float32", "tf32", "bf16", "fp16")


@contextmanager
def computed_in(precision: str, device: str) -> Iterator[None]:
    """Within, networks on a device of this type ("cuda", "cpu", "mps") compute so; afterwards all is as it
    was. For one thread at a time."""
    import torch  # not at the top: the names are to be had without it

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
