"""A training run: the network and its discriminators, prepared for one process or many, and how they are
saved and restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlab.modules.vgg import trained_vgg
from colorlab.train.forward import TrainingPass
from colorlab.train.objective import Objective, DiscriminatorPass
from colorlab.train.recipes import Recipe, described


@dataclass(frozen=True)
class Settings:
    """How a run is executed; nothing here changes its numbers."""

    workers: int = 0                 # processes that read data ahead
    log_every: int = 10              # steps between lines of metrics.jsonl
    save_every: int = 200            # steps between checkpoints
    validate_every: int = 500
    validation: Sequence[Path] = ()  # clips, as folders of frames or films
    validation_frames: int = 16      # of each
    minutes: float | None = None     # stop, with a checkpoint, after this many
    cpu: bool = False                # do not use a GPU even if there is one
    progress: bool = True
    # called with the step and the network at step 0 and at every validation
    watch: Callable[[int, nn.Module], None] | None = None
    # called with every logged line, losses and validation alike
    follow: Callable[[Mapping[str, float]], None] | None = None
    # called after every step: True ends the run, with a checkpoint, as `minutes` does
    stop: Callable[[], bool] | None = None
    vgg: nn.Module | None = None  # for the perceptual loss; None: trained weights in torch's download cache


@dataclass
class TrainingRun:
    """The state of a training run."""

    network: nn.Module
    objective: Objective
    train: nn.Module                       # the network's pass, wrapped for several processes
    optimizer: torch.optim.Optimizer
    judges: nn.ModuleDict
    trial: nn.Module | None                # the discriminators' pass, wrapped
    judge_optimizer: torch.optim.Optimizer | None
    average: dict[str, Tensor] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)
    step: int = 0


def new_accelerator(recipe: Recipe, settings: Settings) -> object:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedDataParallelKwargs

    AcceleratorState._reset_state()  # a notebook may train more than once, with different precisions
    # A window of one block uses no linkage: not every parameter has a gradient at every step.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(mixed_precision=recipe.precision, cpu=settings.cpu, kwargs_handlers=[unused])


def prepared(accelerator: object, network: nn.Module, method: str, recipe: Recipe, settings: Settings,
              identity: Mapping[str, str]) -> TrainingRun:
    """The given network with new discriminators and new optimisers, on the accelerator's device."""
    vgg = None
    objective = Objective(recipe)
    if objective.needs("perceptual"):
        vgg = (settings.vgg or trained_vgg()).to(accelerator.device)
    objective = Objective(recipe, vgg)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        judges = objective.judges()
    optimizer = _optimizer(recipe, groups(network, recipe.rates))
    wrapped, optimizer = accelerator.prepare(TrainingPass(network, method, recipe.lightness_noise), optimizer)
    trial = judge_optimizer = None
    if judges:
        judge_optimizer = _optimizer(recipe, [{
            "params": list(judges.parameters()), "lr": recipe.discriminator_rate,
            "base": recipe.discriminator_rate
        }])
        trial, judge_optimizer = accelerator.prepare(DiscriminatorPass(judges), judge_optimizer)
    average = {name: p.detach().clone()
               for name, p in network.named_parameters()
               if p.requires_grad} if recipe.average else {}
    identity = described(recipe) | dict(identity) | {"processes": str(accelerator.num_processes)}
    return TrainingRun(
        network, objective, wrapped, optimizer, judges, trial, judge_optimizer, average, identity
    )


def groups(network: nn.Module, rates: Sequence[tuple[str, float]]) -> list[dict]:
    """Trainable parameters, grouped by learning rate: each has the rate of the longest matching prefix in
    `rates`."""
    found: dict[str, list[nn.Parameter]] = {prefix: [] for prefix, _ in rates}
    for name, parameter in network.named_parameters():
        fitting = [
            prefix for prefix in found if not prefix or name == prefix or name.startswith(prefix + ".")
        ]
        if parameter.requires_grad and fitting:
            found[max(fitting, key=len)].append(parameter)
    return [{"params": found[prefix], "lr": rate, "base": rate} for prefix, rate in rates if found[prefix]]


def _optimizer(recipe: Recipe, parameters: list[dict]) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, betas=recipe.betas, weight_decay=recipe.weight_decay)


def set_rates(run: TrainingRun, recipe: Recipe) -> None:
    factor = recipe.schedule(run.step, recipe.steps)
    for optimizer in (run.optimizer, run.judge_optimizer):
        for group in optimizer.param_groups if optimizer is not None else ():
            group["lr"] = group["base"] * factor


@torch.no_grad()
def update_average(run: TrainingRun, recipe: Recipe) -> None:
    """Exponential moving average of the weights, faster at first, so that the initial weights are soon
    forgotten."""
    if run.average:
        keep = min(recipe.average, (1 + run.step) / (10 + run.step))
        now = dict(run.network.named_parameters())
        torch._foreach_lerp_(list(run.average.values()), [now[name].detach() for name in run.average],
                             1 - keep)


@contextmanager
def averaged(run: TrainingRun) -> Iterator[None]:
    """Context with the averaged weights, in eval mode; restored afterwards."""
    parameters = dict(run.network.named_parameters())
    own = {name: parameters[name].detach().clone() for name in run.average}
    mode = run.network.training
    with torch.no_grad():
        for name, value in run.average.items():
            parameters[name].copy_(value)
    run.network.eval()
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in own.items():
                parameters[name].copy_(value)
        run.network.train(mode)


def content(accelerator: object, run: TrainingRun) -> dict[str, object]:
    """Everything that the next step depends on, as stored in a checkpoint."""
    optimizers = {"optimizer": run.optimizer, "judge_optimizer": run.judge_optimizer}
    return {
        "step": run.step, "identity": run.identity, "network": run.network.state_dict(),
        "average": run.average, "judges": run.judges.state_dict(),
        "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else {},
        **{name: optimizer.state_dict() for name, optimizer in optimizers.items() if optimizer is not None}
    }


def restore(accelerator: object, run: TrainingRun, stored: Mapping[str, object]) -> None:
    """Restore from `content`."""
    run.network.load_state_dict(stored["network"])
    run.judges.load_state_dict(stored["judges"])
    run.optimizer.load_state_dict(stored["optimizer"])
    if run.judge_optimizer is not None:
        run.judge_optimizer.load_state_dict(stored["judge_optimizer"])
    if accelerator.scaler is not None and stored["scaler"]:
        accelerator.scaler.load_state_dict(stored["scaler"])
    run.average = {name: value.to(accelerator.device) for name, value in stored["average"].items()}
    run.step = stored["step"]
