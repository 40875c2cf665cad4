import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import motion
from lessons_utils.explorers import static_scene
from lessons_utils.explorers.static_scene import CAR, EVERYTHING, RebuildAFrame
from lessons_utils.scenes import streets

TRUTH, FLAT = "the true depth", "10 m everywhere"


@pytest.fixture(scope="module")
def scene():
    drive = streets.sample_sequence(2_000_001, frames=3, height=32, width=96)  # test drive 1
    frames = torch.from_numpy(drive.rgb).permute(0, 3, 1, 2)[None]
    T = torch.stack([torch.from_numpy(drive.pose(1, s)) for s in (0, 2)])[None].float()
    truth = torch.from_numpy(drive.depth[1])[None, None]
    car = torch.from_numpy(drive.movers[1] == 1)[None, None]
    K = torch.from_numpy(drive.K)[None].float()
    return frames, T, K, {TRUTH: truth, FLAT: torch.full_like(truth, 10.0)}, car


@pytest.fixture(scope="module")
def explorer(scene):
    return RebuildAFrame(*scene)


def draw(explorer, **values):
    figure = Figure(figsize=(11, 3.7), dpi=80, layout="constrained")
    state = {"start": TRUTH, "part": EVERYTHING, "depth": 1.0, "translation": 1.0} | values
    sentence = explorer.draw(figure, **state)
    figure.canvas.draw()
    return figure, sentence


def test_the_default_state_says_the_error(explorer, scene):
    frames, T, K, depths, _ = scene
    errors = []
    for source, pose in zip((frames[:, 0], frames[:, 2]), T.unbind(1), strict=True):
        flow = motion.rigid_flow(depths[TRUTH], pose, K)
        picture, inside = motion.inverse_warp(source, flow)
        error = motion.photometric_error(frames[:, 1], picture)
        errors.append(torch.where(motion.erode(inside), error, torch.inf))
    least = torch.minimum(*errors)
    figure, sentence = draw(explorer)
    assert f"Photometric error {least[least.isfinite()].mean():.3f};" in sentence
    assert "where depth / motion is 1.00." in sentence
    assert (
        f"Smoothness {motion.smoothness_loss(1 / depths[TRUTH], frames[:, 1]):.4f} of" in sentence
    )
    assert len(figure.axes) == 2


@pytest.mark.parametrize("start", [TRUTH, FLAT])
@pytest.mark.parametrize("part", [EVERYTHING, CAR])
@pytest.mark.parametrize(("depth", "translation"), [(0.25, 4.0), (32.0, 0.25), (32.0, 4.0)])
def test_every_extreme_draws(explorer, start, part, depth, translation):
    _, sentence = draw(explorer, start=start, part=part, depth=depth, translation=translation)
    assert sentence.startswith(f"{start}, {part}: depth times {depth:.2f}, ")
    assert "nan" not in sentence


@pytest.mark.parametrize("part", [EVERYTHING, CAR])
def test_the_dot_lies_on_the_curve_for_any_motion(explorer, part):
    for depth, translation in ((1.0, 1.0), (4.0, 1.0), (4.0, 4.0), (8.0, 2.0)):
        figure, _ = draw(explorer, part=part, depth=depth, translation=translation)
        curve, dot = figure.axes[1].lines[:2]
        x, y = dot.get_xdata()[0], dot.get_ydata()[0]
        place = list(curve.get_xdata()).index(x)
        assert curve.get_ydata()[place] == pytest.approx(y, abs=1e-4)


def test_what_the_world_weighs_costs_only_smoothness(explorer):
    raw, normalised = explorer.smoothness(explorer.scaled(TRUTH, EVERYTHING, 1.0))
    large = explorer.smoothness(explorer.scaled(TRUTH, EVERYTHING, 4.0))
    assert large == pytest.approx((raw / 4, normalised), rel=1e-4)


def test_the_car_that_drives_along_is_asked_to_be_far(explorer):
    curve = explorer.curves[TRUTH][CAR]
    best = static_scene._EXPONENTS[curve.index(min(curve))].item()
    assert best >= 2  # four times as far, or more


def test_only_the_car_is_moved(explorer, scene):
    changed = explorer.scaled(FLAT, CAR, 2.0) != explorer.depths[FLAT]
    assert torch.equal(changed, scene[-1])


def test_the_figures_draw(scene):
    frames, _, _, depths, car = scene
    truth = depths[TRUTH]
    both = truth.expand(2, -1, -1, -1)
    figure = static_scene.depth_rows(frames[0, :2], {"a": both, "b": both}, ["x", "y"], car[[0, 0]])
    assert [axes.get_title() for axes in figure.axes[:3]] == ["picture", "a", "b"]
    error = torch.full_like(truth, 0.1)
    error[..., :5] = torch.inf
    static_scene.errors_figure({"one": error, "two": error}, columns=2)
    static_scene.training_figure([0.2] * 30, [(0, 0.5), (30, 0.4)], {"constant": 0.6})
    static_scene.spread_figure({"a": [(0, 0.1), (20, 0.5)], "b": [(0, 0.1), (20, 0.0)]})
    static_scene.scales_figure(torch.tensor([1.0, 1.2, 0.9]))
    figure = static_scene.angles_figure(
        {"turn": (torch.tensor([1.0, 2.0]), torch.tensor([0.5, -4.0]))}
    )
    assert figure.axes[0].get_xlim()[1] == pytest.approx(4.4)  # both axes hold all angles
    figure = static_scene.cars_figure([0.9, -1.0], [4.0, 1.1], [300, 800])
    assert len(figure.axes[0].collections[0].get_offsets()) == 2
