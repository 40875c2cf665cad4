"""Explorer of lesson 08: move a camera and watch the flow; figures of points, flow and warping."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from lessons_utils import motion, plots
from lessons_utils.explorers.live import live

REGIONS = {"outside": "#56b4e9", "occluded": "#e69f00", "moving": "#cc3377"}
"""Colours of the parts of a picture that rigid flow cannot rebuild."""

_ARROW = "#ffd60a"
_GRID = 16  # pixels between arrows
_LONGEST = 150.0  # pixels: longer arrows, and those that end behind the camera, are not drawn
_SCALE = 30.0  # pixels: the end of the colour scale of the explorer
_FAR = 1e9
_METRES = (2, 5, 10, 20, 50, 100)


def move_the_camera(image: Tensor, depth: Tensor, K: Tensor) -> None:
    """Show an explorer: six sliders that move the camera, and the flow that results.

    Args:
        image: (1, 3, H, W) in [0, 1].
        depth: (1, 1, H, W), metres; infinite in the sky.
        K: (1, 3, 3).
    """
    live(
        MoveTheCamera(image, depth, K).draw,
        size=(8, 4.6),
        right=_slider("right, m", 0.0, 1.0),
        down=_slider("down, m", 0.0, 1.0),
        ahead=_slider("ahead, m", 0.6, 2.0),
        yaw=_slider("turn right, °", 0.0, 4.0),
        pitch=_slider("tilt up, °", 0.0, 4.0),
        roll=_slider("roll clockwise, °", 0.0, 8.0),
        world=widgets.SelectionSlider(
            options=[0.25, 0.5, 1.0, 2.0, 4.0], value=1.0, description="world enlarged by"
        ),
    )


def _slider(description: str, value: float, most: float) -> widgets.FloatSlider:
    return widgets.FloatSlider(value, min=-most, max=most, step=0.1, description=description)


class MoveTheCamera:
    """What `move_the_camera` draws.

    Args:
        image: (1, 3, H, W) in [0, 1].
        depth: (1, 1, H, W), metres; infinite in the sky.
        K: (1, 3, 3).
    """

    def __init__(self, image: Tensor, depth: Tensor, K: Tensor) -> None:
        self.image, self.depth, self.K = image, depth.clamp(max=_FAR), K
        self.points = motion.unproject(self.depth, K)
        self.pixels = motion.pixel_grid(depth)

    def pose(self, shift: tuple[float, float, float], turn: tuple[float, float, float]) -> Tensor:
        """Return T_target_to_source, (1, 4, 4), of a camera that moved.

        Args:
            shift: to the right, down and ahead, metres, in the axes of the first camera.
            turn: tilt up, turn to the right, roll clockwise, degrees: the rotation vector.
        """
        source_to_target = motion.pose_from_axis_angle(
            torch.deg2rad(torch.tensor([turn])), torch.tensor([shift])
        )
        return motion.invert_pose(source_to_target)

    def flow(self, T: Tensor, world: float) -> Tensor:
        """Return rigid flow, (1, 2, H, W), if all depths were `world` times as large."""
        return motion.project(motion.transform(world * self.points, T), self.K) - self.pixels

    def draw(
        self,
        figure: Figure,
        right: float,
        down: float,
        ahead: float,
        yaw: float,
        pitch: float,
        roll: float,
        world: float,
    ) -> str:
        """Draw arrows over the picture, and the length of the flow.

        Args:
            figure: empty.
            right: metres, as the next two.
            down: towards the road.
            ahead: along the line of sight.
            yaw: degrees, as the next two.
            pitch: upwards.
            roll: clockwise.
            world: what all depths are multiplied by.
        """
        shift = right, down, ahead
        flow = self.flow(self.pose(shift, (pitch, yaw, roll)), world)
        length = torch.linalg.vector_norm(flow, dim=1)[0]
        length = torch.where(length < -motion.BEHIND / 2, length, torch.nan)
        above, below = figure.subplots(2, 1)
        draw_arrows(above, self.image, flow)
        above.set_title("where each pixel goes; × is where the camera goes")
        heading = self._heading(shift)
        if heading is not None:
            above.plot(*heading, "x", color="white", ms=11, mew=4)
            above.plot(*heading, "x", color="black", ms=10, mew=2)
        colours = plt.colormaps["viridis"].with_extremes(bad="0.75")
        drawn = below.imshow(length.numpy(), cmap=colours, vmin=0, vmax=_SCALE)
        below.set_title("how far; gray: behind the camera now")
        below.set_axis_off()
        figure.colorbar(drawn, ax=[above, below], label="pixels", extend="max", pad=0.01)
        return self._sentence(shift, (pitch, yaw, roll), world, length)

    def _heading(self, shift: tuple[float, float, float]) -> tuple[float, float] | None:
        """The pixel towards which, or away from which, the camera goes; None outside."""
        if not shift[2]:
            return None
        x, y, _ = (self.K[0] @ torch.tensor(shift) / shift[2]).tolist()
        height, width = self.image.shape[-2:]
        return (x, y) if 0 <= x <= width - 1 and 0 <= y <= height - 1 else None

    def _sentence(
        self,
        shift: tuple[float, float, float],
        turn: tuple[float, float, float],
        world: float,
        length: Tensor,
    ) -> str:
        moved = ", ".join(f"{value:+.1f} m" for value in shift)
        turned = ", ".join(f"{value:+.1f}°" for value in turn)
        in_front = length[~length.isnan()]
        least, median, most = in_front.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
        return (
            f"Camera moved right, down, ahead by {moved}; tilted up, turned right, rolled by "
            f"{turned}; world × {world:g}. The flow is {median:.1f} pixels long in the median, "
            f"{least:.1f} to {most:.1f} for nine pixels of ten."
        )


def draw_arrows(axes: Axes, image: Tensor, flow: Tensor, step: int = _GRID) -> None:
    """Draw a picture, darkened, and the flow of some of its pixels as arrows of true length.

    Args:
        axes: where to.
        image: (1, 3, H, W) in [0, 1].
        flow: (1, 2, H, W), pixels.
        step: pixels between arrows.
    """
    plots.draw_picture(axes, 0.65 * image)
    height, width = image.shape[-2:]
    rows, columns = np.arange(step // 2, height, step), np.arange(step // 2, width, step)
    x, y = np.meshgrid(columns, rows)
    arrows = flow[0][:, rows[:, None], columns].detach().cpu().numpy()
    arrows = np.where(np.hypot(*arrows) < _LONGEST, arrows, np.nan)
    axes.quiver(
        x, y, *arrows, color=_ARROW, angles="xy", scale_units="xy", scale=1, width=0.0022,
        headwidth=4, headlength=5, minlength=0.3,
    )  # fmt: skip
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


# ---- Figures of the lesson -----------------------------------------------------------------------


def frames_figure(target: Tensor, source: Tensor, depth: Tensor) -> Figure:
    """Draw two frames, their difference, and the depth of the first.

    Args:
        target: (1, 3, H, W) in [0, 1].
        source: (1, 3, H, W).
        depth: (1, 1, H, W), metres; infinite in the sky.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(2, 2, figsize=(13, 4.9), layout="constrained")
    plots.draw_picture(axes[0, 0], target, "target, frame t")
    plots.draw_picture(axes[0, 1], source, "source, frame t + 1")
    difference = (target - source).abs().mean(dim=1, keepdim=True)
    plots.draw_picture(axes[1, 0], 1 - difference, "|target − source|: dark where they differ")
    shown = torch.where(depth.isfinite(), depth, torch.nan)
    drawn = plots.draw_depth(axes[1, 1], shown, "depth of the target; gray: sky", (2, 40))
    figure.colorbar(drawn, ax=axes[1, 1], label="metres", extend="both", pad=0.01)
    return figure


