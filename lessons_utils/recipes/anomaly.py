"""Classifiers for ODIN: which network a file of weights belongs to."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lessons_utils import anomaly, checkpoints


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
