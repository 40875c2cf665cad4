import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import anomaly
from lessons_utils.explorers import detector
from lessons_utils.explorers.detector import INSIDE, TITLES, ChooseDetector

TEMPERATURES, EPSILONS = (1.0, 10.0, 1000.0), (0.0, 0.001, 0.004)


def set_scores(generator, shift, images=60):
    logits = 3 * torch.randn(images, 10, generator=generator)
    logits[:, 0] += shift
    steps = torch.stack([logits * (1 + 20 * epsilon) for epsilon in EPSILONS])
    odin = [[anomaly.maximum_softmax(moved, t).float() for moved in steps] for t in TEMPERATURES]
    grid = torch.stack([torch.stack(row) for row in odin])
    return anomaly.SetScores(logits, None, grid, grid[0, 0], grid[0, 0])


def bank_of(seed, epsilons=EPSILONS):
    generator = torch.Generator().manual_seed(seed)
    card = anomaly.BankCard(
        name="drawn by lot",
        classifier="none",
        weights_sha256="",
        command="",
        temperatures=list(TEMPERATURES),
        epsilons=list(epsilons),
        sets={},
        training_images=0,
        accuracy=0.1,
        date="",
        hardware="",
        versions={},
        cpu_seconds=0.0,
    )
    shifts = {INSIDE: 9.0} | {name: 0.8 * k for k, name in enumerate(TITLES)}
    return anomaly.ScoreBank(
        card, {name: set_scores(generator, shift) for name, shift in shifts.items()}
    )


@pytest.fixture(scope="module")
def explorer():
    return ChooseDetector({"one": bank_of(0), "two": bank_of(1)})


def draw(explorer, **values):
    figure = Figure(figsize=(9, 3.3), dpi=80, layout="constrained")
    sentence = explorer.draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


def false_positives_by_hand(bank, other, temperature, epsilon):
    """What passes at the largest threshold that 95 % of the known reach, counted one by one."""
    known = sorted(bank.odin(INSIDE, temperature, epsilon).tolist(), reverse=True)
    threshold = known[math.ceil(0.95 * len(known)) - 1]
    scores = bank.odin(other, temperature, epsilon).tolist()
    return sum(score >= threshold for score in scores) / len(scores)


@pytest.mark.parametrize("network", ["one", "two"])
@pytest.mark.parametrize("other", [next(iter(TITLES)), list(TITLES)[-1]])
@pytest.mark.parametrize("temperature", [1.0, 1000.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.004])
def test_every_extreme_draws_and_its_numbers_are_right(
    explorer, network, other, temperature, epsilon
):
    figure, sentence = draw(
        explorer, network=network, other=other, temperature=temperature, epsilon=epsilon
    )
    bank = explorer.banks[network]
    share = false_positives_by_hand(bank, other, temperature, epsilon)
    plain = false_positives_by_hand(bank, other, 1.0, 0.0)
    assert f"{TITLES[other]}, T = {temperature:g}, epsilon = {epsilon:g}" in sentence
    assert f"{100 * share:.1f} % of the others do" in sentence
    assert sentence.endswith(f"without a step {100 * plain:.1f} % do.")
    ring = figure.axes[1].lines[-1]
    assert ring.get_ydata()[0] == pytest.approx(100 * share)
    assert ring.get_xdata()[0] == EPSILONS.index(epsilon)


def test_the_threshold_has_95_percent_of_the_known_on_its_right(explorer):
    figure, _ = draw(explorer, network="one", other="gaussian", temperature=1000.0, epsilon=0.001)
    limit = figure.axes[0].lines[0].get_xdata()[0]
    known = explorer.banks["one"].odin(INSIDE, 1000.0, 0.001)
    passing = (1000 * (10 * known).log() >= limit - 1e-9).double().mean().item()
    assert passing == pytest.approx(0.95)


