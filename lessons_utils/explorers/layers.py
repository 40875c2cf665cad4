"""Lesson 02: what one patch says to the filters of SRCNN, and what the filter sizes decide."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from ipywidgets import IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from lessons_utils import plots, superres
from lessons_utils.explorers.live import live

_MARK = "#e66100"  # orange: seen on gray, and with any colour vision


# ---- Explorers -------------------------------------------------------------------------------


def patch_responses(model: superres.SRCNN, upscaled: Tensor, row: int, column: int) -> None:
    """Move a window over a picture and see how all filters of the first layer answer.

    Args:
        model: an SRCNN with trained weights.
        upscaled: (1, 1, H, W), luma in [0, 1]; crops of some 150 pixels read best.
        row: where the window's centre is at first.
        column: where the window's centre is at first.
    """
    margin = model.filter_sizes[0] // 2
    height, width = upscaled.shape[-2:]
    live(
        patch_responses_picture(model, upscaled),
        size=(10, 3.2),
        row=IntSlider(row, margin, height - 1 - margin, description="row"),
        column=IntSlider(column, margin, width - 1 - margin, description="column"),
    )


@torch.no_grad()
def patch_responses_picture(model: superres.SRCNN, upscaled: Tensor) -> Callable[..., str]:
    """Return the drawing function of `patch_responses`: `draw(figure, row, column)`.

    The first layer is computed here, once for all positions.
    """
    size = model.filter_sizes[0]
    filters = model.patch_extraction.weight[:, 0]  # (64, 9, 9)
    maps = model.patch_extraction(upscaled)[0].relu()  # (64, H - 8, W - 8)
    largest = maps.amax(dim=(1, 2))  # (64,)
    relative = maps / largest.clamp(min=1e-12).view(-1, 1, 1)

    def draw(figure: Figure, row: int, column: int) -> str:
        position = (row - size // 2, column - size // 2)
        responses, shares = maps[:, *position], relative[:, *position]
        best = int(shares.argmax())
        picture, patch, grid, strongest = figure.subplots(1, 4, width_ratios=(1.25, 1, 1.25, 1))
        draw_window(picture, upscaled, row, column, size, "the window")
        plots.draw_picture(patch, plots.crop(upscaled, *position, size), "the patch, magnified")
        _draw_responses(grid, shares, best)
        draw_signed(strongest, filters[best], f"filter {best}, the most excited")
        return (
            f"Row {row}, column {column}: {int((responses > 0).sum())} of {len(responses)} filters "
            f"answer; filter {best} gives {responses[best]:.2f}, "
            f"{100 * shares[best]:.0f} % of its largest answer in this picture."
        )

    return draw


def _draw_responses(axes: Axes, shares: Tensor, best: int) -> None:
    columns = 8
    rows = -(-len(shares) // columns)
    cells = torch.full((rows * columns,), torch.nan)
    cells[: len(shares)] = shares
    axes.imshow(cells.view(rows, columns).numpy(), cmap="viridis", vmin=0, vmax=1)
    corner = (best % columns - 0.5, best // columns - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=_MARK, linewidth=3))
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{len(shares)} answers (dark: silent)")


def filter_sizes() -> None:
    """Choose the three filter sizes of SRCNN and see output size, reach and weights follow."""
    live(
        filter_sizes_picture,
        size=(9, 3.2),
        f1=IntSlider(9, 1, 15, 2, description="f1"),
        f2=IntSlider(1, 1, 15, 2, description="f2"),
        f3=IntSlider(5, 1, 15, 2, description="f3"),
    )


def filter_sizes_picture(figure: Figure, f1: int, f2: int, f3: int, side: int = 33) -> str:
    """Draw what three unpadded layers make of a square of `side` pixels, and their weights.

    Args:
        figure: empty.
        f1: filter size of the first layer, odd.
        f2: filter size of the second layer, odd.
        f3: filter size of the third layer, odd.
        side: of the input, in pixels.

    Returns:
        The sentence under the picture.
    """
    model = superres.SRCNN(f1, f2, f3)
    layers = (model.patch_extraction, model.mapping, model.reconstruction)
    weights = [layer.weight.numel() for layer in layers]
    reach = 2 * model.margin + 1
    squares, bars = figure.subplots(1, 2, width_ratios=(1, 1.6))
    _draw_sizes(squares, side, (f1, f2, f3), reach)
    bars.barh(["F1", "F2", "F3"], weights, color="#4c72b0")
    bars.bar_label(bars.containers[0], [f"{count:,}" for count in weights], padding=4)
    bars.set_xlim(0, 1.25 * max(weights))
    bars.invert_yaxis()
    bars.set(xticks=[], xlabel="weights", title=f"{f1}-{f2}-{f3}: {sum(weights):,} weights")
    result = side - reach + 1
    left = f"leaves {result} x {result}" if result > 0 else "leaves nothing"
    return (
        f"{f1}-{f2}-{f3} {left} of {side} x {side} pixels; each output pixel sees "
        f"{reach} x {reach} input pixels; {sum(weights):,} weights."
    )


def _draw_sizes(axes: Axes, side: int, sizes: tuple[int, int, int], reach: int) -> None:
    shades = ("#d9d9d9", "#a6bddb", "#4c93c3", "#034e7b")
    left = [side]
    for size in sizes:
        left.append(left[-1] - size + 1)
    for name, length, shade in zip(("input", "F1", "F2", "F3"), left, shades, strict=True):
        if length > 0:
            corner = (-length / 2, -length / 2)
            label = f"{name}: {length} x {length}"
            axes.add_patch(Rectangle(corner, length, length, color=shade, label=label))
    seen = Rectangle((-reach / 2, -reach / 2), reach, reach, fill=False, edgecolor=_MARK, lw=2.5)
    seen.set_label(f"one pixel sees {reach} x {reach}")
    axes.add_patch(seen)
    half = max(side, reach) / 2 + 1
    axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", title="what is left, unpadded")
    axes.set_axis_off()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)


# ---- Figures of the lesson -------------------------------------------------------------------


def draw_window(
    axes: Axes, image: Tensor, row: int, column: int, size: int, title: str = ""
) -> None:
    """Draw a picture and the square of `size` pixels around the pixel (row, column)."""
    plots.draw_picture(axes, image, title)
    corner = (column - size / 2, row - size / 2)
    axes.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=_MARK, linewidth=2))


def draw_signed(
    axes: Axes, values: Tensor, title: str = "", limit: float | None = None, numbers: bool = False
) -> None:
    """Draw values of both signs: negative purple, zero white, positive orange.

    Args:
        axes: where to.
        values: see `plots.to_array`.
        title: says what to see.
        limit: the absolute value of the fullest colours; None takes the largest present.
        numbers: also write each value into its cell, with two decimals.
    """
    array = plots.to_array(values)
    limit = limit or max(float(abs(array).max()), 1e-12)
    axes.imshow(array, cmap="PuOr_r", vmin=-limit, vmax=limit)
    axes.set(title=title, xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="0.7")
    if numbers:
        for row, line in enumerate(array.tolist()):
            for column, value in enumerate(line):
                color = "white" if abs(value) > 0.6 * limit else "black"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)


def dot_product_figure(view: Tensor, row: int, column: int, kernel: Tensor) -> Figure:
    """Draw a patch, a filter, their product pixel by pixel, and the sum: one dot product.

    Args:
        view: (1, 1, H, W), luma in [0, 1].
        row: of the patch's centre.
        column: of the patch's centre.
        kernel: (f, f), f odd.
    """
    size = kernel.shape[-1]
    patch = plots.crop(view, row - size // 2, column - size // 2, size)[0, 0]
    figure = plots.plt.figure(figsize=(11, 3.2))
    picture, magnified, weights, product = figure.subplots(1, 4)
    draw_window(picture, view, row, column, size, "a window on the picture")
    plots.draw_picture(magnified, patch, f"the patch: {size} x {size} numbers")
    draw_signed(weights, kernel, "the filter (purple < 0 < orange)")
    draw_signed(product, patch * kernel, f"patch × filter: all added, {(patch * kernel).sum():.3f}")
    return figure


def answers_figure(view: Tensor, kernels: dict[str, Tensor]) -> Figure:
    """Draw filters in a row and under each the picture of its answers, negative and positive.

    Args:
        view: (1, 1, H, W).
        kernels: from a title to a filter (f, f).
    """
    figure = plots.plt.figure(figsize=(11, 4.4))
    grid = figure.subplots(2, len(kernels), height_ratios=(1, 2.6))
    for (above, below), (title, kernel) in zip(grid.T, kernels.items(), strict=True):
        draw_signed(above, kernel, title)
        draw_signed(below, F.conv2d(view, kernel[None, None]), limit=0.5)
    return figure


def signed_row(maps: dict[str, Tensor], limit: float) -> Figure:
    """Draw maps of both signs side by side, all on one scale (see `draw_signed`).

    Args:
        maps: from a title to values, see `plots.to_array`.
        limit: the absolute value of the fullest colours.
    """
    figure = plots.plt.figure(figsize=(11, 4.0))
    grid = figure.subplots(1, len(maps))
    for axes, (title, values) in zip(grid, maps.items(), strict=True):
        draw_signed(axes, values, title, limit)
    return figure


def proposals_figure(shares: Tensor, own: Tensor, others: Tensor, output: Tensor) -> Figure:
    """Draw how the third layer adds what a pixel and its neighbours propose.

    Args:
        shares: (5, 5), the contributions to one output pixel.
        own: (1, 1, H, W), what the pixels propose for their own place.
        others: (1, 1, H, W), what all neighbours propose together.
        output: (1, 1, H, W), the sum of both.
    """
    figure = plots.plt.figure(figsize=(13, 3.7))
    numbers, first, second, total = figure.subplots(1, 4)
    neighbours = shares.clone()
    neighbours[2, 2] = 0
    limit = 4 * float(neighbours.abs().max())  # the middle may exceed it: it would drown the rest
    draw_signed(numbers, shares, "25 proposals for one pixel", limit, numbers=True)
    brightest = float(own.max())
    title = f"each pixel's own proposal, 0 to {brightest:.1f}"
    plots.draw_picture(first, own, title, limits=(0, brightest))
    draw_signed(second, others, "+ its neighbours' (purple: less)")
    plots.draw_picture(total, output, "= the output")
    return figure


def influence_figure(maps: dict[str, Tensor]) -> Figure:
    """Draw which input pixels change one output pixel: logarithm of the gradient, gray for none.

    Args:
        maps: from a title to absolute gradients (H, W), H = W.
    """
    figure = plots.plt.figure(figsize=(12, 3.4))
    grid = figure.subplots(1, len(maps))
    for axes, (title, values) in zip(grid, maps.items(), strict=True):
        axes.set_facecolor("0.85")
        last = len(values) - 1
        ticks = [0, last // 2, last]
        share = (values / values.max()).log10()
        shown = axes.imshow(share.numpy(), cmap="viridis", vmin=-2, vmax=0)
        axes.set(title=title, xticks=ticks, yticks=ticks, xlabel="column, pixels")
    grid[0].set_ylabel("row, pixels")
    figure.colorbar(shown, ax=grid, extend="min", label="influence, log10\n(gray: none)")
    return figure
