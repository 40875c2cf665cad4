"""What unlabelled video teaches by: pictures that should agree, depth that should be smooth.

Lesson 09 derives the photometric error and the smoothness, lesson 10 the agreement of forward and
backward flow. The paper's weights are 1 for the photometric losses, 0.5 / 2^s for the smoothness of
disparity at scale s, 0.2 / 2^s for that of flow, and 0.2 for the agreement.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lessons_utils.motion.geometry import inverse_warp

ALPHA = 0.85
"""Share of the structural part in the photometric error."""
CONSISTENT_PIXELS, CONSISTENT_SHARE = 3.0, 0.05
"""Forward and backward flow agree within 3 pixels, or within 5 % of the flow's length if that is
more."""

_C1, _C2 = 0.01**2, 0.03**2  # of SSIM, for pixels from 0 to 1


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Return the structural similarity at each pixel, over 3 x 3 windows that all count alike.

    Args:
        first: (B, C, H, W) in [0, 1]; borders are repeated.
        second: the same shape.

    Returns:
        (B, C, H, W) in [-1, 1], 1 where the windows are equal.
    """
    mean_1, mean_2 = _window_mean(first), _window_mean(second)
    variances = _window_mean(first**2) - mean_1**2 + _window_mean(second**2) - mean_2**2
    covariance = _window_mean(first * second) - mean_1 * mean_2
    luminance = (2 * mean_1 * mean_2 + _C1) / (mean_1**2 + mean_2**2 + _C1)
    return luminance * (2 * covariance + _C2) / (variances + _C2)


def _window_mean(maps: Tensor) -> Tensor:
    for dim, around in ((-1, (1, 1, 0, 0)), (-2, (0, 0, 1, 1))):  # avg_pool2d is five times slower
        padded, size = F.pad(maps, around, mode="replicate"), maps.shape[dim]
        maps = sum(padded.narrow(dim, start, size) for start in range(3)) / 3
    return maps


def photometric_error(target: Tensor, warped: Tensor, alpha: float = ALPHA) -> Tensor:
    """Return how wrong a rebuilt picture is: alpha (1 - SSIM) / 2 + (1 - alpha) |difference|.

    Paper, section 3.3. The structural part forgives a change of brightness; the absolute difference
    has a gradient where a window is flat.

    Args:
        target: (B, C, H, W) in [0, 1].
        warped: the same shape, from `inverse_warp`.
        alpha: from 0 to 1.

    Returns:
        (B, 1, H, W), the mean over the channels; 0 where the windows are equal, 1 at most.

    Raises:
        ValueError: the shapes differ, or the pictures are not floating.

    Example:
        >>> error = photometric_error(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))
        >>> round(error.max().item(), 3)
        0.575
    """
    if target.shape != warped.shape or not target.is_floating_point():
        raise ValueError(
            "Expected two pictures of one shape, in [0, 1]; got "
            f"{tuple(target.shape)}, {target.dtype}, and {tuple(warped.shape)}, {warped.dtype}."
        )
    structural = ((1 - ssim_map(target, warped)) / 2).clamp(0, 1)
    error = alpha * structural + (1 - alpha) * (target - warped).abs()
    return error.mean(dim=1, keepdim=True)


def photometric_loss(target: Tensor, warped: Tensor, valid: Tensor) -> Tensor:
    """Return the mean photometric error of the pixels whose whole window is valid.

    A window that reaches over the edge of what could be rebuilt compares with black: counted, such
    pixels would pull depth and pose at the borders.

    Args:
        target: (B, C, H, W) in [0, 1].
        warped: (B, C, H, W).
        valid: (B, 1, H, W) bool: inside, and not occluded.

    Returns:
        A scalar; 0 where no pixel is left.
    """
    return masked_mean(photometric_error(target, warped), erode(valid))


