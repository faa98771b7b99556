import pickle

import pytest
import torch
from safetensors.torch import save_file

import colorlab
from colorlab.cli import main
from colorlab.clips import embedded_clip
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.checkpoints import read_state, rename
from colorlab.files.errors import InputError
from colorlab.methods import weights


def test_the_longest_prefix_decides_the_name():
    state = {"a.b.weight": torch.ones(1), "a.c.weight": torch.zeros(1), "old.x": torch.ones(2)}
    renamed = rename(state, [("a", "first"), ("a.b", "second")], unused=["old"])
    assert set(renamed) == {"second.weight", "first.c.weight"}


def test_a_prefix_ends_at_a_dot():
    assert set(rename({"layer10.weight": torch.ones(1)}, [("layer1", "one")])) == {"layer10.weight"}


def test_our_own_file_loads_strictly(tmp_path):
    path = tmp_path / "lstvc.safetensors"
    save_file(colorlab.load("lstvc", preset="tiny", seed=5).state_dict(), path)
    loaded = colorlab.load("lstvc", preset="tiny", weights=path).state_dict()
    expected = colorlab.load("lstvc", preset="tiny", seed=5).state_dict()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


def test_a_file_that_does_not_fit_says_what(tmp_path):
    state = colorlab.load("lstvc", preset="tiny").state_dict()
    name = next(iter(state))
    save_file({key: value for key, value in state.items() if key != name}, tmp_path / "short.safetensors")
    with pytest.raises(InputError, match=f"1 entries missing .first: {name}"):
        colorlab.load("lstvc", preset="tiny", weights=tmp_path / "short.safetensors")


class Boom:
    def __reduce__(self):
        return (open, ("boom", "w"))


def test_code_in_a_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.pth").write_bytes(pickle.dumps(Boom()))
    with pytest.raises(InputError, match="read safely"):
        read_state(tmp_path / "bad.pth")
    assert not (tmp_path / "boom").exists()


def test_truncated_files_get_one_line(tmp_path):
    whole = tmp_path / "whole.pth"
    torch.save({"a": torch.rand(1000)}, whole)
    (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:500])
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00")
    for name in ("cut.pth", "cut.safetensors"):
        with pytest.raises(InputError, match=name):
            read_state(tmp_path / name)


def test_wrapped_state_dicts_are_unwrapped(tmp_path):
    torch.save({"model": {"module.a": torch.ones(1)}, "epoch": 3}, tmp_path / "wrapped.pth")
    assert set(read_state(tmp_path / "wrapped.pth")) == {"a"}


def test_show_counts_each_part_and_the_frozen_extractor_apart(capsys):
    assert main(["weights", "show", "cavc"]) == 0
    said = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:])
    assert said["sca"] == "5,331" and said["encoder"] == "7,299,636" and said["total"] == "12,460,488"
    assert said["frozen extractor, not in total"] == "87,455,232"


@pytest.mark.parametrize("method", ("cavc", "lstvc", "colormnet", "tcavc"))
def test_course_weights_ship_and_carry_colour(method):
    """Each with its card; the trained network paints an embedded film about as colourful as it is, and not
    grey."""
    file = weights.course_file(method)
    card = file.with_suffix(".md").read_text()
    assert "not for commercial use" in card and "colorlab train" in card and file.stat().st_size < 16e6
    clip = rgb_to_lab(frames_to_rgb(embedded_clip("layers", 2, 64, 112).frames))
    model = colorlab.load(method, "course", "course")
    with torch.inference_mode():
        ab, _ = model.step(clip[None, :, :1], model.start(None if method == "tcavc" else clip[:1]))
    chroma, truth = (x.norm(dim=-3).mean() for x in (ab, clip[:, 1:]))
    assert 0.2 * truth < chroma < 2 * truth
