"""The data sets of the papers: which there are, where they belong, whether they are complete, and their
official splits.

    clips = datasets.clips("davis2017", "val", "data")     # {name: folder of frames}, in the official order
    frames = colorlab.read_video(clips["camel"])
    l = datasets.lightness(frames_of_it, "opencv")         # grey input, made the way a paper makes it

Nothing is downloaded here: data/README.md says where each set comes from and on what terms.
"""

from colorlab.clips.datasets.catalogue import DATA_SETS, DataSet, Split
from colorlab.clips.datasets.grey import lightness, opencv_grey
from colorlab.clips.datasets.images import file_kept_by_tcavc, images, kept_by_tcavc
from colorlab.clips.datasets.reading import Check, check, clips
from colorlab.clips.datasets.unpack import unpack

__all__ = [
    "DATA_SETS", "Check", "DataSet", "Split", "check", "clips", "file_kept_by_tcavc", "images",
    "kept_by_tcavc", "lightness", "opencv_grey", "unpack"
]
