"""How the score banks are computed: a classifier, the sets, the grid (lessons 11 to 14)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from lessons_utils import anomaly, checkpoints, datasets
from lessons_utils.recipes.anomaly import load_classifier

TEMPERATURES = (1.0, 10.0, 1000.0)
"""Of a bank's grid. The paper's has ten; without a step any temperature follows from the logits,
and with one little changes above 10. A DenseNet-BC (100, 12) takes 0.4 s of a processor core an
image so, and would take 3.5 s for the paper's ten by 21."""
EPSILONS = (0.0, 0.0005, 0.001, 0.0014, 0.002, 0.003, 0.004)
"""Of a bank's grid: the paper's range, and its choice."""


@dataclass(frozen=True)
class Part:
    """A set of images, or a part of one."""

    source: str
    images: int
    """Whose logits are kept."""
    grid: int
    """Of these, the first so many go through the grid too."""
    start: int = 0


SETS = {
    "cifar10-test": Part("cifar10-test", 9_500, 1_000),
    "tuning-inside": Part("cifar10-test", 500, 500, start=9_500),
    "tuning-outside": Part("photograph-crops", 500, 500),
    "tinyimagenet-crop": Part("tinyimagenet-crop", 2_000, 1_000),
    "tinyimagenet-resize": Part("tinyimagenet-resize", 2_000, 1_000),
    "cifar100": Part("cifar100", 2_000, 1_000),
    "mnist": Part("mnist", 1_000, 500),
    "gaussian": Part("gaussian", 500, 500),
    "uniform": Part("uniform", 500, 500),
}
"""A bank's sets. Of CIFAR-10's test images the last 500 serve for tuning, together with crops of
embedded photographs in the place of the paper's iSUN: nothing is reported on these two."""

TRAINING_IMAGES = 5_000
"""Of CIFAR-10, for the scores from features."""


def compute_bank(
    name: str,
    weights: Path,
    out: Path,
    runs: Path,
    command: str,
    device: torch.device,
    batch_size: int = 32,
) -> anomaly.ScoreBank:
    """Compute a score bank and write it with its card.

    Args:
        name: of the bank.
        weights: of a CIFAR-10 classifier; see `load_classifier`.
        out: folder of the bank.
        runs: folder that keeps finished sets; a killed computation goes on from there.
        command: what was typed, for the card.
        device: to compute on.
        batch_size: of the grid's backward passes.

    Raises:
        FileNotFoundError: the weights or a set are missing.
        ValueError: the weights belong to no classifier that the course knows.
    """
    model = load_classifier(weights).to(device)
    digest = checkpoints.sha256_of(weights)
    folder = runs / f"bank-{name}-{digest[:12]}"
    known = _kept(folder / "training.safetensors", lambda: _training_features(model))
    seconds = known.pop("cpu_seconds").item()
    gaussians = anomaly.fit_gaussians(known["features"], known["labels"])
    sets, described, right = {}, {}, []
    for set_name, part in tqdm(SETS.items(), desc=name):
        images, labels = images_of(part)

        def compute(images: Tensor = images, part: Part = part) -> dict[str, Tensor]:
            return _scores_of(model, images, part.grid, known["features"], gaussians, batch_size)

        scores = _kept(folder / f"{set_name}.safetensors", compute)
        seconds += scores.pop("cpu_seconds").item()
        sets[set_name] = anomaly.SetScores(labels=labels, **scores)
        if labels is not None:
            right.append(scores["logits"].argmax(dim=1) == labels)
        described[set_name] = {
            **asdict(part),
            "images_sha256": datasets.pixels_sha256(image[None] / 255 for image in images),
        }
    card = anomaly.BankCard(
        name=name,
        classifier=_description(model, weights),
        weights_sha256=digest,
        command=command,
        temperatures=list(TEMPERATURES),
        epsilons=list(EPSILONS),
        sets=described,
        training_images=TRAINING_IMAGES,
        accuracy=round(torch.cat(right).double().mean().item(), 4),
        **checkpoints.circumstances(),
        cpu_seconds=round(seconds, 1),
    )
    bank = anomaly.ScoreBank(card, sets)
    anomaly.save_bank(out, bank)
    return bank


def images_of(part: Part) -> tuple[Tensor, Tensor | None]:
    """Return the images of a part, (N, 3, 32, 32) uint8, and the labels of CIFAR-10's own.

    Raises:
        FileNotFoundError: the set is not here.
    """
    if part.source in ("gaussian", "uniform"):
        return datasets.noise_images(part.source, part.images), None
    if part.source == "photograph-crops":
        return datasets.photograph_crops(part.images), None
    found = datasets.image_set(part.source, part.start + part.images)
    labels = found.labels[part.start :] if part.source == "cifar10-test" else None
    return found.images[part.start :], labels


def _training_features(model: nn.Module) -> dict[str, Tensor]:
    found = datasets.image_set("cifar10-train", TRAINING_IMAGES)
    return {
        "features": anomaly.features_and_logits(model, found.images)[0],
        "labels": found.labels,
    }


def _scores_of(
    model: nn.Module,
    images: Tensor,
    count: int,
    known: Tensor,
    gaussians: anomaly.ClassGaussians,
    batch_size: int,
) -> dict[str, Tensor]:
    features, logits = anomaly.features_and_logits(model, images)
    grid = anomaly.odin_grid(model, images[:count], TEMPERATURES, EPSILONS, batch_size)
    scores = {
        "logits": logits,
        "odin": grid,
        "mahalanobis": gaussians.scores(features[:count]),
        "neighbours": anomaly.neighbour_scores(features[:count], known),
    }
    return {name: value.float() for name, value in scores.items()}


def _kept(path: Path, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return what lies at a path, or compute it and put it there."""
    if not path.is_file():
        started = time.process_time()
        tensors = compute()
        tensors["cpu_seconds"] = torch.tensor(time.process_time() - started)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        save_file({name: value.contiguous() for name, value in tensors.items()}, draft)
        draft.replace(path)
    return load_file(path)


def _description(model: nn.Module, weights: Path) -> str:
    if weights.suffix == ".safetensors":
        return f"{checkpoints.load_card(weights).name} of this course"
    return f"{type(model.classifier).__name__} of others, {weights.name}"