def test_histograms_hold_the_whole_sets(explorer):
    figure, _ = draw(explorer, network="two", other="mnist", temperature=1.0, epsilon=0.0)
    for steps in figure.axes[0].patches:
        assert np.sum(steps.get_data().values) == pytest.approx(100)


def test_banks_of_two_grids_are_refused():
    with pytest.raises(ValueError, match="one grid"):
        ChooseDetector({"one": bank_of(0), "two": bank_of(1, epsilons=(0.0, 0.001, 0.002))})


def test_false_positives_are_those_of_each_pair(explorer):
    bank = explorer.banks["one"]
    table = detector.false_positives(bank.sets[INSIDE].odin, bank.sets["mnist"].odin)
    for row, temperature in enumerate(TEMPERATURES):
        for column, epsilon in enumerate(EPSILONS):
            share = false_positives_by_hand(bank, "mnist", temperature, epsilon)
            assert table[row, column] == pytest.approx(share)


def test_the_grid_frames_the_choice():
    tables = {"a": torch.rand(3, 3), "b": torch.rand(3, 3)}
    figure = detector.grid_figure(tables, {"a": (2, 1), "b": (0, 0)}, list("TUV"), list("xyz"))
    frames = [axes.patches[0].get_xy() for axes in figure.axes]
    assert frames == [pytest.approx((0.54, 1.54)), pytest.approx((-0.46, -0.46))]
    assert figure.axes[0].texts[5].get_text() == f"{100 * tables['a'][1, 2]:.0f}"
    plt.close(figure)


def test_arrows_go_from_the_baseline_to_odin():
    panels = {"paper": {"crop": (34.7, 4.3)}, "ours": {"crop": (48.0, 9.4), "MNIST": (60.0, 2.0)}}
    figure = detector.arrows_figure(panels)
    before, after = figure.axes[1].lines[2:4]
    assert (before.get_xdata()[0], after.get_xdata()[0]) == (60.0, 2.0)
    assert before.get_ydata()[0] == 1  # the second set in order of appearance
    plt.close(figure)


def test_the_plane_says_how_many_pass():
    known = torch.linspace(0, 1, 20), torch.zeros(20)
    figure = detector.plane_figure(
        {"strangers": (torch.tensor([0.1, 0.9]), torch.tensor([0.0, 0.3]))}, known, 1.0
    )
    assert figure.axes[0].get_title() == "strangers: 50 % pass"
    plt.close(figure)


def test_scores_frame_the_best_of_each_column():
    table = torch.tensor([[50.0, 20.0], [30.0, 40.0]])
    figure = detector.scores_figure({"net": table}, ["a", "b"], ["near set", "far"])
    corners = [patch.get_xy() for patch in figure.axes[0].patches]
    assert corners == [pytest.approx((-0.46, 0.54)), pytest.approx((0.54, -0.46))]
    plt.close(figure)


def test_a_benchmark_draws_near_and_far():
    figure = detector.benchmark_figure({"CIFAR-10": {"baseline": (88.0, 90.7), "ODIN": (82.9, 88)}})
    marks = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert marks == [88.0, 88.0, 90.7, 82.9, 82.9, 88]
    plt.close(figure)


def test_rows_of_pictures_take_one_channel_and_three():
    rows = {"above": torch.rand(3, 3, 8, 8), "below": torch.rand(3, 1, 8, 8)}
    figure = detector.rows_figure(rows)
    assert [len(axes.images) for axes in figure.axes] == [1] * 6
    plt.close(figure)
    figure = detector.rows_figure({"": rows["above"]}, ["a", "b", "c"])
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]
    plt.close(figure)


def test_histograms_say_how_many_pass():
    others = {"far": torch.zeros(4), "near": torch.tensor([0.0, 2.0, 2.0, 2.0])}
    figure = detector.histograms_figure(torch.linspace(1, 2, 50), others, 1.5, "score")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["far: 0 % pass", "near: 75 % pass"]
    plt.close(figure)
