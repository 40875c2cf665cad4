"""Which network a shipped checkpoint belongs to."""

from __future__ import annotations

from torch import nn

from lessons_utils import anomaly, checkpoints, depth, superres
from lessons_utils.recipes.depth import DEPTH
from lessons_utils.recipes.motion import MOTION, GeoNet
from lessons_utils.recipes.super_resolution import SUPER_RESOLUTION


def network(name: str) -> nn.Module:
    """Return the network of a shipped checkpoint, untrained; `checkpoints.load` fills it.

    Raises:
        FileNotFoundError: the course ships no such checkpoint.

    Example:
        >>> model, card = checkpoints.load("fashion-eight", network("fashion-eight"))
    """
    if name in SUPER_RESOLUTION:
        kind = superres.SRCNN
    elif name in MOTION:
        kind = GeoNet
    else:
        kind = depth.EigenDepth if name in DEPTH else anomaly.CompactNet
    return kind(**checkpoints.load_card(name).architecture)
