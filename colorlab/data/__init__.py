"""The films that everything here learns from and is tried on.

`film` gives a real take or an embedded clip by name. `embedded_clip` makes short films with exact optical flow out of
photographs that are always at hand; `aged` makes an old film of either; `ClipDataset` reads windows of frames out of folders, films and photographs for training.
"""

from colorlab.data.aged import ORTHOCHROMATIC, PANCHROMATIC, Aged, Wear, aged
from colorlab.data.cache import cache_folder
from colorlab.data.embedded import CLIPS, Clip, embedded_clip
from colorlab.data.moving import moving_photograph
from colorlab.data.photographs import CUTOUTS, PHOTOGRAPHS, Cutout, cutout, photograph
from colorlab.data.real import FILMS, REAL, TAKES, Take, film, real_file
from colorlab.data.windows import ClipDataset, Found, Window, survey

__all__ = ["CLIPS", "CUTOUTS", "FILMS", "ORTHOCHROMATIC", "PANCHROMATIC", "PHOTOGRAPHS", "REAL", "TAKES", "Aged", "Clip",
           "ClipDataset", "Cutout", "Found", "Take", "Wear", "Window", "aged", "cache_folder", "cutout", "embedded_clip", "film", "moving_photograph", "photograph", "real_file", "survey"]