def erode(mask: Tensor) -> Tensor:
    """Keep the pixels of a mask, (B, 1, H, W) bool, whose eight neighbours are in it as well."""
    for dim, around in ((-1, (1, 1, 0, 0)), (-2, (0, 0, 1, 1))):
        padded, size = F.pad(mask, around, value=True), mask.shape[dim]
        first, middle, last = (padded.narrow(dim, start, size) for start in range(3))
        mask = first & middle & last
    return mask


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over a mask's pixels; 0, with gradient 0, where it has none.

    Args:
        values: (B, C, H, W); not read outside the mask.
        mask: (B, 1, H, W) bool.
    """
    chosen = torch.where(mask, values, 0.0)
    return chosen.sum() / (mask.sum() * values.shape[1]).clamp(min=1)


def normalise_disparity(disparity: Tensor) -> Tensor:
    """Divide each disparity map by its mean, so that a smoothness loss cannot shrink it to zero.

    Not in the paper, but an option of its code (Wang et al., CVPR 2018, arXiv 1712.00175).

    Args:
        disparity: (B, 1, H, W), positive.
    """
    return disparity / disparity.mean(dim=(2, 3), keepdim=True)


def smoothness_loss(maps: Tensor, images: Tensor, sharpness: float = 1.0) -> Tensor:
    """Return the mean slope of maps, counted less where the picture has an edge (section 3.3).

    |slope| exp(-s |slope of the picture|), to the right and down, the picture's slope being the
    mean over its channels. For disparity give `normalise_disparity(disparity)`; for flow its two
    components.

    Args:
        maps: (B, C, H, W).
        images: (B, 3, H, W) in [0, 1], of the same size.
        sharpness: s; the paper's is 1. A picture's slope is seldom over 0.3 a pixel, so that with 1
            an edge counts little less than a plain wall; with 10 it is nearly free.

    Returns:
        A scalar.

    Raises:
        ValueError: the sizes differ.
    """
    if maps.shape[-2:] != images.shape[-2:]:
        raise ValueError(
            f"Maps and images must have one size; got {tuple(maps.shape)} and "
            f"{tuple(images.shape)}."
        )
    loss = maps.new_zeros(())
    for dim in (-1, -2):
        edge = images.diff(dim=dim).abs().mean(dim=1, keepdim=True)
        loss = loss + (maps.diff(dim=dim).abs() * torch.exp(-sharpness * edge)).mean()
    return loss


# ---- Forward and backward ----------------------------------------------------------------------


def flow_disagreement(forward: Tensor, backward: Tensor) -> tuple[Tensor, Tensor]:
    """Return where a pixel ends that goes forward and back again, seen from its start.

    f_forward(p) + f_backward(p + f_forward(p)): zero where both are right and nothing is occluded.
    The paper's consistency loss is the mean absolute value over `consistency_mask` (section 3.5).

    Args:
        forward: (B, 2, H, W), flow from target to source.
        backward: (B, 2, H, W), flow from source to target.

    Returns:
        (B, 2, H, W), pixels, and where the way forward ends in the picture, (B, 1, H, W) bool.
    """
    back, inside = inverse_warp(backward, forward)
    return forward + back, inside


@torch.no_grad()
def consistency_mask(forward: Tensor, backward: Tensor) -> Tensor:
    """Return where forward and backward flow agree: what both pictures see (section 3.5).

    A pixel counts where its disagreement is shorter than 3 pixels, or than 5 % of its forward flow
    if that is more, and where the way forward ends in the picture.

    Args:
        forward: (B, 2, H, W), flow from target to source, in pixels of the full picture.
        backward: (B, 2, H, W), flow from source to target.

    Returns:
        (B, 1, H, W) bool.
    """
    disagreement, inside = flow_disagreement(forward, backward)
    bound = CONSISTENT_SHARE * torch.linalg.vector_norm(forward, dim=1, keepdim=True)
    length = torch.linalg.vector_norm(disagreement, dim=1, keepdim=True)
    return inside & (length < bound.clamp(min=CONSISTENT_PIXELS))
