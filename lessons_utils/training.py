"""One training loop for every method, on the CPU, one GPU, several devices or machines.

Lesson 03 shows the bare loop. This one adds what a long run needs: mixed precision and devices
through Lightning Fabric, weight averaging, validation, and a resume that continues exactly where
a killed run stopped.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

Batch = tuple[Tensor, ...]

_SHOW_EVERY = 50  # steps between two losses on the progress bar; each waits for the device


def cosine_schedule(step: int, steps: int, warm_up: int = 100) -> float:
    """Return the factor on the learning rate: a linear rise, then half a cosine down to zero.

    Args:
        step: from 0.
        steps: length of the whole training.
        warm_up: steps of the rise.
    """
    rise = min(1.0, (step + 1) / max(1, warm_up))
    return rise * 0.5 * (1 + math.cos(math.pi * step / steps))


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal, for layers with several filters.

    A convolution's weight is a matrix, one row a filter. Gradient descent changes it mainly along
    a few directions that dominate the gradient; Muon gives all directions of the momentum the same
    length, so the rare ones are learnt as fast. Source: Jordan et al., "Muon: an optimizer for
    hidden layers in neural networks" (2024). `torch.optim.Muon` takes matrices only, hence this
    version, which a test holds against it.

    Vectors and single-filter layers, which have no such directions, get Adam's update.

    Args:
        parameters: parameters, or groups with their own `lr`; a group with `orthogonal` False gets
            Adam's update throughout, as suits large fully connected layers.
        lr: learning rate.
        momentum: of the orthogonal update (Nesterov).
        betas: of Adam's update.
        weight_decay: what a step takes off each weight, as a part of the learning rate; biases and
            other vectors keep theirs.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "betas": betas,
            "weight_decay": weight_decay,
            "orthogonal": True,
        }
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Change every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.tensor(0)
                    state["momentum"] = torch.zeros_like(parameter)
                    state["square"] = torch.zeros_like(parameter)
                state["step"] += 1
                if parameter.ndim > 1:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                if group["orthogonal"] and parameter.ndim > 1 and parameter.shape[0] > 1:
                    self._orthogonal_step(parameter, state, group)
                else:
                    self._adam_step(parameter, state, group)

    @staticmethod
    def _orthogonal_step(parameter: Tensor, state: dict, group: dict) -> None:
        momentum, gradient = group["momentum"], parameter.grad
        state["momentum"].lerp_(gradient, 1 - momentum)
        matrix = gradient.lerp(state["momentum"], momentum).flatten(1)
        update = orthogonalise(matrix)
        # A matrix with orthonormal rows has entries of size 1 / sqrt(columns); this factor gives
        # them the size of Adam's steps, so that one learning rate serves both.
        size = 0.2 * math.sqrt(max(matrix.shape))
        parameter.add_(update.view_as(parameter), alpha=-group["lr"] * size)

    @staticmethod
    def _adam_step(parameter: Tensor, state: dict, group: dict) -> None:
        (beta1, beta2), step = group["betas"], state["step"].item()
        state["momentum"].lerp_(parameter.grad, 1 - beta1)
        state["square"].lerp_(parameter.grad.square(), 1 - beta2)
        mean = state["momentum"] / (1 - beta1**step)
        spread = (state["square"] / (1 - beta2**step)).sqrt().add_(1e-8)
        parameter.addcdiv_(mean, spread, value=-group["lr"])


def orthogonalise(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix near 1 (0.7 to 1.2), by five Newton-Schulz steps.

    Args:
        matrix: (M, N).
    """
    a, b, c = 3.4445, -4.7750, 2.0315  # coefficients of Jordan et al.
    x = matrix / matrix.norm().clamp(min=1e-7)
    if x.shape[0] > x.shape[1]:
        return orthogonalise(matrix.T).T
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


@dataclass(frozen=True)
class TrainingSettings:
    """What decides the result of a training; a run is only resumed with the same settings."""

    steps: int
    batch_size: int
    """On each device."""
    seed: int = 0
    warm_up: int = 100
    averaging: float = 0.999
    """Decay of the moving average of the weights, which is what is validated and returned."""
    validate_every: int = 1000
    """Also how often the state is saved."""
    origin: str = ""
    """What else decides the result, as text: the recipe, the weights that it starts from."""


