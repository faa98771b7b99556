"""Every data set that the papers use, with the folder layouts of its archives.

A layout is a path below the set's folder in which {clip} stands for a clip's name: a folder of frames, or a
film where it ends in a suffix. The first layout of a split that is found there is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from colorlab.clips.datasets import splits


@dataclass(frozen=True)
class Split:
    layouts: tuple[str, ...]
    # the official names, in their order; () where none are published: then sorted by name
    clips: tuple[str, ...] = ()
    count: int = 0  # how many clips there should be; 0 where it is not known
    lengths: Mapping[str, int] = field(default_factory=dict)  # frames of each clip, where they are published
    frames: int = 0                                           # frames of all clips together, where that is
    step: int = 1  # neighbouring frames' numbers differ by this much


@dataclass(frozen=True)
class DataSet:
    title: str
    folder: str                  # below the data root
    splits: Mapping[str, Split]
    used_by: str
    source: str
    terms: str
    kind: Literal["clips", "images"] = "clips"
    note: str = ""


def _davis(names: tuple[str, ...], package: str, frames: int = 0) -> Split:
    """A split of DAVIS 2017; every package unpacks to the same root DAVIS/, so each has a folder of its
    own."""
    return Split((f"{package}/DAVIS/JPEGImages/480p/{{clip}}", f"{package}/JPEGImages/480p/{{clip}}",
                  "JPEGImages/480p/{clip}"), names, len(names), frames=frames)


def _lai(part: str, names: tuple[str, ...]) -> Split:
    """A part of the release of Lai et al.: <part>.zip."""
    return Split((f"{part}/input/videvo/{{clip}}", f"{part}/{part}/input/videvo/{{clip}}",
                  f"{part}/data/{part}/input/videvo/{{clip}}", f"data/{part}/input/videvo/{{clip}}",
                  f"{part}/{{clip}}"), names, len(names))


DATA_SETS: dict[str, DataSet] = {
    "davis2017": DataSet(
        "DAVIS 2017, 480p", "davis2017", {
            "train": _davis(splits.DAVIS_TRAIN, "trainval", 4209), "val": _davis(
                splits.DAVIS_VAL, "trainval", 1999), "test-dev": _davis(splits.DAVIS_TEST_DEV, "test-dev")
        }, used_by="all four papers; tests on val: ColorMNet; on test-dev: CAVC, LSTVC and TCAVC "
        "(by their figures)", source="https://davischallenge.org: DAVIS-2017-trainval-480p.zip (0.8 GB), "
        "DAVIS-2017-test-dev-480p.zip",
        terms="non-commercial research; cite both papers; frames are not to be passed on",
        note="val and test-dev are different sets of 30 clips and papers call both \"DAVIS "
        "test\"; widths run from 854 to 1140"),
    "videvo": DataSet(
        "Videvo, as released by Lai et al.", "videvo",
        {"train": _lai("train", splits.VIDEVO_TRAIN), "test": _lai("test", splits.VIDEVO_TEST)},
        used_by="LSTVC, ColorMNet, TCAVC",
        source="http://vllab.ucmerced.edu/wlai24/video_consistency/data/train.zip (25 GB) and "
        "test.zip (16 GB)", terms="each clip under videvo.net's own licence; not to be passed on as a set",
        note="the archives hold DAVIS and processed results too; LSTVC's count of 90 training "
        "clips fits no released list"),
    "fvi": DataSet(
        "FVI, the YouTube-VOS part", "fvi", {
            "train": Split(("FVI/Train/JPEGImages/{clip}", "Train/JPEGImages/{clip}"), count=1940, step=5),
            "test": Split(("FVI/Test/JPEGImages/{clip}", "Test/JPEGImages/{clip}"), count=100, step=5)
        }, used_by="LSTVC, TCAVC (training)",
        source="https://github.com/amjltc295/Free-Form-Video-Inpainting, doc/training.md",
        terms="research only, non-commercial",
        note="every fifth frame of its film: numbers go up by 5 and motion between neighbours is large"),
    "nvcc2023": DataSet(
        "NVCC2023 (NTIRE 2023 Video Colorization Challenge)", "nvcc2023", {
            "val": Split(("val/{clip}", "val_frames/{clip}", "{clip}"), tuple(splits.NVCC2023_VAL), 15,
                         splits.NVCC2023_VAL, 4339), "train": Split(("train/{clip}",))
        }, used_by="ColorMNet (test), TCAVC (stage 1, challenge)",
        source="ModelScope: ntire23_video_colorization by damo, subset val_frames; "
        "https://github.com/piddnad/CVPR2023_NTIRE_Video_Colorization", terms="not stated",
        note="frames are f001.png and on; the challenge's scorer fits exactly these names"),
    "ldv": DataSet(
        "LDV 1.0 (raw)", "ldv", {
            "train": Split(
                ("training_raw/{clip}.mkv", "training_raw/{clip}", "train/{clip}.mkv", "train/{clip}"),
                count=200), "val": Split(
                    ("validation_raw/{clip}.mkv", "validation_raw/{clip}", "val/{clip}.mkv", "val/{clip}"),
                    count=20)
        }, used_by="CAVC (fine-tuning and test)",
        source="https://github.com/RenYang-home/LDV_dataset: training_raw.zip; validation from "
        "the link there", terms="research; no licence file",
        note="take the raw films, not the compressed ones, which are degraded; LDV 2.0 and "
        "3.0 have other validation sets"),
    "uvo": DataSet(
        "UVO v1.0", "uvo", {
            "dense": Split(("UVOv1.0/uvo_videos_dense/{clip}.mp4", "uvo_videos_dense/{clip}.mp4",
                            "UVOv1.0/uvo_videos_dense_frames/{clip}", "uvo_videos_dense_frames/{clip}")),
            "sparse": Split(("UVOv1.0/uvo_videos_sparse/{clip}.mp4", "uvo_videos_sparse/{clip}.mp4",
                             "UVOv1.0/uvo_videos_sparse_frames/{clip}", "uvo_videos_sparse_frames/{clip}"))
        }, used_by="CAVC (trained on it apart, and tested: Table 2)",
        source="https://sites.google.com/view/unidentified-video-object/dataset: "
        "uvo_videos_dense.zip, uvo_videos_sparse.zip",
        terms="annotations CC BY 4.0; films remain their owners'",
        note="CAVC's 5,000 and 250 clips are an unpublished choice: take the first by name and say so"),
    "imagenet": DataSet(
        "ImageNet, ILSVRC 2012", "imagenet",
        {"train": Split(("train/{clip}",), count=1000), "val": Split(
            ("val/{clip}",), count=1000)}, used_by="TCAVC (stage 1)",
        source="https://www.image-net.org (an account is needed); torchvision unpacks it",
        terms="non-commercial research", kind="images",
        note="TCAVC drops grey, small and flat pictures (kept_by_tcavc), and so does its "
        "paper recipe"),
    "reds": DataSet(
        "REDS (sharp)", "reds", {
            "train": Split(
                ("train/train_sharp/{clip}", "train_sharp/{clip}"), tuple(f"{n:03d}" for n in range(240)),
                240, {f"{n:03d}": 100 for n in range(240)}, 24000), "val": Split(
                    ("val/val_sharp/{clip}", "val_sharp/{clip}"), tuple(
                        f"{n:03d}" for n in range(30)), 30, {f"{n:03d}": 100 for n in range(30)}, 3000)
        }, used_by="TCAVC (stage 1)",
        source="https://seungjunnah.github.io/Datasets/reds.html: train_sharp.zip, val_sharp.zip",
        terms="CC BY 4.0"),
    "sportsmot": DataSet(
        "SportsMOT", "sportsmot", {
            part: Split((f"dataset/{part}/{{clip}}/img1", f"{part}/{{clip}}/img1"), count=count)
            for part, count in (("train", 45), ("val", 45), ("test", 150))
        }, used_by="TCAVC (stage 1)", source="https://github.com/MCG-NJU/SportsMOT (registration)",
        terms="CC BY-NC 4.0, not to be passed on"),
}
