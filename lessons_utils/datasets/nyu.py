"""NYU Depth v2: 1449 frames of furnished rooms, taken with a Kinect by Silberman et al., 2012."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import h5py
import scipy.io
import torch
from scipy.io.matlab import MatReadError
from torch import Tensor

from lessons_utils import runtime
from lessons_utils.datasets.download import (
    DownloadError,
    Source,
    download_file,
    record_hashes,
    storing,
)
from lessons_utils.datasets.rgbd import Frames, find_pairs, read_pairs

NYU = "nyu-depth-v2"
"""The set's name for `fetch`."""

NYU_INTRINSICS = torch.tensor([[518.86, 0, 325.58], [0, 519.47, 253.74], [0, 0, 1]])
"""(3, 3): focal lengths and principal point of the colour camera at 480 x 640 (H x W), in pixels,
whose centres lie at whole numbers. For smaller frames see `scale_intrinsics`."""

FRAMES = {"train": 795, "test": 654}
"""How many frames the official split has."""

MAT, SPLITS = "nyu_depth_v2_labeled.mat", "splits.mat"
HOST = "http://horatio.cs.nyu.edu/mit/silberman"
SOURCES = {
    SPLITS: Source(f"{HOST}/indoor_seg_sup/{SPLITS}", "the set's own site", 0.003),
    MAT: Source(f"{HOST}/nyu_depth_v2/{MAT}", "the set's own site", 2972),
}


def nyu_depth(split: str, folder: str | Path | None = None) -> Frames:
    """Read one part of the official split of NYU Depth v2.

    From the official file, training depth is what the sensor measured, with holes, and test depth
    the in-painted one, on which papers score. A folder of small frames has in-painted depth only.
    Either way a white frame surrounds the pictures, 8 pixels wide at 480 x 640; it is not valid.

    Args:
        split: `"train"`, 795 frames, or `"test"`, 654.
        folder: a folder with `rgb/`, `depth/` (16-bit PNG, millimetres) and `splits.json` (lists of
            numbers from 0 under `train` and `test`, into the files by name; any part of the set
            will do, and without `splits.json` all of it is for testing), or one with the
            official `nyu_depth_v2_labeled.mat` and `splits.mat`, or the path of such a `.mat`.
            None takes `LESSONS_DATA`/nyuv2, else what `fetch("nyu-depth-v2")` brought.

    Returns:
        Images (N, 3, H, W) uint8, depth (N, 1, H, W) float32 in metres, 0 where missing, and where
        it is valid (N, 1, H, W) bool; H x W as in the files: 480 x 640 in the official one (2 GB of
        memory for the training part).

    Raises:
        FileNotFoundError: the set is not on this machine, or a file of it is not there.
        ValueError: no such part; files that cannot be read, or are not the 1449 frames.
    """
    if split not in FRAMES:
        raise ValueError(f"split is 'train' or 'test'; got {split!r}.")
    place = Path(folder) if folder is not None else nyu_folder()
    if place is None:
        raise FileNotFoundError(
            "NYU Depth v2 is not on this machine. Fetch it (3.0 GB): "
            f"python -m lessons_utils fetch {NYU}. Or set LESSONS_DATA to a folder that holds it "
            "in nyuv2."
        )
    mat = place / MAT if place.is_dir() else place
    if mat.is_file():
        images, depth, valid = _read_mat(mat, split)
    elif (place / "rgb").is_dir():
        images, depth, valid = _read_folder(place, split)
    else:
        raise FileNotFoundError(
            f"{place} holds neither {MAT} nor folders rgb and depth, so it is no copy of NYU "
            "Depth v2."
        )
    return images, depth, valid & _inside_the_white_frame(*images.shape[-2:])


def nyu_folder() -> Path | None:
    """Return the folder of the set on this machine, or None."""
    data = runtime.lessons_data()
    places = [data / "nyuv2"] if data else []
    here = [place for place in [*places, _cached()] if _is_copy(place)]
    return here[0] if here else None


def _is_copy(place: Path) -> bool:
    return (place / MAT).is_file() or (place / "rgb").is_dir()


def fetch_nyu() -> Path:
    """Return the set's folder, its two official files downloaded into the cache if it is nowhere.

    What an attempt that was cut short brought is kept beside the cache's sets, and the next one
    goes on from there; the set's folder appears in one step, complete and checked.

    Raises:
        DownloadError: a file did not come whole, or is not the set.
    """
    with storing(NYU):
        if present := nyu_folder():
            return present
        draft = _cached().with_name(f".{NYU}-unfinished")
        draft.mkdir(parents=True, exist_ok=True)
        for name, source in SOURCES.items():
            print(f"{NYU}: about {source.megabytes:g} MB from {source.url} ({source.origin})")
            try:
                download_file(source, draft / name, title=name)
            except DownloadError as error:
                raise DownloadError(
                    f"{NYU} cannot be downloaded: {urlsplit(source.url).hostname}: {error}\n"
                    f"To go on from there, run: python -m lessons_utils fetch {NYU}. Or put "
                    f"{MAT} and {SPLITS} into the folder nyuv2 of LESSONS_DATA."
                ) from error
        _accept(draft)
        if not _cached().is_dir():  # else another process brought it in the meantime
            draft.rename(_cached())
        return _cached()


