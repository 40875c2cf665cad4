"""Figures: rows of pictures, grids of filters, and how a figure reaches the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor
from torchvision.utils import make_grid


def show(figure: Figure, alt: str) -> None:
    """Put a figure on the page with alternative text, and close it.

    Args:
        figure: drawn already.
        alt: what the figure shows, in a sentence or two, for readers who cannot see it.

    Raises:
        ValueError: the alternative text is empty.
    """
    if not alt.strip():
        raise ValueError("Say in `alt` what the figure shows.")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=figure.dpi, facecolor="white")
    plt.close(figure)
    display(
        {"image/png": base64.b64encode(stream.getvalue()).decode(), "text/plain": alt},
        metadata={"image/png": {"alt": alt}},
        raw=True,
    )


def to_array(image: Tensor) -> np.ndarray:
    """Turn one picture into what `imshow` takes.

    Args:
        image: (1, C, H, W), (C, H, W) or (H, W), C 1 or 3, on any device.

    Returns:
        (H, W) or (H, W, 3), on the CPU; colour is clipped to [0, 1].
    """
    image = image.detach().cpu().float()
    if image.ndim == 4:
        image = image[0]
    if image.ndim == 3:
        image = image[0] if image.shape[0] == 1 else image.permute(1, 2, 0).clamp(0, 1)
    return image.numpy()


def draw_picture(
    axes: Axes, image: Tensor, title: str = "", limits: tuple[float, float] = (0, 1)
) -> None:
    """Draw one picture without ticks.

    Args:
        axes: where to.
        image: see `to_array`.
        title: says what to see.
        limits: the values that are black and white, for a gray picture.
    """
    axes.imshow(
        to_array(image), cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest"
    )
    axes.set_title(title)
    axes.set_axis_off()


def picture_row(
    pictures: Mapping[str, Tensor], columns: int | None = None, width: float = 10.0
) -> Figure:
    """Draw pictures side by side, each under its title.

    Args:
        pictures: from a title to a picture (see `to_array`), in [0, 1].
        columns: pictures in a row; None puts all in one.
        width: of the figure, in inches.

    Returns:
        The figure, to be passed to `show`.
    """
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    arrays = [to_array(picture) for picture in pictures.values()]
    aspect = max(array.shape[0] / array.shape[1] for array in arrays)
    height = rows * (width / columns * aspect + 0.3)
    figure, grid = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (title, picture) in zip(grid.flat, pictures.items(), strict=False):
        draw_picture(axes, picture, title)
    return figure


def depth_limits(*maps: Tensor) -> tuple[float, float]:
    """Return one colour scale for several depth maps: from their 1st to their 99th percentile.

    Args:
        *maps: any shape, metres; what is not positive, or not a number, is missing.

    Raises:
        ValueError: there is no map, or no map has a depth.
    """
    if not maps:
        raise ValueError("Expected at least one depth map to take the colour scale from; got none.")
    values = np.concatenate([to_array(each.flatten()[None]).ravel() for each in maps])
    values = values[values > 0]
    if not values.size:
        raise ValueError("There is no depth to draw: every pixel is missing.")
    low, high = np.percentile(values, [1, 99])
    return float(low), max(float(high), float(low) + 1e-3)


def draw_depth(
    axes: Axes,
    depth: Tensor,
    title: str = "",
    limits: tuple[float, float] | None = None,
    extent: tuple[float, float, float, float] | None = None,
) -> AxesImage:
    """Draw one depth map without ticks: dark is near, bright is far, gray is missing.

    Args:
        axes: where to.
        depth: (1, 1, H, W), (1, H, W) or (H, W), metres; what is not positive, or not a number, is
            missing.
        title: says what to see.
        limits: the darkest and the brightest depth; None takes `depth_limits` of this map.
        extent: left, right, bottom and top in axes that hold several pictures; None fills them.

    Returns:
        What `figure.colorbar` needs; every depth map stands beside a bar in metres.
    """
    low, high = limits or depth_limits(depth)
    values = to_array(depth)
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="0.75")
    drawn = axes.imshow(
        np.where(values > 0, values, np.nan),
        cmap=colours,
        vmin=low,
        vmax=high,
        interpolation="nearest",
        extent=extent,
    )
    axes.set_title(title)
    axes.set_axis_off()
    return drawn


def depth_row(
    pictures: Mapping[str, Tensor],
    width: float = 11.0,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw pictures and depth maps side by side; the maps share one colour bar in metres.

    Args:
        pictures: from a title to (1, 3, H, W), a picture in [0, 1], or (1, 1, H, W), depth in
            metres (see `draw_depth`).
        width: of the figure, in inches.
        limits: of the colours; None takes `depth_limits` of all the maps.

    Returns:
        The figure, to be passed to `show`.

    Raises:
        ValueError: there is no depth map, or no map has a depth and no limits are given.
    """
    maps = [each for each in pictures.values() if each.shape[1] == 1]
    if not maps:
        raise ValueError(
            "Expected at least one depth map, (1, 1, H, W), among the pictures; got none. Draw "
            "pictures alone with `picture_row`."
        )
    limits = limits or depth_limits(*maps)
    aspect = max(each.shape[-2] / each.shape[-1] for each in pictures.values())
    size = (width, (width - 1.0) / len(pictures) * aspect + 0.4)
    figure, grid = plt.subplots(1, len(pictures), figsize=size, squeeze=False)
    for axes, (title, picture) in zip(grid[0], pictures.items(), strict=True):
        if picture.shape[1] == 1:
            drawn = draw_depth(axes, picture, title, limits)
        else:
            draw_picture(axes, picture, title)
    figure.colorbar(drawn, ax=grid[0].tolist(), label="metres", pad=0.01)
    return figure


