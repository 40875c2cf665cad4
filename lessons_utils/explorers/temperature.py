"""Explorer of lesson 12: turn the temperature and count again; figures about temperature."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from ipywidgets import Dropdown, IntSlider, SelectionSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import anomaly, plots
from lessons_utils.explorers.live import live

INSIDE, OUTSIDE, THIRD = "tab:blue", "tab:orange", "0.35"
"""Colours of what a network knows, of what it does not, and of a third kind."""

_LOOKS = ((INSIDE, "o-"), (OUTSIDE, "s-"), (THIRD, "^-"))

TEMPERATURES = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Of the explorer. Below 1 scores begin to round to 1: tied images lose their order."""

FIRST = (3, 5, 0, 1, 2, 4, 6, 7, 8, 9)
"""CIFAR-10's classes in the order in which `keep_classes` takes them: cat, dog, then the others."""

NAMES = {
    "tinyimagenet-crop": "TinyImageNet, crop",
    "tinyimagenet-resize": "TinyImageNet, resized",
    "cifar100": "CIFAR-100",
    "mnist": "MNIST",
    "gaussian": "Gaussian noise",
    "uniform": "uniform noise",
}
"""From a bank's set to what figures call it."""


def keep_classes(bank: anomaly.ScoreBank, name: str, count: int) -> tuple[Tensor, Tensor]:
    """Return the logits of a classifier that knows some of the classes alone.

    The other logits are dropped, and with them CIFAR-10's images of these classes. (A network that
    is trained on a part of the classes has other logits.)

    Args:
        bank: of a CIFAR-10 classifier, with the set `cifar10-test`.
        name: of the outside set.
        count: of classes, from 2 to 10: cat, dog, airplane and so on.

    Returns:
        Inside (N, count) and outside (M, count).
    """
    kept = torch.tensor(FIRST[:count])
    known = bank.sets["cifar10-test"]
    inside = known.logits[torch.isin(known.labels, kept)]
    return inside[:, kept], bank.sets[name].logits[:, kept]


# ---- Explorer ----------------------------------------------------------------------------------


def turn_the_temperature(banks: Mapping[str, anomaly.ScoreBank]) -> None:
    """Show an explorer: temperature, number of classes, and what they do to a detector.

    Args:
        banks: from what the reader calls a network to its scores.
    """
    explorer = TurnTheTemperature(banks)
    live(
        explorer.draw,
        size=(9, 3.1),
        network=Dropdown(options=list(banks), description="network"),
        outside=Dropdown(
            options=[(title, name) for name, title in NAMES.items()], description="outside"
        ),
        classes=IntSlider(10, min=2, max=10, description="classes", continuous_update=False),
        temperature=SelectionSlider(options=TEMPERATURES, value=1, description="temperature T"),
    )


class TurnTheTemperature:
    """What `turn_the_temperature` draws.

    Args:
        banks: from what the reader calls a network to its scores.
    """

    def __init__(self, banks: Mapping[str, anomaly.ScoreBank]) -> None:
        self.banks = banks
        self._curve = functools.cache(self._curve)

    def draw(
        self, figure: Figure, network: str, outside: str, classes: int, temperature: float
    ) -> str:
        """Draw the scores as two histograms, and FPR at 95 % TPR over the temperature.

        Args:
            figure: empty.
            network: a key of the banks.
            outside: a key of `NAMES`.
            classes: how many are kept; see `keep_classes`.
            temperature: one of `TEMPERATURES`.
        """
        logits = keep_classes(self.banks[network], outside, classes)
        scores = [anomaly.maximum_softmax(part, temperature) for part in logits]
        threshold = anomaly.threshold_at_tpr(scores[0])
        fpr = anomaly.fpr_at_tpr(*scores)

        left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
        _draw_histograms(left, {"inside": scores[0], "outside": scores[1]}, threshold)
        left.set(title="scores; 95 % of inside lie right of the line", xlabel="largest probability")
        left.set_ylim(0, 1.25 * left.get_ylim()[1])  # room for the legend
        left.legend(loc="upper center", ncols=2)
        curve = self._curve(network, outside, classes)
        right.plot(np.log10(TEMPERATURES), curve, ".-", color=OUTSIDE)  # quicker than a log axis
        right.plot(
            np.log10([temperature]), [100 * fpr], "o", color="black", ms=9, mfc="none", mew=2
        )
        right.set(title="false positives", xlabel="temperature T", ylabel="FPR at 95 % TPR, %")
        right.set(ylim=(0, 103))
        right.set_xticks(range(4), ("1", "10", "100", "1000"))

        low, high = torch.cat(scores).aminmax()
        return (
            f"{network}, {classes} classes, {NAMES[outside]}, T = {temperature:g}: the scores lie "
            f"between {low:.4f} and {high:.4f}; at the threshold {threshold:.4f}, which 95 % of "
            f"inside reach, {100 * fpr:.1f} % of outside pass; AUROC "
            f"{100 * anomaly.auroc(*scores):.1f} %."
        )

    def _curve(self, network: str, outside: str, classes: int) -> list[float]:
        """FPR at 95 % TPR, in percent, at each of `TEMPERATURES`."""
        inside, others = keep_classes(self.banks[network], outside, classes)
        return false_positives(inside, others, TEMPERATURES)


