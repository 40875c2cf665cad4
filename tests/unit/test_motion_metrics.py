"""Depth, flow and trajectories against the truth: by hand, in numpy, against kornia and evo."""

import doctest
import math

import kornia.metrics
import numpy as np
import pytest
import torch
from evo.core.metrics import APE, PoseRelation, StatisticsType
from evo.core.trajectory import PosePath3D
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

from lessons_utils import motion
from lessons_utils.motion import metrics


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_masks(*shares, count=5, seed=0):
    generator = seeded(seed)
    return [torch.rand(count, 1, 9, 12, generator=generator) < share for share in shares]


def maps(*values):
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def test_the_docstrings_examples_hold():
    assert doctest.testmod(metrics).failed == 0


# ---- Depth ---------------------------------------------------------------------------------------


@pytest.fixture
def measured():
    """Prediction in a unit of its own for each picture, truth from 1 to 100 m, and a mask."""
    generator = seeded(4)
    truth = 1 + 99 * torch.rand(5, 1, 9, 12, generator=generator)
    units = torch.tensor([0.01, 0.1, 1.0, 5.0, 30.0]).view(5, 1, 1, 1)
    prediction = units * truth * (0.3 * torch.randn(truth.shape, generator=generator)).exp()
    (valid,) = random_masks(0.7)
    valid[3] = False
    return prediction, torch.where(valid, truth, torch.nan), valid


def in_numpy(prediction, truth, valid, region, cap):
    """The tables' protocol again, one picture after the other."""
    rows = []
    for y, t, v, r in zip(
        *(part.numpy() for part in (prediction, truth, valid, region)), strict=True
    ):
        v = v & (np.nan_to_num(t, nan=np.inf) <= cap)
        if not (v & r).any():
            continue
        y = y.astype(float) * np.median(t[v].astype(float)) / np.median(y[v].astype(float))
        y, t = np.minimum(y[v & r], cap), t[v & r].astype(float)
        worse = np.maximum(y, t) / np.minimum(y, t)
        row = [np.mean(np.abs(y / t - 1)), np.mean((y - t) ** 2 / t), np.mean((y - t) ** 2) ** 0.5]
        row += [np.mean(np.log(y / t) ** 2) ** 0.5]
        rows.append(row + [np.mean(worse < 1.25**k) for k in (1, 2, 3)])
    return dict(zip(motion.DEPTH_METRICS, np.mean(rows, axis=0), strict=True))


@pytest.mark.parametrize("cap", [80.0, 1000.0])
def test_depth_metrics_equal_numpys(measured, cap):
    everywhere, some = random_masks(2.0, 0.2, seed=1)
    for region in (everywhere, some):
        expected = in_numpy(*measured, region, cap)
        assert motion.measure_depth(*measured, region, cap) == pytest.approx(expected, rel=1e-9)
    whole = motion.measure_depth(*measured, cap=cap)
    assert whole == motion.measure_depth(*measured, everywhere, cap)
    assert tuple(whole) == motion.DEPTH_METRICS


def test_the_unit_of_depth_does_not_count(measured):
    prediction, truth, valid = measured
    units = torch.tensor([3.0, 0.5, 7.0, 1.0, 0.01]).view(5, 1, 1, 1)
    other = motion.measure_depth(units * prediction, truth, valid)
    assert other == pytest.approx(motion.measure_depth(*measured), rel=1e-5)
    scales = motion.median_scale(prediction, truth, valid)
    assert scales.dtype == torch.float64 and scales.shape == (5,)
    assert torch.isnan(scales[3]) and torch.isfinite(scales[[0, 1, 2, 4]]).all()


