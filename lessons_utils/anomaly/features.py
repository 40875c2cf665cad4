"""Scores from a classifier's features instead of its logits, for comparison (lesson 14)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lessons_utils.anomaly.scores import Images, classify


def features_and_logits(
    model: nn.Module, images: Images, batch_size: int = 32
) -> tuple[Tensor, Tensor]:
    """Return what the classifier's last linear layer is given, and its logits.

    Args:
        model: a classifier (see `classify`) whose last `nn.Linear`, in the order of its modules,
            gives the logits.
        images: (N, ...) or batches; see `Images`.
        batch_size: of a tensor of images.

    Returns:
        Features (N, D) and logits (N, classes), float64, on the CPU.

    Raises:
        ValueError: the model has no linear layer, or as of `classify`.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError("Expected a classifier that ends in an nn.Linear; this one has none.")
    parts: list[Tensor] = []
    hook = layers[-1].register_forward_pre_hook(
        lambda layer, inputs: parts.append(inputs[0].detach().cpu().double())
    )
    try:
        logits = classify(model, images, batch_size)
    finally:
        hook.remove()
    return torch.cat(parts), logits


@dataclass(frozen=True)
class ClassGaussians:
    """A Gaussian for each class in the space of features, all with one covariance.

    Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
    Adversarial Attacks" (NeurIPS 2018), for the last layer alone and without input perturbation.
    """

    means: Tensor
    """(classes, D)."""
    precision: Tensor
    """(D, D), the covariance's (pseudo-)inverse."""

    def scores(self, features: Tensor) -> Tensor:
        """Return minus the smallest squared Mahalanobis distance to a class's mean, (N,).

        Args:
            features: (N, D) float64.
        """
        apart = features[:, None] - self.means  # (N, classes, D)
        return -torch.einsum("ncd,de,nce->nc", apart, self.precision, apart).amin(dim=1)


def fit_gaussians(features: Tensor, labels: Tensor) -> ClassGaussians:
    """Fit the Gaussians to training images.

    Args:
        features: (N, D) float64, of training images.
        labels: (N,) int64 from 0, each class at least once.

    Raises:
        ValueError: there is not one label for each row of features, or a class has no image.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"Expected features (N, D) and N labels; got {tuple(features.shape)} and "
            f"{tuple(labels.shape)}."
        )
    counts = labels.bincount()
    if (counts == 0).any():
        raise ValueError(f"Class {int(counts.argmin())} has no image.")
    means = torch.stack([features[labels == name].mean(dim=0) for name in range(len(counts))])
    apart = features - means[labels]
    covariance = apart.T @ apart / len(features)
    return ClassGaussians(means, torch.linalg.pinv(covariance, hermitian=True))


def neighbour_scores(features: Tensor, known: Tensor, neighbour: int = 50) -> Tensor:
    """Return minus the distance to the k-th nearest training image, (N,).

    Features are brought to length 1 first. Sun et al., "Out-of-Distribution Detection with Deep
    Nearest Neighbors" (ICML 2022).

    Args:
        features: (N, D) float64.
        known: (M, D) float64, of training images.
        neighbour: k, from 1 to M.

    Raises:
        ValueError: k is out of range.
    """
    if not 1 <= neighbour <= len(known):
        raise ValueError(f"Expected a neighbour from 1 to {len(known)}; got {neighbour}.")
    distances = torch.cdist(F.normalize(features), F.normalize(known))
    return -distances.kthvalue(neighbour, dim=1).values
