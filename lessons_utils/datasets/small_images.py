"""Sets of small images to classify, by name: CIFAR-10, and what a network for it has never seen.

A set is looked for in `LESSONS_DATA`/ood, then in the cache folder; else it is downloaded, with a
hash check. It appears in the cache in one step, complete and checked, or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
import torch.nn.functional as F

from lessons_utils import runtime
from lessons_utils.datasets.archives import (
    LabelledImages,
    labelled_sha256,
    read_archive,
    write_archive,
)
from lessons_utils.datasets.binary_files import read_cifar, read_idx
from lessons_utils.datasets.download import (
    DownloadError,
    Source,
    check_file,
    download_file,
    keep_hashes,
    read_sources,
    storing,
    unpack,
)
from lessons_utils.datasets.pictures import is_picture, read_pixels

IMAGE_SETS = {
    "cifar10-train": "cifar10_train",
    "cifar10-test": "cifar10_test",
    "cifar100": "ood_cifar100",
    "tinyimagenet-crop": "ood_tinyimagenet_crop",
    "tinyimagenet-resize": "ood_tinyimagenet_resize",
    "lsun-crop": "ood_lsun_crop",
    "lsun-resize": "ood_lsun_resize",
    "isun": "ood_isun",
    "mnist": "ood_mnist",
    "cats-and-dogs": "catsdogs_photos64",
}
"""Names of sets, and of their files, without `.npz`. CIFAR and MNIST have 32 x 32 pixels, cats and
dogs 64 x 64; ODIN's sets are said to have 32 x 32, and are kept as their archives have them."""


@dataclass(frozen=True)
class DataFile:
    """A file that a collection is made from; each source has the same one."""

    name: str
    hash: str
    """As published: kind and digest, such as `sha256:c4a3...`."""
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Collection:
    """What is downloaded at once: one set of images or more."""

    description: str
    images: dict[str, int]
    """The names of its sets, keys of `IMAGE_SETS`, and how many images each has."""
    files: tuple[DataFile, ...]


COLLECTIONS = {
    name: Collection(
        sheet["description"],
        sheet["images"],
        tuple(
            DataFile(
                file["name"], file["hash"], tuple(Source(**source) for source in file["sources"])
            )
            for file in sheet["files"]
        ),
    )
    for name, sheet in read_sources("small_images").items()
}
"""What can be downloaded, by name; `data/sources.json` lists it."""


def image_set(name: str, count: int | None = None) -> LabelledImages:
    """Return a set of images by name, downloaded if it is not on this machine.

    Downloaded sets are complete and in their own order (pictures by file name): CIFAR-10 50,000 and
    10,000 images, the test parts of CIFAR-100 and MNIST 10,000, ODIN's sets 10,000, iSUN 8,925.
    Those in `LESSONS_DATA` may be parts of them, or in another order, so that numbers differ a
    little: 2,000 images have a standard error of one percentage point at a rate of 30 %.

    Args:
        name: a key of `IMAGE_SETS`. `"cats-and-dogs"` can be had in `LESSONS_DATA` only.
        count: the first so many only; None takes all.

    Raises:
        ValueError: there is no such set, or fewer images than asked for, or the file is damaged.
        DownloadError: the set cannot be downloaded whole and unaltered.
        FileNotFoundError: cats and dogs do not lie in `LESSONS_DATA`.
    """
    if name not in IMAGE_SETS:
        raise ValueError(f"No image set is named {name!r}; there are {', '.join(IMAGE_SETS)}.")
    collection = next((key for key, entry in COLLECTIONS.items() if name in entry.images), None)
    with storing(name):
        places = _places(collection)
    if collection and not any(_file(place, name).is_file() for place in places):
        places = [fetch(collection)]
    found = [_file(place, name) for place in places if _file(place, name).is_file()]
    if not found:
        raise FileNotFoundError(
            f"The set {name!r} cannot be downloaded; it is read from {IMAGE_SETS[name]}.npz in the "
            "folder ood of the folder that LESSONS_DATA names, and does not lie there."
        )
    return read_archive(found[0], count)


def is_present(collection: str) -> bool:
    """Tell whether all sets of a collection lie on this machine."""
    return _present_folder(collection) is not None


def fetch(collection: str) -> Path:
    """Return the folder of a collection's `.npz` files, downloaded if they are not here.

    What an attempt that was cut short brought is kept beside the cache's collections, and the next
    one goes on from there.

    Args:
        collection: a key of `COLLECTIONS`.

    Raises:
        DownloadError: it cannot be had whole and unaltered; the cache has it not.
    """
    with storing(collection):
        if present := _present_folder(collection):
            return present
        target = _cached(collection)
        draft = target.with_name(f".{collection}-unfinished")
        draft.mkdir(parents=True, exist_ok=True)
        try:
            for file in COLLECTIONS[collection].files:
                _download(collection, file, draft / file.name)
            converted = _convert(collection, draft)
        except (DownloadError, ValueError) as error:
            files = ", ".join(f"{IMAGE_SETS[key]}.npz" for key in COLLECTIONS[collection].images)
            raise DownloadError(
                f"{collection} cannot be downloaded: {error}\n"
                f"Go online and run: python -m lessons_utils fetch {collection}. Or put {files} "
                "into the folder ood of LESSONS_DATA."
            ) from error
        try:
            converted.rename(target)
        except OSError:
            if not target.is_dir():  # else another process brought it in the meantime
                raise
        shutil.rmtree(draft)
        return target


