"""The losses against the authors' numbers, against answers known by hand, and for what each is there to
notice."""

from pathlib import Path

import pytest
import torch
from golden.fill import draw, fill
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from colorlab.color import rgb_to_lab
from colorlab.files.checkpoints import rename
from colorlab.files.errors import InputError
from colorlab.modules.discriminator import PatchDiscriminator, PictureDiscriminator, SpectralConv
from colorlab.modules.flow import warp
from colorlab.modules.vgg import TORCHVISION, VGG19, caffe_input, trained_vgg
from colorlab.train import losses

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "training.safetensors")


def uncentred(lab: torch.Tensor) -> torch.Tensor:
    """The golden file centres L around 0."""
    return lab + lab.new_tensor((50.0, 0, 0)).view(3, 1, 1)


# L1

def test_l1_of_a_known_difference():
    truth = torch.zeros(2, 3, 2, 4, 5)
    assert_close(losses.l1(truth + 3, truth), torch.tensor(3.0))


def test_l1_does_not_depend_on_how_much_there_is():
    error = torch.rand(1, 1, 2, 4, 4)
    assert_close(losses.l1(error.repeat(3, 2, 1, 1, 1), torch.zeros(3, 2, 2, 4, 4)), error.mean())


def test_l1_refuses_to_broadcast():
    with pytest.raises(ValueError, match="like with like"):
        losses.l1(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4))


# Perceptual

def test_pictures_are_prepared_for_caffes_vgg_as_by_the_authors():
    assert_close(caffe_input(uncentred(GOLDEN["rgb.lab"])), GOLDEN["rgb.vgg_input"], atol=1e-3, rtol=0)


def test_perceptual_sums_the_layers_by_their_weights():
    truth = {layer: torch.zeros(1, 2, 3, 3) for layer in losses.TCAVC_LAYERS}
    predicted = {
        "relu3_2": truth["relu3_2"] + 1, "relu4_2": truth["relu4_2"] + 10, "relu5_2": truth["relu5_2"] + 2
    }
    assert_close(losses.perceptual(predicted, truth, losses.TCAVC_LAYERS), torch.tensor(0.02 + 0.3 + 2.0))


def test_vgg_finds_the_layers_that_torchvision_names_by_number():
    from torchvision.models.vgg import cfgs, make_layers

    ours, theirs = VGG19(seed=3), make_layers(cfgs["E"])[:32]
    theirs.load_state_dict({
        f"{index}.{part}": getattr(conv, part)
        for index, conv in zip(TORCHVISION, ours.convs.values())
        for part in ("weight", "bias")
    })
    lab = rgb_to_lab(torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0)))
    prepared = ours.preparation(lab)
    found = ours(lab, ("relu3_2", "relu5_2"))
    assert_close(found["relu3_2"], theirs[:14](prepared), atol=1e-5, rtol=1e-5)
    assert_close(found["relu5_2"], theirs(prepared), atol=1e-5, rtol=1e-5)


def test_a_caffe_file_brings_caffes_preparation(tmp_path):
    state = {
        f"{name}.{part}": getattr(conv, part).detach()
        for name, conv in VGG19(seed=7).convs.items()
        for part in ("weight", "bias")
    }
    save_file(state, tmp_path / "vgg19_conv.safetensors")
    loaded = trained_vgg(tmp_path / "vgg19_conv.safetensors")
    assert loaded.preparation is caffe_input and loaded.trained
    assert_close(loaded.convs["conv5_2"].weight, state["conv5_2.weight"])


def test_a_file_without_vgg_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="does not hold VGG-19"):
        trained_vgg(tmp_path / "other.safetensors")


def test_vgg_never_learns_but_lets_gradients_through():
    lab = rgb_to_lab(torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))).requires_grad_()
    vgg = VGG19()
    vgg(lab, ("relu2_2",))["relu2_2"].sum().backward()
    assert lab.grad.abs().sum() > 0 and all(p.grad is None for p in vgg.parameters())


# Temporal

