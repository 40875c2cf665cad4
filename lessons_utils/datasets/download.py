"""Downloads: whole and in their place, or an error that says what to do."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import requests
from tqdm.auto import tqdm

from lessons_utils import runtime


class DownloadError(RuntimeError):
    """A set could not be had whole and unaltered; the first line says why, the last what to do."""


@dataclass(frozen=True)
class Source:
    """A file somewhere on the network that a set, or a part of one, is had from."""

    url: str
    origin: str
    megabytes: float
    """About; the progress bar shows what the server says."""
    members: str = "*"
    """Of an archive (zip or tar): pattern of the paths in it that belong to the set."""


def read_sources(group: str) -> dict[str, Any]:
    """Return one part of `data/sources.json`: a sheet for each set, by name."""
    return json.loads(runtime.data_path("sources.json").read_text(encoding="utf-8"))[group]


@contextmanager
def storing(name: str) -> Iterator[None]:
    """Say what to do where this machine cannot store the set `name`.

    Raises:
        DownloadError: in place of an `OSError` of the code inside.
    """
    try:
        yield
    except NotADirectoryError:  # of LESSONS_DATA; says what to do
        raise
    except OSError as error:
        raise DownloadError(runtime.cannot_store(name, error)) from error


def download_file(source: Source, path: Path, title: str) -> None:
    """Download one file, with a progress bar; what already lies at `path` is not asked for again.

    Raises:
        DownloadError: the file did not come whole. What came stays at `path`, for the next time.
        OSError: this machine cannot store it.
    """
    try:
        _download_rest(source, path, title)
    except requests.HTTPError as error:
        raise DownloadError(f"the server answers {error.response.status_code}.") from error
    except requests.exceptions.ChunkedEncodingError as error:
        size = path.stat().st_size
        raise DownloadError(f"the download was cut short, after {size:,} bytes.") from error
    except requests.ConnectionError as error:
        raise DownloadError("no connection. Is this machine online?") from error
    except requests.RequestException as error:
        raise DownloadError(f"the download failed: {error}.") from error


def _download_rest(source: Source, path: Path, title: str) -> None:
    start = path.stat().st_size if path.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(source.url, headers=headers, stream=True, timeout=30) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and start:
            return  # there is no more
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            start = 0  # the server sends all of it
        size = start + int(response.headers.get("Content-Length", source.megabytes * 1e6))
        with (
            path.open("ab" if start else "wb") as file,
            tqdm(
                total=size, initial=start, unit="B", unit_scale=True, desc=title, leave=False
            ) as progress,
        ):
            for chunk in response.iter_content(2**16):
                file.write(chunk)
                progress.update(len(chunk))
        if "Content-Length" in response.headers and path.stat().st_size != size:
            path.unlink()  # its content is worth nothing
            raise DownloadError(
                f"{size:,} bytes were to come, others were written. Is another download running?"
            )


def check_file(path: Path, expected: str) -> None:
    """Compare a file's hash with the one published for it; delete the file if it is another.

    Args:
        path: of the file.
        expected: kind and digest, such as `sha256:c4a3...`; some files are published with an MD5
            only, which finds damage but no forgery.

    Raises:
        DownloadError: the file is another one.
    """
    kind = expected.partition(":")[0]
    with path.open("rb") as file:
        found = f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"
    if found != expected:
        size = path.stat().st_size
        path.unlink()
        raise DownloadError(
            f"what came ({size:,} bytes) is not the file expected. Expected {expected}; found "
            f"{found}."
        )


def keep_hashes(hashes: dict[str, Any]) -> Path:
    """Write hashes into `data/hashes.json`, beside those of other sets; return its path."""
    path = runtime.data_path("hashes.json")
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(known | hashes, indent=1) + "\n", encoding="utf-8")
    return path


def record_hashes(name: str, path: Path, record: dict[str, Any]) -> None:
    """Keep the hashes of a set that has none in the course: trust on first use."""
    draft = path.with_name(f".{path.name}-unfinished")
    draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
    print(
        f"{name}: the course knows no hash of this set, so this first download is trusted. Its "
        f"hashes are recorded; later ones must agree with them, unless you delete {path}"
    )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive, all of it inside the folder, or raise `DownloadError`."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _check_paths(opened.namelist())
                opened.extractall(folder)
        else:
            with tarfile.open(archive) as opened:
                _check_paths(opened.getnames())
                _check_kinds(opened.getmembers())
                opened.extractall(folder, **_TAR_FILTER)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        size = archive.stat().st_size
        raise DownloadError(
            f"what came ({size:,} bytes) is no whole archive, but cut short or altered: {error}."
        ) from error
    except OSError as error:
        if error.errno is None:  # not this machine's: gzip says so that the file is altered
            raise DownloadError(f"the archive is altered: {error}.") from error
        raise


def _check_kinds(members: Iterable[tarfile.TarInfo]) -> None:
    for member in members:
        if not (member.isfile() or member.isdir()):
            raise DownloadError(
                f"the archive was refused, for safety: its member {member.name!r} is a link or a "
                "device, where only files are expected."
            )


# A second check by Python itself, which versions before 3.11.4 do not have.
_TAR_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def _check_paths(members: Iterable[str]) -> None:
    for member in members:
        path = PureWindowsPath(member)  # it sees both kinds of slash, and drives
        if path.anchor or ".." in path.parts:
            raise DownloadError(
                f"the archive was refused, for safety: its member {member!r} would be written "
                "outside the folder it is unpacked to."
            )
