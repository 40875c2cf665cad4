"""The explorers and figures of lesson 02: what they draw, and whether their sentences are true."""

import re

import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import plots, superres
from lessons_utils.explorers import layers


@pytest.fixture(scope="module")
def model():
    model = superres.SRCNN(9, 1, 5)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    return model


@pytest.fixture(scope="module")
def picture():
    return torch.rand(1, 1, 30, 40, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("row", "column"), [(15, 20), (4, 4), (25, 35), (4, 35)])
def test_patch_responses_tells_the_dot_products(model, picture, row, column):
    figure = Figure()
    sentence = layers.patch_responses_picture(model, picture)(figure, row, column)

    weights, bias = model.patch_extraction.weight, model.patch_extraction.bias
    patch = picture[0, 0, row - 4 : row + 5, column - 4 : column + 5]
    answers = torch.stack([(w[0] * patch).sum() + b for w, b in zip(weights, bias, strict=True)])
    numbers = re.fullmatch(
        r"Row (\d+), column (\d+): (\d+) of 64 filters answer; filter (\d+) gives (\d+\.\d\d), "
        r"(\d+) % of its largest answer in this picture\.",
        sentence,
    ).groups()
    assert [int(number) for number in numbers[:3]] == [row, column, int((answers > 0).sum())]
    best = int(numbers[3])
    assert float(numbers[4]) == pytest.approx(answers[best].item(), abs=0.0051)
    everywhere = torch.nn.functional.conv2d(
        picture, weights[best : best + 1], bias[best : best + 1]
    )
    share = answers[best] / everywhere.max()
    assert int(numbers[5]) == pytest.approx(100 * share.item(), abs=0.51)


def test_patch_responses_draws_window_patch_answers_and_filter(model, picture):
    figure = Figure()
    layers.patch_responses_picture(model, picture)(figure, 10, 12)
    window, patch, answers, strongest = figure.axes
    assert window.patches[0].get_bbox().bounds == (7.5, 5.5, 9, 9)
    shown = torch.as_tensor(patch.images[0].get_array())
    torch.testing.assert_close(shown, picture[0, 0, 6:15, 8:17])
    assert answers.images[0].get_array().shape == (8, 8)
    assert float(answers.images[0].get_array().max()) <= 1
    assert strongest.images[0].get_array().shape == (9, 9)


def test_patch_responses_survives_filters_that_never_answer(picture):
    model = superres.SRCNN(9, 1, 5)
    torch.nn.init.zeros_(model.patch_extraction.weight)
    torch.nn.init.constant_(model.patch_extraction.bias, -1.0)
    sentence = layers.patch_responses_picture(model, picture)(Figure(), 10, 10)
    assert ": 0 of 64 filters answer" in sentence


@pytest.mark.parametrize(
    ("sizes", "output", "reach", "weights"),
    [
        ((9, 1, 5), "21 x 21", "13 x 13", "8,032"),
        ((9, 3, 5), "19 x 19", "15 x 15", "24,416"),
        ((9, 5, 5), "17 x 17", "17 x 17", "57,184"),
        ((1, 1, 1), "33 x 33", "1 x 1", "2,144"),
    ],
)
def test_filter_sizes_gives_the_papers_numbers(sizes, output, reach, weights):
    sentence = layers.filter_sizes_picture(Figure(), *sizes)
    assert f"leaves {output} of" in sentence
    assert f"sees {reach} input" in sentence
    assert f"{weights} weights" in sentence


def test_filter_sizes_says_when_nothing_is_left():
    sentence = layers.filter_sizes_picture(Figure(), 15, 15, 15)
    assert "leaves nothing of 33 x 33 pixels" in sentence
    assert "sees 43 x 43 input pixels" in sentence


def test_the_sliders_stay_where_a_window_fits(model, picture, monkeypatch):
    seen = {}
    monkeypatch.setattr(layers, "live", lambda draw, size, **controls: seen.update(controls))
    layers.patch_responses(model, picture, row=10, column=20)
    assert (seen["row"].min, seen["row"].value, seen["row"].max) == (4, 10, 25)
    assert (seen["column"].min, seen["column"].value, seen["column"].max) == (4, 20, 35)
    layers.filter_sizes()
    assert all(seen[name].value % 2 and seen[name].step == 2 for name in ("f1", "f2", "f3"))


def test_signed_values_are_drawn_around_zero():
    figure = Figure()
    axes = figure.subplots()
    layers.draw_signed(axes, torch.tensor([[0.5, -2.0]]), "title", numbers=True)
    assert axes.images[0].get_clim() == (-2.0, 2.0)
    assert [text.get_text() for text in axes.texts] == ["0.50", "-2.00"]
    layers.draw_signed(axes, torch.zeros(2, 2))  # all zero: a scale is needed nevertheless
    assert axes.images[-1].get_clim()[1] > 0


def test_dot_product_figure_shows_the_sum():
    view = torch.arange(144.0).view(1, 1, 12, 12) / 144
    figure = layers.dot_product_figure(view, row=5, column=6, kernel=torch.full((3, 3), 1 / 9))
    assert f"{view[0, 0, 5, 6]:.3f}" in figure.axes[-1].get_title()
    plots.plt.close(figure)
