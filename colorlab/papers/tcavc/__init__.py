"""TCAVC: temporal consistent automatic video colorization via semantic correspondence."""

from colorlab.papers.tcavc.model import TCAVC, TCAVCConfig

__all__ = ["TCAVC", "TCAVCConfig"]
