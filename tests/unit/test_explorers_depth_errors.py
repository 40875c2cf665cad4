import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import depth
from lessons_utils.explorers import depth_errors
from lessons_utils.explorers.depth_errors import SpoilDepthMaps


@pytest.fixture(scope="module")
def explorer():
    generator = torch.Generator().manual_seed(0)
    truth = 1 + 3 * torch.rand(3, 1, 12, 16, generator=generator)
    valid = torch.rand(3, 1, 12, 16, generator=generator) < 0.9
    return SpoilDepthMaps(truth, valid, truth.mean(0, keepdim=True), shown=1)


def draw(explorer, **values):
    figure = Figure(figsize=(9, 3.4), dpi=80, layout="constrained")
    sentence = explorer.draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


def test_the_default_state_says_the_metrics(explorer):
    figure, sentence = draw(explorer, start="the truth", factor=1.4, shift=0.0, blur=1)
    assert "times 1.40" in sentence and "over 3 rooms" in sentence
    assert "δ < 1.25 0.000" in sentence and "abs rel 0.400" in sentence
    assert sentence.endswith("scale-inv. 0.000.")
    assert len(figure.axes) == 2  # the map with its colour bar, the errors
    low, high = explorer.limits
    marks = [text.get_text() for text in figure.axes[0].texts]
    assert marks == [*(str(metres) for metres in range(10) if low <= metres <= high), "metres"]


@pytest.mark.parametrize("start", ["the truth", "the mean picture"])
@pytest.mark.parametrize(("factor", "shift"), [(0.5, -0.5), (2.0, 1.0)])
@pytest.mark.parametrize("blur", [1, 15])
def test_every_extreme_draws_and_its_numbers_are_right(explorer, start, factor, shift, blur):
    _, sentence = draw(explorer, start=start, factor=factor, shift=shift, blur=blur)
    prediction = explorer.prediction(start, factor, shift, blur)
    error = (prediction - explorer.truth)[explorer.valid]
    expected = (error.abs() / explorer.truth[explorer.valid]).mean()
    assert f"abs rel {expected:.3f}, " in sentence
    assert f"RMSE, m {error.square().mean().sqrt():.3f}, " in sentence


def test_blur_is_the_mean_over_a_square(explorer):
    blurred = explorer.prediction("the truth", 1.0, 0.0, 3)
    expected = explorer.truth[..., 4:7, 4:7].mean(dim=(-2, -1))
    assert torch.allclose(blurred[..., 5, 5], expected)
    assert torch.allclose(blurred[..., 0, 0], explorer.truth[..., :2, :2].mean(dim=(-2, -1)))


def test_the_mean_picture_as_it_is_reaches_the_orange_line(explorer):
    figure, _ = draw(explorer, start="the mean picture", factor=1.0, shift=0.0, blur=1)
    bars = figure.axes[1].collections[0].get_segments()
    assert [bar[1][0] for bar in bars] == pytest.approx([1.0] * 8)


def test_a_baseline_without_error_in_one_metric_draws():
    truth = torch.full((1, 1, 4, 4), 2.0)
    truth[..., 0] = 2.2
    valid = torch.ones_like(truth, dtype=torch.bool)
    flat = SpoilDepthMaps(truth, valid, torch.full((1, 1, 4, 4), 2.0), shown=0)
    draw(flat, start="the truth", factor=2.0, shift=0.0, blur=1)


def test_layers_part_the_picture():
    image = torch.rand(1, 3, 4, 4) * 0.5
    metres = torch.tensor([1.0, 2.0, 3.0, 9.0]).expand(1, 1, 4, 4)
    cut = depth_errors.layers(image, metres, (2.0, 4.0))
    assert list(cut) == ["0 to 2 m", "2 to 4 m", "more than 4 m"]
    kept = torch.stack([(part == image).all(1) for part in cut.values()])
    assert (kept.sum(0) == 1).all()  # each pixel belongs to one layer


def test_the_table_shows_every_metric():
    truth = torch.full((1, 1, 4, 4), 2.0)
    everywhere = torch.ones_like(truth, dtype=torch.bool)
    rows = {
        name: depth.measure(factor * truth, truth, everywhere)
        for name, factor in {"a": 1.0, "b": 1.3}.items()
    }
    texts = [text.get_text() for text in depth_errors.table_figure(rows).axes[0].texts]
    assert texts == [f"{value:.3f}" for row in rows.values() for value in row.values()]
