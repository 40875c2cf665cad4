"""Images in the two plain binary formats of old data sets: no pickle, every length checked."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file, gzip-compressed, as MNIST and Fashion-MNIST come.

    Two zero bytes, the type (8 for uint8), how many sizes there are, the sizes (4 bytes each, most
    significant first), the values.

    Returns:
        uint8, of the shape that the file names; read-only.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, of another type, or cut short.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as a gzip file: {error}") from error
    if content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        raise ValueError(f"{path} is no IDX file of 8-bit values.")
    start = 4 + 4 * content[3]
    shape = [int(size) for size in np.frombuffer(content[4:start], ">u4")]
    if len(content) != start + math.prod(shape):
        raise ValueError(
            f"{path}: expected {math.prod(shape):,} values for {shape}; got "
            f"{len(content) - start:,}."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_cifar(path: Path, labels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Read a file of CIFAR's binary version: labels, then red, green and blue of each image.

    Args:
        path: of the file.
        labels: bytes before each image; CIFAR-100 has two, of which the last is the fine class.

    Returns:
        Images (N, 3, 32, 32) and labels (N,), the last label of each; uint8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: its length is not that of whole images.
    """
    content, length = np.fromfile(path, np.uint8), labels + 3 * 32 * 32
    if not content.size or content.size % length:
        raise ValueError(f"{path}: expected a multiple of {length} bytes; got {content.size:,}.")
    rows = content.reshape(-1, length)
    return rows[:, labels:].reshape(-1, 3, 32, 32), rows[:, labels - 1]
