"""A part of Fashion-MNIST, shipped with the course: small photographs of clothes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from lessons_utils import runtime
from lessons_utils.datasets.archives import LabelledImages
from lessons_utils.datasets.binary_files import read_idx
from lessons_utils.datasets.pictures import read_pixels

CLOTHES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
"""All ten classes, in the order of the original labels."""

HELD_OUT = ("sandal", "bag")
"""The classes kept out of training: sandals are near to what a network learns, bags less so."""

SPLITS = {
    "train": ("train", tuple(name for name in CLOTHES if name not in HELD_OUT), 375),
    "test": ("t10k", tuple(name for name in CLOTHES if name not in HELD_OUT), 125),
    "held-out": ("t10k", HELD_OUT, 200),
}
"""Of each split: the original part it is taken from, its classes, images of each class."""

SIDE, COLUMNS = 28, 40


def fashion_mnist(split: str) -> LabelledImages:
    """Return a split of the Fashion-MNIST subset that the course ships.

    Real photographs of articles of Zalando, made gray, 28 x 28 and inverted by Xiao, Rasul and
    Vollgraf (2017), who give them under the MIT licence. Here a black border of 2 pixels makes them
    32 x 32. The classes take turns, so that any first few images hold all.

    Args:
        split: `"train"`, 3,000 images of eight classes; `"test"`, 1,000 others of the same eight;
            `"held-out"`, 200 sandals and 200 bags, which are in neither.

    Returns:
        Images (N, 1, 32, 32) uint8; labels from 0 into the split's own `classes`.

    Raises:
        ValueError: there is no such split.

    Example:
        >>> fashion_mnist("held-out").classes
        ('sandal', 'bag')
    """
    if split not in SPLITS:
        raise ValueError(f"No split is named {split!r}; there are {', '.join(SPLITS)}.")
    _, classes, each = SPLITS[split]
    sheet = read_pixels(runtime.data_path(f"fashion_mnist/{split}.png"))
    rows = sheet.reshape(-1, SIDE, COLUMNS, SIDE).swapaxes(1, 2)
    images = torch.from_numpy(rows.reshape(-1, 1, SIDE, SIDE).copy())
    labels = torch.arange(len(classes)).repeat(each)
    return LabelledImages(F.pad(images, (2, 2, 2, 2)), labels, classes)


def write_fashion_mnist(folder: str | Path) -> Path:
    """Write the subset into `data/fashion_mnist`, from the four original files.

    Of each class the first images in the original order; the classes take turns, row by row of a
    sheet of 40 pictures. The files in the repository were made so:
    `python -c "from lessons_utils import datasets; datasets.write_fashion_mnist('FOLDER')"`.

    Args:
        folder: holds `train-images-idx3-ubyte.gz` and its like, which Debian's package
            `dataset-fashion-mnist` puts into /usr/share/datasets/fashion-mnist.

    Returns:
        The folder written to.

    Raises:
        FileNotFoundError: an original file is not there.
        ValueError: an original file is damaged.
    """
    target = runtime.data_path() / "fashion_mnist"
    target.mkdir(exist_ok=True)
    for split, (part, classes, each) in SPLITS.items():
        images = read_idx(Path(folder) / f"{part}-images-idx3-ubyte.gz")
        labels = read_idx(Path(folder) / f"{part}-labels-idx1-ubyte.gz")
        of_class = [np.flatnonzero(labels == CLOTHES.index(name))[:each] for name in classes]
        chosen = images[np.stack(of_class, axis=1).ravel()]
        sheet = chosen.reshape(-1, COLUMNS, SIDE, SIDE).swapaxes(1, 2)
        picture = Image.fromarray(sheet.reshape(-1, COLUMNS * SIDE))
        picture.save(target / f"{split}.png", optimize=True)
    return target