def from_above_figure(image: Tensor, points: Tensor, farthest: float = 30.0) -> Figure:
    """Draw points as they lie in the street, seen from above and from the side, in their colours.

    Args:
        image: (1, 3, H, W) in [0, 1].
        points: (1, 3, H, W), metres, in the camera's axes.
        farthest: metres that are shown.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    x, y, z = points[0].flatten(1).numpy()
    colours = plots.to_array(image).reshape(-1, 3)
    figure, axes = plt.subplots(1, 2, figsize=(13, 5.2), layout="constrained")
    views = (("from above", x, -y, (-9, 9)), ("from the right", y, x, (-8, 2.5)))
    for each, (title, across, nearness, limits) in zip(axes, views, strict=True):
        extent = (-1.5, farthest, limits[1], limits[0])
        each.imshow(_paint(z, across, nearness, colours, extent), extent=extent, aspect="auto")
        each.plot(0, 0, ">", color="black", ms=12)
        each.annotate("camera", (0, 0), (0, 14), textcoords="offset points", ha="center")
        each.set(title=title, xlabel="z, metres ahead")
    axes[0].set_ylabel("x, metres to the right")
    axes[1].set_ylabel("y, metres down")
    return figure


def _paint(
    z: np.ndarray,
    across: np.ndarray,
    nearness: np.ndarray,
    colours: np.ndarray,
    extent: tuple[float, float, float, float],
    cell: float = 0.06,
) -> np.ndarray:
    """Points as a picture of 6 cm cells, two by two for each; what is nearer covers the rest."""
    left, right, bottom, top = extent
    width, height = (int((high - low) / cell) for low, high in ((left, right), (top, bottom)))
    columns, rows = (z - left) / cell, (across - top) / cell
    inside = (columns >= 0) & (columns < width - 1) & (rows >= 0) & (rows < height - 1)
    order = np.argsort(nearness[inside], kind="stable")
    columns, rows = (values[inside][order].astype(int) for values in (columns, rows))
    picture = np.full((height, width, 3), 0.93, np.float32)
    for down in (0, 1):
        for along in (0, 1):
            picture[rows + down, columns + along] = colours[inside][order]
    return picture


def motions_figure(image: Tensor, depth: Tensor, flows: Mapping[str, Tensor]) -> Figure:
    """Draw the flow of several motions as arrows, and its length against depth and place.

    Args:
        image: (1, 3, H, W) in [0, 1].
        depth: (1, 1, H, W), metres.
        flows: from a title to (1, 2, H, W), pixels.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    rows = len(flows)
    size = (13, 2.7 * rows)
    figure, grid = plt.subplots(rows, 2, figsize=size, layout="constrained", width_ratios=(2.1, 1))
    metres = depth.flatten().numpy()
    height, width = depth.shape[-2:]
    middle = torch.tensor([width / 2, height / 2]).view(1, 2, 1, 1)
    off = torch.linalg.vector_norm(motion.pixel_grid(depth) - middle, dim=1).flatten().numpy()
    for (left, right), (title, flow) in zip(grid, flows.items(), strict=True):
        draw_arrows(left, image, flow)
        left.set_title(title)
        length = torch.linalg.vector_norm(flow, dim=1).flatten().numpy()
        dots = right.scatter(
            metres[::5], length[::5], s=3, c=off[::5], cmap="viridis", lw=0, rasterized=True
        )
        right.set(xscale="log", xlim=(2, 100), ylim=(0, 25), ylabel="flow, pixels")
        right.set_xticks(_METRES, [str(tick) for tick in _METRES])
        right.minorticks_off()
    label = "pixels from the middle of the picture"
    figure.colorbar(dots, ax=grid[:, 1].tolist(), label=label, pad=0.01)
    grid[0, 1].set_title("length of flow against depth")
    grid[-1, 1].set_xlabel("depth, metres")
    return figure


