"""The ablation tables of the four papers: which modules each row exchanges, and what the paper printed.

    table = TABLES["colormnet 2"]
    full = build(table, table.full, "course")
    row = table.rows[0]                                # "w/ ResNet50"
    model = build(table, row, "course", start=full)    # what the two share starts with the same weights

    read_study("data/ablations.csv")["lstvc 2"]["w/o linkage"]["psnr"]   # {seed: dB}: what was measured here before, `STUDY`

A row is a change of the method's config, and that change builds another module: no network here asks in its forward pass which row it
is. `quoted` are the papers' numbers, for comparison. They were obtained with other data, sizes, training
lengths and metrics, so they are not expected here; `remark` says what is known to be wrong or missing in
them. The tables called "... features" are
the course's own: the full network on its frozen features, and on the same features with random weights.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.files.errors import InputError
from colorlab.files.project_folders import PACKAGE
from colorlab.methods import load
from colorlab.modules.resizing import resized


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    name: str                                                    # as the paper calls it; "full" where it says "ours"
    quoted: tuple[float | None, ...] = ()                        # its numbers, in the order of the table's columns
    changes: Mapping[str, object] = field(default_factory=dict)  # fields of the config; none: the full network
    modules: tuple[str, ...] = ()                                # prefix of the only parameters that differ


@dataclass(frozen=True)
class Table:
    title: str
    method: str
    columns: tuple[str, ...]  # of the quoted numbers
    rows: tuple[Row, ...]
    remark: str
    measures: tuple[str, ...] = ()  # of `colorlab.metrics`, closest to the columns
    without: Mapping[str, object] = field(default_factory=dict)  # changes that switch the course's additions off

    @property
    def full(self) -> Row:
        """The row of the full network; the last where several rows have it."""
        return [row for row in self.rows if not row.modules and not row.changes][-1]


CAVC_COLUMNS = ("FID DAVIS", "CDC DAVIS")
CAVC_MEASURES = ("fid", "cdc")
LSTVC_COLUMNS = ("FID DAVIS", "LPIPS DAVIS", "PSNR DAVIS", "COLOR DAVIS", "WE DAVIS",
                 "FID Videvo", "LPIPS Videvo", "PSNR Videvo", "COLOR Videvo", "WE Videvo")
LSTVC_MEASURES = ("fid", "lpips_lstvc_code", "psnr", "colorfulness_lstvc_code", "warp_error")  # WE: times 1000, by its size
LSTVC_COLUMNS_WITH_TIME = (*LSTVC_COLUMNS[:5], "s/frame DAVIS", *LSTVC_COLUMNS[5:], "s/frame Videvo")
TCAVC_MEASURES = ("fid_ntire_scorer", "cdc")  # its repository's FID code is the challenge's scorer
CAVC_REMARK = ("Its FID is on a scale of its own, which its text bounds by 1; the published script of its author rounds frames to 0 and 1 first. "
               "At course size all rows begin with colours warped by similarity and position, so each part matters less. ")
RANDOM_REMARK = ("No paper has this row. At course size the frozen features are EfficientNet-Lite0's, with ImageNet's weights or with random ones, the "
                 "same in every run; all else of the network is trained alike.")
# What LSTVC's network of the paper's size computes for a frame of 216 x 384, by the row of Table 3: not in the
# paper, counted by tests/bench/bench_lstvc.py --work.
LSTVC_GFLOP = {"N = 1": 1009.0, "N = 2": 861.0, "N = 3": 827.0, "N = 4": 822.0, "N = 5": 828.0, "N = 6": 840.0}
_TOKENS = ("extractor", "fusion.norm", "fusion.project")

TABLES = {
    "cavc 3": Table(
        "CAVC, Table 3: cosine similarity between a channel and its neighbour", "cavc", CAVC_COLUMNS, (
            Row("with cosine", (4.35e-3, 5.42e-2)),
            Row("without cosine", (6.56e-3, 5.73e-2), {"similarity": "none"}, ("sca.lift",))),
        CAVC_REMARK + "The rows' labels are not legible in our copy; the first is taken for the one with cosine, as the text says it is better.",
        CAVC_MEASURES),
    "cavc 4": Table(
        "CAVC, Table 4: what looks at the reference", "cavc", CAVC_COLUMNS, (
            Row("VGG", (7.5e-3, 5.35e-2), {"extractor": "vgg19"}, _TOKENS),
            Row("ViT", (5.69e-3, 4.75e-2), {"extractor": "vit"}, _TOKENS),
            Row("the preset's own")),
        "On its FID see Table 3. Ten times worse than Table 5, although one row of each should be the same network: taken at other stages of training.",
        CAVC_MEASURES),
    "cavc 5": Table(
        "CAVC, Table 5: a histogram of the reference in the decoder", "cavc", CAVC_COLUMNS, (
            Row("with histogram", (3.30e-4, 5.10e-3)),
            Row("without histogram", (4.73e-4, 5.31e-3), {"guide": "none"}, ("hist", "decoder"))),
        "On its FID see Table 3. Its full row is neither Table 1's nor Table 3's.", CAVC_MEASURES),
    "lstvc 2": Table(
        "LSTVC, Table 2: without individual components", "lstvc", LSTVC_COLUMNS, (
            Row("w/o transformer, linkage", (54.10, 0.0632, 31.39, 14.18, 2.684, 60.90, 0.0795, 30.18, 11.41, 1.815), {"transformer": False},
                ("encoder", "colorization.middle", "linkage")),
            Row("w/o double head", (56.12, 0.0651, 31.38, 14.24, 2.495, 60.73, 0.0798, 30.16, 11.33, 1.504), {"second_head": False},
                ("heads", "colorization.down")),
            Row("w/o linkage", (54.55, 0.0620, 31.77, 14.46, 2.537, 59.79, 0.0771, 30.50, 11.74, 1.618), {"linkage": False}, ("linkage",)),
            Row("full architecture", (54.52, 0.0621, 31.77, 14.37, 2.486, 59.77, 0.0770, 30.50, 11.65, 1.599))),
        "How each row was trained is not said. WE has no unit; its size fits Lai et al.'s error times 1000. The lowest WE of the paper's "
        "Table 1 belongs to its most faded method. COLOR of the full row on Videvo is 11.65 here and 11.66 there.",
        LSTVC_MEASURES, {"rolling": False, "register": None, "block_size": 3}),
    "lstvc 3": Table(
        "LSTVC, Table 3: frames in a block", "lstvc", LSTVC_COLUMNS_WITH_TIME, (
            Row("N = 1", (54.64, 0.0621, 31.77, 14.35, 2.485, 0.1001, 59.71, 0.0769, 30.51, 11.66, 1.6, 0.0993), {"block_size": 1}),
            Row("N = 2", (54.54, 0.0621, 31.77, 14.37, 2.485, 0.0743, 59.79, 0.0770, 30.51, 11.66, 1.6, 0.0704), {"block_size": 2}),
            Row("N = 3", (54.52, 0.0621, 31.77, 14.37, 2.486, 0.0706, 59.77, 0.0770, 30.50, 11.65, 1.599, 0.0630)),
            Row("N = 4", (54.65, 0.0621, 31.77, 14.38, 2.487, 0.0730, 59.74, 0.0770, 30.50, 11.66, 1.6, 0.0630), {"block_size": 4}),
            Row("N = 5", (54.63, 0.0621, 31.77, 14.38, 2.492, 0.0774, 59.77, 0.0770, 30.50, 11.67, 1.6, 0.0575), {"block_size": 5}),
            Row("N = 6", (54.61, 0.0621, 31.77, 14.38, 2.492, 0.0840, 59.67, 0.0771, 30.49, 11.67, 1.598, 0.0631), {"block_size": 6})),
        "One network, trained with N = 2. Its seconds are an RTX 3090's.", LSTVC_MEASURES,
        {"rolling": False, "register": None, "block_size": 3}),
    "colormnet 2": Table(
        "ColorMNet, Table 2: features, propagation, locality", "colormnet", ("PSNR DAVIS", "SSIM DAVIS"), (
            Row("w/ ResNet50", (35.01, 0.962), {"features": "resnet50"}, ("features",)),
            Row("w/ DINOv2", (35.38, 0.963), {"features": "dinov2"}, ("features",)),
            Row("w/ concatenation", (35.26, 0.965), {"features": "concatenation"}, ("features",)),
            Row("w/ stacking", (33.94, 0.961), {"propagation": "stacking"}, ("propagation",)),
            Row("w/ recurrent", (35.26, 0.966), {"propagation": "recurrent"}, ("propagation",)),
            Row("w/o LA", (35.44, 0.967), {"local_attention": False}, ("local_attention",)),
            Row("full (PVGFE, MFP, LA)", (35.77, 0.970))),
        "Each row was trained for 160,000 iterations. The published scorer subtracts frames as uint8, which wraps around and lifts low "
        "PSNRs. At course size a small network stands in ResNet50's place, and EfficientNet-Lite0 of ImageNet, frozen, in DINOv2's.",
        ("psnr", "ssim"), {"register": None}),
    "colormnet 3": Table(
        "ColorMNet, Table 3: stacking and memory, time and memory", "colormnet", ("memory, % of stacking", "times as fast"), (
            Row("w/ stacking", (100.0, 1.0), {"propagation": "stacking"}, ("propagation",)),
            Row("full (MFP)", (7.8, 14.0))),
        "Maximum GPU memory and average running time; the text gives the ratios alone, \"nearly 14\" times, for NVCC2023's validation "
        "set. We assume the size and length of §4.2, 300 frames of 960 x 536 on an RTX A6000. The authors' script runs in float16, "
        "the networks here in float32 unless their `precision` says otherwise.", without={"register": None}),
    "tcavc 2": Table(
        "TCAVC, Table 2: semantic correspondence", "tcavc", ("FID DAVIS", "CDC DAVIS", "s/frame", "M parameters"), (
            Row("image colorization alone", (41.12, 0.005045, 0.4648, 32.80), {"semantic_correspondence": False}, ("propagation",)),
            Row("with correspondence", (46.28, 0.003836, 0.4718, 181.03))),
        "Two further rows with DVP, a network trained on each film by itself, are left out: FID 58.85 and 59.92, CDC 0.004189 and "
        "0.003708. Parameters of both stages are added here.", TCAVC_MEASURES, {"vividness": 1.0}),
    "tcavc 3": Table(
        "TCAVC, Table 3: where the reference comes from", "tcavc", ("FID DAVIS", "CDC DAVIS", "FID Videvo", "CDC Videvo"), (
            Row("retrieval", (53.38, 0.003939, 48.24, 0.001793)),
            Row("GCP", (50.19, 0.003843, 48.51, 0.001710)),
            Row("stage 1", (46.17, 0.004179, 45.35, 0.001684))),
        "The paper calls its last row ours-r. The second stage was trained anew for this table, mostly on retrieved references, so that row is not Table 2's. GCP is a "
        "generative network with weights of its own, which is not part of this package.",
        TCAVC_MEASURES, {"vividness": 1.0}),
    "cavc features": Table(
        "Course: CAVC on features that were never trained", "cavc", (), (
            Row("random features", (), {"extractor": "random"}, _TOKENS),
            Row("ImageNet features")),
        RANDOM_REMARK),
    "lstvc features": Table(
        "Course: LSTVC on features that were never trained", "lstvc", (), (
            Row("random features", (), {"backbone": "random"}, ("backbone", "fusion", "project")),
            Row("ImageNet features")),
        RANDOM_REMARK, without={"rolling": False, "register": None, "block_size": 3}),
    "colormnet features": Table(
        "Course: ColorMNet on features that were never trained", "colormnet", (), (
            Row("random features", (), {"backbones": "random"}, ("features", "value_encoder")),
            Row("ImageNet features")),
        RANDOM_REMARK, without={"register": None}),
}


def build(table: Table, row: Row, preset: str = "course", weights: str = "none", seed: int = 0, start: nn.Module | None = None) -> nn.Module:
    """The network of a row, in eval mode. start: one whose numbers it takes wherever names and shapes agree (`weights` are then not read).

    What differs from `start` is initialised from the seed.
    """
    without = table.without if preset == "course" else {}  # additions of the course only
    model = load(table.method, preset, "none" if start is not None else weights, seed, **(without | row.changes))
    if start is not None:
        take_over(model, start)
    return model


def take_over(model: nn.Module, start: nn.Module) -> None:
    """Copy another model's parameters wherever names and shapes agree."""
    own, shared = model.state_dict(), start.state_dict()
    model.load_state_dict(own | {name: shared[name] for name in set(own) - different(model, start)})


