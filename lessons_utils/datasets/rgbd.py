"""Frames with depth: pictures and the distance to what each pixel shows.

Everywhere in the course, frames with depth are three tensors `(images, depth, valid)`:

- images: (N, 3, H, W) uint8, RGB, 0 to 255;
- depth: (N, 1, H, W) float32, metres along the optical axis; 0 where it is missing;
- valid: (N, 1, H, W) bool, where depth may be used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lessons_utils.datasets.pictures import picture_files, read_pixels

Frames = tuple[Tensor, Tensor, Tensor]
"""Images, depth and where it is valid; shapes and units stand in this module's first lines."""

_NO_RETURN = 65535
"""What some sensors store where they measured nothing; others store 0."""


def rgbd_folder(folder: str | Path, depth_scale: float) -> Frames:
    """Read a folder of frames with depth, yours for instance.

    The folder holds `rgb/` (pictures of 8 bits a channel) and `depth/` (16-bit gray PNG files, 0
    or 65535 where depth is missing). A picture and its depth map have one name, apart from the
    ending: `rgb/0007.jpg` goes with `depth/0007.png`. Frames come in the order of their names.

    Args:
        folder: the folder that holds `rgb` and `depth`.
        depth_scale: what is stored for one metre: 1000 where the files hold millimetres, 5000 in
            TUM's sets, 256 in KITTI's.

    Returns:
        Images, depth in metres and where it is valid, (N, 3 | 1 | 1, H, W) (see this module).

    Raises:
        FileNotFoundError: a folder is not there, or holds no picture.
        ValueError: a picture has no depth map of its name, or the reverse; a file cannot be read;
            sizes differ; `depth_scale` is not positive.
    """
    return read_pairs(find_pairs(folder), depth_scale)


def find_pairs(folder: str | Path) -> list[tuple[Path, Path]]:
    """Return the files of each frame, picture and depth map, in the order of their names.

    Raises:
        FileNotFoundError: a folder is not there, or holds no picture.
        ValueError: the names of pictures and depth maps do not agree.
    """
    pictures, maps = (_files_by_stem(Path(folder) / part) for part in ("rgb", "depth"))
    lonely = sorted(set(pictures) ^ set(maps))
    if lonely:
        raise ValueError(
            f"In {folder}, rgb/ has {len(pictures)} pictures and depth/ {len(maps)} depth maps; "
            f"{len(lonely)} have no partner of the same name, such as {', '.join(lonely[:3])}. "
            "Give each picture and its depth map one name (rgb/0007.jpg, depth/0007.png)."
        )
    return [(pictures[stem], maps[stem]) for stem in sorted(pictures)]


def _files_by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}. A folder of frames holds rgb/ and depth/."
        )
    files = picture_files(folder)
    by_stem = {file.stem: file for file in files}
    if len(by_stem) < len(files):
        raise ValueError(f"{folder} holds two files of one name, with different endings.")
    return by_stem


def read_pairs(pairs: Sequence[tuple[Path, Path]], depth_scale: float) -> Frames:
    """Read the files of `find_pairs`, or of some of its pairs.

    Raises:
        ValueError: a file cannot be read, sizes differ, or `depth_scale` is not positive.
    """
    if not depth_scale > 0:
        raise ValueError(
            f"depth_scale is what is stored for one metre, such as 1000; got {depth_scale}."
        )
    height, width = _read_depth(pairs[0][1]).shape
    images = torch.empty(len(pairs), 3, height, width, dtype=torch.uint8)
    depth = torch.empty(len(pairs), 1, height, width)
    for index, (picture, depth_map) in enumerate(pairs):
        pixels, stored = read_pixels(picture), _read_depth(depth_map)
        for path, size in ((picture, pixels.shape[:2]), (depth_map, stored.shape)):
            if size != (height, width):
                raise ValueError(
                    f"{path} is {size[0]} x {size[1]} (height x width), but {pairs[0][1]} is "
                    f"{height} x {width}. All frames need one size."
                )
        planes = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels  # gray fills all three
        images[index] = torch.from_numpy(planes.copy())
        depth[index, 0] = torch.from_numpy(np.where(stored == _NO_RETURN, 0, stored) / depth_scale)
    return images, depth, depth > 0


def _read_depth(path: Path) -> np.ndarray:
    """(H, W) integers, as stored."""
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("I", "I;16", "I;16B", "I;16L"):
                raise ValueError(
                    f"{path} is no depth map: 16-bit gray was expected, the file is "
                    f"{picture.mode} (in Pillow's words)."
                )
            return np.array(picture)
    except (OSError, SyntaxError) as error:  # Pillow's words for a damaged file
        raise ValueError(f"{path} cannot be read as a depth map: {error}") from error


def halve_frames(images: Tensor, depth: Tensor, valid: Tensor) -> Frames:
    """Halve frames: 2 x 2 pixels of a picture are averaged, of depth one is taken.

    A depth map is never averaged: halfway between a chair and the wall behind it lies nothing.
    The depth that is taken is that of every second pixel, the lower right of its four, in odd
    rows and columns (an odd last row or column is dropped). With pixel centres at whole numbers,
    new pixel j lies at 2j + 0.5 in the picture and at 2j + 1 in the depth map: half an old pixel
    beside it.

    Args:
        images: (N, 3, H, W) uint8.
        depth: (N, 1, H, W) metres.
        valid: (N, 1, H, W) bool.

    Returns:
        The three at (H // 2, W // 2).
    """
    halved = torch.stack(
        [functional.avg_pool2d(image.float(), 2).round().to(torch.uint8) for image in images]
    )
    taken = [plane[..., 1::2, 1::2].clone() for plane in (depth, valid)]
    return halved, taken[0], taken[1]


def scale_intrinsics(intrinsics: Tensor, factor: float) -> Tensor:
    """Return the intrinsics of resized frames: of a half, factor 0.5, as from `halve_frames`.

    Pixel centres lie at whole numbers, so that a picture begins at -0.5: a point at x comes to
    (x + 0.5) * factor - 0.5. This is right for averaged or interpolated pictures. The depth that
    `halve_frames` takes lies at (x - 1) / 2 instead, a quarter of a new pixel beside the picture:
    too little to matter beside a sensor's own errors.

    Args:
        intrinsics: (..., 3, 3): focal lengths on the diagonal, principal point in the last column,
            in pixels.
        factor: new height (and width) over old.

    Returns:
        (..., 3, 3).
    """
    scaled = intrinsics.clone()
    scaled[..., :2, :2] *= factor
    scaled[..., :2, 2] = (intrinsics[..., :2, 2] + 0.5) * factor - 0.5
    return scaled