def test_depth_metrics_on_four_numbers_by_hand():
    """Medians 2 (of 1, 2, 2, 8) and 4: scaled, the prediction is 2, 4, 4, 16."""
    found = motion.measure_depth(maps(1, 2, 2, 8), maps(2, 2, 6, 32), maps(1, 1, 1, 1).bool())
    ln2, ln15 = math.log(2), math.log(1.5)
    expected = {
        "abs_rel": (0 + 1 + 1 / 3 + 1 / 2) / 4,
        "sq_rel": (0 + 4 / 2 + 4 / 6 + 256 / 32) / 4,
        "rmse": math.sqrt((0 + 4 + 4 + 256) / 4),
        "rmse_log": math.sqrt((0 + ln2**2 + ln15**2 + ln2**2) / 4),
        "delta1": 1 / 4,
        "delta2": 2 / 4,
        "delta3": 2 / 4,
    }
    assert found == pytest.approx(expected)


def test_a_regions_scale_comes_from_the_whole_picture():
    """All but a car is right: measured by itself with a scale of its own, the car would be, too."""
    truth = maps(10, 20, 30, 5, 5)
    car = maps(0, 0, 0, 1, 1).bool()
    prediction = torch.where(car, 3 * truth, truth)
    everywhere = torch.ones_like(car)
    with_all = motion.measure_depth(prediction, truth, everywhere, car)["abs_rel"]
    assert with_all == pytest.approx(15 * 10 / 15 / 5 - 1)  # medians 10 of the truth, 15 of it
    assert motion.measure_depth(prediction, truth, car)["abs_rel"] == pytest.approx(0, abs=1e-7)


def test_depth_that_cannot_be_measured_is_refused():
    ones = maps(1, 1)
    with pytest.raises(ValueError, match="prediction has a depth of 0"):
        motion.measure_depth(0 * ones, ones, ones.bool())
    with pytest.raises(ValueError, match="truth has a depth of -1"):
        motion.measure_depth(ones, -ones, ones.bool())
    for truth, valid in ((ones, ~ones.bool()), (100 * ones, ones.bool())):
        with pytest.raises(ValueError, match="No pixel is valid"):
            motion.measure_depth(ones, truth, valid)
    with pytest.raises(ValueError, match="one shape"):
        motion.measure_depth(ones, maps(1, 1, 1), ones.bool())


# ---- Flow ----------------------------------------------------------------------------------------


@pytest.fixture
def flows():
    generator = seeded(7)
    truth = 30 * torch.randn(5, 2, 9, 12, generator=generator)
    return truth + 3 * torch.randn(truth.shape, generator=generator), truth


def test_the_endpoint_error_is_kornias(flows):
    channels_last = [flow.permute(0, 2, 3, 1) for flow in flows]
    theirs = kornia.metrics.average_endpoint_error(*channels_last, reduction="none")
    assert (motion.endpoint_error(*flows)[:, 0] - theirs).abs().max() < 1e-5


def test_regions_are_parts_of_all(flows):
    flow, truth = flows
    moving, occluded, valid = random_masks(0.3, 0.2, 0.8)
    found = motion.measure_flow(flow, torch.where(valid, truth, torch.nan), moving, occluded, valid)
    assert list(found) == [
        f"{region}_{name}"
        for region in ("all", "static", "moving", "occluded")
        for name in ("epe", "f1")
    ]
    error = (flow - truth).square().sum(1, keepdim=True).sqrt()
    long = truth.square().sum(1, keepdim=True).sqrt()
    outlier = (error > 3) & (error / long > 0.05)
    seen_static = valid & ~moving & ~occluded
    for name, region in (("all", valid), ("static", seen_static), ("occluded", valid & occluded)):
        assert found[f"{name}_epe"] == pytest.approx(error[region].mean().item(), rel=1e-5)
        assert found[f"{name}_f1"] == pytest.approx(outlier[region].float().mean().item())
    counts = {
        "static": seen_static.sum().item(),
        "moving": (valid & moving & ~occluded).sum().item(),
        "occluded": (valid & occluded).sum().item(),
    }
    for name in ("epe", "f1"):
        weighted = sum(count * found[f"{part}_{name}"] for part, count in counts.items())
        assert found[f"all_{name}"] == pytest.approx(weighted / valid.sum().item())