def regions_figure(target: Tensor, warped: Tensor, regions: Mapping[str, Tensor]) -> Figure:
    """Draw a picture, how it was rebuilt, what differs, and the regions that explain it.

    Args:
        target: (1, 3, H, W) in [0, 1].
        warped: (1, 3, H, W).
        regions: from a name of `REGIONS` to (1, 1, H, W) bool.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(2, 2, figsize=(13, 4.9), layout="constrained")
    plots.draw_picture(axes[0, 0], target, "target")
    plots.draw_picture(axes[0, 1], warped, "rebuilt from the source by rigid flow")
    difference = (target - warped).abs().mean(dim=1, keepdim=True)
    if "outside" in regions:
        difference = difference.masked_fill(regions["outside"], 0)
    plots.draw_picture(axes[1, 0], 1 - 2 * difference, "difference, twice as strong: dark is wrong")
    picture = 0.3 + 0.5 * target.mean(dim=1, keepdim=True).expand(1, 3, -1, -1)
    for name, mask in regions.items():
        colour = torch.tensor(plt.matplotlib.colors.to_rgb(REGIONS[name])).view(1, 3, 1, 1)
        picture = torch.where(mask, colour, picture)
    plots.draw_picture(axes[1, 1], picture, "what rigid flow cannot know")
    patches = [Patch(color=REGIONS[name], label=name) for name in regions]
    axes[1, 1].legend(handles=patches, loc="upper center", ncols=3, fontsize="small")
    return figure


def holes_figure(splatted: Tensor, hit: Tensor, warped: Tensor) -> Figure:
    """Draw a picture pushed along its flow, with holes, beside one that was fetched.

    Args:
        splatted: (1, 3, H, W) in [0, 1]: pixels pushed to where they go.
        hit: (1, 1, H, W) bool: where any pixel arrived.
        warped: (1, 3, H, W): pixels fetched.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    hole = torch.tensor(plt.matplotlib.colors.to_rgb(REGIONS["moving"])).view(1, 3, 1, 1)
    figure, axes = plt.subplots(1, 2, figsize=(13, 2.5), layout="constrained")
    plots.draw_picture(axes[0], torch.where(hit, splatted, hole), "pushed: holes (pink)")
    plots.draw_picture(axes[1], warped, "fetched: no holes; black came from outside")
    return figure


