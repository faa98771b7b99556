"""Colour profiles of pictures, and conversion to sRGB, which the rest of the package assumes.

Phones tag their pictures Display P3, cameras Adobe RGB, printers' files are CMYK with a profile; PNG may name
a gamma and primaries instead. Profiles are applied by littleCMS, with relative colorimetry and black point
compensation, as browsers do. An unusable profile gives a warning, and the numbers are taken as sRGB.
"""

from __future__ import annotations

import io
import warnings
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from colorlab.files.errors import InputWarning


SRGB_PRIMARIES = ((0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))  # white, red, green, blue
SRGB_GAMMA = 0.45455  # what sRGB is called where a PNG can say no more than a power
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_srgb(image: Image.Image, name: object) -> Image.Image:
    """The picture in sRGB: RGB, or RGBA where it can be transparent; unchanged if it has no colour
    information.

    name: of its file, for warnings.
    """
    if profile := image.info.get("icc_profile"):
        return _by_profile(image, profile, name)
    if image.format == "PNG" and "srgb" not in image.info:
        return _by_gamma(image)
    return image


def transparent(image: Image.Image) -> bool:
    """Whether a picture has an alpha channel, or a colour that stands for transparent."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _by_profile(image: Image.Image, profile: bytes, name: object) -> Image.Image:
    alpha = image.convert("RGBA").getchannel("A") if transparent(image) else None
    opaque = (
        image
        if image.mode in ("RGB", "CMYK", "L", "LAB")
        else image.convert("L" if image.mode in ("LA", "La", "1") else "RGB")
    )
    try:
        converted = ImageCms.applyTransform(opaque, _transform(profile, opaque.mode))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        warnings.warn(f"{name}: its colour profile cannot be used ({str(error).splitlines()[0]}); its "
                      "colours are taken as sRGB", InputWarning,
                      stacklevel=2)
        return image
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB",
                                   ImageCms.Intent.RELATIVE_COLORIMETRIC,
                                   ImageCms.Flags.BLACKPOINTCOMPENSATION)


def _by_gamma(image: Image.Image) -> Image.Image:
    """By the power and the primaries that a PNG names; sRGB's own where it names one of them only."""
    gamma, primaries = float(image.info.get("gamma") or SRGB_GAMMA), image.info.get("chromaticity")
    pairs = tuple(zip(primaries[0::2], primaries[1::2])) if primaries else SRGB_PRIMARIES
    same_gamma = abs(gamma - SRGB_GAMMA) < 0.01
    same_primaries = np.allclose(pairs, SRGB_PRIMARIES, atol=0.002)
    if (same_gamma and same_primaries) or not 0.05 < gamma < 5:
        return image
    rgba = np.asarray(image.convert("RGBA" if transparent(image) else "RGB"))
    levels = np.arange(256) / 255
    light = (_srgb_to_linear(levels) if same_gamma else levels ** (1 / gamma))[rgba[..., :3]]  # (H, W, 3)
    if not same_primaries:
        light = light @ _between(pairs).T
    return Image.fromarray(np.concatenate((_from_linear(light), rgba[..., 3:]), -1))


def _srgb_to_linear(value: np.ndarray) -> np.ndarray:
    return np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)


def _from_linear(light: np.ndarray) -> np.ndarray:
    """Light of any range -> sRGB levels, uint8."""
    light = light.clip(0, 1)
    return (np.where(light > 0.0031308, 1.055 * light**(1 / 2.4) - 0.055, 12.92 * light) *
            255).round().astype(np.uint8)


def _between(pairs: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The matrix from linear RGB of these primaries, (white, red, green, blue) as x and y, to linear sRGB;
    white stays white."""
    theirs, ours = _to_xyz(pairs), _to_xyz(SRGB_PRIMARIES)
    cones = (BRADFORD @ theirs.sum(1), BRADFORD @ ours.sum(1))
    adapted = np.linalg.inv(BRADFORD) @ np.diag(cones[1] / cones[0]) @ BRADFORD
    return np.linalg.inv(ours) @ adapted @ theirs


def _to_xyz(pairs: tuple[tuple[float, float], ...]) -> np.ndarray:
    """(3, 3): linear RGB of primaries -> XYZ, white at Y = 1."""
    white, *colors = (np.array((x / y, 1, (1 - x - y) / y)) for x, y in pairs)
    columns = np.stack(colors, 1)
    return columns * np.linalg.solve(columns, white)