def different(model: nn.Module, other: nn.Module) -> set[str]:
    """Names of parameters that only one of the two has, or whose shapes differ."""
    one, two = ({name: tuple(value.shape) for name, value in network.state_dict().items()} for network in (model, other))
    return {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)}


def millions(model: nn.Module) -> float:
    """Parameters in millions, a frozen extractor's not counted."""
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


class Retrieval:
    """A painter for TCAVC's Table 3: the picture of a collection whose grey thumbnail is most like the frame's.

    The paper's retrieval compares PCA embeddings over ImageNet; this one compares centred thumbnails of 8 x
    12 and needs no training.
    """

    def __init__(self, pictures: Sequence[Tensor]):
        """pictures: Lab (1, 3, any, any) each."""
        self.pictures = list(pictures)
        self.thumbnails = torch.cat([thumbnail(picture[:, :1]) for picture in self.pictures])  # (P, 96)

    def __call__(self, l: Tensor) -> Tensor:
        """L (B, 1, H, W) -> Lab (B, 3, H, W)."""
        best = (thumbnail(l) @ self.thumbnails.to(l).mT).argmax(1)
        return torch.cat([resized(self.pictures[index].to(l), l.shape[-2:]) for index in best.tolist()])


def thumbnail(l: Tensor) -> Tensor:
    """L (B, 1, H, W) -> (B, 96): a small picture of it as a vector of mean 0 and length 1."""
    small = F.adaptive_avg_pool2d(l, (8, 12)).flatten(1)
    return F.normalize(small - small.mean(1, keepdim=True), dim=1)


