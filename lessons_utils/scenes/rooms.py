"""Furnished rooms, rendered: pictures with exact depth, without a download.

A room is made from a seed alone, and so is the frame taken in it: one frame a room, so that no
room of a test is ever seen in training. `frames` gives many of them as tensors and keeps them in
the cache; `sample_frame` gives one with all that is known about it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lessons_utils.scenes import cache, furniture, raycaster, textures
from lessons_utils.scenes.furniture import Piece, pick, shade
from lessons_utils.scenes.raycaster import Camera, Frame, Material, Scene

Generator = np.random.Generator

VERSION = 1
"""Raised whenever the same seed gives another picture; it stands in the cache's name."""

SPLITS = ("train", "validation", "test")
SPLIT_SIZE = 1_000_000
"""Seeds that belong to each split."""

SHARD = 250
"""Frames in one file of the cache; a kill loses no more."""

FEW = 200
"""Up to so many frames are rendered without other processes, more by one process for each so many
or part of it: so many take one core 5 s, and a process 3 s to start. The four that render at most
have 2000 frames in a quarter of a minute: that is enough."""

DEPTH_STEP = 0.00025
"""Metres per unit of the 16-bit depth in the cache: up to 16.3 m, to 0.13 mm."""

BASELINE = 0.075
"""Metres from the sensor's camera to its projector."""

RANGE = (0.5, 9.5)
"""Metres that the sensor measures from and to."""

FIELD_OF_VIEW = 63.3
"""Degrees from left to right, as NYU Depth v2's sensor: 518.9 pixels at 640 columns."""

HIGH = 1.25
"""Furniture higher than this, in metres, hides what hangs on the wall behind it."""

NOISE = 0.012
"""Standard deviation of the picture's noise, sRGB in [0, 1]."""

WALLS: tuple[furniture.Colour, ...] = (
    (0.93, 0.92, 0.89),
    (0.93, 0.92, 0.89),
    (0.90, 0.86, 0.76),
    (0.86, 0.78, 0.64),
    (0.70, 0.78, 0.82),
    (0.72, 0.79, 0.68),
    (0.80, 0.72, 0.70),
    (0.76, 0.76, 0.77),
    (0.88, 0.80, 0.55),
    (0.55, 0.66, 0.72),
    (0.78, 0.56, 0.46),
    (0.45, 0.52, 0.46),
)

CARPETS: tuple[furniture.Colour, ...] = (
    (0.62, 0.58, 0.52),
    (0.72, 0.66, 0.56),
    (0.45, 0.45, 0.48),
    (0.38, 0.44, 0.54),
    (0.52, 0.32, 0.28),
    (0.44, 0.50, 0.40),
    (0.60, 0.50, 0.38),
)

ROOMS = {
    "bedroom": "bed night_table cupboard drawers shelf chair floor_lamp plant desk armchair",
    "living room": "sofa coffee_table television shelf floor_lamp armchair plant cupboard table "
    "chair",
    "office": "desk office_chair shelf desk office_chair cupboard plant drawers shelf table",
    "dining room": "table chair chair chair cupboard drawers chair floor_lamp shelf",
    "kitchen": "counter fridge table chair chair stool cupboard counter waste_bin",
    "study": "shelf shelf desk office_chair armchair floor_lamp shelf drawers coffee_table",
}
"""What stands in each kind of room, the most telling first; small rooms lack the last."""

EXTRAS = (
    *("waste_bin", "ball", "crates", "floor_clutter", "floor_clutter", "stool", "plant"),
    "chair",
)
"""What may stand in any room besides."""

FLOORS = (
    *("boards0", "boards1", "boards2", "boards3", "parquet", "parquet"),
    *("tiles0", "tiles1", "tiles2", "chess", "carpet", "carpet", "carpet", "gravel"),
)
"""Textures of floors; the common ones stand more than once."""


