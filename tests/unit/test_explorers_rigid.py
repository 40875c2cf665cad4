import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import motion
from lessons_utils.explorers import epipolar, rigid
from lessons_utils.scenes import streets

STILL = {"right": 0.0, "down": 0.0, "ahead": 0.0, "yaw": 0.0, "pitch": 0.0, "roll": 0.0}
DEPTHS = torch.logspace(math.log10(2.5), math.log10(80), 12)


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None]


@pytest.fixture(scope="module")
def pair():
    """The lesson's frames, at half the size."""
    drive = streets.sample_sequence(streets.seeds("test", 18)[17], 3, height=64, width=208)
    images = [tensor(drive.rgb[t].transpose(2, 0, 1)) for t in (1, 2)]
    T, K = tensor(drive.pose(1, 2)), tensor(drive.K)
    return epipolar.Pair(*images, tensor(drive.depth[1:2]), T, K)


@pytest.fixture(scope="module")
def errors(pair):
    maps = []
    for depth in DEPTHS.tolist():
        flow = motion.rigid_flow(torch.full_like(pair.depth, depth), pair.T, pair.K)
        warped, inside = motion.inverse_warp(pair.source, flow)
        maps.append(motion.photometric_error(pair.target, warped).where(inside, torch.nan))
    return torch.cat(maps)


def draw(explorer, size, **values):
    figure = Figure(figsize=size, dpi=80, layout="constrained")
    sentence = explorer.draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


# ---- Moving the camera ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def camera(pair):
    return rigid.MoveTheCamera(pair.target, pair.depth, pair.K)


def test_the_sentence_tells_the_length_of_the_flow(camera, pair):
    figure, sentence = draw(camera, (9, 4.6), **STILL | {"ahead": 0.6}, world=1.0)
    x, y = np.meshgrid(np.arange(208), np.arange(64))
    depth, K = np.minimum(pair.depth[0, 0].numpy().astype(float), 1e9), pair.K[0].numpy()
    from_middle = np.hypot(x - K[0, 2], y - K[1, 2])
    length = from_middle * 0.6 / (depth - 0.6)  # Z becomes Z - 0.6
    low, median, high = np.quantile(length, [0.05, 0.5, 0.95])
    assert f"The flow is {median:.1f} pixels long" in sentence
    assert f"{low:.1f} to {high:.1f} for nine" in sentence
    assert "by +0.0 m, +0.0 m, +0.6 m;" in sentence
    assert len(figure.axes) == 3


def test_sliders_mean_what_they_say(camera):
    ahead = camera.pose((0.0, 0.0, 1.0), (0.0, 0.0, 0.0))
    assert ahead[0, :3, 3].tolist() == [0, 0, -1]  # what is seen comes nearer
    aside = camera.flow(camera.pose((0.3, 0.0, 0.0), (0.0, 0.0, 0.0)), 1.0)
    assert (aside[:, 0] <= 1e-4).all() and aside[:, 1].abs().max() < 1e-3
    to_the_right = camera.flow(camera.pose((0.0, 0.0, 0.0), (0.0, 2.0, 0.0)), 1.0)
    assert (to_the_right[:, 0] < 0).all()
    upwards = camera.flow(camera.pose((0.0, 0.0, 0.0), (2.0, 0.0, 0.0)), 1.0)
    assert (upwards[:, 1] > 0).all()
    clockwise = camera.flow(camera.pose((0.0, 0.0, 0.0), (0.0, 0.0, 5.0)), 1.0)
    assert clockwise[0, 0, 0, 104] < 0 < clockwise[0, 0, -1, 104]  # what is seen turns back


