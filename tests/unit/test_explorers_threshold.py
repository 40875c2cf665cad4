import math

import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import anomaly
from lessons_utils.explorers import threshold
from lessons_utils.explorers.threshold import MoveTheThreshold


@pytest.fixture(scope="module")
def scores():
    generator = torch.Generator().manual_seed(0)
    inside = 1 - 10 ** -(0.2 + 4 * torch.rand(300, generator=generator, dtype=torch.float64))
    outside = {
        "odd": 1 - 10 ** -(0.1 + torch.rand(200, generator=generator, dtype=torch.float64)),
        "sure": torch.ones(50, dtype=torch.float64),
    }
    return inside, outside


@pytest.fixture(scope="module")
def explorer(scores):
    return MoveTheThreshold(*scores)


def draw(explorer, **values):
    figure = Figure(figsize=(10.5, 3.3), dpi=80, layout="constrained")
    sentence = explorer.draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


def test_nines_are_counted():
    found = threshold.nines(torch.tensor([0.0, 0.9, 0.99, 1.0], dtype=torch.float64))
    assert found.tolist() == pytest.approx([0, 1, 2, 16])


@pytest.mark.parametrize("name", ["odd", "sure"])
@pytest.mark.parametrize("odd", [10, 5_000])
@pytest.mark.parametrize("nines", [0.05, 1.0, 6.0])
def test_every_extreme_draws_and_its_numbers_are_right(scores, explorer, name, odd, nines):
    figure, sentence = draw(explorer, source=name, odd=odd, threshold=nines)
    inside, outside = scores[0].tolist(), scores[1][name].tolist()
    passing = [sum(1 - s <= 10**-nines for s in part) for part in (inside, outside)]
    tpr, fpr = passing[0] / len(inside), passing[1] / len(outside)
    assert f"TPR {100 * tpr:.1f} %, FPR {100 * fpr:.1f} %" in sentence
    false_alarms, missed = round((1 - tpr) * (10_000 - odd)), round(fpr * odd)
    assert f"{false_alarms:,} false alarms, {odd - missed:,} odd ones caught" in sentence
    assert f"{missed:,} missed" in sentence
    assert f"AUROC {anomaly.auroc(*map(torch.tensor, (inside, outside))):.3f}" in sentence
    assert len(figure.axes) == 3 and "nan" not in sentence
    (point,) = figure.axes[1].lines[-1].get_xydata().tolist()
    assert point == pytest.approx([fpr, tpr])


def test_a_day_at_95_percent():
    day = threshold.day_of(tpr=0.95, fpr=0.5, odd=100)
    assert day["false alarms"] == 495 and day["caught"] == day["missed"] == 50
    assert day["real"] == pytest.approx(50 / 545)
    assert math.isnan(threshold.day_of(tpr=1.0, fpr=1.0, odd=10)["real"])


def test_histograms_hold_every_picture(explorer):
    assert explorer.shares_inside.sum() == pytest.approx(100)
    assert explorer.shares["sure"][-1] == pytest.approx(100)  # sixteen nines are in the last bin


def test_real_alarms_are_coloured(explorer):
    figure, sentence = draw(explorer, source="odd", odd=5_000, threshold=0.7)
    squares = figure.axes[2].images[0].get_array()[1::3, 1::3]
    real = int((squares[..., 2] < 0.5).sum())
    assert f"{real} % of the alarms are real" in sentence
    assert 0 < real < 100


def test_a_day_without_alarm_says_so(explorer):
    explorer.inside = torch.ones(4).double()
    explorer.outside["sure"] = torch.ones(4).double()
    figure, sentence = draw(explorer, source="sure", odd=10, threshold=1.0)
    assert sentence.endswith("no alarm at all.")
    assert figure.axes[2].get_title() == "no alarm"


def test_the_interview_says_the_answers():
    pictures = {name: torch.rand(3, 8, 8) for name in ("a", "b", "c")}
    answers = torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    figure = threshold.interview(pictures, answers, ("cat", "dog"))
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert sorted(texts[:4]) == ["cat 100.0 %", "cat 25.0 %", "dog 0.0 %", "dog 75.0 %"]
    assert [axes.get_title() for axes in figure.axes if axes.images] == ["a", "b", "c"]


def test_the_roc_figure_marks_95_percent(scores):
    inside, outside = scores[0], scores[1]["odd"]
    _, tpr, fpr = anomaly.roc_curve(inside, outside)
    axes = threshold.roc_figure({"odd": (tpr, fpr)}).axes[0]
    (marked,) = axes.lines[-1].get_xydata().tolist()
    assert marked[0] == pytest.approx(anomaly.fpr_at_tpr(inside, outside))
    assert marked[1] >= 0.95