@dataclass
class Room:
    """A scene between four walls: x in [0, width], z in [0, length], y in [-height, 0].

    Attributes:
        kind: what the room is used for.
        scene: all that is in it.
        width: metres.
        length: metres.
        height: metres.
        taken: the floor in use: (x, z, half width, half length) of each piece.
        hung: the walls in use: (wall, middle, half width) of each door, window, picture and
            high piece of furniture.
    """

    kind: str
    scene: Scene
    width: float
    length: float
    height: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    hung: list[tuple[int, float, float]] = field(default_factory=list)

    def is_free(self, x: float, z: float, half_x: float, half_z: float, gap: float = 0.03) -> bool:
        """Return True where a rectangle lies inside the walls and on free floor."""
        inside = half_x <= x <= self.width - half_x and half_z <= z <= self.length - half_z
        return inside and all(
            abs(x - other_x) >= half_x + other_half_x + gap
            or abs(z - other_z) >= half_z + other_half_z + gap
            for other_x, other_z, other_half_x, other_half_z in self.taken
        )

    def is_bare(self, wall: int, along: float, half: float) -> bool:
        """Return True where nothing hangs or stands high on this part of a wall."""
        return all(
            wall != number or abs(along - middle) >= half + width
            for number, middle, width in self.hung
        )

    def at_wall(self, wall: int, along: float, out: float) -> tuple[float, float, float]:
        """Return x, z, yaw of a place `out` metres off a wall (0 far, 1 right, 2 near, 3 left)."""
        return (
            (along, self.length - out, math.pi),
            (self.width - out, along, -math.pi / 2),
            (along, out, 0.0),
            (out, along, math.pi / 2),
        )[wall]

    def wall_length(self, wall: int) -> float:
        """Return the length of a wall in metres."""
        return self.length if wall % 2 else self.width


# Building ----------------------------------------------------------------------------------------


def make_room(rng: Generator) -> Room:
    """Build and furnish a room."""
    kind = pick(rng, list(ROOMS))
    scene = Scene(textures.indoor())
    scale = rng.uniform(0.75, 1.1)  # small rooms and large ones
    size = scale * rng.uniform(2.8, 5.8), scale * rng.uniform(3.2, 7.6), rng.uniform(2.35, 2.95)
    room = Room(kind, scene, *size)
    _add_shell(room, rng)
    day = rng.random() < 0.7
    _add_wall_openings(room, rng, day)
    for name in ROOMS[kind].split():
        if rng.random() < 0.85:
            _furnish(room, rng, furniture.PIECES[name](rng))
    for _ in range(rng.integers(2, 6)):
        _furnish(room, rng, furniture.PIECES[pick(rng, EXTRAS)](rng))
    _add_pictures(room, rng)
    _add_light(room, rng)
    return room


def _floor(rng: Generator) -> Material:
    texture = pick(rng, FLOORS)
    colour = pick(rng, CARPETS) if texture == "carpet" else (0.95, 0.95, 0.95)
    return Material(texture, shade(rng, colour, 0.15), rng.uniform(1.0, 2.0))


def _wall(rng: Generator, kitchen: bool) -> Material:
    kind = rng.random()
    colour = shade(rng, pick(rng, WALLS), 0.06)
    if kind < 0.64:
        return Material(f"plaster{rng.integers(3)}", colour, rng.uniform(1.5, 2.5))
    if kitchen:
        return Material("tiles0", colour, rng.uniform(0.6, 1.0))
    if kind < 0.86:
        paper = pick(rng, ("paper_stripes", "paper_dots", "paper_diamonds", "paper_flowers"))
        return Material(paper, colour, rng.uniform(0.7, 1.3))
    if kind < 0.94:
        return Material("brick", shade(rng, (1, 1, 1)), rng.uniform(1.2, 1.8))
    return Material(f"boards{rng.integers(4)}", shade(rng, (1, 1, 1)), rng.uniform(0.8, 1.4))


def _add_shell(room: Room, rng: Generator) -> None:
    """Add floor, ceiling, walls, skirting boards, and in some rooms beams or a chimney breast."""
    scene = room.scene
    scene.plane(
        (0, 0, 0), (0, -1, 0), _floor(rng), scene.thing("floor"), pick(rng, (0, math.pi / 2))
    )
    white = Material("plaster1", shade(rng, (0.97, 0.97, 0.96), 0.04), 2.0)
    scene.plane((0, -room.height, 0), (0, 1, 0), white, scene.thing("ceiling"))
    wall = _wall(rng, room.kind == "kitchen")
    other = _wall(rng, False) if rng.random() < 0.35 else wall
    for number in range(4):
        x, z, yaw = room.at_wall(number, 0.0, 0.0)
        normal = (round(math.sin(yaw)), 0, round(math.cos(yaw)))
        scene.plane((x, 0, z), normal, other if number == 0 else wall, scene.thing("wall"))
    _add_skirting(room, rng)
    if rng.random() < 0.25:
        _add_pillar(room, rng, wall)
    if rng.random() < 0.12:
        _add_beams(room, rng)


