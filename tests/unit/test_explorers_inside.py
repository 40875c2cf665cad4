import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from lessons_utils import checkpoints, datasets, plots, superres
from lessons_utils.explorers import inside


@pytest.fixture(scope="module")
def model():
    return checkpoints.load("srcnn-9-1-5-x3", superres.SRCNN(9, 1, 5))[0]


@pytest.fixture(scope="module")
def detail():
    _, upscaled, _ = superres.prepare(datasets.photograph("cat"), 3)
    return plots.crop(upscaled, 72, 120, 60)


@pytest.fixture(scope="module")
def draw(model, detail):
    return inside.filter_to_map_picture(model, detail)


def drawn(draw, **values):
    figure = Figure(figsize=(9.5, 2.9), dpi=80, layout="constrained")
    sentence = draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


def test_the_two_maps_are_those_inside_the_forward_pass(model, detail):
    _, second = inside.feature_maps(model, detail)
    output = model.reconstruction(F.pad(second[None], (2,) * 4, mode="replicate"))
    assert torch.allclose(output, model(detail), atol=1e-6)


@pytest.mark.parametrize(("layer", "count"), [(1, 64), (2, 32)])
@pytest.mark.parametrize("rank", [1, 20, 32, 64])
def test_sentence_and_map_are_of_the_filter_asked_for(model, detail, draw, layer, count, rank):
    figure, sentence = drawn(draw, layer=layer, rank=rank)
    rank = min(rank, count)
    weights = (model.patch_extraction, model.mapping)[layer - 1].weight.detach()
    number = np.argsort(-weights.flatten(1).numpy().var(axis=1))[rank - 1]
    expected = inside.feature_maps(model, detail)[layer - 1][number].numpy()
    assert sentence.startswith(f"Layer {layer}, filter {rank} of {count} by variance: ")
    if expected.any():
        alike = np.corrcoef(expected.ravel(), detail.numpy().ravel())[0, 1]
        assert f"zero at {100 * (expected == 0).mean():.0f} % of the pixels" in sentence
        assert f"mean {expected.mean():.3f}" in sentence
        assert f"picture {alike:.2f}" in sentence
    else:
        assert "silent everywhere" in sentence
    assert len(figure.axes) == 4
    assert np.allclose(figure.axes[2].images[0].get_array(), expected)


def test_a_silent_filter_draws_a_black_map():
    silent = superres.SRCNN(9, 1, 5)
    with torch.no_grad():
        silent.patch_extraction.bias.fill_(-100)
    draw = inside.filter_to_map_picture(silent, torch.rand(1, 1, 20, 20))
    figure, sentence = drawn(draw, layer=1, rank=3)
    assert "silent everywhere" in sentence
    assert not figure.axes[2].images[0].get_array().any()


def test_likeness_is_the_correlation_and_zero_for_a_flat_map():
    picture = torch.rand(5, 6)
    maps = torch.stack([3 * picture + 1, -picture, torch.ones(5, 6)])
    assert torch.allclose(inside.likeness(maps, picture), torch.tensor([1.0, -1.0, 0.0]), atol=1e-5)


def test_patches_cannot_tell_a_filter_from_its_seen_part():
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(81, 5, generator=generator))
    patches = basis @ torch.randn(5, 400, generator=generator) + 0.5
    directions, share = inside.main_directions(patches, 5)
    filters = torch.randn(3, 1, 9, 9, generator=generator)
    seen = inside.seen_part(filters, directions)
    assert share == pytest.approx(1)
    assert seen.norm() < 0.5 * filters.norm()
    centred = patches - patches.mean(dim=1, keepdim=True)
    assert torch.allclose(seen.flatten(1) @ centred, filters.flatten(1) @ centred, atol=1e-4)


def test_filters_are_sorted_by_the_variance_of_their_weights():
    weight = torch.zeros(3, 1, 9, 9)
    weight[1, 0, 4, 4], weight[2, 0, 4, 4] = 2, 1
    assert inside.by_variance(weight).tolist() == [1, 2, 0]


def test_figures_show_what_they_are_given():
    maps = torch.arange(16).view(1, 4, 2, 2)
    figure = inside.shuffle_figure(maps[0], F.pixel_shuffle(maps, 2)[0, 0])
    assert [text.get_text() for text in figure.axes[4].texts[:4]] == ["0", "4", "1", "5"]

    curves = {"slow": [10.0, 29.0, 30.0], "skip": [30.4, 30.5, 30.6], "fast": [10.0, 30.0, 31.0]}
    figure = inside.race_figure(curves, bicubic=30.4)
    *racers, line = figure.axes[0].lines
    assert [list(racer.get_ydata()) for racer in racers] == list(curves.values())
    assert list(racers[0].get_xdata()) == [0, 50, 100]
    assert set(line.get_ydata()) == {30.4}

    errors = {"bad": torch.full((1, 1, 20, 20), 4 / 255), "good": torch.zeros(1, 1, 20, 20)}
    figure = inside.seams_figure(errors)
    assert figure.axes[0].images[0].get_array().max() == pytest.approx(4)
    assert not figure.axes[1].images[0].get_array().any()

    edges = torch.eye(7)
    figure = inside.edges_figure(edges, edges.mean(0))
    assert len(figure.axes[0].lines) == 7
    assert np.allclose(figure.axes[1].lines[1].get_ydata(), 1 / 7)
    plt.close("all")