def false_positives(inside: Tensor, outside: Tensor, temperatures: Sequence[float]) -> list[float]:
    """Return FPR at 95 % TPR of the largest probability, in percent, one number a temperature.

    Args:
        inside: logits, (N, classes).
        outside: logits, (M, classes).
        temperatures: positive.
    """
    return [
        100 * anomaly.fpr_at_tpr(*(anomaly.maximum_softmax(part, t) for part in (inside, outside)))
        for t in temperatures
    ]


def _draw_histograms(
    axes: Axes, scores: Mapping[str, Tensor], threshold: float | None = None, bins: int = 40
) -> None:
    """Draw shares of images; the first set filled, the second and third as lines."""
    values = [each.detach().numpy() for each in scores.values()]
    edges = np.linspace(min(v.min() for v in values), max(v.max() for v in values), bins + 1)
    for number, (name, value) in enumerate(zip(scores, values, strict=True)):
        heights = 100 * np.histogram(value, edges)[0] / len(value)
        colour = _LOOKS[number][0]
        look = {"fill": True, "alpha": 0.45} if number == 0 else {"lw": 2}
        axes.stairs(heights, edges, color=colour, label=name, **look)
    if threshold is not None:
        axes.axvline(threshold, color="black", ls="--", lw=1.5)
    axes.set_ylabel("images, %")
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.locator_params(axis="x", nbins=5)


# ---- Figures of the lesson -----------------------------------------------------------------------


def bars_figure(
    pictures: Mapping[str, Tensor], logits: Tensor, classes: Sequence[str], temperatures: Sequence
) -> Figure:
    """Draw pictures, each with its probabilities at several temperatures.

    Args:
        pictures: from a title to (1, 3, H, W).
        logits: (pictures, N).
        classes: N names.
        temperatures: one column each; the last one has a second column, around 1 / N.
    """
    figure, grid = plt.subplots(
        len(pictures),
        len(temperatures) + 2,
        figsize=(13, 2.9 * len(pictures)),
        layout="constrained",
    )
    everything = anomaly.temperature_softmax(logits, temperatures[-1])
    low, high = (edge.item() for edge in everything.aminmax())
    zoomed = (low - 0.1 * (high - low), high + 0.1 * (high - low))
    for row, (title, picture), one in zip(grid, pictures.items(), logits, strict=True):
        plots.draw_picture(row[0], picture, title)
        row[1].set_yticks(range(len(classes)), classes)
        for axes, temperature in zip(row[1:], (*temperatures, temperatures[-1]), strict=True):
            values = anomaly.temperature_softmax(one[None], temperature)[0].tolist()
            colours = [INSIDE if value == max(values) else "0.65" for value in values]
            axes.barh(range(len(classes)), values, color=colours)
            axes.axvline(1 / len(classes), color="black", ls=":", lw=1)
            axes.set(title=f"T = {temperature:g}", xlim=(0, 1))
            axes.text(0.97, 0.45, f"largest\n{max(values):.4f}", **_at_the_right(axes))
            axes.invert_yaxis()
            if axes is not row[1]:
                axes.set_yticks(())
        row[-1].texts[0].remove()
        row[-1].set(title=f"T = {temperatures[-1]:g}, enlarged", xlim=zoomed)
        row[-1].locator_params(axis="x", nbins=3)
    for axes in grid[-1, 1:]:
        axes.set_xlabel("probability")
    return figure


def _at_the_right(axes: Axes) -> dict:
    return {"transform": axes.transAxes, "ha": "right", "va": "center"}