def _add_skirting(room: Room, rng: Generator) -> None:
    height = rng.uniform(0.06, 0.13)
    made = Material("plain", shade(rng, pick(rng, ((0.95, 0.95, 0.93), (0.55, 0.4, 0.28)))))
    for wall in range(4):
        length = room.wall_length(wall)
        piece = Piece("skirting board")
        piece.box(0, 0, 0, (length, height, 0.03), made, shadow=False)
        piece.place(room.scene, *room.at_wall(wall, length / 2, 0.0))


def _add_pillar(room: Room, rng: Generator, made: Material) -> None:
    """Add a chimney breast or the corner of the next room, as high as the room."""
    size = rng.uniform(0.5, 1.5), rng.uniform(0.3, 1.0)
    piece = Piece("wall")
    piece.box(0, 0, 0, (size[0], room.height, size[1]), made)
    _against_wall(room, rng, piece, size[0], size[1])


def _add_beams(room: Room, rng: Generator) -> None:
    made = Material("wood2", shade(rng, (0.9, 0.9, 0.9)), 0.8)
    for z in np.arange(0.6, room.length, rng.uniform(0.8, 1.3)):
        piece = Piece("beam")
        piece.box(0, room.height - 0.16, 0, (room.width, 0.16, 0.13), made, shadow=False)
        piece.place(room.scene, room.width / 2, z, 0.0)


def _against_wall(
    room: Room, rng: Generator, piece: Piece, width: float, depth: float, tries: int = 14
) -> None:
    """Place a piece with its back to a wall, where the floor is free."""
    for _ in range(tries):
        wall = int(rng.integers(4))
        length = room.wall_length(wall)
        if width > length:
            continue
        along = rng.uniform(width / 2, length - width / 2)
        if rng.random() < 0.3:  # into a corner
            along = pick(rng, (width / 2, length - width / 2))
        high = piece.top > HIGH
        if high and not room.is_bare(wall, along, width / 2):
            continue
        x, z, yaw = room.at_wall(wall, along, depth / 2 + 0.01)
        half = (width / 2, depth / 2) if wall % 2 == 0 else (depth / 2, width / 2)
        if room.is_free(x, z, *half, gap=0.0):
            piece.place(room.scene, x, z, yaw)
            room.taken.append((x, z, *half))
            if high:
                room.hung.append((wall, along, width / 2))
            return


def _furnish(room: Room, rng: Generator, piece: Piece) -> None:
    """Place a piece, or leave it out where the room has no place for it."""
    if piece.wall and rng.random() < 0.96:
        _against_wall(room, rng, piece, piece.width, piece.depth)
        return
    for _ in range(14):
        yaw = rng.uniform(-math.pi, math.pi)
        if rng.random() < 0.6:
            yaw = round(yaw / (math.pi / 2)) * math.pi / 2 + rng.normal(0, 0.06)
        cos, sin = abs(math.cos(yaw)), abs(math.sin(yaw))
        half = (
            (cos * piece.width + sin * piece.depth) / 2,
            (sin * piece.width + cos * piece.depth) / 2,
        )
        x, z = rng.uniform(0.1, room.width - 0.1), rng.uniform(0.1, room.length - 0.1)
        if room.is_free(x, z, *half):
            piece.place(room.scene, x, z, yaw)
            room.taken.append((x, z, *half))
            return


def _add_wall_openings(room: Room, rng: Generator, day: bool) -> None:
    """Add a door or two with free floor before them, windows, radiators and rugs."""
    for _ in range(rng.integers(1, 3)):
        _on_wall(room, rng, furniture.door(rng), floor=0.7)
    for _ in range(rng.integers(1, 4)):
        _on_wall(room, rng, furniture.window(rng, day), floor=0.0)
    if rng.random() < 0.3:
        _on_wall(room, rng, furniture.radiator(rng), floor=0.12)
    if rng.random() < 0.55:
        piece = furniture.rug(rng)
        x, z = room.width * rng.uniform(0.35, 0.65), room.length * rng.uniform(0.3, 0.7)
        piece.place(room.scene, x, z, rng.normal(0, 0.15))


