"""The films that everything here learns from and is tried on.

`embedded_clip` makes short films with exact optical flow out of photographs that are always at hand; `ClipDataset` reads
windows of frames out of folders, films and photographs for training.
"""

from colorlab.data.cache import cache_folder
from colorlab.data.embedded import CLIPS, Clip, embedded_clip
from colorlab.data.moving import moving_photograph
from colorlab.data.photographs import CUTOUTS, PHOTOGRAPHS, Cutout, cutout, photograph
from colorlab.data.windows import ClipDataset, Found, Window, survey

__all__ = ["CLIPS", "CUTOUTS", "PHOTOGRAPHS", "Clip", "ClipDataset", "Cutout", "Found", "Window", "cache_folder", "cutout",
           "embedded_clip", "moving_photograph", "photograph", "survey"]
