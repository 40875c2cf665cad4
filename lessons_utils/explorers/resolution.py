"""Explorer of lesson 01: shrink a picture, enlarge it again, and see what is lost."""

from __future__ import annotations

import ipywidgets as widgets
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from lessons_utils import plots, superres
from lessons_utils.explorers.live import live

METHODS = ("nearest", "bilinear", "bicubic")
"""Ways to enlarge."""

_MOST = 60  # levels of error at the bright end of the map's colours


def scale_and_interpolation(image: Tensor, top: int, left: int, size: int = 96) -> None:
    """Show an explorer: scale, interpolation and antialiasing, with the PSNR live.

    Args:
        image: (1, 3, H, W) or (1, 1, H, W), in [0, 1].
        top: first row of the square that is shown.
        left: its first column.
        size: its side in pixels.
    """
    live(
        ScaleAndInterpolation(image, top, left, size).draw,
        size=(8, 2.8),
        scale=widgets.IntSlider(3, 2, 6, description="scale"),
        method=widgets.Dropdown(options=METHODS, value="bicubic", description="enlarge by"),
        antialias=widgets.Checkbox(True, description="antialias when shrinking", indent=False),
    )


class ScaleAndInterpolation:
    """What `scale_and_interpolation` draws.

    Args:
        image: (1, 3, H, W) or (1, 1, H, W), in [0, 1].
        top: first row of the square that is shown.
        left: its first column.
        size: its side in pixels.
    """

    def __init__(self, image: Tensor, top: int, left: int, size: int) -> None:
        self.luma = superres.rgb_to_luma(image)
        self.place = (top, left, size)

    def enlarged(self, scale: int, method: str, antialias: bool) -> tuple[Tensor, Tensor]:
        """Shrink the luma by `scale` and enlarge it again.

        Returns:
            The result and the truth, both (1, 1, H', W') in levels from 0 to 255.
        """
        high = superres.crop_to_multiple(self.luma, scale)
        if antialias:
            low = superres.degrade(high, scale)
        else:
            small = (high.shape[-2] // scale, high.shape[-1] // scale)
            low = F.interpolate(high, small, mode="bicubic", align_corners=False)
        if method == "bicubic":
            upscaled = superres.enlarge(low, scale)
        elif method == "bilinear":
            upscaled = F.interpolate(low, high.shape[-2:], mode="bilinear", align_corners=False)
        else:
            upscaled = F.interpolate(low, high.shape[-2:], mode="nearest-exact")
        return superres.to_levels(upscaled), superres.to_levels(high)

    def draw(self, figure: Figure, scale: int, method: str, antialias: bool) -> str:
        """Draw truth, result and error, and say the PSNR.

        Args:
            figure: empty.
            scale: from 2 to 6.
            method: one of `METHODS`.
            antialias: whether the kernel is widened when the picture shrinks.
        """
        result, truth = self.enlarged(scale, method, antialias)
        border = (..., slice(scale, -scale), slice(scale, -scale))
        quality = superres.psnr(result[border], truth[border], peak=255).item()
        seen_truth, seen = plots.crop(truth, *self.place), plots.crop(result, *self.place)
        error = (seen - seen_truth).abs()

        panels = figure.subplots(1, 3)
        plots.draw_picture(panels[0], seen_truth, "truth", limits=(0, 255))
        title = f"×{scale} there and back: {quality:.2f} dB"
        plots.draw_picture(panels[1], seen, title, limits=(0, 255))
        heat = panels[2].imshow(plots.to_array(error), vmin=0, vmax=_MOST, cmap="viridis")
        panels[2].set_title("error")
        panels[2].set_axis_off()
        figure.colorbar(heat, ax=panels[2], extend="max", label="levels of 255")

        shrunk = "with" if antialias else "without"
        return (
            f"Shrunk by {scale} {shrunk} antialiasing, enlarged by {method} interpolation: PSNR "
            f"{quality:.2f} dB over the whole picture; in this part the largest error is "
            f"{error.max().item():.0f} levels of 255."
        )
