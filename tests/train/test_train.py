"""The training loop: that it learns, goes on to the same bits after any stop, and says in one line why it
stops."""

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import colorlab
from colorlab.cli import main
from colorlab.clips import survey
from colorlab.clips.datasets import DATA_SETS
from colorlab.clips.windows import LooseWindow
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.methods import LEARNED, record
from colorlab.train import (ClipWindows, Cosine, EmbeddedWindows, Halving, Linear, LossWeights, Phase,
                            PhasedWindows, Settings, Steps, changed, clip_name, estimated_motion, groups,
                            recipe_for, split, train)
from colorlab.train.batches import StepOrder, collate
from colorlab.train.saved_run import load_checkpoint, save_checkpoint
from colorlab.train.forward import TrainingPass, Prediction
from colorlab.train.measure import LOOSE_FRAMES, read_clip, score
from colorlab.train.objective import Objective
from colorlab.train.recipes import COURSE, PAPER
from colorlab.train.validate import main as validate

QUIET = Settings(log_every=1, progress=False)
WITHOUT_JUDGE = LossWeights(l1=0.05)


def tiny(method: str, **changes):
    return replace(recipe_for(method, "tiny"), **changes)


def one_film(recipe, **changes):
    return EmbeddedWindows(recipe, scenes=("layers",), films=1, film_frames=6, **changes)


def write_frames(folder: Path, frames) -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:05d}.png")
    return folder


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    """Three small clips and a photograph."""
    from colorlab.clips import embedded_clip

    home = tmp_path_factory.mktemp("footage")
    for name in ("layers", "rotation", "exposure"):
        write_frames(home / name, embedded_clip(name, 6, 40, 64).frames)
    (home / "photos").mkdir()
    Image.fromarray(embedded_clip("layers", 1, 48, 64, seed=3).frames[0]).save(home / "photos" / "sky.jpg")
    return home


# Schedules and recipes

def test_lstvc_divides_its_rate_by_ten_and_by_a_hundred():
    schedule = PAPER["lstvc"].schedule
    assert [schedule(step, 100) for step in (0, 39, 40, 79, 80, 99)] == [1, 1, 0.1, 0.1, 0.01, 0.01]


def test_linear_ends_where_the_paper_says():
    rate = [1e-4 * Linear(0.01)(step, 300_000) for step in (0, 299_999)]
    assert rate == pytest.approx([1e-4, 1e-6])


def test_halving_counts_steps():
    assert [Halving(80_000)(step, 340_000) for step in (0, 79_999, 80_000, 240_000)] == [1, 1, 0.5, 0.125]


def test_cosine_rises_then_falls():
    rates = [Cosine(10, 0.1)(step, 100) for step in range(100)]
    assert (
        rates[9] == 1
        and rates == rates[:10] + sorted(rates[10:], reverse=True)
        and rates[-1] == pytest.approx(0.1)
    )
    assert Steps()(7, 10) == 1


def test_the_backbone_learns_at_its_own_rate():
    network = colorlab.load("lstvc", "tiny")
    found = groups(network, PAPER["lstvc"].rates)
    names = {id(p): name for name, p in network.named_parameters()}
    by_rate = {group["lr"]: {names[id(p)].partition(".")[0] for p in group["params"]} for group in found}
    assert by_rate[1e-5] == {"backbone"} and "backbone" not in by_rate[1e-4] and "encoder" in by_rate[1e-4]


def test_what_is_frozen_is_not_given_to_the_optimiser():
    network = colorlab.load("colormnet", "tiny")
    network.key_heads.requires_grad_(False)
    given = {id(p) for group in groups(network, (("", 1.0),)) for p in group["params"]}
    assert given == {id(p) for p in network.parameters() if p.requires_grad}


def test_numbers_of_a_recipe_are_set_from_text():
    recipe = changed(recipe_for("lstvc"),
                     {"steps": "7", "weights.l1": "2", "size": "64,96", "precision": "bf16"})
    assert (recipe.steps, recipe.weights.l1, recipe.size, recipe.precision) == (7, 2.0, (64, 96), "bf16")


