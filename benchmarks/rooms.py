"""How fast rooms are rendered: `python benchmarks/rooms.py`, about a minute on two cores.

Prints the processor time of one 160 x 120 frame and of its parts, in one thread, and the frames a
second when every core renders into an empty cache, the start of the processes included.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable

import numpy as np

from lessons_utils.scenes import raycaster, rooms


def milliseconds(run: Callable[[int], object], seeds: range) -> float:
    """Return the processor time of one run, the mean over seeds."""
    start = time.process_time()
    for seed in seeds:
        run(seed)
    return (time.process_time() - start) / len(seeds) * 1e3


def one_frame(count: int) -> None:
    """Print the processor time of a frame and of its parts."""
    seeds = range(count)
    rooms.sample_frame(0)  # draws the textures
    views = [rooms.sample_view(seed) for seed in seeds]
    scenes, cameras = [room.scene for room, _ in views], [camera for _, camera in views]
    hits = [raycaster.cast(*view) for view in zip(scenes, cameras, strict=True)]
    frames = [rooms.sample_frame(seed) for seed in seeds]
    shapes = np.mean([len(scene.shapes.kind) for scene in scenes])
    lamps = np.mean([len(scene.lights) for scene in scenes])
    parts = {
        "all of it (sample_frame)": rooms.sample_frame,
        "  build and furnish the room": lambda seed: rooms.make_room(np.random.default_rng(seed)),
        "  find what the rays hit": lambda seed: raycaster.cast(scenes[seed], cameras[seed]),
        "  light it": lambda seed: raycaster.shade(scenes[seed], hits[seed]),
        "the sensor's mask": lambda seed: rooms.sensor_mask(frames[seed], seed),
    }
    print(f"{count} rooms with {shapes:.0f} shapes and {lamps:.1f} lamps on average, 160 x 120")
    for name, run in parts.items():
        print(f"{name:30} {milliseconds(run, seeds):6.1f} ms of processor time a frame")


def many_frames(count: int) -> None:
    """Print how long an empty cache takes to fill, and to read."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LESSONS_CACHE"] = folder
        for what in ("rendered", "read back"):
            start = time.perf_counter()
            rooms.frames("train", count, progress=False)
            seconds = time.perf_counter() - start
            print(
                f"{count} frames {what} in {seconds:.1f} s, {count / seconds:.0f} a second, "
                f"on {os.cpu_count()} cores"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000, help="to fill the cache with")
    parser.add_argument("--rooms", type=int, default=60, help="to time one frame with")
    chosen = parser.parse_args()
    one_frame(chosen.rooms)
    many_frames(chosen.frames)
