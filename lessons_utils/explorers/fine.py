"""Lesson 07: what the fine network adds to the coarse map, and what it takes from it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from ipywidgets import Dropdown, FloatSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from torch import Tensor

from lessons_utils import depth as depths
from lessons_utils import plots
from lessons_utils.explorers.live import live

OWN, MEAN = "its own", "the mean picture"
"""Of whom the coarse map may be, besides the other rooms."""

VIEWS = {"from the front": (0, 0), "from the left": (50, 12), "from above": (0, 75)}
"""From a title to the turn around the cloud's middle and the look down on it, in degrees."""


# ---- Explorer --------------------------------------------------------------------------------


def borrowed_map(model: depths.EigenDepth, frames: depths.Frames) -> None:
    """Hand the fine network more or less of a coarse map, its own or that of another room.

    Args:
        model: trained, on any device; it stays as it is, a copy on the CPU is asked.
        frames: a few, with exact depth.
    """
    rooms = [f"room {number}" for number in range(1, len(frames[0]) + 1)]
    live(
        borrowed_map_picture(model, frames),
        size=(10, 2.1),
        room=Dropdown(options=rooms, value=rooms[0], description="picture"),
        whose=Dropdown(options=[OWN, *rooms, MEAN], value=OWN, description="coarse map"),
        amount=FloatSlider(1.0, min=0, max=1, step=0.1, description="how much of it"),
    )


def borrowed_map_picture(model: depths.EigenDepth, frames: depths.Frames) -> Callable[..., str]:
    """Return the drawing function of `borrowed_map`: `draw(figure, room, whose, amount)`."""
    model = copy.deepcopy(model).cpu().eval()
    seen = model.architecture.coarse_input
    images, truth, valid = (depths.centre_crop(part, seen) for part in frames)
    images = depths.to_unit(images)
    top, left = model.architecture.skipped
    with torch.no_grad():
        given = {OWN: model.coarse(images)}
    given |= {f"room {n}": one.expand_as(given[OWN]) for n, one in enumerate(given[OWN], start=1)}
    given[MEAN] = model.coarse.mean_depth.log().expand_as(given[OWN])

    def rmse_log(output: Tensor, index: int) -> float:
        one = slice(index, index + 1)
        large = depths.to_frame(output, seen, seen, (top, left)).exp()
        return depths.measure(large, truth[one], valid[one])["rmse_log"]

    @torch.no_grad()
    def fine(index: int, coarse: Tensor) -> Tensor:
        return model.fine(images[index : index + 1, :, top:, left:], coarse)

    own = given[OWN].split(1)
    whole = [rmse_log(fine(index, coarse), index) for index, coarse in enumerate(own)]
    alone = [rmse_log(coarse, index) for index, coarse in enumerate(own)]
    shown = torch.where(valid, truth, torch.nan)

    def draw(figure: Figure, room: str, whose: str, amount: float) -> str:
        index = int(room.split()[1]) - 1
        coarse = amount * given[whose][index : index + 1]
        output = fine(index, coarse)
        limits = plots.depth_limits(shown[index])
        maps = {
            "coarse map given": coarse.exp(),
            "fine answer": output.exp(),
            "the truth": shown[index],
        }
        axes = figure.subplots()  # one for all four: half of the time goes into making axes
        axes.set_axis_off()
        axes.imshow(plots.to_array(images[index]), extent=_place(0))
        for number, values in enumerate(maps.values(), start=1):
            drawn = plots.draw_depth(axes, values, limits=limits, extent=_place(number))
        for number, title in enumerate(["the picture", *maps]):
            axes.text(1.04 * number + 0.5, 0.79, title, ha="center", size="large")
        axes.set(xlim=(0, _place(3)[1]), ylim=(0, 0.88))
        figure.colorbar(drawn, ax=axes, label="metres", pad=0.01)
        return (
            f"The picture of {room} with {amount:.0%} of the coarse map of "
            f"{'the same room' if whose in (OWN, room) else whose}: RMSE log of the answer "
            f"{rmse_log(output, index):.3f}; with all of its own map {whole[index]:.3f}; of its "
            f"own map alone {alone[index]:.3f}."
        )

    return draw


def _place(number: int) -> tuple[float, float, float, float]:
    """Where a picture of width 1 and height 3/4 stands in a row of its like."""
    return 1.04 * number, 1.04 * number + 1, 0.0, 0.75