def test_warping_agrees_with_the_authors_layer():
    assert_close(warp(GOLDEN["flow.ab"], GOLDEN["flow.flow"]), GOLDEN["flow.warped"], atol=1e-3, rtol=0)


def panning(frames: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A picture that moves two pixels to the right per frame, its flow, and where that stays inside."""
    picture = torch.rand(1, 2, 6, 20, generator=torch.Generator().manual_seed(2)) * 50
    ab = torch.stack([picture.roll(2 * t, -1) for t in range(frames)], dim=1)
    flow = torch.tensor((2.0, 0)).view(1, 1, 2, 1, 1).expand(1, frames - 1, 2, 6, 20)
    visible = torch.ones(1, frames - 1, 1, 6, 20)
    visible[..., -2:] = 0
    return ab, flow, visible


def test_colour_that_moves_with_the_film_costs_nothing():
    assert float(losses.temporal(*panning())) < 1e-5


def test_temporal_notices_the_wrong_direction_of_flow():
    ab, flow, visible = panning()
    assert float(losses.temporal(ab, -flow, visible)) > 5


def test_temporal_of_a_known_flicker():
    ab, flow, visible = panning(2)
    ab[:, 1] += 4
    share = visible.mean()
    assert_close(losses.temporal(ab, flow, visible), 4 * share, atol=1e-3, rtol=0)
    assert_close(losses.temporal(ab, flow, visible, squared=True), 16 * share, atol=1e-3, rtol=0)


def test_what_is_hidden_may_change():
    ab, flow, visible = panning(2)
    assert float(losses.temporal(ab + torch.rand_like(ab), flow, torch.zeros_like(visible))) == 0


# Smoothness

def test_neighbour_mean_agrees_with_the_authors():
    found = losses.neighbour_mean(GOLDEN["smooth.pred_ab"], uncentred(GOLDEN["smooth.lab"]))
    assert_close(found, GOLDEN["smooth.averaged"], atol=1e-4, rtol=0)


def test_smoothness_agrees_with_the_authors():
    found = losses.smoothness(GOLDEN["smooth.pred_ab"], uncentred(GOLDEN["smooth.lab"]))
    assert_close(found.view(1), GOLDEN["smooth.loss"], atol=1e-4, rtol=0)


def test_an_edge_costs_nothing_where_the_truth_has_one():
    lab = torch.zeros(1, 3, 8, 8)
    lab[:, 0], lab[:, 1, :, 4:] = 80, 60
    edge, elsewhere = torch.zeros(2, 1, 2, 8, 8)
    edge[..., 4:], elsewhere[..., 2:] = 30, 30
    inside = (..., slice(1, -1), slice(1, -1))  # the rim is pulled to grey wherever the edge is
    at_edge, beside = (losses.neighbour_mean(ab, lab) - ab for ab in (edge, elsewhere))
    assert at_edge[inside].abs().max() < 1e-3 and beside[inside].abs().max() > 5


# Adversarial

def test_adversarial_losses_of_known_scores():
    real, fake = torch.tensor([[3.0], [1.0]]), torch.tensor([[0.0], [2.0]])  # means 2 and 1
    # D: real - 1 - 1 = 1, -1; fake - 2 + 1 = -1, 1. G: real - 1 + 1 = 3, 1; fake - 2 - 1 = -3, -1
    assert_close(losses.adversarial_discriminator(real, fake), torch.tensor(1.0))
    assert_close(losses.adversarial_generator(real, fake), torch.tensor(5.0))


def test_the_two_sides_pull_apart():
    real, fake = torch.zeros(4, 1), torch.zeros(4, 1, requires_grad=True)
    colorizer, = torch.autograd.grad(losses.adversarial_generator(real, fake), fake)
    judge, = torch.autograd.grad(losses.adversarial_discriminator(real, fake), fake)
    # descending: the colorizer raises the score of its pictures
    assert (colorizer < 0).all() and (judge > 0).all()


def released(first: str, last: str,
             kernel: tuple[int, int]) -> tuple[PictureDiscriminator, dict[str, torch.Tensor]]:
    """The authors' discriminator, filled by rule under their names."""
    network = PictureDiscriminator(last=kernel)
    stages = [first, "layer2", "layer3", "layer4", "layer5", "layer6"]
    names = [(f"{name}.0.module", f"stages.{k}.conv")
             for k, name in enumerate(stages)] + [(f"{last}.module", "last")]
    names += [(f"attention.{part}_conv.module", f"attention.{part}") for part in ("query", "key", "value")]
    shapes = {}
    for theirs, ours in names:
        weight = network.get_submodule(ours).weight
        shapes |= {
            f"{theirs}.bias": weight.shape[:1], f"{theirs}.weight_bar": weight.shape,
            f"{theirs}.weight_u": weight.shape[:1]
        }
    state = rename(fill(shapes),
                   [(f"{theirs}.{a}", f"{ours}.{b}")
                    for theirs, ours in names
                    for a, b in (("weight_bar", "weight"), ("weight_u", "u"), ("bias", "bias"))])
    network.load_state_dict(state | {"attention.gamma": torch.ones(1)})
    return network, GOLDEN


@torch.no_grad()
def test_the_discriminator_of_the_first_stage_agrees_with_the_authors():
    network, golden = released("layer1_new", "last_new", (3, 3))
    judged = network(golden["stage1.disc.x"])
    assert_close(judged.score, golden["stage1.disc.score"], atol=1e-4, rtol=0)
    assert_close(judged.features[:, ::4, ::2, ::2], golden["stage1.disc.feature4"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_the_discriminator_of_the_second_stage_agrees_with_the_authors():
    network, golden = released("layer0", "last", (3, 6))
    judged = network(0.5 * draw("lstvc.disc.x", (1, 3, 192, 384)))
    assert_close(judged.score, golden["stage2.disc.score"], atol=1e-4, rtol=0)
    assert_close(judged.features[:, ::4, ::2, ::2], golden["stage2.disc.feature4"], atol=1e-4, rtol=0)


def test_the_discriminator_has_the_authors_number_of_parameters():
    with torch.device("meta"):
        assert sum(p.numel() for p in PictureDiscriminator().parameters()) == 11_242_690


def test_a_picture_too_small_for_one_score_is_refused():
    with pytest.raises(ValueError, match="384 x 192"):
        PictureDiscriminator(widths=(2, 2, 2, 2, 2, 2))(torch.zeros(1, 3, 128, 224))


def test_a_patch_is_judged_by_its_seventy_pixels():
    torch.manual_seed(0)
    network = PatchDiscriminator(width=4).eval()
    for stage in network.stages:
        stage.norm = False  # the norm looks at the whole picture
    picture = torch.rand(1, 3, 96, 160)
    picture.requires_grad_()
    score = network(picture).score
    assert score.shape == (1, 1, 10, 18)
    grad, = torch.autograd.grad(score[0, 0, 5, 9], picture)
    rows, columns = (grad.abs().sum((0, 1, other)).nonzero().flatten() for other in (3, 2))
    assert len(rows) == 70 and len(columns) == 70


def test_a_spectral_convolution_ends_at_norm_one():
    torch.manual_seed(0)
    conv = SpectralConv(3, 5, 2)
    for _ in range(100):
        conv(torch.zeros(1, 3, 4, 4))
    seen = torch.zeros(1, 3, 2, 2).flatten()
    matrix = torch.stack([
        conv(torch.eye(12)[k].view(1, 3, 2, 2)).flatten() - conv(seen.view(1, 3, 2, 2)).flatten()
        for k in range(12)
    ], 1)
    assert_close(torch.linalg.matrix_norm(matrix, 2), torch.tensor(1.0), atol=1e-3, rtol=0)


def test_two_judgements_before_one_backward_are_allowed():
    network = PatchDiscriminator(width=2)
    loss = losses.adversarial_discriminator(
        network(torch.rand(2, 3, 32, 32)).score,
        network(torch.rand(2, 3, 32, 32)).score)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
