"""Where a colour came from, asked of the networks as they ship: course size, trained weights."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import colorlab
from colorlab.cli import main

LEARNED = ("cavc", "lstvc", "colormnet", "tcavc")
SIZE = (48, 80)


def lab(seed: int, height: int = SIZE[0], width: int = SIZE[1]) -> torch.Tensor:
    noise = torch.rand(1, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(seed))
    noise = torch.nn.functional.interpolate(noise, (height, width), mode="bilinear")
    return torch.cat((100 * noise[:, :1], 80 * noise[:, 1:] - 40), dim=1)


def given(kind: str) -> object:
    return {"a picture": lab(1, 64, 64), "the first frame": [(0, lab(2))],
            "several": [lab(1, 64, 64), lab(3), (0, lab(2)), (4, lab(4))]}[kind]


@pytest.mark.parametrize("kind", ["a picture", "the first frame", "several"])
@pytest.mark.parametrize("method", LEARNED)
def test_a_shipped_networks_maps_share_one_colour(method, kind):
    reference = None if method == "tcavc" and kind == "a picture" else given(kind)
    model = colorlab.load(method, preset="course", weights="course")
    with torch.inference_mode():
        state = model.start(reference)
        for t in range(5):
            _, state = model.step(lab(10 + t)[:, :1], state)
        maps = model.attention(lab(15)[:, :1], state, at=(SIZE[0] - 1, 13))
    assert len(maps) > 1 and all(m.shape == SIZE and m.min() >= 0 for m in maps.values())
    assert_close(sum(m.sum() for m in maps.values()), torch.tensor(1.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", LEARNED)
def test_the_command_explains_a_colour_of_a_shipped_network(method, tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "film").mkdir()
    for n in range(4):
        grey = np.roll(rng.integers(0, 256, (6, 10), dtype=np.uint8), n, 1).repeat(8, 0).repeat(8, 1)
        Image.fromarray(grey).save(tmp_path / "film" / f"{n:03d}.png")
    Image.fromarray(rng.integers(0, 256, (6, 10, 3),
                                 dtype=np.uint8).repeat(8, 0).repeat(8, 1)).save(tmp_path / "ref.png")
    reference = () if method == "tcavc" else ("--reference", f"{tmp_path / 'ref.png'}@0")
    assert main([
        "colorize",
        str(tmp_path / "film"), *reference, "--method", method, "--explain", "2,30,40", "-o",
        str(tmp_path / "out.mp4")
    ]) == 0
    assert np.array(Image.open(
        tmp_path / "out.2-30-40.png")).std() > 10 and "frame 2, pixel (30, 40)" in capsys.readouterr().out
