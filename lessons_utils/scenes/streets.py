"""Driving through streets, rendered: pictures with exact depth, poses and flow, without a download.

A street and the drive through it are made from a seed alone. `sample_sequence` gives one drive
with all that is known about it; `sequences` gives many of them as tensors and keeps them in the
cache. World and camera are those of `raycaster`: x to the right, y down, z ahead, metres, the
ground at y = 0, pixel centres at whole numbers. Time is counted in frames.

What moves is rigid and turns about the vertical alone: cars that drive ahead at about the
camera's speed, that come towards it, that cross its way, and people who walk.

A frame of 96 x 320 takes 60 to 80 ms of processor time, the flow to another frame with its
occlusions 20 ms; `benchmarks/streets.py` measures it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lessons_utils.scenes import cache, raycaster, textures
from lessons_utils.scenes import street_models as models
from lessons_utils.scenes.furniture import Piece, pick, shade
from lessons_utils.scenes.raycaster import Camera, Dome, Hits, Material, Scene, Sun

Generator = np.random.Generator
Array = NDArray[np.float32]

VERSION = 1
"""Raised whenever the same seed gives another picture; it stands in the cache's name."""

SPLITS = ("train", "validation", "test")
SPLIT_SIZE = 1_000_000
"""Seeds that belong to each split."""

SHARD = 50
"""Sequences in one file of the cache; a kill loses no more."""

FEW = 20
"""Up to so many sequences are rendered without other processes; see `cache.Store`."""

MOST_MOVERS = 6
"""Things that move in one street, at most."""

NEAREST = 0.5
"""Metres to the nearest surface that the cache can keep; its unit of 1 / depth is 1 / 65535 of
1 / NEAREST, which moves no flow by more than a few thousandths of a pixel."""

FOCAL = 0.58
"""Focal length in widths of the frame, as KITTI's: 721.5 pixels at 1242 columns."""

HORIZON = 0.46
"""Where the principal point lies, in heights of the frame."""

LENGTH = 125.0
"""Metres of street before the camera's start."""

BEHIND = -14.0
"""Where the street begins, metres; there are things to its sides from here on."""

GAP = 6.5
"""Half width of a side street, metres."""


@dataclass(frozen=True)
class Course:
    """How something moves on the ground: along a circle, or straight ahead.

    Attributes:
        x: position at frame 0, metres.
        z: position at frame 0, metres.
        heading: direction at frame 0, radians, 0 along z, positive to the right.
        speed: metres a frame.
        spin: radians a frame by which the heading turns.
    """

    x: float
    z: float
    heading: float
    speed: float
    spin: float = 0.0

    def motion(self, time: float) -> NDArray[np.float64]:
        """Return the (4, 4) motion in the world from frame 0 to `time`."""
        return self._pose(time) @ np.linalg.inv(self._pose(0))

    def _pose(self, time: float) -> NDArray[np.float64]:
        turn, ahead = self.spin * time, self.speed * time
        middle = self.heading + turn / 2
        chord = ahead * (math.sin(turn / 2) / (turn / 2) if turn else 1.0)
        pose = np.eye(4)
        cos, sin = math.cos(self.heading + turn), math.sin(self.heading + turn)
        pose[0, 0], pose[0, 2], pose[2, 0], pose[2, 2] = cos, sin, -sin, cos
        pose[:3, 3] = self.x + chord * math.sin(middle), 0.0, self.z + chord * math.cos(middle)
        return pose


@dataclass(frozen=True)
class Drive:
    """How the camera moves: ahead with gentle turns, rocking a little.

    Attributes:
        x: metres to the right of the road's middle at frame 0.
        height: metres above the road.
        speed: metres a frame.
        swing: greatest heading off the street, radians.
        period: frames from one turn to the right to the next.
        phase: where in a period it starts, radians.
        rock: greatest pitch, radians.
        aside: heading of the camera off that of the car, radians.
    """

    x: float
    height: float
    speed: float
    swing: float
    period: float
    phase: float
    rock: float
    aside: float

    def pose(self, time: float) -> NDArray[np.float64]:
        """Return the (4, 4) `camera_to_world` at a frame."""
        rate = 2 * math.pi / self.period
        angle = rate * time + self.phase
        heading = self.swing * math.sin(angle)
        x = self.x + self.speed * self.swing / rate * (math.cos(self.phase) - math.cos(angle))
        rocking = 1.1 * time + 2 * self.phase
        pitch, roll = self.rock * math.sin(rocking), 0.5 * self.rock * math.cos(0.7 * rocking)
        eye = x, -self.height + 0.01 * math.sin(rocking), self.speed * time
        return raycaster.pose(eye, heading + self.aside, pitch, roll).astype(np.float64)