@pytest.mark.parametrize(
    ("length", "off", "outlier"),
    [(0, 2.9, 0), (0, 3.1, 1), (50, 2.9, 0), (50, 3.1, 1), (100, 4.9, 0), (100, 5.1, 1)],
)
def test_an_outlier_is_off_by_3_pixels_and_by_5_percent(length, off, outlier):
    truth = torch.tensor([0.0, length]).view(1, 2, 1, 1)
    yes, no = torch.ones(1, 1, 1, 1).bool(), torch.zeros(1, 1, 1, 1).bool()
    flow = truth + torch.tensor([off, 0.0]).view(1, 2, 1, 1)
    found = motion.measure_flow(flow, truth, yes, no, yes)
    assert found["moving_f1"] == found["all_f1"] == outlier
    assert found["moving_epe"] == pytest.approx(off)
    assert math.isnan(found["static_epe"]) and math.isnan(found["occluded_f1"])


def test_precision_and_recall_by_hand():
    found, truth = maps(1, 1, 1, 0, 0, 1).bool(), maps(1, 0, 0, 1, 0, 1).bool()
    valid = maps(1, 1, 1, 1, 1, 0).bool()
    assert motion.precision_recall(found, truth, valid) == (1 / 3, 1 / 2)
    precision, recall = motion.precision_recall(found & False, truth, valid)
    assert math.isnan(precision) and recall == 0


# ---- Motion of the camera ------------------------------------------------------------------------


def drive(frames=5, seed=0, batch=()):
    """Camera to world of frames along a bent way, (..., N, 4, 4) float64."""
    steps = 0.2 * torch.randn(*batch, frames, 6, generator=seeded(seed), dtype=torch.float64)
    steps[..., 2] += 1.0
    poses = [motion.pose_from_axis_angle(steps[..., 0, 3:], steps[..., 0, :3])]
    for i in range(1, frames):
        step = motion.pose_from_axis_angle(steps[..., i, 3:], steps[..., i, :3])
        poses.append(poses[-1] @ step)
    return torch.stack(poses, dim=-3)


def positions_of(poses):
    return poses[..., :3, 3]


def test_rotation_errors_are_angles_in_degrees():
    axis = torch.tensor([1.0, 2, -2]).double() / 3
    for degrees in (0.0, 1e-3, 0.5, 90.0, 179.9):
        turn = torch.from_numpy(
            Rotation.from_rotvec(degrees * axis.numpy(), degrees=True).as_matrix()
        )
        T = drive(1)[0]
        turned = T.clone()
        turned[:3, :3] = T[:3, :3] @ turn
        assert motion.rotation_error(turned, T).item() == pytest.approx(degrees, abs=1e-9)
        assert motion.rotation_error(T, turned).item() == pytest.approx(degrees, abs=1e-9)
    small = motion.pose_from_vector(torch.tensor([[0.0, 0, 0, 0, math.radians(0.01), 0]]))
    found = motion.rotation_error(small, torch.eye(4)[None]).item()
    assert found == pytest.approx(0.01, rel=1e-3)  # float32: an arc cosine would say 0 or 0.02


def test_positions_of_a_snippet_are_seen_from_its_first_camera():
    poses = drive(5, batch=(3,))
    T = motion.relative_pose(poses[:, 2:3], poses[:, [0, 1, 3, 4]])
    found = motion.snippet_positions(T)
    from_first = torch.linalg.inv(poses[:, :1]) @ poses
    assert found.shape == (3, 5, 3)
    assert (found - positions_of(from_first)).abs().max() < 1e-12
    assert found[:, 0].abs().max() < 1e-12
    with pytest.raises(ValueError, match="S = 3"):
        motion.snippet_positions(T[:, :3])


