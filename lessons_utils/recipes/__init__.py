"""How each shipped network was trained and how it is measured, by name.

The command line (`python -m lessons_utils train NAME`, `evaluate NAME`) reads this room.

- `super_resolution`: SRCNN on T91;
- `depth`: Eigen's networks on rendered rooms and on NYU Depth v2;
- `anomaly`: classifiers for ODIN.
"""

from lessons_utils.recipes.anomaly import load_classifier
from lessons_utils.recipes.depth import (
    DEPTH,
    DepthRecipe,
    frames_for_test,
    load_eigen,
    nyu_for_training,
    train_depth,
)
from lessons_utils.recipes.super_resolution import (
    SUPER_RESOLUTION,
    SuperResolutionRecipe,
    load_for_evaluation,
    split_t91,
    train_super_resolution,
)

__all__ = [
    "DEPTH",
    "SUPER_RESOLUTION",
    "DepthRecipe",
    "SuperResolutionRecipe",
    "frames_for_test",
    "load_classifier",
    "load_eigen",
    "load_for_evaluation",
    "nyu_for_training",
    "split_t91",
    "train_depth",
    "train_super_resolution",
]
