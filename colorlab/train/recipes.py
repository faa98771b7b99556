"""How each network is trained: the four papers' recipes as published, and ours for the course networks.

A recipe is everything that determines the result, apart from the network, the data and the number of
processes. What the papers leave open is marked; where text and code differ, see the networks' own Departures.
"""

from __future__ import annotations

import ast
import dataclasses
from dataclasses import dataclass, field, replace
from typing import Literal, get_args, get_origin, get_type_hints

from colorlab.files.errors import InputError
from colorlab.methods import LEARNED, record
from colorlab.train.schedules import Cosine, Halving, Linear, Schedule, Steps


@dataclass(frozen=True)
class LossWeights:
    """λ of each loss in `colorlab.train.losses`; losses with weight 0 are not computed."""

    l1: float = 0.0  # of ab
    # L1 of RGB in [-1, 1], for a network that paints RGB; else of the colours under the truth's L
    rgb: float = 0.0
    perceptual: float = 0.0
    temporal: float = 0.0
    smoothness: float = 0.0
    adversarial: float = 0.0
    # L1 of the colours that matching alone carries over, before anything is corrected; lstvc
    match: float = 0.0


@dataclass(frozen=True)
class Phase:
    """A part of training with its own data."""

    data: str     # of `colorlab.clips.datasets`, "name/split"
    share: float  # begins after this share of all steps


