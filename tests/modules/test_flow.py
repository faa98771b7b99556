"""Flow: warping, where it can be trusted, estimating it, and its files, against numbers computed by published
code."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from colorlab.files.errors import InputError
from colorlab.modules import flow as flows
from golden.make_metric_clips import build, wave

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/metrics.json").read_text())
CLIPS = build()


def as_flow(field: np.ndarray) -> torch.Tensor:
    """(H, W, 2) -> (1, 2, H, W)."""
    return torch.from_numpy(field).permute(2, 0, 1)[None]


def as_image(frame: np.ndarray) -> torch.Tensor:
    """uint8 (H, W, 3) -> (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(frame).permute(2, 0, 1)[None] / 255


def unpacked(text: str) -> torch.Tensor:
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))
    return torch.from_numpy(bits.reshape(1, 1, 96, 128).astype(bool))


def cases() -> list:
    pairs = [
        (f"{name}-{entry['pair'][0]}", entry, clip.forward[entry["pair"][0]], clip.backward[entry["pair"][0]])
        for name, clip in CLIPS.items()
        for entry in GOLDEN["occlusion"][name]
    ]
    pairs.append(("wave", GOLDEN["occlusion"]["wave"], *wave()))
    return [
        pytest.param(entry, as_flow(forward), as_flow(backward), id=name)
        for name, entry, forward, backward in pairs
    ]


# -- warping
# ---------------------------------------------------------------------------------------------------------

def test_no_motion_gives_the_image_back():
    image = torch.rand(2, 3, 7, 11, generator=torch.Generator().manual_seed(0))
    assert_close(flows.warp(image, torch.zeros(2, 2, 7, 11)), image, atol=1e-6, rtol=0)


def test_flow_points_to_where_the_pixel_is_found():
    image = torch.zeros(1, 1, 5, 6)
    image[0, 0, 3, 4] = 1.0
    flow = torch.zeros(1, 2, 5, 6)
    flow[0, :, 1, 2] = torch.tensor([2.0, 2.0])  # x + 2, y + 2: swapped axes would still land there, so:
    flow[0, :, 2, 1] = torch.tensor([3.0, 1.0])
    warped = flows.warp(image, flow)[0, 0]
    assert_close(warped[1, 2], torch.tensor(1.0), atol=1e-5, rtol=0)
    assert_close(warped[2, 1], torch.tensor(1.0), atol=1e-5, rtol=0)


def test_warping_matches_the_reference_sampler():
    forward, _ = wave()
    warped = flows.warp(as_image(CLIPS["pan"].gt[0]), as_flow(forward))
    inside = flows.inside_frame(as_flow(forward))
    assert inside.sum() == GOLDEN["warping"]["inside_pixels"]
    mean = warped[inside.expand_as(warped)].mean().item()
    assert mean == pytest.approx(GOLDEN["warping"]["mean_inside"], abs=1e-5)
    golden_row = torch.tensor(GOLDEN["warping"]["row_10_x_40_to_44"])
    assert_close(warped[0, :, 10, 40 : 40 + len(golden_row)].T, golden_row, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CLIPS)
def test_exact_flow_brings_the_next_frame_back(name):
    clip = CLIPS[name]
    for t in range(len(clip.forward)):
        forward, backward = as_flow(clip.forward[t]), as_flow(clip.backward[t])
        reliable = flows.reliable_ruder(forward, backward).reliable
        gap = flows.warp(as_image(clip.gt[t + 1]), forward) - as_image(clip.gt[t])
        assert gap.abs().mul(reliable).max() < 5e-6  # float positions; one level is 4e-3


def test_outside_is_zero_or_the_rim_as_asked():
    image, flow = torch.full((1, 1, 4, 4), 0.5), torch.full((1, 2, 4, 4), 9.0)
    assert flows.warp(image, flow).max() == 0
    assert flows.warp(image, flow, padding_mode="border").min() == 0.5


def test_half_precision_images_are_sampled_at_full_precision_positions():
    image = torch.arange(3000.0).view(1, 1, 1, 3000).expand(1, 1, 2, 3000) / 3000
    flow = torch.full((1, 2, 2, 3000), 0.5)
    exact = flows.warp(image, flow)
    assert_close(flows.warp(image.bfloat16(), flow).float(), exact, atol=4e-3, rtol=0)


