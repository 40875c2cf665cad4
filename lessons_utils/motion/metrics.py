"""How good depth, flow and motion are, against the truth (lessons 08 to 10).

What is learnt from one moving camera has no unit: depth is scaled by the median and a trajectory by
least squares before they are compared, each picture and each snippet by itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lessons_utils.motion.geometry import invert_pose

DEPTH_METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3")
"""Names of the numbers of the literature's tables, in their order; the last three are better when
larger. `rmse` and `sq_rel` are in metres, the others have no unit."""

CAP = 80.0
"""Metres: KITTI's tables take no truth beyond, and cut predictions off there."""

OUTLIER_PIXELS, OUTLIER_SHARE = 3.0, 0.05
"""A flow is an outlier if it is off by more than 3 pixels and by more than 5 % of the true flow."""


# ---- Depth -------------------------------------------------------------------------------------


def median_scale(depth: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Return what each predicted map must be multiplied by: median of the truth over its own.

    Args:
        depth: (N, 1, H, W), positive, in any unit.
        truth: (N, 1, H, W), metres.
        valid: (N, 1, H, W) bool.

    Returns:
        (N,) float64, on the CPU; NaN where a picture has no valid pixel.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> depth = torch.tensor([1.0, 2.0, 9.0]).view(1, 1, 1, 3)
        >>> median_scale(depth, 5 * depth, depth > 0)
        tensor([5.], dtype=torch.float64)
    """
    _check_shapes(depth, truth, valid)
    scales = [_scale(d[v], t[v]) for d, t, v in zip(depth, truth, valid, strict=True)]
    return torch.stack(scales).cpu()


def _scale(predicted: Tensor, true: Tensor) -> Tensor:
    return _median(true) / _median(predicted)


def _median(values: Tensor) -> Tensor:
    """The mean of the two middle values where their number is even, as in NumPy."""
    ordered = values.double().sort().values
    count = len(ordered)
    return ordered[(count - 1) // 2 : count // 2 + 1].mean()


def measure_depth(
    depth: Tensor,
    truth: Tensor,
    valid: Tensor,
    region: Tensor | None = None,
    cap: float = CAP,
) -> dict[str, float]:
    """Return `DEPTH_METRICS` by name, each the mean over the pictures of its value in a picture.

    So the literature measures what is learnt from video. (What lesson 05 measures with is pooled
    over the pixels of all pictures, and unscaled.)

    Args:
        depth: (N, 1, H, W), positive, in any unit: scaled here by `median_scale`.
        truth: (N, 1, H, W), metres; not read where invalid.
        valid: (N, 1, H, W) bool.
        region: (N, 1, H, W) bool: where to measure, moving cars for instance. The scale still comes
            from all valid pixels. A picture of which no valid pixel is in the region is left out.
        cap: metres: pixels with a truth beyond are not valid, depth beyond is cut.

    Raises:
        ValueError: the shapes differ; a depth at a valid pixel is not positive and finite; no pixel
            is left.
    """
    _check_shapes(depth, truth, valid, region)
    valid = valid & (truth <= cap)
    counted = valid if region is None else valid & region
    measured = []
    for predicted, true, v, c in zip(depth, truth, valid, counted, strict=True):
        if c.any():
            _check_positive(predicted[v], "prediction")
            _check_positive(true[v], "truth")
            scaled = predicted[c].double() * _scale(predicted[v], true[v])
            measured.append(_depth_errors(scaled.clamp(max=cap), true[c].double()))
    if not measured:
        raise ValueError("No pixel is valid, within the cap and in the region.")
    means = torch.stack(measured).mean(dim=0).tolist()
    return dict(zip(DEPTH_METRICS, means, strict=True))


def _depth_errors(predicted: Tensor, true: Tensor) -> Tensor:
    error, ratio = predicted - true, torch.maximum(predicted / true, true / predicted)
    return torch.stack(
        [
            (error.abs() / true).mean(),
            (error.square() / true).mean(),
            error.square().mean().sqrt(),
            ratio.log().square().mean().sqrt(),
            *((ratio < 1.25**power).double().mean() for power in (1, 2, 3)),
        ]
    ).cpu()


# ---- Flow --------------------------------------------------------------------------------------


def endpoint_error(flow: Tensor, truth: Tensor) -> Tensor:
    """Return how far from its true end each pixel's flow ends, (B, 1, H, W), pixels.

    Args:
        flow: (B, 2, H, W).
        truth: (B, 2, H, W).

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes(flow, truth)
    return torch.linalg.vector_norm(flow - truth, dim=1, keepdim=True)


def measure_flow(
    flow: Tensor, truth: Tensor, moving: Tensor, occluded: Tensor, valid: Tensor
) -> dict[str, float]:
    """Return the mean endpoint error and the share of outliers, by region.

    The regions: `all` valid pixels, and what they consist of: `occluded` ones, and of those that
    both frames see `moving` and `static` ones. Pooled over the pixels of all pictures.

    Args:
        flow: (N, 2, H, W), pixels.
        truth: (N, 2, H, W); not read where invalid.
        moving: (N, 1, H, W) bool, what moves by itself.
        occluded: (N, 1, H, W) bool, what the source does not see.
        valid: (N, 1, H, W) bool, where the truth may be used.

    Returns:
        `all_epe`, pixels, `all_f1`, from 0 to 1, and so on for the other regions; NaN where a
        region is empty. F1 is what papers call the share of outliers (KITTI calls it Fl); see
        `OUTLIER_PIXELS`.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes(valid, moving, occluded)
    error = endpoint_error(flow, truth).double()
    length = torch.linalg.vector_norm(truth.double(), dim=1, keepdim=True)
    outlier = (error > OUTLIER_PIXELS) & (error > OUTLIER_SHARE * length)
    regions = {
        "all": valid,
        "static": valid & ~occluded & ~moving,
        "moving": valid & ~occluded & moving,
        "occluded": valid & occluded,
    }
    result = {}
    for name, region in regions.items():
        result[f"{name}_epe"] = error[region].mean().item()
        result[f"{name}_f1"] = outlier[region].double().mean().item()
    return result


def precision_recall(found: Tensor, truth: Tensor, valid: Tensor) -> tuple[float, float]:
    """Return how much of what was found is true, and how much of what is true was found.

    For occlusions found by forward and backward flow (`~consistency_mask`), or moving pixels.

    Args:
        found: (N, 1, H, W) bool.
        truth: (N, 1, H, W) bool.
        valid: (N, 1, H, W) bool, the pixels that count.

    Returns:
        Precision and recall, pooled over all pixels; NaN where nothing is found, or nothing true.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes(found, truth, valid)
    right = (found & truth & valid).sum().item()
    of_found, of_truth = ((mask & valid).sum().item() for mask in (found, truth))
    return tuple(right / count if count else math.nan for count in (of_found, of_truth))


# ---- Motion of the camera ----------------------------------------------------------------------


def rotation_error(T: Tensor, truth: Tensor) -> Tensor:
    """Return the angle between two rotations, in degrees.

    Args:
        T: (..., 4, 4).
        truth: (..., 4, 4).

    Returns:
        (...,).
    """
    between = T[..., :3, :3] @ truth[..., :3, :3].mT
    twice_sine = torch.linalg.vector_norm((between - between.mT).flatten(-2), dim=-1) / 2**0.5
    trace = between.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return torch.rad2deg(torch.atan2(twice_sine, trace - 1))


def snippet_positions(T_target_to_source: Tensor) -> Tensor:
    """Return where the cameras of snippets stand, in the axes of each snippet's first camera.

    Args:
        T_target_to_source: (..., S, 4, 4), from the middle frame to the others in the order of
            time; S is even: 4 for snippets of 5 frames.

    Returns:
        (..., S + 1, 3), the target in the middle; the first is zero.

    Raises:
        ValueError: S is odd.
    """
    sources = T_target_to_source.shape[-3]
    if sources % 2:
        raise ValueError(
            f"A target in the middle has as many sources before as after; got S = {sources}."
        )
    before, after = T_target_to_source.split(sources // 2, dim=-3)
    itself = torch.eye(4).to(before).expand_as(before[..., :1, :, :])
    poses = torch.cat([before, itself, after], dim=-3)  # from the target to every frame
    return (poses[..., :1, :, :] @ invert_pose(poses))[..., :3, 3]


def snippet_error(positions: Tensor, truth: Tensor) -> Tensor:
    """Return the absolute trajectory error of snippets, as SfMLearner and GeoNet measure it.

    The first cameras are put in one place, the trajectory is scaled to fit best, and the error is
    sqrt(sum of the squared distances) / N. Mind the division: a root mean square would divide by
    sqrt(N), and be 2.2 times as large for 5 frames. The tables' numbers are means over all snippets
    of a drive. A camera that is said to stand still cannot be scaled.

    Args:
        positions: (..., N, 3), in any unit; see `snippet_positions`.
        truth: (..., N, 3), metres.

    Returns:
        (...,), metres.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes(positions, truth)
    moved, truth = (points - points[..., :1, :] for points in (positions, truth))
    tiny = torch.finfo(moved.dtype).tiny
    scale = (moved * truth).sum(dim=(-2, -1)) / moved.square().sum(dim=(-2, -1)).clamp(min=tiny)
    error = scale[..., None, None] * moved - truth
    return error.square().sum(dim=(-2, -1)).sqrt() / truth.shape[-2]


def align(positions: Tensor, truth: Tensor) -> Tensor:
    """Return a trajectory, turned, scaled and shifted to fit the truth best (Umeyama 1991).

    For a whole drive; of a snippet `snippet_error` fits the scale alone.

    Args:
        positions: (N, 3), in any unit and axes.
        truth: (N, 3), metres.

    Returns:
        (N, 3), in the axes of the truth. Never mirrored.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes(positions, truth)
    centred, true_centred = (points - points.mean(dim=0) for points in (positions, truth))
    left, strength, right = torch.linalg.svd(true_centred.mT @ centred)
    signs = torch.ones_like(strength)
    signs[-1] = torch.linalg.det(left @ right).sign()  # -1 would be a mirror image
    rotation = (left * signs) @ right
    tiny = torch.finfo(centred.dtype).tiny
    scale = (strength * signs).sum() / centred.square().sum().clamp(min=tiny)
    return scale * centred @ rotation.mT + truth.mean(dim=0)


def trajectory_error(positions: Tensor, truth: Tensor) -> float:
    """Return the root mean square distance of a whole drive from the truth, after `align`.

    Arguments and errors: `align`.
    """
    distance = align(positions, truth) - truth
    return distance.square().sum(dim=1).mean().sqrt().item()


def _check_shapes(first: Tensor, *others: Tensor | None) -> None:
    shapes = [tuple(t.shape) for t in (first, *others) if t is not None]
    if len(set(shapes)) > 1:
        raise ValueError(f"Expected one shape for all; got {', '.join(map(str, shapes))}.")


def _check_positive(values: Tensor, name: str) -> None:
    bad = ~(torch.isfinite(values) & (values > 0))
    if bad.any():
        raise ValueError(
            f"The {name} has a depth of {values[bad][0]:.3g} at a valid pixel; depths must be "
            "positive and finite."
        )