@dataclass(frozen=True)
class Recipe:
    steps: int                                   # updates of the weights
    weights: LossWeights                         # of the network's colours
    reference: LossWeights = LossWeights()       # tcavc: of what its first stage paints
    layers: Literal["lstvc", "tcavc"] = "lstvc"  # of VGG-19 that the perceptual loss compares
    squared: bool = False                        # the temporal loss: squares, or absolute values
    # flow for it; "given": only where the data knows it
    motion: Literal["given", "auto", "raft", "classical"] = "auto"

    batch: int = 4                      # windows per process and step
    accumulate: int = 1                 # gradient accumulation: this many batches per update
    frames: int = 5                     # of a window, including the reference
    size: tuple[int, int] = (216, 384)  # (H, W)
    # from this share of the training on: these steps between frames
    strides: tuple[tuple[float, tuple[int, ...]], ...] = ((0.0, (1,)),)
    # what of a picture: a random crop, the largest centre crop, all of it, distorted
    framing: Literal["crop", "cover", "squash"] = "crop"
    zoom: float = 0.5                   # the smallest share of the picture's sides that a crop shows
    flip: bool = True                   # mirror half of the windows
    reversed: bool = False              # play half of the windows backwards
    photographs: float = 0.5  # share of the windows that are photographs set in motion, where there are some
    loose: float = 0.0  # share of the batches with loose references (`ClipDataset.with_reference`)
    # photographs to use: all, or those that TCAVC keeps (`clips.datasets.kept_by_tcavc`)
    pictures: Literal["all", "tcavc"] = "all"
    phases: tuple[Phase, ...] = ()      # data sets one after another; (): a single one
    lightness_noise: float = 0.0        # standard deviation added to the L that tcavc's first stage sees

    optimizer: Literal["adam", "adamw"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    # learning rate by prefix of parameter names; the longest match counts
    rates: tuple[tuple[str, float], ...] = (("", 1e-4),)
    schedule: Schedule = field(default_factory=Steps)
    clip: float | None = None      # largest norm of the gradient
    discriminator: Literal["picture", "patch"] = "patch"
    discriminator_rate: float = 1e-3
    discriminator_width: int = 64  # of the PatchGAN's first stage
    average: float = 0.0  # decay of the weights' moving average; 0: the last weights are the result
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0


LSTVC_WEIGHTS = LossWeights(l1=0.5, perceptual=0.05, temporal=3.0, smoothness=4.0, adversarial=0.2)

PAPER = {
    # §4: ten epochs of 2,090 films, a tenth from the fourth, a hundredth from the eighth. The number of
    # windows per film is not given: with the released data set's (one per 3 frames, per 8 of Videvo's) ten
    # epochs are some 300,000. Its clips: 11 frames (text: 20). "Resized to 384 x 216": its code shrinks a
    # frame until it just covers that size and crops its centre, which for 16:9 is the same. Neither mentions
    # crops or mirrored frames, so there are none. The transformers begin with VisTR's weights: `--initial
    # FILE`.
    "lstvc": Recipe(steps=300_000, weights=LSTVC_WEIGHTS, motion="raft", batch=1, frames=11, framing="cover",
                    flip=False, photographs=0.0, betas=(0.5, 0.999), weight_decay=1e-4,
                    rates=(("", 1e-4), ("backbone", 1e-5)), schedule=Steps(
                        ((0.4, 0.1), (0.8, 0.01))), discriminator="picture", discriminator_rate=1e-3),
    # Its two stages share no gradient, so one run trains both in parallel. Stage 1: the released option dump;
    # stage 2: LSTVC's numbers, as the paper gives none. Both use stage 1's schedule. Frames are loaded at 268
    # x 480 there and cropped: 0.8 of their sides. Photographs that its filter drops are left out.
    "tcavc": Recipe(
        steps=340_000, weights=LSTVC_WEIGHTS, motion="raft",
        reference=LossWeights(l1=0.5, perceptual=0.03, temporal=0.5, smoothness=2.0,
                              adversarial=0.4), layers="tcavc", squared=True, batch=4, frames=5, zoom=0.8,
        pictures="tcavc", lightness_noise=2.0, optimizer="adam", betas=(0.5, 0.999), weight_decay=0.0,
        rates=(("", 1e-4), ("propagation.backbone", 1e-5)), schedule=Halving(80_000), discriminator="patch",
        discriminator_rate=1e-3),
    # The released code's. The text (§4.1) has Adam with its defaults, batches of 4 and a constant 2e-5 where
    # the code has AdamW with decay 0.05, batches of 2 (on each GPU) and a tenth of the rate from step 120,000
    # on; and L1 "between the predicted images and the ground truths" where the code's is of ab alone: a sum
    # over seven frames of chroma / 110, hence 7 / 110. (The text's: `replace(recipe, optimizer="adam",
    # weight_decay=0.0, batch=4, schedule=Steps())`.) A constant stride drawn from 1..s replaces the code's
    # sampling of frames, each within s of another; half of its windows run backwards, as here. No affine or
    # colour jitter.
    "colormnet": Recipe(
        steps=160_000, weights=LossWeights(l1=7 / 110), batch=2, frames=8, size=(448, 448), zoom=0.6,
        reversed=True, photographs=0.0, strides=((0.0, (1, 2, 3, 4, 5)), (0.094, tuple(range(1, 11))),
                                                 (0.281, tuple(range(1, 16))), (0.844, (1, 2, 3, 4, 5))),
        weight_decay=0.05, rates=(("", 2e-5),), schedule=Steps(((0.75, 0.1),)), precision="fp16"),
    # §4.3: AdamW, 1e-4 to 1e-6 "over the course of training", pictures resized to 256 x 256; DAVIS for 100
    # epochs, then LDV for 10. The loss, the batch, the distance to the reference, crops and mirrors are not
    # in the paper. "300,000 epochs" over both phases contradict the 110 that it counts; we read iterations.
    # An epoch of DAVIS's 4,209 frames being 1,052 batches of 4, a hundred are 105,000 steps: 0.35 of them,
    # and LDV has the rest. It was trained on UVO apart, 10 epochs of 5,000 films, and tested on 250 (Table
    # 2): for that, `--set phases=()`.
    "cavc": Recipe(steps=300_000, weights=LossWeights(rgb=1.0), batch=4, frames=2, size=(256, 256),
                   framing="squash", flip=False, photographs=0.0,
                   phases=(Phase("davis2017/train", 0.0), Phase("ldv/train", 0.35)),
                   strides=((0.0, tuple(range(1, 11))),), rates=(("", 1e-4),), schedule=Linear(0.01)),
}

# Initially the course networks output the colour that they carry over, and they learn to match better and to
# correct. So L1 alone teaches most; losses that need another network's weights are left out. They are
# measured at 128 x 224. Every second batch has loose references. Use `--change register=None` with lstvc and
# colormnet: refined places pass no gradient, take most of a step's time, and would hide errors of the
# matching from the loss.
_COURSE = Recipe(steps=4000, weights=LossWeights(l1=0.1), motion="given", batch=16, frames=6, size=(128, 224),
                 zoom=0.7, photographs=0.35, loose=0.5, strides=((0.0, (1, 2, 3)), (0.2, (1, 2, 3, 5, 8))),
                 rates=(("", 1e-3),), schedule=Cosine(200), clip=1.0, average=0.998)
COURSE = {
    "plain": _COURSE,  # for a method that says nothing else
    # three blocks and one frame
    "lstvc": replace(_COURSE, weights=LossWeights(l1=0.1, match=0.05), frames=7),
    "colormnet": replace(_COURSE, frames=6),
    "cavc": replace(_COURSE, weights=LossWeights(rgb=1.0), frames=3, strides=((0.0, (1, 2, 4, 8, 16)),)),
    # Stage 1 sees single pictures; `--change semantic_correspondence=False` leaves stage 2 to lstvc's
    # weights. L1 alone gives greyish colours: of several possible colours it predicts the median. The
    # PatchGAN loss favours one of them.
    "tcavc": replace(_COURSE, reference=LossWeights(l1=0.1, adversarial=0.2), frames=1, batch=32,
                     photographs=0.8, loose=0.0, discriminator_rate=5e-4),
}
# The same without a GPU: a second or two per step on one core, so about an hour. Small crops of sharper
# pictures.
_LAPTOP_FRAMES = {"plain": 4, "cavc": 3, "lstvc": 7, "colormnet": 5, "tcavc": 1}
LAPTOP = {
    method: replace(recipe, steps=2500, batch=1, frames=_LAPTOP_FRAMES[method], size=(96, 160),
                    schedule=Cosine(100), average=0.995, discriminator_width=24)
    for method, recipe in COURSE.items()
}
# For tests, and for a notebook's two minutes on two cores.
TINY = {
    method: replace(recipe, steps=60, batch=2, frames=4, size=(32, 48), strides=((0.0, (1, 2)),),
                    schedule=Cosine(10), average=0.0, discriminator_width=8)
    for method, recipe in COURSE.items()
}
RECIPES = {"paper": PAPER, "course": COURSE, "laptop": LAPTOP, "tiny": TINY}


def recipe_for(method: str, preset: str = "course", **changes: object) -> Recipe:
    """The recipe of a method's preset with some fields changed. Raises InputError for a method without
    training."""
    if method not in LEARNED or record(method).recipe not in RECIPES.get(preset, ()):
        raise InputError(f"no recipe to train {method}, preset {preset}; there are {', '.join(LEARNED)} "
                         f"and {', '.join(RECIPES)}")
    return replace(RECIPES[preset][record(method).recipe], **changes)


def changed(recipe: Recipe, settings: dict[str, str]) -> Recipe:
    """A recipe with fields set from text, as the command line has it: {"steps": "500", "weights.l1": "0.5",
    "size": "64,112"}.

    Raises InputError for a field that does not exist or a value of another kind.
    """
    for name, text in settings.items():
        outer, _, inner = name.partition(".")
        part = getattr(recipe, outer, None) if inner else recipe
        fields = {f.name for f in dataclasses.fields(part)} if dataclasses.is_dataclass(part) else set()
        if (inner or outer) not in fields or (not inner and dataclasses.is_dataclass(getattr(recipe, outer))):
            raise InputError(f"a recipe has no number called {name}; it has {', '.join(described(recipe))}")
        value = _parsed(name, text, getattr(part, inner or outer))
        recipe = replace(recipe, **{outer: replace(part, **{inner: value}) if inner else value})
    check_recipe(recipe)
    return recipe


def check_recipe(recipe: Recipe) -> None:
    """Raise InputError for a value with which training is impossible."""
    choices = {
        name: get_args(kind) for name, kind in get_type_hints(Recipe).items() if get_origin(kind) is Literal
    }
    for name, allowed in choices.items():
        if getattr(recipe, name) not in allowed:
            raise InputError(f"{name} is one of {', '.join(allowed)}, not {getattr(recipe, name)!r}")
    strides = [(share, steps)
               for share, steps in recipe.strides] if all(_is_pair(item) for item in recipe.strides) else []
    wanted = {
        "steps": (recipe.steps >= 1, "1 or more"),
        "batch": (recipe.batch >= 1, "1 or more"),
        "accumulate": (recipe.accumulate >= 1, "1 or more"),
        "frames": (recipe.frames >= 2, "2 or more: a reference and what it colours"),
        "size": (len(recipe.size) == 2
                 and all(isinstance(n, int) and n >= 16
                         for n in recipe.size), "two whole numbers of pixels, 16 or more"),
        "strides": (bool(strides)
                    and all(0 <= share <= 1 and steps and min(steps) >= 1 for share, steps in strides),
                    "pairs of a share of the training and the steps from then on, as in ((0.0, (1, 2)),)"),
        "zoom": (0 < recipe.zoom <= 1, "above 0, at most 1"),
        "photographs": (0 <= recipe.photographs <= 1, "from 0 to 1"),
        "lightness_noise": (0 <= recipe.lightness_noise < float("inf"), "0 or more"),
        "betas": (len(recipe.betas) == 2 and all(isinstance(b, float) and 0 <= b < 1
                                                 for b in recipe.betas), "two numbers from 0, below 1"),
        "weight_decay": (0 <= recipe.weight_decay < float("inf"), "0 or more"),
        "rates": (bool(recipe.rates) and all(
            _is_pair(item) and isinstance(item[0], str) and isinstance(item[1], float) and 0 <= item[1] < 1e3
            for item in recipe.rates), "pairs of a name and a rate, as in (('', 0.001),)"),
        "clip": (recipe.clip is None or (isinstance(recipe.clip,
                                                    (int, float)) and recipe.clip > 0), "above 0, or None"),
        "discriminator_rate": (0 <= recipe.discriminator_rate < 1e3, "0 or more"),
        "discriminator_width": (recipe.discriminator_width >= 1, "1 or more"),
        "average": (0 <= recipe.average < 1, "from 0, below 1"),
        "seed": (0 <= recipe.seed < 1 << 63, "from 0, below 2^63"),
    }
    wanted |= {f"{part}.{f.name}": (0 <= getattr(getattr(recipe, part), f.name) < float("inf"), "0 or more")
               for part in ("weights", "reference") for f in dataclasses.fields(LossWeights)}
    for name, (good, range_) in wanted.items():
        if not good:
            value = described(recipe)[name]
            raise InputError(
                f"{name} is {value if len(value) < 80 else value[:77] + '...'}; it has to be {range_}")


def _is_pair(item: object) -> bool:
    return isinstance(item, tuple) and len(item) == 2


def _parsed(name: str, text: str, before: object) -> object:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    if isinstance(before, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if before is not None and type(value) is not type(before):
        raise InputError(f"{name} is {before!r} and wants another {type(before).__name__}, not {text!r}")
    return value


def described(recipe: Recipe) -> dict[str, str]:
    """{field: value as text}, losses separately as "weights.l1": to be stored, shown and compared."""
    flat = {}
    for f in dataclasses.fields(recipe):
        value = getattr(recipe, f.name)
        if isinstance(value, LossWeights):
            flat |= {f"{f.name}.{w.name}": repr(getattr(value, w.name)) for w in dataclasses.fields(value)}
        else:
            flat[f.name] = repr(value)
    return flat
