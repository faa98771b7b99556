"""ColorMNet: colour propagated by a compressed memory of past frames."""

from .config import ColorMNetConfig
from .model import ColorMNet

__all__ = ["ColorMNet", "ColorMNetConfig"]
