"""Small images for classifying: how they are kept in one `.npz` file of 8-bit pixels; noise."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelledImages:
    """Images, and what they show if the file says so."""

    images: Tensor
    """(N, 3, H, W) uint8, RGB; or (N, 1, H, W), gray."""
    labels: Tensor | None
    """(N,) int64, or None."""
    classes: tuple[str, ...] | None
    """The names of the labels 0, 1, ..., or None."""

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.images)


def read_archive(path: str | Path, count: int | None = None) -> LabelledImages:
    """Read images from an `.npz` file.

    Its arrays are `r`, uint8 (N, 3, H, W), the packed images, and perhaps `y`, (N,), labels from 0,
    and `classes`, their names. Nothing in the file is unpickled. To pack, green is subtracted from
    red and blue, then from each pixel its neighbour on the left, then the one above, all modulo
    256: small differences compress well. Reading undoes this exactly.

    Args:
        path: of the file.
        count: the first so many images only; None takes all.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file, is damaged, or holds fewer images than asked for.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There are no images at {path}.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("r", "y", "classes") if name in archive}
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as an archive of images: {error}") from error
    packed, labels, classes = (arrays.get(name) for name in ("r", "y", "classes"))
    _check(path, packed, labels, classes)
    if count is not None and not 1 <= count <= len(packed):
        raise ValueError(f"{path} holds {len(packed)} images; {count} were asked for.")
    return LabelledImages(
        images=_unpacked(torch.from_numpy(packed[:count])),
        labels=None if labels is None else torch.from_numpy(labels[:count].astype(np.int64)),
        classes=None if classes is None else tuple(str(name) for name in classes),
    )


def write_archive(path: str | Path, content: LabelledImages) -> None:
    """Write images into an `.npz` file that `read_archive` reads: packed, not compressed.

    Args:
        path: of the file; what lies there is replaced.
        content: images (N, 3, H, W) uint8, and labels and classes if there are any.

    Raises:
        OSError: it cannot be stored.
    """
    arrays = {"r": _packed(content.images).numpy()}
    if content.labels is not None:
        arrays["y"] = content.labels.numpy()
    if content.classes is not None:
        arrays["classes"] = np.array(content.classes)
    with Path(path).open("wb") as file:
        np.savez(file, **arrays)


def labelled_sha256(content: LabelledImages) -> str:
    """Return a SHA-256 over images and their labels that does not depend on their order.

    It is taken over the sorted SHA-256 of each image: its label as one byte, then its pixels, plane
    by plane. So two copies of a set are known to be the same, whatever files they came in.

    Args:
        content: images uint8, labels 0 to 255.

    Raises:
        ValueError: the images have no labels.
    """
    if content.labels is None:
        raise ValueError("The hash is taken over images and labels; these images have no labels.")
    pairs = zip(content.labels.tolist(), content.images.numpy(), strict=True)
    hashes = sorted(
        hashlib.sha256(bytes([label]) + image.tobytes()).digest() for label, image in pairs
    )
    return hashlib.sha256(b"".join(hashes)).hexdigest()


def noise_images(kind: str, count: int, size: int = 32, seed: int = 0) -> Tensor:
    """Return images of noise, as the ODIN paper tests with (section 4.1).

    Args:
        kind: `gaussian`: mean 0.5 and deviation 1, clipped to [0, 1]; `uniform`: on [0, 1]; each
            value of each pixel by itself.
        count: how many.
        size: side in pixels.
        seed: of the generator.

    Returns:
        (count, 3, size, size) uint8.

    Raises:
        ValueError: there is no such noise.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 3, size, size)
    if kind == "gaussian":
        values = (0.5 + torch.randn(shape, generator=generator)).clamp(0, 1)
    elif kind == "uniform":
        values = torch.rand(shape, generator=generator)
    else:
        raise ValueError(f"No noise is named {kind!r}; there are gaussian and uniform.")
    return (values * 255).round().to(torch.uint8)


def _check(
    path: str | Path,
    packed: np.ndarray | None,
    labels: np.ndarray | None,
    classes: np.ndarray | None,
) -> None:
    if packed is None:
        raise ValueError(f"{path} holds no images: it has no array `r`.")
    if packed.dtype != np.uint8 or packed.ndim != 4 or packed.shape[1] != 3 or not packed.size:
        raise ValueError(
            f"{path}: expected an array `r`, uint8 (N, 3, H, W); got {packed.dtype} {packed.shape}."
        )
    if labels is None:
        return
    if labels.shape != packed.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{path}: expected {len(packed)} whole numbers in `y`; got {labels.dtype} "
            f"{labels.shape}."
        )
    if classes is not None and not 0 <= labels.min() <= labels.max() < len(classes):
        raise ValueError(
            f"{path}: labels go from {labels.min()} to {labels.max()}, but there are "
            f"{len(classes)} classes."
        )


def _packed(images: Tensor) -> Tensor:
    """Pack as `read_archive` describes: (N, 3, H, W) uint8, differences modulo 256."""
    packed = images.clone()
    packed[:, 0] -= images[:, 1]
    packed[:, 2] -= images[:, 1]
    packed[..., 1:] -= packed[..., :-1].clone()
    packed[..., 1:, :] -= packed[..., :-1, :].clone()
    return packed


def _unpacked(packed: Tensor) -> Tensor:
    """Undo the packing: (N, 3, H, W) uint8, sums modulo 256."""
    sums = packed.cumsum(2, dtype=torch.uint8).cumsum(3, dtype=torch.uint8)
    sums[:, 0] += sums[:, 1]
    sums[:, 2] += sums[:, 1]
    return sums
