"""Rendered pictures kept in the cache folder: in shards, rendered by several processes.

What `rooms` and `streets` share. A shard is a file with many items; a process that is killed
loses no more than the one that it was filling, and what it left is completed by the next.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
import threading
import time
import zipfile
import zlib
from collections import abc
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from lessons_utils import runtime

Shard = dict[str, NDArray]

MOST_WORKERS = 4
"""Processes that render at most, however many cores there are: each takes 415 MB of memory."""

ABANDONED = 3600.0
"""Seconds after which an unfinished shard is taken for that of a killed process."""


@dataclass(frozen=True)
class Store:
    """How one kind of rendered things is kept.

    Attributes:
        what: the things, in plural, for progress bars and messages.
        unit: one of them.
        folder: their place in the cache folder; it names what makes them differ.
        render: gives one item of a shard from a job: each array with a first axis of length 1.
            A function of a module, so that other processes can call it.
        arrays: names of the arrays in a shard; the first has the width as its last axis.
        bits: which of them are bool, stored as bits along their last axis.
        shard: items in one file; a kill loses no more.
        few: up to so many items are rendered without other processes, more by one process for
            each so many or part of it.
    """

    what: str
    unit: str
    folder: str
    render: abc.Callable[[tuple], Shard]
    arrays: tuple[str, ...]
    bits: tuple[str, ...]
    shard: int
    few: int

    def get(
        self, split: str, jobs: list[tuple], progress: bool, names: tuple[str, ...] | None = None
    ) -> Shard:
        """Return the items of a split's first jobs, rendering what is missing.

        Args:
            split: stands in the files' names.
            jobs: what to render, from the split's first on.
            progress: show a bar while something is rendered.
            names: arrays to return; all where None.

        Raises:
            OSError: the cache folder cannot be written to, or the disk is full.
        """
        with self.storing():
            folder = runtime.cache_folder() / self.folder
            folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        count = len(jobs)
        paths = [folder / f"{split}-{start:06d}.npz" for start in range(0, count, self.shard)]
        wholes = [jobs[start : start + self.shard] for start in range(0, count, self.shard)]
        names = names or self.arrays
        shards, rests = [], []
        for path, whole in zip(paths, wholes, strict=True):
            shard = self.read(path)
            rests.append(whole[_items_in(shard) :])
            shards.append(shard if rests[-1] else _only(names, shard))
        missing = [job for rest in rests for job in rest]
        show = progress and missing
        with (
            closing(self._render(missing)) as rendered,  # ends its processes, whatever goes wrong
            tqdm(
                total=len(missing), desc=f"rendering {self.what}", unit=self.unit, disable=not show
            ) as bar,
        ):
            for number, rest in enumerate(rests):
                if not rest:
                    continue
                parts = [shards[number]] if shards[number] else []
                for part in itertools.islice(rendered, len(rest)):
                    parts.append(part)
                    bar.update()
                whole = join(parts)
                self.write(paths[number], whole)
                shards[number] = _only(names, whole)
        return {name: array[:count] for name, array in join(shards).items()}

    def _render(self, jobs: list[tuple]) -> abc.Generator[Shard, None, None]:
        """Yield the jobs' results in order: a few from this process, many from `workers`.

        Close it where it may not be asked for all of them: its processes live until then.
        """
        done, count = 0, workers(len(jobs), self.few)
        if count:
            context = multiprocessing.get_context("spawn")  # the others may hang beside threads
            pool = ProcessPoolExecutor(count, context, initializer=end_with_parent)
            try:
                for part in pool.map(self.render, jobs, chunksize=5):
                    yield part
                    done += 1
            except BrokenProcessPool:  # a worker could not start, or was killed: go on without
                tqdm.write(
                    f"A process that renders {self.what} ended early, so one core goes on alone. "
                    '(Does your script lack `if __name__ == "__main__":`?)',
                    file=sys.stderr,
                )
            finally:
                pool.shutdown(cancel_futures=True)
        yield from map(self.render, jobs[done:])

    def write(self, path: Path, shard: Shard) -> None:
        """Write a shard beside its place, then move it there whole, unless a longer one lies there.

        Raises:
            OSError: it cannot be stored; says what to do.
        """
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
        packed = {name: np.packbits(shard[name], axis=-1) for name in self.bits}
        with self.storing():
            try:
                with unfinished.open("wb") as file:
                    np.savez(file, **{**shard, **packed})
                if _items_in(self.read(path)) < _items_in(shard):  # else another was faster
                    with suppress(PermissionError):  # Windows, while another process reads it
                        unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)

    def read(self, path: Path) -> Shard | None:
        """Return a shard, or None where there is none or it is damaged (it has checksums)."""
        try:
            with np.load(path) as file:
                shard = {name: file[name] for name in self.arrays}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        width = shard[self.arrays[0]].shape[-1]
        for name in self.bits:
            shard[name] = np.unpackbits(shard[name], axis=-1, count=width).astype(bool)
        return shard

    @contextmanager
    def storing(self) -> abc.Iterator[None]:
        """Say what to do where this machine cannot store what is rendered."""
        try:
            yield
        except OSError as error:
            raise OSError(runtime.cannot_store(f"Rendered {self.what}", error)) from error


def workers(count: int, few: int) -> int:
    """Return how many processes to render so many with; 0 renders in this one."""
    if hasattr(os, "sched_getaffinity"):  # where this process may use some of the cores only
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return 0 if count <= few or cores == 1 else min(cores, MOST_WORKERS, -(-count // few))


def end_with_parent() -> None:
    """Let a worker end when the process that began it is killed, instead of waiting for ever."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def join(parts: list[Shard]) -> Shard:
    """Return several shards as one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _only(names: tuple[str, ...], shard: Shard) -> Shard:
    return {name: shard[name] for name in names}


def _items_in(shard: Shard | None) -> int:
    return len(next(iter(shard.values()))) if shard else 0


def _remove_abandoned(folder: Path) -> None:
    """Remove the unfinished shards that killed processes left."""
    for path in folder.glob("*.part"):
        with suppress(OSError):  # another process removed it, or still has it open
            if time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()


def seeds(split: str, count: int, splits: tuple[str, ...], size: int, what: str) -> range:
    """Return the seeds of a split's first items; no two splits share one.

    Args:
        split: one of `splits`.
        count: how many, 1 to `size`.
        splits: the names of all splits, in order.
        size: seeds that belong to each.
        what: the things, in plural, for messages.

    Raises:
        ValueError: no such split, or a count out of bounds.
    """
    if split not in splits:
        raise ValueError(f"No split {split!r} of {what}; use one of {', '.join(splits)}.")
    if not 1 <= count <= size:
        raise ValueError(f"count must lie between 1 and {size:,}, not {count}.")
    start = splits.index(split) * size
    return range(start, start + count)
