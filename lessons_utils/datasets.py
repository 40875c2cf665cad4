"""Every picture that enters the course: embedded, or downloaded with a hash check.

A set is looked for in `LESSONS_DATA`/super_resolution/NAME, then in the cache folder; else it is
downloaded. A set appears in the cache in one step, complete and checked, or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PureWindowsPath
from typing import TypeVar
from urllib.parse import urlsplit

import numpy as np
import pooch
import requests
import skimage.data
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from lessons_utils import runtime

Item = TypeVar("Item")

PHOTOGRAPHS = {
    "astronaut": "Eileen Collins, by NASA, public domain; colour, 512 x 512",
    "cat": "Chelsea the cat, by Stefan van der Walt, CC0; colour, 300 x 451",
    "coffee": "a cup of coffee at Pikolo Espresso Bar, by Rachel Michetti, CC0; colour, 400 x 600",
    "rocket": "launch of DSCOVR on a Falcon 9, by SpaceX, public domain; colour, 427 x 640",
    "camera": "a man with a camera, by Lav Varshney, CC0; gray, 512 x 512",
}
"""Photographs inside scikit-image's wheel, which need no download; sizes are height x width."""

PICTURE_SUFFIXES = {".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff"}


class DownloadError(RuntimeError):
    """A set could not be had whole and unaltered; the first line says why, the last what to do."""


@dataclass(frozen=True)
class Source:
    """An archive (zip or tar) somewhere that holds a set."""

    url: str
    origin: str
    megabytes: float
    """About; the progress bar shows what the server says."""
    members: str = "*"
    """Pattern of the paths that belong to the set, inside the archive."""


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
    for name, sheet in json.loads(
        runtime.data_path("sources.json").read_text(encoding="utf-8")
    ).items()
}
"""The sets that can be downloaded, by name; `data/sources.json` lists them."""


