"""ColorMNet: colour propagated by a compressed memory of past frames."""

from colorlab.papers.colormnet.config import ColorMNetConfig
from colorlab.papers.colormnet.model import ColorMNet

__all__ = ["ColorMNet", "ColorMNetConfig"]
