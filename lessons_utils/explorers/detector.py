"""Explorer of lesson 14: choose network, strangers, temperature and step; figures of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import anomaly, plots
from lessons_utils.explorers.live import live

INSIDE = "cifar10-test"
"""The set of in-distribution images of every bank."""

TITLES = {
    "tinyimagenet-crop": "TinyImageNet crop",
    "tinyimagenet-resize": "TinyImageNet resize",
    "cifar100": "CIFAR-100",
    "mnist": "MNIST digits",
    "gaussian": "Gaussian noise",
    "uniform": "uniform noise",
}
"""How figures call the other sets of a bank; those for tuning are not among them."""

_IN, _OUT = "tab:blue", "tab:orange"


def choose_detector(banks: Mapping[str, anomaly.ScoreBank]) -> None:
    """Show an explorer: histograms and the false alarms of ODIN at a setting of your choice.

    Args:
        banks: from the name of a network to its scores.
    """
    explorer = ChooseDetector(banks)
    temperatures, epsilons = explorer.temperatures, explorer.epsilons
    live(
        explorer.draw,
        size=(9, 3.3),
        network=widgets.Dropdown(options=list(banks), description="network"),
        other=widgets.Dropdown(
            options=[(title, name) for name, title in TITLES.items()],
            value="gaussian",
            description="other images",
        ),
        temperature=widgets.SelectionSlider(
            options=[(f"{value:g}", value) for value in temperatures],
            value=temperatures[-1],
            description="temperature",
        ),
        epsilon=widgets.SelectionSlider(
            options=[(f"{value:g}", value) for value in epsilons],
            value=epsilons[0],
            description="epsilon",
        ),
    )


class ChooseDetector:
    """What `choose_detector` draws.

    Args:
        banks: from the name of a network to its scores; all of one grid.

    Raises:
        ValueError: the banks have different grids.
    """

    def __init__(self, banks: Mapping[str, anomaly.ScoreBank]) -> None:
        grids = {(bank.temperatures, bank.epsilons) for bank in banks.values()}
        if len(grids) != 1:
            raise ValueError(f"Expected score banks of one grid; got {len(grids)} grids.")
        self.banks = banks
        ((self.temperatures, self.epsilons),) = grids
        self._shares: dict[tuple[str, str], np.ndarray] = {}

    def passing(self, network: str, other: str) -> np.ndarray:
        """Return the share of other images that pass at 95 % TPR, (temperatures, epsilons)."""
        if (network, other) not in self._shares:
            sets = self.banks[network].sets
            grid = false_positives(sets[INSIDE].odin, sets[other].odin)
            self._shares[network, other] = grid.numpy()
        return self._shares[network, other]

    def draw(
        self, figure: Figure, network: str, other: str, temperature: float, epsilon: float
    ) -> str:
        """Draw both sets' scores and, over epsilon, which share of the others passes.

        Args:
            figure: empty.
            network: a key of the banks.
            other: a key of `TITLES`.
            temperature: of the grid.
            epsilon: of the grid.
        """
        bank = self.banks[network]
        known, unknown = (bank.odin(name, temperature, epsilon) for name in (INSIDE, other))
        classes = bank.sets[INSIDE].logits.shape[1]
        threshold = anomaly.threshold_at_tpr(known)
        shares = self.passing(network, other)
        chosen = shares[self.temperatures.index(temperature), self.epsilons.index(epsilon)]

        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        sides = [temperature * (scores * classes).log() for scores in (known, unknown)]
        limit = temperature * float(np.log(threshold * classes))
        self._draw_scores(left, *sides, limit)
        self._draw_shares(right, shares, self.epsilons.index(epsilon), chosen)
        return (
            f"{network}, CIFAR-10 against {TITLES[other]}, T = {temperature:g}, "
            f"epsilon = {epsilon:g}: where 95 % of CIFAR-10 pass, {100 * chosen:.1f} % of the "
            f"others do, AUROC {100 * anomaly.auroc(known, unknown):.1f} %; at T = 1 without a "
            f"step {100 * shares[0, 0]:.1f} % do."
        )

    def _draw_scores(self, axes: Axes, known: Tensor, unknown: Tensor, limit: float) -> None:
        low = min(known.min().item(), unknown.min().item())
        high = max(known.max().item(), unknown.max().item())
        edges = np.linspace(low, high, 41)
        highest = 0.0
        for scores, colour in ((known, _IN), (unknown, _OUT)):
            share = 100 * np.histogram(scores.numpy(), edges)[0] / len(scores)
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.5)
            highest = max(highest, share.max())
        axes.axvline(limit, color="black")
        axes.set(xlim=(low, high), ylim=(0, 1.1 * highest), yticks=())
        axes.set(xlabel="score: T log(10 S)", ylabel="share of each set")
        axes.set_title("blue: CIFAR-10, 95 % of it right of the line", fontsize=11)

    def _draw_shares(self, axes: Axes, shares: np.ndarray, column: int, chosen: float) -> None:
        styles = zip(self.temperatures, shares, ("C7", "C4", "C2"), ("o", "s", "^"), strict=False)
        steps = range(len(self.epsilons))
        for temperature, row, colour, marker in styles:
            axes.plot(
                steps, 100 * row, color=colour, marker=marker, ms=4, label=f"T = {temperature:g}"
            )
        axes.plot(column, 100 * chosen, "o", ms=13, mfc="none", mec="black", mew=2)
        axes.set_xticks(steps, [f"{1000 * value:g}" for value in self.epsilons], fontsize=8)
        axes.set(ylim=(-4, 104), yticks=(0, 50, 100))
        axes.set(xlabel="epsilon, thousandths", ylabel="FPR at 95 % TPR, %")
        axes.set_title("others that pass; ring: your setting", fontsize=11)
        axes.legend(fontsize=8, loc="upper right", framealpha=0.6)


def false_positives(inside: Tensor, outside: Tensor) -> Tensor:
    """Return FPR at 95 % TPR for every pair of a grid, (G, E) float64.

    Args:
        inside: (G, E, N) scores, from `anomaly.odin_grid` or a bank.
        outside: (G, E, M).
    """
    rows, columns = inside.shape[:2]
    table = torch.empty(rows, columns, dtype=torch.float64)
    for row, column in product(range(rows), range(columns)):
        table[row, column] = anomaly.fpr_at_tpr(inside[row, column], outside[row, column])
    return table


# ---- Figures of the lesson -----------------------------------------------------------------------


def grid_figure(
    tables: Mapping[str, Tensor],
    chosen: Mapping[str, tuple[int, int]],
    rows: Sequence[str],
    columns: Sequence[str],
) -> Figure:
    """Draw FPR at 95 % TPR over a grid, the darker the better, with a frame round the choice.

    Args:
        tables: from a title to (G, E), shares.
        chosen: from the same titles to a row and a column.
        rows: what the G rows are called.
        columns: what the E columns are called.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    size = (12, 0.42 * len(rows) + 1.1)
    figure, grid = plt.subplots(
        1, len(tables), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (title, table) in zip(grid[0], tables.items(), strict=True):
        _numbers(axes, 100 * table, (100 * table.min().item(), 100 * table.max().item()))
        row, column = chosen[title]
        frame = plt.Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False)
        frame.set(edgecolor="tab:orange", linewidth=4)
        axes.add_patch(frame)
        axes.set_xticks(range(len(columns)), columns, fontsize=9)
        axes.set_title(title)
    grid[0, 0].set_yticks(range(len(rows)), rows)
    return figure


