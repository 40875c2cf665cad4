"""Trained weights and where they come from.

A checkpoint is two files: `NAME.safetensors` with the weights, and `NAME.json`, its card, with the
command, seed, data, hardware, time and metrics of the training, and the hash of the weights.
Loading verifies the hash, so a card always speaks of the weights that lie beside it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lessons_utils import runtime

Model = TypeVar("Model", bound=nn.Module)


@dataclass
class Card:
    """Provenance of a checkpoint."""

    name: str
    architecture: dict[str, Any]
    """Arguments of the model's class."""
    command: str
    """What was typed to train it."""
    seed: int
    training_data: str
    training_data_sha256: str
    """Of the pictures that were trained on, in order (`datasets.pixels_sha256`)."""
    date: str
    """ISO 8601."""
    hardware: str
    versions: dict[str, str]
    seconds: float
    """Wall time of the training; other work may have shared the machine."""
    cpu_seconds: float
    """Processor time of the training, all threads."""
    settings: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)
    """Measured with these weights; a name says data, scale and unit."""
    sha256: str = ""
    """Of the weights' file; filled in by `save`."""


def describe_hardware() -> str:
    """Return processor and accelerator in words."""
    processor = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        for line in cpu_info.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    words = f"{processor}, {torch.get_num_threads()} thread(s)"
    if torch.cuda.is_available():
        words += f", {torch.cuda.get_device_name()}"
    return words


def circumstances() -> dict[str, Any]:
    """Return the fields `date`, `hardware` and `versions` of a card that is written now."""
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": describe_hardware(),
        "versions": {"torch": torch.__version__, "lessons_utils": runtime.version()},
    }


def rounded(metrics: dict[str, Any]) -> dict[str, Any]:
    """Round the numbers of a table, nested or not, to the four decimals that a card keeps."""
    table = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            table[name] = rounded(value)
        else:
            table[name] = None if value is None else round(value, 4)
    return table


def checkpoint_names() -> list[str]:
    """Return the names of the checkpoints that the course ships."""
    return sorted(path.stem for path in runtime.data_path("checkpoints").glob("*.safetensors"))


def save(folder: Path, model: nn.Module, card: Card) -> Path:
    """Write weights and card, each to a temporary file that is then renamed.

    Args:
        folder: made if missing.
        model: its parameters and buffers are written, from whatever device.
        card: `card.sha256` is set here.

    Returns:
        The path of the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{card.name}.safetensors"
    draft = weights.with_suffix(".safetensors.tmp")
    save_file({key: value.cpu().contiguous() for key, value in model.state_dict().items()}, draft)
    card.sha256 = sha256_of(draft)
    os.replace(draft, weights)
    write_card(weights.with_suffix(".json"), card)
    return weights


def write_card(path: Path, card: Card) -> None:
    """Write a card as JSON, through a temporary file."""
    draft = path.with_suffix(".json.tmp")
    draft.write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)


def load_card(name: str | Path) -> Card:
    """Read the card of a shipped checkpoint (by name) or of a weights' file (by path).

    Raises:
        FileNotFoundError: there is no such checkpoint; the message lists those that ship.
        ValueError: the card is not in the format of this course.
    """
    path = _weights_path(name).with_suffix(".json")
    if not path.is_file():
        raise FileNotFoundError(f"The weights have no card: {path} is missing.")
    try:
        return Card(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no card of this course: {error}") from error


def load(name: str | Path, model: Model) -> tuple[Model, Card]:
    """Load verified weights into a model.

    Args:
        name: a shipped checkpoint's name, or the path of a `.safetensors` file with its card.
        model: of the architecture that the card describes; changed in place.

    Returns:
        The model, in eval mode, and the card.

    Raises:
        FileNotFoundError: there is no such checkpoint; the message lists those that ship.
        ValueError: the weights are not those that the card speaks of, or do not fit the model.
    """
    path = _weights_path(name)
    card = load_card(path)
    found = sha256_of(path)
    if found != card.sha256:
        raise ValueError(
            f"{path} is not what its card describes: its SHA-256 is {found}, the card says "
            f"{card.sha256}. The file was changed or cut short; restore it (git checkout, or "
            "install the package again)."
        )
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(
            f"The weights {path} do not fit the model; they belong to {card.architecture}: {error}"
        ) from error
    return model.eval(), card


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(model: nn.Module) -> str:
    """Return the SHA-256 over all weights and buffers of a model, to see whether they changed."""
    values = model.state_dict().values()
    joined = b"".join(value.cpu().contiguous().numpy().tobytes() for value in values)
    return hashlib.sha256(joined).hexdigest()


def _weights_path(name: str | Path) -> Path:
    path = Path(name)
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise FileNotFoundError(f"No weights at {path}.")
        return path
    try:
        return runtime.data_path(f"checkpoints/{name}.safetensors")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"No checkpoint is named {name!r}. The course ships: {', '.join(checkpoint_names())}."
        ) from None