def test_a_larger_world_and_a_longer_way_look_the_same(camera):
    turn = (1.0, -2.0, 3.0)
    here = camera.flow(camera.pose((0.1, 0.0, 0.4), turn), 1.0)
    there = camera.flow(camera.pose((0.4, 0.0, 1.6), turn), 4.0)
    torch.testing.assert_close(here, there, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("world", [0.25, 4.0])
@pytest.mark.parametrize("name", STILL)
def test_every_extreme_of_the_camera_draws(camera, name, world):
    most = {"right": 1.0, "down": 1.0, "ahead": 2.0, "roll": 8.0}.get(name, 4.0)
    for sign in (-1, 1):
        _, sentence = draw(camera, (9, 4.6), **STILL | {name: sign * most}, world=world)
        assert f"{sign * most:+.1f}" in sentence and "nan" not in sentence


def test_what_is_behind_the_camera_has_no_length(camera):
    values = STILL | {"ahead": 2.0}
    figure, sentence = draw(camera, (8, 4.6), **values, world=0.25)
    longest = float(sentence.split(" for nine")[0].split()[-1])
    assert longest < -motion.BEHIND / 2
    missing = np.ma.getmaskarray(figure.axes[1].images[0].get_array())
    behind = (0.25 * camera.depth - 2 < motion.NEAR)[0, 0].numpy()
    assert behind.any() and missing[behind].all()
    assert (missing & ~behind).mean() < 0.03  # a row of the road, right beside the camera


def test_no_motion_is_no_flow(camera):
    _, sentence = draw(camera, (9, 4.6), **STILL, world=1.0)
    assert "The flow is 0.0 pixels long in the median, 0.0 to 0.0" in sentence


# ---- Along the line ------------------------------------------------------------------------------

POINTS = {"tail light": (42, 141), "corner": (1, 206), "oncoming car": (43, 52)}


@pytest.fixture(scope="module")
def search(pair, errors):
    return epipolar.SearchAlongTheLine(pair, DEPTHS, errors, POINTS)


def test_the_line_goes_where_rigid_flow_goes(pair):
    row, column = POINTS["tail light"]
    line = pair.line(row, column, DEPTHS)
    for depth, place in zip(DEPTHS.tolist(), line, strict=True):
        flow = motion.rigid_flow(torch.full_like(pair.depth, depth), pair.T, pair.K)
        expected = flow[0, :, row, column] + torch.tensor([column, row])
        torch.testing.assert_close(place, expected, rtol=0, atol=1e-3)
    way = (line[1:] - line[:1]).double()
    across = way[:, 0] * way[-1, 1] - way[:, 1] * way[-1, 0]
    assert (across / way[-1].norm()).abs().max() < 1e-3  # it is straight


@pytest.mark.parametrize("window", [1, 5, 11])
def test_the_curve_is_a_mean_over_the_window(search, errors, window):
    row, column = POINTS["tail light"]
    half = window // 2
    rows, columns = (slice(at - half, at + half + 1) for at in (row, column))
    expected = errors[:, 0, rows, columns].numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(search.curve("tail light", window).numpy(), expected, rtol=1e-5)


def test_the_sentence_tells_error_minimum_and_truth(search, pair):
    figure, sentence = draw(search, (10.5, 3.9), point="tail light", window=5, candidate=6)
    curve = search.curve("tail light", 5)
    best = int(curve.argmin())
    assert f"a depth of {DEPTHS[6]:.1f} m has an error of {curve[6]:.3f}" in sentence
    assert f"The lowest error, {curve[best]:.3f}, lies at {DEPTHS[best]:.1f} m" in sentence
    truth = pair.depth[0, 0, 42, 141].item()
    assert f"the truth is {truth:.1f} m" in sentence
    assert abs(DEPTHS[best] / truth - 1) < 0.35  # twelve candidates, a factor of 1.37 apart
    assert len(figure.axes) == 2


@pytest.mark.parametrize("window", [1, 11])
@pytest.mark.parametrize("candidate", [0, len(DEPTHS) - 1])
@pytest.mark.parametrize("point", POINTS)
def test_every_extreme_of_the_search_draws(search, point, window, candidate):
    _, sentence = draw(search, (10.5, 3.9), point=point, window=window, candidate=candidate)
    outside = bool(search.curve(point, window)[candidate].isnan())
    assert ("lies outside the source" in sentence) == outside


def test_the_oncoming_car_seems_nearer_than_it_is(search, pair):
    curve = search.curve("oncoming car", 5)
    row, column = POINTS["oncoming car"]
    assert DEPTHS[curve.nan_to_num(torch.inf).argmin()] < 0.6 * pair.depth[0, 0, row, column]
