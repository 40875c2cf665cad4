"""Explorer of lesson 09: rebuild a frame from depth and motion, each too large or too small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from ipywidgets import Dropdown, FloatLogSlider
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import motion, plots
from lessons_utils.explorers.live import live

EVERYTHING, CAR = "the whole picture", "the car ahead"
"""What the depth factor can be applied to."""

NEAR, FAR = 3.0, 80.0
"""Metres: the ends of the colour scale of depth, which is logarithmic."""

WORST = 0.4
"""Photometric error that is drawn brightest."""

_EXPONENTS = torch.arange(-6, 8.1, 0.5)  # of two: depth over motion along the explorer's curve
_TICKS = {-6: "1/64", -3: "1/8", 0: "1", 3: "8", 6: "64"}
_GAP = 5  # white pixels between pictures
_OURS, _OTHER, _CHOSEN = "tab:blue", "tab:orange", "#0090e0"
_DEPTH_TICKS = (3, 5, 10, 20, 40, 80)


def rebuild_a_frame(
    frames: Tensor, T: Tensor, K: Tensor, depths: Mapping[str, Tensor], car: Tensor
) -> None:
    """Show an explorer: scale depth and motion, and see what the photometric error says.

    Args:
        frames: (1, 3, 3, H, W) in [0, 1], of which the middle one is rebuilt.
        T: (1, 2, 4, 4), from the middle frame to the first and to the last; metres.
        K: (1, 3, 3).
        depths: from a name to (1, 1, H, W), metres; may be infinite.
        car: (1, 1, H, W) bool: the car that the depth factor can be applied to alone.
    """
    live(
        RebuildAFrame(frames, T, K, depths, car).draw,
        size=(11, 3.9),
        start=Dropdown(options=list(depths), description="start from"),
        part=Dropdown(options=[EVERYTHING, CAR], description="change the depth of"),
        depth=_factor(5, "depth times"),
        translation=_factor(2, "motion times"),
    )


def _factor(most: int, description: str) -> FloatLogSlider:
    return FloatLogSlider(
        1.0, base=2, min=-2, max=most, step=0.5, readout_format=".2f", description=description
    )


class RebuildAFrame:
    """What `rebuild_a_frame` draws.

    Args:
        frames: (1, 3, 3, H, W) in [0, 1].
        T: (1, 2, 4, 4).
        K: (1, 3, 3).
        depths: from a name to (1, 1, H, W), metres.
        car: (1, 1, H, W) bool.
    """

    def __init__(
        self, frames: Tensor, T: Tensor, K: Tensor, depths: Mapping[str, Tensor], car: Tensor
    ) -> None:
        self.target, self.sources = frames[:, 1], frames[:, [0, 2]]
        self.T, self.K, self.depths = T, K, depths
        self.changed = {EVERYTHING: torch.ones_like(car), CAR: car}
        # Windows at the car's edge look at what is beside it, too: they do not count.
        self.counted = {part: motion.erode(mask) for part, mask in self.changed.items()}
        self.curves = {name: self._curves(depth) for name, depth in depths.items()}

    def rebuild(self, depth: Tensor, translation: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return the frame, each pixel from the source that explains it better, and the error.

        Args:
            depth: (1, 1, H, W), metres.
            translation: factor on the translations.

        Returns:
            (1, 3, H, W) in [0, 1], and (1, 1, H, W), infinite where neither source has the pixel.
        """
        pictures, errors = [], []
        for source, T in zip(self.sources.unbind(1), self.T.unbind(1), strict=True):
            moved = torch.cat([T[..., :3], T[..., 3:] * _but_last(translation)], dim=-1)
            warped, inside = motion.inverse_warp(source, motion.rigid_flow(depth, moved, self.K))
            error = motion.photometric_error(self.target, warped)
            pictures.append(warped)
            errors.append(torch.where(motion.erode(inside), error, torch.inf))
        first = errors[0] <= errors[1]
        return torch.where(first, *pictures), torch.where(first, *errors)

    def scaled(self, start: str, part: str, factor: float) -> Tensor:
        """Return a depth map, (1, 1, H, W), of which a part is multiplied."""
        depth = self.depths[start]
        return torch.where(self.changed[part], depth * factor, depth)

    def mean_error(self, error: Tensor, part: str) -> float:
        """Return the mean error of a part, over the pixels that some source has."""
        return motion.masked_mean(error, error.isfinite() & self.counted[part]).item()

    def smoothness(self, depth: Tensor) -> tuple[float, float]:
        """Return the smoothness loss of disparity as it is, and of normalised disparity."""
        versions = 1 / depth, motion.normalise_disparity(1 / depth)
        return tuple(motion.smoothness_loss(maps, self.target).item() for maps in versions)

    def _curves(self, depth: Tensor) -> dict[str, list[float]]:
        """The error of each part for each ratio of depth to motion; it depends on no more."""
        errors = [self.rebuild(depth * 2**exponent)[1] for exponent in _EXPONENTS.tolist()]
        return {part: [self.mean_error(error, part) for error in errors] for part in self.counted}

    def draw(self, figure: Figure, start: str, part: str, depth: float, translation: float) -> str:
        """Draw the rebuilt frame and its error, and the error over the ratio of the factors.

        Args:
            figure: empty.
            start: name of a depth map.
            part: `EVERYTHING` or `CAR`: what is multiplied, and what the error is about.
            depth: factor on the depth of that part.
            translation: factor on both translations.
        """
        maps = self.scaled(start, part, depth)
        picture, error = self.rebuild(maps, translation)
        mean, curve = self.mean_error(error, part), self.curves[start][part]
        best = int(np.argmin(curve))

        left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
        left.imshow(_stacked(picture, error), interpolation="nearest")
        left.set_title("the rebuilt frame, and its error (bright: wrong)")
        left.set_axis_off()
        _draw_curve(right, curve, np.log2(depth / translation), mean)

        raw, normalised = self.smoothness(maps)
        return (
            f"{start}, {part}: depth times {depth:.2f}, motion times {translation:.2f}. "
            f"Photometric error {mean:.3f}; the curve is lowest, {curve[best]:.3f}, where depth / "
            f"motion is {2 ** _EXPONENTS[best].item():.2f}. Smoothness {raw:.4f} of disparity, "
            f"{normalised:.4f} of normalised disparity."
        )


