"""Anomaly detection: from the flawed softmax to ODIN, in its finished form.

- `scores`: how sure a classifier is of a picture: softmax at a temperature, ODIN, energy;
- `metrics`: how well a score parts two sets of pictures;
- `detector`: threshold, tuning, the table of baseline and ODIN;
- `features`: scores from a network's features, for comparison;
- `classifiers`: the networks, with the normalisation inside;
- `banks`: scores of thousands of images, computed once.

Lesson 11 derives the baseline and the metrics, lesson 12 the temperature, lesson 13 the step on the
picture, lesson 14 the detector. The reference is Liang, Li, Srikant, "Enhancing The Reliability of
Out-of-distribution Image Detection in Neural Networks", ICLR 2018 (arXiv 1706.02690).

Use the names given here, `anomaly.odin_scores` for instance.
"""

from lessons_utils.anomaly.banks import BankCard, ScoreBank, SetScores, load_bank, save_bank
from lessons_utils.anomaly.classifiers import (
    CIFAR10_CLASSES,
    CIFAR_DEVIATION,
    CIFAR_MEAN,
    CompactNet,
    DenseNet,
    Normalise,
    Normalised,
    ResNet20,
    load_pickled_classifier,
)
from lessons_utils.anomaly.detector import (
    EPSILONS,
    TEMPERATURES,
    Detector,
    Setting,
    best_setting,
    evaluate,
    fit_detector,
    tune,
)
from lessons_utils.anomaly.features import (
    ClassGaussians,
    features_and_logits,
    fit_gaussians,
    neighbour_scores,
)
from lessons_utils.anomaly.metrics import (
    METRICS,
    TPR,
    aupr,
    auroc,
    fpr_at_tpr,
    measure,
    roc_curve,
    smallest_error,
    threshold_at_tpr,
)
from lessons_utils.anomaly.scores import (
    EPSILON,
    TEMPERATURE,
    Images,
    baseline_scores,
    classify,
    clean_and_odin_logits,
    logit_gaps,
    maximum_logit,
    maximum_softmax,
    negative_energy,
    odin_grid,
    odin_scores,
    perturb,
    temperature_softmax,
)

__all__ = [
    "CIFAR10_CLASSES",
    "CIFAR_DEVIATION",
    "CIFAR_MEAN",
    "EPSILON",
    "EPSILONS",
    "METRICS",
    "TEMPERATURE",
    "TEMPERATURES",
    "TPR",
    "BankCard",
    "ClassGaussians",
    "CompactNet",
    "DenseNet",
    "Detector",
    "Images",
    "Normalise",
    "Normalised",
    "ResNet20",
    "ScoreBank",
    "SetScores",
    "Setting",
    "aupr",
    "auroc",
    "baseline_scores",
    "best_setting",
    "classify",
    "clean_and_odin_logits",
    "evaluate",
    "features_and_logits",
    "fit_detector",
    "fit_gaussians",
    "fpr_at_tpr",
    "load_bank",
    "load_pickled_classifier",
    "logit_gaps",
    "maximum_logit",
    "maximum_softmax",
    "measure",
    "negative_energy",
    "neighbour_scores",
    "odin_grid",
    "odin_scores",
    "perturb",
    "roc_curve",
    "save_bank",
    "smallest_error",
    "temperature_softmax",
    "threshold_at_tpr",
    "tune",
]
