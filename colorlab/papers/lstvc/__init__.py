"""LSTVC: exemplar-based video colorization with long-term spatiotemporal dependency."""

from colorlab.papers.lstvc.model import LSTVC, LSTVCConfig

__all__ = ["LSTVC", "LSTVCConfig"]