@dataclass
class Street:
    """A street, what moves in it, and the camera's drive.

    Attributes:
        scene: everything at frame 0.
        drive: the camera's motion.
        movers: number of a thing -> its motion.
        brightness: mean sRGB value of the first frame.
    """

    scene: Scene
    drive: Drive
    movers: dict[int, Course]
    brightness: float

    def at(self, time: float) -> Scene:
        """Return the scene at a frame."""
        return self.scene.moved({thing: way.motion(time) for thing, way in self.movers.items()})

    def camera(self, time: float, height: int, width: int) -> Camera:
        """Return the camera at a frame."""
        pose = self.drive.pose(time)
        return Camera(intrinsics(height, width), pose.astype(np.float32), height, width)


@dataclass(frozen=True)
class Flow:
    """Where the points seen in one frame of a sequence are in another one, exactly.

    Attributes:
        rigid: (2, H, W) float32, x and y in pixels, as if nothing moved but the camera.
        full: (2, H, W) float32, x and y in pixels, with everything that moves.
        occluded: (H, W) bool, True where the point is inside the other frame but something is
            before it there.
        outside: (H, W) bool, True where the point is outside the other frame.
    """

    rigid: Array
    full: Array
    occluded: NDArray[np.bool_]
    outside: NDArray[np.bool_]

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(H, W) bool: True where the other frame shows the point."""
        return ~(self.occluded | self.outside)


@dataclass(frozen=True)
class Sequence:
    """A drive: F frames of H x W pixels.

    Attributes:
        rgb: (F, H, W, 3) float32, sRGB in [0, 1], one exposure for all.
        depth: (F, H, W) float32, z-depth in metres, exact; infinite in the sky.
        K: (3, 3) float64 intrinsics in pixels.
        camera_to_world: (F, 4, 4) float64, proper rotations and positions in metres.
        movers: (F, H, W) int32, number of what moves and is seen here; 0 where nothing moves.
        motions: (M, F, 4, 4) float64, motion in the world of mover m + 1 from frame 0 to each.
        normals: (F, H, W, 3) float32, unit length, world axes; 0 in the sky.
        shiny: (F, H, W) bool, True where the surface reflects.
        instances: (F, H, W) int32, number of the thing that is seen; 0 in the sky.
        names: what the things are: `names[instances[t, v, u]]`.
        street: what was rendered; `flow` looks for occlusions in it.
    """

    rgb: Array
    depth: Array
    K: NDArray[np.float64]
    camera_to_world: NDArray[np.float64]
    movers: NDArray[np.int32]
    motions: NDArray[np.float64]
    normals: Array
    shiny: NDArray[np.bool_]
    instances: NDArray[np.int32]
    names: tuple[str, ...]
    street: Street = field(repr=False)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.rgb)

    @property
    def moving(self) -> NDArray[np.bool_]:
        """(F, H, W) bool: True where what is seen moves by itself."""
        return self.movers > 0

    def pose(self, target: int, source: int) -> NDArray[np.float64]:
        """Return T, (4, 4): takes points in the target frame's camera to the source frame's."""
        return np.linalg.inv(self.camera_to_world[source]) @ self.camera_to_world[target]

    def flow(self, target: int, source: int) -> Flow:
        """Return where the points of one frame are in another, either way in time."""
        height, width = self.depth.shape[1:]
        points, sky = _points(self, target)
        to_source = np.linalg.inv(self.camera_to_world[source])
        motions = np.concatenate([np.eye(4)[None], _steps(self.motions, target, source)])
        step = motions[self.movers[target]]
        moved = np.einsum("hwij,hwj->hwi", step[..., :3, :3], points) + step[..., :3, 3]
        moved = np.where(sky[..., None], points, moved)
        rigid, _ = _project(self.K, to_source, points, sky)
        full, before = _project(self.K, to_source, moved, sky)
        x, y = full
        inside = before & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        normals = np.einsum("hwij,hwj->hwi", step[..., :3, :3], self.normals[target])
        eye = self.camera_to_world[source, :3, 3]
        lifted = np.where(sky[..., None], eye + FAR * points, moved + raycaster.LIFT * normals)
        hidden = raycaster.hidden(self.street.at(source), eye, lifted)
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)))
        return Flow(
            rigid=(rigid - grid).astype(np.float32),
            full=(full - grid).astype(np.float32),
            occluded=hidden & inside,
            outside=~inside,
        )


FAR = 2000.0
"""Metres at which something would have to be to hide the sky."""


def _steps(motions: NDArray, target: int, source: int) -> NDArray[np.float64]:
    """Motions from frame 0 on (M, F, 4, 4) -> those from one frame to another (M, 4, 4)."""
    return motions[:, source] @ np.linalg.inv(motions[:, target])


def _points(sequence: Sequence, time: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the seen points in the world, directions in the sky: (H, W, 3), and what is sky."""
    depth, pose = sequence.depth[time].astype(np.float64), sequence.camera_to_world[time]
    height, width = depth.shape
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([x, y, np.ones_like(x)], axis=2) @ np.linalg.inv(sequence.K).T @ pose[:3, :3].T
    sky = ~np.isfinite(depth)
    points = pose[:3, 3] + rays * np.where(sky, 1, depth)[..., None]
    return np.where(sky[..., None], rays, points), sky


