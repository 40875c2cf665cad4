"""Explorer of lesson 11: move the threshold of a detector; figures of confidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import anomaly, plots
from lessons_utils.explorers.live import live

INSIDE, OUTSIDE = "tab:blue", "tab:orange"
MOST_NINES = 6
A_DAY = 10_000
"""Pictures that a camera takes a day."""

_TICKS = {
    0.0: "0",
    0.301: "0.5",
    1.0: "0.9",
    2.0: "0.99",
    3.0: "0.999",
    4.0: "0.9999",
    6.0: "6 nines",
}
_BINS = np.linspace(0, MOST_NINES, 31)


def nines(confidence: Tensor) -> Tensor:
    """Count the nines of probabilities: 0.9 has one, 0.99 two, 0.5 a third of one.

    Args:
        confidence: any shape, from 0 to 1; 1 itself counts as sixteen nines.

    Returns:
        The same shape, float64: -log10(1 - confidence).
    """
    return -torch.log10((1 - confidence.double()).clamp(min=1e-16))


def move_the_threshold(inside: Tensor, outside: Mapping[str, Tensor]) -> None:
    """Show an explorer: a threshold on confidence, its ROC point, and what a day brings.

    Args:
        inside: (N,), confidence in pictures like those that were trained on, from 0 to 1.
        outside: from the name of a set to (M,), confidence in its pictures.
    """
    explorer = MoveTheThreshold(inside, outside)
    start = nines(torch.tensor(anomaly.threshold_at_tpr(inside))).item()
    live(
        explorer.draw,
        size=(10.5, 3.3),
        source=widgets.Dropdown(options=list(outside), description="odd pictures from"),
        odd=widgets.Dropdown(
            options=[10, 100, 1_000, 5_000], value=100, description=f"odd ones among {A_DAY:,}"
        ),
        threshold=widgets.FloatSlider(
            round(start / 0.05) * 0.05,
            min=0.05,
            max=MOST_NINES,
            step=0.05,
            description="threshold, nines",
            layout={"width": "420px"},
        ),
    )


class MoveTheThreshold:
    """What `move_the_threshold` draws; arguments as there."""

    def __init__(self, inside: Tensor, outside: Mapping[str, Tensor]) -> None:
        self.inside = inside.double()
        self.outside = {name: scores.double() for name, scores in outside.items()}
        self.curves, self.areas, self.shares = {}, {}, {}
        self.shares_inside = _shares(self.inside)
        for name, scores in self.outside.items():
            _, tpr, fpr = anomaly.roc_curve(self.inside, scores)
            places = np.linspace(0, len(tpr) - 1, 200).round().astype(int)  # enough for a picture
            self.curves[name] = fpr.numpy()[places], tpr.numpy()[places]
            self.areas[name] = anomaly.auroc(self.inside, scores)
            self.shares[name] = _shares(scores)

    def draw(self, figure: Figure, source: str, odd: int, threshold: float) -> str:
        """Draw the two histograms, the ROC curve, and a hundred alarms of a day.

        Args:
            figure: empty.
            source: a name of `outside`.
            odd: pictures a day that do not belong, of `A_DAY`.
            threshold: in nines.
        """
        limit = 1 - 10.0**-threshold
        tpr = (self.inside >= limit).double().mean().item()
        fpr = (self.outside[source] >= limit).double().mean().item()
        day = day_of(tpr, fpr, odd)

        left, middle, right = figure.subplots(1, 3, width_ratios=(1.7, 1, 1))
        draw_shares(left, self.shares_inside, self.shares[source])
        left.axvline(threshold, color="black", lw=2)
        left.set_title("let through: right of the line")
        self._draw_curve(middle, source, fpr, tpr)
        _draw_alarms(right, day)
        return (
            f"Odd pictures from {source}, {odd:,} among {A_DAY:,} a day. Threshold {limit:.6f}: "
            f"TPR {100 * tpr:.1f} %, FPR {100 * fpr:.1f} %, AUROC {self.areas[source]:.3f}. "
            f"A day: {day['false alarms']:,} false alarms, {day['caught']:,} odd ones caught, "
            f"{day['missed']:,} missed; {_worth(day)}."
        )

    def _draw_curve(self, axes: Axes, source: str, fpr: float, tpr: float) -> None:
        axes.plot((0, 1), (0, 1), color="0.7", ls=":")
        axes.plot(*self.curves[source], color="black")
        axes.plot(fpr, tpr, "o", color="tab:red", ms=9)
        axes.set(title="ROC: the red point is here", xlabel="FPR", ylabel="TPR")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=(0, 1), yticks=(0, 1))


def day_of(tpr: float, fpr: float, odd: int) -> dict[str, float]:
    """Return what a detector does on a day of `A_DAY` pictures.

    Args:
        tpr: share of the known pictures that it lets through.
        fpr: share of the odd ones that it lets through.
        odd: how many of the day's pictures are odd.

    Returns:
        `false alarms`, `caught` and `missed`, whole numbers; `real`, the share of alarms that are
        for an odd picture, NaN on a day without alarm.
    """
    false_alarms, missed = round((1 - tpr) * (A_DAY - odd)), round(fpr * odd)
    caught = odd - missed
    alarms = caught + false_alarms
    real = caught / alarms if alarms else math.nan
    return {"false alarms": false_alarms, "caught": caught, "missed": missed, "real": real}


def _worth(day: Mapping[str, float]) -> str:
    if math.isnan(day["real"]):
        return "no alarm at all"
    return f"{100 * day['real']:.0f} % of the alarms are real"


def _shares(scores: Tensor) -> np.ndarray:
    """Return the percentage in each bin of nines; what has more is in the last."""
    counts, _ = np.histogram(nines(scores).clamp(max=MOST_NINES - 1e-6).numpy(), _BINS)
    return 100 * counts / len(scores)


def draw_shares(axes: Axes, inside: np.ndarray, outside: np.ndarray) -> None:
    """Draw two histograms over nines of confidence.

    Args:
        axes: where to.
        inside: percentage in each bin.
        outside: the same.
    """
    corner = {"transform": axes.transAxes, "ha": "right", "va": "center"}
    pairs = ((inside, INSIDE, "known"), (outside, OUTSIDE, "odd"))
    for row, (shares, colour, name) in enumerate(pairs):
        axes.stairs(shares, _BINS, fill=True, alpha=0.5, color=colour)
        axes.text(0.97, 0.93 - 0.11 * row, name, color=colour, weight="bold", **corner)
    axes.set_xticks(list(_TICKS), list(_TICKS.values()), fontsize=9)
    axes.set(xlim=(0, MOST_NINES), xlabel="confidence", ylabel="% of the set's pictures")
    axes.set_ylim(0, 1.08 * max(inside.max(), outside.max()))


def _draw_alarms(axes: Axes, day: Mapping[str, float]) -> None:
    """Draw a hundred squares, one a percent of the alarms; the coloured ones are real."""
    real = 0 if math.isnan(day["real"]) else round(100 * day["real"])
    squares = np.full((31, 31, 3), 1.0)
    for number in range(100):
        top, left = 3 * (number // 10) + 1, 3 * (number % 10) + 1
        colour = (1.0, 0.5, 0.05) if number < real else (0.8, 0.8, 0.8)
        squares[top : top + 2, left : left + 2] = colour
    axes.imshow(squares, interpolation="nearest")
    silent = math.isnan(day["real"])
    axes.set_title("no alarm" if silent else f"of 100 alarms, {real} are real")
    axes.set_axis_off()


# ---- Figures of the lesson -----------------------------------------------------------------------


def interview(
    pictures: Mapping[str, Tensor],
    probabilities: Tensor,
    classes: Sequence[str],
) -> Figure:
    """Draw pictures, each with what a network says of it: a bar for each class.

    Args:
        pictures: N of them, from a title to (C, H, W) in [0, 1].
        probabilities: (N, classes).
        classes: their names.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    bars = 0.35 + 0.22 * len(classes)
    figure, grid = plt.subplots(
        2,
        len(pictures),
        figsize=(1.75 * len(pictures), 2.0 + bars),
        height_ratios=(1.9, bars),
        squeeze=False,
        layout="constrained",
    )
    for number, (title, picture) in enumerate(pictures.items()):
        plots.draw_picture(grid[0, number], picture, title)
        _draw_answer(grid[1, number], probabilities[number].tolist(), classes)
    return figure


