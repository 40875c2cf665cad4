"""Explorers and figures of lesson 10: frames rebuilt by flow, and pixels that are hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from lessons_utils import motion, plots
from lessons_utils.explorers.live import live

CAUGHT, MISSED, FALSE = "#0072B2", "#E69F00", "#CC79A7"
"""Colours of `judged`: blue, orange, pink; told apart with any kind of colour vision."""

SHARES = (0.0, 0.05, 0.2)
"""Shares of the flow's length that the explorer offers as the bound's second part."""

BOUNDS = tuple(0.25 * step for step in range(1, 41))
"""Pixels: the bounds of the explorer's slider and curve, 0.25 to 10."""


def rebuilt_frame(
    target: Tensor, source: Tensor, regions: Mapping[str, Tensor], flows: Mapping[str, Tensor]
) -> None:
    """Show an explorer: whose flow, and how much of it; the warped source and its difference.

    Args:
        target: (1, 3, H, W) in [0, 1].
        source: (1, 3, H, W) in [0, 1].
        regions: from a name to (1, 1, H, W) bool, where the error is told.
        flows: from a name to (1, 2, H, W), flow from target to source, pixels.
    """
    live(
        RebuiltFrame(target, source, regions, flows).draw,
        size=(11, 2.1),
        flow=widgets.Dropdown(options=list(flows), description="flow"),
        share=widgets.FloatSlider(
            1.0, min=0, max=1, step=0.05, readout_format=".0%", description="how much of it"
        ),
    )


class RebuiltFrame:
    """What `rebuilt_frame` draws; same arguments."""

    def __init__(
        self,
        target: Tensor,
        source: Tensor,
        regions: Mapping[str, Tensor],
        flows: Mapping[str, Tensor],
    ) -> None:
        self.target, self.source, self.regions, self.flows = target, source, regions, flows

    def draw(self, figure: Figure, flow: str, share: float) -> str:
        """Draw the source, warped, and what distinguishes it from the target.

        Args:
            figure: empty.
            flow: a name of the flows.
            share: of the flow that is used: 0 leaves the source as it is, 1 rebuilds the target.
        """
        warped, _ = motion.inverse_warp(self.source, share * self.flows[flow])
        error = motion.photometric_error(self.target, warped)
        left, right = figure.subplots(1, 2)
        plots.draw_picture(left, warped, "the source, warped")
        difference = (self.target - warped).abs().mean(dim=1)
        plots.draw_picture(right, difference, "difference from the target", limits=(0, 0.4))
        told = ", ".join(f"{name} {error[mask].mean():.3f}" for name, mask in self.regions.items())
        return f"{100 * share:.0f} % of the {flow}: mean photometric error: {told}."


def hidden_pixels(
    image: Tensor, occluded: Tensor, inside: Tensor, flows: Mapping[str, tuple[Tensor, Tensor]]
) -> None:
    """Show an explorer: whose flow, and the bound of the consistency check; what it flags.

    Args:
        image: (1, 3, H, W) in [0, 1], the target.
        occluded: (1, 1, H, W) bool, what the source does not see although it is in its view.
        inside: (1, 1, H, W) bool, what stays in the source's view; the rest does not count.
        flows: from a name to forward and backward flow, (1, 2, H, W) each, pixels.
    """
    explorer = HiddenPixels(image, occluded, inside, flows)
    live(
        explorer.draw,
        size=(11, 3.0),
        flow=widgets.Dropdown(options=list(flows), description="flow"),
        bound=widgets.FloatSlider(
            motion.CONSISTENT_PIXELS, min=0.25, max=10, step=0.25, description="bound, pixels"
        ),
        share=widgets.Dropdown(
            options=[(f"{100 * share:.0f} %", share) for share in SHARES],
            value=motion.CONSISTENT_SHARE,
            description="or share of the flow",
        ),
    )


class HiddenPixels:
    """What `hidden_pixels` draws; same arguments."""

    def __init__(
        self,
        image: Tensor,
        occluded: Tensor,
        inside: Tensor,
        flows: Mapping[str, tuple[Tensor, Tensor]],
    ) -> None:
        self.image, self.occluded, self.inside = image, occluded, inside
        self.lengths = {}  # of the disagreement, and of the forward flow
        for name, (forward, backward) in flows.items():
            disagreement, _ = motion.flow_disagreement(forward, backward)
            self.lengths[name] = tuple(
                torch.linalg.vector_norm(flow, dim=1, keepdim=True)
                for flow in (disagreement, forward)
            )

    def flagged(self, flow: str, bound: float, share: float) -> Tensor:
        """Return the pixels inside whose disagreement reaches the bound, (1, 1, H, W) bool."""
        disagreement, length = self.lengths[flow]
        return self.inside & (disagreement >= (share * length).clamp(min=bound))

    def draw(self, figure: Figure, flow: str, bound: float, share: float) -> str:
        """Draw the picture with what is caught, missed and flagged falsely, and all bounds.

        Args:
            figure: empty.
            flow: a name of the flows.
            bound: pixels.
            share: of the forward flow's length; the larger of both bounds holds.
        """
        found = self.flagged(flow, bound, share)
        precision, recall = motion.precision_recall(found, self.occluded, self.inside)
        left, right = figure.subplots(1, 2, width_ratios=(2.6, 1))
        picture = judged(self.image, found, self.occluded, self.inside)
        plots.draw_picture(left, picture, "what the check flags, and what is hidden")
        _draw_legend(left)
        self._draw_curve(right, flow, share, bound)
        count = found.sum().item()
        told = (
            f"{100 * precision:.0f} % of them are hidden" if count else "so that none can be hidden"
        )
        return (
            f"{flow}, bound {bound:g} pixels or {100 * share:.0f} % of the flow: {count} pixels "
            f"are flagged, {told} (precision); {100 * recall:.0f} % of the hidden ones are caught "
            "(recall)."
        )

    def _draw_curve(self, axes: Axes, flow: str, share: float, bound: float) -> None:
        rows = np.array(
            [
                motion.precision_recall(self.flagged(flow, b, share), self.occluded, self.inside)
                for b in BOUNDS
            ]
        )
        axes.plot(BOUNDS, 100 * rows[:, 0], color=CAUGHT, label="precision")
        axes.plot(BOUNDS, 100 * rows[:, 1], color=MISSED, ls="--", label="recall")
        axes.axvline(bound, color="0.4", lw=2)
        axes.set(xlabel="bound, pixels", ylabel="%", xlim=(0, 10), ylim=(0, 103))
        axes.set_title("at each bound")
        axes.legend(loc="lower right", fontsize="small")