def _but_last(factor: float) -> Tensor:
    """(4, 1): scales a translation, and leaves the 1 below it."""
    return torch.tensor([factor, factor, factor, 1.0])[:, None]


def _stacked(picture: Tensor, error: Tensor) -> np.ndarray:
    """Rebuilt frame and error below each other: (2 H + gap, W, 3)."""
    gap = torch.ones(3, _GAP, picture.shape[-1])
    colours = plots.to_array(error)
    shown = matplotlib.colormaps["cividis"](np.clip(colours / WORST, 0, 1))[..., :3]
    shown[~np.isfinite(colours)] = 0.75
    heat = torch.from_numpy(shown).permute(2, 0, 1).float()
    return plots.to_array(torch.cat([picture[0], gap, heat], dim=1))


def _draw_curve(axes: Axes, curve: Sequence[float], exponent: float, mean: float) -> None:
    axes.plot(_EXPONENTS.numpy(), curve, color="0.35", lw=1.5)
    axes.plot([exponent], [mean], "o", color=_CHOSEN, ms=10)
    axes.axvline(0, color="black", lw=1, ls="--")
    axes.set(
        title="error of the chosen part",
        xlabel="depth factor / motion factor",
        ylabel="photometric error",
        xlim=(_EXPONENTS[0].item(), _EXPONENTS[-1].item()),
        ylim=(0, 0.3),
        xticks=list(_TICKS),
        xticklabels=list(_TICKS.values()),
        yticks=(0, 0.1, 0.2, 0.3),
    )


# ---- Figures of the lesson -----------------------------------------------------------------------


