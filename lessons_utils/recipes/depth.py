"""Eigen's networks on rendered rooms and on NYU Depth v2: coarse first, then fine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lessons_utils import checkpoints, datasets, depth, runtime, training
from lessons_utils.scenes import rooms

ROOMS = {"train": 8000, "validation": 300, "test": 400}
"""How many rendered rooms, one frame each, a part has."""

_WHITE_FRAME = 4  # pixels of 240 x 320 around NYU's pictures; a training cut must not show them
_BLOCK = 40  # neighbours in NYU's training part show the same room: they are held out together


@dataclass(frozen=True)
class DepthRecipe:
    """Trains the coarse network, then the fine one on its frozen output (paper, section 3.2).

    Chosen on frames held out of the training part. Muon serves the convolutions, Adam's update the
    fully connected layers, where making the momentum orthogonal costs more than it gains.
    """

    name: str
    data: str
    """`rooms` or `nyu`."""
    coarse_steps: int
    fine_steps: int
    start: str | None = None
    """A shipped checkpoint to start from; None starts from random weights."""
    learning_rate: float = 1e-3
    """Of the convolutions."""
    fully_connected_learning_rate: float = 5e-4
    fine_learning_rate: float = 1e-3
    batch_size: int = 32
    invariance: float = 0.5
    gradient_weight: float = 0.0
    """Of the 2015 follow-up's gradient term in the fine network's loss."""
    weight_decay: float = 0.0
    tone: float = 0.0
    """See `depth.Augmentation`."""
    feature_dropout: float = 0.0
    """Share of the maps of Coarse 5 that are left out at a step; the paper has none."""


DEPTH = {
    recipe.name: recipe
    for recipe in (
        DepthRecipe("eigen-rooms", "rooms", coarse_steps=8_000, fine_steps=3_000),
        DepthRecipe(  # few pictures: more variation, smaller weights
            "eigen-nyu",
            "nyu",
            coarse_steps=2_000,
            fine_steps=1_500,
            start="eigen-rooms",
            weight_decay=0.5,
            tone=0.3,
            feature_dropout=0.2,
        ),
    )
}


def nyu_for_training(folder: Path | None = None) -> tuple[depth.Frames, depth.Frames]:
    """Return NYU's 795 training frames as the small networks take them: to train on, held out.

    The white frame is cut off and the rest halved, from 240 x 320 to 116 x 156. The official file's
    480 x 640 are halved once more. As in the paper (section 4.1), the pixels with a picture's
    smallest and largest depth are not trained on: windows and mirrors. Every tenth block of 40
    neighbours is held out: the file shows a room in several frames in a row.

    Args:
        folder: see `datasets.nyu_depth`.
    """
    frames = datasets.nyu_depth("train", folder)
    while frames[0].shape[-1] > 320:
        frames = datasets.halve_frames(*frames)
    edge = slice(_WHITE_FRAME, -_WHITE_FRAME)
    frames = datasets.halve_frames(*(part[..., edge, edge] for part in frames))
    images, metres, valid = frames
    nearest = torch.where(valid, metres, torch.inf).amin(dim=(1, 2, 3), keepdim=True)
    farthest = metres.amax(dim=(1, 2, 3), keepdim=True)
    frames = images, metres, valid & (metres > nearest) & (metres < farthest)
    held_out = torch.arange(len(images)) // _BLOCK % 10 == 5
    return tuple(part[~held_out] for part in frames), tuple(part[held_out] for part in frames)


def frames_for_test(data: str, folder: Path | None = None) -> depth.Frames:
    """Return what the tables are measured on.

    Args:
        data: `rooms`, rendered (or read from the cache), with exact depth at every pixel; or `nyu`,
            the official 654 frames at their own size.
        folder: of NYU; see `datasets.nyu_depth`.
    """
    if data == "nyu":
        return datasets.nyu_depth("test", folder)
    images, exact, _ = rooms.frames("test", ROOMS["test"])
    return images, exact, exact > 0


def train_depth(
    name: str,
    out: Path,
    runs: Path,
    fabric: Fabric,
    command: str,
    steps: int | None = None,
    seed: int = 0,
) -> checkpoints.Card:
    """Train both networks by their recipe, measure them, and write weights and card.

    Validation is by abs rel on held-out frames. The test frames are measured once, at the end, for
    the card.

    Args:
        name: a key of `DEPTH`.
        out: folder of the checkpoint.
        runs: folder that keeps the state of unfinished runs; a killed run goes on from there.
        fabric: devices, machines and precision.
        command: what was typed, for the card.
        steps: of each stage, instead of the recipe's; for short trials.
        seed: of initial weights and batches.
    """
    if name not in DEPTH:
        raise ValueError(f"No recipe is named {name!r}. There are: {', '.join(DEPTH)}.")
    recipe = DEPTH[name]
    if steps:
        recipe = replace(recipe, coarse_steps=steps, fine_steps=steps)
    with fabric.rank_zero_first():  # one process renders, the others read
        trained_on, held_out = _training_frames(recipe.data)
    runtime.seed_everything(seed)
    model = depth.EigenDepth(**depth.sizes_of(depth.SMALL))
    depth.initialise(model, trained_on, torch.Generator().manual_seed(seed))
    if recipe.start:
        mean_depth = model.coarse.mean_depth.clone()
        _, start = checkpoints.load(recipe.start, model)
        model.coarse.mean_depth.copy_(mean_depth)
    folder = runs / f"{name}-seed{seed}"
    origin = {**asdict(recipe), "start_sha256": start.sha256 if recipe.start else None}
    stages: dict[str, Any] = {}

    # Without parameters, so that checkpoints do not show it.
    model.coarse.features.append(nn.Dropout2d(recipe.feature_dropout))
    coarse_optimizer = training.Muon(
        [
            {"params": model.coarse.features.parameters(), "lr": recipe.learning_rate},
            {
                "params": [*model.coarse.hidden.parameters(), *model.coarse.output.parameters()],
                "lr": recipe.fully_connected_learning_rate,
                "orthogonal": False,
            },
        ],
        weight_decay=recipe.weight_decay,
    )
    stages["coarse"] = _train_stage(
        model.coarse,
        coarse_optimizer,
        _settings(recipe, recipe.coarse_steps, seed, origin),
        trained_on,
        held_out,
        lambda network, images: network(images),
        recipe,
        0.0,
        folder / "coarse",
        fabric,
    )

    model.to(fabric.device)
    model.coarse.eval().requires_grad_(False)  # no dropout, and nothing below changes it
    frozen = checkpoints.fingerprint(model.coarse)

    def fine_output(network: nn.Module, images: Tensor) -> Tensor:
        if model.coarse.training:
            raise RuntimeError("The coarse network left eval mode: its dropout is on.")
        with torch.no_grad():
            coarse = model.coarse(images).float()
        height, width = model.architecture.fine_input
        return network(images[..., -height:, -width:], coarse)

    stages["fine"] = _train_stage(
        model.fine,
        training.Muon(
            model.fine.parameters(),
            lr=recipe.fine_learning_rate,
            weight_decay=recipe.weight_decay,
        ),
        _settings(recipe, recipe.fine_steps, seed, {**origin, "coarse": frozen}),
        trained_on,
        held_out,
        fine_output,
        recipe,
        recipe.gradient_weight,
        folder / "fine",
        fabric,
    )
    if checkpoints.fingerprint(model.coarse) != frozen:
        raise RuntimeError("The fine stage changed the coarse network, which was to stand still.")

    model = model.cpu().to(memory_format=torch.contiguous_format).eval()
    card = _card(recipe, origin, model, trained_on, stages, fabric, command, seed)
    measured = depth.evaluate(model, frames_for_test(recipe.data), crop=recipe.data == "nyu")
    card.metrics[recipe.data] = checkpoints.rounded(measured)
    if fabric.is_global_zero:
        checkpoints.save(out, model, card)
    return card


def _training_frames(data: str) -> tuple[depth.Frames, depth.Frames]:
    if data == "nyu":
        return nyu_for_training()
    return rooms.frames("train", ROOMS["train"]), rooms.frames("validation", ROOMS["validation"])


def _settings(
    recipe: DepthRecipe, steps: int, seed: int, origin: dict[str, Any]
) -> training.TrainingSettings:
    return training.TrainingSettings(
        steps=steps,
        batch_size=recipe.batch_size,
        seed=seed,
        validate_every=min(500, steps),
        origin=json.dumps(origin),
    )


def _train_stage(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: training.TrainingSettings,
    frames: depth.Frames,
    held_out: depth.Frames,
    output: Callable[[nn.Module, Tensor], Tensor],
    recipe: DepthRecipe,
    gradient_weight: float,
    folder: Path,
    fabric: Fabric,
) -> training.TrainingResult:
    augmentation = depth.Augmentation(tone=recipe.tone)

    def draw_batch(count: int, generator: torch.Generator) -> training.Batch:
        architecture = network.architecture
        images, *rest = depth.draw_batch(frames, architecture, count, generator, augmentation)
        return images.to(memory_format=torch.channels_last), *rest

    def loss(network: nn.Module, images: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        predicted = output(network, images).float()
        error = depth.scale_invariant_loss(predicted, target, valid, recipe.invariance)
        if gradient_weight:
            error = error + gradient_weight * depth.gradient_loss(predicted, target, valid)
        return error

    size = network.architecture.coarse_input
    pictures = depth.to_unit(depth.centre_crop(held_out[0], size))
    truth, known = (depth.output_grid(depth.centre_crop(part, size)) for part in held_out[1:])

    @torch.no_grad()
    def validate(candidate: nn.Module) -> float:
        candidate.eval()
        parts = pictures.split(64)
        predicted = torch.cat([output(candidate, part.to(fabric.device)).cpu() for part in parts])
        return -depth.measure(predicted.exp(), truth, known)["abs_rel"]

    network.to(memory_format=torch.channels_last).train()
    return training.fit(
        network, optimizer, settings, draw_batch, loss, validate, folder=folder, fabric=fabric
    )


def _card(
    recipe: DepthRecipe,
    origin: dict[str, Any],
    model: depth.EigenDepth,
    frames: depth.Frames,
    stages: dict[str, training.TrainingResult],
    fabric: Fabric,
    command: str,
    seed: int,
) -> checkpoints.Card:
    data = {
        "rooms": f"{len(frames[0])} rendered rooms (lessons_utils.scenes.rooms, part `train`)",
        "nyu": f"NYU Depth v2, {len(frames[0])} of the 795 training frames; the others held out",
    }
    return checkpoints.Card(
        name=recipe.name,
        architecture=depth.sizes_of(model.architecture),
        command=command,
        seed=seed,
        training_data=data[recipe.data],
        training_data_sha256=datasets.pixels_sha256(image[None] / 255 for image in frames[0]),
        **checkpoints.circumstances(),
        seconds=round(sum(stage.seconds for stage in stages.values()), 1),
        cpu_seconds=round(sum(stage.cpu_seconds for stage in stages.values()), 1),
        settings={**origin, "precision": fabric.strategy.precision.precision},
        metrics={
            "stages": {
                name: {
                    "best_step": stage.best_step,
                    "held_out_abs_rel": round(-stage.best_score, 4),
                    "cpu_seconds": round(stage.cpu_seconds, 1),
                }
                for name, stage in stages.items()
            }
        },
    )


def load_eigen(name: str, weights: Path | None = None) -> depth.EigenDepth:
    """Return a trained pair of networks.

    Args:
        name: a key of `DEPTH`.
        weights: a `.safetensors` of your own training, with its card; None takes the shipped ones.

    Raises:
        ValueError: the weights are those of another kind of network.
    """
    card = checkpoints.load_card(weights or name)
    try:
        model = depth.EigenDepth(**card.architecture)
    except TypeError as error:
        raise ValueError(
            f"{weights} is no depth network; its card describes {card.architecture}."
        ) from error
    return checkpoints.load(weights or name, model)[0]