@pytest.mark.parametrize(
    "setting", ({"step": "7"}, {"weights": "1"}, {"weights.l2": "1"}, {"steps": "many"}, {"size": "64"}))
def test_a_number_that_there_is_not_is_refused(setting):
    with pytest.raises(InputError):
        changed(recipe_for("lstvc"), setting)


@pytest.mark.parametrize("method", LEARNED)
def test_the_papers_recipes_build_their_losses(method):
    """Every loss that a paper's recipe weighs runs on its network, at a size for tests."""
    from colorlab.modules.vgg import VGG19

    recipe = replace(PAPER[method], steps=1, batch=1, frames=3, size=(32, 48), motion="given",
                     discriminator="patch", precision="no")
    windows = EmbeddedWindows(recipe, scenes=("layers",), films=1, film_frames=4)
    line = train(
        colorlab.load(method, "tiny"), method, recipe, windows, None, replace(QUIET, vgg=VGG19())
    ).lines[0]
    wanted = {("" if part == "weights" else "reference.") + term for part in ("weights", "reference")
              for term, weight in dataclasses.asdict(getattr(recipe, part)).items() if weight}
    assert wanted <= set(line) and np.isfinite([line[name] for name in wanted]).all()


# Data

def test_two_processes_read_what_one_with_a_doubled_batch_reads():
    alone = list(StepOrder(2, 5, 3, 4))
    both = [a + b for a, b in zip(StepOrder(2, 5, 3, 2, 0, 2), StepOrder(2, 5, 3, 2, 1, 2))]
    assert both == alone and alone[0][0] == 2 * 3 * 4


def test_references_are_loose_for_whole_batches_whichever_process_reads_them(footage):
    recipe = recipe_for("lstvc", "tiny", steps=4, batch=2, loose=0.5)
    clips = survey(footage).clips
    alone, shared = (
        ClipWindows(recipe, clips, ()),
        ClipWindows(dataclasses.replace(recipe, batch=1), clips, (), processes=2),
    )
    loose = [isinstance(alone[index], LooseWindow) for index in range(8)]
    assert loose == [False, False, True, True] * 2
    assert [isinstance(shared[index], LooseWindow) for index in range(8)] == loose
    assert collate([alone[2], alone[3]]).reference.shape == (2, 3, *recipe.size) and collate(
        [alone[0], alone[1]]).reference is None


