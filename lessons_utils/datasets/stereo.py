"""Two eyes: a pair of pictures with the true disparity between them."""

from __future__ import annotations

from dataclasses import dataclass

import skimage.data
import torch
from torch import Tensor

from lessons_utils.datasets.pictures import to_tensor


@dataclass(frozen=True)
class StereoPair:
    """A rectified pair: what is at (y, x) in the left picture is at (y, x - d) in the right one."""

    left: Tensor
    """(1, 3, H, W) float32, RGB in [0, 1]."""
    right: Tensor
    """(1, 3, H, W) float32, RGB in [0, 1]."""
    disparity: Tensor
    """(1, 1, H, W) float32: d in pixels, for the pixels of the left picture; 0 where unknown."""
    valid: Tensor
    """(1, 1, H, W) bool: where d is known."""
    focal_length: float
    """In pixels."""
    baseline: float
    """From one camera's centre to the other's, in metres."""
    offset: float
    """By how many pixels the right camera's principal point lies to the right of the left's."""

    @property
    def depth(self) -> Tensor:
        """(1, 1, H, W) float32, metres: focal length x baseline / (d + offset); 0 where unknown."""
        depth = self.focal_length * self.baseline / (self.disparity + self.offset)
        return torch.where(self.valid, depth, 0.0)


def stereo_motorcycle() -> StereoPair:
    """Return the motorcycle of Middlebury's stereo pairs of 2014, at a quarter of its size.

    500 x 741 pixels (height x width), 2.1 to 5.0 m away. It lies in scikit-image's wheel, so that
    nothing is downloaded. Its disparity belongs to the left picture, whatever the example in
    scikit-image's own documentation says.
    """
    left, right, disparity = skimage.data.stereo_motorcycle()
    stored = torch.from_numpy(disparity).float()[None, None]
    return StereoPair(
        left=to_tensor(left),
        right=to_tensor(right),
        disparity=stored.nan_to_num(nan=0.0, posinf=0.0),
        valid=stored.isfinite(),
        focal_length=994.978,
        baseline=0.193001,
        offset=31.086,
    )
