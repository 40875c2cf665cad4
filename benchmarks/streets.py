"""How fast streets are rendered: `python benchmarks/streets.py`, about a minute on two cores.

Prints the processor time of one 96 x 320 frame and of its parts, in one thread, and the drives a
second when every core renders into an empty cache.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable

import numpy as np

from lessons_utils.scenes import raycaster, streets

FRAMES = 3


def milliseconds(run: Callable[[int], object], seeds: range) -> float:
    """Return the processor time of one run, the mean over seeds."""
    start = time.process_time()
    for seed in seeds:
        run(seed)
    return (time.process_time() - start) / len(seeds) * 1e3


def one_frame(count: int) -> None:
    """Print the processor time of a frame and of its parts."""
    seeds = range(count)
    drives = [streets.sample_sequence(seed, 2) for seed in seeds]
    scenes = [drive.street.at(0) for drive in drives]
    cameras = [drive.street.camera(0, 96, 320) for drive in drives]
    hits = [raycaster.cast(*view) for view in zip(scenes, cameras, strict=True)]
    light = [raycaster.shade(*view)[0] for view in zip(scenes, hits, strict=True)]
    shapes = np.mean([len(scene.shapes.kind) for scene in scenes])
    parts = {
        "build the street (once a drive)": streets.sample_street,
        "find what the rays hit": lambda seed: raycaster.cast(scenes[seed], cameras[seed]),
        "light it": lambda seed: raycaster.shade(scenes[seed], hits[seed]),
        "smooth its edges": lambda seed: raycaster.smooth_edges(
            scenes[seed], hits[seed], light[seed].copy(), 1.0
        ),
        "flow and occlusions to another": lambda seed: drives[seed].flow(0, 1),
    }
    print(f"{count} streets with {shapes:.0f} shapes on average, 96 x 320")
    whole = milliseconds(lambda seed: streets.sample_sequence(seed, FRAMES), seeds) / FRAMES
    print(f"{'a frame, all of it':32} {whole:6.1f} ms of processor time")
    for name, run in parts.items():
        print(f"  {name:30} {milliseconds(run, seeds):6.1f} ms of processor time")


def many_drives(count: int) -> None:
    """Print how long an empty cache takes to fill, and to read."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LESSONS_CACHE"] = folder
        for what in ("rendered", "read back"):
            start = time.perf_counter()
            streets.sequences("train", count, FRAMES, progress=False)
            seconds = time.perf_counter() - start
            print(
                f"{count} drives of {FRAMES} frames {what} in {seconds:.1f} s, "
                f"{count / seconds:.1f} a second, on {os.cpu_count()} cores"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drives", type=int, default=200, help="to fill the cache with")
    parser.add_argument("--streets", type=int, default=20, help="to time one frame with")
    chosen = parser.parse_args()
    one_frame(chosen.streets)
    many_drives(chosen.drives)