def _draw_error(axes: Axes, error: Tensor, title: str, high: float) -> AxesImage:
    """Draw (1, H, W) from dark, right, to bright, `high` or more; gray where not a number."""
    colours = matplotlib.colormaps["cividis"].with_extremes(bad="0.75")
    axes.set_title(title)
    axes.set_axis_off()
    picture = plots.to_array(error)
    return axes.imshow(picture, colours, vmin=0, vmax=high, interpolation="nearest")


# ---- Figures of the lesson -------------------------------------------------------------------


def rows_figure(
    images: Tensor, maps: Mapping[str, Tensor], notes: Sequence[str], width: float = 11.0
) -> Figure:
    """Draw a row for each picture: the picture, its depth maps, and their colour bar.

    Args:
        images: (R, 3, H, W), uint8 or in [0, 1].
        maps: from a title to depth, (R, 1, h, w), metres, not a number where it is missing. The
            maps of a row share one colour scale.
        notes: what stands left of each row.
        width: of the figure, in inches.
    """
    rows, columns = len(images), len(maps) + 1
    height = rows * (0.87 * width / columns * images.shape[-2] / images.shape[-1] + 0.12) + 0.35
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
    for row, (panels, note) in enumerate(zip(grid, notes, strict=True)):
        plots.draw_picture(panels[0], depths.to_unit(images[row]), "" if row else "the picture")
        panels[0].text(-0.04, 0.5, note, transform=panels[0].transAxes, rotation=90, **_MIDDLE)
        limits = plots.depth_limits(*(each[row] for each in maps.values()))
        for panel, (title, each) in zip(panels[1:], maps.items(), strict=True):
            drawn = plots.draw_depth(panel, each[row], "" if row else title, limits)
        figure.colorbar(drawn, ax=panels.tolist(), label="metres", pad=0.01, aspect=12)
    return figure


_MIDDLE = {"ha": "right", "va": "center"}