def arrows_figure(panels: Mapping[str, Mapping[str, tuple[float, float]]]) -> Figure:
    """Draw for each set an arrow from the baseline's error to ODIN's, one panel a network.

    Args:
        panels: from the name of a network to a mapping from a set's title to the two, in %.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    figure, grid = plt.subplots(
        1,
        len(panels),
        figsize=(12, 0.42 * len(names) + 1.3),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (title, panel) in zip(grid[0], panels.items(), strict=True):
        for name, (before, after) in panel.items():
            place = names.index(name)
            axes.annotate(
                "",
                (after, place),
                (before, place),
                arrowprops={"arrowstyle": "-|>", "color": "0.4", "lw": 2, "shrinkB": 0},
            )
            axes.plot(before, place, "o", ms=9, mfc="white", mec=_OUT, mew=2)
            axes.plot(after, place, "D", ms=8, color=_IN)
        axes.set(xlim=(-4, 104), ylim=(len(names) - 0.5, -0.5), title=title)
        axes.set_xlabel("FPR at 95 % TPR, %")
        axes.grid(axis="x", alpha=0.4)
    grid[0, 0].set_yticks(range(len(names)), names)
    handles = [
        plt.Line2D([], [], marker="o", ls="", ms=9, mfc="white", mec=_OUT, mew=2),
        plt.Line2D([], [], marker="D", ls="", ms=8, color=_IN),
    ]
    figure.legend(handles, ["baseline", "ODIN"], loc="outside lower center", ncols=2)
    return figure


def plane_figure(
    panels: Mapping[str, tuple[Tensor, Tensor]], inside: tuple[Tensor, Tensor], threshold: float
) -> Figure:
    """Draw images in the plane that ODIN's threshold divides: score before the step, and its gain.

    Args:
        panels: from the title of other images to (M,) scores before the step and (M,) gains, both
            as T log S, up to a constant.
        inside: the same of in-distribution images.
        threshold: of the sum of the two.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, grid = plt.subplots(
        1,
        len(panels),
        figsize=(12, 3.6),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (title, (before, gain)) in zip(grid[0], panels.items(), strict=True):
        passing = (before + gain >= threshold).double().mean().item()
        axes.plot(*inside, ".", ms=3, color=_IN, alpha=0.35, label="CIFAR-10", rasterized=True)
        axes.plot(before, gain, "x", ms=3, color=_OUT, alpha=0.6, label=title, rasterized=True)
        axes.axline((threshold, 0), slope=-1, color="black", lw=2)
        axes.axvline(anomaly.threshold_at_tpr(inside[0]), color="black", lw=1, ls=":")
        axes.set(title=f"{title}: {100 * passing:.0f} % pass", xlabel="before: T log(10 S)")
    grid[0, 0].set_ylabel("what the step adds to T log S")
    return figure


def scores_figure(
    panels: Mapping[str, Tensor], rows: Sequence[str], columns: Sequence[str]
) -> Figure:
    """Draw tables of FPR at 95 % TPR, the darker the better; the best of each column is framed.

    Args:
        panels: from a title to (rows, columns), in %.
        rows: names of scores.
        columns: names of sets.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, grid = plt.subplots(
        1,
        len(panels),
        figsize=(13, 0.42 * len(rows) + 1.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (title, table) in zip(grid[0], panels.items(), strict=True):
        _numbers(axes, table)
        for column, row in enumerate(table.argmin(dim=0).tolist()):
            place = (column - 0.46, row - 0.46)
            axes.add_patch(plt.Rectangle(place, 0.92, 0.92, fill=False, ec="tab:orange", lw=3))
        heads = [name.replace(" ", "\n", 1) for name in columns]
        axes.set_xticks(range(len(columns)), heads, fontsize=8)
        axes.set(title=title)
    grid[0, 0].set_yticks(range(len(rows)), rows)
    return figure


def benchmark_figure(tables: Mapping[str, Mapping[str, tuple[float, float]]]) -> Figure:
    """Draw AUROC on near and on far sets for each method, one panel a benchmark.

    Args:
        tables: from a title to a mapping from a method to its two AUROCs, near and far, in %. ODIN
            is drawn in orange.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    sizes = [len(table) for table in tables.values()]
    figure, grid = plt.subplots(
        1,
        len(tables),
        figsize=(13, 0.4 * max(sizes) + 1.2),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (title, table) in zip(grid[0], tables.items(), strict=True):
        for place, (method, (near, far)) in enumerate(table.items()):
            colour = _OUT if method == "ODIN" else _IN
            axes.plot([near, far], [place, place], color=colour, lw=2)
            axes.plot(near, place, "o", ms=8, mfc="white", mec=colour, mew=2)
            axes.plot(far, place, "D", ms=7, color=colour)
        axes.set_yticks(range(len(table)), table)
        axes.set(title=title, xlabel="AUROC, %", ylim=(max(sizes) - 0.5, -0.5))
        axes.grid(axis="x", alpha=0.4)
    handles = [
        plt.Line2D([], [], marker="o", ls="", ms=8, mfc="white", mec="0.3", mew=2),
        plt.Line2D([], [], marker="D", ls="", ms=7, color="0.3"),
    ]
    figure.legend(handles, ["near sets", "far sets"], loc="outside lower center", ncols=2)
    return figure


def rows_figure(rows: Mapping[str, Tensor], notes: Sequence[str] = ()) -> Figure:
    """Draw rows of small pictures, each row under its name.

    Args:
        rows: from a name to (N, C, H, W) in [0, 1].
        notes: one for each column, above it.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    count = max(len(images) for images in rows.values())
    figure, grid = plt.subplots(
        len(rows),
        count,
        figsize=(12, 12 / count * len(rows) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image in zip(line, images, strict=True):
            plots.draw_picture(axes, image)
        line[0].set_title(name, loc="left")
    for axes, note in zip(grid[0], notes, strict=False):
        axes.set_title(note, fontsize=10)
    return figure


def histograms_figure(
    inside: Tensor, others: Mapping[str, Tensor], threshold: float, label: str
) -> Figure:
    """Draw the scores of in-distribution images beside those of others, one panel a set.

    Args:
        inside: (N,) scores.
        others: from a title to (M,) scores.
        threshold: accepts what reaches it.
        label: of the axis of scores.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, grid = plt.subplots(
        1,
        len(others),
        figsize=(12, 2.9),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    everything = torch.cat([inside, *others.values()])
    edges = np.linspace(everything.min().item(), everything.max().item(), 31)
    for axes, (title, scores) in zip(grid[0], others.items(), strict=True):
        passing = (scores >= threshold).double().mean().item()
        for part, colour in ((inside, _IN), (scores, _OUT)):
            share = 100 * np.histogram(part.numpy(), edges)[0] / len(part)
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.5)
        axes.axvline(threshold, color="black")
        axes.set(title=f"{title}: {100 * passing:.0f} % pass", xlabel=label)
    grid[0, 0].set_ylabel("% of the set")
    return figure


def _numbers(axes: Axes, table: Tensor, limits: tuple[float, float] = (0, 100)) -> None:
    """Draw a table of percentages, the darker the smaller, with each number in its cell."""
    low, high = limits
    axes.imshow(table.numpy(), cmap="cividis", vmin=low, vmax=high, aspect="auto")
    for (row, column), value in np.ndenumerate(table.numpy()):
        colour = "white" if value < low + 0.55 * (high - low) else "black"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
