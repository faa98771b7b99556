"""An explorer's view of one point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from colorlab.teaching import plots


@dataclass(frozen=True)
class View:
    """Everything shown for one point and one setting of the sliders."""

    picture: plots.Picture  # the picture to point at
    # {source: (H, W)}, >= 0: heat maps that together sum to one
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    # {source: the picture the map lies on}
    backgrounds: Mapping[str, plots.Picture] = field(default_factory=dict)
    # {name: picture}: more to see, beside the maps
    panels: Mapping[str, plots.Picture] = field(default_factory=dict)
    note: str = ""          # a line below
    title: str = "the pixel"  # the caption of `picture` in the still
    # the maps are answers of different networks, each summing to one, and not parts of one colour
    alternatives: bool = False

    @property
    def shares(self) -> dict[str, float]:
        """The share of the colour from each source; sums to 1. Nothing where the maps are alternatives."""
        if self.alternatives:
            return {}
        return {name: float(np.sum(values)) for name, values in self.maps.items()}


Look = Callable[..., View]