def _cached() -> Path:
    return runtime.cache_folder() / NYU


def _accept(draft: Path) -> None:
    """Check downloaded files; if they are not the set, delete them and raise `DownloadError`."""
    record = _cached().with_name(f"{NYU}.json")
    known = json.loads(record.read_text(encoding="utf-8"))["files"] if record.is_file() else None
    hashes = {name: _sha256(draft / name) for name in SOURCES}
    try:
        with h5py.File(draft / MAT) as file:
            frames = len(file["images"])
        for split in FRAMES:
            _read_split(draft, split, frames)
        if known not in (None, hashes):
            raise ValueError(f"its hashes are {hashes}; {record} has those of the first download.")
    except (OSError, KeyError, ValueError) as error:  # OSError: h5py's word for another file
        shutil.rmtree(draft)
        raise DownloadError(
            f"What came is not {NYU}, and was deleted: {error}\n"
            f"Try again: python -m lessons_utils fetch {NYU}"
        ) from error
    if known is None:
        record_hashes(NYU, record, {"source": SOURCES[MAT].url, "files": hashes})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_mat(mat: Path, split: str) -> Frames:
    try:
        with h5py.File(mat) as file:
            stored, maps = file["images"], file["depths" if split == "test" else "rawDepths"]
            frames, _, width, height = stored.shape  # MATLAB's order of axes, reversed
            chosen = _read_split(mat.parent, split, frames)
            images = torch.empty(len(chosen), 3, height, width, dtype=torch.uint8)
            depth = torch.empty(len(chosen), 1, height, width)
            for index, frame in enumerate(chosen):  # one by one: the whole is 3 GB
                images[index] = torch.from_numpy(stored[frame]).mT
                depth[index, 0] = torch.from_numpy(maps[frame]).mT
    except FileNotFoundError:
        raise
    except (OSError, KeyError) as error:  # h5py's words for a file cut short, or another one
        raise ValueError(f"{mat} cannot be read as NYU's official file: {error}") from error
    return images, depth, depth > 0


def _read_folder(folder: Path, split: str) -> Frames:
    pairs = find_pairs(folder)
    path = folder / "splits.json"
    if path.is_file():
        chosen = _read_split_list(path, split, len(pairs))
    elif split == "test":
        chosen = list(range(len(pairs)))
    else:
        raise FileNotFoundError(f"There is no {path}, so {folder} has no training part.")
    return read_pairs([pairs[frame] for frame in chosen], depth_scale=1000)


def _read_split_list(path: Path, split: str, frames: int) -> list[int]:
    """The frames of one part as `splits.json` lists them, numbered from 0."""
    try:
        chosen = json.loads(path.read_text(encoding="utf-8"))[split]
        good = (
            bool(chosen) and set(chosen) <= set(range(frames)) and len(set(chosen)) == len(chosen)
        )
    except (json.JSONDecodeError, TypeError, KeyError, IndexError) as error:
        raise ValueError(
            f"{path} must hold lists of frame numbers under 'train' and 'test': {error!r}"
        ) from error
    if not good:
        raise ValueError(
            f"{path} must list different numbers from 0 to {frames - 1} under {split!r}, for the "
            f"{frames} frames that lie there; it lists {len(chosen)}."
        )
    return chosen


def _read_split(folder: Path, split: str, frames: int) -> list[int]:
    """The frames of one part of the official file, numbered from 0."""
    path = folder / SPLITS
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}; it belongs beside {MAT}.")
    try:
        numbers = scipy.io.loadmat(path)[f"{split}Ndxs"].flatten()
    except (MatReadError, NotImplementedError, KeyError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as NYU's split: {error}") from error
    chosen = [int(number) - 1 for number in numbers]  # MATLAB counts from 1
    there = set(chosen) & set(range(frames))
    if not len(there) == len(chosen) == FRAMES[split] or frames != sum(FRAMES.values()):
        raise ValueError(
            f"{path} chooses {len(there)} of {frames} frames for {split}; the official split "
            f"chooses {FRAMES[split]} of {sum(FRAMES.values())}."
        )
    return chosen


def _inside_the_white_frame(height: int, width: int) -> Tensor:
    """(H, W) bool: false in the white frame, 8 pixels wide at 480 x 640."""
    margin = 8 * height // 480
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[margin : height - margin, margin : width - margin] = True
    return inside
