"""The four results of notebook 08's blind test. They are made here, so that the notebook does not say what
they are."""

from __future__ import annotations

import numpy as np
import torch

from colorlab.color import (fit_gamut, frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab,
                            split_lab)


def blind_results(film: np.ndarray, seed: int = 0) -> tuple[dict[str, list[np.ndarray]], dict[str, str]]:
    """A film, uint8 (T, H, W, 3), in four kinds of colours -> {letter: frames}, and what each letter is.

    Which letter stands for which result depends on the seed, and so does the flicker of one of them.
    """
    l, ab = split_lab(rgb_to_lab(frames_to_rgb(film)))  # (T, 1, H, W), (T, 2, H, W)
    wobble = np.random.default_rng(seed + 1).uniform(-1, 1, (len(film), 1, 1, 1))
    colors = {
        "colours of frame 0 held still": ab[:1].expand_as(ab),
        "half the colour": 0.5 * ab,
        "flickering": ab * (1 + 0.45 * torch.from_numpy(wobble).float()),
        "a little too vivid": 1.25 * ab,
    }
    order = np.random.default_rng(seed + 2).permutation(len(colors))
    names = dict(zip("ABCD", (list(colors)[place] for place in order)))
    return {letter: list(rgb_to_frames(lab_to_rgb(fit_gamut(join_lab(l, colors[name])))))
            for letter, name in names.items()}, names
