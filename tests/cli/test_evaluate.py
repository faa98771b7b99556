"""`colorlab evaluate`: films and folders in, a table, JSON and rows out, and one clear line where they do not
match."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from colorlab.cli import main
from colorlab.files.video import write_image, write_video
from colorlab.modules.flow import write_flo
from golden.make_metric_clips import build

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/metrics.json").read_text())
CLIPS = build()
QUICK = ("--metrics", "psnr,ssim,colorfulness,cdc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """pred/pan, pred/layers, gt/pan, gt/layers of PNG frames, and their exact flow in flow/CLIP."""
    root = tmp_path_factory.mktemp("clips")
    for name, clip in CLIPS.items():
        for side in ("pred", "gt"):
            (root / side).mkdir(exist_ok=True)
            write_video(root / side / name, getattr(clip, side))
        for way in ("forward", "backward"):
            (root / "flow" / name / way).mkdir(parents=True)
            for index, field in enumerate(getattr(clip, way)):
                write_flo(root / "flow" / name / way / f"{index:05d}.flo",
                          torch.from_numpy(field).permute(2, 0, 1))
    return root


def evaluated(tmp_path: Path, *arguments: object) -> dict:
    assert main(["evaluate", *map(str, arguments), "--json", str(tmp_path / "out.json")]) == 0
    return json.loads((tmp_path / "out.json").read_text())


def refused(capsys, *arguments: object) -> str:
    """The one line on the terminal of a run that must end with 2."""
    assert main(["evaluate", *map(str, arguments)]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    return line


def test_one_clip_gives_the_golden_numbers_flat(folder, tmp_path):
    report = evaluated(tmp_path, folder / "pred/pan", folder / "gt/pan", *QUICK)
    assert report["frames"] == 8
    assert report["psnr"] == pytest.approx(GOLDEN["psnr"]["pan"]["mean"], abs=1e-4)
    assert report["ssim"] == pytest.approx(GOLDEN["ssim"]["pan"]["skimage_default_mean"], abs=1e-6)
    assert report["colorfulness"] == pytest.approx(
        GOLDEN["colorfulness"]["pan"]["pred"]["rgyb_signed_mean"], rel=1e-6
    )
    assert report["cdc"] == pytest.approx(GOLDEN["cdc"]["pred"]["pan"]["cdc"], rel=1e-6)
    assert report["truth"]["cdc"] == pytest.approx(GOLDEN["cdc"]["gt"]["pan"]["cdc"], rel=1e-6)
    assert set(report["definitions"]) == {"psnr", "ssim", "colorfulness", "cdc"}


def test_all_eight_by_default_and_what_cannot_be_had_is_null_with_its_reason(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    report = evaluated(tmp_path, folder / "pred/pan", folder / "gt/pan", "--flow", folder / "flow/pan")
    for name in ("psnr", "ssim", "colorfulness", "cdc", "warp_error"):
        assert isinstance(report[name], float), name
    for name in ("lpips", "fid", "fvd"):
        assert report[name] is None and "and put it at" in report["definitions"][name], name


def test_a_folder_of_clips_is_a_data_set(folder, tmp_path):
    report = evaluated(tmp_path, folder / "pred", folder / "gt", "--metrics", "psnr,cdc,warp_error", "--flow",
                       folder / "flow")
    assert report["frames"] == 16 and set(report["clips"]) == {"pan", "layers"}
    assert report["psnr"] == pytest.approx(GOLDEN["psnr"]["dataset"]["mean_over_frames"], abs=1e-4)
    assert report["psnr_clip_mean"] == pytest.approx(GOLDEN["psnr"]["dataset"]["mean_over_clips"], abs=1e-4)
    assert report["cdc"] == pytest.approx(GOLDEN["cdc"]["pred"]["dataset"]["cdc"], rel=1e-6)
    assert report["warp_error"] == pytest.approx(
        GOLDEN["warp_error"]["dataset"]["pred"]["ruder_mask"], rel=1e-4
    )
    assert report["truth"]["warp_error"] == pytest.approx(0, abs=1e-12)
    assert report["clips"]["layers"]["psnr"] == pytest.approx(GOLDEN["psnr"]["layers"]["mean"], abs=1e-4)


def test_skipping_the_exemplar(folder, tmp_path):
    report = evaluated(tmp_path, folder / "pred", folder / "gt", "--metrics", "psnr", "--skip-exemplar")
    assert report["psnr_clip_mean"] == pytest.approx(
        GOLDEN["psnr"]["dataset"]["mean_over_clips_without_first"], abs=1e-4)
    other = evaluated(tmp_path, folder / "pred/pan", folder / "gt/pan", "--metrics", "psnr",
                      "--skip-exemplar", "--exemplar", 3)
    kept = [value for index, value in enumerate(GOLDEN["psnr"]["pan"]["per_frame"]) if index != 3]
    assert other["psnr"] == pytest.approx(sum(kept) / 7, abs=1e-4)


def test_a_film_is_scored_like_its_frames(folder, tmp_path):
    for side in ("pred", "gt"):
        write_video(tmp_path / f"{side}.mkv", getattr(CLIPS["pan"], side))
    film = evaluated(tmp_path, tmp_path / "pred.mkv", tmp_path / "gt.mkv", *QUICK)
    assert film["frames"] == 8
    assert "the prediction and the truth came from compressed film" in film["definitions"]["cdc"]
    assert film["psnr"] == pytest.approx(GOLDEN["psnr"]["pan"]["mean"], abs=0.5)  # the film is compressed
    mixed = evaluated(tmp_path, tmp_path / "pred.mkv", folder / "gt/pan", "--metrics", "psnr")
    assert mixed["psnr"] == pytest.approx(GOLDEN["psnr"]["pan"]["mean"], abs=0.5)


def test_rows_of_every_frame(folder, tmp_path):
    evaluated(tmp_path, folder / "pred", folder / "gt", *QUICK, "--csv", tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16 and {row["clip"] for row in rows} == {"pan", "layers"}
    found = [float(row["psnr"]) for row in rows if row["clip"] == "pan"]
    assert found == pytest.approx(GOLDEN["psnr"]["pan"]["per_frame"], abs=1e-4)
    assert all(float(row["truth_colorfulness"]) > 0 for row in rows)


def test_the_table_shows_the_truths_own_values(folder, capsys):
    assert main(["evaluate", str(folder / "pred/pan"), str(folder / "gt/pan"), *QUICK]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("cdc "))
    assert "0.15061" in line and "0.00232925" in line and "like the truth" in line
    assert "cdc: Jensen-Shannon" in out


def test_all_metrics_are_listed_with_what_they_mean(capsys):
    from colorlab.metrics import METRICS

    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--list-metrics"])
    assert stopped.value.code in (None, 0)
    assert all(f"{name} " in line and metric.definition in line for (name, metric), line in
               zip(METRICS.items(), capsys.readouterr().out.splitlines(), strict=True))


def test_frames_that_do_not_match_are_named(folder, tmp_path, capsys):
    partial = tmp_path / "partial"
    write_video(partial, CLIPS["pan"].pred)
    (partial / "00003.png").unlink()
    line = refused(capsys, partial, folder / "gt/pan", *QUICK)
    assert "lacks the frames 00003 that" in line
    line = refused(capsys, folder / "gt/pan", partial, *QUICK)
    assert f"{partial} lacks the frames 00003" in line


def test_frames_of_other_names_can_be_paired_by_order(folder, tmp_path, capsys):
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for index, frame in enumerate(CLIPS["pan"].pred, start=1):
        write_image(renamed / f"f{index:03d}.png", frame)
    assert "--by-order" in refused(capsys, renamed, folder / "gt/pan", *QUICK)
    report = evaluated(tmp_path, renamed, folder / "gt/pan", "--metrics", "psnr", "--by-order")
    assert report["psnr"] == pytest.approx(GOLDEN["psnr"]["pan"]["mean"], abs=1e-4)
    (renamed / "f008.png").unlink()
    assert "7 frames" in refused(capsys, renamed, folder / "gt/pan", *QUICK, "--by-order")


def test_clips_that_do_not_match_are_named(folder, tmp_path, capsys):
    (tmp_path / "some").mkdir()
    write_video(tmp_path / "some/pan", CLIPS["pan"].pred)
    assert "lacks the clips layers that" in refused(capsys, tmp_path / "some", folder / "gt", *QUICK)
    assert "one clip and" in refused(capsys, folder / "pred/pan", folder / "gt", *QUICK)


def test_sizes_that_do_not_match_are_named(folder, tmp_path, capsys):
    write_video(tmp_path / "small", CLIPS["pan"].pred[:, :64, :64])
    assert "frames of 64x64 and" in refused(capsys, tmp_path / "small", folder / "gt/pan", *QUICK)


def test_a_film_that_is_shorter_leaves_nothing_behind(folder, tmp_path, capsys):
    write_video(tmp_path / "short.mkv", CLIPS["pan"].pred[:5])
    line = refused(capsys, tmp_path / "short.mkv", folder / "gt/pan", *QUICK,
                   "--json", tmp_path / "out.json", "--csv", tmp_path / "rows.csv")
    assert "the prediction ends after 5 frames" in line
    assert [path.name for path in tmp_path.iterdir()] == ["short.mkv"]


@pytest.mark.parametrize("arguments, message", [
    (("nowhere", "{gt}"), "nowhere"),
    (("{pred}", "{gt}", "--metrics", "pnsr"), "no metric named pnsr"),
    (("{pred}", "{gt}", "--flow", "sideways"), "--flow is raft, classical, auto or a folder"),
    (("{pred}", "{gt}", "--device", "abacus"), "no device 'abacus'"),
    (("{pred}", "{gt}", "--exemplar", "3"), "give both"),
    (("{pred}", "{gt}", "--metrics", "psnr", "--json", "no/such/place.json"), "no/such does not exist"),
])
def test_bad_input_is_one_line_and_exit_code_2(folder, capsys, arguments, message):
    places = {"pred": folder / "pred/pan", "gt": folder / "gt/pan"}
    assert message in refused(capsys, *(text.format(**places) for text in arguments))