@pytest.mark.parametrize("method", ("lstvc", "colormnet", "cavc"))
def test_with_a_loose_reference_the_first_frame_is_coloured_too(method):
    lab = torch.rand(1, 4, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 50
    wrapped = TrainingPass(colorlab.load(method, "tiny").train(), method)
    given, loose = wrapped(lab, None, 0)["colors"], wrapped(lab, lab[:, 2].flip(-1), 0)["colors"]
    assert (given.first, given.ab.shape[1], loose.first, loose.ab.shape[1]) == (1, 3, 0, 4)
    assert_close(loose.truth, lab)
    assert not torch.equal(wrapped(lab, lab[:, 1], 0)["colors"].ab, loose.ab)


def test_the_match_costs_what_the_heads_carry_over_wrongly():
    recipe = recipe_for("lstvc", "tiny", weights=LossWeights(match=1.0))
    truth = torch.rand(1, 2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    cells = torch.nn.functional.avg_pool2d(truth[0, :, 1:], 4)[None, :, None].expand(-1, -1, 2, -1, -1, -1)
    right = Prediction(torch.zeros(1, 2, 2, 16, 24), truth, 0, matched=cells)
    wrong = right._replace(matched=cells + torch.tensor([1.0, 3.0]).view(1, 1, 2, 1, 1, 1))
    cost = [
        float(Objective(recipe).terms({"colors": found}, None, torch.nn.ModuleDict())["match"][1])
        for found in (right, wrong)
    ]
    assert cost == pytest.approx([0.0, 2.0], abs=1e-6)


def test_strides_change_as_training_goes_on(footage):
    recipe = tiny("lstvc", steps=10, batch=1, frames=2, strides=((0.0, (1,)), (0.5, (3,))), photographs=0.0)
    windows = ClipWindows(recipe, survey(footage).clips, ())
    first, second = windows.phases
    assert torch.equal(windows[4].frames, first[4].frames) and torch.equal(
        windows[5].frames, second[5].frames
    )
    assert not torch.equal(first[5].frames, second[5].frames)


def test_a_phase_sees_the_data_set_that_is_its_own(footage):
    recipe = tiny("cavc", steps=10, batch=1, frames=2, photographs=0.0,
                  phases=(Phase("one", 0.0), Phase("two", 0.3), Phase("three", 0.8)))
    clips = survey(footage).clips
    windows = PhasedWindows(recipe, [ClipWindows(recipe, [clip], ()) for clip in clips])
    seen = [clip_name(Path(windows[index].source)) for index in range(10)]
    assert seen == [name for clip, count in zip(clips, (3, 5, 2)) for name in [clip_name(clip)] * count]
    with pytest.raises(InputError, match="3 phases"):
        PhasedWindows(recipe, [ClipWindows(recipe, clips, ())])


def test_cavc_is_trained_on_davis_and_then_on_ldv_as_whole_frames():
    recipe = recipe_for("cavc", "paper")
    assert [phase.data for phase in recipe.phases] == ["davis2017/train", "ldv/train"]
    davis = 100 * DATA_SETS["davis2017"].splits["train"].frames / recipe.batch  # steps of a hundred epochs
    assert abs(recipe.phases[1].share * recipe.steps / davis - 1) < 0.01
    assert (recipe.framing, recipe.size, recipe.flip) == ("squash", (256, 256), False)


def test_lstvcs_frames_are_neither_cropped_at_random_nor_mirrored(tmp_path):
    ramp = np.repeat(np.arange(48, dtype=np.uint8)[None, :, None], 3, -1).repeat(27, 0)
    clip = write_frames(tmp_path / "clip", [ramp] * 3)
    recipe = replace(recipe_for("lstvc", "paper"), size=(27, 48), frames=2, steps=6)
    windows = ClipWindows(recipe, [clip], ())
    expected = rgb_to_lab(frames_to_rgb(ramp))
    for frame in (frame for index in range(6) for frame in windows[index].frames):
        # a pixel of the ramp is 1000 times more; a batch is rounded otherwise than a frame
        assert_close(frame, expected, atol=1e-3, rtol=0)


def test_tcavc_trains_on_no_photograph_that_its_paper_drops(tmp_path):
    varied = np.random.default_rng(0).integers(0, 256, (260, 260, 3), dtype=np.uint8)
    for name, picture in {
            "varied": varied, "grey": varied[..., 0], "small": varied[:100], "flat": np.full_like(varied, 7)
    }.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    photographs = sorted(tmp_path.iterdir())
    recipe = replace(recipe_for("tcavc", "paper"), size=(32, 48), frames=2, steps=8)
    sources = lambda recipe: {
        Path(ClipWindows(recipe, (), photographs)[index].source).stem for index in range(8)
    }
    assert sources(recipe) == {"varied"} and len(sources(replace(recipe, pictures="all"))) == 4


def test_colormnets_windows_run_backwards_with_their_motion():
    """A window's flow still leads from each frame to the next."""
    from colorlab.train import losses

    recipe = tiny("colormnet", size=(64, 96), frames=3, reversed=True)
    windows = EmbeddedWindows(recipe, scenes=("layers",), films=1, film_frames=3)
    forwards = EmbeddedWindows(replace(recipe, reversed=False), scenes=("layers",), films=1, film_frames=3)
    turned = next(window for index in range(8)
                  if not torch.equal((window := windows[index]).frames, forwards[index].frames))
    assert torch.equal(turned.frames.flip(0), forwards[0].frames)
    moved_off = lambda flow: losses.temporal(turned.frames[None, :, 1:], flow[None], turned.visible[None])
    assert moved_off(turned.flow) < 0.5 * moved_off(-turned.flow)
    assert recipe_for("colormnet", "paper").reversed


def test_embedded_windows_bring_the_motion_of_their_frames():
    from colorlab.train import losses

    recipe = tiny("lstvc", size=(64, 96), frames=3)
    batch = collate([
        EmbeddedWindows(recipe, scenes=("layers", "rotation"), films=1, film_frames=6)[index]
        for index in range(4)
    ])
    true = losses.temporal(batch.lab[:, :, 1:], batch.motion.flow, batch.motion.visible)
    turned = losses.temporal(batch.lab[:, :, 1:], -batch.motion.flow, batch.motion.visible)
    assert true < 0.5 * turned and 0.3 < batch.motion.visible.mean() < 1


def test_where_the_motion_is_not_known_nothing_is_visible(footage):
    recipe = tiny("lstvc")
    known = one_film(recipe)[0]
    unknown = ClipWindows(recipe, survey(footage).clips, ())[0]
    visible = collate([known, unknown]).motion.visible
    assert visible[0].any() and not visible[1].any()


def test_motion_can_be_estimated():
    recipe = tiny("lstvc", size=(64, 96), frames=2)
    batch = collate([one_film(recipe)[0]])
    motion = estimated_motion(batch.lab, "classical")
    trusted = (motion.visible * batch.motion.visible).bool().expand(-1, -1, 2, -1, -1)
    assert (motion.flow - batch.motion.flow)[trusted].abs().median() < 0.5


def test_the_split_is_by_name_and_stays_as_the_collection_grows():
    few = [Path(f"clips/film{k}") for k in range(40)]
    more = few + [Path(f"clips/other{k}") for k in range(40)]
    held_out = {clip_name(path) for path in split(few)[1]}
    assert held_out and held_out == {clip_name(path) for path in split(more)[1]} & {
        clip_name(path) for path in few
    }


def test_no_clip_is_on_both_sides():
    paths = [Path("a/davis_bmx-trees"), Path("a/davis_bear"), Path("b/ta_kitten.mp4"), Path("b/cows/frames")]
    training, validation = split(paths)
    assert list(map(clip_name, validation)) == ["davis_bmx-trees", "ta_kitten"] and set(training) == set(
        paths
    ) - set(validation)
    assert split(paths, ["cows"])[1] == [paths[3]]


# Learning

@pytest.mark.parametrize("method", LEARNED)
def test_every_method_learns_a_film(method):
    recipe = tiny(method, steps=14, batch=1, frames=3, schedule=Steps(), rates=(("", 3e-3),),
                  reference=WITHOUT_JUDGE if method == "tcavc" else LossWeights())
    network = colorlab.load(method, "tiny")
    losses = train(network, method, recipe, one_film(recipe), None, QUIET).column("loss")[1]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3]) and not network.training


