"""Pictures: embedded photographs, picture files, folders of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import skimage.data
import torch
from PIL import Image, ImageOps
from torch import Tensor

PHOTOGRAPHS = {
    "astronaut": "Eileen Collins, by NASA, public domain; colour, 512 x 512",
    "cat": "Chelsea the cat, by Stefan van der Walt, CC0; colour, 300 x 451",
    "coffee": "a cup of coffee at Pikolo Espresso Bar, by Rachel Michetti, CC0; colour, 400 x 600",
    "rocket": "launch of DSCOVR on a Falcon 9, by SpaceX, public domain; colour, 427 x 640",
    "camera": "a man with a camera, by Lav Varshney, CC0; gray, 512 x 512",
}
"""Photographs inside scikit-image's wheel, which need no download; sizes are height x width."""

PICTURE_SUFFIXES = {".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff"}


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
    return to_tensor(array)


def read_image(path: str | Path) -> Tensor:
    """Read a picture file of 8 bits a channel, upright if a camera noted how it was held.

    Returns:
        (1, 1, H, W) if the file is plain gray, else (1, 3, H, W): a palette is looked up,
        transparency is dropped; float32 in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture, is cut short, or has more than 8 bits a channel.
    """
    return to_tensor(read_pixels(path))


def read_pixels(path: str | Path) -> np.ndarray:
    """Read a picture file as `read_image` does: (H, W) or (H, W, 3) uint8."""
    try:
        with Image.open(path) as picture:
            if picture.mode[0] in "IF" or ";16" in _raw_mode(picture):
                raise ValueError(
                    f"{path} has more than 8 bits a channel; the course's pictures have 8. "
                    "Save it with 8 bits first."
                )
            upright = ImageOps.exif_transpose(picture)
            return np.asarray(upright if upright.mode == "L" else upright.convert("RGB"))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no picture {path}.") from None
    except (OSError, SyntaxError) as error:  # Pillow's words for a damaged file
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error


def _raw_mode(picture: Image.Image) -> str:
    """How Pillow names the pixels in the file, such as `RGB;16B`."""
    arguments = picture.tile[0][3] if picture.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def to_tensor(array: np.ndarray) -> Tensor:
    """(H, W) or (H, W, 3) uint8 -> (1, C, H, W) float32 in [0, 1]."""
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(np.array(planes, order="C")).float().div(255)[None]


def image_folder(folder: str | Path) -> list[tuple[str, Tensor]]:
    """Read all pictures of a folder (bmp, png, jpg, jpeg, tif, tiff), in the order of file names.

    Returns:
        Pairs of name (of the file, without ending and without `_GT`) and picture, as from
        `read_image`.

    Raises:
        FileNotFoundError: there is no such folder, or no picture in it.
        ValueError: a picture cannot be read.
    """
    return [(plain_name(file), read_image(file)) for file in picture_files(folder)]


def picture_files(folder: str | Path) -> list[Path]:
    """Return the pictures of a folder in the order of their names; raises as `image_folder`."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    files = [file for file in Path(folder).iterdir() if is_picture(file)]
    if not files:
        raise FileNotFoundError(
            f"{folder} holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))})."
        )
    return sorted(files, key=lambda file: file.name)


def is_picture(path: Path) -> bool:
    """Tell by its name whether a file is a picture."""
    is_hidden = path.name.startswith(".")  # such as the notes that macOS puts beside files
    return path.suffix.lower() in PICTURE_SUFFIXES and not is_hidden and path.is_file()


def plain_name(path: Path) -> str:
    """Return the name of a picture: its file's, without ending and without `_GT`."""
    return path.stem.removesuffix("_GT")


def pixels_sha256(images: Iterable[Tensor]) -> str:
    """Return the SHA-256 over the 8-bit pixels (and sizes) of pictures, in their order."""
    digest = hashlib.sha256()
    for image in images:
        levels = image.mul(255).round().to(torch.uint8)
        digest.update(str(tuple(levels.shape)).encode())
        digest.update(levels.numpy().tobytes())
    return digest.hexdigest()
