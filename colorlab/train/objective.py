"""The sum of a recipe's losses, and the discriminators that it needs."""

from __future__ import annotations

from dataclasses import asdict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.color import join_lab, lab_to_rgb, split_lab
from colorlab.modules.discriminator import PatchDiscriminator, PictureDiscriminator
from colorlab.modules.vgg import VGG19
from colorlab.train import losses
from colorlab.train.batches import Motion
from colorlab.train.forward import Prediction
from colorlab.train.recipes import LossWeights, Recipe


class Objective:
    """The loss of a prediction. vgg: for the perceptual loss; None if its weight is 0."""

    def __init__(self, recipe: Recipe, vgg: VGG19 | None = None):
        self.recipe, self.vgg = recipe, vgg
        self.weights: dict[str, LossWeights] = {"colors": recipe.weights, "reference": recipe.reference}
        self.layers = losses.LSTVC_LAYERS if recipe.layers == "lstvc" else losses.TCAVC_LAYERS

    def needs(self, term: str) -> bool:
        return any(getattr(weights, term) for weights in self.weights.values())

    def terms(self, predictions: dict[str, Prediction], motion: Motion | None, judges: nn.ModuleDict
              ) -> dict[str, tuple[float, Tensor]]:
        """{name: (weight, loss)} of all that has a weight; "reference.l1" is the l1 of tcavc's first
        stage."""
        found = {}
        for name, prediction in predictions.items():
            for term, weight in asdict(self.weights[name]).items():
                if weight:
                    loss = getattr(self, f"_{term}")(
                        prediction, motion, judges[name] if name in judges else None
                    )
                    found[term if name == "colors" else f"{name}.{term}"] = weight, loss
        return found

    def judges(self) -> nn.ModuleDict:
        """A new discriminator for each prediction with an adversarial loss."""
        names = [name for name, weights in self.weights.items() if weights.adversarial]
        if self.recipe.discriminator == "picture":
            return nn.ModuleDict({name: PictureDiscriminator() for name in names})
        return nn.ModuleDict(
            {name: PatchDiscriminator(width=self.recipe.discriminator_width) for name in names})

    def _l1(self, found: Prediction, motion: Motion | None, judge: nn.Module | None) -> Tensor:
        return losses.l1(found.ab, split_lab(found.truth)[1])

    def _match(self, found: Prediction, motion: Motion | None, judge: nn.Module | None) -> Tensor:
        truth = F.avg_pool2d(split_lab(found.truth)[1][:, :found.matched.shape[1]].flatten(0, 1), 4)
        truth = truth.unflatten(0, found.matched.shape[:2]).unsqueeze(2)
        return losses.l1(found.matched, truth.expand_as(found.matched))

    def _rgb(self, found: Prediction, motion: Motion | None, judge: nn.Module | None) -> Tensor:
        painted = found.rgb if found.rgb is not None else 2 * lab_to_rgb(_pictures(found)) - 1
        truth = 2 * lab_to_rgb(found.truth) - 1
        return losses.l1(painted.reshape(truth.shape), truth)

    def _perceptual(self, found: Prediction, motion: Motion | None, judge: nn.Module | None) -> Tensor:
        with torch.no_grad():
            truth = self.vgg(found.truth.flatten(0, 1), tuple(self.layers))
        return losses.perceptual(self.vgg(_pictures(found).flatten(0, 1), tuple(self.layers)), truth,
                                 self.layers)

    def _temporal(self, found: Prediction, motion: Motion | None, judge: nn.Module | None) -> Tensor:
        if motion is None:
            return found.ab.sum() * 0
        return losses.temporal(found.ab, motion.flow[:, found.first:], motion.visible[:, found.first:],
                               self.recipe.squared)

    def _smoothness(self, found: Prediction, motion: Motion | None, judge: nn.Module | None) -> Tensor:
        return losses.smoothness(found.ab.flatten(0, 1), found.truth.flatten(0, 1))

    def _adversarial(self, found: Prediction, motion: Motion | None, judge: nn.Module) -> Tensor:
        """The discriminator's own parameters get no gradient here."""
        judge.requires_grad_(False)
        try:
            return losses.adversarial_generator(*_scores(judge, found))
        finally:
            judge.requires_grad_(True)


class DiscriminatorPass(nn.Module):
    """All discriminators applied to real and predicted pictures, as one module so that distributed training
    can synchronise it."""

    def __init__(self, judges: nn.ModuleDict):
        super().__init__()
        self.judges = judges

    def forward(self, predictions: dict[str, Prediction]) -> Tensor:
        """The sum of the discriminators' losses; no gradient reaches the colorizer."""
        return sum(losses.adversarial_discriminator(*_scores(judge, found._replace(ab=found.ab.detach())))
                   for name, judge in self.judges.items() if (found := predictions.get(name)) is not None)


def _pictures(found: Prediction) -> Tensor:
    """Lab (B, T, 3, H, W): the predicted colours under the truth's lightness."""
    return join_lab(split_lab(found.truth)[0], found.ab)


def _scores(judge: nn.Module, found: Prediction) -> tuple[Tensor, Tensor]:
    """Scores of the truth and of the prediction, from one call. The judge sees Lab in about [-1, 1]."""
    both = torch.cat((found.truth, _pictures(found))).flatten(0, 1)
    scaled = torch.cat((both[:, :1] / 50 - 1, both[:, 1:] / 50), dim=1)
    real, fake = judge(scaled).score.float().chunk(2)
    return real, fake