def _on_wall(room: Room, rng: Generator, piece: Piece, floor: float) -> None:
    """Hang a piece on a wall, no two at one place; `floor` metres before it are kept free."""
    for _ in range(8):
        wall = int(rng.integers(4))
        length, half = room.wall_length(wall), piece.width / 2 + 0.08
        if length < 2 * half:
            continue
        along = rng.uniform(half, length - half)
        if not room.is_bare(wall, along, half):
            continue
        x, z, _ = room.at_wall(wall, along, floor / 2)
        across = (half, floor / 2) if wall % 2 == 0 else (floor / 2, half)
        if floor and not room.is_free(x, z, *across, gap=0.0):
            continue
        if floor:
            room.taken.append((x, z, *across))
        room.hung.append((wall, along, half))
        piece.place(room.scene, *room.at_wall(wall, along, piece.depth / 2 - 0.05 + 0.01))
        return


def _add_pictures(room: Room, rng: Generator) -> None:
    for _ in range(rng.integers(2, 8)):
        _on_wall(room, rng, furniture.picture(rng), floor=0.0)
    if rng.random() < 0.4:
        _on_wall(room, rng, furniture.wall_shelf(rng), floor=0.0)


def _add_light(room: Room, rng: Generator) -> None:
    """Add the ceiling lamp and the light from everywhere; keep the three strongest lamps."""
    scene = room.scene
    lit = sum(sum(light.colour) for light in scene.lights)
    on = lit < 2.0 or rng.random() < 0.45
    lamp = furniture.ceiling_lamp(rng, room.height, rng.uniform(1.2, 2.2) if on else 0.0)
    x, z = room.width * rng.uniform(0.4, 0.6), room.length * rng.uniform(0.35, 0.65)
    lamp.place(scene, x, z, 0.0)
    scene.lights.sort(key=lambda light: -sum(light.colour))
    del scene.lights[3:]
    tint = np.mean([light.colour for light in scene.lights], axis=0)
    tint = tint / tint.mean() * rng.uniform(0.20, 0.34)
    scene.ambient = tuple((0.5 * tint + 0.5 * tint.mean()).tolist())


# Taking pictures ---------------------------------------------------------------------------------


def random_camera(room: Room, rng: Generator, height: int = 120, width: int = 160) -> Camera:
    """Return a camera held at chest to eye height, on free floor, that looks into the room."""
    for _ in range(40):
        x, z = rng.uniform(0.3, room.width - 0.3), rng.uniform(0.3, room.length - 0.3)
        if room.is_free(x, z, 0.28, 0.28):
            break
    target = room.width * rng.uniform(0.25, 0.75), room.length * rng.uniform(0.25, 0.75)
    yaw = math.atan2(target[0] - x, target[1] - z) + rng.normal(0, 0.35)
    pitch, roll = math.radians(rng.normal(-13, 7)), math.radians(rng.normal(0, 1.5))
    pose = raycaster.pose((x, -rng.uniform(1.05, 1.7), z), yaw, pitch, roll)
    return Camera(raycaster.intrinsics(height, width, FIELD_OF_VIEW), pose, height, width)


def _is_worth_taking(depth: NDArray) -> bool:
    """Return True unless the camera stands right before something."""
    return bool(np.percentile(depth, 2) > 0.55 and depth.mean() > 1.3)


def sample_view(seed: int, height: int = 120, width: int = 160) -> tuple[Room, Camera]:
    """Return the room of a seed and the camera that `sample_frame` puts into it.

    Args:
        seed: makes the room and the view; 0 or more.
        height: rows of the frame.
        width: columns of the frame.

    Raises:
        ValueError: a seed below 0, or a frame without pixels.
    """
    room, camera, _, _ = _take_position(seed, height, width)
    return room, camera


def _take_position(
    seed: int, height: int, width: int
) -> tuple[Room, Camera, raycaster.Hits, Generator]:
    """Build rooms until a camera in one has a view; return it with the randomness left over."""
    if seed < 0:
        raise ValueError(f"A room's seed is 0 or more, not {seed}.")
    _check_size(height, width)
    rng = np.random.default_rng(seed)
    while True:
        room = make_room(rng)
        for _ in range(5):
            camera = random_camera(room, rng, height, width)
            hits = raycaster.cast(room.scene, camera)
            if _is_worth_taking(hits.depth):
                return room, camera, hits, rng