STUDY = PACKAGE.parent / "data" / "ablations.csv"  # of the course networks, several seeds; data/README.md has its command
FORMER_ROWS = {"ours: PVGFE, MFP, LA": "full (PVGFE, MFP, LA)"}  # rows that older studies and sweeps call otherwise
Study = dict[str, dict[str, dict[str, dict[int, float]]]]         # table -> row -> metric -> seed -> value


def read_study(path: str | Path = STUDY) -> Study:
    """A study's numbers: {table: {row: {metric: {seed: value}}}}.

    path: a CSV with the columns table, row, seed and one for each metric, as `study_of_sweep` writes it. Raises InputError for a file
    that is none.
    """
    found: Study = {}
    try:
        for line in csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()):
            table, row, seed = line.pop("table"), line.pop("row"), int(line.pop("seed"))
            row = FORMER_ROWS.get(row, row)
            for metric, value in line.items():
                found.setdefault(table, {}).setdefault(row, {}).setdefault(metric, {})[seed] = float(value)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} is no table of a study (columns table, row, seed, and metrics): {error}") from error
    return found


def study_of_sweep(text: str) -> str:
    """The table.csv of `colorlab sweep notebooks/10_ablations.ipynb -p trained all -g seed=...` as a study: a line for each row and seed.

    A sweep has a line for each run and a column for each number, called TABLE.ROW.METRIC. Numbers keep six
    digits. Machine-dependent values (seconds, memory) are left out. Raises InputError if a run did not
    finish.
    """
    lines = list(csv.DictReader(text.splitlines()))
    if not lines or any(line.get("state") != "finished" for line in lines):
        raise InputError("every run of the sweep has to be finished")
    rows: dict[tuple[str, str, int], dict[str, str]] = {}
    for line in lines:
        for column, value in line.items():
            head, _, rest = column.partition(".")
            row, _, metric = rest.rpartition(".")
            table, row = head.replace("_", " "), FORMER_ROWS.get(row, row)
            if table in TABLES and row and value:
                rows.setdefault((table, row, int(line["seed"])), {})[metric] = f"{float(value):.6g}"
    order = {name: place for place, name in enumerate(TABLES)}
    place = lambda table, row: [one.name for one in TABLES[table].rows].index(row)
    metrics = list(dict.fromkeys(metric for values in rows.values() for metric in values))
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(("table", "row", "seed", *metrics))
    for (table, row, seed), values in sorted(rows.items(), key=lambda item: (order[item[0][0]], place(*item[0][:2]), item[0][2])):
        writer.writerow((table, row, seed, *(values[metric] for metric in metrics)))
    return written.getvalue()


if __name__ == "__main__":  # python -m colorlab.experiments.ablations runs/sweep-10_ablations/table.csv data/ablations.csv
    import sys

    Path(sys.argv[2]).write_text(study_of_sweep(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