def _draw_answer(axes: Axes, shares: Sequence[float], classes: Sequence[str]) -> None:
    best = max(range(len(classes)), key=shares.__getitem__)
    for place, (share, name) in enumerate(zip(shares, classes, strict=True)):
        wins = place == best
        axes.barh(place, 1, color="0.93", height=0.8)
        axes.barh(place, share, color="tab:olive" if wins else "0.6", height=0.8)
        text = f"{name} {100 * share:.1f} %"
        axes.text(0.03, place, text, va="center", weight="bold" if wins else "normal")
    axes.set(xlim=(0, 1), ylim=(len(classes) - 0.5, -0.5))
    axes.set_axis_off()


def two_maps(
    share: Mapping[str, Tensor],
    spans: Sequence[tuple[float, float]],
    points: Mapping[str, Tensor],
    labels: tuple[str, str],
    strangers: Mapping[str, tuple[float, float]],
) -> Figure:
    """Draw the probability of the second class over two parts of a plane.

    Args:
        share: from a title to (rows, columns), from 0 to 1, the first row at the bottom.
        spans: how far each map reaches to the right and up; both start at 0.
        points: of each class, the training points (N, 2).
        labels: of the two directions.
        strangers: from a name to the place of what was not trained on.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, grid = plt.subplots(1, len(share), figsize=(12.5, 4.2), layout="constrained")
    for axes, (title, values), span in zip(grid, share.items(), spans, strict=True):
        drawn = axes.imshow(
            values.numpy(),
            origin="lower",
            extent=(0, span[0], 0, span[1]),
            aspect="auto",
            cmap="PuOr",
            vmin=-0.25,  # pale enough at both ends for what is drawn on top
            vmax=1.25,
        )
        for (name, cloud), marker in zip(points.items(), "ox", strict=True):
            axes.plot(*cloud.T, marker, color="black", ms=5, label=name, mfc="white")
        for name, (x, y) in strangers.items():
            if span[0] / 100 < x <= span[0] and y <= span[1]:
                axes.plot(x, y, "*", color="black", ms=13, clip_on=False)
                axes.annotate(name, (x, y), (9, 4), textcoords="offset points")
        axes.set(title=title, xlabel=labels[0], xlim=(0, span[0]), ylim=(0, span[1]))
    grid[0].set_ylabel(labels[1])
    grid[0].legend(loc="upper left")
    figure.colorbar(drawn, ax=grid, ticks=(0, 0.5, 1), boundaries=np.linspace(0, 1, 101)).set_label(
        f"probability of {list(points)[1]}"
    )
    return figure


def along_a_line(factors: Tensor, logits: Tensor, classes: Sequence[str], named: int = 1) -> Figure:
    """Draw logits and confidence against the factor by which a picture is stretched.

    Args:
        factors: (K,), rising.
        logits: (K, classes).
        classes: their names.
        named: how many of the lines get a name, the highest at the end first.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained")
    first = logits[-1].argsort(descending=True)[:named].tolist()
    for number in range(len(classes)):
        style = {"lw": 2.5} if number in first else {"lw": 1, "color": "0.7"}
        left.plot(factors, logits[:, number], **style)
        if number in first:
            colour = left.lines[-1].get_color()
            left.text(factors[-1], logits[-1, number], f" {classes[number]}", color=colour)
    left.set(title="logits: straight lines, once far away", xlabel="contrast, t", ylabel="logit")
    left.set_xlim(0, 1.18 * factors[-1].item())
    right.plot(factors, logits.softmax(dim=1).amax(dim=1), color="black", lw=2.5)
    right.set(title="confidence: to 1", xlabel="contrast, t", ylabel="largest probability")
    right.set_ylim(0, 1.05)
    return figure


