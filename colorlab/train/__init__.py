"""Training: recipes, the loop, and measuring the result.

    recipe = recipe_for("lstvc", "course")
    found = survey("clips", "photos")
    training, validation = split(found.clips)
    train(colorlab.load("lstvc", "course"), "lstvc", recipe, ClipWindows(recipe, training, found.photographs),
          Path("out"), Settings(validation=validation))

`recipes.py` says how each network is trained; `forward.py` runs it on training windows; `objective.py`
computes its loss; `loop.py` is the loop; `measure.py` scores the result, and `python -m
colorlab.train.validate` prints the scores.
"""

from colorlab.train.batches import Batch, ClipWindows, EmbeddedWindows, Motion, estimated_motion
from colorlab.train.loop import train
from colorlab.train.phases import PhasedWindows
from colorlab.train.recipes import RECIPES, LossWeights, Phase, Recipe, changed, described, recipe_for
from colorlab.train.record import Record
from colorlab.train.run import Settings, groups
from colorlab.train.schedules import Cosine, Halving, Linear, Steps
from colorlab.train.split import COURSE_VALIDATION, clip_name, split

__all__ = [
    "COURSE_VALIDATION", "RECIPES", "Batch", "ClipWindows", "Cosine", "EmbeddedWindows", "Halving", "Linear",
    "LossWeights", "Motion", "Phase", "PhasedWindows", "Recipe", "Record", "Settings", "Steps", "changed",
    "clip_name", "described", "estimated_motion", "groups", "recipe_for", "split", "train"
]
