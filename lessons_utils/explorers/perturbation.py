"""Explorer of lesson 13: push a picture along or against the gradient; figures of the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from ipywidgets import Dropdown, SelectionSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from lessons_utils import anomaly, plots
from lessons_utils.explorers.live import live

INSIDE, OUTSIDE, THIRD = "tab:blue", "tab:orange", "0.35"
"""Colours of what a network knows, of what it does not, and of a third kind."""

_LINES = ("-", "--", ":", "-.")
_COLOURS = ("tab:blue", "tab:orange", "0.35", "tab:purple", "tab:olive", "tab:cyan")
_MARKS = "os^Dv*"

LEVELS = (-8, -6, -4, -3, -2, -1, -0.72, -0.36, 0, 0.36, 0.72, 1, 2, 3, 4, 6, 8)
"""Steps of the explorer, in gray levels of 255; 0.36 is the paper's epsilon of 0.0014."""

DIRECTIONS = ("sign of the gradient", "the gradient itself", "random signs")
"""Of the explorer; all with the same largest change of a value."""

_SHOWN = 4  # classes with a bar


def push_a_picture(
    model: nn.Module, pictures: Mapping[str, Tensor], classes: Sequence[str]
) -> None:
    """Show an explorer: direction and length of a step, the network's answer and the score.

    Args:
        model: a classifier of pixels in [0, 1].
        pictures: from a name to (1, C, H, W) in [0, 1].
        classes: names of the logits.
    """
    explorer = PushAPicture(model, pictures, classes)
    live(
        explorer.draw,
        size=(9, 2.9),
        picture=Dropdown(options=list(pictures), description="picture"),
        direction=Dropdown(options=DIRECTIONS, description="direction"),
        levels=SelectionSlider(options=LEVELS, value=0.36, description="step, gray levels"),
    )


class PushAPicture:
    """What `push_a_picture` draws; all answers of the network are computed here.

    Args:
        model: a classifier of pixels in [0, 1].
        pictures: from a name to (1, C, H, W) in [0, 1].
        classes: names of the logits.
    """

    def __init__(
        self, model: nn.Module, pictures: Mapping[str, Tensor], classes: Sequence[str]
    ) -> None:
        self.pictures, self.classes = dict(pictures), tuple(classes)
        steps = torch.tensor(LEVELS).view(-1, 1, 1, 1) / 255
        self.directions: dict[tuple[str, str], Tensor] = {}
        self.logits: dict[tuple[str, str], Tensor] = {}
        for name, picture in self.pictures.items():
            for kind, direction in zip(DIRECTIONS, _directions(model, picture), strict=True):
                self.directions[name, kind] = direction
                self.logits[name, kind] = anomaly.classify(model, picture + steps * direction)

    def moved(self, picture: str, direction: str, levels: float) -> Tensor:
        """Return the picture after the step, (1, C, H, W), not clipped."""
        return self.pictures[picture] + levels / 255 * self.directions[picture, direction]

    def draw(self, figure: Figure, picture: str, direction: str, levels: float) -> str:
        """Draw the moved picture, the network's probabilities, and the score of every picture.

        Args:
            figure: empty.
            picture: one of `pictures`.
            direction: one of `DIRECTIONS`.
            levels: one of `LEVELS`.
        """
        place = LEVELS.index(levels)
        logits = self.logits[picture, direction]
        probabilities = logits.softmax(dim=1)
        score = how_sure(logits)

        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.5))
        plots.draw_picture(left, self.moved(picture, direction, levels), "the picture now")
        self._draw_bars(middle, probabilities, place)
        self._draw_scores(right, picture, direction, place)

        named = probabilities[place].argmax().item()
        return (
            f"{picture}, moved by {levels:+g} gray levels along {direction}: the network says "
            f"{self.classes[named]} with probability {probabilities[place, named]:.3f}; the score "
            f"T log(N S) is {score[place]:.2f}, without the step {score[LEVELS.index(0)]:.2f}."
        )

    def _draw_bars(self, axes: Axes, probabilities: Tensor, place: int) -> None:
        shown = probabilities.amax(dim=0).argsort(descending=True)[:_SHOWN].tolist()
        rows = range(len(shown))
        axes.barh(rows, probabilities[place, shown].tolist(), color=INSIDE, height=0.55)
        for row, number in zip(rows, shown, strict=True):
            axes.text(0.02, row - 0.43, self.classes[number], va="center", fontsize=9)
        axes.set(xlim=(0, 1), ylim=(len(shown) - 0.5, -0.7), xticks=(0, 0.5, 1), yticks=())
        axes.set_xlabel("probability (T = 1)")
        axes.set_title("what the network says")

    def _draw_scores(self, axes: Axes, picture: str, direction: str, place: int) -> None:
        for number, name in enumerate(self.pictures):
            scores = how_sure(self.logits[name, direction])
            chosen = name == picture
            axes.plot(
                LEVELS,
                scores,
                color=_COLOURS[number % len(_COLOURS)],
                linestyle=_LINES[number % len(_LINES)],
                lw=2.5 if chosen else 1,
                label=name,
            )
            if chosen:
                axes.plot(LEVELS[place], scores[place], "o", color="black", ms=7)
        axes.axvline(0, color="0.7", lw=1, zorder=0)
        axes.set_xlabel("step, gray levels")
        axes.set_ylabel("T log(N S)")
        axes.set_title("score at T = 1000")
        axes.legend(fontsize=8, handlelength=2.4)