def depth_rows(
    images: Tensor,
    maps: Mapping[str, Tensor],
    notes: Sequence[str] = (),
    outlines: Tensor | None = None,
    width: float = 12.0,
) -> Figure:
    """Draw pictures and depth maps, a row each; colours on a logarithmic scale from 3 to 80 m.

    Args:
        images: (N, 3, H, W) in [0, 1].
        maps: from a title to (N, 1, H, W), metres; infinite in the sky.
        notes: left of each row.
        outlines: (N, 1, H, W) bool; its edge is drawn on each picture and map.
        width: of the figure, in inches.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    count, columns = len(images), 1 + len(maps)
    aspect = images.shape[-2] / images.shape[-1]
    size = (width, count * ((width - 1.2) / columns * aspect + 0.06) + 0.5)
    figure, grid = plt.subplots(count, columns, figsize=size, squeeze=False, layout="constrained")
    for row, axes in enumerate(grid):
        plots.draw_picture(axes[0], images[row])
        for place, depth in zip(axes[1:], maps.values(), strict=True):
            drawn = place.imshow(
                plots.to_array(depth[row]).clip(NEAR, FAR),
                norm=LogNorm(NEAR, FAR),
                cmap="viridis",
                interpolation="nearest",
            )
            place.set_axis_off()
        for place in axes if outlines is not None else ():
            mask = plots.to_array(outlines[row].float())
            place.contour(mask, [0.5], colors="white", linewidths=2.5)
            place.contour(mask, [0.5], colors="red", linewidths=1.2)
        if notes:
            axes[0].text(
                -0.02, 0.5, notes[row], transform=axes[0].transAxes, ha="right", va="center"
            )
    for axes, title in zip(grid[0], ("picture", *maps), strict=True):
        axes.set_title(title)
    bar = figure.colorbar(drawn, ax=grid[:, -1].tolist(), label="metres", pad=0.02)
    bar.set_ticks(_DEPTH_TICKS, labels=[str(metres) for metres in _DEPTH_TICKS])
    bar.minorticks_off()
    return figure


def errors_figure(errors: Mapping[str, Tensor], columns: int = 1, width: float = 7.0) -> Figure:
    """Draw maps of the photometric error: dark is right, bright is wrong, gray is unknown.

    Args:
        errors: from a title to (1, 1, H, W); infinite where nothing can be compared.
        columns: maps in a row.
        width: of the figure, in inches.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    rows = -(-len(errors) // columns)
    aspect = max(error.shape[-2] / error.shape[-1] for error in errors.values())
    size = (width, rows * ((width - 1) / columns * aspect + 0.4))
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    colours = matplotlib.colormaps["cividis"].with_extremes(bad="0.75")
    for axes, (title, error) in zip(grid.flat, errors.items(), strict=True):
        values = plots.to_array(error)
        drawn = axes.imshow(
            np.where(np.isfinite(values), values, np.nan),
            cmap=colours,
            vmin=0,
            vmax=WORST,
            interpolation="nearest",
        )
        axes.set_title(title)
        axes.set_axis_off()
    figure.colorbar(drawn, ax=grid.ravel().tolist(), label="photometric error", pad=0.02)
    return figure


def flows_figure(image: Tensor, flows: Mapping[str, Tensor], width: float = 13.0) -> Figure:
    """Draw flow as arrows on a picture, an arrow at every eighth pixel, in its true length.

    Args:
        image: (1, 3, H, W) in [0, 1]; drawn pale.
        flows: from a title to (1, 2, H, W), pixels.
        width: of the figure, in inches.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    height, columns = image.shape[-2], image.shape[-1]
    size = (width, width / len(flows) * height / columns + 0.4)
    figure, grid = plt.subplots(1, len(flows), figsize=size, squeeze=False, layout="constrained")
    y, x = np.mgrid[4:height:8, 4:columns:8]
    for axes, (title, flow) in zip(grid[0], flows.items(), strict=True):
        plots.draw_picture(axes, 0.5 + 0.5 * image, title)
        u, v = (plots.to_array(part[4::8, 4::8]) for part in flow[0])
        axes.quiver(
            x, y, u, v, angles="xy", scale_units="xy", scale=1, color="#b30000", width=0.0022
        )
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(height - 0.5, -0.5))
    return figure


def training_figure(
    losses: Sequence[float],
    watched: Sequence[tuple[int, float]],
    lines: Mapping[str, float],
    average: int = 20,
) -> Figure:
    """Draw the loss of each step, and abs rel on watched streets over the steps.

    Args:
        losses: one a step.
        watched: steps, and the abs rel there.
        lines: from the name of a baseline to its abs rel.
        average: steps that the thick line of the loss averages over.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    left.plot(losses, color=_OURS, alpha=0.3)
    smooth = np.convolve(losses, np.ones(average) / average, mode="valid")
    left.plot(np.arange(average - 1, len(losses)), smooth, color=_OURS, lw=2.5)
    left.set(title="the loss falls", xlabel="step", ylabel="loss", ylim=(0, max(losses)))
    steps, values = zip(*watched, strict=True)
    right.plot(steps, values, "o-", color=_OURS, lw=2)
    for (name, value), style in zip(lines.items(), ("--", ":", "-."), strict=False):
        right.axhline(value, color="0.3", ls=style, label=name)
    right.set(title="depth on held-out streets", xlabel="step", ylabel="abs rel (less is better)")
    right.set_ylim(0, 1.15 * max(*values, *lines.values()))
    right.legend(loc="lower left")
    return figure


def spread_figure(runs: Mapping[str, Sequence[tuple[int, float]]]) -> Figure:
    """Draw how much depth varies within a picture, over the steps of some trainings.

    Args:
        runs: from a name to steps, and the standard deviation of log depth there.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for (name, points), look in zip(runs.items(), ("o-", "s--", "^:"), strict=False):
        axes.plot(*zip(*points, strict=True), look, lw=2, label=name)
    axes.set(
        title="does the picture keep near and far?",
        xlabel="step",
        ylabel="deviation of log depth",
        ylim=(0, None),
    )
    axes.legend()
    return figure


def scales_figure(scales: Tensor) -> Figure:
    """Draw by how much each picture's depth must be multiplied, against their median.

    Args:
        scales: (N,), median of the truth over the median of the prediction.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    values = (scales / scales.median()).numpy()
    figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
    axes.axhline(1, color="black", lw=1, ls="--")
    axes.vlines(range(len(values)), 1, values, color=_OURS, lw=1.5)
    axes.plot(values, "o", color=_OURS)
    axes.set(title="one unit would put all dots on the line", xlabel="drive")
    axes.set(ylabel="factor / their median", ylim=(0, max(2.0, 1.1 * values.max())))
    axes.set_xticks(range(0, len(values), 2))
    return figure


def angles_figure(angles: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Draw predicted over true angles, a panel each; right ones lie on the diagonal.

    Args:
        angles: from a title to predicted and true ones, (N,) each, degrees.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    size = (4.2 * len(angles) + 0.6, 4.2)
    figure, grid = plt.subplots(1, len(angles), figsize=size, squeeze=False, layout="constrained")
    for axes, (title, (predicted, true)) in zip(grid[0], angles.items(), strict=True):
        most = 1.1 * max(predicted.abs().max().item(), true.abs().max().item())
        axes.plot([-most, most], [-most, most], color="black", ls="--", label="predicted = true")
        axes.axhline(0, color="0.8", lw=1, zorder=0)
        axes.axvline(0, color="0.8", lw=1, zorder=0)
        axes.plot(true.numpy(), predicted.numpy(), "o", color=_OURS, alpha=0.75)
        axes.set(title=title, xlabel="true, degrees", ylabel="predicted, degrees")
        axes.set(xlim=(-most, most), ylim=(-most, most), aspect="equal")
        axes.legend(loc="upper left")
    return figure


def cars_figure(speed: Sequence[float], factor: Sequence[float], pixels: Sequence[int]) -> Figure:
    """Draw by how much things that move are too far, over their speed.

    Args:
        speed: along the camera's axis, in speeds of the camera: 1 drives along, below 0 comes
            towards it.
        factor: predicted depth over true depth.
        pixels: seen of each; gives the dots' sizes.

    Returns:
        The figure, to be passed to `plots.show`.
    """
    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    theory = np.linspace(-2, 0.91, 200)
    axes.plot(theory, 1 / (1 - theory), color="black", lw=1.5, label="its flow alone would say")
    axes.axvspan(0.91, 1.3, color="0.9", label="nearly as fast as the camera, or faster")
    axes.scatter(speed, factor, s=[max(12, count / 5) for count in pixels], alpha=0.75, color=_OURS)
    axes.axhline(1, color="0.5", lw=1, ls="--")
    axes.set_yscale("log", base=2)
    ticks = (0.25, 0.5, 1, 2, 4, 8)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set(xlim=(-2.05, 1.3), ylim=(0.25, 11), ylabel="predicted depth / true depth")
    axes.set_xlabel("speed of the thing / speed of the camera (1: drives along, -1: oncoming)")
    axes.set_title("what drives along looks too far")
    axes.legend(loc="upper left")
    return figure
