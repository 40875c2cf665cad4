"""GeoNet's tables on rendered streets, with what must be beaten beside it; a drive without truth.

Of streets, the middle frame of each drive is the target, the frames before and after it are the
sources; flow is measured both ways in time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lessons_utils import motion
from lessons_utils.scenes import streets

if TYPE_CHECKING:
    from lessons_utils.recipes.motion import GeoNet

_CAMERA_HEIGHT = 1.6  # metres, about that of the drives: what the ground-plane prior knows
_TARGET = 1  # the middle frame of three


def measure_streets(
    model: GeoNet, drives: streets.Sequences, others: streets.Sequences
) -> dict[str, Any]:
    """Return the tables of depth, flow, pose and the consistency mask.

    - `depth`, after median scaling, within 80 m: `geonet`; `constant`, one depth for all;
      `ground_plane`, an empty plane up to the horizon; `mean_map`, the same picture of mean
      disparity for all, from the labels of other streets. Each has `motion.DEPTH_METRICS`, and
      `static_abs_rel` and `moving_abs_rel` by region.
    - `flow`, pixels: `none`, zero everywhere; `rigid` and `final` of the networks; `exact_rigid`,
      from true depth and pose, the best that a rigid stage could say. See `motion.measure_flow`:
      `all_epe` is the mean of `static_epe`, `moving_epe` and `occluded_epe` over their pixels.
    - `pose`: `geonet`; `straight_ahead`, a camera that does not turn. `rotation_error` in degrees
      from the target to a source; `ate` of three frames in metres, see `motion.snippet_error`.
    - `occlusions`: how well pixels where forward and backward flow disagree stand for those that
      the source does not see: of those inside it (`hidden`), or of all (`unseen`, with those that
      left the picture): `precision`, `recall`, and the true `share`. `hidden_by_exact_flow` is what
      the bound of 3 pixels finds without any error of the networks.

    Args:
        model: in eval mode.
        drives: of 3 frames.
        others: drives of other streets, as large, for `mean_map`.

    Raises:
        ValueError: the drives do not have 3 frames.
    """
    if drives.images.shape[1] != 3:
        raise ValueError(f"Expected drives of 3 frames, not {drives.images.shape[1]}.")
    parts = [_predict(model, drives[i : i + 10]) for i in range(0, len(drives), 10)]
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    sources = (_TARGET - 1, _TARGET + 1)
    outside = torch.cat([drives.outside(_TARGET, s) for s in sources])
    occluded = torch.cat([drives.occluded(_TARGET, s) for s in sources])
    table = {
        "drives": len(drives),
        "depth": _depth_table(found["depth"], drives, others),
        "flow": _flow_table(found, drives, occluded, ~outside),
        "pose": _pose_table(found["poses"], drives),
        "occlusions": {
            "hidden": _mask_row(_by_direction(found["hidden"]), occluded, ~outside),
            "hidden_by_exact_flow": _mask_row(_hidden_by_exact_flow(drives), occluded, ~outside),
            "unseen": _mask_row(
                _by_direction(found["hidden"]), occluded | outside, torch.ones_like(outside)
            ),
        },
    }
    return _without_nan(table)


@torch.no_grad()
def measure_drive(model: GeoNet, images: Tensor, K: Tensor) -> dict[str, Any]:
    """Return how well a drive without truth is rebuilt: what can be said of a real one.

    Each frame is rebuilt from the one before and the one after it. The photometric error is the
    mean over the pixels that come from inside the source by rigid and by final flow, the same ones
    in each row. A small error does not prove right depth: lesson 09.

    Args:
        model: in eval mode.
        images: (N, 3, H, W) in [0, 1], in the order of time; at least 3.
        K: (3, 3).

    Returns:
        `frames`, `pairs`, and `photometric`: of `none`, the source as it is, `rigid` and `final`.

    Raises:
        ValueError: fewer than 3 frames.
    """
    if len(images) < 3:
        raise ValueError(f"A drive has at least 3 frames; got {len(images)}.")
    device = next(model.parameters()).device
    images, K = images.to(device), K.to(device)[None]
    errors: dict[str, list[Tensor]] = {"none": [], "rigid": [], "final": []}
    for time in range(1, len(images) - 1):
        before, target, after = images[time - 1 : time + 2].split(1)
        poses = model.poses(target, torch.stack([before, after], dim=1))
        for source, T in ((before, poses[:, 0]), (after, poses[:, 1])):
            rigid, final = model.flow(target, source, T, K)
            flows = {"none": torch.zeros_like(rigid), "rigid": rigid, "final": final}
            rebuilt = {name: motion.inverse_warp(source, flow) for name, flow in flows.items()}
            inside = rebuilt["rigid"][1] & rebuilt["final"][1]
            for name, (warped, _) in rebuilt.items():
                errors[name].append(motion.photometric_loss(target, warped, inside))
    means = {name: torch.stack(parts).mean().item() for name, parts in errors.items()}
    return {"frames": len(images), "pairs": len(errors["none"]), "photometric": means}


@torch.no_grad()
def _predict(model: GeoNet, drives: streets.Sequences) -> dict[str, Tensor]:
    """Return what the networks say; flows to the source before, then to the one after."""
    device = next(model.parameters()).device
    frames, K = drives.images.to(device).float() / 255, drives.K.to(device).float()
    target, sources = frames[:, _TARGET], frames[:, [_TARGET - 1, _TARGET + 1]]
    depth, poses = model.depth(target), model.poses(target, sources)
    rows: dict[str, list[Tensor]] = {"rigid": [], "final": [], "hidden": []}
    for source, T in zip(sources.unbind(1), poses.unbind(1), strict=True):
        rigid, final = model.flow(target, source, T, K)
        _, back = model.flow(source, target, motion.invert_pose(T), K)
        rows["rigid"].append(rigid)
        rows["final"].append(final)
        rows["hidden"].append(~motion.consistency_mask(final, back))
    by_direction = {name: torch.stack(row, dim=1).cpu() for name, row in rows.items()}
    return {"depth": depth.cpu(), "poses": poses.cpu(), **by_direction}


def _depth_table(
    depth: Tensor, drives: streets.Sequences, others: streets.Sequences
) -> dict[str, dict[str, float]]:
    truth, moving = drives.depth[:, _TARGET], drives.moving(_TARGET)
    valid = truth.isfinite()
    rows = {
        "geonet": depth,
        "constant": torch.ones_like(truth),
        "ground_plane": _ground_plane(drives),
        "mean_map": _mean_map(others).expand_as(truth),
    }
    return {name: _depth_row(row, truth, valid, moving) for name, row in rows.items()}


def _depth_row(depth: Tensor, truth: Tensor, valid: Tensor, moving: Tensor) -> dict[str, float]:
    row = motion.measure_depth(depth, truth, valid)
    for name, region in (("static", ~moving), ("moving", moving)):
        here = valid & region & (truth <= motion.CAP)
        row[f"{name}_abs_rel"] = (
            motion.measure_depth(depth, truth, valid, region)["abs_rel"] if here.any() else math.nan
        )
    return row


def _ground_plane(drives: streets.Sequences) -> Tensor:
    """Depth of a level road below the camera, as far as the tables go above the horizon."""
    rows = motion.pixel_grid(drives.depth[:, _TARGET])[:, 1:]
    K = drives.K.float()[:, :, :, None, None]
    below = (rows - K[:, 1:2, 2]) / K[:, 1:2, 1]
    return _CAMERA_HEIGHT / below.clamp(min=_CAMERA_HEIGHT / motion.CAP)


def _mean_map(others: streets.Sequences) -> Tensor:
    """1 / mean disparity, (1, 1, H, W); where all streets show the sky, as far as the tables go."""
    mean = (1 / others.depth[:, _TARGET]).mean(dim=0, keepdim=True)
    return 1 / mean.clamp(min=1 / motion.CAP)


def _flow_table(
    found: dict[str, Tensor], drives: streets.Sequences, occluded: Tensor, valid: Tensor
) -> dict[str, dict[str, float]]:
    sources = (_TARGET - 1, _TARGET + 1)
    truth = torch.cat([drives.full_flow(_TARGET, s) for s in sources])
    moving = drives.moving(_TARGET).repeat(2, 1, 1, 1)
    rows = {
        "none": torch.zeros_like(truth),
        "rigid": _by_direction(found["rigid"]),
        "final": _by_direction(found["final"]),
        "exact_rigid": torch.cat([drives.rigid_flow(_TARGET, s) for s in sources]),
    }
    return {
        name: motion.measure_flow(row, truth, moving, occluded, valid) for name, row in rows.items()
    }


def _by_direction(maps: Tensor) -> Tensor:
    """(N, 2, C, H, W) -> (2 N, C, H, W): all to the source before, then all to the one after."""
    return maps.transpose(0, 1).flatten(0, 1)


def _pose_table(poses: Tensor, drives: streets.Sequences) -> dict[str, dict[str, float]]:
    sources = (_TARGET - 1, _TARGET + 1)
    truth = torch.stack([drives.pose(_TARGET, s) for s in sources], dim=1)
    ahead = torch.eye(4).repeat(len(drives), 2, 1, 1)
    ahead[:, 0, 2, 3], ahead[:, 1, 2, 3] = 1.0, -1.0
    rows = {"geonet": poses, "straight_ahead": ahead}
    places = motion.snippet_positions(truth.double())
    return {
        name: {
            "rotation_error": motion.rotation_error(row.double(), truth.double()).mean().item(),
            "ate": motion.snippet_error(motion.snippet_positions(row.double()), places)
            .mean()
            .item(),
        }
        for name, row in rows.items()
    }


def _hidden_by_exact_flow(drives: streets.Sequences) -> Tensor:
    pairs = [(_TARGET, s) for s in (_TARGET - 1, _TARGET + 1)]
    flows = [(drives.full_flow(t, s), drives.full_flow(s, t)) for t, s in pairs]
    return torch.cat([~motion.consistency_mask(*both) for both in flows])


def _mask_row(hidden: Tensor, truth: Tensor, valid: Tensor) -> dict[str, float]:
    precision, recall = motion.precision_recall(hidden, truth, valid)
    share = (truth & valid).sum().item() / max(1, valid.sum().item())
    return {"precision": precision, "recall": recall, "share": share}


def _without_nan(table: dict[str, Any]) -> dict[str, Any]:
    """None stands for what could not be measured: JSON has no NaN."""
    return {
        name: _without_nan(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and math.isnan(value)
        else value
        for name, value in table.items()
    }
