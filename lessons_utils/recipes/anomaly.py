"""Classifiers for ODIN: how each was trained, and which network a file of weights belongs to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from lessons_utils import anomaly, checkpoints, datasets, runtime, training
from lessons_utils.scenes import zoo

_CAT, _DOG = (anomaly.CIFAR10_CLASSES.index(name) for name in ("cat", "dog"))

_CALIBRATION = 4
"""Batches that set batch normalisation's statistics for averaged weights, which have none."""


@dataclass(frozen=True)
class ClassifierRecipe:
    """Trains an `anomaly.CompactNet` by cross-entropy.

    Each image is mirrored or not and shifted by up to `shift` pixels, its border reflected, as the
    paper's networks were trained (He et al. fill with zeros). Labels are not smoothed: that would
    hold the logits together whose gaps ODIN reads. Not in the paper: Muon, weight averaging, the
    whitened stem.
    """

    name: str
    data: str
    """`cifar10`; `cats-dogs`, these two classes of it; `zoo`, drawn; or `fashion`, the shipped part
    of Fashion-MNIST."""
    classes: tuple[str, ...]
    """In the order of the logits."""
    steps: int
    mean: tuple[float, ...] = anomaly.CIFAR_MEAN
    deviation: tuple[float, ...] = anomaly.CIFAR_DEVIATION
    widths: tuple[int, int, int] = (64, 192, 256)
    learning_rate: float = 1.5e-2
    """Of the convolutions."""
    vector_learning_rate: float = 4e-3
    """Of batch normalisation and of the last layer, by Adam's update."""
    weight_decay: float = 0.1
    batch_size: int = 500
    shift: int = 4
    held_out: int = 2_000
    """Images of the training part that are validated on instead, the last ones."""
    mirrored: bool = False
    """Of the network that is shipped; the training validates single images."""


_SMALL: dict[str, Any] = {"widths": (32, 64, 96), "batch_size": 100, "held_out": 500}
_CLOTHES = tuple(name for name in datasets.CLOTHES if name not in datasets.HELD_OUT)

CLASSIFIERS = {
    recipe.name: recipe
    for recipe in (
        ClassifierRecipe(
            "cifar10-compact", "cifar10", anomaly.CIFAR10_CLASSES, steps=1_700, mirrored=True
        ),
        ClassifierRecipe(
            "cats-dogs", "cats-dogs", ("cat", "dog"), steps=600, batch_size=250, held_out=500
        ),
        ClassifierRecipe("zoo-animals", "zoo", zoo.ANIMALS, steps=100, **_SMALL),
        ClassifierRecipe("zoo-cats-dogs", "zoo", ("cat", "dog"), steps=80, **_SMALL),
        ClassifierRecipe(
            "fashion-eight",
            "fashion",
            _CLOTHES,
            steps=600,
            mean=(0.22,),
            deviation=(0.34,),
            shift=2,
            **_SMALL,
        ),
    )
}

ZOO = {"train": 4_500, "test": 1_000}
"""How many drawings a part of the zoo has."""


def labelled_images(recipe: ClassifierRecipe, part: str) -> tuple[Tensor, Tensor]:
    """Return what a classifier is trained or tested on.

    Args:
        recipe: of the classifier.
        part: `train` or `test`.

    Returns:
        Images (N, C, 32, 32) uint8, labels (N,) int64.
    """
    if recipe.data == "zoo":
        return zoo.images(recipe.classes, part, ZOO[part])
    if recipe.data == "fashion":
        clothes = datasets.fashion_mnist(part)
        return clothes.images, clothes.labels
    cifar = datasets.image_set(f"cifar10-{part}")
    if recipe.data == "cifar10":
        return cifar.images, cifar.labels
    chosen = (cifar.labels == _CAT) | (cifar.labels == _DOG)
    return cifar.images[chosen], (cifar.labels[chosen] == _DOG).long()


