"""LSTVC: exemplar-based video colorization with long-term spatiotemporal dependency."""

from .model import LSTVC, LSTVCConfig

__all__ = ["LSTVC", "LSTVCConfig"]
