"""All that a GPU is to do, on one that is only pretended: nothing is left on the CPU, nothing is copied,
nothing is waited for."""

import warnings
from contextlib import nullcontext

import pytest
import torch
from pretended_gpu import GPU, Traffic, pretended

import colorlab
import colorlab.film.colorize
from colorlab.files.errors import InputError
from colorlab.film.colorize import color_block
from colorlab.modules.flow import resize_flow, warp
from colorlab.modules.flow.occlusion import occlusion_lai, reliable_ruder, soften
from colorlab.modules.vgg import VGG19
from colorlab.train import estimated_motion, recipe_for
from colorlab.train.batches import Motion
from colorlab.train.forward import TrainingPass
from colorlab.train.objective import Objective, DiscriminatorPass

LEARNED = ("cavc", "lstvc", "colormnet", "tcavc")
SIZE = (32, 48)
HALF = {"course": torch.bfloat16, "paper": torch.float16}
BLOCKS = {"cavc": 3, "lstvc": 2, "colormnet": 4, "tcavc": 2}
# memory is compressed at once
SOON = {"colormnet": {"mem_every": 1, "max_mid_frames": 3, "min_mid_frames": 2, "prototypes": 8}}


def network(method: str, preset: str, **changes):
    with torch.device("meta") if preset == "paper" else nullcontext():
        return colorlab.load(method, preset, **SOON.get(method, {}), **changes)


def autocast(dtype: torch.dtype | None):
    return torch.autocast("cuda", dtype=dtype) if dtype else nullcontext()


def lab(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape[:-2], 3, *shape[-2:], device=GPU)


def references(method: str):
    """In turn: a loose picture of another size; the first frame and others of the film beside a picture.
    tcavc paints its own, too."""
    yield None if method == "tcavc" else lab(1, 40, 40)
    yield [lab(1, *SIZE), (0, lab(1, *SIZE)), (2, lab(1, *SIZE)), (9, lab(1, *SIZE))]


def quiet() -> None:
    warnings.filterwarnings("ignore", "the .* colour extractor has random weights")


@pytest.mark.parametrize("preset", ("course", "paper"))
@pytest.mark.parametrize("method", LEARNED)
@torch.no_grad()
def test_a_network_runs_on_one_device_and_its_steps_neither_copy_nor_wait(method, preset):
    """Until references are registered and memory is compressed, in float32 and in half precision."""
    quiet()
    model = network(method, preset)
    T = model.frames_per_step
    with pretended(model):
        loose, several = references(method)
        for dtype, given in ((None, several), (HALF[preset], loose)):
            with autocast(dtype), Traffic() as whole:
                state = model.start(given)
                for block in range(BLOCKS[method]):
                    with Traffic() as traffic:
                        ab, state = model.step(torch.zeros(1, T, 1, *SIZE, device=GPU), state)
                    assert ab.device == GPU
                    assert block * T < 2 or not (traffic.copies or traffic.waits), (
                        traffic.copies,
                        traffic.waits,
                    )
                maps = (
                    model.attention(torch.zeros(1, 1, *SIZE, device=GPU), state, at=(5, 7))
                    if dtype is None
                    else {}
                )
                assert all(found.device == GPU for found in maps.values())
            assert whole.made[torch.float32] and (dtype is None or whole.made[dtype])


@pytest.mark.parametrize("method", LEARNED)
@torch.no_grad()
def test_what_a_training_step_computes_neither_copies_nor_waits(method):
    quiet()
    recipes = [recipe_for(method, name, motion="given") for name in ("course", "paper")]
    with torch.device("meta"):
        vgg, judges = VGG19(), [Objective(recipe).judges() for recipe in recipes]
    size = (192, 384) if recipes[1].discriminator == "picture" else SIZE  # which looks at no smaller pictures
    train, trials = TrainingPass(network(method, "course"), method,
                         recipes[0].lightness_noise), [DiscriminatorPass(judge) for judge in judges]
    with pretended(train, vgg, *trials), Traffic() as traffic:
        found = train(lab(1, 4, *size), None, 0)
        motion = Motion(torch.zeros(1, 3, 2, *size, device=GPU), torch.ones(1, 3, 1, *size, device=GPU))
        for recipe, judge, trial in zip(recipes, judges, trials):
            terms = Objective(recipe, vgg).terms(found, motion, judge)
            assert terms and all(loss.device == GPU for _, loss in terms.values())
            assert not judge or trial(found).device == GPU
    assert not traffic.copies and not traffic.waits, (traffic.copies, traffic.waits)


@pytest.mark.parametrize("method", LEARNED)
def test_colorize_copies_frames_to_the_gpu_and_back_and_no_more(method, monkeypatch):
    quiet()
    monkeypatch.setattr(colorlab.film.colorize, "rgb_to_frames", lambda rgb, *_: rgb)  # the way back
    model = network(method, "course")
    with pretended(model), torch.no_grad(), Traffic() as traffic:
        block = torch.zeros(model.frames_per_step, 64, 96, 3, dtype=torch.uint8)
        state = model.start(next(references(method)))
        frames, _, state = color_block(block.to(GPU), model, state, 32)
        frames, _, state = color_block(block.to(GPU), model, state, 32)
        assert frames.device == GPU
    assert sum(traffic.copies.values()) == 2 and not traffic.waits, (traffic.copies, traffic.waits)


@torch.no_grad()
def test_flow_stays_on_the_gpu():
    with pretended(), Traffic() as traffic:
        image, flow = torch.zeros(2, 3, *SIZE, device=GPU), torch.zeros(2, 2, *SIZE, device=GPU)
        assert warp(image, resize_flow(flow, SIZE)).device == resize_flow(flow, (20, 20)).device == GPU
        found = reliable_ruder(flow, flow)
        assert soften(found).device == occlusion_lai(flow, flow).device == GPU
    assert not traffic.copies and not traffic.waits, (traffic.copies, traffic.waits)


def test_a_gpu_does_not_wait_for_the_classical_flow_unless_it_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr("colorlab.train.batches.raft_file", lambda: tmp_path / "none.pth")
    with pretended(), pytest.raises(InputError, match="motion=classical"):
        estimated_motion(lab(1, 2, *SIZE), "auto")


def test_the_count_counts():
    """A copy, a wait, and an operation on two devices are seen."""
    with pretended():
        x = torch.zeros(3, device=GPU)
        with Traffic() as traffic:
            x.new_tensor([1.0, 2.0, 3.0]), torch.arange(3).to(x), x[x > 0], bool(x.sum() > 0)
        assert sum(traffic.copies.values()) == 2 and sum(traffic.waits.values()) >= 2
        with pytest.raises(RuntimeError, match="device"):
            x + torch.arange(3)
