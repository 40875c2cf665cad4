"""Every picture that enters the course: embedded, or downloaded with a hash check."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from lessons_utils import runtime

PHOTOGRAPHS = {
    "astronaut": "Eileen Collins, NASA; colour, 512 x 512",
    "cat": "Chelsea the cat, Stefan van der Walt; colour, 300 x 451",
    "coffee": "a cup of coffee, Rachel Michetti; colour, 400 x 600",
    "rocket": "a rocket at night, SpaceX; colour, 427 x 640",
    "camera": "a man with a camera, Lav Varshney; gray, 512 x 512",
}
"""Photographs inside scikit-image's wheel: they need no download."""


def photograph(name: str) -> Tensor:
    """Return an embedded photograph.

    Args:
        name: a key of `PHOTOGRAPHS`.

    Returns:
        (1, 3, H, W), or (1, 1, H, W) for a gray one, float32 in [0, 1].

    Raises:
        ValueError: there is no such photograph; the message lists those there are.
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(f"No photograph is named {name!r}; there are {', '.join(PHOTOGRAPHS)}.")
    array = getattr(skimage.data, {"cat": "chelsea"}.get(name, name))()
    return _to_tensor(array)


def read_image(path: str | Path) -> Tensor:
    """Read a picture file as (1, 3, H, W), or (1, 1, H, W) if it is gray, float32 in [0, 1]."""
    with Image.open(path) as picture:
        array = np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))
    return _to_tensor(array)


def _to_tensor(array: np.ndarray) -> Tensor:
    """(H, W) or (H, W, 3) uint8 -> (1, C, H, W) float32 in [0, 1]."""
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes)).float().div(255)[None]


def image_folder(folder: str | Path) -> list[tuple[str, Tensor]]:
    """Read all pictures of a folder, in the order of their names."""
    files = sorted(Path(folder).glob("*.bmp"))
    return [(file.stem.removesuffix("_GT"), read_image(file)) for file in files]


def is_present(name: str) -> bool:
    """Tell whether a set lies on this machine, so that using it downloads nothing."""
    data = runtime.lessons_data()
    return bool(data) and (data / "super_resolution" / name).is_dir()


def super_resolution_set(name: str) -> list[tuple[str, Tensor]]:
    """Return a super-resolution set: pairs of name and picture."""
    return image_folder(runtime.lessons_data() / "super_resolution" / name)


def pixels_sha256(images: Iterable[Tensor]) -> str:
    """Return the SHA-256 over the 8-bit pixels (and sizes) of pictures, in their order."""
    digest = hashlib.sha256()
    for image in images:
        levels = image.mul(255).round().to(torch.uint8)
        digest.update(str(tuple(levels.shape)).encode())
        digest.update(levels.numpy().tobytes())
    return digest.hexdigest()
