import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import datasets
from lessons_utils.explorers import stereo

POINTS = {"letters": (205, 405), "door": (60, 232), "left margin": (420, 20), "corner": (2, 3)}


@pytest.fixture(scope="module")
def explorer():
    return stereo.MatchAPatch(datasets.stereo_motorcycle(), POINTS)


def draw(explorer, **values):
    figure = Figure(figsize=(10, 3.4), dpi=80, layout="constrained")
    sentence = explorer.draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


def cost(explorer, row, column, window, disparity):
    """The same number from slices, in NumPy."""
    half = window // 2
    rows = slice(row - half, row + half + 1)
    left = explorer.pair.left[0, :, rows, column - half : column + half + 1].numpy()
    start = column - disparity - half
    right = explorer.pair.right[0, :, rows, start : start + window].numpy()
    return float(np.mean((255 * left - 255 * right) ** 2))


def test_the_default_state_says_cost_and_depth(explorer):
    figure, sentence = draw(explorer, point="letters", window=9, disparity=30)
    assert f"costs {cost(explorer, 205, 405, 9, 30):.0f} levels²" in sentence
    assert f"means {994.978 * 0.193001 / (30 + 31.086):.2f} m" in sentence
    assert "lies at 53 pixels, 2.28 m; the truth is 53.0 pixels, 2.28 m" in sentence
    assert len(figure.axes) == 2


@pytest.mark.parametrize("window", [3, 21])
@pytest.mark.parametrize("disparity", [0, stereo.REACH - 1])
@pytest.mark.parametrize("point", POINTS)
def test_every_extreme_draws(explorer, point, window, disparity):
    _, sentence = draw(explorer, point=point, window=window, disparity=disparity)
    row, column = POINTS[point]
    leaves = column - disparity - window // 2 < 0 or row < window // 2
    assert ("leaves the right picture" in sentence) == leaves
    if not leaves:
        assert f"costs {cost(explorer, row, column, window, disparity):.0f} " in sentence


def test_costs_are_unknown_where_the_patch_leaves_the_picture(explorer):
    costs = explorer.costs("left margin", 9)
    assert costs[:17].isfinite().all()  # column 20, half a window of 4: shifts up to 16
    assert costs[17:].isnan().all()


def test_a_patch_of_the_pair_is_the_pair_s():
    image = torch.arange(30.0).view(1, 1, 5, 6)
    assert torch.equal(stereo.patch(image, 2, 3, 3), image[..., 1:4, 2:5])
    corner = stereo.patch(image, 0, 0, 3)
    assert corner[0, 0, 0].isnan().all() and torch.equal(corner[..., 1:, 1:], image[..., :2, :2])


def test_the_lesson_s_answers_hold(explorer):
    pair = explorer.pair
    explorer = stereo.MatchAPatch(pair, {"slats": (150, 262), "shelf": (100, 620)})
    slats = explorer.costs("slats", 9)
    valleys = [d for d in range(1, 40) if slats[d] < slats[d - 1] and slats[d] < slats[d + 1]]
    assert {7, 19} <= set(valleys) and slats[7] < 2 * slats[19]
    wide = explorer.costs("slats", 21)
    assert int(wide.argmin()) == 19 and wide[7] > 2 * wide[19]
    shelf = explorer.costs("shelf", 9)
    assert (shelf[18:30] < 0.1 * shelf[5]).all()
