"""Explorer of lesson 08: seek a pixel's depth along its epipolar line; figures of the search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import motion, plots
from lessons_utils.explorers.live import live

_CHOSEN, _BEST, _TRUE = "#ffd60a", "#cc3377", "black"
_TICKS = (3, 5, 10, 20, 40, 80)
_WINDOWS = (1, 5, 11)
_ENLARGED, _GAP = 3, 6  # times; pixels between the pictures


@dataclass(frozen=True)
class Pair:
    """Two frames of one street, and how the camera moved between them.

    Attributes:
        target: (1, 3, H, W) in [0, 1].
        source: (1, 3, H, W) in [0, 1].
        depth: (1, 1, H, W), metres: the truth.
        T: (1, 4, 4), target to source.
        K: (1, 3, 3).
    """

    target: Tensor
    source: Tensor
    depth: Tensor
    T: Tensor
    K: Tensor

    def line(self, row: int, column: int, depths: Tensor) -> Tensor:
        """Return where the source would show one pixel of the target at each depth, (N, 2)."""
        ray = torch.linalg.inv(self.K[0]) @ torch.tensor([column, row, 1.0])
        points = (ray[:, None] * depths)[None, :, None]  # (1, 3, 1, N)
        return motion.project(motion.transform(points, self.T), self.K)[0, :, 0].T


def search_along_the_line(
    pair: Pair, depths: Tensor, errors: Tensor, points: Mapping[str, tuple[int, int]]
) -> None:
    """Show an explorer: a pixel, a window and a candidate depth; where it is looked for; the error.

    Args:
        pair: two frames.
        depths: (N,), metres, rising: the candidates.
        errors: (N, 1, H, W): the photometric error of each pixel at each depth, NaN where the
            source does not show the place.
        points: from a name to the row and column of a pixel.
    """
    explorer = SearchAlongTheLine(pair, depths, errors, points)
    names = [f"{depth:.1f}" for depth in depths.tolist()]
    live(
        explorer.draw,
        size=(10.5, 3.9),
        point=widgets.Dropdown(options=list(points), description="pixel on"),
        window=widgets.Dropdown(options=_WINDOWS, value=5, description="window, pixels"),
        candidate=widgets.SelectionSlider(
            options=[(name, index) for index, name in enumerate(names)],
            value=len(names) // 2,
            description="depth, m",
        ),
    )


class SearchAlongTheLine:
    """What `search_along_the_line` draws.

    Args:
        pair: two frames.
        depths: (N,), metres, rising.
        errors: (N, 1, H, W), NaN outside.
        points: from a name to a pixel.
    """

    def __init__(
        self, pair: Pair, depths: Tensor, errors: Tensor, points: Mapping[str, tuple[int, int]]
    ) -> None:
        self.pair, self.depths, self.errors, self.points = pair, depths, errors, points

    def curve(self, point: str, window: int) -> Tensor:
        """Return the mean error of a window around a pixel at each depth, (N,); NaN outside."""
        row, column = self.points[point]
        half = window // 2
        rows, columns = (slice(max(at - half, 0), at + half + 1) for at in (row, column))
        return self.errors[:, 0, rows, columns].mean(dim=(1, 2))

    def draw(self, figure: Figure, point: str, window: int, candidate: int) -> str:
        """Draw the pixel, the line on which the source shows it, and the error along the line.

        Args:
            figure: empty.
            point: name of the pixel.
            window: side of the window that is compared, pixels.
            candidate: number of the depth.
        """
        row, column = self.points[point]
        curve, depths = self.curve(point, window), self.depths
        best = int(curve.nan_to_num(torch.inf).argmin())
        truth = self.pair.depth[0, 0, row, column].item()

        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        self._draw_pictures(left, row, column, self.pair.line(row, column, depths), candidate)
        draw_curve(right, depths, curve, truth, best)
        yours = math.log10(depths[candidate].item())
        right.axvline(yours, color="#b59a00", lw=3, label="yours")
        right.set_title("error along the line", y=1)  # a fixed place: nothing is measured for it
        right.legend(loc="lower right", fontsize="small")

        error = curve[candidate].item()
        said = "lies outside the source" if error != error else f"has an error of {error:.3f}"
        return (
            f"{point}, window {window} × {window}: a depth of {depths[candidate]:.1f} m {said}. "
            f"The lowest error, {curve[best]:.3f}, lies at {depths[best]:.1f} m; the truth is "
            f"{truth:.1f} m."
        )

    def _draw_pictures(
        self, axes: Axes, row: int, column: int, line: Tensor, candidate: int
    ) -> None:
        """The target above, the part of the source around the line below: one axes is faster."""
        target, source = self.pair.target, self.pair.source
        height, width = target.shape[-2:]
        plots.draw_picture(axes, target, "above: the pixel; below: where the source would show it")
        axes.plot(column, row, "s", mfc="none", mec=_CHOSEN, ms=9, mew=2)
        top = height + _GAP
        left, upper = _corner(source, line, _ENLARGED)
        part = source[..., upper : upper + height // _ENLARGED, left : left + width // _ENLARGED]
        extent = (-0.5, width - 0.5, top + height - 0.5, top - 0.5)
        axes.imshow(plots.to_array(part), extent=extent, interpolation="nearest")
        middle = (_ENLARGED - 1) / 2  # a pixel's centre lies in the middle of its block
        corner, start = torch.tensor([left, upper]), torch.tensor([0, top])
        places = (line - corner) * _ENLARGED + start + middle
        shown = (places[:, 1] > top) & (places[:, 0] >= 0)  # never over the target
        axes.plot(*places[shown].T.numpy(), color="white", lw=1.5)
        if shown[candidate]:
            axes.plot(*places[candidate].tolist(), "s", mfc="none", mec=_CHOSEN, ms=11, mew=2)
        axes.set(xlim=(-0.5, width - 0.5), ylim=(top + height - 0.5, -0.5))


def _corner(source: Tensor, line: Tensor, times: int) -> tuple[int, int]:
    """Column and row where the part of the source begins that has a line in its middle."""
    height, width = source.shape[-2:]
    middle = ((line.amin(0) + line.amax(0)) / 2).tolist()
    return tuple(
        min(max(round(at - size / times / 2), 0), size - size // times)
        for at, size in zip(middle, (width, height), strict=True)
    )


def draw_curve(axes: Axes, depths: Tensor, curve: Tensor, truth: float, best: int) -> None:
    """Draw the error of each depth, the best depth and the true one.

    Args:
        axes: where to.
        depths: (N,), metres.
        curve: (N,); NaN is not drawn.
        truth: metres.
        best: number of the best depth.
    """
    # Logarithms on a plain axis: matplotlib's own logarithmic one draws far slower.
    axes.set_xticks([math.log10(tick) for tick in _TICKS], [str(tick) for tick in _TICKS])
    axes.set_xlim(*(math.log10(depths[end].item()) for end in (0, -1)))
    axes.plot(depths.log10().numpy(), curve.numpy(), color="0.35", lw=1.8)
    axes.axvline(math.log10(truth), color=_TRUE, ls="--", lw=1.8, label="truth")
    lowest = math.log10(depths[best].item()), curve[best].item()
    axes.plot(*lowest, "o", color=_BEST, ms=8, label="lowest", clip_on=False)
    axes.set(xlabel="depth, metres", ylabel="photometric error")
    axes.set_ylim(bottom=0)


# ---- Figures of the lesson -----------------------------------------------------------------------


def line_figure(pair: Pair, row: int, column: int, depths: Tensor, marks: Tensor) -> Figure:
    """Draw a pixel of the target, and its epipolar line in the source with some depths named.

    Args:
        pair: two frames.
        row: of the pixel.
        column: of the pixel.
        depths: (N,), metres: the line.
        marks: (M,), metres: the depths that are named.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(13, 2.5), layout="constrained")
    plots.draw_picture(axes[0], pair.target, "target: one pixel")
    axes[0].plot(column, row, "s", mfc="none", mec=_CHOSEN, ms=9, mew=2.5)
    plots.draw_picture(axes[1], pair.source, "source, enlarged: the line on which it must be")
    axes[1].plot(*pair.line(row, column, depths).T.numpy(), color="white", lw=1.5)
    places = pair.line(row, column, marks)
    axes[1].plot(*places.T.numpy(), "o", color=_CHOSEN, mec="black", ms=6)
    for number, (depth, place) in enumerate(zip(marks.tolist(), places.tolist(), strict=True)):
        axes[1].annotate(
            f"{depth:g} m",
            place,
            (0, 12 if number % 2 else -19),
            textcoords="offset points",
            ha="center",
            color=_CHOSEN,
            bbox={"facecolor": "black", "alpha": 0.75, "lw": 0, "pad": 1},
        )
    _zoom(axes[1], pair, places, times=4)
    return figure


