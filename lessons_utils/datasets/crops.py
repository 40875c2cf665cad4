"""Small real photographs that need no download: crops of the few large ones that are embedded."""

from __future__ import annotations

import functools

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lessons_utils.datasets.pictures import photograph
from lessons_utils.datasets.stereo import stereo_motorcycle

CROPPED = ("astronaut", "coffee", "rocket", "motorcycle")
"""The photographs that `photograph_crops` cuts up: those in colour that show none of the animals of
`scenes.zoo`, so neither the cat nor the gray cameraman."""


def photograph_crops(count: int, size: int = 32, seed: int = 0) -> Tensor:
    """Return random square crops of four embedded photographs, each in its turn.

    A crop's side is anything from `size` pixels to the photograph's height, all ratios alike; it is
    made smaller by averaging areas. These are real photographs, but of four subjects only: crops
    of one photograph resemble each other, and two seeds give crops that overlap. As a stand-in for
    a set of photographs they serve; a number measured on them says little about other photographs.

    Args:
        count: how many, at least 1.
        size: side in pixels, from 1 to 400, the height of the lowest photograph.
        seed: of the places; the first crops of a larger count are those of a smaller.

    Returns:
        (count, 3, size, size) uint8.

    Raises:
        ValueError: `count` or `size` is out of range, or the seed below 0.
    """
    pictures = [_picture(name) for name in CROPPED]
    largest = min(picture.height for picture in pictures)
    if count < 1 or not 1 <= size <= largest or seed < 0:
        raise ValueError(
            f"Expected at least one crop of 1 to {largest} pixels and a seed from 0; got "
            f"{count} of {size}, seed {seed}."
        )
    rng = np.random.default_rng(seed)
    crops = np.empty((count, size, size, 3), np.uint8)
    for number in range(count):
        picture = pictures[number % len(pictures)]
        side = size * (picture.height / size) ** rng.random()
        left, top = rng.random() * (picture.width - side), rng.random() * (picture.height - side)
        box = (left, top, min(left + side, picture.width), min(top + side, picture.height))
        crops[number] = picture.resize((size, size), Image.Resampling.BOX, box)
    return torch.from_numpy(crops.transpose(0, 3, 1, 2).copy())


@functools.cache
def _picture(name: str) -> Image.Image:
    image = stereo_motorcycle().left if name == "motorcycle" else photograph(name)
    return Image.fromarray(image[0].mul(255).round().byte().permute(1, 2, 0).numpy())