def test_resizing_a_flow_scales_its_vectors():
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 6, 8)
    bigger = flows.resize_flow(flow, (12, 24))
    assert_close(bigger[0, :, 5, 5], torch.tensor([9.0, -4.0]))


# -- where to trust it
# -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("entry, forward, backward", cases())
def test_occlusion_of_lai_is_theirs_pixel_for_pixel(entry, forward, backward):
    mask = flows.occlusion_lai(forward, backward)
    assert int((mask != unpacked(entry["lai_mask_b64"])).sum()) <= 5
    assert int(mask.sum()) == pytest.approx(entry["lai_occluded"], abs=5)


@pytest.mark.parametrize("entry, forward, backward", cases())
def test_reliability_of_ruder_is_theirs_pixel_for_pixel(entry, forward, backward):
    classes = flows.reliable_ruder(forward, backward)
    assert int((classes.reliable != unpacked(entry["ruder_reliable_mask_b64"])).sum()) <= 5
    for name in ("out_of_frame", "disoccluded", "motion_boundary", "reliable"):
        assert int(getattr(classes, name).sum()) == pytest.approx(entry[f"ruder_{name}"], abs=5), name


@pytest.mark.parametrize("entry, forward, backward", cases())
def test_soft_mask_of_ruder(entry, forward, backward):
    soft = flows.soften(flows.reliable_ruder(forward, backward))
    stored = (soft - 1e-3).floor().clamp(0)  # their cast to 8 bits truncates, and their 255 is 254.99..
    assert stored.mean().item() == pytest.approx(entry["ruder_smoothed_mean"], abs=0.01)
    for level in (240, 125):
        assert int((soft >= level).sum()) == pytest.approx(
            entry[f"ruder_smoothed_at_least_{level}"], abs=5
        ), level


def test_every_pixel_has_exactly_one_class():
    classes = flows.reliable_ruder(*(as_flow(field) for field in wave()))
    assert torch.stack(classes).sum(0).unique().tolist() == [1]


def test_without_strictness_a_still_picture_is_reliable_to_its_rim():
    still = torch.zeros(1, 2, 6, 8)
    assert flows.reliable_ruder(still, still, strict=False).reliable.all()
    assert int(flows.reliable_ruder(still, still).out_of_frame.sum()) == 6 + 8 - 1


# -- estimating it
# ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", CLIPS)
def test_classical_flow_finds_a_known_motion(name):
    clip = CLIPS[name]
    estimate = flows.classical_flow(as_image(clip.gt[0]), as_image(clip.gt[1]))
    error = (estimate - as_flow(clip.forward[0])).square().sum(1).sqrt()
    assert error.median() < 0.1 and error.mean() < 0.3  # an axis swap would be off by whole pixels


def test_large_images_are_estimated_small_and_flow_enlarged():
    photo = torch.nn.functional.interpolate(
        as_image(CLIPS["pan"].gt[0]), scale_factor=3, mode="bicubic"
    ).clamp(0, 1)
    moved = photo.roll((6, 12), (-2, -1))
    flow = flows.classical_flow(photo, moved, short_side=96)
    middle = flow[0, :, 60:-60, 60:-60].flatten(1).median(1).values
    assert_close(middle, torch.tensor([12.0, 6.0]), atol=0.5, rtol=0)


def test_auto_says_what_it_used_and_waits_for_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file",
                        lambda *_, **__: pytest.fail("it went to the network"))
    image = as_image(CLIPS["pan"].gt[0][:32, :32])
    assert flows.estimate_flow(image, image).method == "classical"