def curves_figure(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], xlabel: str, ylabel: str, title: str
) -> Figure:
    """Draw several curves over one axis, each with a line style of its own.

    Args:
        curves: from a label to x and y.
        xlabel: with its unit.
        ylabel: with its unit.
        title: says what to see.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    colours = ("#0072b2", "#e69f00", "#009e73", "#cc3377")
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    for (label, (x, y)), colour, style in zip(
        curves.items(), colours, ("-", "--", "-.", ":"), strict=False
    ):
        axes.plot(x, y, color=colour, ls=style, lw=2.2, label=label)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.set_ylim(bottom=0)
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def descent_figure(runs: Mapping[str, Tensor]) -> Figure:
    """Draw how loss, rotation and translation go in several descents.

    Args:
        runs: from a label to (steps, 3): photometric loss, degrees, metres.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    colours, names = ("#0072b2", "#e69f00", "#009e73"), (
        "photometric loss", "rotation off by, degrees", "translation off by, metres",
    )  # fmt: skip
    figure, grid = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
    for column, (axes, name) in enumerate(zip(grid, names, strict=True)):
        for values, colour, style in zip(runs.values(), colours, ("-", "--", "-."), strict=False):
            axes.plot(values[:, column].numpy(), color=colour, ls=style, lw=2)
        axes.set(xlabel="step", title=name)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    lines = [
        Line2D([], [], color=colour, ls=style, lw=2, label=label)
        for label, colour, style in zip(runs, colours, ("-", "--", "-."), strict=False)
    ]
    grid[0].legend(handles=lines)
    return figure