def write_image_hashes() -> Path:
    """Write the hashes of CIFAR-10, as it lies in `LESSONS_DATA`, into `data/hashes.json`.

    The entries in the repository were made so:
    `python -c "from lessons_utils import datasets; datasets.write_image_hashes()"`, from a complete
    copy in another order than the official one; means and deviations of its channels agree with the
    published ones in all eight digits.
    """
    names = COLLECTIONS["cifar10"].images
    return keep_hashes({name: labelled_sha256(image_set(name)) for name in names})


# Where sets lie


def _places(collection: str | None) -> list[Path]:
    data = runtime.lessons_data()
    folders = [data / "ood"] if data else []
    return [*folders, _cached(collection)] if collection else folders


def _cached(collection: str) -> Path:
    return runtime.cache_folder() / "small_images" / collection


def _file(folder: Path, name: str) -> Path:
    return folder / f"{IMAGE_SETS[name]}.npz"


def _present_folder(collection: str) -> Path | None:
    for place in _places(collection):
        if all(_file(place, name).is_file() for name in COLLECTIONS[collection].images):
            return place
    return None


# How a collection comes into the cache


def _download(collection: str, file: DataFile, path: Path) -> None:
    """Bring one file to `path`, from the first source that gives it whole and unaltered."""
    failures = []
    for source in file.sources:
        print(f"{collection}: about {source.megabytes:g} MB from {source.url} ({source.origin})")
        try:
            download_file(source, path, title=file.name)
            check_file(path, file.hash)
            return
        except DownloadError as error:
            failures.append(f"{urlsplit(source.url).hostname}: {error}")
    raise DownloadError("\n  ".join(failures))


def _convert(collection: str, draft: Path) -> Path:
    """Make a collection's `.npz` files from what was downloaded; return their folder.

    Raises:
        DownloadError: a number of images, or a hash over them, is not as it should be.
        ValueError: a file cannot be read.
    """
    unpacked, converted = draft / "unpacked", draft / "converted"
    for folder in (unpacked, converted):
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier attempt
    for file in COLLECTIONS[collection].files:
        if file.name.endswith(".tar.gz"):
            unpack(draft / file.name, unpacked)
    converted.mkdir()
    hashes = json.loads(runtime.data_path("hashes.json").read_text(encoding="utf-8"))
    for name, count in COLLECTIONS[collection].images.items():
        content = _READERS.get(name, _read_pictures)(draft)
        if len(content) != count:
            raise DownloadError(f"{name}: expected {count:,} images, found {len(content):,}.")
        if name in hashes and (found := labelled_sha256(content)) != hashes[name]:
            raise DownloadError(
                f"{name}: images or labels are not those that the course knows. Expected "
                f"{hashes[name]}; found {found} (SHA-256 over all, in any order)."
            )
        write_archive(_file(converted, name), content)
    return converted


def _read_cifar10_train(draft: Path) -> LabelledImages:
    return _read_cifar(draft, [f"data_batch_{k}.bin" for k in range(1, 6)], "batches.meta.txt", 1)


def _read_cifar10_test(draft: Path) -> LabelledImages:
    return _read_cifar(draft, ["test_batch.bin"], "batches.meta.txt", 1)


def _read_cifar100_test(draft: Path) -> LabelledImages:
    return _read_cifar(draft, ["test.bin"], "fine_label_names.txt", 2)


def _read_cifar(draft: Path, names: list[str], classes: str, labels: int) -> LabelledImages:
    parts = [read_cifar(_member(draft, name), labels) for name in names]
    images, found = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    words = _member(draft, classes).read_text(encoding="utf-8").split()
    return LabelledImages(torch.from_numpy(images), torch.from_numpy(found).long(), tuple(words))


def _member(draft: Path, name: str) -> Path:
    found = next((draft / "unpacked").rglob(name), None)
    if found is None:
        raise DownloadError(f"the archive holds no {name}.")
    return found


def _read_mnist(draft: Path) -> LabelledImages:
    """The digits, with a black border of 2 pixels, in three equal channels."""
    digits = torch.from_numpy(read_idx(draft / "t10k-images-idx3-ubyte.gz").copy())
    labels = torch.from_numpy(read_idx(draft / "t10k-labels-idx1-ubyte.gz").copy()).long()
    images = F.pad(digits, (2, 2, 2, 2))[:, None].repeat(1, 3, 1, 1)
    return LabelledImages(images, labels, tuple(str(digit) for digit in range(10)))


def _read_pictures(draft: Path) -> LabelledImages:
    """All pictures of an archive, in the order of their file names; gray ones in three channels."""
    files = [file for file in (draft / "unpacked").rglob("*") if is_picture(file)]
    files.sort(key=lambda file: (file.name, file.as_posix()))
    if not files:
        raise DownloadError("the archive holds no picture.")
    arrays = [read_pixels(file) for file in files]
    if len({array.shape[:2] for array in arrays}) > 1:
        raise DownloadError("the archive's pictures are not all of one size.")
    planes = [array.transpose(2, 0, 1) if array.ndim == 3 else [array] * 3 for array in arrays]
    return LabelledImages(torch.from_numpy(np.stack(planes)), labels=None, classes=None)


_READERS: dict[str, Callable[[Path], LabelledImages]] = {
    "cifar10-train": _read_cifar10_train,
    "cifar10-test": _read_cifar10_test,
    "cifar100": _read_cifar100_test,
    "mnist": _read_mnist,
}
"""How a set is read from its files; those not named are archives of pictures."""
