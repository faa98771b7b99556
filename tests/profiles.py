"""Colour profiles for the tests, written byte by byte after the ICC's specification (ICC.1:2004)."""

from __future__ import annotations

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
# red, green, blue in XYZ, adapted to D50
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB_CURVE = [((v + 0.055) / 1.055) ** 2.4 if v > 0.04045 else v / 12.92 for v in np.linspace(0, 1, 1024)]


def fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(n * 65536)) for n in numbers)


def curve(values: list[float] | float) -> bytes:
    """A table of light, or a power."""
    if isinstance(values, float):
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(values * 256))
    return b"curv\0\0\0\0" + struct.pack(
        f">I{len(values)}H", len(values), *(round(v * 65535) for v in values)
    )


def profile(space: bytes, pcs: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0", b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50)
    } | tags
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    header = (struct.pack(">I", at + len(body)) + b"test" + struct.pack(">I", 0x02400000) + kind + space +
              pcs + bytes(12) + b"acsp" + bytes(28) + fixed(*D50))
    return header + bytes(128 - len(header)) + table + body


def rgb_profile(primaries: tuple, transfer: list[float] | float) -> bytes:
    tags = {name: b"XYZ \0\0\0\0" + fixed(*xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries)}
    return profile(b"RGB ", b"XYZ ", b"mntr",
                   tags | {name: curve(transfer) for name in (b"rTRC", b"gTRC", b"bTRC")})


def grey_profile(transfer: float) -> bytes:
    return profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": curve(transfer)})


def cmyk_profile() -> bytes:
    """A printer whose black ink alone is dark grey (L* 20) and whose other inks do nothing."""
    ramp = bytes(range(256))
    # Lab at each corner, k fastest
    corners = b"".join(bytes((round((100 - 80 * k) * 255 / 100), 128, 128)) for _ in range(8) for k in (0, 1))
    lut = b"mft1\0\0\0\0" + bytes(
        (4, 3, 2, 0)) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + ramp * 4 + corners + ramp * 3
    return profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": lut})
