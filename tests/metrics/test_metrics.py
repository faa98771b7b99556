"""Metrics against numbers computed with the code the papers published, and against what a wrong definition
would give."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from colorlab import metrics
from colorlab.files.errors import InputError
from golden.make_metric_clips import build, features, sha256, wave

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/metrics.json").read_text())
CLIPS = build()
NAMES = list(CLIPS)
EACH = pytest.mark.parametrize("name", NAMES)
SIDES = pytest.mark.parametrize("side", ["gt", "pred"])


def per_frame(measure, name: str) -> list[float]:
    clip = CLIPS[name]
    return [measure(predicted, truth) for predicted, truth in zip(clip.pred, clip.gt)]


def exact_flow(name: str) -> Callable:
    clip = CLIPS[name]
    return metrics.given_flow(*(torch.from_numpy(field).permute(0, 3, 1, 2)
                                for field in (clip.forward, clip.backward)))


def wave_flow() -> Callable:
    fields = (torch.from_numpy(field).permute(2, 0, 1).expand(7, -1, -1, -1) for field in wave())
    return metrics.given_flow(*fields)


def clips(flow: bool = False) -> list[metrics.ClipPair]:
    return [
        metrics.ClipPair(name, zip(c.pred, c.gt),
                     exact_flow(name) if flow else None) for name, c in CLIPS.items()
    ]


@EACH
@pytest.mark.parametrize("field", ["gt", "pred", "forward", "backward"])
def test_clips_are_those_the_numbers_belong_to(name, field):
    assert sha256(getattr(CLIPS[name], field)) == GOLDEN["clips"][name]["sha256"][field]


# -- PSNR
# ------------------------------------------------------------------------------------------------------------

@EACH
def test_psnr_of_each_frame(name):
    assert per_frame(metrics.psnr, name) == pytest.approx(GOLDEN["psnr"][name]["per_frame"], abs=1e-4)


@EACH
def test_psnr_is_the_mean_of_frames_and_the_pooled_one_is_another(name):
    clip, golden = CLIPS[name], GOLDEN["psnr"][name]
    report = metrics.evaluate(clip.pred, clip.gt, ("psnr", "psnr_pooled"))
    assert report["psnr"] == pytest.approx(golden["mean"], abs=1e-4)
    assert report["psnr_pooled"] == pytest.approx(golden["of_pooled_mse"], abs=1e-4)
    assert report["psnr_pooled"] < report["psnr"]


@EACH
def test_the_exemplar_can_be_left_out(name):
    report = metrics.evaluate(CLIPS[name].pred, CLIPS[name].gt, ("psnr", "cdc"), skip=(0,))
    assert report["psnr"] == pytest.approx(GOLDEN["psnr"][name]["mean_without_first"], abs=1e-4)
    # all frames, by definition
    assert report["cdc"] == pytest.approx(GOLDEN["cdc"]["pred"][name]["cdc"], rel=1e-6)


@EACH
def test_the_wrapped_psnr_is_reproduced_and_flatters(name):
    values = per_frame(metrics.psnr_wrapped_uint8, name)
    assert values == pytest.approx(GOLDEN["psnr"][name]["uint8_wraparound_per_frame"], abs=1e-4)
    assert np.mean(values) > GOLDEN["psnr"][name]["mean"] + 7


def test_an_error_of_sixteen_levels_is_not_none():
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert metrics.psnr(grey + np.uint8(16), grey) == pytest.approx(20 * math.log10(255 / 16))
    assert metrics.psnr_wrapped_uint8(grey + np.uint8(16), grey) == math.inf


def test_psnr_counts_down_as_it_counts_up():
    dark, light = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert metrics.psnr(dark, light) == metrics.psnr(light, dark) == 0


def test_one_equal_frame_does_not_make_the_mean_infinite():
    clip = CLIPS["pan"]
    predicted = [clip.gt[0], *clip.pred[1:]]
    assert metrics.psnr(predicted[0], clip.gt[0]) == math.inf
    report = metrics.evaluate(predicted, clip.gt, ("psnr", "psnr_pooled"))
    assert report["psnr"] == pytest.approx((100 + sum(GOLDEN["psnr"]["pan"]["per_frame"][1:])) / 8)
    assert "1 frame equals the truth" in report["definitions"]["psnr"]
    assert math.isfinite(metrics.evaluate(clip.gt, clip.gt, ("psnr_pooled",))["psnr_pooled"])


# -- SSIM
# ------------------------------------------------------------------------------------------------------------

@EACH
@pytest.mark.parametrize("measure, key", [(metrics.ssim, "skimage_default"),
                                          (metrics.ssim_gaussian, "skimage_gaussian")])
def test_ssim_of_each_frame(name, measure, key):
    assert per_frame(measure, name) == pytest.approx(GOLDEN["ssim"][name][f"{key}_per_frame"], abs=1e-6)


@pytest.mark.parametrize("size", [(7, 7), (7, 40), (33, 8)])
def test_ssim_is_scikit_images_at_any_size(size):
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    for predicted in (
        truth,
        255 - truth,
        rng.integers(0, 256, truth.shape, dtype=np.uint8),
        np.full_like(truth, 255),
    ):
        assert metrics.ssim(predicted, truth) == pytest.approx(
            structural_similarity(truth, predicted, channel_axis=2), abs=1e-9
        )


def test_ssim_says_when_frames_are_too_small():
    report = metrics.evaluate([CLIPS["pan"].pred[0][:6]], [CLIPS["pan"].gt[0][:6]], ("ssim", "psnr"))
    assert report["ssim"] is None and report["psnr"] is not None
    assert "at least 7 x 7 pixels, these are 128 x 6" in report["definitions"]["ssim"]


# -- colourfulness
# ---------------------------------------------------------------------------------------------------

@EACH
@SIDES
def test_colorfulness_and_its_published_variants(name, side):
    golden, frames = GOLDEN["colorfulness"][name][side], getattr(CLIPS[name], side)
    signed = [metrics.colorfulness(frame) for frame in frames]
    assert signed == pytest.approx(golden["rgyb_signed_per_frame"], rel=1e-6)
    assert [metrics.colorfulness_absolute(frame)
            for frame in frames] == pytest.approx(golden["rgyb_absolute_per_frame"], rel=1e-6)
    assert [metrics.colorfulness_lab(frame)
            for frame in frames] == pytest.approx(golden["lab_037_per_frame"], rel=1e-4)
    assert np.mean([metrics.colorfulness_lab(frame, sample=True) for frame in frames]) == pytest.approx(
        golden["lab_037_bupt_code_mean"], rel=1e-4)


def test_grey_has_no_colorfulness_and_one_flat_color_only_its_distance_from_grey():
    assert metrics.colorfulness(np.full((4, 4, 3), 130, np.uint8)) == pytest.approx(0, abs=1e-6)
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 100  # rg = 100, yb = 50, no spread
    assert metrics.colorfulness(red) == pytest.approx(0.3 * math.hypot(100, 50))


# -- CDC
# --------------------------------------------------------------------------------------------------

@EACH
@SIDES
def test_cdc_and_its_lags(name, side):
    golden, meter = GOLDEN["cdc"][side][name], metrics.ColorConsistency()
    for frame in getattr(CLIPS[name], side):
        meter.see(frame)
    assert meter.value() == pytest.approx(golden["cdc"], rel=1e-6)
    assert meter.value() == pytest.approx(golden["cdc_official"], rel=1e-4)
    for lag, means in meter.by_lag().items():
        assert means == pytest.approx([golden[f"t{lag}"][c] for c in "rgb"], rel=1e-6)


@EACH
@SIDES
def test_cdc_is_none_of_the_usual_mistakes(name, side):
    value = metrics.cdc(getattr(CLIPS[name], side))
    for mistake, wrong in GOLDEN["cdc"][side][name]["not_cdc"].items():
        assert value != pytest.approx(wrong, rel=1e-3), mistake


@SIDES
def test_cdc_of_a_set_is_the_mean_of_its_clips(side):
    report = metrics.evaluate_clips(clips(), ("cdc",))
    value = report["cdc"] if side == "pred" else report["truth"]["cdc"]
    assert value == pytest.approx(GOLDEN["cdc"][side]["dataset"]["cdc"], rel=1e-6)


def test_cdc_of_disjoint_colors_is_ln_2_and_of_shuffled_pixels_zero():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert metrics.cdc([black, white] * 4, lags=(1,)) == pytest.approx(math.log(2))
    frame = CLIPS["pan"].gt[0]
    assert metrics.cdc([frame, frame[::-1], frame[:, ::-1], frame, frame]) == 0


def test_cdc_says_that_a_clip_is_too_short():
    with pytest.raises(InputError, match="at least 5 frames; this one has 4"):
        metrics.cdc(CLIPS["pan"].gt[:4])
    report = metrics.evaluate(CLIPS["pan"].pred[:4], CLIPS["pan"].gt[:4], ("cdc", "psnr"))
    assert report["cdc"] is None and report["truth"]["cdc"] is None and report["psnr"] is not None
    assert "at least 5 frames" in report["definitions"]["cdc"]


# -- warp error
# ------------------------------------------------------------------------------------------------------

@EACH
@SIDES
def test_warp_error_of_each_pair(name, side):
    golden, frames, flow = GOLDEN["warp_error"][name][side], getattr(CLIPS[name], side), exact_flow(name)
    pairs = [(frames[t], frames[t + 1], flow(t, None, None)) for t in range(7)]
    assert [metrics.warp_error_lai(*pair)
            for pair in pairs] == pytest.approx(golden["lai_per_pair"], rel=1e-4)
    assert [metrics.warp_error(*pair) for pair in pairs] == pytest.approx(
        golden["ruder_mask_per_pair"], rel=1e-4, abs=1e-12
    )


@EACH
@pytest.mark.parametrize("metric, key", [("warp_error", "ruder_mask_mean"), ("warp_error_lai", "lai_mean")])
def test_warp_error_with_a_flow_of_fractions(name, metric, key):
    report = metrics.evaluate(CLIPS[name].pred, CLIPS[name].gt, (metric,),
                              tools=metrics.Tools(flow=wave_flow()))
    assert report[metric] == pytest.approx(GOLDEN["warp_error"][name]["pred_with_wave_flow"][key], rel=1e-4)


def test_warp_error_of_a_set_prints_the_truths_own():
    report = metrics.evaluate_clips(clips(flow=True), ("warp_error", "warp_error_lai"))
    golden = GOLDEN["warp_error"]["dataset"]
    assert report["warp_error"] == pytest.approx(golden["pred"]["ruder_mask"], rel=1e-4)
    assert report["warp_error_lai"] == pytest.approx(golden["pred"]["lai"], rel=1e-4)
    assert report["truth"]["warp_error"] == pytest.approx(0, abs=1e-12)
    assert report["truth"]["warp_error_lai"] == pytest.approx(golden["gt"]["lai"], rel=1e-4)
    assert "flow: exact" in report["definitions"]["warp_error"]


def test_the_truths_own_values_can_be_left_out():
    clip = CLIPS["pan"]
    scored = lambda truth: metrics.evaluate_clips(
        [metrics.ClipPair("pan", list(zip(clip.pred, clip.gt)))], ("psnr", "colorfulness"), truth=truth)
    with_truth, without = scored(True), scored(False)
    assert set(with_truth["truth"]) == {"colorfulness"} and without["truth"] == {}
    assert without["colorfulness"] == with_truth["colorfulness"]


def test_warp_error_on_ab_sees_color_and_not_lightness():
    clip, flow = CLIPS["pan"], exact_flow("pan")(0, None, None)
    grey, lit = np.full((96, 128, 3), 90, np.uint8), np.full((96, 128, 3), 160, np.uint8)
    assert metrics.warp_error(grey, lit, flow) > 0.01
    assert metrics.warp_error_ab(grey, lit, flow) == pytest.approx(0, abs=1e-3)
    assert metrics.warp_error_ab(clip.pred[0], clip.pred[1], flow) > 10


def test_flow_is_taken_from_the_truth_and_estimated_once_per_pair():
    seen, clip = [], CLIPS["pan"]

    def flow(index, first, second):
        seen.append((index, first, second))
        return exact_flow("pan")(index, first, second)

    metrics.evaluate(clip.pred[:3], clip.gt[:3], ("warp_error", "warp_error_lai", "warp_error_ab"),
                     tools=metrics.Tools(flow=flow))
    assert [index for index, _, _ in seen] == [0, 1]
    assert (seen[1][1] == clip.gt[1]).all() and (seen[1][2] == clip.gt[2]).all()


def test_a_pair_that_nothing_can_be_said_about_is_left_out():
    away = torch.full((3, 2, 96, 128), 500.0)
    away[1:] = 0
    frames = [CLIPS["pan"].gt[0]] * 4
    tools = metrics.Tools(flow=metrics.given_flow(away, -away))
    assert metrics.evaluate(frames, frames, ("warp_error",),
                            tools=tools)["warp_error"] == pytest.approx(0, abs=1e-12)
    lost = metrics.evaluate(frames[:2], frames[:2], ("warp_error",), tools=tools)
    assert lost["warp_error"] is None and "no pair" in lost["definitions"]["warp_error"]


# -- Frechet distance
# ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key, tolerance", [("full_rank", 1e-8), ("rank_deficient", 1e-6)])
def test_frechet_distance_as_four_libraries_have_it(key, tolerance):
    golden = GOLDEN["frechet"][key]
    x, y = (features(**{k: golden[side][k] for k in ("seed", "n", "d", "shift", "mix")}) for side in "xy")
    assert x.sum() == pytest.approx(golden["x"]["sum"])
    value = metrics.frechet_distance(metrics.moments(x), metrics.moments(y))
    assert value == pytest.approx(golden["eigh_reference"], rel=tolerance)
    assert value != pytest.approx(golden["biased_covariance"], rel=1e-4)


def test_frechet_distance_of_a_set_from_itself_is_zero_and_not_less():
    x = metrics.moments(features(1, 200, 8, 0.0, 0.3))
    assert 0 <= metrics.frechet_distance(x, x) < 1e-6


def test_pooling_clips_is_not_the_mean_of_clips():
    golden, pooled, each = GOLDEN["frechet"]["two_clips"], [metrics.Moments(8), metrics.Moments(8)], []
    for c in (golden["a"], golden["b"]):
        sides = [
            metrics.moments(features(c[f"{s}_seed"], c["n"], c["d"], c[f"{s}_shift"], c[f"{s}_mix"]))
            for s in "xy"
        ]
        each.append(metrics.frechet_distance(*sides))
        for total, side in zip(pooled, sides):
            total.merge(side)
    assert each == pytest.approx(golden["per_clip"], rel=1e-8)
    assert metrics.frechet_distance(*pooled) == pytest.approx(golden["pooled"], rel=1e-8)


def test_moments_in_batches_are_the_moments_of_all():
    x, total = 1000 + features(5, 50, 6, 0.0, 0.4), metrics.Moments(6)
    for start in (0, 1, 8, 31):
        total.add(x[start : {0: 1, 1: 8, 8: 31, 31: 50}[start]])
    assert total.count == 50
    assert total.mean == pytest.approx(x.mean(0))
    assert total.covariance == pytest.approx(np.cov(x.T), rel=1e-9)


def test_one_vector_has_no_covariance():
    with pytest.raises(InputError, match="at least 2 feature vectors"):
        metrics.frechet_distance(metrics.moments(np.ones((1, 4))), metrics.moments(np.ones((3, 4))))


# -- sets of clips, and what comes out
# -------------------------------------------------------------------------------

def test_a_mean_over_frames_and_a_mean_over_clips_have_different_names():
    short = CLIPS["layers"].pred[:2], CLIPS["layers"].gt[:2]
    long = CLIPS["pan"].pred, CLIPS["pan"].gt
    report = metrics.evaluate_clips(
        [metrics.ClipPair("long", zip(*long)), metrics.ClipPair("short", zip(*short))], ("psnr",)
    )
    frames = GOLDEN["psnr"]["pan"]["per_frame"] + GOLDEN["psnr"]["layers"]["per_frame"][:2]
    assert report["frames"] == 10
    assert report["psnr"] == pytest.approx(np.mean(frames), abs=1e-4)
    assert report["psnr_clip_mean"] == pytest.approx(
        (np.mean(frames[:8]) + np.mean(frames[8:])) / 2, abs=1e-4
    )
    assert report["clips"]["short"]["psnr"] == pytest.approx(np.mean(frames[8:]), abs=1e-4)


def test_every_number_comes_with_its_definition_and_the_report_is_json():
    names = [name for name in metrics.METRICS if not name.startswith("warp")]
    report = metrics.evaluate(CLIPS["pan"].pred, CLIPS["pan"].gt, names)
    assert set(report["definitions"]) == set(names) and all(name in report for name in names)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_rows_hold_each_frames_own_values():
    rows = []
    metrics.evaluate(CLIPS["pan"].pred, CLIPS["pan"].gt, ("psnr", "colorfulness"), skip=(0,),
                     on_row=rows.append)
    assert [row["frame"] for row in rows] == list(range(8))
    assert [row["psnr"] for row in rows[1:]] == pytest.approx(
        GOLDEN["psnr"]["pan"]["per_frame"][1:], abs=1e-4
    )
    assert rows[0]["psnr"] is None
    assert rows[1]["truth_colorfulness"] == pytest.approx(
        GOLDEN["colorfulness"]["pan"]["gt"]["rgyb_signed_per_frame"][1])


def test_films_of_different_lengths_are_not_scored():
    clip = CLIPS["pan"]
    with pytest.raises(InputError, match="the prediction ends after 5 frames and the truth goes on"):
        metrics.evaluate(clip.pred[:5], clip.gt, ("psnr",))
    with pytest.raises(InputError, match="the truth ends after 6 frames and the prediction goes on"):
        metrics.evaluate(clip.pred, clip.gt[:6], ("psnr",))


def test_an_unknown_metric_is_named():
    with pytest.raises(InputError, match="no metric named pnsr; there are psnr, ssim"):
        metrics.evaluate([], [], ("pnsr",))


@pytest.mark.parametrize(
    "frame", [np.zeros((4, 4, 3), np.float32),
              np.zeros((3, 4, 4), np.uint8),
              np.zeros((4, 4), np.uint8)])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        metrics.psnr(frame, frame)


def test_a_long_film_needs_no_more_memory_than_a_short_one():
    """Frames are let go as they pass: no more than a handful is ever alive."""
    import weakref

    alive: set[int] = set()
    peak = 0

    def film(count: int):
        nonlocal peak
        for index in range(count):
            frame = np.full((16, 16, 3), index % 256, np.uint8)
            alive.add(index)
            weakref.finalize(frame, alive.discard, index)
            peak = max(peak, len(alive))
            yield frame
            del frame

    truth = np.zeros((16, 16, 3), np.uint8)
    flow = metrics.given_flow(
        torch.zeros(1, 2, 16, 16).expand(300, -1, -1, -1),
        torch.zeros(1, 2, 16, 16).expand(300, -1, -1, -1))
    metrics.evaluate(film(300), (truth.copy() for _ in range(300)),
                     ("psnr", "colorfulness", "cdc", "warp_error"), tools=metrics.Tools(flow=flow))
    assert peak <= 4