def as_path(positions):
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, 3] = positions
    return PosePath3D(poses_se3=list(poses))


def evos_rmse(path, truth):
    ape = APE(PoseRelation.translation_part)
    ape.process_data((as_path(truth), path))
    return ape.get_statistic(StatisticsType.rmse)


def noisy(positions, seed=1, size=0.1):
    noise = torch.randn(positions.shape, generator=seeded(seed), dtype=torch.float64)
    return 0.03 * (positions + size * noise)


def test_the_error_of_a_snippet_is_evos_at_the_best_scale():
    """Evo's root mean square, at the scale that a search finds; SfMLearner divides by N."""
    poses = drive(5, batch=(4,))
    truth = positions_of(torch.linalg.inv(poses[:, :1]) @ poses)
    predicted = noisy(truth)
    predicted = predicted - predicted[:, :1]
    found = motion.snippet_error(predicted, truth)
    for ours, p, t in zip(found, predicted.numpy(), truth.numpy(), strict=True):

        def at_scale(scale, p=p, t=t):
            path = as_path(p)
            path.scale(scale)
            return evos_rmse(path, t)

        best = minimize_scalar(at_scale, bracket=(10, 50), tol=1e-10)
        assert abs(best.fun * math.sqrt(5) / 5 - ours.item()) < 1e-5


def test_the_error_of_a_snippet_by_hand():
    """1, 2 predicted for 2, 2: scale 6/5, off by 0.8 and 0.4, over three frames."""
    truth = torch.tensor([[0.0, 0, 0], [0, 0, 2], [0, 0, 2]])
    predicted = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 0, 2]])
    expected = math.sqrt(0.8**2 + 0.4**2) / 3
    assert motion.snippet_error(predicted, truth).item() == pytest.approx(expected)
    elsewhere = motion.snippet_error(7 * predicted + 5, truth - 3)
    assert elsewhere.item() == pytest.approx(expected, rel=1e-5)
    still = motion.snippet_error(0 * predicted, truth)
    assert still.item() == pytest.approx(math.sqrt(8) / 3)


def turned_and_shifted(positions):
    T = motion.pose_from_vector(torch.tensor([3.0, -2.0, 1.0, 0.7, -1.1, 2.0]).double())
    return positions @ T[:3, :3].mT + T[:3, 3]


def test_aligned_trajectories_are_evos():
    truth = positions_of(drive(60))
    predicted = turned_and_shifted(noisy(truth, size=0.5))
    path = as_path(predicted.numpy())
    path.align(as_path(truth.numpy()), correct_scale=True)
    ours = motion.align(predicted, truth)
    assert abs(ours.numpy() - path.positions_xyz).max() < 1e-5
    assert abs(motion.trajectory_error(predicted, truth) - evos_rmse(path, truth.numpy())) < 1e-5
    assert motion.trajectory_error(turned_and_shifted(3 * truth), truth) < 1e-9


def test_a_mirrored_trajectory_does_not_fit():
    truth = positions_of(drive(30))
    mirrored = truth * torch.tensor([-1.0, 1, 1])
    path = as_path(mirrored.numpy())
    path.align(as_path(truth.numpy()), correct_scale=True)
    found = motion.trajectory_error(mirrored, truth)
    assert abs(found - evos_rmse(path, truth.numpy())) < 1e-5
    assert found > 0.05


def test_a_straight_way_and_a_camera_that_stands_still():
    """Where evo gives up: any turn about a straight way fits alike."""
    straight = torch.arange(5.0)[:, None] * torch.tensor([0.0, 0, 2])
    sideways = torch.arange(5.0)[:, None] * torch.tensor([0.3, 0, 0])
    assert motion.trajectory_error(sideways, straight) < 1e-5
    expected = (4 * torch.tensor([4.0, 1, 0, 1, 4])).mean().sqrt().item()
    assert motion.trajectory_error(0 * straight, straight) == pytest.approx(expected)