def test_the_average_of_the_weights_is_left_in_the_network():
    recipe = tiny("cavc", steps=3, batch=1, frames=2, average=0.9)
    averaged, last = colorlab.load("cavc", "tiny"), colorlab.load("cavc", "tiny")
    train(averaged, "cavc", recipe, one_film(recipe), None, QUIET)
    train(last, "cavc", replace(recipe, average=0.0), one_film(recipe), None, QUIET)
    start = colorlab.load("cavc", "tiny")
    way = [sum(float((a - b).detach().square().sum()) for a, b in zip(start.parameters(), other.parameters()))
           for other in (averaged, last)]
    assert 0 < way[0] < way[1]


def test_accumulation_is_a_larger_batch(tmp_path):
    recipe = tiny("lstvc", steps=1, batch=4, frames=2, seed=1)
    for name, changes in (("whole", {}), ("parts", {"batch": 2, "accumulate": 2}), ("half", {"batch": 2})):
        train(colorlab.load("lstvc", "tiny"), "lstvc", replace(recipe, **changes), one_film(recipe),
              tmp_path / name, QUIET)
    whole, parts, half = (first_gradients(tmp_path / name) for name in ("whole", "parts", "half"))
    assert (parts - whole).norm() < 1e-4 * whole.norm() < (half - whole).norm()


def first_gradients(out: Path) -> torch.Tensor:
    """All gradients of a run of one step, from what Adam remembers of them."""
    memory = load_checkpoint(out / "checkpoint.pt")["optimizer"]["state"]
    return torch.cat([memory[key]["exp_avg"].flatten() for key in sorted(memory)])


