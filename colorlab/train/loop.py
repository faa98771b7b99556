"""The training loop: one network, or a network and its discriminators, on a CPU, a GPU, or many (`accelerate
launch`).

**Resuming.** A step is a function of the weights, the optimiser's state and its own number: its windows are
found by number, its learning rate is a function of the number, and the random generators are seeded from it.
So a checkpoint needs no generator state and no data loader position, and a run that was killed and resumed
computes the same as an uninterrupted one: bit for bit on a CPU, and on a GPU as far as its kernels are
deterministic.

**Several processes** each take `batch` windows and average their gradients: two processes are equivalent to
one with twice the batch. (The relativistic adversarial loss compares with the mean of its own process's
batch, as the authors' code does on each GPU.)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm import tqdm

from colorlab.files.errors import InputError
from colorlab.files.atomic import atomically
from colorlab.train.batches import Batch, StepOrder, estimated_motion, loader
from colorlab.train.saved_run import check_same, load_checkpoint, save_checkpoint, save_weights
from colorlab.train.measure import mean_score, read_clip, score
from colorlab.train.recipes import Recipe
from colorlab.train.record import Record, strip
from colorlab.train.run import (Settings, TrainingRun, averaged, content, new_accelerator, prepared, restore,
                                set_rates, update_average)
from colorlab.train.split import clip_name

CHECKPOINT = "checkpoint.pt"


def train(network: nn.Module, method: str, recipe: Recipe, windows: Dataset, out: Path | None = None,
          settings: Settings = Settings(), identity: Mapping[str, str] | None = None) -> Record:
    """Train a network in place, on windows that `windows` returns by number, and leave it in eval mode.

    out: the folder of the run (made if need be). Training resumes from a checkpoint in it. It receives
    checkpoint.pt, METHOD.safetensors, metrics.jsonl, losses.png and pictures/. None: nothing is written.
    identity: what else must match in a checkpoint, such as the data, as text. Returns the record of losses.
    Raises InputError for a checkpoint with other settings, missing or damaged data, a non-finite loss, and a
    full disk.
    """
    accelerator = new_accelerator(recipe, settings)
    run = prepared(accelerator, network, method, recipe, settings, identity or {})
    path = out / CHECKPOINT if out else None
    if accelerator.is_main_process and out:
        out.mkdir(parents=True, exist_ok=True)
    if path and path.is_file():
        _take_up(path, accelerator, run)
    record = Record(out if accelerator.is_main_process else None, run.step)
    order = StepOrder(run.step, recipe.steps, recipe.accumulate, recipe.batch, accelerator.process_index,
                      accelerator.num_processes)
    batches = loader(windows, order, settings.workers, pin=accelerator.device.type == "cuda")
    network.train()
    if run.step == 0 and accelerator.is_main_process:
        _watched(run, settings)
    _to_the_end(accelerator, run, method, recipe, batches, settings, record, out)
    with averaged(run):
        state = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    network.eval()
    return record


def _take_up(path: Path, accelerator: object, run: TrainingRun) -> None:
    """Resume from a checkpoint; InputError for one with other settings, and for any other file."""
    stored = load_checkpoint(path)
    try:
        check_same(path, stored["identity"], run.identity)
        restore(accelerator, run, stored)
    except InputError:
        raise
    except Exception as error:  # an arbitrary file may contain anything
        said = " ".join(str(error).split())[:100]
        raise InputError(
            f"{path} is no checkpoint of this training run ({said}); remove it to start again") from error


def _to_the_end(accelerator: object, run: TrainingRun, method: str, recipe: Recipe, batches: Iterator[Batch],
                settings: Settings, record: Record, out: Path | None) -> None:
    """Run all steps, or until time is up, logging, validating and saving checkpoints on the way."""
    began, main = time.monotonic(), accelerator.is_main_process
    with tqdm(total=recipe.steps, initial=run.step, unit="step",
              disable=not (settings.progress and main)) as bar:
        last = run.step >= recipe.steps
        while not last:
            asked = time.monotonic()
            parts = [next(batches).to(accelerator.device) for _ in range(recipe.accumulate)]
            waited = time.monotonic() - asked
            values = _one_step(accelerator, run, recipe, parts)
            run.step += 1
            bar.update()
            last = run.step == recipe.steps or _time_is_over(accelerator, settings, began)
            if run.step % settings.log_every == 0 or last or run.step == 1:
                values = {name: float(value) for name, value in values.items()}
                record.add(step=run.step, **values, rate=run.optimizer.param_groups[0]["lr"],
                           seconds=round(time.monotonic() - asked, 4), waited=round(waited, 4))
                if settings.follow is not None and main:
                    settings.follow(record.lines[-1])
                bar.set_postfix(loss=f"{values['loss']:.4g}", refresh=False)
            if main and (run.step % settings.validate_every == 0 or last):
                _validate(run, method, settings, record, out, accelerator.device)
            if run.step % settings.save_every == 0 or last:
                _keep(accelerator, run, method, record, out / CHECKPOINT if out else None)


def _one_step(
    accelerator: object, run: TrainingRun, recipe: Recipe, parts: Sequence[Batch]
) -> dict[str, Tensor]:
    """One update of the network and of its discriminators. Returns the losses, averaged over this process's
    parts."""
    seed = _seed(recipe.seed, run.step)
    torch.manual_seed(seed + accelerator.process_index)
    set_rates(run, recipe)
    sums: dict[str, Tensor] = {}
    for number, batch in enumerate(parts):
        syncing = number + 1 == len(parts)
        with nullcontext() if syncing else accelerator.no_sync(run.train):
            predictions = run.train(batch.lab, batch.reference, seed + number)
            motion = batch.motion
            if run.objective.needs("temporal") and recipe.motion != "given" and motion is None:
                motion = estimated_motion(batch.lab, recipe.motion)
            terms = run.objective.terms(predictions, motion, run.judges)
            loss = sum(weight * value for weight, value in terms.values())
            values = {name: value.detach() for name, (_, value) in terms.items()} | {"loss": loss.detach()}
            accelerator.backward(loss / len(parts))
        if run.trial is not None:
            with nullcontext() if syncing else accelerator.no_sync(run.trial):
                judged = run.trial(predictions)
                values["judges"] = judged.detach()
                accelerator.backward(judged / len(parts))
        sums = {name: sums.get(name, 0) + value / len(parts) for name, value in values.items()}
    _check_finite(sums, run.step + 1, recipe, parts)
    for optimizer, module in ((run.optimizer, run.train), (run.judge_optimizer, run.trial)):
        if optimizer is not None:
            if recipe.clip is not None:
                accelerator.clip_grad_norm_(module.parameters(), recipe.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    update_average(run, recipe)
    return sums


def _check_finite(values: dict[str, Tensor], step: int, recipe: Recipe, parts: Sequence[Batch]) -> None:
    # once per step, before the weights change: each check synchronises the GPU
    if not bool(torch.isfinite(values["loss"])):
        broken = [name for name, value in values.items() if not bool(torch.isfinite(value))]
        raise InputError(f"the loss of step {step} is not finite ({', '.join(broken)}); the last "
                         "checkpoint is whole. Look at the windows of this step "
                         f"({'; '.join([source for batch in parts for source in batch.sources][:3])}), at "
                         "the curve before it in metrics.jsonl, and try a lower rate, a norm to clip the "
                         f"gradient at (now {recipe.clip}) or more precision (now {recipe.precision})")


def _seed(seed: int, step: int) -> int:
    """A seed for each step, well separated from those of neighbouring steps and seeds."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint32)[0])


