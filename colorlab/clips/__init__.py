"""The films used here for training and testing.

`film` returns a real take or an embedded clip by name. `embedded_clip` makes short films with exact optical
flow from photographs that are always available; `aged` makes an old film from either; `ClipDataset` reads
windows of frames from folders, films and photographs for training.
"""

from colorlab.clips.aged import ORTHOCHROMATIC, PANCHROMATIC, Aged, Wear, aged
from colorlab.clips.cache import cache_folder
from colorlab.clips.embedded import CLIPS, EmbeddedClip, embedded_clip
from colorlab.clips.moving import moving_photograph
from colorlab.clips.photographs import CUTOUTS, PHOTOGRAPHS, Cutout, cutout, photograph
from colorlab.clips.real import FILMS, REAL, TAKES, Take, film, real_file
from colorlab.clips.windows import ClipDataset, Found, Window, survey

__all__ = [
    "CLIPS",
    "CUTOUTS",
    "FILMS",
    "ORTHOCHROMATIC",
    "PANCHROMATIC",
    "PHOTOGRAPHS",
    "REAL",
    "TAKES",
    "Aged",
    "EmbeddedClip",
    "ClipDataset",
    "Cutout",
    "Found",
    "Take",
    "Wear",
    "Window",
    "aged",
    "cache_folder",
    "cutout",
    "embedded_clip",
    "film",
    "moving_photograph",
    "photograph",
    "real_file",
    "survey",
]
