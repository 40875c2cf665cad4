"""Lesson 04: what the filters of SRCNN look for, and what they find in a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from ipywidgets import Dropdown, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import plots, superres
from lessons_utils.explorers.live import live

_LIGHT = torch.tensor([0.902, 0.380, 0.0])  # orange: seen on gray, and with any colour vision


# ---- What the lesson derives -----------------------------------------------------------------


def by_variance(weight: Tensor) -> Tensor:
    """Return the numbers of a layer's filters, the one whose weights vary most first.

    Args:
        weight: (filters, inputs, f, f).
    """
    return weight.detach().flatten(1).var(dim=1).argsort(descending=True)


@torch.no_grad()
def feature_maps(model: superres.SRCNN, upscaled: Tensor) -> tuple[Tensor, Tensor]:
    """Compute what the first two layers of SRCNN hand on (borders repeated, after the ReLU).

    Args:
        model: an SRCNN.
        upscaled: (1, 1, H, W), luma in [0, 1], on the model's device.

    Returns:
        (64, H, W) and (32, H, W), not negative.
    """
    maps, found = upscaled, []
    for layer in (model.patch_extraction, model.mapping):
        padded = F.pad(maps, (layer.kernel_size[0] // 2,) * 4, mode="replicate")
        maps = layer(padded).relu()
        found.append(maps[0])
    return found[0], found[1]


def main_directions(patches: Tensor, count: int) -> tuple[Tensor, float]:
    """Find the few directions in which patches differ from each other.

    Args:
        patches: (numbers in a patch, patches), the columns of `F.unfold`.
        count: how many directions.

    Returns:
        The directions, (numbers in a patch, count), orthonormal columns, and the share of the
        patches' variance that lies along them.
    """
    variances, directions = torch.linalg.eigh(torch.cov(patches.double()))  # from small to large
    share = variances[-count:].sum() / variances.sum()
    return directions[:, -count:].float(), share.item()


def seen_part(filters: Tensor, directions: Tensor) -> Tensor:
    """Keep of each filter what lies along the directions; patches cannot see the rest.

    Args:
        filters: (N, 1, f, f).
        directions: (f * f, count), see `main_directions`.
    """
    flat = filters.detach().flatten(1)
    return (flat @ directions @ directions.T).view_as(filters)


def likeness(maps: Tensor, picture: Tensor) -> Tensor:
    """Return each map's correlation with a picture: 1 for the same up to contrast and brightness.

    Args:
        maps: (N, H, W).
        picture: (H, W).

    Returns:
        (N,), from -1 to 1; 0 for a map that is the same everywhere.
    """
    maps = maps.flatten(1) - maps.mean(dim=(1, 2)).unsqueeze(1)
    picture = picture.flatten() - picture.mean()
    sizes = maps.norm(dim=1) * picture.norm()
    return torch.where(sizes > 1e-6, maps @ picture / sizes.clamp(min=1e-6), 0)


# ---- Explorer --------------------------------------------------------------------------------


def filter_to_map(model: superres.SRCNN, detail: Tensor) -> None:
    """Pick a filter of layer 1 or 2 and see what it answers to in a picture.

    Args:
        model: an SRCNN with trained weights, on the CPU.
        detail: (1, 1, H, W), luma in [0, 1], upscaled; some 100 pixels read best.
    """
    live(
        filter_to_map_picture(model, detail),
        size=(9.5, 2.9),
        layer=Dropdown(options=[("layer 1", 1), ("layer 2", 2)], value=1, description="layer"),
        rank=IntSlider(2, 1, model.patch_extraction.out_channels, description="filter"),
    )


def filter_to_map_picture(model: superres.SRCNN, detail: Tensor) -> Callable[..., str]:
    """Return the drawing function of `filter_to_map`: `draw(figure, layer, rank)`.

    All maps are computed here, once. Filters of layer 2 larger than one pixel are shown as the sum
    over their positions.
    """
    first, second = model.patch_extraction.weight.detach(), model.mapping.weight.detach()
    order = {1: by_variance(first), 2: by_variance(second)}
    maps = {n: found[order[n]] for n, found in enumerate(feature_maps(model, detail), start=1)}
    alike = {n: likeness(found, detail[0, 0]) for n, found in maps.items()}
    patches = F.unfold(detail, model.filter_sizes[0])[0]  # (81, positions)
    seen = seen_part(first, main_directions(patches, 25)[0])[order[1], 0]
    first = first[order[1], 0]  # (64, 9, 9)
    second = second.sum(dim=(2, 3))[order[2]][:, order[1]]  # (32, 64), both by variance

    def draw(figure: Figure, layer: int, rank: int) -> str:
        count = len(maps[layer])
        rank = min(rank, count)
        found = maps[layer][rank - 1]
        left, right, own, light = figure.subplots(1, 4)
        if layer == 1:
            _draw_map(left, first[rank - 1], "the filter")
            _draw_map(right, seen[rank - 1], "what pictures see of it")
            heard = ""
        else:
            weights = second[rank - 1]
            strongest = int((weights * maps[1].mean(dim=(1, 2))).abs().argmax())
            _draw_weights(left, weights)
            _draw_map(right, maps[1][strongest], "the map it hears most")
            heard = f" It hears map {strongest + 1} of layer 1 most."
        _draw_map(own, found, "its map")
        shown = found / found.max().clamp(min=1e-12)
        plots.draw_picture(light, _lit(detail[0, 0], shown), "where it answers")
        zeros = (found == 0).float().mean().item()
        answer = (
            "silent everywhere in this picture."
            if zeros == 1
            else f"zero at {100 * zeros:.0f} % of the pixels, mean {found.mean():.3f}, likeness to "
            f"the picture {alike[layer][rank - 1]:.2f}.{heard}"
        )
        return f"Layer {layer}, filter {rank} of {count} by variance: {answer}"

    return draw


def _draw_map(axes: Axes, values: Tensor, title: str) -> None:
    """Gray, from the smallest value to the largest; a map that is one value everywhere is black."""
    low, high = values.min().item(), values.max().item()
    plots.draw_picture(axes, values, title, limits=(low, max(high, low + 1e-12)))


def _draw_weights(axes: Axes, weights: Tensor) -> None:
    """Draw the weights of a filter of layer 2 in rows of eight, orange above zero, purple below."""
    rows = F.pad(weights, (0, -len(weights) % 8)).view(-1, 8)
    largest = rows.abs().max().item()
    axes.imshow(rows.numpy(), cmap="PuOr_r", vmin=-largest, vmax=largest)
    axes.set_title("its weights, map by map")
    axes.set_axis_off()


def _lit(picture: Tensor, strength: Tensor) -> Tensor:
    """Shine orange light on a gray picture: (H, W), (H, W) in [0, 1] -> (3, H, W)."""
    gray = picture.clamp(0, 1).expand(3, -1, -1) * 0.8
    return gray + strength * (_LIGHT.view(3, 1, 1) - gray)


# ---- Figures of the lesson -------------------------------------------------------------------


def seams_figure(errors: Mapping[str, Tensor]) -> Figure:
    """Draw how far pictures are from one pass over the whole, side by side.

    Args:
        errors: from a title to absolute differences, (1, 1, H, W), in [0, 1].
    """
    figure, axes = plt.subplots(1, len(errors), figsize=(12, 5.6))
    for panel, (title, error) in zip(axes, errors.items(), strict=True):
        lines = F.max_pool2d(255 * error, 5)[0, 0]  # so that thin lines survive on the screen
        drawn = panel.imshow(lines.numpy(), cmap="viridis", vmin=0, vmax=10)
        panel.set_title(f"{title}: difference from one pass")
        panel.set_axis_off()
    figure.colorbar(drawn, ax=axes, label="levels of 255", shrink=0.8)
    return figure


def shuffle_figure(maps: Tensor, shuffled: Tensor) -> Figure:
    """Draw four maps, a colour each, and the picture that their numbers are sorted into.

    Args:
        maps: (4, 2, 2), the numbers 0 to 15 in order.
        shuffled: (4, 4).
    """
    figure, axes = plt.subplots(1, 5, figsize=(12, 2.9), width_ratios=(1, 1, 1, 1, 2))
    titles = [f"map {n}" for n in range(4)] + ["shuffled: the maps take turns"]
    for panel, values, title in zip(axes, [*maps, shuffled], titles, strict=True):
        panel.imshow((values // 4).numpy(), cmap="cividis", vmin=-1, vmax=4)
        for row, numbers in enumerate(values.tolist()):
            for column, number in enumerate(numbers):
                colour = "white" if number < 8 else "black"
                panel.text(column, row, number, ha="center", va="center", color=colour, size=14)
        panel.set_title(title)
        panel.set_axis_off()
    return figure


def race_figure(curves: Mapping[str, Sequence[float]], bicubic: float) -> Figure:
    """Draw the PSNR of networks over the work that was put into them.

    Args:
        curves: from each of three networks' names to its PSNR in dB, at equal distances from
            start to end.
        bicubic: what they have to pass, in dB.
    """
    figure, axes = plt.subplots(figsize=(9, 4))
    for (name, curve), style in zip(curves.items(), ("o-", "s-", "^-"), strict=True):
        work = [100 * n / (len(curve) - 1) for n in range(len(curve))]
        axes.plot(work, curve, style, label=name)
    axes.axhline(bicubic, color="0.4", ls="--", label="bicubic")
    axes.set(xlabel="work done, % of the multiplications", ylabel="PSNR on the cat's face, dB")
    axes.set(ylim=(bicubic - 2, bicubic + 1))
    axes.set_title("Equal work: both later ideas lead (live training)")
    axes.legend(frameon=False, ncol=2, loc="upper left")
    return figure


def edges_figure(edges: Tensor, mean: Tensor) -> Figure:
    """Draw edges that are all possible, and their mean beside one of them.

    Args:
        edges: (N, pixels), brightness.
        mean: (pixels,).
    """
    figure, (possible, guesses) = plt.subplots(1, 2, figsize=(11, 2.8), sharey=True)
    place = torch.arange(len(mean))
    possible.step(place, edges.T, where="mid", color="0.6")
    possible.set_title(f"{len(edges)} edges: all possible, all sharp")
    possible.set(xlabel="position, pixels", ylabel="brightness")
    guesses.step(place, edges[2], where="mid", color="0.6", label="a sharp guess")
    guesses.plot(place, mean, color="C0", lw=3, label="their mean: best PSNR")
    guesses.set_title("The best guess is none of them")
    guesses.set(xlabel="position, pixels")
    guesses.legend(frameon=False, loc="upper left")
    return figure