def _project(
    K: NDArray, world_to_camera: NDArray, points: NDArray, sky: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return pixels (2, H, W) of points, or of directions in the sky, and what is in front."""
    shift = np.where(sky[..., None], 0, world_to_camera[:3, 3])
    x, y, z = np.moveaxis(points @ world_to_camera[:3, :3].T + shift, 2, 0)
    before = z > 1e-3
    z = np.where(before, z, 1e-3)
    return np.stack([K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]]), before


def intrinsics(height: int, width: int) -> NDArray[np.float32]:
    """Return K, (3, 3), of the camera in the car."""
    focal, middle = FOCAL * width, HORIZON * (height - 1)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, middle], [0, 0, 1]], np.float32)


# Building ----------------------------------------------------------------------------------------


@dataclass
class _Plan:
    """What is decided before anything is built.

    Attributes:
        half: half width of the road, metres.
        walks: widths of the pavements on the left and on the right, metres.
        crossing: where a side street crosses, metres ahead; None without one.
        town: how much of the street is a row of houses, 0 to 1; the rest are houses in gardens.
    """

    half: float
    walks: tuple[float, float]
    crossing: float | None
    town: float

    def is_free(self, z: float, margin: float) -> bool:
        """Return True where no side street is."""
        return self.crossing is None or abs(z - self.crossing) > GAP + margin

    def edge(self, side: int) -> float:
        """Return how far from the road's middle the pavement of a side (-1, 1) ends."""
        return self.half + self.walks[side > 0]

    def stretches(self) -> list[tuple[float, float]]:
        """Return where pavements begin and end."""
        if self.crossing is None:
            return [(BEHIND - 10, LENGTH + 20)]
        return [(BEHIND - 10, self.crossing - GAP), (self.crossing + GAP, LENGTH + 20)]


def make_street(rng: Generator) -> Street:
    """Build a street and plan the drive through it."""
    scene = Scene(textures.outdoor())
    plan = _Plan(
        half=rng.uniform(5.3, 6.6),
        walks=(rng.uniform(2.0, 4.2), rng.uniform(2.0, 4.2)),
        crossing=rng.uniform(13, 34) if rng.random() < 0.6 else None,
        town=pick(rng, (1.0, 0.85, 0.5, 0.1, 0.0)),
    )
    _add_light(scene, rng)
    _add_ground(scene, rng, plan)
    _add_markings(scene, rng, plan)
    _add_puddles(scene, rng, plan)
    for side in (-1, 1):
        _add_houses(scene, rng, plan, side)
        _add_pavement_things(scene, rng, plan, side)
        _add_parked_cars(scene, rng, plan, side)
    _add_background(scene, rng)
    drive = Drive(
        x=rng.uniform(1.5, 2.0),
        height=rng.uniform(1.45, 1.75),
        speed=rng.uniform(0.5, 1.2),
        swing=math.radians(rng.uniform(0.5, 5.0)),
        period=rng.uniform(18, 36),
        phase=rng.uniform(0, 2 * math.pi),
        rock=math.radians(rng.uniform(0.1, 0.4)),
        aside=math.radians(rng.normal(0, 1.0)),
    )
    movers = _add_movers(scene, rng, plan, drive)
    return Street(scene, drive, movers, rng.uniform(0.40, 0.50))


def _add_light(scene: Scene, rng: Generator) -> None:
    """Add sky and sun: high or low, from any side; one day in four is overcast."""
    turn = rng.uniform(0, 2 * math.pi)
    if rng.random() < 0.25:
        gray = np.array((0.80, 0.84, 0.90))
        scene.dome = Dome(tuple(0.62 * gray), tuple(1.0 * gray), "clouds", 0.7, turn)
        scene.ambient = tuple(rng.uniform(0.8, 1.0) * gray)
        return
    rise, azimuth = math.radians(rng.uniform(22, 58)), rng.uniform(-math.pi, math.pi)
    warm = (math.degrees(rise) - 22) / 36
    flat = math.cos(rise)
    direction = flat * math.sin(azimuth), -math.sin(rise), flat * math.cos(azimuth)
    strength = rng.uniform(1.0, 1.5)
    colour = strength * np.array((1.0, 0.88 + 0.07 * warm, 0.70 + 0.18 * warm))
    scene.sun = Sun(direction, tuple(colour))
    blue = np.array((0.40, 0.50, 0.66)) * rng.uniform(0.8, 1.1)
    scene.ambient = tuple(blue)
    zenith = np.array((0.17, 0.34, 0.72)) * rng.uniform(0.8, 1.3)
    horizon = np.array((0.80, 0.86, 0.94)) * rng.uniform(0.9, 1.1)
    scene.dome = Dome(tuple(zenith), tuple(horizon), "clouds", rng.uniform(0.2, 1.0), turn)


def _flat(
    scene: Scene,
    x: float,
    z: float,
    size: tuple[float, float],
    top: float,
    made: Material,
    thing: int,
) -> None:
    """Lay a slab with its top so many metres above the road."""
    depth = 0.4
    scene.box((x, depth / 2 - top, z), (size[0], depth, size[1]), 0.0, made, thing, shadow=False)


def _add_ground(scene: Scene, rng: Generator, plan: _Plan) -> None:
    """Add the road, patches in it, pavements with kerbs, and gardens or squares beyond."""
    tone = rng.uniform(0.42, 0.62)
    asphalt = Material(f"asphalt{rng.integers(3)}", shade(rng, (tone,) * 3, 0.06), 7.0)
    road = scene.thing("road")
    scene.plane((0, 0, 0), (0, -1, 0), asphalt, road)
    for _ in range(rng.integers(6, 16)):
        x, z = rng.uniform(-plan.half, plan.half), rng.uniform(BEHIND, 70)
        size = rng.uniform(0.5, 2.6), rng.uniform(0.8, 9.0)
        made = Material(f"asphalt{rng.integers(3)}", shade(rng, (tone,) * 3, 0.25), 5.0)
        _flat(scene, x, z, size, 0.004 + 0.001 * rng.random(), made, road)
    cover = Material("cover", shade(rng, (0.5, 0.48, 0.46)), 0.7, fit=True)
    for _ in range(rng.integers(3, 9)):
        x, z = rng.uniform(-plan.half, plan.half), rng.uniform(2, 50)
        _flat(scene, x, z, (0.7, 0.7), 0.006, cover, road)
    walk, ground = scene.thing("pavement"), scene.thing("ground")
    slabs = Material(f"slabs{rng.integers(2)}", shade(rng, (0.66, 0.63, 0.60)), rng.uniform(2, 4))
    kerb = Material("slabs0", shade(rng, (0.78, 0.77, 0.75)), 3.0)
    lawn = Material("lawn", shade(rng, (0.9, 0.9, 0.9), 0.2), 9.0)
    if plan.town > 0.6:
        lawn = Material("slabs1", shade(rng, (0.60, 0.58, 0.56)), 6.0)
    for begin, end in plan.stretches():
        long, z = end - begin, (begin + end) / 2
        for side in (-1, 1):
            wide = plan.walks[side > 0]
            _flat(scene, side * (plan.half + wide / 2), z, (wide, long), 0.13, slabs, walk)
            _flat(scene, side * (plan.half + 0.09), z, (0.18, long + 0.1), 0.135, kerb, walk)
            _flat(scene, side * (plan.edge(side) + 60), z, (120, long), 0.12, lawn, ground)


def _add_markings(scene: Scene, rng: Generator, plan: _Plan) -> None:
    """Paint the middle line, edge lines, stop lines, zebra crossings and arrows."""
    thing = scene.thing("marking")
    white = Material("marking", shade(rng, (0.95, 0.95, 0.92), 0.05), 1.5)
    middle = Material("marking", (0.95, 0.78, 0.25), 1.5) if rng.random() < 0.15 else white
    high = 0.007
    dash, gap = pick(rng, ((3.0, 6.0), (3.0, 3.0), (1.5, 1.5), (4.0, 8.0)))
    solid = rng.random() < 0.2
    for begin, end in plan.stretches():
        if solid:
            long = end - begin - 4
            for x in (-0.12, 0.12):
                _flat(scene, x, (begin + end) / 2, (0.12, long), high, middle, thing)
        else:
            for z in np.arange(begin + rng.uniform(1, dash + gap), min(end, 90) - dash, dash + gap):
                _flat(scene, 0, z, (0.14, dash), high, middle, thing)
        if rng.random() < 0.6:
            for x in (-1, 1):
                off = x * (plan.half - rng.choice((0.35, 2.15)))
                _flat(scene, off, (begin + end) / 2, (0.12, end - begin), high, white, thing)
    zebras = []
    if plan.crossing is not None:
        for side in (-1, 1):
            z = plan.crossing + side * (GAP + 2.2)
            if rng.random() < 0.7:
                zebras.append(z)
            stop = z + side * 2.4
            _flat(scene, -side * plan.half / 2, stop, (plan.half - 0.6, 0.4), high, white, thing)
    elif rng.random() < 0.4:
        zebras.append(rng.uniform(8, 30))
    for z in zebras:
        for x in np.arange(-plan.half + 0.5, plan.half - 0.3, 1.0):
            _flat(scene, x, z, (0.5, 2.8), high + 0.001, white, thing)


def _add_puddles(scene: Scene, rng: Generator, plan: _Plan) -> None:
    """Add wet patches that mirror: one to four, most often."""
    thing = scene.thing("puddle")
    for _ in range(rng.integers(1, 5) if rng.random() < 0.7 else 0):
        x, z = rng.uniform(-plan.half + 0.8, plan.half - 0.8), rng.uniform(5, 28)
        tone = rng.uniform(0.22, 0.34)
        wet = Material("asphalt0", (tone,) * 3, 7.0, gloss=1.0, mirror=True)
        radius = rng.uniform(0.5, 1.1)
        for k in range(rng.integers(2, 5)):
            high = 0.4
            at = x + rng.normal(0, 0.4) * radius, high / 2 - 0.009, z + k * radius * 0.9
            scene.cylinder(at, radius * rng.uniform(0.6, 1.1), high, wet, thing, shadow=False)


def _facing(side: int) -> float:
    """Return the yaw of a piece that looks at the road from a side (-1, 1)."""
    return -side * math.pi / 2


def _add_houses(scene: Scene, rng: Generator, plan: _Plan, side: int) -> None:
    """Line one side of the street with rows of houses, or with houses in gardens."""
    z = BEHIND + rng.uniform(-6, 2)
    storeys = int(rng.integers(2, 6))
    while z < LENGTH:
        in_town = rng.random() < plan.town
        width = models.STOREY * int(rng.integers(3, 7)) if in_town else rng.uniform(7.5, 11)
        middle, half = z + width / 2, width / 2
        if not plan.is_free(middle, half):
            z += 1.0
            continue
        edge = plan.edge(side)
        if in_town:
            high = max(2, storeys + int(rng.integers(-1, 2)))
            house = models.town_house(rng, width, high)
            house.place(scene, side * (edge + rng.uniform(0.0, 0.3)), middle, _facing(side))
            z += width + (rng.uniform(2, 6) if rng.random() < 0.12 else rng.uniform(0.0, 0.1))
            continue
        garden = rng.uniform(3.0, 7.0)
        house = models.cottage(rng, width)
        house.place(scene, side * (edge + garden), middle, _facing(side))
        if rng.random() < 0.8:
            fence = models.hedge(rng, width - 1.5)
            fence.place(scene, side * (edge + 0.5), middle - 0.7, _facing(side))
        for _ in range(rng.integers(0, 3)):
            x, along = edge + rng.uniform(1.6, garden), middle + rng.uniform(-half, half + 4)
            if plan.is_free(along, 2):
                models.tree(rng, along < 45).place(scene, side * x, along, rng.uniform(0, 6))
        z += width + rng.uniform(4.5, 8)


def _add_pavement_things(scene: Scene, rng: Generator, plan: _Plan, side: int) -> None:
    """Stand trees, lamps, signs, traffic lights, bins, benches and people on a pavement."""
    if plan.crossing is not None and rng.random() < 0.7:
        z = plan.crossing - GAP - 1.0
        light = models.traffic_light(rng)
        light.place(scene, side * (plan.half + 0.5), z, 0.0)
    with_trees, z = rng.random() < 0.6, BEHIND + rng.uniform(0, 8)
    spacing, count = rng.uniform(7, 13), 0
    while z < LENGTH - 20:
        if plan.is_free(z, 1.5):
            near = z < 45
            if count % 3 == 1:
                piece, yaw = models.lamp_post(rng), _facing(side)
            elif with_trees:
                piece, yaw = models.tree(rng, near), rng.uniform(0, 6)
            elif rng.random() < 0.3:
                piece, yaw = models.sign(rng), 0.0
            else:
                piece, yaw = models.street_thing(rng), _facing(side)
            piece.place(scene, side * (plan.half + rng.uniform(0.5, 0.8)), z, yaw)
        count += 1
        z += spacing * rng.uniform(0.5, 1.2)
    for _ in range(rng.integers(1, 6)):
        z = rng.uniform(3, 45)
        if plan.is_free(z, 1):
            piece = pick(rng, (models.street_thing, models.person, models.sign))
            x = plan.half + rng.uniform(1.0, plan.walks[side > 0] - 0.6)
            piece(rng).place(scene, side * x, z, pick(rng, (0.0, math.pi)))


def _add_parked_cars(scene: Scene, rng: Generator, plan: _Plan, side: int) -> None:
    """Park cars along a kerb, with gaps, most of them in the direction of the traffic."""
    z, full = BEHIND + rng.uniform(0, 6), pick(rng, (0.0, 0.35, 0.6, 0.85))
    while z < LENGTH - 30:
        if rng.random() < full and plan.is_free(z, 5):
            piece = models.car(rng, z < 45)
            yaw = (0.0 if side > 0 else math.pi) + rng.normal(0, 0.02)
            x = side * (plan.half - piece.width / 2 - rng.uniform(0.1, 0.3))
            piece.place(scene, x, z, yaw)
        z += rng.uniform(5.4, 8)


def _add_background(scene: Scene, rng: Generator) -> None:
    """Close the view: woods and houses beyond the gardens and at the end of the street."""
    thing = scene.thing("background")
    for side in (-1, 1):
        for z in np.arange(-20, LENGTH + 30, 38):
            high, green = rng.uniform(5, 10), models.leaves(rng)
            green = Material(green.texture, green.tint, 9.0)
            x, lean = side * rng.uniform(38, 52), (2.5, 3.0, 3.0)
            scene.hip((x, -high / 2, z), (12, high, 39), 0.0, lean, green, thing, shadow=False)
    x = -48.0
    while x < 48:
        wide = rng.uniform(10, 22)
        middle, z = x + wide / 2, LENGTH + rng.uniform(14, 24)
        if rng.random() < 0.6:
            house = models.town_house(rng, wide, int(rng.integers(2, 6)))
            house.place(scene, middle, z, math.pi)
        else:
            high, green = rng.uniform(7, 13), models.leaves(rng)
            green = Material(green.texture, green.tint, 8.0)
            scene.hip(
                (middle, -high / 2, z), (wide, high, 12), 0.0, (3, 3, 3), green, thing, shadow=False
            )
        x += wide


def _add_movers(scene: Scene, rng: Generator, plan: _Plan, drive: Drive) -> dict[int, Course]:
    """Add what moves: cars ahead, oncoming and crossing, and people; one car at least."""
    movers = {}

    def let_go(piece: Piece, course: Course) -> None:
        movers[piece.place(scene, course.x, course.z, course.heading)] = course

    kinds = rng.random(4) < (0.65, 0.75, 0.7, 0.5)
    if not kinds[:2].any():
        kinds[int(rng.integers(2))] = True
    if kinds[0]:  # ahead, in the camera's lane, about as fast
        speed, spin = drive.speed * rng.uniform(0.85, 1.25), math.radians(rng.normal(0, 0.25))
        z = rng.uniform(8, 20)
        let_go(models.vehicle(rng), Course(rng.uniform(1.5, 2.0), z, 0.0, speed, spin))
    if kinds[1]:  # oncoming, one or two
        z = rng.uniform(9, 30)
        for _ in range(rng.integers(1, 3)):
            course = Course(-rng.uniform(1.6, 2.1), z, math.pi, rng.uniform(0.5, 1.1))
            let_go(models.vehicle(rng), course)
            z += rng.uniform(12, 25)
    if kinds[2] and plan.crossing is not None:
        side = pick(rng, (-1, 1))
        course = Course(
            x=-side * rng.uniform(2.5, 12),
            z=plan.crossing - side * rng.uniform(1.6, 2.4),
            heading=side * math.pi / 2,
            speed=rng.uniform(0.3, 0.8),
            spin=0.0,
        )
        let_go(models.vehicle(rng), course)
    if kinds[3]:
        for _ in range(rng.integers(1, 3)):
            side, back = pick(rng, (-1, 1)), rng.random() < 0.5
            x = side * (plan.half + rng.uniform(0.9, 1.7))
            course = Course(x, rng.uniform(8, 24), math.pi * back, rng.uniform(0.08, 0.14))
            let_go(models.person(rng), course)
    return movers


# Taking pictures ---------------------------------------------------------------------------------


def sample_street(seed: int) -> Street:
    """Return the street of a seed, with its drive and all that moves.

    Raises:
        ValueError: a seed below 0.
    """
    if seed < 0:
        raise ValueError(f"A street's seed is 0 or more, not {seed}.")
    return make_street(np.random.default_rng(seed))


def sample_sequence(seed: int, frames: int = 3, height: int = 96, width: int = 320) -> Sequence:
    """Render the drive of a seed.

    More frames begin with the same ones; another size shows the same drive.

    Args:
        seed: makes the street and the drive; 0 or more.
        frames: how many, 1 or more.
        height: rows of a frame.
        width: columns of a frame.

    Returns:
        The sequence; its `flow` gives the flow from any frame to any other.

    Raises:
        ValueError: a seed below 0, or no frames, or frames without pixels.
    """
    _check(frames, height, width)
    street = sample_street(seed)
    views = []
    factor = None
    for time in range(frames):
        scene, camera = street.at(time), street.camera(time, height, width)
        hits = raycaster.cast(scene, camera)
        radiance, normals = raycaster.shade(scene, hits)
        if factor is None:
            factor = raycaster.exposure(np.minimum(radiance, 1.5), street.brightness)
        radiance = raycaster.smooth_edges(scene, hits, radiance, factor)
        frame = raycaster.picture(scene, hits, (radiance, normals), factor)
        views.append((frame, _shiny(scene, hits)))
    pictures, shiny = zip(*views, strict=True)
    instances = np.stack([frame.instances for frame in pictures])
    numbers = np.zeros(len(street.scene.names), np.int32)
    numbers[list(street.movers)] = np.arange(len(street.movers)) + 1
    courses = street.movers.values()
    return Sequence(
        rgb=np.stack([frame.rgb for frame in pictures]),
        depth=np.stack([frame.depth for frame in pictures]),
        K=intrinsics(height, width).astype(np.float64),
        camera_to_world=np.stack([street.drive.pose(time) for time in range(frames)]),
        movers=numbers[instances],
        motions=np.stack([[course.motion(t) for t in range(frames)] for course in courses]),
        normals=np.stack([frame.normals for frame in pictures]),
        shiny=np.stack(shiny),
        instances=instances,
        names=pictures[0].names,
        street=street,
    )


def _shiny(scene: Scene, hits: Hits) -> NDArray[np.bool_]:
    gloss = np.append(scene.shapes.gloss, 0)
    return hits.tiling.join(gloss[hits.shape]) > 0


# Many sequences, kept in the cache ---------------------------------------------------------------


@dataclass(frozen=True)
class Sequences:
    """N drives of F frames as tensors; an index or a slice gives some of them.

    Attributes:
        images: (N, F, 3, H, W) uint8, RGB in 0..255.
        depth: (N, F, 1, H, W) float32, z-depth in metres, to 0.1 % at 130 m; infinite in the sky.
        movers: (N, F, H, W) uint8, number of what moves and is seen here; 0 where nothing moves.
        shiny: (N, F, H, W) bool, True where the surface reflects.
        hidden: (N, 2, F - 1, H, W) bool, True where frame t's point has something before it in
            frame t + 1 (first), and where frame t + 1's point has in frame t (second).
        K: (N, 3, 3) float64 intrinsics in pixels.
        camera_to_world: (N, F, 4, 4) float64, proper rotations and positions in metres.
        motions: (N, MOST_MOVERS + 1, F, 4, 4) float64, motion in the world of each mover from
            frame 0 to each frame; the first is what does not move.
    """

    images: Tensor
    depth: Tensor
    movers: Tensor
    shiny: Tensor
    hidden: Tensor
    K: Tensor
    camera_to_world: Tensor
    motions: Tensor

    def __len__(self) -> int:
        """Return N."""
        return len(self.images)

    def __getitem__(self, chosen: int | slice | Tensor) -> Sequences:
        """Return some of the drives: those of a slice, of numbers (n,), or of a mask (N,)."""
        if isinstance(chosen, int):
            chosen = [chosen]
        return Sequences(*(getattr(self, part.name)[chosen] for part in fields(self)))

    def moving(self, time: int) -> Tensor:
        """Return (N, 1, H, W) bool: True where what is seen moves by itself."""
        return (self.movers[:, time] > 0)[:, None]

    def pose(self, target: int, source: int) -> Tensor:
        """Return T (N, 4, 4) float32: points in the target's camera -> the source's."""
        poses = self.camera_to_world
        return (torch.linalg.inv(poses[:, source]) @ poses[:, target]).float()

    def rigid_flow(self, target: int, source: int) -> Tensor:
        """Return (N, 2, H, W) float32: x and y in pixels, as if nothing moved but the camera."""
        still = torch.eye(4, dtype=torch.float64).expand(len(self), *self.depth.shape[3:], 4, 4)
        return self._flow(target, source, still)

    def full_flow(self, target: int, source: int) -> Tensor:
        """Return (N, 2, H, W) float32: x and y in pixels, with everything that moves."""
        motions = self.motions[:, :, source] @ torch.linalg.inv(self.motions[:, :, target])
        chosen = torch.arange(len(self))[:, None, None], self.movers[:, target].long()
        return self._flow(target, source, motions[chosen])

    def outside(self, target: int, source: int) -> Tensor:
        """Return (N, 1, H, W) bool: True where the target's point is outside the source frame."""
        flow = self.full_flow(target, source)
        height, width = flow.shape[2:]
        x, y = flow[:, 0] + torch.arange(width), flow[:, 1] + torch.arange(height)[:, None]
        return ((x < 0) | (x > width - 1) | (y < 0) | (y > height - 1))[:, None]

    def occluded(self, target: int, source: int) -> Tensor:
        """Return (N, 1, H, W) bool: True where it is inside, but hidden; for neighbours only.

        Raises:
            ValueError: the frames are not next to each other.
        """
        if abs(target - source) != 1:
            raise ValueError(f"Occlusions are kept between neighbours, not {target} and {source}.")
        hidden = self.hidden[:, int(source < target), min(target, source)][:, None]
        return hidden & ~self.outside(target, source)

    def _flow(self, target: int, source: int, motions: Tensor) -> Tensor:
        """Project what the target sees into the source; `motions` (N, H, W, 4, 4) come before.

        In homogeneous coordinates (direction, 1 / depth), which need no depth in the sky. What is
        behind the source camera is sent far outside.
        """
        height, width = self.depth.shape[3:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.stack([x, y, torch.ones_like(x)], -1).double()
        rays = torch.einsum("nij,hwj->nhwi", torch.linalg.inv(self.K), pixels)
        inverse = 1 / self.depth[:, target, 0].double()[..., None]
        points = torch.cat([rays, inverse], -1)
        points = torch.einsum("nij,nhwj->nhwi", self.camera_to_world[:, target], points)
        points = torch.einsum("nhwij,nhwj->nhwi", motions, points)
        back = torch.linalg.inv(self.camera_to_world[:, source])
        seen = torch.einsum("nij,nhwj->nhwi", self.K @ back[:, :3], points)
        landed = seen[..., :2] / seen[..., 2:].clamp(min=1e-6)
        return (landed - pixels[..., :2]).permute(0, 3, 1, 2).float()


def seeds(split: str, count: int) -> range:
    """Return the seeds of a split's first streets; no two splits share one.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        count: how many streets, 1 to 1,000,000.

    Raises:
        ValueError: no such split, or a count out of bounds.
    """
    return cache.seeds(split, count, SPLITS, SPLIT_SIZE, "streets")


def sequences(
    split: str,
    count: int,
    frames: int = 3,
    height: int = 96,
    width: int = 320,
    progress: bool = True,
) -> Sequences:
    """Return the first drives of a split, each through a street of its own.

    They come from the cache folder; what is missing there is rendered and kept. Asking for more
    later renders only the rest. More than `FEW` are rendered by several processes: a script then
    needs the guard `if __name__ == "__main__":`.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        count: how many drives, 1 to 1,000,000; a thousand of three small frames take 0.6 GB.
        frames: of each drive, 2 or more.
        height: rows of a frame.
        width: columns of a frame.
        progress: show a bar while drives are rendered.

    Raises:
        ValueError: no such split, a count out of bounds, too few frames, or no pixels.
        OSError: the cache folder cannot be written to, or the disk is full.
    """
    whole = _kept(split, count, frames, height, width, progress, _ARRAYS)
    codes = torch.from_numpy(whole.pop("codes").astype(np.float32))
    parts = {name: torch.from_numpy(array) for name, array in whole.items()}
    return Sequences(depth=(65535 * NEAREST / codes)[:, :, None], **parts)


def images(
    split: str,
    count: int,
    frames: int = 3,
    height: int = 96,
    width: int = 320,
    progress: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return what a network that learns without labels may see of `sequences`.

    Returns:
        images (N, F, 3, H, W) uint8, RGB in 0..255; K (N, 3, 3) float64 intrinsics in pixels.

    Raises:
        ValueError: no such split, a count out of bounds, too few frames, or no pixels.
        OSError: the cache folder cannot be written to, or the disk is full.
    """
    whole = _kept(split, count, frames, height, width, progress, ("images", "K"))
    return torch.from_numpy(whole["images"]), torch.from_numpy(whole["K"])


_ARRAYS = ("images", "codes", "movers", "shiny", "hidden", "K", "camera_to_world", "motions")


def _kept(
    split: str,
    count: int,
    frames: int,
    height: int,
    width: int,
    progress: bool,
    names: tuple[str, ...],
) -> cache.Shard:
    if frames < 2:
        raise ValueError(f"Flow needs 2 frames or more, not {frames}.")
    _check(frames, height, width)
    jobs = [(seed, frames, height, width) for seed in seeds(split, count)]
    folder = f"streets/{frames}x{width}x{height}-v{VERSION}"
    bits = ("shiny", "hidden")
    store = cache.Store("streets", "drive", folder, _render_one, _ARRAYS, bits, SHARD, FEW)
    return store.get(split, jobs, progress, names)


def _check(frames: int, height: int, width: int) -> None:
    if min(frames, height, width) < 1:
        raise ValueError(f"Too few frames or pixels: {frames} frames of {height} x {width}.")


def _render_one(job: tuple[int, int, int, int]) -> cache.Shard:
    """Render (seed, frames, height, width) as one row of a shard."""
    drive = sample_sequence(*job)
    steps = range(len(drive) - 1)
    hidden = [
        [drive.flow(t, t + 1).occluded for t in steps],
        [drive.flow(t + 1, t).occluded for t in steps],
    ]
    motions = np.tile(np.eye(4), (MOST_MOVERS + 1, len(drive), 1, 1))
    motions[1 : 1 + len(drive.motions)] = drive.motions
    codes = np.rint(65535 * NEAREST / np.maximum(drive.depth, NEAREST))
    row = {
        "images": np.rint(drive.rgb * 255).astype(np.uint8).transpose(0, 3, 1, 2),
        "codes": codes.astype(np.uint16),
        "movers": drive.movers.astype(np.uint8),
        "shiny": drive.shiny,
        "hidden": np.array(hidden),
        "K": drive.K,
        "camera_to_world": drive.camera_to_world,
        "motions": motions,
    }
    return {name: array[None] for name, array in row.items()}
