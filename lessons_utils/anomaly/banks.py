"""Score banks: what a classifier said of thousands of images, computed once and shipped.

A bank is two files in `data/banks`: `NAME.npz` with the numbers and `NAME.json`, its card: which
weights and images, when and how. With it the lessons show tables of CIFAR-10, and move sliders over
them, without the images. `python -m lessons_utils bank NAME` computes it
(`lessons_utils.recipes.banks`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lessons_utils import runtime
from lessons_utils.anomaly.scores import maximum_softmax


@dataclass(frozen=True)
class SetScores:
    """What the classifier said of one set of images."""

    logits: Tensor
    """(N, classes) float32, of the images as they are."""
    labels: Tensor | None
    """(N,) int64, the true classes of in-distribution images; None for others."""
    odin: Tensor
    """(G, E, M) float32: ODIN's scores of the first M images over the grid."""
    mahalanobis: Tensor
    """(M,) float32; see `ClassGaussians.scores`."""
    neighbours: Tensor
    """(M,) float32; see `neighbour_scores`."""


@dataclass
class BankCard:
    """Where a bank comes from."""

    name: str
    classifier: str
    """Its architecture and who trained it."""
    weights_sha256: str
    """Of the file of weights."""
    command: str
    """What was typed to compute the bank."""
    temperatures: list[float]
    epsilons: list[float]
    sets: dict[str, dict[str, Any]]
    """For each set: `images` (N), `grid` (M), `images_sha256` (of the pixels)."""
    training_images: int
    """How many training images the features' scores compare with."""
    accuracy: float
    """On the N images of `cifar10-test`."""
    date: str
    hardware: str
    versions: dict[str, str]
    cpu_seconds: float
    sha256: str = field(default="")
    """Of the bank's `.npz`."""


@dataclass(frozen=True)
class ScoreBank:
    """The scores of one classifier on several sets of images.

    Example:
        >>> bank = load_bank("cifar10-compact")
        >>> bank.sets["cifar10-test"].logits.shape
        torch.Size([10000, 10])
    """

    card: BankCard
    sets: dict[str, SetScores]

    @property
    def temperatures(self) -> tuple[float, ...]:
        """Of the grid, G of them."""
        return tuple(self.card.temperatures)

    @property
    def epsilons(self) -> tuple[float, ...]:
        """Of the grid, E of them, in units of pixels in [0, 1]; the first is 0."""
        return tuple(self.card.epsilons)

    def baseline(self, name: str, temperature: float = 1.0) -> Tensor:
        """Return the largest probability of the images that the grid has too, (M,) float64.

        Args:
            name: of the set.
            temperature: any; no step is taken.
        """
        chosen = self._set(name)
        return maximum_softmax(chosen.logits[: chosen.odin.shape[-1]], temperature)

    def odin(self, name: str, temperature: float, epsilon: float) -> Tensor:
        """Return ODIN's scores, (M,) float64.

        Args:
            name: of the set.
            temperature: of the grid.
            epsilon: of the grid.

        Raises:
            ValueError: there is no such set, or the grid lacks the pair.
        """
        if temperature not in self.temperatures or epsilon not in self.epsilons:
            raise ValueError(
                f"The bank has temperatures {self.temperatures} and epsilons {self.epsilons}; "
                f"got {temperature} and {epsilon}."
            )
        row, column = self.temperatures.index(temperature), self.epsilons.index(epsilon)
        return self._set(name).odin[row, column].double()

    def _set(self, name: str) -> SetScores:
        if name not in self.sets:
            raise ValueError(f"The bank has no set {name!r}; it has {', '.join(self.sets)}.")
        return self.sets[name]


def load_bank(name: str | Path) -> ScoreBank:
    """Read a shipped bank by name, or one of your own by the path of its `.npz`.

    Raises:
        FileNotFoundError: there is no such bank; the message lists those that ship.
        ValueError: the file is not the one that its card speaks of.
    """
    path = Path(name)
    if path.suffix != ".npz":
        folder = runtime.data_path("banks")
        path = folder / f"{name}.npz"
    if not path.is_file():
        others = ", ".join(sorted(file.stem for file in path.parent.glob("*.npz")))
        raise FileNotFoundError(f"No score bank at {path}. There are: {others or 'none'}.")
    card = BankCard(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    found = _sha256_of(path)
    if found != card.sha256:
        raise ValueError(
            f"{path} is not what its card describes: its SHA-256 is {found}, the card says "
            f"{card.sha256}. Restore the file (git checkout, or install the package again)."
        )
    with np.load(path, allow_pickle=False) as content:
        arrays = {key: torch.from_numpy(content[key]) for key in content.files}
    return ScoreBank(card, {name: _set_of(arrays, name) for name in card.sets})


def save_bank(folder: Path, bank: ScoreBank) -> Path:
    """Write a bank and its card, each to a temporary file that is then renamed.

    Args:
        folder: made if missing.
        bank: `bank.card.sha256` is set here.

    Returns:
        The path of the `.npz`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{bank.card.name}.npz"
    arrays = {
        f"{name}/{kind}": value.numpy()
        for name, scores in bank.sets.items()
        for kind, value in vars(scores).items()
        if value is not None
    }
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        np.savez_compressed(file, **arrays)
    bank.card.sha256 = _sha256_of(draft)
    draft.replace(path)
    draft.write_text(json.dumps(asdict(bank.card), indent=2) + "\n", encoding="utf-8")
    draft.replace(path.with_suffix(".json"))
    return path


def _set_of(arrays: dict[str, Tensor], name: str) -> SetScores:
    kinds = ("logits", "labels", "odin", "mahalanobis", "neighbours")
    return SetScores(**{kind: arrays.get(f"{name}/{kind}") for kind in kinds})


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