def train_classifier(
    name: str,
    out: Path,
    runs: Path,
    fabric: Fabric,
    command: str,
    steps: int | None = None,
    seed: int = 0,
) -> checkpoints.Card:
    """Train a classifier by its recipe, measure it, and write weights and card.

    Validation is by cross-entropy on held-out images of the training part. The test part is
    measured once, at the end, for the card.

    Args:
        name: a key of `CLASSIFIERS`.
        out: folder of the checkpoint.
        runs: folder that keeps the state of unfinished runs; a killed run goes on from there.
        fabric: devices, machines and precision.
        command: what was typed, for the card.
        steps: instead of the recipe's; for short trials.
        seed: of initial weights and batches.
    """
    if name not in CLASSIFIERS:
        raise ValueError(f"No recipe is named {name!r}. There are: {', '.join(CLASSIFIERS)}.")
    recipe = CLASSIFIERS[name]
    images, labels = labelled_images(recipe, "train")
    held_out = images[-recipe.held_out :], labels[-recipe.held_out :]
    images, labels = images[: -recipe.held_out], labels[: -recipe.held_out]
    runtime.seed_everything(seed)
    architecture = {
        "classes": len(recipe.classes),
        "widths": list(recipe.widths),
        "mean": list(recipe.mean),
        "deviation": list(recipe.deviation),
    }
    model = anomaly.CompactNet(**architecture)
    model.whiten(images[:2_000])
    model.stem.weight.requires_grad_(False)
    model = model.to(memory_format=torch.channels_last).train()
    settings = training.TrainingSettings(
        steps=steps or recipe.steps,
        batch_size=recipe.batch_size,
        seed=seed,
        averaging=0.998,
        validate_every=min(100, steps or recipe.steps),
        origin=json.dumps(asdict(recipe)),
    )

    def draw_batch(count: int, generator: torch.Generator) -> training.Batch:
        chosen = torch.randint(len(images), (count,), generator=generator)
        moved = mirror_and_shift(images[chosen], recipe.shift, generator)
        return moved.to(memory_format=torch.channels_last), labels[chosen]

    def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(network(images.float() / 255).float(), labels)

    def validate(network: nn.Module) -> float:
        logits = anomaly.classify(network, held_out[0], batch_size=250)
        return -F.cross_entropy(logits, held_out[1]).item()

    def calibrate(network: nn.Module) -> None:
        generator = torch.Generator().manual_seed(seed)
        batches = (draw_batch(recipe.batch_size, generator)[0] for _ in range(_CALIBRATION))
        device = network.output.weight.device
        update_bn((batch.to(device).float() / 255 for batch in batches), network)

    result = training.fit(
        model,
        _optimizer(model, recipe),
        settings,
        draw_batch,
        loss,
        validate,
        calibrate=calibrate,
        folder=runs / f"{name}-seed{seed}",
        fabric=fabric,
    )
    model = model.cpu().to(memory_format=torch.contiguous_format).eval()
    tested, truth = labelled_images(recipe, "test")
    single = accuracy(model, tested, truth)
    model.mirrored = recipe.mirrored
    measured = {
        "images": len(tested),
        "single_image_accuracy": single,
        "accuracy": accuracy(model, tested, truth) if recipe.mirrored else single,
    }
    card = checkpoints.Card(
        name=name,
        architecture={**architecture, "mirrored": recipe.mirrored},
        command=command,
        seed=seed,
        training_data=f"{len(images)} images of {recipe.data}, training part; the last "
        f"{recipe.held_out} held out",
        training_data_sha256=datasets.pixels_sha256(image[None] / 255 for image in images),
        **checkpoints.circumstances(),
        seconds=round(result.seconds, 1),
        cpu_seconds=round(result.cpu_seconds, 1),
        settings={**asdict(recipe), "precision": fabric.strategy.precision.precision},
        metrics={
            "best_step": result.best_step,
            "held_out_cross_entropy": round(-result.best_score, 4),
            "test": checkpoints.rounded(measured),
        },
    )
    if fabric.is_global_zero:
        checkpoints.save(out, model, card)
    return card


def mirror_and_shift(images: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Mirror each image with probability one half and shift it, its border reflected.

    Args:
        images: (N, C, H, W), of any kind; not changed.
        shift: by up to so many pixels in each direction.
        generator: of the draws.
    """
    count, _, height, width = images.shape
    mirrored = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    top, left = torch.randint(2 * shift + 1, (2, count, 1), generator=generator)
    rows = _reflected(top - shift + torch.arange(height), height)[:, None, :, None]
    columns = _reflected(left - shift + torch.arange(width), width)[:, None, None, :]
    numbers = torch.arange(count)[:, None, None, None]
    return images[numbers, torch.arange(images.shape[1])[:, None, None], rows, columns]


def _reflected(positions: Tensor, size: int) -> Tensor:
    inside = positions.abs()
    return torch.where(inside < size, inside, 2 * (size - 1) - inside)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of images that are classified right.

    Args:
        model: a classifier; see `anomaly.classify`.
        images: (N, C, H, W).
        labels: (N,).
    """
    named = anomaly.classify(model, images, batch_size=250).argmax(dim=1)
    return (named == labels).double().mean().item()


def _optimizer(model: anomaly.CompactNet, recipe: ClassifierRecipe) -> training.Muon:
    stages: Sequence[nn.Parameter] = list(model.stages.parameters())
    return training.Muon(
        [
            {"params": [p for p in stages if p.ndim > 1], "lr": recipe.learning_rate},
            {
                "params": [*(p for p in stages if p.ndim == 1), *model.output.parameters()],
                "lr": recipe.vector_learning_rate,
                "orthogonal": False,
            },
        ],
        weight_decay=recipe.weight_decay,
    )


def load_classifier(weights: Path) -> nn.Module:
    """Return a trained classifier of images, in eval mode.

    Args:
        weights: a `.safetensors` of the course's `anomaly.CompactNet`, with its card; or a pickle
            of others, as `anomaly.load_pickled_classifier` reads it.

    Raises:
        FileNotFoundError: there is no such file, or the card is missing.
        ValueError: the weights belong to no classifier that the course knows.
    """
    if weights.suffix != ".safetensors":
        return anomaly.load_pickled_classifier(weights)
    architecture = checkpoints.load_card(weights).architecture
    try:
        model = anomaly.CompactNet(**architecture)
    except TypeError as error:
        raise ValueError(f"{weights} is no classifier: its card says {architecture}.") from error
    return checkpoints.load(weights, model)[0]