def flow_colours(flow: Tensor, longest: float) -> Tensor:
    """Turn flow into colours as the literature does: the hue says where to, the strength how far.

    White stays, red goes to the right, yellow-green down, cyan to the left, violet up.

    Args:
        flow: (B, 2, H, W), x and y in pixels. NaN, for pixels without flow, comes out gray.
        longest: pixels; as strong as a colour gets.

    Returns:
        (B, 3, H, W), RGB in [0, 1].

    Raises:
        ValueError: another shape, or a length that is not positive.

    Example:
        >>> flow_colours(torch.tensor([4.0, 0.0]).view(1, 2, 1, 1), 4.0).flatten()
        tensor([1., 0., 0.])
    """
    if flow.ndim != 4 or flow.shape[1] != 2 or not longest > 0:
        raise ValueError(
            "Expected flow (B, 2, H, W) and a positive length in pixels; got "
            f"{tuple(flow.shape)} and {longest}."
        )
    x, y = flow.detach().cpu().float().unbind(1)
    hue = torch.atan2(y, x) * 3 / np.pi  # of 6 around the circle, from red on
    strength = (torch.hypot(x, y) / longest).clamp(max=1)
    # A channel is full up to 1 from its own hue, and gone from 2 on.
    apart = torch.stack([((hue - own + 3) % 6 - 3).abs() for own in (0, 2, 4)], dim=1)
    pure = (2 - apart).clamp(0, 1)
    colours = 1 - strength[:, None] * (1 - pure)
    return torch.where(colours.isnan(), 0.75, colours)