def moved_alike(method: str, one: dict, other: dict) -> bool:
    """Whether two trained networks went the same way from the start. Not number by number: Adam makes a step
    of full size out of a gradient that is rounding alone."""
    start = colorlab.load(method, "tiny").state_dict()
    apart = sum(float((one[name] - other[name]).square().sum()) for name in one)
    moved = sum(float((one[name] - start[name]).square().sum()) for name in one)
    return moved > 0 and apart < 1e-3 * moved


# Stopping and going on

def same_bits(a: Path, b: Path) -> bool:
    one, other = (load_checkpoint(path / "checkpoint.pt") for path in (a, b))
    return all(_same(one[name], other[name]) for name in one.keys() | other.keys())


def _same(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    return torch.equal(a, b) if torch.is_tensor(a) else a == b


class Stops:
    """Windows that end, as if someone had pulled the plug, when one of this number is asked for."""

    def __init__(self, windows, last: int):
        self.windows, self.last = windows, last

    def __getitem__(self, index):
        if index >= self.last:
            raise KeyboardInterrupt
        return self.windows[index]


@pytest.mark.parametrize("method", ("tcavc", "colormnet"))
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(method, tmp_path):
    """tcavc has judges and noise, colormnet draws what it remembers; weights are averaged, gradients
    accumulated and clipped."""
    recipe = tiny(method, steps=4, batch=1, frames=2, accumulate=2, average=0.9, lightness_noise=2.0)
    windows, settings = one_film(recipe), replace(QUIET, save_every=2)
    train(colorlab.load(method, "tiny"), method, recipe, windows, tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        train(colorlab.load(method, "tiny"), method, recipe, Stops(windows, 6), tmp_path / "stopped",
              settings)
    assert load_checkpoint(tmp_path / "stopped" / "checkpoint.pt")["step"] == 2
    torch.rand(3)  # what happens in between does not matter
    train(colorlab.load(method, "tiny", seed=5), method, recipe, windows, tmp_path / "stopped", settings)
    assert same_bits(tmp_path / "whole", tmp_path / "stopped")
    lines = [[
        json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
    ] for name in ("whole", "stopped")]
    assert lines[0] == lines[1] and len(lines[0]) == 4
    weights = [(tmp_path / name / f"{method}.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]


def command(footage: Path, out: Path, *more: str) -> list[str]:
    return [
        "train", "--method", "cavc", "--preset", "tiny", "--data",
        str(footage), "--out",
        str(out), "--validation", "rotation", "--save-every", "2", "--set", "frames=2", "--cpu", *more
    ]


def test_a_killed_command_goes_on_to_the_same_bits(footage, tmp_path, capsys):
    more = "--steps", "8", "--workers", "0"
    process = subprocess.Popen(
        [sys.executable, "-m", "colorlab", *command(footage, tmp_path / "killed", *more)],
        stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())})
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" /
               "checkpoint.pt").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert load_checkpoint(tmp_path / "killed" / "checkpoint.pt")["step"] in (2, 4, 6, 8)
    assert main(command(footage, tmp_path / "killed", *more)) == 0
    assert main(command(footage, tmp_path / "whole", *more)) == 0
    assert same_bits(tmp_path / "whole", tmp_path / "killed")
    assert "8 steps" in capsys.readouterr().out


def test_two_processes_are_one_with_the_batch_doubled(footage, tmp_path):
    shared = command(footage, tmp_path / "two", "--steps", "2", "--batch", "1", "--workers", "0")
    port = str(29500 + os.getpid() % 2000)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "colorlab", *shared], stderr=subprocess.PIPE, text=True, env=os.environ | {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "localhost",
                "MASTER_PORT": port, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"
            }) for rank in range(2)
    ]
    said = [process.communicate(timeout=180)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert main(command(footage, tmp_path / "one", "--steps", "2", "--batch", "2", "--workers", "0")) == 0
    assert main(command(footage, tmp_path / "small", "--steps", "2", "--batch", "1", "--workers", "0")) == 0
    one, two = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("one", "two"))
    assert two["identity"]["processes"] == "2"
    assert moved_alike("cavc", one["network"], two["network"])
    other = load_checkpoint(tmp_path / "small" / "checkpoint.pt")
    assert not moved_alike("cavc", one["network"], other["network"])  # half the windows lead elsewhere


