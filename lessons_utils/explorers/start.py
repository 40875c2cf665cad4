"""The explorer of lesson 00: one photograph, enlarged bicubically and by SRCNN."""

from __future__ import annotations

from functools import lru_cache

import ipywidgets as widgets
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import checkpoints, datasets, plots, superres
from lessons_utils.explorers.live import live

WINDOWS = {"astronaut": (40, 165, 132), "cat": (66, 116, 120), "coffee": (130, 250, 132)}
"""Photographs of the explorer: top row, left column and side of the part that is shown."""

SCALES = (2, 3, 4)


@lru_cache
def enlargements(photograph: str, scale: int) -> tuple[dict[str, Tensor], float, float]:
    """Enlarge a photograph both ways with shipped weights.

    Args:
        photograph: a key of `WINDOWS`.
        scale: 2, 3 or 4.

    Returns:
        The parts that are shown, by title, and the PSNR in dB of bicubic and of SRCNN, on the luma
        of the whole photograph, under the literature's protocol.
    """
    high = superres.crop_to_multiple(datasets.photograph(photograph), scale)
    low = superres.degrade(high, scale)
    model, _ = checkpoints.load(f"srcnn-9-5-5-x{scale}", superres.SRCNN(9, 5, 5))
    _, upscaled, truth = superres.prepare(high, scale)
    bicubic = superres.score(upscaled, truth, scale).psnr
    network = superres.score(superres.sharpen(model, upscaled), truth, scale).psnr
    pictures = {
        "bicubic": superres.enlarge(low, scale),
        "SRCNN": superres.super_resolve(model, low, scale),
        "truth": high,
    }
    window = WINDOWS[photograph]
    return {name: plots.crop(image, *window) for name, image in pictures.items()}, bicubic, network


def draw_enlargement(figure: Figure, photograph: str, scale: int) -> str:
    """Draw bicubic, SRCNN and truth side by side; return the two PSNRs in a sentence."""
    pictures, bicubic, network = enlargements(photograph, scale)
    grid = figure.subplots(1, 3)
    for axes, (title, picture) in zip(grid, pictures.items(), strict=True):
        plots.draw_picture(axes, picture, title)
    return (
        f"{photograph} at x{scale}: bicubic {bicubic:.2f} dB, SRCNN {network:.2f} dB, "
        f"a gain of {network - bicubic:.2f} dB."
    )


def enlarge_photographs() -> None:
    """Show the explorer: choose a photograph and a scale."""
    for photograph in WINDOWS:  # so that the first move of a control is as quick as the others
        for scale in SCALES:
            enlargements(photograph, scale)
    live(
        draw_enlargement,
        size=(8, 3),
        photograph=widgets.Dropdown(options=list(WINDOWS), description="Photograph"),
        scale=widgets.SelectionSlider(options=SCALES, value=3, description="Scale"),
    )
