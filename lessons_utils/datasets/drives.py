"""Drives: the frames of a video from a moving camera, with its intrinsics."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from lessons_utils import runtime
from lessons_utils.datasets.pictures import picture_files, read_image
from lessons_utils.datasets.rgbd import scale_intrinsics

_KITTI = "sequences/kitti_drive"


def drive_folder(folder: str | Path, shrink: int = 1) -> tuple[Tensor, Tensor]:
    """Read a folder of frames from a moving camera, yours for instance.

    The folder holds colour pictures of one size, whose names are in the order of time, and
    `intrinsics.json` with `{"K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]}`, in pixels of these
    pictures, pixel centres at whole numbers.

    Args:
        folder: where the frames lie.
        shrink: how many pixels each way become one, their mean; what is left over at the right and
            at the bottom is cut off.

    Returns:
        images, (N, 3, H, W) float32 in [0, 1], and K, (3, 3) float32, of the shrunken pictures.

    Raises:
        FileNotFoundError: the folder, its pictures or its intrinsics are not there.
        ValueError: sizes differ, a picture is gray or cannot be read, the intrinsics are no such
            matrix, or `shrink` is below 1.
    """
    folder = Path(folder)
    if shrink < 1:
        raise ValueError(f"Expected shrink of 1 or more; got {shrink}.")
    K = _read_intrinsics(folder / "intrinsics.json")
    frames: list[Tensor] = []
    shape = None
    for file in picture_files(folder):
        picture = read_image(file)
        shape = shape or picture.shape
        if picture.shape != shape or picture.shape[1] != 3:
            raise ValueError(
                f"Expected colour pictures of one size in {folder}; {file.name} is "
                f"{tuple(picture.shape[1:])} (channels, height, width)."
            )
        if shrink > min(shape[2:]):
            raise ValueError(f"Nothing is left of {shape[2]} x {shape[3]} pixels, / {shrink}.")
        frames.append(functional.avg_pool2d(picture, shrink))
    return torch.cat(frames), scale_intrinsics(K, 1 / shrink)


def kitti_drive() -> tuple[Tensor, Tensor]:
    """Return 78 frames of a real drive through dense traffic, 10 a second, without truth.

    KITTI's raw data, 2011-09-26, the left colour camera (Geiger et al., IJRR 2013; CC BY-NC-SA
    3.0): not shipped, read from `LESSONS_DATA/sequences/kitti_drive`. Any other drive of yours
    works as well, see `drive_folder`.

    Returns:
        images, (78, 3, 96, 320) float32 in [0, 1], and K, (3, 3).

    Raises:
        FileNotFoundError: it is not on this machine.
    """
    folder = kitti_drive_folder()
    if folder is None:
        raise FileNotFoundError(
            f"The real drive is not on this machine: it would lie in {_KITTI} below the folder "
            "that the environment variable LESSONS_DATA names. With frames of your own, take "
            "datasets.drive_folder."
        )
    return drive_folder(folder, shrink=2)


def kitti_drive_folder() -> Path | None:
    """Return where the real drive of `kitti_drive` lies; None if it is not on this machine."""
    data = runtime.lessons_data()
    return data / _KITTI if data and (data / _KITTI).is_dir() else None


def _read_intrinsics(file: Path) -> Tensor:
    wanted = 'Expected {"K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]}'
    if not file.is_file():
        raise FileNotFoundError(f"There is no {file}. {wanted} in it.")
    try:
        K = torch.tensor(json.loads(file.read_text())["K"], dtype=torch.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{wanted} in {file}; it cannot be read as that: {error!r}.") from error
    last_row = torch.tensor([0.0, 0.0, 1.0])
    if K.shape != (3, 3) or not torch.equal(K[2], last_row) or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise ValueError(f"{wanted} in {file}; got {K.tolist()}.")
    return K