@dataclass
class TrainingResult:
    """What a training leaves behind; the model itself holds the best averaged weights."""

    best_step: int
    best_score: float
    seconds: float
    """Wall time, summed over the parts of a run that was interrupted."""
    cpu_seconds: float
    """Processor time of this process, all threads, likewise summed."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One entry a validation: `step`, `loss` (mean since the last one), `score`."""


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    draw_batch: Callable[[int, torch.Generator], Batch],
    loss: Callable[..., Tensor],
    validate: Callable[[nn.Module], float],
    calibrate: Callable[[nn.Module], None] = lambda model: None,
    folder: Path | None = None,
    fabric: Fabric | None = None,
    stop_after: int | None = None,
) -> TrainingResult:
    """Train a model, validate its averaged weights, and keep the best of them.

    The batch of a step is drawn from a generator seeded by (seed, step, device), so no state of a
    sampler needs saving. With a folder, the whole state is written there at each validation, and a
    call with the same settings goes on from it: the result equals that of an uninterrupted run.

    Args:
        model: changed in place; ends with the best averaged weights, on its first device.
        optimizer: of the model's parameters; its learning rates are the schedule's peaks.
        settings: steps, seeds and so on.
        draw_batch: from a count and a generator to a batch of tensors on the CPU.
        loss: from the model and the batch's tensors to a scalar, in float32.
        validate: from a model to a score, larger is better, on data that are neither trained nor
            tested on.
        calibrate: called on a copy of the averaged weights before they are validated, to set what
            averaging and mixed precision put off.
        folder: where the state is kept between runs; None keeps nothing.
        fabric: devices, machines and precision; None is one device as the model lies, in float32.
        stop_after: leave after this many further steps, as a kill would; for tests.

    Raises:
        ValueError: the folder holds a run with other settings.
        FloatingPointError: the loss is no longer finite.
    """
    fabric = fabric or Fabric(accelerator=next(model.parameters()).device.type, devices=1)
    base_model, base_optimizer = model, optimizer
    average = AveragedModel(base_model, avg_fn=_moving_average(settings.averaging))
    peaks = [group["lr"] for group in base_optimizer.param_groups]
    state_file = folder / "state.pt" if folder else None
    result = TrainingResult(best_step=0, best_score=-math.inf, seconds=0.0, cpu_seconds=0.0)
    best_weights: dict[str, Tensor] = {}
    first_step = 0
    if state_file and state_file.is_file():
        saved = torch.load(state_file, map_location="cpu", weights_only=True)
        _check_settings(saved["settings"], settings, state_file)
        base_model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        best_weights, first_step = saved["best_weights"], saved["step"]
        result = TrainingResult(**json.loads(saved["result"]))
    model, optimizer = fabric.setup(base_model, base_optimizer)
    average.to(fabric.device)
    if first_step:  # after the model has moved, so that the state follows it to its device
        base_optimizer.load_state_dict(saved["optimizer"])

    started = time.perf_counter() - result.seconds
    cpu_started = time.process_time() - result.cpu_seconds
    last_step = min(settings.steps, first_step + (stop_after or settings.steps))
    losses: list[Tensor] = []
    bar = tqdm(
        range(first_step, last_step),
        initial=first_step,
        total=settings.steps,
        disable=not fabric.is_global_zero,
        mininterval=1.0,
    )
    for step in bar:
        factor = cosine_schedule(step, settings.steps, settings.warm_up)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        generator = _generator(settings.seed, step, fabric.global_rank)
        batch = tuple(fabric.to_device(part) for part in draw_batch(settings.batch_size, generator))
        value = loss(model, *batch)
        optimizer.zero_grad()
        fabric.backward(value)
        optimizer.step()
        average.update_parameters(base_model)
        losses.append(value.detach())
        if step % _SHOW_EVERY == 0:
            best = f"{result.best_score:.3f}" if result.best_step else "none yet"
            bar.set_postfix(loss=f"{value.item():.3g}", best=best)
        if (step + 1) % settings.validate_every and step + 1 < settings.steps:
            continue
        mean_loss = fabric.all_reduce(torch.stack(losses).mean()).item()
        losses.clear()
        if not math.isfinite(mean_loss):
            raise FloatingPointError(
                f"The loss is {mean_loss} at step {step + 1}; try a smaller learning rate."
            )
        candidate = copy.deepcopy(average.module)
        calibrate(candidate)
        reached = validate(candidate)
        result.history.append({"step": step + 1, "loss": mean_loss, "score": reached})
        if reached > result.best_score:
            result.best_step, result.best_score = step + 1, reached
            best_weights = {
                name: value.detach().cpu().clone() for name, value in candidate.state_dict().items()
            }
        result.seconds = time.perf_counter() - started
        result.cpu_seconds = time.process_time() - cpu_started
        if state_file and fabric.is_global_zero:
            _save_atomically(
                state_file,
                {
                    "settings": vars(settings),
                    "step": step + 1,
                    "model": base_model.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": base_optimizer.state_dict(),
                    "best_weights": best_weights,
                    "result": json.dumps(vars(result)),
                },
            )
    if best_weights:
        base_model.load_state_dict(best_weights)
    return result


def _moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Exponential moving average whose horizon grows with the run, so it forgets the start."""

    def update(average: Tensor, current: Tensor, count: Tensor) -> Tensor:
        reached = min(decay, (1 + int(count)) / (10 + int(count)))
        return average.lerp(current, 1 - reached)

    return update


def _generator(seed: int, step: int, rank: int) -> torch.Generator:
    mixed = (seed * 1_000_003 + step) * 4_099 + rank
    return torch.Generator().manual_seed(mixed)


def _check_settings(saved: dict, wanted: TrainingSettings, file: Path) -> None:
    different = [name for name, value in vars(wanted).items() if saved.get(name) != value]
    if different:
        found = ", ".join(f"{name} = {saved.get(name)!r}" for name in different)
        asked = ", ".join(f"{name} = {getattr(wanted, name)!r}" for name in different)
        raise ValueError(
            f"{file} belongs to a run with {found}, but {asked} was asked for. "
            f"Give another folder, or delete {file.parent} to start anew."
        )


def _save_atomically(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    torch.save(content, draft)
    os.replace(draft, path)