def two_histograms(inside: Tensor, outside: Tensor, names: tuple[str, str]) -> Figure:
    """Draw confidence inside and outside twice: from 0 to 1, and by nines.

    Args:
        inside: (N,), from 0 to 1.
        outside: (M,).
        names: of the two sets.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained")
    bins = np.linspace(0, 1, 21)
    for scores, colour, name in ((inside, INSIDE, names[0]), (outside, OUTSIDE, names[1])):
        weights = np.full(len(scores), 100 / len(scores))
        left.hist(scores.numpy(), bins, weights=weights, color=colour, alpha=0.5, label=name)
    left.set(title="confidence", xlabel="largest probability", ylabel="% of the set's pictures")
    left.legend(loc="upper left", frameon=False)
    draw_shares(right, _shares(inside), _shares(outside))
    right.set_title("the same, by the number of nines")
    return figure


def roc_figure(curves: Mapping[str, tuple[Tensor, Tensor]], tpr: float = anomaly.TPR) -> Figure:
    """Draw ROC curves, and where each reaches a TPR.

    Args:
        curves: from a name to TPR and FPR, (K,) each, both rising.
        tpr: that is marked.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(figsize=(6, 4.4), layout="constrained")
    axes.plot((0, 1), (0, 1), color="0.7", ls=":", label="tossing a coin")
    axes.axhline(tpr, color="0.5", lw=1)
    for name, (true, false) in curves.items():
        (line,) = axes.plot(false, true, lw=2, label=name)
        at = int((true >= tpr - 1e-9).int().argmax())
        axes.plot(false[at], true[at], "o", ms=9, color=line.get_color())
    axes.set(xlabel="FPR: odd ones let through", ylabel="TPR: known ones let through")
    axes.set_title(f"points: where TPR reaches {tpr:g}")
    axes.legend(loc="lower right")
    return figure
