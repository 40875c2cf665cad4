"""How well scores part what a classifier knows from what it does not (lessons 11 and 14).

All take the scores of in-distribution images and those of others, larger for in-distribution, which
is the positive class, as in the ODIN paper (libraries often take the other one: with the same name
their FPR differs). A threshold t accepts an image if its score is t or more; then TPR is the share
of `inside` and FPR the share of `outside` that is accepted. Only shares enter: the sizes of the two
sets do not matter. Every score is tried as the threshold; there is no grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

METRICS = ("fpr95", "err_at_95", "err_min", "auroc", "aupr_in", "aupr_out")
"""What `measure` gives, each from 0 to 1. Errors and FPR are better when smaller, areas when
larger; chance is 0.95, 0.5, 0.5 and 0.5 for each area."""

TPR = 0.95


def measure(inside: Tensor, outside: Tensor) -> dict[str, float]:
    """Return the paper's metrics by name (paper, section 4.3); see the functions for each.

    The paper defines the detection error at 95 % TPR, but its code, and some of its tables, take
    the smallest over all thresholds: both are here, as `err_at_95` and `err_min`.

    Args:
        inside: (N,), scores of in-distribution images.
        outside: (M,), scores of others.

    Raises:
        ValueError: a set is empty or not (N,), or a score is NaN.

    Example:
        >>> apart = measure(torch.tensor([0.8, 0.9]), torch.tensor([0.1, 0.2, 0.3]))
        >>> apart["fpr95"], apart["err_min"], apart["auroc"]
        (0.0, 0.0, 1.0)
    """
    false_positives = fpr_at_tpr(inside, outside)
    aupr_in, aupr_out = aupr(inside, outside)
    return {
        "fpr95": false_positives,
        "err_at_95": 0.5 * (1 - TPR) + 0.5 * false_positives,
        "err_min": smallest_error(inside, outside),
        "auroc": auroc(inside, outside),
        "aupr_in": aupr_in,
        "aupr_out": aupr_out,
    }


def threshold_at_tpr(inside: Tensor, tpr: float = TPR) -> float:
    """Return the largest threshold that accepts at least this share of the scores.

    Args:
        inside: (N,), scores of in-distribution images.
        tpr: above 0, up to 1.

    Raises:
        ValueError: the scores are not (N,), empty or NaN, or `tpr` is out of range.
    """
    if not 0 < tpr <= 1:
        raise ValueError(f"`tpr` is a share above 0, up to 1; got {tpr}.")
    scores = _checked(inside).sort(descending=True).values
    accepted = math.ceil(tpr * len(scores) - 1e-9)  # 0.95 is a little less, or more, in binary
    return scores[max(accepted, 1) - 1].item()


def fpr_at_tpr(inside: Tensor, outside: Tensor, tpr: float = TPR) -> float:
    """Return the share of `outside` that passes where at least `tpr` of `inside` do.

    Arguments and errors: `measure`, `threshold_at_tpr`.
    """
    return (_checked(outside) >= threshold_at_tpr(inside, tpr)).double().mean().item()


def smallest_error(inside: Tensor, outside: Tensor) -> float:
    """Return the least mean of the two error rates, (1 - TPR) / 2 + FPR / 2, over all thresholds.

    Arguments and errors: `measure`.
    """
    _, tpr, fpr = roc_curve(inside, outside)
    return (0.5 * (1 - tpr) + 0.5 * fpr).min().item()


def auroc(inside: Tensor, outside: Tensor) -> float:
    """Return the chance that a score of `inside` beats one of `outside`; a tie counts half.

    It is the area under the ROC curve. Arguments and errors: `measure`.
    """
    inside, outside = _checked(inside), _checked(outside).sort().values
    below = torch.searchsorted(outside, inside)
    up_to = torch.searchsorted(outside, inside, right=True)
    return (below + up_to).sum().item() / (2 * len(inside) * len(outside))


def aupr(inside: Tensor, outside: Tensor) -> tuple[float, float]:
    """Return the areas under two precision-recall curves: of `inside` and of `outside` as positive.

    Precision is TPR / (TPR + FPR), as if both sets were of one size. The area is the sum of
    precision times each step of recall (average precision).

    Arguments and errors: `measure`.
    """
    inside, outside = _checked(inside), _checked(outside)
    return _average_precision(inside, outside), _average_precision(-outside, -inside)


def _average_precision(positive: Tensor, negative: Tensor) -> float:
    _, recall, false_positives = roc_curve(positive, negative)
    precision = recall[1:] / (recall[1:] + false_positives[1:])
    return (recall.diff() * precision).sum().item()


def roc_curve(inside: Tensor, outside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return thresholds, TPR and FPR, (K,) float64 each, the largest threshold first.

    The first threshold is infinite and accepts nothing; then comes each score that occurs, once.

    Arguments and errors: `measure`.

    Example:
        >>> thresholds, tpr, fpr = roc_curve(torch.tensor([0.5, 0.75]), torch.tensor([0.5, 0.25]))
        >>> thresholds.tolist(), tpr.tolist(), fpr.tolist()
        ([inf, 0.75, 0.5, 0.25], [0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0])
    """
    inside, outside = _checked(inside).sort().values, _checked(outside).sort().values
    occurring = torch.cat([inside, outside]).unique().flip(0)
    nothing = occurring.new_zeros(1)
    tpr, fpr = (
        torch.cat([nothing, len(scores) - torch.searchsorted(scores, occurring)]) / len(scores)
        for scores in (inside, outside)
    )
    return torch.cat([nothing + torch.inf, occurring]), tpr, fpr


def _checked(scores: Tensor) -> Tensor:
    """Return scores on the CPU in float64; raise unless they are usable."""
    scores = torch.as_tensor(scores).detach().cpu().double()
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError(f"Expected scores (N,), at least one; got {tuple(scores.shape)}.")
    if scores.isnan().any():
        raise ValueError(f"{int(scores.isnan().sum())} of {len(scores)} scores are NaN.")
    return scores
