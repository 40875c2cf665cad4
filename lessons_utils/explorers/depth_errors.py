"""Explorer of lesson 05: spoil depth maps and watch the eight metrics; figures of depth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import depth as depths
from lessons_utils import plots
from lessons_utils.explorers.live import live

NAMES = {
    "delta1": "1 − (δ < 1.25)",
    "delta2": "1 − (δ < 1.25²)",
    "delta3": "1 − (δ < 1.25³)",
    "abs_rel": "abs rel",
    "sqr_rel": "sqr rel, m",
    "rmse": "RMSE, m",
    "rmse_log": "RMSE log",
    "scale_invariant": "scale-inv.",
}
"""How figures call the metrics; the first three are turned round, so that less is better."""

_LEAST = 0.1  # metres: no spoiled depth is smaller
_MOST_BLUR = 15
_LONGEST = 2.5  # a bar's end, in multiples of the mean picture's error


def spoil_depth_maps(truth: Tensor, valid: Tensor, mean: Tensor, shown: int) -> None:
    """Show an explorer: factor, shift and blur on depth maps, and their eight errors.

    Args:
        truth: (N, 1, H, W), metres; 60 x 80 pixels and a few dozen maps are quick enough.
        valid: (N, 1, H, W), bool.
        mean: (1, 1, H, W), metres: the mean depth picture of a training set.
        shown: which of the N maps is drawn.
    """
    explorer = SpoilDepthMaps(truth, valid, mean, shown)
    live(
        explorer.draw,
        size=(9, 3.4),
        start=widgets.Dropdown(options=list(explorer.starts), description="start from"),
        factor=widgets.FloatSlider(1.4, min=0.5, max=2.0, step=0.05, description="times"),
        shift=widgets.FloatSlider(0.0, min=-0.5, max=1.0, step=0.1, description="plus, m"),
        blur=widgets.IntSlider(
            value=1, min=1, max=_MOST_BLUR, step=2, description="blur over, pixels"
        ),
    )


class SpoilDepthMaps:
    """What `spoil_depth_maps` draws.

    Args:
        truth: (N, 1, H, W), metres.
        valid: (N, 1, H, W), bool.
        mean: (1, 1, H, W), metres.
        shown: which of the N maps is drawn.
    """

    def __init__(self, truth: Tensor, valid: Tensor, mean: Tensor, shown: int) -> None:
        self.truth, self.valid, self.shown = truth, valid, shown
        self.starts = {"the truth": truth, "the mean picture": mean.expand_as(truth)}
        self.baseline = _errors(depths.measure(mean.expand_as(truth), truth, valid))
        self.limits = plots.depth_limits(truth[shown][valid[shown]])

    def prediction(self, start: str, factor: float, shift: float, blur: int) -> Tensor:
        """Return the spoiled maps, (N, 1, H, W), metres."""
        maps = self.starts[start]
        for size in ((blur, 1), (1, blur)):  # one direction after the other is quicker
            padding = (size[0] // 2, size[1] // 2)
            maps = F.avg_pool2d(maps, size, 1, padding, count_include_pad=False)
        return (factor * maps + shift).clamp(min=_LEAST)

    def draw(self, figure: Figure, start: str, factor: float, shift: float, blur: int) -> str:
        """Draw a spoiled map and the errors of all beside those of the mean picture.

        Args:
            figure: empty.
            start: one of `starts`.
            factor: that the depth is multiplied by.
            shift: metres that are added.
            blur: side of the square that is averaged over, in pixels; odd.
        """
        prediction = self.prediction(start, factor, shift, blur)
        measured = depths.measure(prediction, self.truth, self.valid)
        errors = _errors(measured)

        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        self._draw_map(left, prediction[self.shown, 0])
        self._draw_bars(right, errors)

        numbers = ", ".join(
            f"{NAMES[name].removeprefix('1 − ').strip('()')} {value:.3f}"
            for name, value in measured.items()
        )
        return (
            f"From {start}, blurred over {blur} × {blur} pixels, times {factor:.2f}, plus "
            f"{shift:.1f} m, over {len(self.truth)} rooms: {numbers}."
        )

    def _draw_map(self, axes: Axes, depth: Tensor) -> None:
        """Draw a map and its colour bar in one axes, in half the time that two need."""
        (height, width), (low, high) = depth.shape, self.limits
        gap = torch.full((height, 3), torch.nan)
        bar = torch.linspace(high, low, height)[:, None].expand(-1, 3)
        picture = torch.cat([depth, gap, bar], dim=1)
        axes.imshow(picture.numpy(), cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        for metres in range(math.ceil(low), math.floor(high) + 1):
            row = (high - metres) / (high - low) * (height - 1)
            axes.text(width + 7, row, str(metres), va="center")
        axes.text(width + 11, (height - 1) / 2, "metres", va="center", rotation=90)
        axes.set_title("the prediction for one room")
        axes.set_axis_off()

    def _draw_bars(self, axes: Axes, errors: dict[str, float]) -> None:
        shares = [errors[name] / max(self.baseline[name], 1e-9) for name in NAMES]
        places = range(len(NAMES))
        axes.hlines(places, 0, [min(share, _LONGEST) for share in shares], color="tab:blue", lw=11)
        axes.axvline(1, color="tab:orange", lw=2)
        for place, (name, error) in zip(places, errors.items(), strict=True):
            label = f"{NAMES[name]}   {error:.3f} "  # a text is quicker to draw than a tick
            axes.text(0, place, label, ha="right", va="center", fontsize=9)
        axes.set(xlim=(0, _LONGEST), ylim=(len(NAMES) - 0.4, -0.6), xticks=(0, 1, 2), yticks=())
        axes.set_xlabel("error / that of the mean picture")
        axes.set_title("errors; orange: the mean picture's")


def _errors(measured: Mapping[str, float]) -> dict[str, float]:
    """The eight metrics such that less is better."""
    return {
        name: 1 - value if name.startswith("delta") else value for name, value in measured.items()
    }


# ---- Figures of the lesson -----------------------------------------------------------------------


def layers(image: Tensor, depth: Tensor, edges: tuple[float, ...]) -> dict[str, Tensor]:
    """Cut a picture into bands of depth; the rest of each is faded.

    Args:
        image: (1, 3, H, W) in [0, 1].
        depth: (1, 1, H, W), metres.
        edges: depths between the bands, in metres.

    Returns:
        From a title to (1, 3, H, W); one more than there are edges, from near to far.
    """
    bounds = (0.0, *edges, torch.inf)
    cut = {}
    for low, high in itertools.pairwise(bounds):
        title = f"{low:g} to {high:g} m" if high < torch.inf else f"more than {low:g} m"
        inside = (depth >= low) & (depth < high)
        cut[title] = torch.where(inside, image, 0.88 + 0.12 * image.mean(1, keepdim=True))
    return cut


def table_figure(rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw metrics as a table whose cells are the darker, the larger the error in its column.

    Args:
        rows: from what was measured to the eight metrics.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    errors = torch.tensor([list(_errors(row).values()) for row in rows.values()])
    shares = errors / errors.amax(dim=0).clamp(min=1e-9)
    shares[:, errors.amax(dim=0) - errors.amin(dim=0) < 1e-6] = 0  # nothing to tell apart
    figure, axes = plt.subplots(figsize=(12, 0.5 * len(rows) + 0.9), layout="constrained")
    axes.imshow(shares.numpy(), cmap="cividis_r", vmin=0, vmax=1, aspect="auto")
    for place, row in enumerate(rows.values()):
        for column, value in enumerate(row.values()):
            dark = shares[place, column] > 0.55
            axes.text(column, place, f"{value:.3f}", ha="center", va="center", color="wk"[not dark])
    heads = [name.removeprefix("1 − ").strip("()") for name in NAMES.values()]
    axes.set_xticks(range(len(heads)), heads)
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def from_above(points: Mapping[str, Tensor], spans: tuple[tuple, tuple]) -> Figure:
    """Draw points as seen from above, one panel a set.

    Args:
        points: from a title to (N, 2): metres to the right, metres ahead.
        spans: the two pairs of limits, in metres.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, grid = plt.subplots(
        1, len(points), figsize=(12, 3.8), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (title, cloud) in zip(grid[0], points.items(), strict=True):
        axes.scatter(cloud[:, 0], cloud[:, 1], s=9, color="tab:blue", linewidths=0)
        axes.set(title=title, xlabel="to the right, metres", xlim=spans[0], ylim=spans[1])
        axes.set_aspect("equal")
    grid[0, 0].set_ylabel("ahead (depth), metres")
    return figure
