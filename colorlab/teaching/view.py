"""What an explorer shows for one point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from colorlab.teaching import plots


@dataclass(frozen=True)
class View:
    """What there is to see for one point and one setting of the sliders."""

    picture: plots.Picture  # the one to point at
    # {source: (H, W)}, >= 0: heat maps that together sum to one
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    # {source: the picture the map lies on}
    backgrounds: Mapping[str, plots.Picture] = field(default_factory=dict)
    # {name: picture}: more to see, beside the maps
    panels: Mapping[str, plots.Picture] = field(default_factory=dict)
    note: str = ""          # a line below

    @property
    def shares(self) -> dict[str, float]:
        """How much of the colour each source gives; together 1."""
        return {name: float(np.sum(values)) for name, values in self.maps.items()}


Look = Callable[..., View]