def curves_figure(
    temperatures: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    title: str,
    label: str,
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """Draw lines over the temperature.

    Args:
        temperatures: of all curves.
        curves: from a name to a value at each temperature; at most three.
        title: says what to see.
        label: of the vertical axis, with the unit.
        levels: from a name to a value that no temperature changes, drawn dashed; at most two.
    """
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for (name, values), (colour, mark) in zip(curves.items(), _LOOKS, strict=False):
        axes.plot(temperatures, values, mark, color=colour, label=name, ms=4)
    for (name, level), dashes in zip((levels or {}).items(), ("--", ":"), strict=False):
        axes.axhline(level, color="black", ls=dashes, label=name)
    axes.set(xscale="log", title=title, xlabel="temperature T", ylabel=label, ylim=(0, None))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def histograms_figure(
    panels: Mapping[str, Mapping[str, Tensor]], label: str = "largest probability"
) -> Figure:
    """Draw histograms side by side, each with the line that 95 % of its first set reach.

    Args:
        panels: from a title to up to three sets of scores, (N,) each, by name; the first is inside.
        label: of the horizontal axes.
    """
    figure, grid = plt.subplots(
        1, len(panels), figsize=(4 * len(panels) + 0.5, 3.5), squeeze=False, layout="constrained"
    )
    for axes, (title, scores) in zip(grid[0], panels.items(), strict=True):
        first = next(iter(scores.values()))
        _draw_histograms(axes, scores, anomaly.threshold_at_tpr(first))
        axes.set(title=title, xlabel=label)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
    return figure


def classes_figure(counts: Sequence[int], curves: Mapping[str, Sequence[float]]) -> Figure:
    """Draw FPR at 95 % TPR over the number of classes.

    Args:
        counts: of classes.
        curves: from a name to a percentage for each count; at most three.
    """
    figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
    for (name, values), (colour, mark) in zip(curves.items(), _LOOKS, strict=False):
        axes.plot(counts, values, mark, color=colour, label=name)
    axes.set(xlabel="classes, N", ylabel="FPR at 95 % TPR, %", ylim=(0, 103), xticks=counts)
    axes.set_title("With two classes the temperature changes nothing")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def expansion_figure(gaps: Mapping[str, Tensor]) -> Figure:
    """Draw the sum in the score's denominator over the temperature, beside its expansion.

    Args:
        gaps: from a title to the gaps of one image, (N,), with the winner's own, 0.
    """
    temperatures = torch.logspace(0, 3.5, 120, dtype=torch.float64)
    figure, grid = plt.subplots(
        1, len(gaps), figsize=(11, 3.4), squeeze=False, sharey=True, layout="constrained"
    )
    for axes, (title, each) in zip(grid[0], gaps.items(), strict=True):
        steps = each.double()[:, None] / temperatures  # (N, 120)
        partial = {
            "two terms": (1 - steps).sum(0),
            "three terms": (1 - steps + steps.square() / 2).sum(0),
        }
        axes.plot(temperatures, (-steps).exp().sum(0), color="black", lw=3, label="exact")
        for (name, values), look in zip(partial.items(), ("--", "-"), strict=True):
            colour = OUTSIDE if look == "--" else INSIDE
            axes.plot(temperatures, values, look, color=colour, lw=2, label=name)
        axes.axhline(len(each), color="0.6", lw=1)
        axes.set(xscale="log", title=title, xlabel="temperature T", ylim=(-3, len(each) + 5))
        axes.xaxis.set_major_formatter("{x:g}")
    grid[0, 0].set_ylabel("sum below the fraction bar")
    grid[0, -1].legend(loc="lower right")
    return figure


def gaps_figure(gaps: Mapping[str, Tensor]) -> Figure:
    """Draw how far the rivals lie below the largest logit, from the nearest to the farthest.

    Args:
        gaps: from a name to (M, N - 1), a row an image; at most three.
    """
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for (name, each), (colour, mark) in zip(gaps.items(), _LOOKS, strict=False):
        ordered = each.sort(dim=1).values
        places = range(1, ordered.shape[1] + 1)
        low, middle, high = ordered.quantile(torch.tensor([0.05, 0.5, 0.95]).to(ordered), dim=0)
        axes.plot(places, middle, mark, color=colour, label=name)
        axes.fill_between(places, low, high, color=colour, alpha=0.18, lw=0)
    axes.set(xlabel="rival, from the nearest to the farthest", ylabel="gap to the largest logit")
    axes.set(xticks=places, ylim=(0, None))
    axes.set_title("Gaps: the median image (line), and from 5 to 95 % (band)")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def spread_figure(sets: Mapping[str, tuple[Tensor, Tensor]], edges: Sequence[float]) -> Figure:
    """Draw U1 as histograms, and the mean of U2 - U1^2 among images of about the same U1.

    Args:
        sets: from a name to U1 and U2, (M,) each; the first set is inside.
        edges: of the bins of U1. A bin with fewer than 10 images of a set stays empty.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained")
    _draw_histograms(left, {name: mean for name, (mean, _) in sets.items()})
    left.set(title="U1 is larger inside", xlabel="U1: mean gap")
    left.legend()
    middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
    for (name, (mean, square)), (colour, mark) in zip(sets.items(), _LOOKS, strict=False):
        spread = mean_in_bins(mean, square - mean.square(), edges)
        right.plot(middles, spread, mark, color=colour, label=name)
    right.set(title="variance of the rivals, at about the same U1", xlabel="U1: mean gap")
    right.set_ylabel("Var = U2 − U1², mean")
    right.set_ylim(0, None)
    right.legend()
    right.grid(alpha=0.3)
    return figure


def mean_in_bins(places: Tensor, values: Tensor, edges: Sequence[float], least: int = 10) -> Tensor:
    """Return the mean of values by where they lie, (bins,); NaN where there are too few.

    Args:
        places: (M,).
        values: (M,).
        edges: of the bins, growing; the left one belongs to a bin.
        least: so many values make a mean.
    """
    means = []
    for low, high in itertools.pairwise(edges):
        chosen = values[(places >= low) & (places < high)]
        means.append(chosen.mean() if len(chosen) >= least else values.new_tensor(torch.nan))
    return torch.stack(means)