def test_a_run_does_not_go_on_with_other_settings(footage, tmp_path, capsys):
    assert main(command(footage, tmp_path / "out", "--steps", "2", "--workers", "0")) == 0
    assert main(command(footage, tmp_path / "out", "--steps", "4", "--workers", "0")) == 2
    assert "steps was 2 and is 4" in capsys.readouterr().err
    assert main(command(footage, tmp_path / "out", "--steps", "2", "--workers", "0", "--validation",
                        "layers")) == 2
    assert "data was" in capsys.readouterr().err


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1, "x": torch.zeros(10)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # a write beyond this fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(InputError, match="step 2 could not be written.*the one before it is whole"):
            save_checkpoint(path, {"step": 2, "x": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_checkpoint(path)["step"] == 1 and list(tmp_path.iterdir()) == [path]


def test_a_cut_checkpoint_gets_one_line(tmp_path):
    save_checkpoint(tmp_path / "checkpoint.pt", {"step": 1, "x": torch.zeros(1000)})
    (tmp_path / "checkpoint.pt").write_bytes((tmp_path / "checkpoint.pt").read_bytes()[:700])
    with pytest.raises(InputError, match="no checkpoint of a training run"):
        load_checkpoint(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("workers", (0, 1))
def test_a_lost_file_is_named(footage, tmp_path, workers):
    recipe = tiny("cavc", steps=3, batch=1, frames=2, photographs=0.0)
    clip = write_frames(tmp_path / "clip", [np.full((40, 64, 3), level, np.uint8) for level in (10, 90, 170)])
    windows = ClipWindows(recipe, [clip], ())
    assert windows[0].frames.shape == (2, 3, 32, 48)
    for file in clip.iterdir():
        file.unlink()
    with pytest.raises(InputError, match="has disappeared") as caught:
        train(colorlab.load("cavc", "tiny"), "cavc", recipe, windows, None, replace(QUIET, workers=workers))
    assert "\n" not in str(caught.value)


class Poisoned:
    def __init__(self, windows, index):
        self.windows, self.index = windows, index

    def __getitem__(self, index):
        window = self.windows[index]
        return window._replace(frames=window.frames * (float("nan") if index == self.index else 1))


def test_a_loss_that_is_not_finite_stops_with_what_to_look_at(tmp_path):
    recipe = tiny("cavc", steps=5, batch=1, frames=2)
    with pytest.raises(InputError,
                       match="loss of step 4 is not finite .rgb, loss.*layers from frame") as caught:
        train(colorlab.load("cavc", "tiny"), "cavc", recipe, Poisoned(one_film(recipe), 3), tmp_path,
              replace(QUIET, save_every=2))
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert state["step"] == 2 and all(value.isfinite().all() for value in state["network"].values()), (
        caught.value
    )


def test_minutes_stop_a_run_with_a_checkpoint(tmp_path):
    recipe = tiny("cavc", steps=50, batch=1, frames=2)
    train(colorlab.load("cavc", "tiny"), "cavc", recipe, one_film(recipe), tmp_path,
          replace(QUIET, minutes=0.0))
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 1


# The command and what it leaves

def test_a_run_leaves_weights_curves_pictures_and_how_it_was_made(footage, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = command(footage, out, "--steps", "4", "--workers", "0", "--validate-every", "2", "--set",
                        "average=0.9")
    assert main(arguments) == 0
    network = colorlab.load("cavc", "tiny", weights=out / "cavc.safetensors")
    assert network.frames_per_step and "validation PSNR" in capsys.readouterr().out
    about = json.loads((out / "run.json").read_text())
    assert about["data"] == {"training": ["exposure", "layers"], "validation": ["rotation"], "photographs": 1}
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "psnr" in line] == [2, 4]
    assert Image.open(out / "losses.png").size[0] > 100
    assert [path.name
            for path in sorted((out / "pictures").iterdir())] == ["step_000002.jpg", "step_000004.jpg"]


@pytest.mark.parametrize(("arguments", "said"), (
    (["--embedded", "--data", "x"], "say what to train on"),
    (["--data", "nowhere"], "no folder nowhere"),
    (["--embedded", "--set", "weights.l3=1"], "no number called weights.l3"),
    (["--embedded", "--set", "weights.perceptual=1"], "VGG-19"),
    (["--embedded", "--initial", "nowhere.pth"], "no checkpoint at nowhere.pth"),
    (["--embedded", "--then", "x"], "say what to train on"),
    (["--data", "data", "--then", "data"], "this recipe has one phase and the data of 2"),
    (["--embedded", "--change", "nothing=1"], "no setting nothing")))
def test_what_cannot_be_trained_is_one_line_and_two(arguments, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert main([
        "train", "--method", "lstvc", "--preset", "tiny", "--out",
        str(tmp_path / "out"), "--cpu", *arguments
    ]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_command_trains_on_one_folder_and_then_on_another(footage, tmp_path, capsys):
    out = tmp_path / "out"
    first, second = footage / "layers", footage / "rotation"
    phases = "phases=()"
    arguments = [
        "train", "--method", "cavc", "--preset", "tiny", "--recipe", "paper", "--data",
        str(first), "--then",
        str(second), "--out",
        str(out), "--cpu", "--steps", "2", "--set", "size=32,48", "--workers", "0"
    ]
    assert main([*arguments, "--set", phases]) == 2 and "the data of 2" in capsys.readouterr().err
    assert main(arguments) == 0
    about = json.loads((out / "run.json").read_text())
    assert about["data"]["training"] == {"davis2017/train": ["layers"], "ldv/train": ["rotation"]}


def test_show_prints_the_recipe(capsys, tmp_path):
    assert main(["train", "--method", "lstvc", "--preset", "paper", "--out",
                 str(tmp_path / "out"), "--show"]) == 0
    assert "weights.temporal         3.0" in capsys.readouterr().out and not (tmp_path / "out").exists()


# Validation

def moving_square(frames: int = 6) -> list[np.ndarray]:
    film = [np.full((48, 80, 3), (90, 120, 160), np.uint8) for _ in range(frames)]
    for t, frame in enumerate(film):
        frame[10:30, 5 + 8 * t:25 + 8 * t] = (200, 60, 50)
    return film


def test_a_still_film_is_coloured_by_copying():
    film = [moving_square(1)[0]] * 5
    found, _ = score("still", film, colorlab.load("copy", "course"))
    assert found.psnr > 50 and found.cdc == pytest.approx(found.truth_cdc, abs=1e-3)


def test_psnr_leaves_out_the_first_frame_and_averages_decibels():
    from colorlab.metrics import psnr

    film = moving_square()
    found, predicted = score("square", film, colorlab.load("copy", "course"))
    assert found.psnr == pytest.approx(np.mean([psnr(predicted[t], film[t]) for t in range(1, 6)]))
    assert found.psnr < psnr(predicted[0], film[0])


def test_a_loose_reference_is_the_last_frame_mirrored_and_all_frames_count(monkeypatch):
    clip = [np.full((16, 24, 3), 10 * n, np.uint8) for n in range(20)]
    clip[-1] = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8)
    given = []
    monkeypatch.setattr(
        "colorlab.train.measure.colorize",
        lambda frames, references, model, device, precision: given.append(references) or frames)
    found, predicted = score("clip", clip, colorlab.load("copy"), reference="loose")
    assert np.array_equal(given[0], clip[-1][:, ::-1]) and len(predicted) == found.frames == LOOSE_FRAMES


def test_tcavc_is_measured_without_a_reference(monkeypatch):
    model, given = colorlab.load("tcavc", "tiny"), []
    start = model.start
    monkeypatch.setattr(model, "start", lambda references=None: given.append(references) or start(references))
    score("square", moving_square(3), model)
    assert given == [None]


def test_clips_are_measured_at_short_side_128(tmp_path):
    clip = write_frames(tmp_path / "clip", [np.zeros((240, 427, 3), np.uint8)] * 3)
    assert [frame.shape for frame in read_clip(clip)] == [(128, 228, 3)] * 3
    small = write_frames(tmp_path / "small", [np.zeros((60, 80, 3), np.uint8)] * 2)
    assert read_clip(small, frames=1)[0].shape == (60, 80, 3)


def test_the_command_measures_the_validation_clips(footage, tmp_path, capsys):
    assert validate([
        "--data",
        str(footage), "--method", "copy", "--clips", "layers,rotation", "--json",
        str(tmp_path / "v.json")
    ]) == 0
    report = json.loads((tmp_path / "v.json").read_text())
    assert [row["clip"] for row in report["copy"]["clips"]] == [
        "layers",
        "rotation",
    ] and "mean" in capsys.readouterr().out
    assert validate([
        "--data",
        str(footage), "--method", "lstvc", "--preset", "tiny", "--clips", "layers", "--reference", "loose",
        "--change", "block_size=1", "--json",
        str(tmp_path / "v.json")
    ]) == 0
    assert json.loads((tmp_path / "v.json").read_text())["lstvc"]["mean"]["psnr"] > 0
    assert validate(["--data", str(footage), "--method", "copy", "--clips", "nothing"]) == 2


def test_all_course_recipes_run_at_the_measured_size():
    assert {recipe.size for recipe in COURSE.values()} == {(128, 224)}
    assert set(COURSE) == {record(method).recipe for method in LEARNED} | {"plain"}


def test_packed_data_has_the_same_clips_and_is_smaller(footage, tmp_path):
    from colorlab.clips.windows import frame_files
    from colorlab.train.pack import main as pack

    assert pack([str(footage), "--out", str(tmp_path / "packed"), "--short-side", "24"]) == 0
    before, after = survey(footage), survey(tmp_path / "packed")
    assert sorted(map(clip_name, before.clips)) == sorted(map(clip_name, after.clips)) and len(
        after.photographs) == 1
    assert [len(frame_files(clip))
            for clip in after.clips] == [6, 6, 6] and read_clip(after.clips[0])[0].shape == (24, 38, 3)
    assert pack([str(footage), str(tmp_path / "packed"), "--out",
                 str(tmp_path / "twice")]) == 2 and not (tmp_path / "twice").exists()


def test_a_run_can_be_watched():
    seen = []
    recipe = tiny("cavc", steps=4, batch=1, frames=2)
    settings = replace(QUIET, validate_every=2, watch=lambda step, network: seen.append(
        (step, network.training)))
    train(colorlab.load("cavc", "tiny"), "cavc", recipe, one_film(recipe), None, settings)
    assert seen == [(0, False), (2, False), (4, False)]


def test_a_run_can_be_stopped_from_outside_and_goes_on_to_the_same_bits(tmp_path):
    recipe = tiny("colormnet", steps=6, weights=WITHOUT_JUDGE)
    lines = []
    # asked before the third line comes
    stopped = replace(QUIET, cpu=True, follow=lines.append, stop=lambda: len(lines) >= 2)
    train(colorlab.load("colormnet", "tiny"), "colormnet", recipe, one_film(recipe), tmp_path / "halves",
          stopped)
    assert [line["step"] for line in lines] == [1, 2, 3] and all("loss" in line for line in lines)
    assert load_checkpoint(tmp_path / "halves" / "checkpoint.pt")["step"] == 3
    assert (tmp_path / "halves" / "colormnet.safetensors").is_file()
    plain = replace(QUIET, cpu=True)
    train(colorlab.load("colormnet", "tiny"), "colormnet", recipe, one_film(recipe), tmp_path / "halves",
          plain)
    train(colorlab.load("colormnet", "tiny"), "colormnet", recipe, one_film(recipe), tmp_path / "whole",
          plain)
    files = [tmp_path / part / "colormnet.safetensors" for part in ("halves", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_validation_is_followed_too(tmp_path):
    recipe, lines = tiny("colormnet", steps=2, weights=WITHOUT_JUDGE), []
    clip = write_frames(tmp_path / "clip",
                        np.random.default_rng(0).integers(0, 255, (3, 32, 48, 3), dtype=np.uint8))
    settings = replace(QUIET, cpu=True, validation=(clip,), validate_every=1, follow=lines.append)
    train(colorlab.load("colormnet", "tiny"), "colormnet", recipe, one_film(recipe), None, settings)
    assert [line["step"] for line in lines if "psnr" in line] == [1, 2]