def judged(image: Tensor, found: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Return a dim gray picture in which found pixels are marked as right or wrong.

    Args:
        image: (1, 3, H, W) in [0, 1].
        found: (1, 1, H, W) bool.
        truth: (1, 1, H, W) bool.
        valid: (1, 1, H, W) bool, the pixels that count; the others are nearly white.

    Returns:
        (1, 3, H, W): found and true `CAUGHT`, true alone `MISSED`, found alone `FALSE`.
    """
    gray = 0.25 + 0.5 * image.mean(dim=1, keepdim=True).expand_as(image)
    picture = torch.where(valid, gray, 0.93)
    for colour, chosen in (
        (CAUGHT, found & truth),
        (MISSED, ~found & truth),
        (FALSE, found & ~truth),
    ):
        rgb = torch.tensor([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        picture = torch.where(chosen & valid, rgb.view(1, 3, 1, 1), picture)
    return picture


def _draw_legend(axes: Axes) -> None:
    names = {CAUGHT: "caught", MISSED: "missed", FALSE: "false alarm"}
    axes.legend(
        handles=[Patch(color=colour, label=name) for colour, name in names.items()],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.02),
        ncols=3,
        fontsize="small",
        frameon=False,
    )


# ---- Figures of the lesson -----------------------------------------------------------------------


def judged_figure(pictures: Mapping[str, Tensor], columns: int = 2, width: float = 11.0) -> Figure:
    """Draw pictures of `judged` side by side, with a legend below.

    Args:
        pictures: from a title to (1, 3, H, W).
        columns: in a row.
        width: inches.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    rows = -(-len(pictures) // columns)
    aspect = max(picture.shape[-2] / picture.shape[-1] for picture in pictures.values())
    size = (width, rows * (width / columns * aspect + 0.6))
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (title, picture) in zip(grid.flat, pictures.items(), strict=False):
        plots.draw_picture(axes, picture, title)
        _draw_legend(axes)
    return figure


def binned(needed: Tensor, left: Tensor, edges: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return the mean of two numbers per pixel, in bins of the first.

    Args:
        needed: (N,), pixels.
        left: (N,), pixels.
        edges: of the bins, rising; what is beyond is left out.

    Returns:
        (bins,) each; NaN for a bin without pixels.
    """
    numbers = torch.bucketize(needed, torch.tensor(edges).to(needed), right=True) - 1
    chosen = [numbers == number for number in range(len(edges) - 1)]
    return tuple(torch.stack([values[b].mean() for b in chosen]) for values in (needed, left))


def repair_figure(curves: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Draw what is left of an error against what there was to repair.

    Args:
        curves: from a name to two rows of `binned`.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(figsize=(6.2, 4.2), layout="constrained")
    longest = max(needed.nan_to_num(0).max().item() for needed, _ in curves.values())
    axes.plot([0, longest], [0, longest], color="0.6", ls=":", label="nothing repaired")
    styles = (("o", CAUGHT), ("s", MISSED), ("^", FALSE))
    for (name, (needed, left)), (marker, colour) in zip(curves.items(), styles, strict=False):
        axes.plot(needed, left, marker=marker, color=colour, label=name)
    axes.set(xlabel="error of rigid flow, pixels", ylabel="error of final flow, pixels")
    axes.set_title("below the dotted line: repaired")
    axes.legend()
    return figure


def bars_figure(rows: Mapping[str, Mapping[str, float]], label: str, title: str) -> Figure:
    """Draw groups of bars with their numbers: a group a region, a bar a method.

    Args:
        rows: from a method's name to its number by region, the same regions for all.
        label: of the numbers, with their unit.
        title: says what to see.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    regions = list(next(iter(rows.values())))
    places, wide = np.arange(len(regions)), 0.8 / len(rows)
    looks = (("0.6", ""), (CAUGHT, ""), (MISSED, "//"))
    for number, ((name, row), (colour, hatch)) in enumerate(zip(rows.items(), looks, strict=False)):
        shift = (number - (len(rows) - 1) / 2) * wide
        values = [row[region] for region in regions]
        bars = axes.bar(places + shift, values, wide, label=name, color=colour, hatch=hatch)
        axes.bar_label(bars, fmt="%.1f", fontsize="small")
    axes.set_xticks(places, regions)
    axes.set_ylabel(label)
    axes.set_title(title)
    axes.legend(loc="upper left")
    axes.margins(y=0.12)
    return figure