def profile_figure(image: Tensor, lines: Mapping[str, Tensor], row: int) -> Figure:
    """Draw a picture with a line across it, and depth along that line.

    Args:
        image: (3, H, W), uint8 or in [0, 1].
        lines: from a name to depth, (H, W), metres; the truth first.
        row: of the picture.
    """
    figure, (picture, along) = plt.subplots(
        1, 2, figsize=(12, 3.4), width_ratios=(1, 1.6), layout="constrained"
    )
    plots.draw_picture(picture, depths.to_unit(image), "depth is read along the orange line")
    picture.axhline(row, color="#e66100", lw=2)
    styles = ({"color": "0.3", "lw": 3}, {"color": "C0", "lw": 2}, {"color": "#e66100", "lw": 2})
    for (name, values), style in zip(lines.items(), styles, strict=False):
        along.plot(values[row].numpy(), label=name, **style)
    along.set(xlabel="column, pixels", ylabel="depth, metres", xlim=(0, image.shape[-1] - 1))
    along.legend(frameon=False, ncol=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def fields_figure(image: Tensor, fields: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw what one output pixel sees of the picture, as a box, once for each network.

    Args:
        image: (3, H, W), uint8 or in [0, 1].
        fields: from a title to the box's height and width, as shares of the picture's.
    """
    figure, axes = plt.subplots(1, len(fields), figsize=(12, 3.3), layout="constrained")
    picture = depths.to_unit(image)
    height, width = picture.shape[-2:]
    for panel, (title, (tall, wide)) in zip(axes, fields.items(), strict=True):
        plots.draw_picture(panel, 0.5 * picture, title)
        corner = (width * (1 - wide) - 1) / 2, (height * (1 - tall) - 1) / 2
        box = Rectangle(corner, width * wide, height * tall, fill=False, color="#e66100", lw=2.5)
        panel.add_patch(box)
        panel.imshow(plots.to_array(picture)).set_clip_path(box)
        panel.plot((width - 1) / 2, (height - 1) / 2, "o", color="#e66100", ms=5)
    return figure


def steps_figure(truth: Tensor, wrong: Mapping[str, Tensor]) -> Figure:
    """Draw wrong answers to a step in depth, each against the step.

    Args:
        truth: (N,), log depth.
        wrong: from a title to an answer, (N,).
    """
    figure, axes = plt.subplots(1, len(wrong), figsize=(12, 2.9), sharey=True, layout="constrained")
    place = np.arange(len(truth))
    for panel, (title, answer) in zip(axes, wrong.items(), strict=True):
        panel.step(place, truth, where="mid", color="0.6", lw=4, label="truth")
        panel.step(place, answer, where="mid", color="C0", lw=2, label="answer")
        panel.set_title(title)
        panel.set(xlabel="position, pixels", xticks=range(0, len(truth), 4))
    axes[0].set(ylabel="log depth")
    axes[0].legend(frameon=False, loc="upper left")
    return figure


def training_figure(
    steps: Sequence[int], curves: Mapping[str, Sequence[float]], coarse: Mapping[str, float]
) -> Figure:
    """Draw RMSE log during the fine stage, with the coarse network's as dashed lines.

    Args:
        steps: where it was measured.
        curves: from the name of a part of the pixels to RMSE log at those steps.
        coarse: from the same names to the coarse network's.
    """
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    for (name, values), style in zip(curves.items(), ("o-", "s-"), strict=True):
        (line,) = axes.plot(steps, values, style, label=f"fine, {name}")
        axes.axhline(coarse[name], color=line.get_color(), ls="--", label=f"coarse, {name}")
    axes.set(xlabel="steps of the second stage", ylabel="RMSE log")
    axes.set_title("The coarse network stands still, the fine one learns (live training)")
    axes.legend(frameon=False, ncol=2)
    return figure


def errors_figure(image: Tensor, edges: Tensor, errors: Mapping[str, Tensor]) -> Figure:
    """Draw a picture, the pixels near jumps of depth, and how wrong depth maps are.

    Args:
        image: (3, H, W), uint8 or in [0, 1].
        edges: (1, H, W), bool.
        errors: from a title to the absolute difference of log depths, (1, H, W), not a number
            where the truth is missing.
    """
    figure, panels = plt.subplots(1, 2 + len(errors), figsize=(13, 2.4), layout="constrained")
    plots.draw_picture(panels[0], depths.to_unit(image), "the picture")
    plots.draw_picture(panels[1], edges.float(), "near a jump of the true depth")
    high = torch.stack(list(errors.values())).nanquantile(0.98).item()
    for panel, (title, error) in zip(panels[2:], errors.items(), strict=True):
        drawn = _draw_error(panel, error, title, high)
    figure.colorbar(drawn, ax=panels.tolist(), label="error of log depth", pad=0.01)
    return figure


def cloud_figure(clouds: Mapping[str, Tensor], colours: Tensor) -> Figure:
    """Draw clouds of points from three sides; all turn around the middle of the first one.

    Args:
        clouds: from a name to points, (N, 3), metres: x to the right, y down, z forward.
        colours: (N, 3), in [0, 1].
    """
    first = next(iter(clouds.values()))
    middle = first.quantile(0.5, dim=0)
    reach = 1.1 * (first - middle).abs().quantile(0.98).item()
    figure, grid = plt.subplots(
        len(clouds), len(VIEWS), figsize=(12, 3.5 * len(clouds)), layout="constrained"
    )
    for panels, (name, points) in zip(grid, clouds.items(), strict=True):
        for panel, (view, (turn, look_down)) in zip(panels, VIEWS.items(), strict=True):
            turned = (points - middle) @ _rotation(turn, look_down).T
            picture = _painted(turned, colours, reach)
            panel.imshow(picture, extent=(-reach, reach, 0.8 * reach, -0.8 * reach))
            panel.set_title(f"{name}, {view}")
            panel.set(xlabel="metres")
        panels[0].set_ylabel("metres")
    return figure


def _painted(points: Tensor, colours: Tensor, reach: float, width: int = 340) -> np.ndarray:
    """Paint points on paper from the farthest to the nearest, without perspective: (H, W, 3)."""
    height, size = round(0.8 * width), 4
    picture = np.full((height + size, width + size, 3), 0.25, dtype=np.float32)
    order = points[:, 2].argsort(descending=True)
    x, y = points[order, :2].T
    shades = colours[order]
    column = (width / 2 * (1 + x / reach)).round().long()
    row = (height / 2 + width / 2 * y / reach).round().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    for down in range(size):
        for right in range(size):
            picture[(row + down)[inside], (column + right)[inside]] = shades[inside]
    return picture[2 : height + 2, 2 : width + 2]


def _rotation(turn: float, look_down: float) -> Tensor:
    """Return (3, 3), which turns points as seen by a viewer who walked around and rose, degrees."""
    a, b = math.radians(turn), math.radians(look_down)
    around = [[math.cos(a), 0, -math.sin(a)], [0, 1, 0], [math.sin(a), 0, math.cos(a)]]
    above = [[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]]
    return torch.tensor(above) @ torch.tensor(around)
