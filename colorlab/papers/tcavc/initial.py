"""Pretrained files that TCAVC's second stage starts from: LSTVC's (§4, "the pretrained models in [13,
33]")."""

from __future__ import annotations

from colorlab.papers.lstvc import initial as lstvc
from colorlab.papers.lstvc.initial import SOURCES, WITHOUT_SOURCE
from colorlab.papers.lstvc.released import under

__all__ = ["FILES", "SOURCES", "WITHOUT_SOURCE"]

FILES = {whose: (sign, under("", "propagation.", names)) for whose, (sign, names) in lstvc.FILES.items()}
