"""The sets of the super-resolution lessons: embedded, or downloaded with a hash check.

A set is looked for in `LESSONS_DATA`/super_resolution/NAME, then in the cache folder; else it is
downloaded. A set appears in the cache in one step, complete and checked, or not at all.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from torch import Tensor

from lessons_utils import runtime
from lessons_utils.datasets.download import (
    DownloadError,
    Source,
    download_file,
    keep_hashes,
    read_sources,
    record_hashes,
    storing,
    unpack,
)
from lessons_utils.datasets.pictures import (
    PHOTOGRAPHS,
    image_folder,
    is_picture,
    photograph,
    pixels_sha256,
    plain_name,
    read_image,
)

Item = TypeVar("Item")


@dataclass(frozen=True)
class PictureSet:
    """A set that can be downloaded: from its first source, else from the next."""

    description: str
    pictures: int
    sources: tuple[Source, ...]

    @property
    def megabytes(self) -> float:
        """About what is downloaded, from the first source."""
        return self.sources[0].megabytes


SETS = {
    name: PictureSet(
        sheet["description"],
        sheet["pictures"],
        tuple(Source(**source) for source in sheet["sources"]),
    )
    for name, sheet in read_sources("super_resolution").items()
}
"""The sets that can be downloaded, by name; `data/sources.json` lists them."""


def super_resolution_set(name: str) -> list[tuple[str, Tensor]]:
    """Return a super-resolution set, downloaded if it is not on this machine.

    Args:
        name: a key of `SETS`, or `"embedded"`: the five photographs of `PHOTOGRAPHS`, a stand-in
            whose numbers compare to no paper's.

    Returns:
        Pairs of name and picture, (1, 3, H, W) or (1, 1, H, W), float32 in [0, 1]. Set5 and T91
        have the originals' pixels, names and order, whatever the files are called.

    Raises:
        ValueError: there is no such set; the message lists those there are.
        DownloadError: the set cannot be downloaded, or lies here incomplete or altered.
    """
    if name == "embedded":
        return [(photo, photograph(photo)) for photo in PHOTOGRAPHS]
    folder = fetch(name)
    try:
        images = image_folder(folder)
        known = _known_hashes(name, in_cache=folder == _cached(name))
        if known is None:
            _check_count(name, len(images))
            return images
        return list(_match(known, {pixels_sha256([image]): image for _, image in images}).items())
    except (DownloadError, FileNotFoundError, ValueError) as error:
        mend = (
            f"Delete this folder and run: python -m lessons_utils fetch {name}"
            if folder == _cached(name)
            else "Mend this folder of LESSONS_DATA, or move it away to have the set downloaded."
        )
        raise DownloadError(
            f"{name} in {folder} is not as it should be: {error}\n{mend}"
        ) from error


def set_or_embedded(name: str) -> tuple[str, list[tuple[str, Tensor]]]:
    """Return a set, or the embedded photographs where it cannot be had; says so in one line.

    Returns:
        The name of what came, `name` or `"embedded"`, and its pictures (`super_resolution_set`).

    Raises:
        ValueError: there is no such set.
    """
    try:
        return name, super_resolution_set(name)
    except DownloadError as error:
        reason = str(error).splitlines()[0]
        print(f"Using the embedded photographs as a stand-in for {name}. {reason}")
        return "embedded", super_resolution_set("embedded")


def is_present(name: str) -> bool:
    """Tell whether a set of pictures lies on this machine."""
    return name == "embedded" or _present_folder(name) is not None


def fetch(name: str) -> Path:
    """Return the folder of a set of pictures, downloaded into the cache folder if it is nowhere.

    Raises:
        ValueError: there is no such set; the message lists those there are.
        DownloadError: no source gave the set whole and unaltered; the cache is as before.
    """
    failures = []
    with storing(name):
        if present := _present_folder(name):
            return present
        target = _cached(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        for source in SETS[name].sources:
            print(f"{name}: about {source.megabytes:g} MB from {source.url} ({source.origin})")
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as draft:
                try:
                    return _download(name, source, Path(draft), target)
                except DownloadError as error:
                    failures.append(f"{urlsplit(source.url).hostname}: {error}")
    raise DownloadError(
        f"{name} cannot be downloaded: {failures[0].splitlines()[0]}\n"
        + "".join(f"  {failure}\n" for failure in failures)
        + f"Go online and run: python -m lessons_utils fetch {name}. Or put its pictures into the "
        f"folder super_resolution/{name} of LESSONS_DATA. Or use the set 'embedded'."
    )


def write_hashes() -> Path:
    """Write the hashes of Set5 and T91, as they lie in `LESSONS_DATA`, into `data/hashes.json`.

    The file in the repository was made so, from the files in the package of SRCNN's authors:
    `python -c "from lessons_utils import datasets; datasets.write_hashes()"`.
    """
    data = runtime.lessons_data()
    if data is None:
        raise ValueError("Set LESSONS_DATA to the folder that holds super_resolution/Set5 and T91.")
    hashes = {
        name: {
            picture: pixels_sha256([image])
            for picture, image in image_folder(data / "super_resolution" / name)
        }
        for name in ("Set5", "T91")
    }
    return keep_hashes(hashes)


# How a set comes into the cache


def _present_folder(name: str) -> Path | None:
    if name not in SETS:
        raise ValueError(f"No set is named {name!r}; there are embedded, {', '.join(SETS)}.")
    data = runtime.lessons_data()
    folders = [data / "super_resolution" / name] if data else []
    return next((folder for folder in [*folders, _cached(name)] if folder.is_dir()), None)


def _cached(name: str) -> Path:
    return runtime.cache_folder() / "super_resolution" / name


def _download(name: str, source: Source, draft: Path, target: Path) -> Path:
    """Bring a set from one source to `target`, by way of the folder `draft`.

    Raises:
        DownloadError: the source does not give the set.
        OSError: this machine cannot store it.
    """
    archive, unpacked, pictures = draft / "archive", draft / "unpacked", draft / "pictures"
    download_file(source, archive, title=name)
    unpack(archive, unpacked)
    files = [
        file
        for file in sorted(unpacked.rglob("*"))
        if is_picture(file) and fnmatch(file.relative_to(unpacked).as_posix(), source.members)
    ]
    try:
        hash_of = {file: pixels_sha256([read_image(file)]) for file in files}
    except ValueError as error:
        raise DownloadError(f"a picture is damaged: {error}.") from error
    known = _known_hashes(name, in_cache=True)
    if known is None:
        named = {plain_name(file): file for file in files}
        _check_count(name, len(named))
        hashes = {picture: hash_of[file] for picture, file in named.items()}
        record_hashes(name, _record_path(name), {"source": source.url, "pictures": hashes})
    else:
        named = _match(known, {digest: file for file, digest in hash_of.items()})
    pictures.mkdir()
    for picture, file in named.items():
        shutil.copyfile(file, pictures / f"{picture}{file.suffix.lower()}")
    try:
        pictures.rename(target)
    except OSError:
        if not target.is_dir():  # else another process brought it in the meantime
            raise
    return target


def _known_hashes(name: str, in_cache: bool) -> dict[str, str] | None:
    """Hashes of a set's pictures by name: those the course ships, else those recorded here."""
    shipped = json.loads(runtime.data_path("hashes.json").read_text(encoding="utf-8"))
    if name in shipped:
        return shipped[name]
    record = _record_path(name)
    if in_cache and record.is_file():
        return json.loads(record.read_text(encoding="utf-8"))["pictures"]
    return None


def _record_path(name: str) -> Path:
    return _cached(name).with_name(f"{name}.json")


def _match(known: dict[str, str], found: dict[str, Item]) -> dict[str, Item]:
    """Give each known name its item, by hash, in the order of `known`.

    Raises:
        DownloadError: an item is not there; the message has the hash expected and those found.
    """
    missing = [f"{name} ({digest})" for name, digest in known.items() if digest not in found]
    if missing:
        strangers = [digest for digest in found if digest not in known.values()]
        raise DownloadError(
            f"{len(missing)} of {len(known)} pictures are missing or altered. Expected "
            f"{', '.join(missing[:3])}; found {', '.join(strangers[:3]) or 'nothing else'} "
            "(SHA-256 of the pixels)."
        )
    return {name: found[digest] for name, digest in known.items()}


def _check_count(name: str, found: int) -> None:
    if found != SETS[name].pictures:
        raise DownloadError(f"expected {SETS[name].pictures} pictures, found {found}.")