def how_sure(logits: Tensor, temperature: float = anomaly.TEMPERATURE) -> Tensor:
    """Return T log(N S), with S the largest of N probabilities at temperature T; (B,) float64.

    It orders pictures as S does, is 0 where all logits are equal, and comes in the logits' units:
    for large T it is the largest logit minus the mean of all.

    Args:
        logits: (B, N).
        temperature: positive.
    """
    scores = anomaly.maximum_softmax(logits, temperature)
    return temperature * (scores * logits.shape[1]).log()


def _directions(model: nn.Module, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three `DIRECTIONS` of a picture, each with a largest value of 1."""
    device = next(model.parameters()).device
    pixels = picture.clone().to(device).requires_grad_()
    training = model.training
    model.eval()  # as `anomaly.classify` does: the score depends on this picture alone
    try:
        with torch.enable_grad():
            logits = model(pixels).double()
    finally:
        model.train(training)
    scores = (logits / anomaly.TEMPERATURE).log_softmax(dim=1).amax()
    (gradient,) = torch.autograd.grad(scores, pixels)
    gradient = gradient.to(picture.device)
    generator = torch.Generator().manual_seed(0)
    random = torch.randint(2, picture.shape, generator=generator) * 2.0 - 1
    return gradient.sign(), gradient / gradient.abs().amax(), random


# ---- Figures of the lesson -----------------------------------------------------------------------


def gradient_figure(pictures: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Draw pictures, how much each pixel counts, and the signs of the gradient.

    Args:
        pictures: from a title to a picture and its gradient, (1, C, H, W) each.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    count = len(pictures)
    figure, grid = plt.subplots(
        count, 3, figsize=(8.2, 2.6 * count + 0.2), squeeze=False, layout="constrained"
    )
    for row, (title, (picture, gradient)) in zip(grid, pictures.items(), strict=True):
        plots.draw_picture(row[0], picture, title)
        size = gradient.abs().sum(dim=1)[0]
        drawn = row[1].imshow(size.numpy(), cmap="magma", vmin=0, interpolation="nearest")
        row[1].set_title("size of the gradient")
        row[1].set_axis_off()
        figure.colorbar(drawn, ax=row[1], shrink=0.85)
        plots.draw_picture(row[2], (gradient.sign() + 1) / 2, "its sign, in each colour")
    return figure


def rise_figure(panels: Mapping[str, Mapping[str, tuple[Tensor, Tensor]]]) -> Figure:
    """Draw measured against predicted rises, one panel a step.

    Args:
        panels: from a title to sets of pictures; from a set's name to the predicted and the
            measured rises, (N,) each.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, grid = plt.subplots(
        1, len(panels), figsize=(11, 3.5), squeeze=False, layout="constrained"
    )
    for axes, (title, sets) in zip(grid[0], panels.items(), strict=True):
        looks = zip(sets.items(), (INSIDE, OUTSIDE, THIRD), "os^", strict=False)
        for (name, (predicted, measured)), colour, mark in looks:
            axes.plot(predicted, measured, mark, color=colour, ms=4, alpha=0.6, mew=0, label=name)
        longest = max(predicted.max().item() for predicted, _ in sets.values())
        axes.plot([0, longest], [0, longest], color="black", lw=1)
        axes.set(title=title, xlabel="predicted rise")
    grid[0, 0].set_ylabel("measured rise of T log S")
    grid[0, 0].legend()
    return figure


def histograms_figure(
    panels: Mapping[str, tuple[Tensor, Tensor]], label: str, columns: int = 3, bins: int = 40
) -> Figure:
    """Draw two histograms a panel, inside and outside, each up to its own peak; lines: medians.

    Args:
        panels: from a title to the values of inside (N,) and outside (M,).
        label: what the values are, with their unit.
        columns: panels in a row.
        bins: of each histogram.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    values = torch.cat([value.double() for pair in panels.values() for value in pair])
    low, high = values.quantile(0.002).item(), values.quantile(0.998).item()
    edges = torch.linspace(low, high, bins + 1, dtype=torch.float64)
    rows = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(11, 2.7 * rows + 0.3),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (title, pair) in zip(grid.flat, panels.items(), strict=True):
        for value, colour, name in zip(pair, (INSIDE, OUTSIDE), ("inside", "outside"), strict=True):
            heights = torch.histogram(value.double().clamp(low, high), edges).hist
            axes.stairs(
                heights / heights.max(), edges, fill=True, color=colour, alpha=0.55, label=name
            )
            axes.axvline(value.double().median().item(), color=colour, lw=2)
        axes.set_title(title)
        axes.set_yticks(())
    for axes in grid[-1]:
        axes.set_xlabel(label)
    for axes in grid[:, 0]:
        axes.set_ylabel("pictures (peak = 1)")
    grid[0, 0].legend()
    return figure


def reaction_figure(sets: Mapping[str, tuple[Tensor, Tensor]], label: str) -> Figure:
    """Draw how much pictures react to a step against the score that they had before.

    Args:
        sets: from a name to scores and rises, (N,) each; the first is the inside one.
        label: of the vertical axis.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    (inside, known), *others = sets.items()
    figure, grid = plt.subplots(
        1,
        len(others),
        figsize=(11, 3.5),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (name, values) in zip(grid[0], others, strict=True):
        for (score, rise), colour, mark, title in (
            (known, INSIDE, "o", inside),
            (values, OUTSIDE, "s", name),
        ):
            axes.plot(score, rise, mark, color=colour, ms=3.5, alpha=0.45, mew=0, label=title)
        axes.set_title(f"outside: {name}")
        axes.set_xlabel("score before the step, T log(10 S)")
        axes.legend(markerscale=1.6)
    grid[0, 0].set_ylabel(label)
    return figure


def curves_figure(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    places: Mapping[str, Sequence[float]],
    labels: tuple[str, str],
    marked: float | None = None,
) -> Figure:
    """Draw curves over the step, one panel a network or picture; one legend if all are alike.

    Args:
        panels: from a title to curves, by name.
        places: from the same titles to the horizontal places of each curve's values.
        labels: of the two axes.
        marked: a horizontal place with a vertical line.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, grid = plt.subplots(
        1, len(panels), figsize=(11, 3.6), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (title, curves) in zip(grid[0], panels.items(), strict=True):
        for number, (name, values) in enumerate(curves.items()):
            axes.plot(
                places[title],
                values,
                marker=_MARKS[number % len(_MARKS)] if len(values) < 12 else None,
                color=_COLOURS[number % len(_COLOURS)],
                linestyle=_LINES[number % len(_LINES)],
                ms=5,
                label=name,
            )
        if marked is not None:
            axes.axvline(marked, color="0.7", lw=1, zorder=0)
        axes.set(title=title, xlabel=labels[0])
    same = len({tuple(curves) for curves in panels.values()}) == 1
    for axes in grid[0, -1:] if same else grid[0]:
        outside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if same else {}
        axes.legend(fontsize=9, **outside)
    grid[0, 0].set_ylabel(labels[1])
    return figure
