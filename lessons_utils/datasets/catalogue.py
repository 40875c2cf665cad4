"""What `python -m lessons_utils fetch` can bring: all sets by name, whatever their kind."""

from __future__ import annotations

from pathlib import Path

from lessons_utils.datasets import nyu, small_images, super_resolution


def fetchable() -> list[str]:
    """Return the names that `fetch` knows, the small sets first."""
    return [*super_resolution.SETS, *small_images.COLLECTIONS, nyu.NYU]


def is_present(name: str) -> bool:
    """Tell whether a set lies on this machine, so that using it downloads nothing.

    Args:
        name: one of `fetchable()`, or `"embedded"`.

    Raises:
        ValueError: there is no such set; the message lists those there are.
    """
    _check_name(name)
    if name == nyu.NYU:
        return nyu.nyu_folder() is not None
    if name in small_images.COLLECTIONS:
        return small_images.is_present(name)
    return super_resolution.is_present(name)


def fetch(name: str) -> Path:
    """Return the folder of a set, downloaded into the cache folder if it is not on this machine.

    Args:
        name: one of `fetchable()`. `"nyu-depth-v2"` is 3 GB, `"cifar10"` and `"cifar100"` are
            170 MB each, ODIN's five sets some 25 MB each, the others a few MB.

    Raises:
        ValueError: there is no such set; the message lists those there are.
        DownloadError: the set cannot be had whole and unaltered; the cache has it not.
    """
    _check_name(name)
    if name == nyu.NYU:
        return nyu.fetch_nyu()
    if name in small_images.COLLECTIONS:
        return small_images.fetch(name)
    return super_resolution.fetch(name)


def _check_name(name: str) -> None:
    if name != "embedded" and name not in fetchable():
        raise ValueError(f"No set is named {name!r}; there are embedded, {', '.join(fetchable())}.")
