"""The files that LSTVC's and TCAVC's training begins with: read by their names, and put where they fit."""

import json
from argparse import Namespace
from functools import lru_cache

import pytest
import torch
from torch.testing import assert_close

import colorlab
from colorlab.cli import main
from colorlab.files.errors import InputError
from colorlab.methods import configure, network_and_config
from colorlab.methods.weights import load_initial
from colorlab.papers.lstvc.initial import FILES, WITHOUT_SOURCE

# Shapes as VisTR's and Deep Exemplar's published code makes them, of the parts that fit and of some that do
# not.
VISTR_LAYER = {
    "self_attn.in_proj_weight": (3, 1), "self_attn.in_proj_bias": (3,), "self_attn.out_proj.weight": (1, 1),
    "self_attn.out_proj.bias": (1,), "linear1.weight": ("inner", 1), "linear1.bias": ("inner",),
    "linear2.weight": (1, "inner"), "linear2.bias": (1,), "norm1.weight": (1,), "norm1.bias": (1,),
    "norm2.weight": (1,), "norm2.bias": (1,)
}
CONVOLUTIONS = {  # name: (out, in, kernel) in units of the first layers' width, 64 there
    "conv1_1.2": (1, 0.5, 3), "conv1_2": (1, 1, 3), "conv2_1": (2, 1, 3), "conv2_2": (2, 2, 3),
    "conv3_1": (4, 2, 3), "conv3_2": (4, 4, 3), "conv3_3": (4, 4, 3), "conv4_1": (8, 4, 3),
    "conv4_2": (8, 8, 3), "conv4_3": (8, 8, 3),
    **{f"conv{layer}_{k}": (8, 8, 3) for layer in (5, 6, 7) for k in (1, 2, 3)}, "conv8_1.1": (4, 8, 3),
    "conv3_3_short": (4, 4, 3), "conv8_2": (4, 4, 3), "conv8_3": (4, 4, 3), "conv9_1.1": (2, 4, 3),
    "conv2_2_short": (2, 2, 3), "conv9_2": (2, 2, 3), "conv10_1.1": (2, 2, 3), "conv1_2_short": (2, 1, 3),
    "conv10_2": (2, 2, 3)
}


def vistr(width: int, inner: int) -> dict[str, tuple[int, ...]]:
    sized = lambda shape: tuple(inner if side == "inner" else side * width for side in shape)
    layers = {
        f"vistr.transformer.{part}.layers.{k}.{name}": sized(shape)
        for part in ("encoder", "decoder")
        for k in range(6)
        for name, shape in VISTR_LAYER.items()
    }
    return layers | {
        "vistr.input_proj.weight": (width, 2048, 1, 1), "vistr.class_embed.bias": (42,),
        "insmask_head.0.bias": (12,)
    }


