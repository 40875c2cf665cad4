"""How each shipped network was trained and how it is measured, by name.

The command line (`python -m lessons_utils train NAME`, `evaluate NAME`) reads this room.

- `super_resolution`: SRCNN on T91;
- `depth`: Eigen's networks on rendered rooms and on NYU Depth v2;
- `anomaly`: classifiers for ODIN;
- `banks`: their scores on thousands of images;
- `motion`: GeoNet on rendered streets; `motion_tables` measures it;
- `shipped`: the network of each checkpoint.
"""

from lessons_utils.recipes.anomaly import (
    CLASSIFIERS,
    ClassifierRecipe,
    accuracy,
    labelled_images,
    load_classifier,
    mirror_and_shift,
    train_classifier,
)
from lessons_utils.recipes.banks import compute_bank
from lessons_utils.recipes.depth import (
    DEPTH,
    DepthRecipe,
    frames_for_test,
    load_eigen,
    nyu_for_training,
    train_depth,
)
from lessons_utils.recipes.motion import (
    MOTION,
    GeoNet,
    MotionRecipe,
    ResidualRecipe,
    RigidRecipe,
    drives_for_test,
    load_geonet,
    residual_loss,
    rigid_loss,
    train_motion,
)
from lessons_utils.recipes.motion_tables import measure_drive, measure_streets
from lessons_utils.recipes.shipped import network
from lessons_utils.recipes.super_resolution import (
    SUPER_RESOLUTION,
    SuperResolutionRecipe,
    load_for_evaluation,
    split_t91,
    train_super_resolution,
)

__all__ = [
    "CLASSIFIERS",
    "DEPTH",
    "MOTION",
    "SUPER_RESOLUTION",
    "ClassifierRecipe",
    "DepthRecipe",
    "GeoNet",
    "MotionRecipe",
    "ResidualRecipe",
    "RigidRecipe",
    "SuperResolutionRecipe",
    "accuracy",
    "compute_bank",
    "drives_for_test",
    "frames_for_test",
    "labelled_images",
    "load_classifier",
    "load_eigen",
    "load_for_evaluation",
    "load_geonet",
    "measure_drive",
    "measure_streets",
    "mirror_and_shift",
    "network",
    "nyu_for_training",
    "residual_loss",
    "rigid_loss",
    "split_t91",
    "train_classifier",
    "train_depth",
    "train_motion",
    "train_super_resolution",
]