# Pictures


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
    """Read a picture file of 8 bits a channel, upright if a camera noted how it was held.

    Returns:
        (1, 1, H, W) if the file is plain gray, else (1, 3, H, W): a palette is looked up,
        transparency is dropped; float32 in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture, is cut short, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode[0] in "IF" or ";16" in _raw_mode(picture):
                raise ValueError(
                    f"{path} has more than 8 bits a channel; the course's pictures have 8. "
                    "Save it with 8 bits first."
                )
            upright = ImageOps.exif_transpose(picture)
            array = np.asarray(upright if upright.mode == "L" else upright.convert("RGB"))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no picture {path}.") from None
    except (OSError, SyntaxError) as error:  # Pillow's words for a damaged file
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    return _to_tensor(array)


def _raw_mode(picture: Image.Image) -> str:
    """How Pillow names the pixels in the file, such as `RGB;16B`."""
    arguments = picture.tile[0][3] if picture.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _to_tensor(array: np.ndarray) -> Tensor:
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
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    files = [file for file in Path(folder).iterdir() if _is_picture(file)]
    if not files:
        raise FileNotFoundError(
            f"{folder} holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))})."
        )
    files.sort(key=lambda file: file.name)
    return [(_plain_name(file), read_image(file)) for file in files]


def _is_picture(path: Path) -> bool:
    is_hidden = path.name.startswith(".")  # such as the notes that macOS puts beside files
    return path.suffix.lower() in PICTURE_SUFFIXES and not is_hidden and path.is_file()


def _plain_name(path: Path) -> str:
    return path.stem.removesuffix("_GT")


def pixels_sha256(images: Iterable[Tensor]) -> str:
    """Return the SHA-256 over the 8-bit pixels (and sizes) of pictures, in their order."""
    digest = hashlib.sha256()
    for image in images:
        levels = image.mul(255).round().to(torch.uint8)
        digest.update(str(tuple(levels.shape)).encode())
        digest.update(levels.numpy().tobytes())
    return digest.hexdigest()


# Sets


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
    """Tell whether a set lies on this machine, so that using it downloads nothing."""
    return name == "embedded" or _present_folder(name) is not None


def fetch(name: str) -> Path:
    """Return the folder of a set, downloaded into the cache folder if it is not on this machine.

    Raises:
        ValueError: there is no such set; the message lists those there are.
        DownloadError: no source gave the set whole and unaltered; the cache is as before.
    """
    failures = []
    try:
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
    except NotADirectoryError:  # of LESSONS_DATA; says what to do
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise DownloadError(
            f"{name} cannot be stored: {'the disk is full' if full else error}.\n"
            f"{'Free some space' if full else 'Make the cache folder writable'}, or set "
            "LESSONS_CACHE to another folder."
        ) from error
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
    path = runtime.data_path() / "hashes.json"
    path.write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")
    return path


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
    _download_file(source, archive, title=name)
    _unpack(archive, unpacked)
    files = [
        file
        for file in sorted(unpacked.rglob("*"))
        if _is_picture(file) and fnmatch(file.relative_to(unpacked).as_posix(), source.members)
    ]
    try:
        hash_of = {file: pixels_sha256([read_image(file)]) for file in files}
    except ValueError as error:
        raise DownloadError(f"a picture is damaged: {error}.") from error
    known = _known_hashes(name, in_cache=True)
    if known is None:
        named = {_plain_name(file): file for file in files}
        _check_count(name, len(named))
        _record(name, source, {picture: hash_of[file] for picture, file in named.items()}, draft)
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


def _download_file(source: Source, path: Path, title: str) -> None:
    """Download one file, with a progress bar."""
    size = int(source.megabytes * 1e6)  # until the server says
    try:
        with tqdm(total=size, unit="B", unit_scale=True, desc=title, leave=False) as progress:
            pooch.HTTPDownloader(progressbar=progress, timeout=30)(source.url, str(path), None)
    except requests.HTTPError as error:
        raise DownloadError(f"the server answers {error.response.status_code}.") from error
    except requests.exceptions.ChunkedEncodingError as error:
        size = path.stat().st_size
        raise DownloadError(f"the download was cut short, after {size:,} bytes.") from error
    except requests.ConnectionError as error:
        raise DownloadError("no connection. Is this machine online?") from error
    except requests.RequestException as error:
        raise DownloadError(f"the download failed: {error}.") from error


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive, all of it inside the folder, or raise `DownloadError`."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _check_paths(opened.namelist())
                opened.extractall(folder)
        else:
            with tarfile.open(archive) as opened:
                _check_paths(opened.getnames())
                opened.extractall(folder, filter="data")
    except tarfile.FilterError as error:  # a link or device that would lead out of the folder
        raise DownloadError(f"the archive was refused, for safety: {error}.") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        size = archive.stat().st_size
        raise DownloadError(
            f"what came ({size:,} bytes) is no whole archive, but cut short or altered: {error}."
        ) from error
    except OSError as error:
        if error.errno is None:  # not this machine's: gzip says so that the file is altered
            raise DownloadError(f"the archive is altered: {error}.") from error
        raise


def _check_paths(members: Iterable[str]) -> None:
    for member in members:
        path = PureWindowsPath(member)  # it sees both kinds of slash, and drives
        if path.anchor or ".." in path.parts:
            raise DownloadError(
                f"the archive was refused, for safety: its member {member!r} would be written "
                "outside the folder it is unpacked to."
            )


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


def _record(name: str, source: Source, hashes: dict[str, str], draft: Path) -> None:
    """Keep the hashes of a set that has none in the course: trust on first use."""
    path = _record_path(name)
    text = json.dumps({"source": source.url, "pictures": hashes}, indent=1)
    (draft / "record").write_text(text + "\n", encoding="utf-8")
    (draft / "record").replace(path)
    print(
        f"{name}: the course knows no hash of this set, so this first download is trusted. Its "
        f"hashes are recorded; later ones must agree with them, unless you delete {path}"
    )


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
