"""What is taken from the reference: tokens with the whole picture first, and CDC's histogram."""

from copy import deepcopy
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from colorlab.color import frames_to_rgb
from colorlab.files.errors import InputError
from colorlab.papers.cavc.color_extraction import (
    VGG,
    Patches,
    VisionTransformer,
    color_histogram,
    histogram_features,
)


@pytest.fixture(scope="module")
def vit():
    pytest.importorskip("torchvision")
    return VisionTransformer()


def test_histogram_is_numpys_histogram_of_the_8_bit_picture():
    torch.manual_seed(0)
    frame = torch.randint(0, 256, (2, 3, 20, 30))
    for bins in (256, 32):
        expected = [[np.histogram(channel, bins=bins, range=(0, 256))[0] / 600
                     for channel in image]
                    for image in frame.numpy()]
        assert_close(
            color_histogram(frame / 255, bins), torch.tensor(np.array(expected), dtype=torch.float32)
        )


def test_histogram_does_not_see_where_a_colour_is():
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 256, 256)
    shuffled = picture.flatten(2)[:, :, torch.randperm(256 * 256)].view_as(picture)
    assert_close(histogram_features(shuffled), histogram_features(picture), atol=0, rtol=0)


@pytest.mark.parametrize("bins", [256, 32])
def test_histogram_features_have_mean_square_one_in_each_channel(bins):
    torch.manual_seed(0)
    features = histogram_features(torch.rand(2, 3, 40, 50), bins)
    assert_close(features.view(2, 3, bins).square().mean(-1), torch.ones(2, 3))


def test_patch_tokens_stand_row_by_row_after_the_whole_picture():
    torch.manual_seed(0)
    extractor, picture = Patches(), torch.rand(1, 3, 70, 140)
    changed = picture.clone()
    changed[..., 20:30, 40:60] = 1 - changed[..., 20:30, 40:60]  # patch (2, 2) of 7 x 7
    differs = (extractor(picture) - extractor(changed)).abs().amax(-1)[0] > 1e-6
    assert differs.nonzero().flatten().tolist() == [0, 1 + 2 * 7 + 2]


def test_patch_tokens_keep_pale_and_strong_colours_apart_after_the_fusions_norm():
    torch.manual_seed(0)
    extractor, norm = Patches(), torch.nn.LayerNorm(Patches.width)
    pale, strong = (torch.tensor([0.5 + d, 0.5, 0.5 - d]).view(1, 3, 1, 1).expand(1, 3, 28, 28)
                    for d in (0.05, 0.4))
    assert (norm(extractor(pale)) - norm(extractor(strong))).norm(dim=-1).min() > 1


def test_vit_gives_50_tokens_of_a_picture_of_any_size(vit):
    assert vit(torch.rand(2, 3, 100, 178)).shape == (2, 50, 768)


def test_the_first_vit_token_is_the_class_token(vit):
    picture = torch.rand(1, 3, 224, 224)
    # torchvision's own route, its classifier taken off
    assert_close(vit(picture)[:, 0], vit.network(vit.normalized(picture)))


def test_imagenet_extractors_see_imagenet_statistics(vit):
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 30, 40)
    assert_close(vit.normalized(mean), torch.zeros(1, 3, 224, 224), atol=1e-6, rtol=0)


def test_random_features_are_the_same_in_every_run_and_disturb_no_generator(vit):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = VisionTransformer()
    assert_close(torch.rand(3), expected)
    assert_close(again.network.conv_proj.weight, vit.network.conv_proj.weight, atol=0, rtol=0)


def test_vgg_gives_49_tokens_and_their_mean():
    pytest.importorskip("torchvision")
    extractor = VGG()
    tokens = extractor(torch.rand(1, 3, 60, 80))
    assert tokens.shape == (1, 50, 512)
    assert_close(tokens[:, 0], tokens[:, 1:].mean(1))
    assert sum(parameter.numel() for parameter in extractor.parameters()) == 20_024_384


def test_weights_that_cannot_be_had_are_an_error_and_never_random(vit, monkeypatch):
    from torchvision.models import ViT_B_32_Weights

    def offline(self, *args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(ViT_B_32_Weights, "get_state_dict", offline)
    with pytest.raises(InputError, match="no route to host.*vit_b_32.*pth"):
        vit.load_pretrained()
    assert not vit.pretrained


def test_pretrained_weights_are_used_once_they_are_had(vit, monkeypatch):
    from torchvision.models import ViT_B_32_Weights

    state = {name: torch.full_like(value, 0.5) for name, value in vit.network.state_dict().items()}
    # the file has the classifier
    state |= {"heads.head.weight": torch.zeros(1000, 768), "heads.head.bias": torch.zeros(1000)}
    monkeypatch.setattr(ViT_B_32_Weights, "get_state_dict", lambda self, **options: state)
    fresh = deepcopy(vit)
    fresh.load_pretrained()
    assert fresh.pretrained and (fresh.network.class_token == 0.5).all()


def test_patches_have_no_imagenet_weights():
    with pytest.raises(InputError, match="weights='none'"):
        Patches().load_pretrained()


def test_histogram_is_the_one_that_cdc_compares():
    from colorlab.metrics import color_histograms

    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    ours = color_histogram(frames_to_rgb(frame)[None])[0]
    assert_close(ours, torch.tensor(color_histograms(frame), dtype=torch.float32))
