"""Explorer of lesson 05: look for a patch of the left picture in the right one."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator
from torch import Tensor

from lessons_utils import plots
from lessons_utils.datasets import StereoPair
from lessons_utils.explorers.live import live

REACH = 64
"""Disparities that are looked at: 0 to 63 pixels."""

_BAND = (60, 190)  # rows and columns of the pictures that are shown on either side of the patch
_GAP = 6  # white pixels between the pictures
_CHOSEN, _TRUE = "#0090e0", "black"
_FRAME = (0.0, 0x90 / 255, 0xE0 / 255)  # as _CHOSEN
_LEVELS = 255


def match_a_patch(pair: StereoPair, points: Mapping[str, tuple[int, int]]) -> None:
    """Show an explorer: a patch, the window's size and a disparity; the cost and the depth.

    Args:
        pair: two pictures.
        points: from a name to the row and column of a pixel of the left picture; there the true
            disparity must be known.
    """
    live(
        MatchAPatch(pair, points).draw,
        size=(10, 3.4),
        point=widgets.Dropdown(options=list(points), description="patch"),
        window=widgets.Dropdown(options=[3, 9, 21], value=9, description="window, pixels"),
        disparity=widgets.IntSlider(30, 0, REACH - 1, description="disparity, pixels"),
    )


def patch(image: Tensor, row: int, column: int, window: int) -> Tensor:
    """Cut `window` x `window` pixels around one, an odd number; beyond the picture it is NaN.

    Args:
        image: (1, C, H, W).
        row: of the middle.
        column: of the middle.
        window: side in pixels.

    Returns:
        (1, C, window, window).
    """
    half, (height, width) = window // 2, image.shape[-2:]
    rows, columns = (torch.arange(-half, half + 1) + middle for middle in (row, column))
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    cut = image[..., rows.clamp(0, height - 1)[:, None], columns.clamp(0, width - 1)]
    return torch.where(inside, cut, torch.nan)


class MatchAPatch:
    """What `match_a_patch` draws.

    Args:
        pair: two pictures.
        points: from a name to a pixel of the left picture.
    """

    def __init__(self, pair: StereoPair, points: Mapping[str, tuple[int, int]]) -> None:
        self.pair, self.points = pair, points

    def costs(self, point: str, window: int) -> Tensor:
        """Return the mean squared difference of the patches for each disparity.

        Returns:
            (REACH,), levels squared; NaN where the right patch would leave the picture.
        """
        row, column = self.points[point]
        here = patch(self.pair.left, row, column, window)
        there = torch.cat(
            [patch(self.pair.right, row, column - d, window) for d in range(REACH)]
        )  # (REACH, 3, window, window)
        return (_LEVELS * (here - there)).square().mean(dim=(1, 2, 3))

    def depth(self, disparity: float) -> float:
        """Return the depth in metres that a disparity stands for."""
        return self.pair.focal_length * self.pair.baseline / (disparity + self.pair.offset)

    def draw(self, figure: Figure, point: str, window: int, disparity: int) -> str:
        """Draw both pictures with the patch, both patches enlarged, and the cost.

        Args:
            figure: empty.
            point: name of the patch.
            window: its side in pixels.
            disparity: how far to the left the patch is looked for in the right picture.
        """
        row, column = self.points[point]
        costs = self.costs(point, window)
        truth = self.pair.disparity[0, 0, row, column].item()
        best = int(costs.nan_to_num(torch.inf).argmin())

        left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
        left.imshow(self._pictures(row, column, window, disparity), interpolation="nearest")
        left.set_title("left eye above, right eye below, and their patches")
        left.set_axis_off()
        _draw_costs(right, costs, disparity, truth)
        right.set_title(f"{disparity} pixels: {self.depth(disparity):.2f} m")

        cost = costs[disparity].item()
        said = "leaves the right picture" if cost != cost else f"costs {cost:.0f} levels²"
        return (
            f"{point}, window {window} × {window}: a disparity of {disparity} pixels {said} and "
            f"means {self.depth(disparity):.2f} m. The lowest cost, {costs[best]:.0f}, lies at "
            f"{best} pixels, {self.depth(best):.2f} m; the truth is {truth:.1f} pixels, "
            f"{self.depth(truth):.2f} m."
        )

    def _pictures(self, row: int, column: int, window: int, disparity: int) -> np.ndarray:
        """Both pictures around the patch with a frame around it, and both patches enlarged."""
        lines = [
            torch.cat([_band(image, row, at, column, window), _enlarged(image, row, at, window)], 2)
            for image, at in ((self.pair.left, column), (self.pair.right, column - disparity))
        ]
        gap = torch.ones(3, _GAP, lines[0].shape[2])
        return plots.to_array(torch.cat([lines[0], gap, lines[1]], 1))


def _band(image: Tensor, row: int, column: int, middle: int, window: int) -> Tensor:
    """(3, 2 * above, 2 * beside + gap): the picture around (row, middle), the patch framed."""
    (height, width), (above, beside) = image.shape[-2:], _BAND
    top = min(max(row - above, 0), height - 2 * above)
    left = min(max(middle - beside, 0), width - 2 * beside)
    band = image[0, :, top : top + 2 * above, left : left + 2 * beside].clone()
    dashes = torch.arange(2 * beside) % 12 < 6
    band[:, row - top : row - top + 2, dashes] = 1  # the row that is searched
    reach = max(window, 9) // 2 + 3
    for outer, colour in ((reach + 1, _FRAME), (reach - 2, None)):
        rows, columns = (
            slice(max(middle - outer + 1, 0), max(middle + outer, 0))
            for middle in (row - top, column - left)
        )
        if colour:
            inside = band.clone()
            band[:, rows, columns] = torch.tensor(colour)[:, None, None]
        else:
            band[:, rows, columns] = inside[:, rows, columns]
    return torch.cat([band, torch.ones(3, 2 * above, _GAP)], 2)


def _enlarged(image: Tensor, row: int, column: int, window: int) -> Tensor:
    """(3, 2 * above, 2 * above): the patch; gray where it leaves the picture."""
    cut = patch(image, row, column, window).nan_to_num(0.5)
    return F.interpolate(cut, (2 * _BAND[0], 2 * _BAND[0]), mode="nearest")[0]


def _draw_costs(axes: Axes, costs: Tensor, disparity: int, truth: float) -> None:
    axes.plot(costs.numpy(), color="0.35", lw=1.5)
    axes.axvline(disparity, color=_CHOSEN, lw=3, label="yours")
    axes.axvline(truth, color=_TRUE, lw=1.5, ls="--", label="truth")
    axes.set(xlabel="disparity, pixels", ylabel="cost, levels²", xlim=(0, REACH - 1))
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right", fontsize="small")
    axes.xaxis.set_major_locator(MultipleLocator(10))
    axes.yaxis.set_major_locator(MaxNLocator(4))


# ---- A figure of the lesson ----------------------------------------------------------------------


def error_figure(error: Tensor, valid: Tensor) -> Figure:
    """Draw the relative error of a depth map; what has no truth is gray.

    Args:
        error: (1, 1, H, W), of 1.
        valid: (1, 1, H, W), bool.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(figsize=(8, 4.6))
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="0.75")
    percent = plots.to_array(torch.where(valid, 100 * error, torch.nan))
    heat = axes.imshow(percent, cmap=colours, vmin=0, vmax=30, interpolation="nearest")
    axes.set_title("error: bright is wrong, gray unknown")
    axes.set_axis_off()
    figure.colorbar(heat, ax=axes, label="% of the true depth", extend="max")
    return figure
