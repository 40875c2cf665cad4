"""Explorer of lesson 15: published results, year by year; figures of what the fields moved to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import plots
from lessons_utils.explorers.live import live

YEARS = (2014, 2024)
"""First and last of the results."""


@dataclass(frozen=True)
class Result:
    """A published number."""

    method: str
    year: int
    """Of the conference or journal."""
    number: float
    special: str = ""
    """What it needs that the others of its board do not."""


@dataclass(frozen=True)
class Board:
    """Published numbers of one set of pictures and one metric.

    One protocol, too, where one group measured all (OpenOOD, opinions); else each method's paper
    has its own training set and, for NYU, its own crop.
    """

    unit: str
    """What the number is, for the axis."""
    source: str
    results: tuple[Result, ...]
    """By year."""
    larger_is_better: bool = True
    digits: int = 1
    """Decimals that the papers print."""

    def best(self, year: int) -> Result | None:
        """Return the best result up to a year; None where there is none yet."""
        sign = 1 if self.larger_is_better else -1
        known = [result for result in self.results if result.year <= year]
        return max(known, key=lambda result: sign * result.number, default=None)


_OPENOOD = "OpenOOD v1.5 (Zhang et al., 2023) and its leaderboard"
_RETRAINED = "trains the network anew"
_OUTLIERS = "trains with other images as outliers"


def _openood(near_or_far: int, rows: Mapping[str, tuple]) -> tuple[Result, ...]:
    """Take one of two columns from rows of year, near, far and what is special."""
    return tuple(
        Result(method, row[0], row[1 + near_or_far], row[3] if len(row) > 3 else "")
        for method, row in rows.items()
    )


_CIFAR10 = {
    "MSP": (2017, 88.0, 90.7),
    "ODIN": (2018, 82.9, 88.0),
    "OE": (2019, 94.8, 96.0, _OUTLIERS),
    "energy": (2020, 87.6, 91.2),
    "G-ODIN": (2020, 89.1, 95.5, _RETRAINED),
    "kNN": (2022, 90.6, 93.0),
    "LogitNorm": (2022, 92.3, 96.7, _RETRAINED),
}
_IMAGENET = {
    "MSP": (2017, 76.0, 85.2),
    "ODIN": (2018, 74.8, 89.5),
    "ASH": (2023, 78.2, 95.7),
    "SCALE": (2024, 81.4, 96.5),
}

BOARDS = {
    "Set5 x4: PSNR": Board(
        "PSNR, dB",
        "each method's own paper",
        (
            Result("SRCNN", 2015, 30.49),
            Result("VDSR", 2016, 31.35),
            Result("SRGAN", 2017, 29.40, "trained against a critic, to look real"),
            Result("SRResNet", 2017, 32.05),
            Result("EDSR", 2017, 32.46),
            Result("RCAN", 2018, 32.63),
            Result("SwinIR", 2021, 32.92),
            Result("HAT", 2023, 33.04),
        ),
        digits=2,
    ),
    "Set5 x4: people's opinion": Board(
        "mean opinion, 1 to 5",
        "Ledig et al. (SRGAN, 2017), table 2; the true pictures got 4.32",
        (
            Result("SRCNN", 2015, 2.57),
            Result("ESPCN", 2016, 2.89),
            Result("DRCN", 2016, 3.26),
            Result("SRResNet", 2017, 3.37),
            Result("SRGAN", 2017, 3.58, "trained against a critic, to look real"),
        ),
        digits=2,
    ),
    "NYU: abs rel": Board(
        "abs rel",
        "each method's own paper",
        (
            Result("Eigen", 2014, 0.215),
            Result("Eigen, Fergus", 2015, 0.158),
            Result("FCRN", 2016, 0.127),
            Result("DORN", 2018, 0.115),
            Result("AdaBins", 2021, 0.103),
            Result("NeWCRFs", 2022, 0.095),
            Result("ZoeDepth", 2023, 0.075, "first trained on twelve other data sets"),
            Result("Metric3D", 2023, 0.083, "never trained on NYU"),
            Result("Depth Anything", 2024, 0.056, "first trained on 62 million photographs"),
        ),
        larger_is_better=False,
        digits=3,
    ),
    "CIFAR-10, near: AUROC": Board("AUROC, %", _OPENOOD, _openood(0, _CIFAR10)),
    "CIFAR-10, far: AUROC": Board("AUROC, %", _OPENOOD, _openood(1, _CIFAR10)),
    "ImageNet, near: AUROC": Board("AUROC, %", _OPENOOD, _openood(0, _IMAGENET)),
    "ImageNet, far: AUROC": Board("AUROC, %", _OPENOOD, _openood(1, _IMAGENET)),
}
"""Only numbers of one set of pictures and one metric share a board; see `Board` for protocols."""


def published_results() -> None:
    """Show the explorer: choose a board, and up to which year it is read."""
    live(
        draw_board,
        size=(8, 3.6),
        board=widgets.Dropdown(options=list(BOARDS), description="Board"),
        year=widgets.IntSlider(YEARS[1], min=YEARS[0], max=YEARS[1], description="up to"),
    )


def draw_board(figure: Figure, board: str, year: int) -> str:
    """Draw a board's results up to a year and the best so far as a staircase.

    Args:
        figure: empty.
        board: a key of `BOARDS`.
        year: within `YEARS`.
    """
    chosen = BOARDS[board]
    axes = figure.subplots()
    known = [result for result in chosen.results if result.year <= year]
    _draw_staircase(axes, chosen, year)
    for result in known:
        colour = "tab:orange" if result.special else "tab:blue"
        axes.plot(result.year, result.number, "o", color=colour, ms=6)
        leads = _label_fits_above(chosen, result)
        axes.annotate(
            f"{result.method} {result.number:.{chosen.digits}f}",
            (result.year, result.number),
            xytext=(-6, 3) if leads else (6, -8),
            textcoords="offset points",
            ha="right" if leads else "left",
            fontsize=8,
        )
    numbers = [result.number for result in chosen.results]
    margin = 0.1 * (max(numbers) - min(numbers))
    limits = (min(numbers) - margin, max(numbers) + margin)
    axes.set(xlim=(YEARS[0] - 2, YEARS[1] + 1.5), ylim=limits, ylabel=chosen.unit)
    axes.set_xticks(range(YEARS[0], YEARS[1] + 1, 2))
    if not chosen.larger_is_better:
        axes.invert_yaxis()
    axes.set_title(f"{board}; higher up is better. Orange: needs something special")
    best = chosen.best(year)
    if best is None:
        return f"{board}, up to {year}: nothing published yet."
    special = f", which {best.special}" if best.special.startswith("trains") else ""
    special = special or (f" ({best.special})" if best.special else "")
    return (
        f"{board}, up to {year}: {len(known)} of {len(chosen.results)} results, the best "
        f"{best.method} ({best.year}) with {best.number:.{chosen.digits}f}{special}. "
        f"Source: {chosen.source}."
    )


def _label_fits_above(board: Board, result: Result) -> bool:
    """Say whether there is room left above the stairs: it leads, and by a step that is not low."""
    before = board.best(result.year - 1)
    numbers = [each.number for each in board.results]
    low_step = 0.1 * (max(numbers) - min(numbers))
    crowded = (
        before is not None
        and before.year == result.year - 1
        and abs(before.number - result.number) < low_step
    )
    return board.best(result.year) == result and not crowded


def _draw_staircase(axes: plt.Axes, board: Board, year: int) -> None:
    found = [(each, board.best(each)) for each in range(YEARS[0], year + 1)]
    steps = [(each, best.number) for each, best in found if best is not None]
    if steps:
        axes.step(*zip(*steps, strict=True), where="post", color="0.75", lw=2, zorder=0)


# ---- Figures of the lesson -----------------------------------------------------------------------


def trade_figure(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Draw PSNR against sharpness while pictures are sharpened more and more.

    Args:
        curves: from the start of a curve to its sharpness, as a share of the truth's, and its PSNR
            in dB; the first point is the start itself.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
    colours = ("tab:gray", "tab:blue")
    for (name, (sharpness, psnr)), colour in zip(curves.items(), colours, strict=True):
        axes.plot(sharpness, psnr, "o-", color=colour, ms=4)
        axes.plot(sharpness[0], psnr[0], "o", color=colour, ms=10)
        axes.annotate(name, (sharpness[0], psnr[0]), xytext=(0, 10), textcoords="offset points")
    axes.axvline(1, color="tab:orange", lw=2)
    axes.margins(y=0.15)
    label = {"color": "tab:orange", "ha": "right", "va": "bottom"}
    axes.text(1, axes.get_ylim()[0], "as sharp as the truth ", **label)
    axes.set(xlabel="sharpness, as a share of the truth's", ylabel="PSNR, dB")
    axes.set_title("Sharpen on to the right: closer to the truth in one way, further in the other")
    return figure


def protocols_figure(errors: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw the errors of several depth networks, each by several protocols.

    Args:
        errors: from a protocol to the error of each network, by its name.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    networks = list(next(iter(errors.values())))
    figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
    styles = (("o", "tab:blue"), ("s", "tab:orange"), ("^", "tab:green"))
    for (protocol, row), (marker, colour) in zip(errors.items(), styles, strict=True):
        values = [row[network] for network in networks]
        axes.plot(values, range(len(networks)), marker, color=colour, ms=10, label=protocol)
    axes.set_yticks(range(len(networks)), networks)
    axes.set(xlabel="abs rel (less is better)", ylim=(len(networks) - 0.5, -0.5))
    axes.set_title("One network, three errors: what is given away before measuring?")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside right center", frameon=False, title="before measuring")
    return figure


def near_far_figure(areas: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Draw how well scores part sets of images, from near to far, one panel a network.

    Args:
        areas: from a network to a score to the AUROC on each set, from near to far.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, grid = plt.subplots(
        1, len(areas), figsize=(12, 3.8), sharey=True, squeeze=False, layout="constrained"
    )
    markers = "osD^v"
    for axes, (network, scores) in zip(grid[0], areas.items(), strict=True):
        for (score, row), marker in zip(scores.items(), markers, strict=False):
            axes.plot(range(len(row)), list(row.values()), f"{marker}-", label=score, ms=6)
        axes.set_xticks(range(len(row)), [name.replace(" ", "\n", 1) for name in row], fontsize=8)
        axes.axhline(0.5, color="0.6", lw=1, ls="--")
        axes.set_title(network)
    grid[0, 0].set_ylabel("AUROC (dashed: a coin)")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def defect_figure(good: Tensor, inspected: Tensor, distances: Tensor) -> Figure:
    """Draw a faultless picture, one with a defect, and how foreign each place of it is.

    Args:
        good: (1, 3, H, W) in [0, 1].
        inspected: (1, 3, H', W') in [0, 1].
        distances: (1, 1, h, w), from each place to the nearest good one.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, grid = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
    plots.draw_picture(grid[0], good, "all that is known: a faultless wall")
    plots.draw_picture(grid[1], inspected, "to be inspected")
    drawn = grid[2].imshow(distances[0, 0].numpy(), cmap="magma")
    grid[2].set_title("how foreign each place is")
    grid[2].set_axis_off()
    figure.colorbar(drawn, ax=grid[2], label="distance to the nearest known patch")
    return figure
