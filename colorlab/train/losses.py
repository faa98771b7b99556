"""The training losses of the four papers, one function per equation.

| paper | loss | here |
|---|---|---|
| LSTVC Eq. 8, TCAVC Eq. 6, ColorMNet §4.1, CAVC (assumed) | L1 | `l1` |
| LSTVC Eq. 9; TCAVC Eq. 5, coarse to fine | perceptual | `perceptual`, of features that `modules.vgg` finds |
| LSTVC Eq. 10, TCAVC Eq. 7 | temporal | `temporal` |
| LSTVC §3.3, TCAVC Eq. 6, after Zhang et al. 2019 | smoothness | `smoothness` |
| LSTVC §3.3, after Zhang et al. 2019; TCAVC's "patch" | adversarial | `adversarial_generator`, `adversarial_discriminator` |

All are means, so that no weight depends on batch, length or size. Colours are ab as in Lab, about ±110, not
scaled for a network: the papers' weights are for these units. Weights are in the recipes (`colorlab.train`),
not here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from colorlab.modules.flow import warp

LSTVC_LAYERS = {"relu5_2": 1.0}                                   # L of Eq. 9
TCAVC_LAYERS = {"relu3_2": 0.02, "relu4_2": 0.003, "relu5_2": 0.5}  # α_L of Eq. 5, coarse to fine


def l1(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference (LSTVC Eq. 8) of two tensors of one shape and unit."""
    _check_same("l1", predicted, truth)
    return (predicted - truth).abs().mean()


def perceptual(predicted: Mapping[str, Tensor], truth: Mapping[str, Tensor],
               weights: Mapping[str, float]) -> Tensor:
    """Weighted sum over layers of the mean squared difference of features (TCAVC Eq. 5; with LSTVC_LAYERS,
    LSTVC Eq. 9).

    predicted, truth: {layer: (B, C, h, w)} as `modules.vgg.VGG19` gives them for Lab pictures; weights:
    {layer: α}.
    """
    return sum(weight * F.mse_loss(predicted[layer], truth[layer]) for layer, weight in weights.items())


def temporal(ab: Tensor, flow: Tensor, visible: Tensor, squared: bool = False) -> Tensor:
    """Change of colour along the motion of the film (LSTVC Eq. 10).

    ab: (B, T, 2, H, W) predicted. flow: (B, T-1, 2, H, W) in pixels, from frame t to t+1, on the grid of t;
    visible: (B, T-1, 1, H, W), 1 where that flow can be trusted, on the grid of t too. squared: as in the
    code that LSTVC is based on.

    The equation warps the frame before by the forward flow, which sampling cannot do; as in that code, the
    later frame is brought onto the grid of the earlier. The mean is over all pixels; masked pixels count as
    zero error.
    """
    B, pairs = flow.shape[:2]
    if ab.shape[1] != pairs + 1 or flow.shape[-2:] != ab.shape[-2:]:
        raise ValueError(f"T frames have T - 1 flows of their size between them, got ab {tuple(ab.shape)} "
                         f"and flow {tuple(flow.shape)}")
    brought = warp(ab[:, 1:].flatten(0, 1), flow.flatten(0, 1)).unflatten(0, (B, pairs))
    change = visible.to(ab) * (brought - ab[:, :-1])
    return change.square().mean() if squared else change.abs().mean()


def smoothness(ab: Tensor, lab: Tensor, alpha: float = 10.0) -> Tensor:
    """Colour should be even where the truth is even (Zhang et al. 2019): mean squared distance from
    `neighbour_mean`.

    ab: (B, 2, H, W) predicted; lab: (B, 3, H, W) the truth.
    """
    return F.mse_loss(neighbour_mean(ab, lab, alpha), ab)


def neighbour_mean(ab: Tensor, lab: Tensor, alpha: float = 10.0) -> Tensor:
    """Each pixel's mean over its 3 x 3 neighbourhood, weighted by similarity in the truth. (B, 2, H, W).

    Weights are a softmax over the nine of -|Δlab|² / alpha, itself included. Outside the picture everything
    is zero, L too, and these zeros are included, as in the authors' code: bright borders are hardly affected,
    black ones are pulled to grey.
    """
    if ab.shape[-2:] != lab.shape[-2:] or ab.shape[-3] != 2 or lab.shape[-3] != 3:
        raise ValueError("neighbour_mean wants ab (B, 2, H, W) and the truth's Lab (B, 3, H, W), got "
                         f"{tuple(ab.shape)} and {tuple(lab.shape)}")
    likeness = -(_neighbours(lab) - lab.unsqueeze(2)).square().sum(1, keepdim=True) / alpha  # (B, 1, 9, H, W)
    return (likeness.softmax(2) * _neighbours(ab)).sum(2)


def adversarial_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic average least squares (Jolicoeur-Martineau 2019): generated pictures should score higher
    than the average real one.

    real, fake: scores of any one shape with the batch first. The colorizer cannot change `real`, but its loss
    depends on it.
    """
    return ((real - fake.mean() + 1).square().mean() + (fake - real.mean() - 1).square().mean()) / 2


def adversarial_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's side: real pictures should score higher than the average generated one, by a margin
    of 1."""
    return ((real - fake.mean() - 1).square().mean() + (fake - real.mean() + 1).square().mean()) / 2


def _neighbours(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 9, H, W): the 3 x 3 around each pixel, zeros outside."""
    B, C, H, W = image.shape
    return F.unfold(image, 3, padding=1).view(B, C, 9, H, W)


def _check_same(name: str, predicted: Tensor, truth: Tensor) -> None:
    if predicted.shape != truth.shape:
        raise ValueError(f"{name} compares like with like, got {tuple(predicted.shape)} and "
                         f"{tuple(truth.shape)}")
