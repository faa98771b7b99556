"""Cosine Attention Video Colorization (Stival, Torres and Pedrini, VISAPP 2024)."""

from colorlab.papers.cavc.model import CAVC, CAVCConfig

__all__ = ["CAVC", "CAVCConfig"]
