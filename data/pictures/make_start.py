"""Make the README's picture: a grey film, coloured by the two baselines, and the truth.

    python data/pictures/make_start.py
"""

from pathlib import Path

import torch

import colorlab
from colorlab import clips
from colorlab.color import frames_to_rgb, join_lab, lab_to_rgb, rgb_to_frames, rgb_to_lab, split_lab
from colorlab.teaching import plots

SHOWN = (0, 4, 8, 12)


def main() -> None:
    film = clips.embedded_clip("layers", frames=SHOWN[-1] + 1).frames
    l, ab = split_lab(rgb_to_lab(frames_to_rgb(film)))
    grey = rgb_to_frames(lab_to_rgb(join_lab(l, torch.zeros_like(ab))))
    rows = {"grey film": grey}
    for method in ("copy", "flow"):
        rows[method] = list(colorlab.colorize(grey, [(0, film[0])], colorlab.load(method)))
    rows["truth"] = film
    tiles = {f"{name}, frame {index}": frames[index] for name, frames in rows.items() for index in SHOWN}
    Path(__file__).with_name("start.jpg").write_bytes(
        plots.to_jpeg(plots.contact_sheet(tiles, columns=len(SHOWN))))


if __name__ == "__main__":
    main()
