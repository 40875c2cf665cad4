"""The detector g(x; delta, T, epsilon): its threshold, its tuning, its table (lesson 14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from torch import Tensor, nn

from lessons_utils.anomaly.metrics import TPR, auroc, fpr_at_tpr, measure, threshold_at_tpr
from lessons_utils.anomaly.scores import (
    EPSILON,
    TEMPERATURE,
    Images,
    clean_and_odin_logits,
    maximum_softmax,
    odin_grid,
    odin_scores,
)

TEMPERATURES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
EPSILONS = tuple(round(0.0002 * step, 4) for step in range(21))
"""The paper's grid: ten temperatures, and 21 even steps of epsilon from 0 to 0.004."""


@dataclass(frozen=True)
class Detector:
    """Says of each image whether it looks like what the model was trained on.

    With temperature 1 and epsilon 0 it is the baseline's detector, else ODIN's (paper, Eqn. 3). The
    paper rejects what scores delta or less; here what scores the threshold itself is accepted, so
    that the share of accepted images is at least the one that was asked for.
    """

    model: nn.Module
    threshold: float
    temperature: float = TEMPERATURE
    epsilon: float = EPSILON

    def scores(self, images: Images, batch_size: int = 32) -> Tensor:
        """Return the score of each image, (N,) float64; see `odin_scores`."""
        return odin_scores(self.model, images, self.temperature, self.epsilon, batch_size)

    def accepts(self, images: Images, batch_size: int = 32) -> Tensor:
        """Return for each image whether it passes as in-distribution, (N,) bool."""
        return self.scores(images, batch_size) >= self.threshold


def fit_detector(
    model: nn.Module,
    inside: Images,
    temperature: float = TEMPERATURE,
    epsilon: float = EPSILON,
    tpr: float = TPR,
    batch_size: int = 32,
) -> Detector:
    """Set the threshold so that at least this share of in-distribution images passes.

    Args:
        model: a classifier; see `classify`.
        inside: images like those the model was trained on, but not these themselves.
        temperature: positive.
        epsilon: in the units of the model's input; see `perturb`.
        tpr: the share.
        batch_size: of a tensor of images.

    Raises:
        ValueError: as of `odin_scores` and `threshold_at_tpr`.
    """
    scores = odin_scores(model, inside, temperature, epsilon, batch_size)
    return Detector(model, threshold_at_tpr(scores, tpr), temperature, epsilon)


@dataclass(frozen=True)
class Setting:
    """What tuning chose, and how well it did on the set that it was chosen on."""

    temperature: float
    epsilon: float
    validation_fpr95: float
    """Of the tuning set; too good to be reported, since the setting was chosen for it."""


def tune(
    model: nn.Module,
    inside: Images,
    outside: Images,
    temperatures: Sequence[float] = TEMPERATURES,
    epsilons: Sequence[float] = EPSILONS,
    batch_size: int = 32,
) -> Setting:
    """Choose temperature and epsilon by the protocol of the paper's final text (section 4.2).

    One set of out-of-distribution images serves for tuning alone (the paper takes iSUN): the pair
    with the smallest FPR at 95 % TPR on it is used for all other sets. Its own numbers are never
    reported. An early version of the paper tuned on held-out images of each test set, which a
    detector of the unknown cannot have.

    Args:
        model: a classifier; see `classify`.
        inside: in-distribution images that will not be reported on, either.
        outside: the tuning set.
        temperatures: to try.
        epsilons: to try, in the units of the model's input.
        batch_size: of a tensor of images.

    Raises:
        ValueError: as of `perturb`, or nothing is to be tried.
    """
    grids = (
        odin_grid(model, images, temperatures, epsilons, batch_size) for images in (inside, outside)
    )
    return best_setting(*grids, temperatures, epsilons)


def best_setting(
    inside: Tensor, outside: Tensor, temperatures: Sequence[float], epsilons: Sequence[float]
) -> Setting:
    """Choose from scores that were computed before; see `tune`.

    Of pairs with the same FPR the one with the larger AUROC is taken, then the one that comes first
    in the grid.

    Args:
        inside: (G, E, N), from `odin_grid`.
        outside: (G, E, M).
        temperatures: G of them.
        epsilons: E of them.

    Raises:
        ValueError: the scores do not have the grid's shape.
    """
    grid = (len(temperatures), len(epsilons))
    for scores in (inside, outside):
        if scores.ndim != 3 or scores.shape[:2] != grid or 0 in grid:
            raise ValueError(
                f"Expected scores ({grid[0]}, {grid[1]}, images), temperatures by epsilons, at "
                f"least one of each; got {tuple(scores.shape)}."
            )
    ranked = []
    for row, column in product(range(grid[0]), range(grid[1])):
        scores = inside[row, column], outside[row, column]
        ranked.append((fpr_at_tpr(*scores), -auroc(*scores), row, column))
    fpr95, _, row, column = min(ranked)
    return Setting(temperatures[row], epsilons[column], fpr95)


def evaluate(
    model: nn.Module,
    inside: Images,
    outside: Images,
    temperature: float = TEMPERATURE,
    epsilon: float = EPSILON,
    labels: Tensor | None = None,
    batch_size: int = 32,
) -> dict[str, Any]:
    """Measure the baseline and ODIN on two sets of images, with a setting fixed beforehand.

    Args:
        model: a classifier; see `classify`.
        inside: in-distribution images.
        outside: others.
        temperature: of ODIN.
        epsilon: of ODIN, in the units of the model's input; see `perturb`.
        labels: (N,), the true classes of `inside`, if the accuracy is to be measured.
        batch_size: of a tensor of images.

    Returns:
        `baseline` and `odin`: each the `METRICS`, its `temperature`, `epsilon` and `threshold` (at
        95 % TPR); `inside` and `outside`: how many images; with labels, `accuracy`: the share of
        `inside` that is classified right.

    Raises:
        ValueError: as of `perturb`, or there is not one label for each image.
    """
    known, unknown = (
        clean_and_odin_logits(model, images, temperature, epsilon, batch_size)
        for images in (inside, outside)
    )
    table: dict[str, Any] = {"inside": len(known[0]), "outside": len(unknown[0])}
    if labels is not None:
        if labels.shape != known[0].shape[:1]:
            raise ValueError(
                f"Expected a label for each of {len(known[0])} images; got {tuple(labels.shape)}."
            )
        table["accuracy"] = (known[0].argmax(dim=1) == labels.cpu()).double().mean().item()
    settings = {"baseline": (0, 1.0, 0.0), "odin": (1, temperature, epsilon)}
    for name, (index, chosen, step) in settings.items():
        scores = [maximum_softmax(logits[index], chosen) for logits in (known, unknown)]
        table[name] = {
            **measure(*scores),
            "temperature": chosen,
            "epsilon": step,
            "threshold": threshold_at_tpr(scores[0]),
        }
    return table
