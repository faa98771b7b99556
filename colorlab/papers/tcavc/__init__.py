"""TCAVC: temporal consistent automatic video colorization via semantic correspondence."""

from .model import TCAVC, TCAVCConfig

__all__ = ["TCAVC", "TCAVCConfig"]