def test_raft_without_weights_says_where_they_are_and_where_they_go(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    image = torch.rand(1, 1, 16, 16)
    with pytest.raises(InputError,
                       match=r"https://download\.pytorch\.org/models/raft_large.* put it at .*not known"):
        flows.estimate_flow(image, image, how="raft")


def test_raft_refuses_a_file_that_is_something_else(tmp_path):
    (tmp_path / "raft.pth").write_bytes(b"<html>404</html>")
    with pytest.raises(InputError, match="does not hold RAFT's weights"):
        flows.raft(tmp_path / "raft.pth")


class Recorder(torch.nn.Module):
    """Stands in for RAFT where only the way in and out is in question."""

    def forward(self, a, b, num_flow_updates):
        self.seen = a, b
        flow = torch.stack((a[:, 0], a[:, 0].cumsum(-1)), dim=1)
        return [flow * 0, flow]


def test_raft_gets_rgb_in_plus_minus_one_with_sides_it_can_halve():
    network, image = Recorder(), torch.rand(1, 1, 130, 99)
    flow = flows.raft_flow(network, image, image)
    seen = network.seen[0]
    assert seen.shape == (1, 3, 136, 128)
    assert_close(seen[0, 1, :130, :99], 2 * image[0, 0] - 1)
    assert_close(seen[0, 0, 135, 127], 2 * image[0, 0, 129, 98] - 1)
    assert_close(flow[0, 0], 2 * image[0, 0] - 1)  # the last of the list, cropped


def test_raft_runs_from_a_weights_file_with_stand_in_weights(tmp_path, monkeypatch):
    from torchvision.models.optical_flow import raft_large

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    flows.raft_file().parent.mkdir(parents=True)
    torch.save(raft_large(weights=None).state_dict(), flows.raft_file())
    image = as_image(CLIPS["pan"].gt[0])
    estimate = flows.estimate_flow(image, as_image(CLIPS["pan"].gt[1]))
    assert (
        estimate.method == "raft"
        and estimate.flow.shape == (1, 2, 96, 128)
        and estimate.flow.isfinite().all()
    )


# -- files
# -----------------------------------------------------------------------------------------------------------

def test_flo_files_come_back_as_they_were(tmp_path):
    flow = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(0))
    flows.write_flo(tmp_path / "a.flo", flow)
    assert_close(flows.read_flo(tmp_path / "a.flo"), flow, atol=0, rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.flo"]


def test_flo_bytes_are_magic_width_height_then_x_y_pairs(tmp_path):
    flow = torch.stack((torch.arange(6.0).view(2, 3), 10 + torch.arange(6.0).view(2, 3)))
    flows.write_flo(tmp_path / "a.flo", flow)
    raw = (tmp_path / "a.flo").read_bytes()
    assert raw[:4] == b"PIEH"
    assert np.frombuffer(raw, "<i4", 2, 4).tolist() == [3, 2]
    assert np.frombuffer(raw, "<f4", 4, 12).tolist() == [0, 10, 1, 11]


@pytest.mark.parametrize("raw, message", [
    (b"", "does not start with"),
    (np.int32([3, 2]).tobytes() + bytes(48), "does not start with"),  # a file without the magic number
    (b"PIEH" + np.int32([3, 2]).tobytes() + bytes(40), "has 60 bytes, the file 52"),
])
def test_flo_files_that_are_not_are_refused(tmp_path, raw, message):
    (tmp_path / "a.flo").write_bytes(raw)
    with pytest.raises(InputError, match=message):
        flows.read_flo(tmp_path / "a.flo")


@pytest.mark.parametrize("flow, message", [
    (torch.zeros(1, 5, 4, 2), r"\(B, 2, H, W\).*permute"),
    (torch.zeros(1, 2, 5, 4), r"resize_flow"),
])
def test_flows_of_other_shapes_are_refused(flow, message):
    with pytest.raises(ValueError, match=message):
        flows.warp(torch.zeros(1, 3, 4, 4), flow)


# -- on the embedded clips
# -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["layers", "rotation"])
def test_on_embedded_clips_exact_flow_leaves_nothing_and_the_estimate_is_close(name, tmp_path, monkeypatch):
    from colorlab.clips import embedded_clip

    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path))
    clip = embedded_clip(name, frames=2, height=96, width=128)
    exact, seen = torch.from_numpy(clip.forward[:1]), torch.from_numpy(clip.reliable_forward[:1, None])
    first, second = as_image(clip.frames[0]), as_image(clip.frames[1])
    gap = (flows.warp(second, exact) - first).square().mean(1, keepdim=True)
    # resampling only; unwarped, the frames differ
    assert gap[seen].mean() < 1e-3 < (second - first).square().mean()
    error = (flows.classical_flow(first, second) - exact).square().sum(1, keepdim=True).sqrt()
    assert error[seen].median() < 0.5