def deep_exemplar(width: int) -> dict[str, tuple[int, ...]]:
    shapes = {"conv1_1.0.weight": (width // 2, 7, 3, 3), "conv1_1.0.bias": (width // 2,),
              "conv10_ab.weight": (2, 2 * width, 1, 1), "conv10_ab.bias": (2,)}
    for name, (out, inputs, kernel) in CONVOLUTIONS.items():
        shapes |= {
            f"{name}.weight": (int(out * width), int(inputs * width), kernel, kernel),
            f"{name}.bias": (int(out * width),)
        }
    return shapes | {
        f"conv{layer}norm_ss.weight": (scale * width, 1, 1, 1)
        for layer, scale in (("1_2", 1), ("2_2", 2), ("3_3", 4))
    }


def numbers(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@lru_cache(maxsize=None)
def on_paper(method: str):
    """The paper's network as names and shapes, without its numbers."""
    with torch.device("meta"):
        return network_and_config(method)[0](configure(method, "paper")).state_dict()


@pytest.mark.parametrize("whose, shapes", [("VisTR", vistr(384, 2048)), ("Deep Exemplar", deep_exemplar(64))])
def test_each_file_fits_the_papers_network_in_name_and_shape(whose, shapes):
    sign, names = FILES[whose]
    shapes = {name.removeprefix("vistr."): shape for name, shape in shapes.items()}
    filled = {}
    for theirs, ours in names:
        found = {
            ours + name[len(theirs):]: shape
            for name, shape in shapes.items()
            if name == theirs or name.startswith(theirs + ".")
        }
        assert found, theirs
        filled |= found
    network = on_paper("lstvc")
    assert {name: tuple(network[name].shape) for name in filled} == filled and sign in shapes
    parts = (".layer.",) if whose == "VisTR" else ("colorization.down", "colorization.up", ".branch.")
    whole = [
        name for name in network
        if any(part in name for part in parts) and not name.endswith(WITHOUT_SOURCE) and (
            whose == "VisTR" or name.startswith("colorization."))
    ]
    assert set(filled) == set(whole)


@pytest.mark.parametrize("method, prefix", [("lstvc", ""), ("tcavc", "propagation.")])
def test_both_files_fill_their_parts_and_nothing_else(method, prefix, tmp_path):
    fresh, model = colorlab.load(method, "tiny"), colorlab.load(method, "tiny")
    config = getattr(model, "propagation", model).config
    files = {
        "vistr.pth": {
            "model": numbers(vistr(config.width, config.inner), 1), "epoch": 17, "args": Namespace(lr=1e-4)
        }, "colornet.pth": numbers(deep_exemplar(config.color_width), 2)
    }
    for name, content in files.items():
        torch.save(content, tmp_path / name)
    said = [load_initial(model, method, tmp_path / name) for name in files]
    assert said[0].startswith("VisTR: ") and said[1].startswith("Deep Exemplar: ")
    own, before = model.state_dict(), fresh.state_dict()
    layers, colors = files["vistr.pth"]["model"], files["colornet.pth"]
    theirs = "vistr.transformer.encoder.layers."
    assert_close(own[prefix + "encoder.blocks.0.layer.attention.in_proj_weight"],
                 layers[theirs + "0.self_attn.in_proj_weight"])
    assert_close(own[prefix + "colorization.middle.2.layer.linear1.bias"], layers[theirs + "2.linear1.bias"])
    assert_close(own[prefix + "colorization.middle.1.branch.conv3.weight"], colors["conv6_3.weight"])
    assert_close(own[prefix + "colorization.down.conv1_1.0.weight"], colors["conv1_1.0.weight"])
    changed = {
        name.removeprefix(prefix).split(".")[0] for name in own if not torch.equal(own[name], before[name])
    }
    assert changed == {"encoder", "colorization"}
    kept = [
        name for name in own
        if name.endswith(WITHOUT_SOURCE) or "cnn_to_tokens" in name or name.startswith("reference.")
    ]
    assert kept and all(torch.equal(own[name], before[name]) for name in kept)


@pytest.mark.parametrize("method, content, message", [
    ("lstvc", vistr(12, 32), "does not fit this lstvc network"),
    ("lstvc", {"conv10_ab.weight": (2, 8, 1, 1)}, "missing"),
    ("lstvc", {"something.else": (3,)}, "none of the files that lstvc begins with"),
    ("cavc", vistr(24, 32), "begins with no other network's file")])
def test_another_file_is_refused_and_nothing_is_filled(method, content, message, tmp_path):
    model, fresh = colorlab.load(method, "tiny"), colorlab.load(method, "tiny")
    torch.save(numbers(content), tmp_path / "file.pth")
    with pytest.raises(InputError, match=message):
        load_initial(model, method, tmp_path / "file.pth")
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in model.state_dict().items())


def test_the_command_says_what_it_began_with(tmp_path):
    config = configure("lstvc", "tiny")
    torch.save({"model": numbers(vistr(config.width, config.inner))}, tmp_path / "vistr.pth")
    out = tmp_path / "out"
    assert main([
        "train", "--method", "lstvc", "--preset", "tiny", "--embedded", "--initial",
        str(tmp_path / "vistr.pth"), "--out",
        str(out), "--cpu", "--steps", "1", "--batch", "1", "--workers", "0"
    ]) == 0
    said, = json.loads((out / "run.json").read_text())["data"]["initial"]
    assert said.startswith("VisTR: ") and said.endswith("from vistr.pth")