def _validate(run: TrainingRun, method: str, settings: Settings, record: Record, out: Path | None,
              device: torch.device) -> None:
    """PSNR on the validation clips, and a picture of the first of them."""
    _watched(run, settings)
    if not settings.validation:
        return
    scores, rows = [], {}
    with averaged(run):
        for path in settings.validation:
            truth = read_clip(path, frames=settings.validation_frames)
            found, predicted = score(clip_name(path), truth, run.network, str(device))
            scores.append(found)
            if len(rows) < 6:
                rows |= {f"{found.clip}, truth": truth, f"{method}, {found.psnr:.1f} dB": predicted}
    mean = mean_score(scores)
    record.add(step=run.step, psnr=mean["psnr"], colorfulness=mean["colorfulness"])
    if settings.follow is not None:
        settings.follow(record.lines[-1])
    if out:
        (out / "pictures").mkdir(exist_ok=True)
        with atomically(out / "pictures" / f"step_{run.step:06d}.jpg") as temporary:
            strip(rows).save(temporary, quality=88)


def _watched(run: TrainingRun, settings: Settings) -> None:
    if settings.watch is not None:
        with averaged(run), torch.inference_mode():
            settings.watch(run.step, run.network)


def _keep(accelerator: object, run: TrainingRun, method: str, record: Record, path: Path | None) -> None:
    """Save the checkpoint, the weights alone, and the plot of the losses."""
    if not path or not accelerator.is_main_process:
        return
    save_checkpoint(path, content(accelerator, run))
    with averaged(run):
        save_weights(path.with_name(f"{method}.safetensors"), run.network.state_dict(),
                     {"method": method, "step": run.step})
    record.draw()


def _time_is_over(accelerator: object, settings: Settings, began: float) -> bool:
    """Whether all processes stop after this step: decided in the first process, by its clock or its stop
    callback."""
    if settings.minutes is None and settings.stop is None:
        return False
    over = settings.minutes is not None and time.monotonic() - began > 60 * settings.minutes
    over = over or (settings.stop is not None and bool(settings.stop()))
    if accelerator.num_processes == 1:
        return over
    asked = torch.tensor(float(over and accelerator.is_main_process), device=accelerator.device)
    return bool(accelerator.reduce(asked, "sum") > 0)
