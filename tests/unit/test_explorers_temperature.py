import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import anomaly
from lessons_utils.explorers import temperature
from lessons_utils.explorers.temperature import NAMES, TEMPERATURES, TurnTheTemperature


def scores_of(logits, labels=None):
    nothing = torch.zeros(0)
    return anomaly.SetScores(logits, labels, nothing, nothing, nothing)


@pytest.fixture(scope="module")
def bank():
    generator = torch.Generator().manual_seed(0)

    def random(count, factor):
        return factor * torch.randn(count, 10, generator=generator)

    labels = torch.arange(400) % 10
    inside = random(400, 2.0) + 6 * torch.nn.functional.one_hot(labels, 10)
    sets = {"cifar10-test": scores_of(inside, labels)}
    sets |= {name: scores_of(random(50, 2.0 + n)) for n, name in enumerate(NAMES)}
    return anomaly.ScoreBank(card=None, sets=sets)


@pytest.fixture(scope="module")
def explorer(bank):
    return TurnTheTemperature({"ours": bank})


def draw(explorer, **values):
    figure = Figure(figsize=(9, 3.1), dpi=80, layout="constrained")
    sentence = explorer.draw(figure, network="ours", **values)
    figure.canvas.draw()
    plt.close("all")
    return figure, sentence


def by_hand(bank, name, classes, t):
    """Threshold and FPR at 95 % TPR, in percent, in plain numpy."""
    kept = [3, 5, 0, 1, 2, 4, 6, 7, 8, 9][:classes]
    known = bank.sets["cifar10-test"]
    inside = known.logits.numpy()[np.isin(known.labels.numpy(), kept)]
    scores = []
    for logits in (inside, bank.sets[name].logits.numpy()):
        powers = np.exp(logits[:, kept].astype(float) / t)
        scores.append((powers / powers.sum(1, keepdims=True)).max(1))
    accepted = -(-95 * len(scores[0]) // 100)
    threshold = np.sort(scores[0])[::-1][accepted - 1]
    return threshold, 100 * (scores[1] >= threshold).mean()


@pytest.mark.parametrize("outside", NAMES)
@pytest.mark.parametrize("classes", [2, 7, 10])
@pytest.mark.parametrize("t", [TEMPERATURES[0], 10, TEMPERATURES[-1]])
def test_every_state_draws_and_its_numbers_are_right(explorer, bank, outside, classes, t):
    figure, sentence = draw(explorer, outside=outside, classes=classes, temperature=t)
    threshold, fpr = by_hand(bank, outside, classes, t)
    assert f"the threshold {threshold:.4f}, which" in sentence
    assert f"{fpr:.1f} % of outside pass" in sentence
    assert f"{classes} classes, {NAMES[outside]}, T = {t:g}:" in sentence
    histograms, curve = figure.axes
    assert curve.lines[1].get_ydata()[0] == pytest.approx(fpr)
    assert curve.lines[0].get_ydata()[TEMPERATURES.index(t)] == pytest.approx(fpr)
    assert histograms.lines[0].get_xdata()[0] == pytest.approx(threshold)
    for patch in histograms.patches:
        assert patch.get_data().values.sum() == pytest.approx(100)


def test_with_two_classes_the_curve_is_flat_and_with_ten_it_is_not(explorer):
    for classes, flat in ((2, True), (10, False)):
        figure, _ = draw(explorer, outside="cifar100", classes=classes, temperature=10)
        values = figure.axes[1].lines[0].get_ydata()
        assert (len(set(values)) == 1) is flat


@pytest.mark.parametrize("network", ["densenet-cifar10", "cifar10-compact"])
@pytest.mark.parametrize("outside", NAMES)
def test_with_two_classes_of_a_shipped_bank_no_temperature_changes_a_number(network, outside):
    explorer = TurnTheTemperature({"ours": anomaly.load_bank(network)})
    ends = set()
    for t in (TEMPERATURES[0], 10, TEMPERATURES[-1]):
        _, sentence = draw(explorer, outside=outside, classes=2, temperature=t)
        ends.add(sentence.split("of inside reach, ")[1])
    assert len(ends) == 1


def test_keeping_classes_drops_the_other_logits_and_their_images(bank):
    inside, outside = temperature.keep_classes(bank, "mnist", 2)  # cat and dog
    known = bank.sets["cifar10-test"]
    chosen = (known.labels == 3) | (known.labels == 5)
    assert torch.equal(inside, known.logits[chosen][:, [3, 5]])
    assert torch.equal(outside, bank.sets["mnist"].logits[:, [3, 5]])
    inside, outside = temperature.keep_classes(bank, "mnist", 10)
    assert len(inside) == len(known.logits)
    assert torch.equal(outside.sort().values, bank.sets["mnist"].logits.sort().values)


def test_the_mean_in_bins_leaves_out_bins_with_too_few():
    places = torch.tensor([0.0, 0.5, 1.0, 1.5, 5.0])
    means = temperature.mean_in_bins(places, torch.arange(5.0), (0, 1, 2, 6), least=2)
    assert means[:2].tolist() == [0.5, 2.5]
    assert means[2].isnan()


def test_the_expansion_meets_the_exact_sum_at_large_temperature():
    figure = temperature.expansion_figure({"one": torch.tensor([0.0, 3.0, 5.0])})
    exact, two, three = (line.get_ydata() for line in figure.axes[0].lines[:3])
    assert exact[0] == pytest.approx(1 + np.exp(-3) + np.exp(-5))
    assert two[0] == pytest.approx(3 - 8) and three[0] == pytest.approx(3 - 8 + 17)
    assert abs(three[-1] - exact[-1]) < abs(two[-1] - exact[-1]) < 1e-5
    plt.close(figure)


def test_bars_say_the_largest_probability():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    pictures = {"a": torch.zeros(1, 3, 8, 8), "b": torch.ones(1, 3, 8, 8)}
    figure = temperature.bars_figure(pictures, logits, ("x", "y"), (1, 1000))
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    numbers = [float(re.search(r"0\.\d+", text)[0]) for text in texts]
    assert numbers == pytest.approx([0.8808, 0.5005, 0.7311, 0.5002], abs=1e-4)
    plt.close(figure)


def test_the_figures_of_the_lesson_draw(bank):
    generator = torch.Generator().manual_seed(1)
    sets = {name: torch.rand(60, generator=generator) for name in ("in", "out", "noise")}
    moments = {name: anomaly.logit_gaps(value.logits) for name, value in bank.sets.items()}
    figures = [
        temperature.histograms_figure({"T = 1": sets, "T = 10": sets}),
        temperature.curves_figure((1, 10), {"a": (3, 2)}, "title", "FPR, %", {"end": 2.0}),
        temperature.classes_figure(range(2, 4), {"T = 1": (3, 2), "T = 10": (3, 1)}),
        temperature.gaps_figure({"in": torch.rand(20, 9, generator=generator)}),
        temperature.spread_figure(dict(list(moments.items())[:3]), range(0, 20, 4)),
    ]
    for figure in figures:
        figure.canvas.draw()
        plt.close(figure)