def draw_flow(
    axes: Axes, flow: Tensor, title: str = "", longest: float = 10.0, spacing: int = 24
) -> None:
    """Draw one flow field without ticks: `flow_colours`, and arrows that say the same.

    Args:
        axes: where to.
        flow: (1, 2, H, W), pixels.
        title: says what to see.
        longest: pixels; as strong as a colour gets. An arrow of this length, or more, is as long as
            the arrows are apart.
        spacing: pixels between arrows; 0 draws none. Shorter than a twentieth of `longest`, they
            are left out.
    """
    axes.imshow(to_array(flow_colours(flow, longest)), interpolation="nearest")
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)  # a frame: no flow is as white as the page
    if not spacing:
        return
    height, width = flow.shape[-2:]
    starts = (torch.arange(size)[spacing // 2 :: spacing] for size in (height, width))
    rows, columns = torch.meshgrid(*starts, indexing="ij")
    there = flow[0].detach().cpu().float()[:, rows, columns]
    length = torch.linalg.vector_norm(there, dim=0)
    drawn = length > longest / 20  # never where it is NaN
    arrows = there / length.clamp(min=longest) * spacing
    axes.quiver(
        *(part[drawn].numpy() for part in (columns, rows, *arrows)),
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.004,
        color="0.15",
    )


def draw_flow_legend(axes: Axes, longest: float) -> None:
    """Draw what the colours of a flow field mean: a wheel, as long as `longest` pixels at its rim.

    Args:
        axes: where to.
        longest: as given to `draw_flow`.
    """
    side = torch.linspace(-1, 1, 121)
    wheel = longest * torch.stack(torch.meshgrid(side, side, indexing="xy"))[None]
    outside = torch.linalg.vector_norm(wheel, dim=1) > longest
    colours = torch.where(outside[:, None], 1.0, flow_colours(wheel, longest))
    axes.imshow(to_array(colours), extent=(-1, 1, 1, -1), interpolation="bilinear")
    for x, y in ((0.9, 0), (-0.9, 0), (0, 0.9), (0, -0.9)):
        axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": "0.15"})
    axes.set_title(f"rim: {longest:g} pixels", fontsize="small")
    axes.set_axis_off()


def flow_row(
    pictures: Mapping[str, Tensor], longest: float, columns: int | None = None, width: float = 11.0
) -> Figure:
    """Draw pictures, masks and flow fields side by side, with the wheel of the flow's colours.

    Args:
        pictures: from a title to (1, 2, H, W), flow in pixels (see `draw_flow`), or to what
            `draw_picture` takes: (1, 3, H, W) or (1, 1, H, W) in [0, 1].
        longest: pixels; as strong as a colour gets, the same for all.
        columns: in a row; None puts all in one.
        width: of the figure, in inches.

    Returns:
        The figure, to be passed to `show`.
    """
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    aspect = max(picture.shape[-2] / picture.shape[-1] for picture in pictures.values())
    size = (width, rows * ((width - 1.2) / columns * aspect + 0.35))
    figure = plt.figure(figsize=size, layout="constrained")
    widths = [(width - 1.2) / columns] * columns + [1.2]
    grid = figure.add_gridspec(rows, columns + 1, width_ratios=widths)
    for index, (title, picture) in enumerate(pictures.items()):
        axes = figure.add_subplot(grid[divmod(index, columns)])
        if picture.shape[-3] == 2:
            draw_flow(axes, picture, title, longest)
        else:
            draw_picture(axes, picture, title)
    draw_flow_legend(figure.add_subplot(grid[:, columns]), longest)
    return figure


def tile(maps: Tensor, columns: int, padding: int = 1) -> Tensor:
    """Lay filters or feature maps out as one picture, each on its own scale from black to white.

    Args:
        maps: (N, H, W) or (N, 1, H, W).
        columns: maps in a row.
        padding: white pixels between them.

    Returns:
        (H', W'), in [0, 1]. A map of one value everywhere comes out black.
    """
    maps = maps.detach().cpu().float().reshape(maps.shape[0], 1, *maps.shape[-2:])
    grid = make_grid(
        maps, nrow=columns, normalize=True, scale_each=True, padding=padding, pad_value=1.0
    )
    return grid[0]


def crop(image: Tensor, top: int, left: int, size: int) -> Tensor:
    """Cut a square out of a picture.

    Args:
        image: (..., H, W).
        top: first row.
        left: first column.
        size: side in pixels.

    Raises:
        ValueError: the square leaves the picture.
    """
    height, width = image.shape[-2:]
    if min(top, left) < 0 or top + size > height or left + size > width:
        raise ValueError(
            f"A square of {size} at row {top}, column {left} leaves the {height} x {width} picture."
        )
    return image[..., top : top + size, left : left + size]
