import itertools
import math

import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import anomaly
from lessons_utils.explorers import perturbation
from lessons_utils.explorers.perturbation import DIRECTIONS, LEVELS, PushAPicture

CLASSES = ("one", "two", "three")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 6, 3), torch.nn.Tanh(), torch.nn.Flatten()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(6 * 36, 3)).eval()


@pytest.fixture(scope="module")
def pictures():
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(1, 3, 8, 8, generator=generator) for name in ("first", "second")}


@pytest.fixture(scope="module")
def explorer(model, pictures):
    return PushAPicture(model, pictures, CLASSES)


def draw(explorer, **values):
    figure = Figure(figsize=(9, 2.9), dpi=80, layout="constrained")
    sentence = explorer.draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


def score(model, picture, temperature=1000.0):
    """T log(N S) by hand."""
    with torch.no_grad():
        logits = model(picture)[0].double() / temperature
    return temperature * (logits.max() - logits.logsumexp(0) + math.log(3)).item()


def test_the_first_state_says_what_odin_measures(explorer, model, pictures):
    figure, sentence = draw(explorer, picture="first", direction=DIRECTIONS[0], levels=0.36)
    moved = anomaly.perturb(model, pictures["first"], 1000.0, 0.36 / 255)
    assert f"T log(N S) is {score(model, moved):.2f}" in sentence
    assert f"without the step {score(model, pictures['first']):.2f}." in sentence
    assert sentence.startswith("first, moved by +0.36 gray levels along sign of the gradient")
    assert len(figure.axes) == 3
    assert [line.get_text() for line in figure.axes[2].get_legend().get_texts()] == [*pictures]


@pytest.mark.parametrize(
    ("picture", "direction", "levels"),
    [*itertools.product(("first", "second"), DIRECTIONS, (LEVELS[0], 0, LEVELS[-1]))],
)
def test_every_extreme_draws_and_its_numbers_are_right(explorer, model, picture, direction, levels):
    figure, sentence = draw(explorer, picture=picture, direction=direction, levels=levels)
    moved = explorer.moved(picture, direction, levels)
    with torch.no_grad():
        probabilities = model(moved)[0].double().softmax(0)
    named = probabilities.argmax()
    assert f"says {CLASSES[named]} with probability {probabilities[named]:.3f}" in sentence
    assert f"is {score(model, moved):.2f}," in sentence
    widths = sorted(bar.get_width() for bar in figure.axes[1].patches)
    assert widths == pytest.approx(sorted(probabilities.tolist()), abs=1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("levels", [-8, 4])
def test_no_step_changes_a_value_by_more_than_it_says(explorer, pictures, direction, levels):
    change = (explorer.moved("first", direction, levels) - pictures["first"]).abs().max()
    assert 255 * change.item() == pytest.approx(abs(levels), rel=1e-4)


def test_the_sign_gains_most_and_backwards_it_loses(explorer):
    place = LEVELS.index(0.36)
    gains = {
        kind: (scores := perturbation.how_sure(explorer.logits["first", kind]))[place]
        - scores[LEVELS.index(0)]
        for kind in DIRECTIONS
    }
    assert gains[DIRECTIONS[0]] > gains[DIRECTIONS[1]] > 0
    assert gains[DIRECTIONS[0]] > gains[DIRECTIONS[2]].abs()


def test_the_model_keeps_no_gradient(explorer, model):
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_in_train_mode_is_measured_in_eval_mode_and_left_as_found(pictures):
    torch.manual_seed(2)
    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(4 * 36, 3)).train()
    mean = model[1].running_mean.clone()
    picture = pictures["first"]
    found = PushAPicture(model, {"first": picture}, CLASSES).directions["first", DIRECTIONS[0]]
    assert model.training and model[1].training
    assert torch.equal(model[1].running_mean, mean)
    step = anomaly.perturb(model.eval(), picture, 1000.0, 0.01) - picture
    assert torch.equal(found, step.sign())


def test_how_sure_is_largest_minus_mean_logit_at_large_temperature():
    logits = torch.tensor([[3.0, 1.0, -1.0], [2.0, 2.0, 2.0]])
    assert perturbation.how_sure(logits, 1e6).tolist() == pytest.approx([2.0, 0.0], abs=1e-4)


def test_figures_draw_what_they_are_given(pictures):
    values = torch.rand(50, generator=torch.Generator().manual_seed(2))
    gradient = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    figure = perturbation.gradient_figure({"first": (pictures["first"], gradient)})
    signs = figure.axes[2].images[0].get_array()
    assert torch.equal(torch.tensor(signs), (gradient[0].permute(1, 2, 0) > 0).float())

    figure = perturbation.rise_figure({"small": {"clothes": (values, values)}})
    assert figure.axes[0].lines[0].get_xydata() == pytest.approx(torch.stack([values] * 2, 1))

    figure = perturbation.histograms_figure({"a": (values, 2 * values)}, "x", columns=1)
    assert [line.get_xdata()[0] for line in figure.axes[0].lines] == pytest.approx(
        [values.median().item(), 2 * values.median().item()]
    )

    figure = perturbation.reaction_figure({"in": (values, values), "out": (values, -values)}, "y")
    assert figure.axes[0].get_title() == "outside: out"


def test_curves_that_are_alike_share_a_legend():
    panels = {title: {"a": [1.0, 2.0], "b": [2.0, 1.0]} for title in ("left", "right")}
    places = {title: [0.0, 1.0] for title in panels}
    legends = [
        axes.get_legend()
        for axes in perturbation.curves_figure(panels, places, ("x", "y"), marked=0.5).axes
    ]
    assert legends[0] is None and legends[1] is not None
    panels["right"] = {"c": [1.0, 2.0]}
    figure = perturbation.curves_figure(panels, places, ("x", "y"))
    assert all(axes.get_legend() for axes in figure.axes)