def sample_frame(seed: int, height: int = 120, width: int = 160) -> Frame:
    """Render one frame of the room of a seed: well exposed, with a little noise.

    Another frame size shows the same room from the same place, unless it happens that one of the
    sizes finds something in the way.

    Args:
        seed: makes the room and the view; 0 or more.
        height: rows of the frame.
        width: columns of the frame.

    Returns:
        The frame; its depth is exact and complete (`sensor_mask` says what a sensor would miss).

    Raises:
        ValueError: a seed below 0, or a frame without pixels.
    """
    room, _, hits, rng = _take_position(seed, height, width)
    radiance, _ = light = raycaster.shade(room.scene, hits)
    brightness = rng.uniform(0.40, 0.56)
    factor = raycaster.exposure(np.minimum(radiance, 2.0), brightness)
    frame = raycaster.picture(room.scene, hits, light, factor)
    noise = rng.standard_normal(frame.rgb.shape, np.float32) * np.float32(NOISE)
    return replace(frame, rgb=np.clip(frame.rgb + noise, 0, 1))


def sensor_mask(frame: Frame, seed: int) -> NDArray[np.bool_]:
    """Return where a structured-light sensor would have measured the depth of a frame.

    Such a sensor throws a pattern of dots from a projector `BASELINE` to the right of its camera.
    It misses what the projector cannot see past a nearer thing, what it sees at too flat an
    angle, most of what is too dark to give the pattern back, and what is out of its range.

    Args:
        frame: what the camera sees.
        seed: of the randomness in dark places.

    Returns:
        (H, W) bool, True where the depth is measured.
    """
    depth = frame.depth
    columns = np.arange(depth.shape[1], dtype=np.float32)
    from_projector = columns - frame.K[0, 0] * BASELINE / depth
    leftmost = np.minimum.accumulate(from_projector[:, ::-1], axis=1)[:, ::-1]
    in_shadow = from_projector > leftmost + 0.5
    height, width = depth.shape
    rays = raycaster.directions(Camera(frame.K, frame.camera_to_world, height, width))
    slope = -(rays * frame.normals).sum(2) / np.linalg.norm(rays, axis=2)
    rng = np.random.default_rng(seed)
    too_dark = (frame.rgb.mean(2) < 0.13) & (rng.random(depth.shape) < 0.7)
    in_range = (depth >= RANGE[0]) & (depth <= RANGE[1])
    return in_range & ~in_shadow & (slope > 0.12) & ~too_dark


# Many frames, kept in the cache ------------------------------------------------------------------


def seeds(split: str, count: int) -> range:
    """Return the seeds of a split's first rooms; no two splits share one.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        count: how many rooms, 1 to 1,000,000.

    Raises:
        ValueError: no such split, or a count out of bounds.
    """
    return cache.seeds(split, count, SPLITS, SPLIT_SIZE, "rooms")


def frames(
    split: str, count: int, height: int = 120, width: int = 160, progress: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first frames of a split, each of a room of its own.

    They come from the cache folder; what is missing there is rendered (about 40 frames a second
    and processor core) and kept. Asking for more later renders only the rest.

    More than `FEW` of them are rendered by several processes. A script then needs the guard
    `if __name__ == "__main__":`, as always with processes; without it, one core does all.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        count: how many frames, 1 to 1,000,000.
        height: rows of a frame.
        width: columns of a frame.
        progress: show a bar while frames are rendered.

    Returns:
        images (N, 3, H, W) uint8, RGB in 0..255; depth (N, 1, H, W) float32, exact z-depth in
        metres, to 0.13 mm, complete; valid (N, 1, H, W) bool, where a sensor would have
        measured it.

    Raises:
        ValueError: no such split, a count out of bounds, or a frame without pixels.
        OSError: the cache folder cannot be written to, or the disk is full.
    """
    _check_size(height, width)
    jobs = [(seed, height, width) for seed in seeds(split, count)]
    folder = f"rooms/{width}x{height}-v{VERSION}"
    arrays = ("images", "depth", "valid")
    store = cache.Store("rooms", "frame", folder, _render_one, arrays, ("valid",), SHARD, FEW)
    whole = store.get(split, jobs, progress)
    images, depth, valid = (torch.from_numpy(whole[name]) for name in arrays)
    return images, depth.to(torch.float32)[:, None] * DEPTH_STEP, valid[:, None]


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"A frame has at least one row and one column, not {height} x {width}.")


def _render_one(job: tuple[int, int, int]) -> dict[str, NDArray]:
    """Render (seed, height, width) as one row of a shard."""
    frame = sample_frame(*job)
    return {
        "images": np.rint(frame.rgb * 255).astype(np.uint8).transpose(2, 0, 1)[None],
        "depth": np.rint(frame.depth / DEPTH_STEP).astype(np.uint16)[None],
        "valid": sensor_mask(frame, job[0])[None],
    }
