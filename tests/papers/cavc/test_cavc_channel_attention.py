"""Single Channel Attention: any number of channels, and a cosine map that says something on grey film."""

import pytest
import torch
from skimage import data
from torch.testing import assert_close

from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.papers.cavc.channel_attention import CosineSimilarity, NoSimilarity, SingleChannelAttention


@pytest.fixture
def sca():
    torch.manual_seed(0)
    return SingleChannelAttention(CosineSimilarity(), width=16, features=64)


@pytest.fixture
def photograph():
    """(1, 1, 64, 64) in [-1, 1]"""
    return rgb_to_lab(frames_to_rgb(data.astronaut()[64:192:2, 160:288:2]))[None, :1] / 50 - 1


def test_one_grey_channel_and_three_equal_ones_give_the_same_features(sca, photograph):
    one, three = sca(photograph), sca(photograph.expand(-1, 3, -1, -1))
    assert_close(three.features, one.features, atol=1e-5, rtol=0)
    assert_close(three.similarity, one.similarity.expand(-1, 3, -1, -1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 2, 13])
def test_any_number_of_channels_gives_64_features_and_two_maps_each(sca, channels):
    found = sca(torch.rand(2, channels, 17, 10) * 2 - 1)
    assert found.features.shape == (2, 64, 17, 10)
    assert found.attended.shape == found.similarity.shape == (2, channels, 17, 10)


def test_every_channel_gets_the_same_treatment(sca):
    channels = torch.rand(1, 4, 12, 12) * 2 - 1
    found, rolled = sca(channels), sca(channels.roll(1, dims=1))
    assert_close(rolled.attended, found.attended.roll(1, dims=1))
    assert_close(rolled.similarity, found.similarity.roll(1, dims=1))
    assert_close(rolled.features, found.features)


def test_similarity_looks_at_the_next_channel_and_at_no_other(sca):
    channels = torch.rand(1, 4, 12, 12) * 2 - 1
    changed = channels.clone()
    changed[:, 2] = torch.rand(12, 12)
    same = (sca(channels).similarity == sca(changed).similarity).flatten(2).all(-1)
    # of channel 1 because 2 follows it, of 2 because it is itself
    assert same.tolist() == [[True, False, False, True]]


def test_similarity_is_a_cosine_that_differs_from_pixel_to_pixel_on_grey_film(sca, photograph):
    similarity = sca(photograph.expand(-1, 3, -1, -1)).similarity
    assert similarity.abs().max() <= 1 + 1e-6
    assert similarity.std() > 0.05  # a cosine between equal attended channels would be 1 everywhere


def test_cosine_of_known_vectors():
    attended = torch.tensor([[1.0, 0.0], [3.0, 4.0]]).view(1, 2, 2, 1, 1)
    embedded = torch.tensor([[1.0, 1.0], [0.0, 2.0]]).view(1, 2, 2, 1, 1)
    expected = torch.tensor([0.0, 7 / (5 * 2 ** 0.5)])  # channel 0 against 1, channel 1 against 0
    assert_close(CosineSimilarity()(attended, embedded).flatten(), expected)


def test_without_cosine_there_is_no_map_and_nothing_else_changes(sca, photograph):
    plain = SingleChannelAttention(NoSimilarity(), width=16, features=64)
    state = sca.state_dict()
    state["lift.weight"] = state["lift.weight"][:, :2]
    plain.load_state_dict(state)
    found = plain(photograph)
    assert found.similarity.shape == (1, 0, 64, 64)
    silent = sca.requires_grad_(False)
    silent.lift.weight[:, 2] = 0
    assert_close(found.features, silent(photograph).features)


def test_weights_sum_to_one_in_every_channel_and_differ_between_channels(sca):
    weights = sca.weights(torch.rand(1, 3, 20, 20) * 2 - 1, at=(3, 13))
    for maps in weights:
        assert_close(maps.sum((2, 3)), torch.ones(1, 3))
        assert not torch.allclose(maps[:, 0], maps[:, 1])
    assert weights.window[0, 0].nonzero().amin(0).tolist() == [0, 8]
    assert weights.shifted[0, 0].nonzero().amin(0).tolist() == [0, 12]
