"""Explorers and figures of lesson 06: a loss with an invariance, and a network that sees it all."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import ipywidgets as widgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from torch import Tensor

from lessons_utils import depth, plots
from lessons_utils.explorers.live import live
from lessons_utils.scenes import raycaster, rooms

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # told apart by colour-blind readers too
FRAME = "#E69F00"
GRAY = 0.45
"""What covers a part of a picture: about the mean brightness of a room."""


# ---- Explorer: the loss ------------------------------------------------------------------------


def wobble(count: int) -> Tensor:
    """Return an error of shape and of nothing else: (count,), mean 0, standard deviation 1."""
    place = torch.linspace(0, 1, count)
    wave = (3 * math.pi * place).sin() + 0.6 * (7 * math.pi * place).cos()
    return (wave - wave.mean()) / wave.std(correction=0)


def draw_losses(
    figure: Figure, truth: Tensor, factor: float, shape_error: float, invariance: float
) -> str:
    """Draw a depth profile, a wrong prediction of it, d at each pixel, and what each loss says.

    Args:
        figure: empty.
        truth: (W,), metres, positive.
        factor: the whole prediction is so many times too deep.
        shape_error: standard deviation of the rest of d, the error of shape.
        invariance: of the loss, 0 to 1.
    """
    prediction = truth * factor * (shape_error * wobble(len(truth))).exp()
    d = prediction.log() - truth.log()
    everywhere = torch.ones(1, 1, 1, len(truth), dtype=torch.bool)

    def loss(lam: float) -> float:
        pair = (part.log().view(1, 1, 1, -1) for part in (prediction, truth))
        return depth.scale_invariant_loss(*pair, everywhere, lam).item()

    figure.set_layout_engine("none")
    profile, difference, bars = (
        figure.add_axes((x, 0.2, w, 0.66)) for x, w in ((0.06, 0.33), (0.46, 0.25), (0.79, 0.2))
    )
    profile.plot(truth, color="black", label="truth")
    profile.plot(prediction, color=BLUE, label="prediction")
    columns = range(0, len(d), 50)  # few ticks: each takes most of a millisecond to draw
    profile.set(ylim=(0, 12), xlabel="column (pixels)", ylabel="depth (m)")
    profile.set(xticks=columns, yticks=range(0, 13, 4))
    profile.set_title("Depth along one row of a room")
    profile.legend(loc="upper left", ncols=2, fontsize=8)
    difference.fill_between(range(len(d)), d, color=BLUE, alpha=0.35, linewidth=0)
    difference.axhline(d.mean(), color=ORANGE, linewidth=2)
    difference.axhline(0, color="black", linewidth=0.8)
    difference.set(ylim=(-1.6, 1.6), xlabel="column (pixels)", title="d, and its mean (orange)")
    difference.set(xticks=columns, yticks=(-1, 0, 1))
    names, values = ("0", f"{invariance:g}", "1"), (loss(0.0), loss(invariance), loss(1.0))
    bars.bar(range(3), values, color=(BLUE, FRAME, GREEN))
    for place, value in enumerate(values):
        bars.text(place, value, f"{value:.3f}", ha="center", va="bottom", fontsize=9)
    bars.set(ylim=(0, max(0.3, 1.15 * values[0])), xlabel="λ", title="Loss")
    bars.set_xticks(range(3), names)
    bars.locator_params(axis="y", nbins=3)
    return (
        f"The prediction is {factor:.2f} times too deep, with a shape error of {shape_error:.2f}: "
        f"the loss is {values[0]:.3f} for λ = 0, {values[1]:.3f} for λ = {invariance:g}, "
        f"{values[2]:.3f} for λ = 1; the mean of d is {d.mean():.3f}."
    )


def losses(truth: Tensor) -> None:
    """Explore the loss: move an error of scale, an error of shape, and λ.

    Args:
        truth: (W,), metres, positive: the true depth along a row of a room.

    Raises:
        ValueError: a depth is not positive.
    """
    if not (truth > 0).all():
        raise ValueError("The profile needs a positive depth in each column; take the exact depth.")

    def draw(figure: Figure, factor: float, shape_error: float, invariance: float) -> str:
        return draw_losses(figure, truth, factor, shape_error, invariance)

    live(
        draw,
        size=(9.6, 2.9),
        factor=widgets.FloatLogSlider(
            value=1.5,
            base=2,
            min=-1,
            max=1,
            step=0.05,
            description="Scale error (factor)",
            readout_format=".2f",
        ),
        shape_error=widgets.FloatSlider(
            value=0.1, min=0.0, max=0.5, step=0.05, description="Shape error"
        ),
        invariance=widgets.FloatSlider(value=0.5, min=0.0, max=1.0, step=0.1, description="λ"),
    )


# ---- Explorer: what the network sees -----------------------------------------------------------

EDITS = {
    "cover the bottom": ("bottom", "cover"),
    "cover the top": ("top", "cover"),
    "cover the left": ("left", "cover"),
    "cover the right": ("right", "cover"),
    "lift the picture": ("up", "shift"),
    "lower the picture": ("down", "shift"),
}
"""What can be done to a picture: a part covered with gray, or all of it moved up or down."""

MARGIN = 40
"""Rows that a tall picture has above and below what the network sees."""


def tall_rooms(seeds: Sequence[int], size: tuple[int, int]) -> Tensor:
    """Render rooms with `MARGIN` more rows above and below than a network sees.

    Args:
        seeds: of the rooms.
        size: height and width of what the network sees: the middle of a frame of 120 x 160.

    Returns:
        (N, 3, height + 2 MARGIN, width), in [0, 1].
    """
    tall = (120 + 2 * MARGIN, 160)
    frames = [torch.from_numpy(rooms.sample_frame(seed, *tall).rgb) for seed in seeds]
    pictures = torch.stack(frames).permute(0, 3, 1, 2)
    return depth.centre_crop(pictures, (size[0] + 2 * MARGIN, size[1]))


def edit(tall: Tensor, name: str, amount: int) -> Tensor:
    """Cut what the network sees out of tall pictures, and cover a strip of it, or move the cut.

    Args:
        tall: (B, C, H + 2 MARGIN, W), in [0, 1].
        name: a key of `EDITS`.
        amount: pixels, up to `MARGIN`.

    Returns:
        (B, C, H, W).
    """
    where, kind = EDITS[name]
    height = tall.shape[-2] - 2 * MARGIN
    if kind == "shift":
        top = MARGIN + (amount if where == "up" else -amount)
        return tall[..., top : top + height, :]
    edited = tall[..., MARGIN : MARGIN + height, :].clone()
    strips = {
        "bottom": np.s_[..., height - amount :, :],
        "top": np.s_[..., :amount, :],
        "left": np.s_[..., :amount],
        "right": np.s_[..., edited.shape[-1] - amount :],
    }
    edited[strips[where]] = GRAY
    return edited


def before_and_after(
    log_depth: Tensor, edited: Tensor, size: tuple[int, int], name: str, amount: int
) -> tuple[Tensor, Tensor]:
    """Return both predictions of what is still seen, each thing at the same place in both.

    A picture that was lifted by 4 pixels has each thing one row higher in the output map, so the
    first map is moved along. Cells that the edit hid, or that have no partner, are NaN.

    Args:
        log_depth: (h, w), predicted for the picture as it was.
        edited: (h, w), predicted for the edited picture.
        size: height and width of what the network sees.
        name: a key of `EDITS`.
        amount: pixels; a multiple of 4, so that a picture moves by whole cells.

    Returns:
        The depth before, moved along, and the depth after: (h, w) each, metres.

    Raises:
        ValueError: the amount is no multiple of 4.
    """
    if amount % depth.STRIDE:
        raise ValueError(f"`amount` must be a multiple of {depth.STRIDE}; got {amount}.")
    where, kind = EDITS[name]
    height = len(log_depth)
    if kind == "shift":
        source = torch.arange(height) + (amount if where == "up" else -amount) // depth.STRIDE
        log_depth = log_depth[source.clamp(0, height - 1)]
        hidden = ((source < 0) | (source >= height))[:, None]
    else:
        blank = torch.ones(1, 1, size[0] + 2 * MARGIN, size[1])
        hidden = depth.output_grid(edit(blank, name, amount))[0, 0] != 1
    before, after = (torch.where(hidden, torch.nan, part.exp()) for part in (log_depth, edited))
    return before, after


@torch.no_grad()
def draw_edit(
    figure: Figure, network: depth.CoarseNetwork, tall: Tensor, room: int, name: str, amount: int
) -> str:
    """Draw an edited picture, the depth before and after, and by how much the rest changed.

    Args:
        figure: empty.
        network: in eval mode.
        tall: (N, 3, H + 2 MARGIN, W) in [0, 1], H x W what the network sees.
        room: which one, from 0.
        name: a key of `EDITS`.
        amount: pixels, a multiple of 4.
    """
    picture, edited = (edit(tall[room : room + 1], name, pixels) for pixels in (0, amount))
    before, after = before_and_after(
        *(network(part)[0, 0] for part in (picture, edited)), picture.shape[-2:], name, amount
    )
    change = 100 * (after / before - 1)
    seen = change[~change.isnan()]
    figure.set_layout_engine("none")
    row, right = (figure.add_axes((x, 0.04, w, 0.8)) for x, w in ((0.0, 0.65), (0.72, 0.21)))
    limits = plots.depth_limits(before, after)
    row.imshow(plots.to_array(edited), extent=_place(0))  # three in one axes: axes take long
    plots.draw_depth(row, before, limits=limits, extent=_place(1))
    drawn = plots.draw_depth(row, after, limits=limits, extent=_place(2))
    row.set(xlim=(0, _place(2)[1]), ylim=(0, 0.75))
    titles = ("What the network sees", "Depth before the edit", "Depth after")
    for number, title in enumerate(titles):
        row.text(_place(number)[0] + 0.5, 0.78, title, ha="center")
    _bar_beside(figure, row, drawn, "metres")
    _bar_beside(figure, right, _draw_change(right, change), "%")
    return (
        f"Room {room + 1}, {name} by {amount} pixels: what is still seen has a mean "
        f"predicted depth of {after.nanmean():.2f} m, {before.nanmean():.2f} m before; it "
        f"changes by {seen.mean():+.1f} % on average, and by {seen.abs().max():.0f} % where most."
    )


def _place(number: int) -> tuple[float, float, float, float]:
    """Where a picture of width 1 and height 3/4 stands in a row of its like."""
    return 1.05 * number, 1.05 * number + 1, 0.0, 0.75


def _draw_change(axes: Axes, percent: Tensor) -> AxesImage:
    """Draw (H, W) from purple, less, to orange, more; gray where it is not a number."""
    colours = matplotlib.colormaps["PuOr_r"].with_extremes(bad="0.75")
    axes.set_title("Change")
    axes.set_axis_off()
    return axes.imshow(percent.numpy(), colours, vmin=-50, vmax=50, interpolation="nearest")


def _bar_beside(figure: Figure, axes: Axes, drawn: AxesImage, label: str) -> None:
    box = axes.get_position()
    bar = figure.add_axes((box.x1 + 0.008, box.y0 + 0.08, 0.01, box.height - 0.16))
    figure.colorbar(drawn, cax=bar)
    bar.tick_params(labelsize=8)
    bar.set_title(label, fontsize=8, loc="left")


def edits(network: depth.CoarseNetwork, tall: Tensor) -> None:
    """Explore what a coarse network goes by: cover a part of a room, or move the picture.

    Args:
        network: trained, on any device; it stays as it is, a copy on the CPU is asked.
        tall: (N, 3, H + 2 MARGIN, W) in [0, 1], H x W what the network sees; see `tall_rooms`.
    """
    network = copy.deepcopy(network).cpu().eval()
    network(edit(tall[:1], "cover the top", 0))  # raises here if the size is wrong

    def draw(figure: Figure, room: int, name: str, amount: int) -> str:
        return draw_edit(figure, network, tall, room, name, amount)

    live(
        draw,
        size=(9.8, 2.2),
        name=widgets.Dropdown(options=list(EDITS), value="cover the bottom", description="Edit"),
        amount=widgets.IntSlider(value=20, min=0, max=MARGIN, step=4, description="Pixels"),
        room=widgets.Dropdown(
            options=[(f"room {number + 1}", number) for number in range(len(tall))],
            value=0,
            description="Picture",
        ),
    )


# ---- A camera that walks -----------------------------------------------------------------------


def walk_nearer(seed: int, scale: float) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Render a room twice: as it is, and from a camera that walked towards the picture's centre.

    Args:
        seed: of the room.
        scale: what is seen at the centre becomes so many times larger, as it is as many times
            nearer.

    Returns:
        Twice a picture (1, 3, H, W) in [0, 1] and its depth (1, 1, H, W) in metres.
    """
    room, camera = rooms.sample_view(seed)
    radiance, _ = raycaster.shade(room.scene, raycaster.cast(room.scene, camera))
    factor = raycaster.exposure(radiance, 0.5)
    here = raycaster.render(room.scene, camera, factor)
    steps = here.depth[camera.height // 2, camera.width // 2] * (1 - 1 / scale)
    pose = camera.camera_to_world.copy()
    pose[:3, 3] += steps * pose[:3, 2]  # along the line of sight
    nearer = raycaster.render(room.scene, replace(camera, camera_to_world=pose), factor)
    return _as_pair(here), _as_pair(nearer)


def _as_pair(frame: raycaster.Frame) -> tuple[Tensor, Tensor]:
    picture = torch.from_numpy(frame.rgb).permute(2, 0, 1)[None]
    return picture, torch.from_numpy(frame.depth)[None, None]


def zoom(picture: Tensor, metres: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Enlarge the middle of a picture, and of its depth by the nearest pixel, without dividing it.

    Args:
        picture: (1, 3, H, W).
        metres: (1, 1, H, W).
        scale: 1 or more.
    """
    size = picture.shape[-2:]
    cut = tuple(round(side / scale) for side in size)
    picture, metres = (depth.centre_crop(part, cut) for part in (picture, metres))
    enlarged = F.interpolate(picture, size, mode="bilinear", align_corners=False)
    return enlarged, F.interpolate(metres, size, mode="nearest")


# ---- Figures of the lesson ---------------------------------------------------------------------


def patches_figure(images: Tensor, places: Sequence[tuple[int, int]], size: int) -> Figure:
    """Draw cut-out patches, enlarged, each with a letter.

    Args:
        images: (N, 3, H, W), uint8 or in [0, 1].
        places: top row and left column of the patch in each image.
        size: side of a patch, in pixels.
    """
    cuts = {
        f"patch {letter}": plots.crop(depth.to_unit(image), *place, size)
        for letter, image, place in zip("ABCDEF", images, places, strict=False)
    }
    figure = plots.picture_row(cuts, width=2.4 * len(cuts))
    figure.suptitle("How far away is each?")
    return figure


def whole_figure(
    images: Tensor, metres: Tensor, places: Sequence[tuple[int, int]], size: int
) -> Figure:
    """Draw whole pictures above their depth, with the patches framed and their depth written in.

    Args:
        images: (N, 3, H, W), uint8 or in [0, 1].
        metres: (N, 1, H, W).
        places: see `patches_figure`.
        size: side of a patch, in pixels.
    """
    limits = plots.depth_limits(metres)
    count = len(images)
    figure, grid = plt.subplots(2, count, figsize=(3.0 * count + 0.8, 4.7))
    for column, (image, truth, place) in enumerate(zip(images, metres, places, strict=True)):
        patch = plots.crop(truth, *place, size)
        plots.draw_picture(grid[0, column], depth.to_unit(image), f"patch {'ABCDEF'[column]}")
        title = f"patch: {patch.mean():.1f} m"
        drawn = plots.draw_depth(grid[1, column], truth, title, limits)
        for axes in grid[:, column]:
            corner = (place[1] - 0.5, place[0] - 0.5)
            axes.add_patch(Rectangle(corner, size, size, fill=False, color=FRAME, linewidth=3))
    figure.colorbar(drawn, ax=grid.ravel().tolist(), label="metres", pad=0.01)
    return figure


def thirds_figure(thirds: Sequence[Tensor], shares: Mapping[str, Tensor]) -> Figure:
    """Draw how often each depth occurs, and which third of the pixels makes up the loss.

    Args:
        thirds: the nearest, the middle and the farthest third of all depths, metres.
        shares: from the name of a loss to the share of each third in it, (3,).
    """
    colors, names = (BLUE, FRAME, GREEN), ("near", "middle", "far")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
    counted = [part.numpy() for part in thirds]
    left.hist(counted, bins=60, color=colors, stacked=True, label=names)
    left.set(xlabel="depth (m)", ylabel="number of pixels", yticks=[])
    left.set_title("A third of the pixels each")
    left.legend()
    for number, (color, third) in enumerate(zip(colors, names, strict=True)):
        heights = [100 * values[number].item() for values in shares.values()]
        places = torch.arange(len(shares)) + 0.27 * (number - 1)
        bars = right.bar(places, heights, width=0.25, color=color, label=third)
        right.bar_label(bars, fmt="%.0f")
    right.set_xticks(range(len(shares)), list(shares))
    right.set(ylabel="share of the loss (%)", ylim=(0, 70))
    right.set_title("In metres, the far third has most of the say")
    return figure


def four_numbers_figure(rows: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Draw d of a few pixels and the three losses, for some predictions.

    Args:
        rows: from a name to d (N,) and the losses (3,) for λ = 0, 0.5 and 1.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
    styles = zip(rows.items(), (BLUE, ORANGE), (-0.12, 0.12), strict=True)
    for (name, (d, three)), color, offset in styles:
        places = torch.arange(1, len(d) + 1) + offset
        left.vlines(places, 0, d, color=color, linewidth=5)
        left.axhline(d.mean(), color=color, linestyle="--", linewidth=1.5)
        bars = right.bar(torch.arange(3) + offset * 1.6, three, width=0.36, color=color, label=name)
        right.bar_label(bars, fmt="%.3f", fontsize=9)
    left.axhline(0, color="black", linewidth=0.8)
    left.set_xticks(range(1, len(d) + 1))
    left.set(xlabel="pixel", ylabel="d", title="d of each pixel (dashed: the mean)")
    right.set_xticks(range(3), ["λ = 0\n(L2)", "λ = 0.5", "λ = 1\n(variance)"])
    right.set(ylabel="loss", title="A factor on all depths: the right pair does not move")
    right.legend(loc="upper right")
    return figure


def depth_rows_figure(columns: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Draw pictures above their depth maps, all depth on one scale.

    Args:
        columns: from a title to a picture (1, 3, H, W) in [0, 1] and its depth (1, 1, h, w),
            metres, zero where missing.
    """
    limits = plots.depth_limits(*(metres for _, metres in columns.values()))
    figure, grid = plt.subplots(2, len(columns), figsize=(2.4 * len(columns) + 0.8, 4.0))
    for column, (title, (picture, metres)) in enumerate(columns.items()):
        plots.draw_picture(grid[0, column], picture, title)
        middle = metres[metres > 0].median()
        drawn = plots.draw_depth(grid[1, column], metres, f"median {middle:.2f} m", limits)
    figure.colorbar(drawn, ax=grid.ravel().tolist(), label="metres", pad=0.01)
    return figure


def signal_figure(spreads: Mapping[str, Sequence[float]]) -> Figure:
    """Draw by how much the answers of each layer still differ from picture to picture.

    Args:
        spreads: from a name to one standard deviation a layer, the picture's own first.
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.3))
    for (name, values), color, marker in zip(spreads.items(), (ORANGE, BLUE), "so", strict=True):
        axes.semilogy(range(len(values)), values, color=color, marker=marker, label=name)
    layers = ["picture", *(f"Coarse {number}" for number in range(1, len(values)))]
    axes.set_xticks(range(len(values)), layers, fontsize=9)
    axes.set(ylabel="std. dev. across pictures")
    axes.set_title("Untrained networks: how much of the difference between pictures gets through")
    axes.legend(loc="lower left")
    return figure


def training_figure(curve: Sequence[tuple[int, float, float]], true_spread: float) -> Figure:
    """Draw the loss and the spread of the predictions during training.

    Args:
        curve: (step, loss, spread) in order.
        true_spread: that of the truth.
    """
    steps, losses_, spreads = zip(*curve, strict=True)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
    left.plot(steps, losses_, color=BLUE, marker="o")
    left.set(xlabel="step", ylabel="loss", ylim=(0, None), title="The loss falls slowly ...")
    right.axhline(true_spread, color="black", linestyle="--", label="truth")
    right.plot(steps, spreads, color=ORANGE, marker="o", label="prediction")
    right.set(xlabel="step", ylabel="std. dev. of mean log depth", ylim=(0, 1.15 * true_spread))
    right.set_title("... while the answers hardly differ between rooms")
    right.legend(loc="center right")
    return figure


def results_figure(
    images: Tensor, coarse: Tensor, truth: Tensor, titles: Sequence[str], mean: Tensor | None = None
) -> Figure:
    """Draw rows of picture, prediction and truth; one colour scale a row.

    Args:
        images: (N, 3, H, W), uint8 or in [0, 1].
        coarse: (N, 1, H, W), metres.
        truth: (N, 1, H, W), metres, zero where missing.
        titles: what to say of each row.
        mean: (N, 1, H, W), metres: the mean picture as a further column, or None.
    """
    names = ["picture", "coarse network", "truth"] + ["mean of training"] * (mean is not None)
    rows = len(images)
    figure, grid = plt.subplots(
        rows, len(names), figsize=(2.5 * len(names) + 0.9, 1.85 * rows + 0.3)
    )
    for row in range(rows):
        maps = [coarse[row], truth[row]] + ([] if mean is None else [mean[row]])
        limits = plots.depth_limits(coarse[row], truth[row])
        plots.draw_picture(grid[row, 0], depth.to_unit(images[row]), titles[row])
        for column, metres in enumerate(maps, start=1):
            title = names[column] if row == 0 else ""
            drawn = plots.draw_depth(grid[row, column], metres, title, limits)
        figure.colorbar(drawn, ax=grid[row].tolist(), label="metres", pad=0.01)
    return figure


def weights_figure(maps: Tensor, columns: int = 8) -> Figure:
    """Draw weight maps, each on its own scale around zero.

    Args:
        maps: (N, h, w).
        columns: maps in a row.
    """
    rows = -(-len(maps) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(10, 0.98 * rows + 0.4), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, weights in zip(grid.flat, maps, strict=False):
        limit = weights.abs().max()
        axes.imshow(weights.numpy(), cmap="PuOr_r", vmin=-limit, vmax=limit)
    figure.suptitle("Coarse 7: what one hidden number adds to log depth (orange +, purple −)")
    return figure


def sensitivity_figure(
    picture: Tensor, slopes: Sequence[Tensor], places: Sequence[tuple[int, int]]
) -> Figure:
    """Draw which input pixels can change the depth of one output pixel.

    Args:
        picture: (1, 3, H, W), in [0, 1].
        slopes: for each place, (H, W), the length of the gradient there; zero or more.
        places: row and column of the output pixel, in the input.
    """
    figure, axes = plt.subplots(1, 1 + len(slopes), figsize=(10.5, 2.9))
    plots.draw_picture(axes[0], picture, "the room, and two pixels to predict")
    for number, (row, column) in enumerate(places):
        axes[0].plot(column, row, marker="os"[number], color=FRAME, markersize=11, mew=2, mec="k")
    for number, (panel, slope) in enumerate(zip(axes[1:], slopes, strict=True)):
        panel.imshow(slope.numpy(), cmap="cividis", vmin=0, vmax=float(slope.quantile(0.995)))
        row, column = places[number]
        panel.plot(column, row, marker="os"[number], color=FRAME, markersize=11, mew=2, mec="k")
        panel.set_title("who has a say in this one's depth")
        panel.set_axis_off()
    bar = ScalarMappable(Normalize(0, 1), cmap="cividis")
    figure.colorbar(bar, ax=axes[-1], label="say (1: the most)")
    return figure