def _zoom(axes: Axes, pair: Pair, places: Tensor, times: float = 3.0) -> None:
    """Show the part of the source around places, (N, 2), enlarged."""
    for limit, middle, size in zip(
        (axes.set_xlim, axes.set_ylim),
        ((places.amin(0) + places.amax(0)) / 2).tolist(),
        (pair.source.shape[-1], pair.source.shape[-2]),
        strict=True,
    ):
        half = size / times / 2
        middle = min(max(middle, half), size - half) - 0.5
        limit(*((middle - half, middle + half)[:: 1 if limit == axes.set_xlim else -1]))


def curves_figure(
    pair: Pair, depths: Tensor, errors: Tensor, points: Mapping[str, tuple[int, int]]
) -> Figure:
    """Draw pixels that are looked for, and the error of each along its line.

    Args:
        pair: two frames.
        depths: (N,), metres.
        errors: (N, 1, H, W), averaged over windows already; NaN outside.
        points: from a title to a row and a column.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure = plt.figure(figsize=(13, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, len(points), height_ratios=(1.5, 1))
    picture = figure.add_subplot(grid[0, :])
    plots.draw_picture(picture, 0.8 * pair.target, "")
    for number, (title, (row, column)) in enumerate(points.items()):
        letter = "ABCDEFGH"[number]
        picture.plot(column, row, "s", mfc="none", mec=_CHOSEN, ms=9, mew=2.5)
        picture.annotate(
            letter, (column, row), (8, 6), textcoords="offset points", color="white", fontsize=15
        )
        curve = errors[:, 0, row, column]
        axes = figure.add_subplot(grid[1, number])
        best = int(curve.nan_to_num(torch.inf).argmin())
        draw_curve(axes, depths, curve, pair.depth[0, 0, row, column].item(), best)
        axes.set(title=f"{letter}: {title}", ylim=(-0.02, 0.8), ylabel="", xlabel="depth, m")
        if not number:
            axes.set_ylabel("photometric error")
            axes.legend(fontsize="small")
    return figure


def maps_figure(truth: Tensor, found: Tensor) -> Figure:
    """Draw true depth, found depth, and how far they are apart.

    Args:
        truth: (1, 1, H, W), metres; infinite in the sky.
        found: (1, 1, H, W), metres; NaN where nothing was found.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(3, 1, figsize=(9.5, 9), layout="constrained")
    finite = torch.where(truth.isfinite(), truth, torch.nan)
    drawn = plots.draw_depth(axes[0], finite, "true depth; gray: sky", (2, 40))
    plots.draw_depth(axes[1], found, "found, each window by itself; gray: outside", (2, 40))
    figure.colorbar(drawn, ax=axes[:2].tolist(), label="metres", extend="both", pad=0.01)
    off = (100 * (found / finite - 1).abs())[0, 0].numpy()
    colours = plt.colormaps["cividis"].with_extremes(bad="0.75")
    heat = axes[2].imshow(off, cmap=colours, vmin=0, vmax=60, interpolation="nearest")
    axes[2].set_title("error: bright is wrong")
    axes[2].set_axis_off()
    figure.colorbar(heat, ax=axes[2], label="% of the true depth", extend="max", pad=0.01)
    return figure


def errors_figure(target: Tensor, rebuilt: Mapping[str, Tensor], columns: int = 2) -> Figure:
    """Draw what differs between a picture and others that were rebuilt; dark is wrong.

    Args:
        target: (1, 3, H, W) in [0, 1].
        rebuilt: from a title to (1, 3, H, W).
        columns: pictures in a row.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    differences = {
        title: (1 - 2 * (target - picture).abs().mean(dim=1, keepdim=True)).clamp(0, 1)
        for title, picture in rebuilt.items()
    }
    return plots.picture_row(differences, columns=columns, width=13)
