"""The course's ray caster: simple solid shapes, lit by lamps or the sun, in NumPy alone.

World: right-handed, in metres, with the camera's own axes: x to the right, y **down**, z forward.
What lies above the origin has negative y. A turn by `yaw` turns z towards x. A camera looks along
its z axis, has x to the right and y down in the picture, pixel centres at whole numbers, and
stands in the world by `camera_to_world`, a proper rotation and a position; the identity looks
along the world's z. A ray's direction is scaled to z = 1 in the camera, so the ray's parameter at
a hit **is** the z-depth.

The frame is cut into tiles of 8 x 8 pixels. For each tile, NumPy looks at only those shapes whose
outline touches the tile, all tiles at once; shadows are found in the same way, from the lamp.
Shadows of the sun and reflections are rays that start on the surfaces; see `_meeting`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lessons_utils.scenes import textures

Array = NDArray[np.float32]

PLANE, BOX, CYLINDER, SPHERE, WHEEL, HIP = range(6)
TILE = 8
NEAR = 1e-4
"""A hit nearer than this, in ray parameters, is the surface that the ray starts on."""

DIM = 0.02
"""Tiles that a lamp lights less than this are searched for no shadows."""

LIFT = 2e-3
"""Shadow rays start this far above a surface, in metres."""

STEP = 0.12
"""sRGB difference between neighbours from which on `smooth_edges` looks closer."""

GLINT, SHARPNESS = 40.0, 512
"""How bright the sun's reflection is, in multiples of its light, and how small."""

_WITHIN = np.array([(-0.34, -0.21), (0.34, 0.21)], np.float32)  # rays beside a pixel's middle one
_TINY = np.float32(1e-20)  # added to directions, so that none is zero
_CHUNK = 500  # pairs of tile and shape looked at together: fits the processor's cache
_CLOSE = 0.02  # what is nearer to the camera, in metres, is behind it
_EDGES = np.array([(a, a | bit) for bit in (1, 2, 4) for a in range(8) if not a & bit]).T
_F = np.float32
_MISS = _F(1e30)  # added to ray parameters where nothing is hit: quicker than a choice
_FARTHEST = _F(1e15)  # ray parameters from here on are misses, too


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        K: (3, 3) intrinsics in pixels.
        camera_to_world: (4, 4) proper rotation and position in metres.
        height: rows of the frame.
        width: columns of the frame.
    """

    K: Array
    camera_to_world: Array
    height: int
    width: int


@dataclass(frozen=True)
class Frame:
    """What a camera sees.

    Attributes:
        rgb: (H, W, 3) float32, sRGB in [0, 1].
        depth: (H, W) float32, z-depth in metres, exact; infinite where nothing is hit.
        normals: (H, W, 3) float32, unit length, world axes, towards the camera; 0 where nothing is.
        instances: (H, W) int32, number of the thing that is seen; 0 where nothing is.
        names: what the things are: `names[instances[v, u]]`.
        K: (3, 3) float32 intrinsics in pixels.
        camera_to_world: (4, 4) float32, proper rotation and position in metres.
    """

    rgb: Array
    depth: Array
    normals: Array
    instances: NDArray[np.int32]
    names: tuple[str, ...]
    K: Array
    camera_to_world: Array

    @property
    def points(self) -> Array:
        """(H, W, 3) float32: the seen points in the world, in metres; NaN where nothing is."""
        height, width = self.depth.shape
        rays = directions(Camera(self.K, self.camera_to_world, height, width))
        depth = np.where(np.isfinite(self.depth), self.depth, np.nan)
        return self.camera_to_world[:3, 3] + rays * depth[..., None]


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        texture: its name in the scene's bank.
        tint: sRGB colour that the texture is multiplied by; may exceed 1 a little.
        repeat: metres per repeat of the texture.
        emission: light that the surface gives by itself, in multiples of its colour.
        fit: True stretches the texture once over each face of a box, instead of repeating it;
            upright on the sides, left and right as from inside the box.
        cells: the texture is so many equal cells each way (windows of a house); each face of a
            box shows whole cells only, from its lower left corner on; 0 is no such texture.
        faces: with `fit`, each quarter of the texture is for other faces of a box: upper left
            the two sides along z, upper right the front (+z), lower left the back, lower right
            top and bottom.
        gloss: how much the surface reflects sky and sun, 0 to 1: seen head-on a twentieth of
            this, at a flat angle all of it.
        mirror: it reflects things, too.
    """

    texture: str = "plain"
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    repeat: float = 1.0
    emission: float = 0.0
    fit: bool = False
    cells: int = 0
    faces: bool = False
    gloss: float = 0.0
    mirror: bool = False


@dataclass(frozen=True)
class Light:
    """A lamp, small enough to be a point.

    Attributes:
        position: in the world, metres.
        colour: linear RGB; 1 lights a surface fully at a metre or so.
        facing: direction that it shines in, for a window; None shines everywhere.
    """

    position: tuple[float, float, float]
    colour: tuple[float, float, float]
    facing: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Sun:
    """Parallel light from infinitely far, with shadows.

    Attributes:
        direction: towards the sun, unit length, world axes; y is negative by day.
        colour: linear RGB of the light on a surface that faces it.
    """

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Dome:
    """A sky that depends on the direction alone: infinitely far away.

    Attributes:
        zenith: linear RGB high up.
        horizon: linear RGB at eye level and below.
        clouds: name of a texture in the bank whose brightness is how dense they are.
        cover: strength of the clouds, 0 to 1.
        turn: angle by which the clouds are turned, radians.
    """

    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    clouds: str
    cover: float = 0.5
    turn: float = 0.0


@dataclass
class Scene:
    """Things in a world: shapes and the light on them.

    A plane is seen from the side that its normal points to; a room is six of them.

    Attributes:
        bank: the textures.
        ambient: linear RGB of the light that comes from everywhere.
        lights: the lamps.
        sky: linear RGB where a ray hits nothing, unless there is a `dome`.
        sun: parallel light, or None.
        dome: a sky with colours and clouds, or None.
        names: names of the things, by number; 0 is what is not there.
    """

    bank: textures.TextureBank
    ambient: tuple[float, float, float] = (0.3, 0.3, 0.3)
    lights: list[Light] = field(default_factory=list)
    sky: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sun: Sun | None = None
    dome: Dome | None = None
    names: list[str] = field(default_factory=lambda: ["nothing"])
    _shapes: list[tuple] = field(default_factory=list)
    _materials: list[Material] = field(default_factory=list)
    _arrays: _Shapes | None = None

    def thing(self, name: str) -> int:
        """Begin a new thing and return its number; shapes are added to it by that number."""
        self.names.append(name)
        return len(self.names) - 1

    def plane(
        self, point: ArrayLike, normal: ArrayLike, material: Material, thing: int, spin: float = 0
    ) -> None:
        """Add an endless plane; `spin` turns its texture, in radians."""
        normal = np.asarray(normal, float) / np.linalg.norm(normal)
        self._add(PLANE, point, normal, spin, material, thing, False)

    def box(
        self,
        centre: ArrayLike,
        size: ArrayLike,
        yaw: float,
        material: Material,
        thing: int,
        shadow: bool = True,
    ) -> None:
        """Add a box, `size` its full lengths along x, y, z before it is turned by `yaw`."""
        self._add(BOX, centre, np.asarray(size, float) / 2, yaw, material, thing, shadow)

    def cylinder(
        self,
        centre: ArrayLike,
        radius: float,
        height: float,
        material: Material,
        thing: int,
        shadow: bool = True,
    ) -> None:
        """Add an upright cylinder with its two lids."""
        half = (radius, height / 2, radius)
        self._add(CYLINDER, centre, half, 0.0, material, thing, shadow)

    def sphere(
        self,
        centre: ArrayLike,
        radius: float,
        material: Material,
        thing: int,
        shadow: bool = True,
    ) -> None:
        """Add a sphere."""
        self._add(SPHERE, centre, (radius,) * 3, 0.0, material, thing, shadow)

    def wheel(
        self,
        centre: ArrayLike,
        radius: float,
        width: float,
        yaw: float,
        material: Material,
        thing: int,
        shadow: bool = True,
    ) -> None:
        """Add a lying cylinder, its axle along x before it is turned by `yaw`."""
        self._add(WHEEL, centre, (width / 2, radius, radius), yaw, material, thing, shadow)

    def hip(
        self,
        centre: ArrayLike,
        size: ArrayLike,
        yaw: float,
        lean: tuple[float, float, float],
        material: Material,
        thing: int,
        shadow: bool = True,
    ) -> None:
        """Add a box whose sides lean inwards, like a hip roof or the cabin of a car.

        Args:
            centre: middle of the box that it would be without leaning.
            size: full lengths along x, y, z of that box, before it is turned by `yaw`.
            yaw: turn, radians.
            lean: metres by which the top is narrower than the foot at each of the two sides
                (x), at the front (+z), at the back (-z).
            material: its surface.
            thing: which thing it belongs to.
            shadow: whether it throws one.
        """
        half = np.asarray(size, float) / 2
        self._add(HIP, centre, half, yaw, material, thing, shadow, lean)

    def moved(self, motions: Mapping[int, NDArray]) -> Scene:
        """Return this scene with some of its things moved; the rest is shared.

        Args:
            motions: number of a thing -> (4, 4) motion in the world, turned about y alone.
        """
        rows = list(self._shapes)
        for index, (kind, x, y, z, a, b, c, yaw, thing, *rest) in enumerate(rows):
            if thing in motions:
                motion = motions[thing]
                centre = motion[:3, :3] @ (x, y, z) + motion[:3, 3]
                turn = yaw + math.atan2(motion[0, 2], motion[2, 2])
                rows[index] = (kind, *centre, a, b, c, turn, thing, *rest)
        return replace(self, _shapes=rows, _arrays=None)

    def _add(
        self,
        kind: int,
        centre: ArrayLike,
        half: ArrayLike,
        yaw: float,
        material: Material,
        thing: int,
        shadow: bool,
        lean: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        self._shapes.append((kind, *centre, *half, yaw, thing, shadow, *lean))
        self._materials.append(material)
        self._arrays = None

    @property
    def shapes(self) -> _Shapes:
        """The shapes as arrays, one row each.

        Raises:
            ValueError: the scene has none.
        """
        if not self._shapes:
            raise ValueError("The scene has no shapes; add a plane, a box or a sphere first.")
        if self._arrays is None:
            self._arrays = _Shapes(self._shapes, self._materials, self.bank)
        return self._arrays


class _Shapes:
    """The shapes of a scene, one row each, in the order in which they were added."""

    def __init__(
        self, rows: list[tuple], materials: list[Material], bank: textures.TextureBank
    ) -> None:
        table = np.array(rows, np.float64).reshape(-1, 13)
        self.kind = table[:, 0].astype(np.int8)
        self.centre = table[:, 1:4].astype(_F)
        self.half = table[:, 4:7].astype(_F)
        """Half lengths; of a plane, its normal."""
        self.yaw = table[:, 7]
        self.cos, self.sin = np.cos(self.yaw).astype(_F), np.sin(self.yaw).astype(_F)
        self.thing = table[:, 8].astype(np.int32)
        self.shadow = table[:, 9] > 0
        self.lean = table[:, 10:13].astype(_F)
        self.texture = np.array([bank.index(m.texture) for m in materials], np.int32)
        self.tint = textures.to_linear([m.tint for m in materials]).reshape(-1, 3)
        self.repeat = np.array([m.repeat for m in materials], _F)
        self.emission = np.array([m.emission for m in materials], _F)
        self.fit = np.array([m.fit for m in materials], bool)
        self.cells = np.array([m.cells for m in materials], np.int32)
        self.faces = np.array([m.faces for m in materials], bool)
        self.gloss = np.array([m.gloss for m in materials], _F)
        self.mirror = np.array([m.mirror for m in materials], bool)

    def of_kind(self, kind: int) -> NDArray[np.intp]:
        return np.flatnonzero(self.kind == kind)

    def corners(self) -> Array:
        """(shapes, 8, 3): the corners of the boxes around the shapes."""
        signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], _F)
        x, y, z = np.moveaxis(signs * self.half[:, None], 2, 0)
        cos, sin = self.cos[:, None], self.sin[:, None]
        return np.stack([cos * x + sin * z, y, cos * z - sin * x], 2) + self.centre[:, None]

    def radius(self) -> Array:
        """(shapes,): the radius of a ball around each shape; 0 for planes."""
        radius = np.where(self.kind == CYLINDER, np.hypot(self.half[:, 0], self.half[:, 1]), 0)
        cornered = np.isin(self.kind, (BOX, WHEEL, HIP))
        radius = np.where(cornered, np.linalg.norm(self.half, axis=1), radius)
        return np.where(self.kind == SPHERE, self.half[:, 0], radius)


# Rays --------------------------------------------------------------------------------------------


def pose(eye: ArrayLike, yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Return a camera's (4, 4) `camera_to_world`.

    Args:
        eye: position, metres.
        yaw: turn to the right, radians; 0 looks along z.
        pitch: look up, radians.
        roll: tilt to the right, radians.
    """
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(a), math.sin(a)) for a in (yaw, pitch, roll))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    look = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ look @ tilt
    matrix[:3, 3] = eye
    return matrix.astype(_F)


def intrinsics(height: int, width: int, field_of_view: float) -> Array:
    """Return K, (3, 3), of a camera with square pixels that looks through the middle.

    Args:
        height: rows.
        width: columns.
        field_of_view: from the left edge to the right, degrees.
    """
    focal = width / 2 / math.tan(math.radians(field_of_view) / 2)
    matrix = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
    return np.array(matrix, _F)


def directions(camera: Camera) -> Array:
    """Return (H, W, 3): each pixel's ray in world axes, scaled to z = 1 in the camera."""
    return np.stack(_directions(camera, camera.height, camera.width), axis=2)


def _directions(camera: Camera, height: int, width: int) -> list[Array]:
    matrix, rotation = camera.K, camera.camera_to_world[:3, :3]
    x = ((np.arange(width, dtype=_F) - matrix[0, 2]) / matrix[0, 0])[None]
    y = ((np.arange(height, dtype=_F) - matrix[1, 2]) / matrix[1, 1])[:, None]
    return [x * row[0] + (y * row[1] + row[2]) for row in rotation]


@dataclass(frozen=True)
class _Tiling:
    """How a frame is cut into tiles; it is filled up to whole tiles on the right and below."""

    height: int
    width: int

    @property
    def rows(self) -> int:
        return -(-self.height // TILE)

    @property
    def columns(self) -> int:
        return -(-self.width // TILE)

    def cut(self, frame: Array) -> Array:
        """(rows * 8, columns * 8) -> (tiles, 64)."""
        blocks = frame.reshape(self.rows, TILE, self.columns, TILE).swapaxes(1, 2)
        return np.ascontiguousarray(blocks).reshape(-1, TILE * TILE)

    def join(self, tiles: NDArray) -> NDArray:
        """(tiles, 64, ...) -> (H, W, ...)."""
        rest = tiles.shape[2:]
        blocks = tiles.reshape(self.rows, self.columns, TILE, TILE, *rest).swapaxes(1, 2)
        frame = blocks.reshape(self.rows * TILE, self.columns * TILE, *rest)
        return np.ascontiguousarray(frame[: self.height, : self.width])


# Where rays meet shapes --------------------------------------------------------------------------
# Each takes rows of shapes (tiles, shapes), the point `origin` where all rays start, or x, y and z
# of their starts, each (tiles, 1, 64), and `ray`, the directions' x, y and z, each (tiles, 1, 64).
# It returns the ray's parameter at the first hit, _MISS or more where there is none:
# (tiles, shapes, 64).

Origin = Array | list[Array]


def _starts(shapes: _Shapes, rows: NDArray, origin: Origin) -> Array:
    """Return where the rays start, seen from the shapes' centres: (3, tiles, shapes, 1 or 64)."""
    if isinstance(origin, list):
        centre = np.moveaxis(shapes.centre[rows], 2, 0)[..., None]
        return np.stack([start - axis for start, axis in zip(origin, centre, strict=True)])
    return np.moveaxis(origin - shapes.centre[rows], 2, 0)[..., None]


def _turned(shapes: _Shapes, rows: NDArray, x: Array, z: Array) -> tuple[Array, Array]:
    """World x and z of vectors -> those along the axes of the shapes."""
    cos, sin = shapes.cos[rows][..., None], shapes.sin[rows][..., None]
    return cos * x - sin * z, sin * x + cos * z


def _halves(shapes: _Shapes, rows: NDArray) -> Array:
    return np.moveaxis(shapes.half[rows], 2, 0)[..., None]


def _meet_planes(shapes: _Shapes, rows: NDArray, origin: Origin, ray: list[Array]) -> Array:
    normal, start = _halves(shapes, rows), _starts(shapes, rows, origin)
    away = -(start * normal).sum(axis=0)
    speed = ray[0] * normal[0] + ray[1] * normal[1] + ray[2] * normal[2]
    hit = away / np.minimum(speed, -_TINY)
    return hit + (hit < NEAR) * _MISS


def _meet_boxes(shapes: _Shapes, rows: NDArray, origin: Origin, ray: list[Array]) -> Array:
    cos, sin = shapes.cos[rows][..., None], shapes.sin[rows][..., None]
    start = _starts(shapes, rows, origin)
    starts = (cos * start[0] - sin * start[2], start[1], sin * start[0] + cos * start[2])
    rays = (cos * ray[0] - sin * ray[2], ray[1], sin * ray[0] + cos * ray[2])
    enter = leave = None
    for begin, direction, half in zip(starts, rays, _halves(shapes, rows), strict=True):
        inverse = 1 / (direction + _TINY)
        middle, reach = begin * inverse, half * np.abs(inverse)
        first, last = -reach - middle, reach - middle
        enter = first if enter is None else np.maximum(enter, first, out=enter)
        leave = last if leave is None else np.minimum(leave, last, out=leave)
    return enter + ((enter > leave) | (enter < NEAR)) * _MISS


def _meet_cylinders(shapes: _Shapes, rows: NDArray, origin: Origin, ray: list[Array]) -> Array:
    start = _starts(shapes, rows, origin)
    radius, half, _ = _halves(shapes, rows)
    return _meet_round(start, ray, radius, half)


def _meet_wheels(shapes: _Shapes, rows: NDArray, origin: Origin, ray: list[Array]) -> Array:
    x, y, z = _starts(shapes, rows, origin)
    half, radius, _ = _halves(shapes, rows)
    x, z = _turned(shapes, rows, x, z)
    across, ahead = _turned(shapes, rows, ray[0], ray[2])
    return _meet_round((y, x, z), [ray[1], across, ahead], radius, half)


def _meet_round(start: ArrayLike, ray: list[Array], radius: Array, half: Array) -> Array:
    """Meet cylinders whose axis is the second of the coordinates, around their centre."""
    x, y, z = start
    square = ray[0] ** 2 + ray[2] ** 2 + _TINY
    along = x * ray[0] + z * ray[2]
    beside = x * ray[2] - z * ray[0]
    room = square * radius**2 - beside**2
    root = np.sqrt(np.maximum(room, 0))
    inverse = 1 / (ray[1] + _TINY)
    middle, reach = y * inverse, half * np.abs(inverse)
    enter = np.maximum((-along - root) / square, -reach - middle)
    leave = np.minimum((root - along) / square, reach - middle)
    return enter + ((enter > leave) | (enter < NEAR) | (room <= 0)) * _MISS


def _meet_spheres(shapes: _Shapes, rows: NDArray, origin: Origin, ray: list[Array]) -> Array:
    x, y, z = _starts(shapes, rows, origin)
    radius = _halves(shapes, rows)[0]
    square = ray[0] ** 2 + ray[1] ** 2 + ray[2] ** 2
    along = x * ray[0] + y * ray[1] + z * ray[2]
    beside = (x * ray[1] - y * ray[0]) ** 2
    beside += (y * ray[2] - z * ray[1]) ** 2
    beside += (z * ray[0] - x * ray[2]) ** 2
    room = square * radius**2 - beside
    hit = (-along - np.sqrt(np.maximum(room, 0))) / square
    return hit + ((room <= 0) | (hit < NEAR)) * _MISS


def _meet_hips(shapes: _Shapes, rows: NDArray, origin: Origin, ray: list[Array]) -> Array:
    x, y, z = _starts(shapes, rows, origin)
    x, z = _turned(shapes, rows, x, z)
    across, ahead = _turned(shapes, rows, ray[0], ray[2])
    half = _halves(shapes, rows)
    inverse = 1 / (ray[1] + _TINY)
    middle, reach = y * inverse, half[1] * np.abs(inverse)
    enter, leave = -reach - middle, reach - middle
    for axis, way, sides in ((x, across, (0, 0)), (z, ahead, (1, 2))):
        for sign, side in zip((1, -1), sides, strict=True):
            slope, limit = (a[..., None] for a in _leaning(shapes, rows, side))
            speed = sign * way - slope * ray[1]
            met = (limit - sign * axis + slope * y) / (speed + _TINY)
            away = speed > 0
            np.maximum(enter, met - away * _MISS, out=enter)
            np.minimum(leave, met + ~away * _MISS, out=leave)
    return enter + ((enter > leave) | (enter < NEAR)) * _MISS


def _leaning(shapes: _Shapes, rows: NDArray, side: int) -> tuple[Array, Array]:
    """Return the slope and the limit of a side (0 across, 1 front, 2 back) of hips.

    A point at height y, seen from the centre, is inside where it lies less than
    `limit + slope * y` off the middle.
    """
    half, lean = shapes.half[rows], shapes.lean[rows][..., side]
    return lean / (2 * half[..., 1]), half[..., 2 if side else 0] - lean / 2


_MEET: dict[int, Callable] = {
    PLANE: _meet_planes,
    BOX: _meet_boxes,
    CYLINDER: _meet_cylinders,
    SPHERE: _meet_spheres,
    WHEEL: _meet_wheels,
    HIP: _meet_hips,
}


def _first_hits(
    shapes: _Shapes, origin: Origin, rays: list[Array], touched: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.int32]]:
    """Return the nearest hit of every ray of every tile, and the shape that is hit.

    Args:
        shapes: the scene's shapes.
        origin: (3,) where all rays start, or x, y, z of their starts, each (tiles, 64).
        rays: x, y and z of the directions, each (tiles, 64).
        touched: (tiles, shapes) where a tile's rays might hit a shape.

    Returns:
        (tiles, 64) ray parameters, infinite without a hit; (tiles, 64) rows of shapes, or -1.
    """
    nearest = np.full(rays[0].shape, _FARTHEST, _F)
    hit = np.full(rays[0].shape, -1, np.int32)
    for kind, meet in _MEET.items():
        for tiles, rows in _batches(touched, shapes.of_kind(kind)):
            start = origin
            if isinstance(origin, list):
                start = [axis[tiles][:, None] for axis in origin]
            met = meet(shapes, rows, start, [axis[tiles][:, None] for axis in rays])
            best = met.min(axis=1)
            shape = ((met == best[:, None]) * (rows[..., None] + 1)).max(axis=1) - 1
            hit[tiles] = np.where(best < nearest[tiles], shape, hit[tiles])
            nearest[tiles] = np.minimum(best, nearest[tiles])
    nearest[hit < 0] = np.inf
    return nearest, hit


def _batches(
    touched: NDArray[np.bool_], rows: NDArray
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int32]]]:
    """Yield tiles (T,) with as many shapes as each other, about, and these shapes (T, S).

    A tile with fewer shapes than the others in its batch has its last one repeated.
    """
    tile, column = np.nonzero(touched[:, rows])
    counts = np.bincount(tile, minlength=len(touched))
    starts = np.cumsum(counts) - counts
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    begin = 0
    while begin < len(order):
        most = counts[order[begin]]
        tiles = order[begin : begin + max(1, _CHUNK // most)]
        place = np.minimum(np.arange(most), counts[tiles][:, None] - 1)
        yield tiles, rows[column[starts[tiles][:, None] + place]].astype(np.int32)
        begin += len(tiles)


def _seen_in_tiles(shapes: _Shapes, camera: Camera, tiling: _Tiling) -> NDArray[np.bool_]:
    """Return (tiles, shapes): True where a shape's outline may touch a tile."""
    points, valid = _outline(shapes, camera)
    touched = []
    for axis, count in enumerate((tiling.columns, tiling.rows)):
        pixel = points[..., axis] / np.maximum(points[..., 2], _CLOSE)
        pixel = pixel * camera.K[axis, axis] + camera.K[axis, 2]
        low = np.where(valid, pixel, np.inf).min(axis=1) - 0.5
        high = np.where(valid, pixel, -np.inf).max(axis=1) + 0.5
        edges = np.arange(count)[:, None] * TILE
        touched.append((edges + TILE - 1 >= low) & (edges <= high))
    columns, rows = touched
    touched = rows[:, None] & columns[None]
    touched[..., shapes.kind == PLANE] = True
    return touched.reshape(-1, len(shapes.kind))


def _outline(shapes: _Shapes, camera: Camera) -> tuple[Array, NDArray[np.bool_]]:
    """Return points around what is before the camera of each shape, and which of them count.

    The points are the corners of the box around the shape and, where the box reaches behind the
    camera, the points where its edges pass the camera: (shapes, 8 + 12, 3) in the camera's axes.
    """
    to_world = camera.camera_to_world
    relative = shapes.corners() - to_world[:3, 3]
    corners = np.stack([(relative * axis).sum(2) for axis in to_world[:3, :3].T], axis=2)
    before = corners[..., 2] >= _CLOSE
    start, end = corners[:, _EDGES[0]], corners[:, _EDGES[1]]
    crossing = before[:, _EDGES[0]] != before[:, _EDGES[1]]
    rise = np.where(crossing, end[..., 2] - start[..., 2], 1)
    passing = start + ((_CLOSE - start[..., 2]) / rise)[..., None] * (end - start)
    return np.concatenate([corners, passing], axis=1), np.concatenate([before, crossing], axis=1)


# Light -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hits:
    """What the rays of a frame hit, cut into tiles; made by `cast`, lit by `shade`."""

    camera: Camera
    tiling: _Tiling
    rays: list[Array]
    """x, y, z of the directions, each (tiles, 64)."""
    distance: Array
    """(tiles, 64) z-depth."""
    shape: NDArray[np.int32]
    """(tiles, 64) rows of the scene's shapes, or -1."""
    touched: NDArray[np.bool_]
    """(tiles, shapes) where a shape's outline may touch a tile."""

    @property
    def depth(self) -> Array:
        """(H, W) z-depth in metres, infinite where nothing is hit."""
        return self.tiling.join(self.distance)


def cast(scene: Scene, camera: Camera) -> Hits:
    """Send a ray through every pixel's centre and keep the nearest hit of each."""
    tiling = _Tiling(camera.height, camera.width)
    size = (tiling.rows * TILE, tiling.columns * TILE)
    rays = [tiling.cut(axis) for axis in _directions(camera, *size)]
    touched = _seen_in_tiles(scene.shapes, camera, tiling)
    eye = camera.camera_to_world[:3, 3]
    with np.errstate(over="ignore", invalid="ignore"):
        distance, shape = _first_hits(scene.shapes, eye, rays, touched)
    return Hits(camera, tiling, rays, distance, shape, touched)


@dataclass(frozen=True)
class _Surface:
    """The surface points that are seen, flat, in the order of tiles: P pixels."""

    position: list[Array]
    """x, y, z, each (P,), in the world."""
    normal: list[Array]
    """x, y, z, each (P,), unit length."""
    shape: NDArray[np.int32]
    """(P,) rows of the scene's shapes; any row where nothing is hit."""
    colour: Array
    """(P, 3) linear."""


def shade(scene: Scene, hits: Hits) -> tuple[Array, Array]:
    """Light the hits.

    Returns:
        (H, W, 3) linear light, 0 or more, and (H, W, 3) unit normals in world axes; where nothing
        is hit, the sky's light and normals of 0.
    """
    radiance, normals = _lit(scene, hits)
    return hits.tiling.join(radiance), hits.tiling.join(normals)


def _lit(scene: Scene, hits: Hits) -> tuple[Array, Array]:
    """Return the linear light and the normals of hits, both (tiles, 64, 3)."""
    eye, shape = list(hits.camera.camera_to_world[:3, 3]), hits.shape.ravel()
    rays, distance = [axis.ravel() for axis in hits.rays], hits.distance.ravel()
    surface = _surface(scene, hits.camera.K[0, 0], eye, rays, distance, shape)
    light = _ambient(scene, surface)
    for lamp in scene.lights:
        light += _lamp(scene, lamp, hits, surface)
    sunny = None
    if scene.sun is not None:
        sunny = _sunny(scene, scene.sun, hits, surface)
        light += sunny[:, None] * np.asarray(scene.sun.colour, _F)
    light += scene.shapes.emission[surface.shape][:, None]
    radiance, normals = surface.colour * light, np.stack(surface.normal, axis=1)
    shiny = np.flatnonzero((scene.shapes.gloss[surface.shape] > 0) & (shape >= 0))
    if len(shiny):
        in_sun = None if sunny is None else sunny[shiny] > 0
        _reflect(scene, hits, surface, radiance, shiny, in_sun)
    nothing = np.flatnonzero(shape < 0)
    if len(nothing):
        radiance[nothing], normals[nothing] = _sky(scene, [axis[nothing] for axis in rays]), 0
    tiles = (*hits.shape.shape, 3)
    return radiance.reshape(tiles), normals.reshape(tiles)


def _surface(
    scene: Scene,
    focal: float,
    start: list,
    rays: list[Array],
    distance: Array,
    shape: NDArray[np.int32],
    before: Array | None = None,
) -> _Surface:
    """Describe the points that rays hit; `before` is how far light had come, in z-depth."""
    shapes = scene.shapes
    distance = np.where(shape < 0, 1, distance)
    shape = np.maximum(shape, 0)
    position = [begin + distance * ray for begin, ray in zip(start, rays, strict=True)]
    normal, u, v = _described(shapes, shape, position)
    length = np.sqrt(rays[0] ** 2 + rays[1] ** 2 + rays[2] ** 2)
    slope = np.abs(sum(n * r for n, r in zip(normal, rays, strict=True))) / length
    far = distance if before is None else distance + before
    pixel = far / (focal * np.sqrt(np.maximum(slope, 0.05)))
    fit = shapes.fit[shape]
    repeat = np.where(shapes.fit, 2 * shapes.half.max(1), shapes.repeat)
    repeat = np.where(shapes.faces, 2 * repeat, repeat)[shape]
    colour = scene.bank.sample(shapes.texture[shape], u, v, pixel / repeat, fit)
    return _Surface(position, normal, shape, colour * shapes.tint[shape])


def _described(
    shapes: _Shapes, shape: NDArray, position: list[Array]
) -> tuple[list[Array], Array, Array]:
    """Return the normals (x, y, z) at points on shapes, and the textures' u and v there."""
    kinds = shapes.kind[shape]
    described = [np.empty(len(shape), _F) for _ in range(5)]
    for kind, describe in _DESCRIBE.items():
        chosen = np.flatnonzero(kinds == kind)
        if len(chosen):
            part = describe(shapes, shape[chosen], [axis[chosen] for axis in position])
            for whole, values in zip(described, part, strict=True):
                whole[chosen] = values
    x, y, z, u, v = described
    return [x, y, z], u, v


def _shifted(shapes: _Shapes, shape: NDArray, u: Array, v: Array) -> tuple[Array, Array]:
    """Metres on a surface -> repeats of its texture, begun elsewhere on every shape."""
    repeat = shapes.repeat[shape]
    return u / repeat + shape * _F(0.37), v / repeat + shape * _F(0.61)


def _relative(shapes: _Shapes, shape: NDArray, position: list[Array]) -> list[Array]:
    """World positions -> positions along the axes of their shapes."""
    x, y, z = (axis - centre for axis, centre in zip(position, shapes.centre[shape].T, strict=True))
    cos, sin = shapes.cos[shape], shapes.sin[shape]
    return [cos * x - sin * z, y, sin * x + cos * z]


# Each returns the normal's x, y, z and the texture's u, v at points on shapes of one kind.


def _describe_planes(shapes: _Shapes, shape: NDArray, position: list[Array]) -> tuple:
    normal = shapes.half[shape].T
    level = np.abs(normal[1]) > 0.7
    sideways = np.where(np.abs(normal[0]) > np.abs(normal[2]), position[2], position[0])
    x, y = np.where(level, position[0], sideways), np.where(level, position[2], position[1])
    cos, sin = shapes.cos[shape], shapes.sin[shape]
    return (*normal, *_shifted(shapes, shape, cos * x - sin * y, sin * x + cos * y))


def _describe_boxes(shapes: _Shapes, shape: NDArray, position: list[Array]) -> tuple:
    local = _relative(shapes, shape, position)
    half = shapes.half[shape].T
    part = [axis / length for axis, length in zip(local, half, strict=True)]
    size = np.abs(part)
    on_x = (size[0] >= size[1]) & (size[0] >= size[2])
    on_y = ~on_x & (size[1] >= size[2])
    on_z = ~(on_x | on_y)
    x, y, z = (
        np.where(face, np.sign(axis), _F(0))
        for face, axis in zip((on_x, on_y, on_z), part, strict=True)
    )
    u, v = _shifted(
        shapes, shape, np.where(on_x, local[2], local[0]), np.where(on_y, local[2], local[1])
    )
    across, down = np.where(on_x, part[2], part[0]), np.where(on_y, part[2], part[1])
    mirrored = np.where(on_x, -x, np.where(on_z, z, 1)) < 0
    fit = shapes.fit[shape]
    u = np.where(fit, 0.5 + 0.5 * np.where(mirrored, -across, across), u)
    v = np.where(fit, 0.5 + 0.5 * down, v)
    u, v = _parts_of_textures(shapes, shape, (u, v), (x, y, z), (across, down))
    cos, sin = shapes.cos[shape], shapes.sin[shape]
    return cos * x + sin * z, y, cos * z - sin * x, u, v


def _parts_of_textures(
    shapes: _Shapes, shape: NDArray, place: tuple, facing: tuple, spread: tuple
) -> tuple[Array, Array]:
    """Return u and v where materials have `cells` or `faces`, and `place` everywhere else.

    Args:
        shapes: the scene's shapes.
        shape: (P,) rows of boxes or hips.
        place: (P,) u and v without cells and faces.
        facing: (P,) x, y and z of the face, along the shape's axes, 0 or not.
        spread: (P,) place on the face, each -1 to 1: x, or z on the sides; y, or z on top.
    """
    u, v = place
    on_x, on_y = facing[0] != 0, facing[1] != 0
    cells = shapes.cells[shape]
    if cells.any():
        half, cell = shapes.half[shape].T, shapes.repeat[shape] / np.maximum(cells, 1)
        columns = np.maximum(np.round(2 * np.where(on_x, half[2], half[0]) / cell), 1)
        rows = np.maximum(np.round(2 * np.where(on_y, half[2], half[1]) / cell), 1)
        begin = shape * 5 % np.maximum(cells, 1)
        number = _F(1) / np.maximum(cells, 1)
        u = np.where(cells > 0, ((0.5 + 0.5 * spread[0]) * columns + begin) * number, u)
        v = np.where(cells > 0, (0.5 * spread[1] - 0.5) * rows * number, v)
    faces = shapes.faces[shape]
    if faces.any():
        sides, ahead = on_x | (facing[2] > 0), on_x | ~on_y & (facing[2] <= 0)
        across = np.where(on_x, -spread[0], spread[0]) * _F(0.24) + 0.25
        down = np.where(on_y, -spread[1], spread[1]) * _F(0.24) + 0.25
        u = np.where(faces, across + np.where(ahead, 0, 0.5), u)
        v = np.where(faces, down + np.where(sides & ~on_y, 0, 0.5), v)
    return u.astype(_F), v.astype(_F)


def _describe_cylinders(shapes: _Shapes, shape: NDArray, position: list[Array]) -> tuple:
    x, y, z = _relative(shapes, shape, position)
    radius, half, _ = shapes.half[shape].T
    outside = x * x + z * z > (radius * (1 - 1e-3)) ** 2
    lid = (np.abs(y) > half - 1e-4) & ~(outside & (np.abs(y) < half - 1e-6))
    length = np.sqrt(x * x + z * z) + _TINY
    normal = (
        np.where(lid, 0, x / length),
        np.where(lid, np.sign(y), 0),
        np.where(lid, 0, z / length),
    )
    u = np.where(lid, x, np.arctan2(x, z) * radius)
    return (*normal, *_shifted(shapes, shape, u, np.where(lid, z, y)))


def _describe_wheels(shapes: _Shapes, shape: NDArray, position: list[Array]) -> tuple:
    x, y, z = _relative(shapes, shape, position)
    half, radius, _ = shapes.half[shape].T
    hub = np.abs(x) > half - 1e-4
    length = np.sqrt(y * y + z * z) + _TINY
    across, down = np.where(hub, np.sign(x), 0), np.where(hub, 0, y / length)
    ahead = np.where(hub, 0, z / length)
    cos, sin = shapes.cos[shape], shapes.sin[shape]
    u = np.where(hub, 0.5 + 0.5 * z / radius, 0.01)
    v = np.where(hub, 0.5 + 0.5 * y / radius, 0.01)
    return cos * across + sin * ahead, down, cos * ahead - sin * across, u, v


def _describe_hips(shapes: _Shapes, shape: NDArray, position: list[Array]) -> tuple:
    x, y, z = _relative(shapes, shape, position)
    half = shapes.half[shape].T
    (slope_x, limit_x), front, back = (_leaning(shapes, shape, side) for side in range(3))
    is_front = z > 0
    slope_z, limit_z = (np.where(is_front, a, b) for a, b in zip(front, back, strict=True))
    wide = limit_x + slope_x * y
    long = limit_z + slope_z * y
    inside_x = (wide - np.abs(x)) / np.sqrt(1 + slope_x**2)
    inside_z = (long - np.abs(z)) / np.sqrt(1 + slope_z**2)
    inside_y = half[1] - np.abs(y)
    on_y = (inside_y < inside_x) & (inside_y < inside_z)
    on_x = ~on_y & (inside_x < inside_z)
    on_z = ~(on_x | on_y)
    level = np.sqrt(1 + np.where(on_x, slope_x, slope_z) ** 2)
    side_x, side_z = np.where(on_x, np.sign(x), 0), np.where(on_z, np.sign(z), 0)
    tilt = np.where(on_y, np.sign(y), -np.where(on_x, slope_x, slope_z) / level)
    first, last = front[1] + front[0] * y, back[1] + back[0] * y
    along = (2 * z + last - first) / np.maximum(first + last, 1e-3)
    spread = (
        np.where(on_x, along, x / np.maximum(wide, 1e-3)),
        np.where(on_y, along, y / half[1]),
    )
    u, v = _shifted(shapes, shape, np.where(on_x, z, x), np.where(on_y, z, y * level))
    fit = shapes.fit[shape]
    u, v = np.where(fit, 0.5 + 0.5 * spread[0], u), np.where(fit, 0.5 + 0.5 * spread[1], v)
    u, v = _parts_of_textures(shapes, shape, (u, v), (side_x, on_y, side_z), spread)
    cos, sin = shapes.cos[shape], shapes.sin[shape]
    across, ahead = side_x / level, side_z / level
    return cos * across + sin * ahead, tilt, cos * ahead - sin * across, u, v


def _describe_spheres(shapes: _Shapes, shape: NDArray, position: list[Array]) -> tuple:
    local = _relative(shapes, shape, position)
    radius = shapes.half[shape, 0]
    length = np.sqrt(sum(axis * axis for axis in local)) + _TINY
    x, y, z = (axis / length for axis in local)
    return x, y, z, *_shifted(shapes, shape, np.arctan2(x, z) * radius, local[1])


_DESCRIBE: dict[int, Callable] = {
    PLANE: _describe_planes,
    BOX: _describe_boxes,
    CYLINDER: _describe_cylinders,
    SPHERE: _describe_spheres,
    WHEEL: _describe_wheels,
    HIP: _describe_hips,
}


def _ambient(scene: Scene, surface: _Surface) -> Array:
    """Light from everywhere: more from above, less near planes, where corners grow dark."""
    shapes = scene.shapes
    open_to = (0.85 - 0.15 * surface.normal[1]).astype(_F)
    for row in shapes.of_kind(PLANE):
        height = sum(
            (axis - point) * normal
            for axis, point, normal in zip(
                surface.position, shapes.centre[row], shapes.half[row], strict=True
            )
        )
        near = np.clip(1 - height * _F(1 / 0.7), 0, 1)
        near[surface.shape == row] = 0
        open_to *= 1 - _F(0.4) * near * near
    return open_to[:, None] * np.asarray(scene.ambient, _F)


def _lamp(scene: Scene, lamp: Light, hits: Hits, surface: _Surface) -> Array:
    """Return the light (P, 3) that one lamp throws on the surface, shadows left out."""
    position = np.asarray(lamp.position, _F)
    way = [
        axis + _F(LIFT) * normal - start
        for axis, normal, start in zip(surface.position, surface.normal, position, strict=True)
    ]
    square = way[0] ** 2 + way[1] ** 2 + way[2] ** 2
    length = np.sqrt(square)
    strength = -sum(a * n for a, n in zip(way, surface.normal, strict=True))
    strength = np.maximum(strength, 0) / length / (_F(0.5) + _F(0.4) * square)
    if lamp.facing is not None:
        ahead = sum(a * _F(f) for a, f in zip(way, lamp.facing, strict=True))
        strength *= np.maximum(ahead, 0) / length
    tiles = hits.shape.shape
    lit = ((strength > DIM) & (hits.shape.ravel() >= 0)).reshape(tiles)
    shapes = scene.shapes
    dark = _shadows(shapes, position, [axis.reshape(tiles) for axis in way], lit, shapes.shadow)
    strength[dark.ravel()] = 0
    return strength[:, None] * np.asarray(lamp.colour, _F)


def _shadows(
    shapes: _Shapes,
    lamp: Array,
    rays: list[Array],
    lit: NDArray[np.bool_],
    opaque: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return (tiles, 64): True where an opaque shape is between the lamp and the surface."""
    tiles = np.flatnonzero(lit.any(axis=1))
    dark = np.zeros(lit.shape, bool)
    if len(tiles):
        rays = [axis[tiles] for axis in rays]
        touched = _between(shapes, lamp, rays, lit[tiles]) & opaque
        with np.errstate(over="ignore", invalid="ignore"):
            first, _ = _first_hits(shapes, lamp, rays, touched)
        dark[tiles] = first < 1
    return dark


def _between(
    shapes: _Shapes, lamp: Array, rays: list[Array], lit: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return (tiles, shapes): True where a shape may throw its shadow on a tile.

    Seen from the lamp, a tile and a shape each lie inside a cone; no shadow where they part.
    """
    length = np.sqrt(sum(axis * axis for axis in rays)) + _TINY
    unit = [np.where(lit, axis / length, 0) for axis in rays]
    mean = np.stack([axis.sum(1) for axis in unit], axis=1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True) + _TINY
    closeness = sum(axis * m[:, None] for axis, m in zip(unit, mean.T, strict=True))
    tile_angle = np.arccos(np.clip(np.where(lit, closeness, 1).min(1), -1, 1))
    far = np.where(lit, length, 0).max(1)
    to_shape = shapes.centre - lamp
    distance = np.linalg.norm(to_shape, axis=1) + _TINY
    radius = shapes.radius()
    shape_angle = np.where(distance > radius, np.arcsin(np.minimum(radius / distance, 1)), np.pi)
    unit_shape = to_shape / distance[:, None]
    cosine = sum(np.multiply.outer(a, b) for a, b in zip(mean.T, unit_shape.T, strict=True))
    apart = np.arccos(np.clip(cosine, -1, 1))
    near_enough = (distance - radius) < far[:, None]
    return (apart <= tile_angle[:, None] + shape_angle + 1e-3) & near_enough


def _sunny(scene: Scene, sun: Sun, hits: Hits, surface: _Surface) -> Array:
    """Return how much of the sun's light (P,) the surface gets, shadows left out."""
    towards = np.asarray(sun.direction, _F)
    strength = np.maximum(sum(n * s for n, s in zip(surface.normal, towards, strict=True)), 0)
    tiles = hits.shape.shape
    lit = ((strength > 0) & (hits.shape.ravel() >= 0)).reshape(tiles)
    chosen = np.flatnonzero(lit.any(axis=1))
    if not len(chosen):
        return strength
    lit, shapes = lit[chosen], scene.shapes
    starts = [axis.reshape(tiles)[chosen] for axis in _lifted(surface)]
    rays = [np.full(lit.shape, axis, _F) for axis in towards]
    touched = _before_sun(shapes, starts, towards, lit) & shapes.shadow
    with np.errstate(over="ignore", invalid="ignore"):
        _, blocker = _first_hits(shapes, starts, rays, touched)
    strength.reshape(tiles)[chosen] *= blocker < 0
    return strength


def _lifted(surface: _Surface) -> list[Array]:
    """Return points just above the surface, where rays may start that leave it."""
    pairs = zip(surface.position, surface.normal, strict=True)
    return [axis + _F(LIFT) * normal for axis, normal in pairs]


def _before_sun(
    shapes: _Shapes, starts: list[Array], towards: Array, wanted: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return (tiles, shapes): True where a shape may throw the sun's shadow on a tile.

    Seen along the sun's rays, tiles and shapes lie in rectangles; no shadow where they part.
    """
    across = np.array([towards[2], 0, -towards[0]], _F) / (np.hypot(*towards[[0, 2]]) + _TINY)
    if not across.any():  # the sun is in the zenith
        across = np.array([1, 0, 0], _F)
    corners = shapes.corners()
    ball = shapes.kind == SPHERE
    touched = np.broadcast_to(True, (len(wanted), len(ball)))
    for axis in (across, np.cross(towards, across), towards):
        middle, radius = shapes.centre @ axis, shapes.half[:, 0] + _F(1e-3)
        along = corners @ axis
        low = np.where(ball, middle - radius, along.min(axis=1) - _F(1e-3))
        high = np.where(ball, middle + radius, along.max(axis=1) + _F(1e-3))
        start = sum(a * part for a, part in zip(starts, axis, strict=True))
        first = np.where(wanted, start, np.inf).min(axis=1)[:, None]
        touched = touched & (high >= first)
        if axis is not towards:
            touched = touched & (low <= np.where(wanted, start, -np.inf).max(axis=1)[:, None])
    return touched | (shapes.kind == PLANE)


def _meeting(
    shapes: _Shapes, starts: list[Array], rays: list[Array], wanted: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return (tiles, shapes): True where one of a tile's wanted rays may meet a shape.

    A tile's rays start inside a ball and go into a cone; a shape lies inside a ball, too.

    Args:
        shapes: the scene's shapes.
        starts: x, y, z, each (tiles, 64).
        rays: directions x, y, z, unit length, each (tiles, 64).
        wanted: (tiles, 64) the rays that count, one or more in each tile.
    """
    count = wanted.sum(axis=1)
    centre = np.stack([np.where(wanted, a, 0).sum(1) / count for a in starts], axis=1)
    off = sum((a - c[:, None]) ** 2 for a, c in zip(starts, centre.T, strict=True))
    reach = np.sqrt(np.where(wanted, off, 0).max(axis=1))[:, None] + shapes.radius()
    mean = np.stack([np.where(wanted, a, 0).sum(1) for a in rays], axis=1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True) + _TINY
    closeness = sum(a * m[:, None] for a, m in zip(rays, mean.T, strict=True))
    cone = np.arccos(np.clip(np.where(wanted, closeness, 1).min(1), -1, 1))[:, None]
    way = [np.subtract.outer(-c, -s) for c, s in zip(centre.T, shapes.centre.T, strict=True)]
    distance = np.sqrt(sum(a * a for a in way)) + _TINY
    along = sum(a * m[:, None] for a, m in zip(way, mean.T, strict=True)) / distance
    apart = np.arccos(np.clip(along, -1, 1))
    touched = apart <= cone + np.arcsin(np.minimum(reach / distance, 1)) + 1e-3
    return touched | (distance <= reach) | (shapes.kind == PLANE)


def _reflect(
    scene: Scene,
    hits: Hits,
    surface: _Surface,
    radiance: Array,
    shiny: NDArray[np.intp],
    in_sun: NDArray[np.bool_] | None,
) -> None:
    """Add to `radiance` (P, 3) what its shiny pixels reflect: sky, the sun, other surfaces."""
    ray = [axis.ravel()[shiny] for axis in hits.rays]
    length = np.sqrt(sum(axis * axis for axis in ray))
    normal = [axis[shiny] for axis in surface.normal]
    cosine = -sum(a * n for a, n in zip(ray, normal, strict=True)) / length
    mirrored = [a / length + 2 * cosine * n for a, n in zip(ray, normal, strict=True)]
    shape = surface.shape[shiny]
    share = _F(0.05) + _F(0.95) * (1 - np.clip(cosine, 0, 1)) ** 5
    share *= scene.shapes.gloss[shape]
    image = _surroundings(scene, mirrored)
    mirrors = np.flatnonzero(scene.shapes.mirror[shape])
    if len(mirrors):
        start = [axis[shiny[mirrors]] for axis in _lifted(surface)]
        before = hits.distance.ravel()[shiny[mirrors]]
        way = [axis[mirrors] for axis in mirrored]
        image[mirrors], open_sky = _mirrored(scene, hits.camera.K[0, 0], start, way, before)
        if in_sun is not None:
            in_sun[mirrors] &= open_sky
    if scene.sun is not None:
        towards = zip(mirrored, np.asarray(scene.sun.direction, _F), strict=True)
        near = np.maximum(sum(a * s for a, s in towards), 0) * in_sun
        glint = _F(GLINT) * near**SHARPNESS + near ** (SHARPNESS // 8)
        image += glint[:, None] * np.asarray(scene.sun.colour, _F)
    radiance[shiny] += share[:, None] * (image - radiance[shiny])


def _surroundings(scene: Scene, rays: list[Array]) -> Array:
    """Return the light (P, 3) from directions of unit length: the sky, darker things below it."""
    sky = _sky(scene, rays).copy()
    below = np.clip((_F(0.35) + rays[1]) * 4, 0, 1)[:, None]
    things = _F(0.35) * np.asarray(scene.dome.horizon if scene.dome else scene.sky, _F)
    return sky + below * (things - sky)


def _mirrored(
    scene: Scene, focal: float, start: list[Array], rays: list[Array], before: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the light (P, 3) that comes along rays from a mirror, and where it is the sky's."""
    count = len(before)
    fill = np.arange(-(-count // TILE**2) * TILE**2).reshape(-1, TILE**2) % count
    starts, ways = [a[fill] for a in start], [a[fill] for a in rays]
    touched = _meeting(scene.shapes, starts, ways, np.ones(fill.shape, bool))
    with np.errstate(over="ignore", invalid="ignore"):
        distance, shape = _first_hits(scene.shapes, starts, ways, touched)
    distance, shape = distance.ravel()[:count], shape.ravel()[:count]
    seen = _surface(scene, focal, start, rays, distance, shape, before)
    light = _ambient(scene, seen) + scene.shapes.emission[seen.shape][:, None]
    if scene.sun is not None:
        towards = zip(seen.normal, np.asarray(scene.sun.direction, _F), strict=True)
        light += np.maximum(sum(n * s for n, s in towards), 0)[:, None] * np.asarray(
            scene.sun.colour, _F
        )
    image, nothing = seen.colour * light, shape < 0
    image[nothing] = _sky(scene, [axis[nothing] for axis in rays])
    return image, nothing


def _sky(scene: Scene, rays: list[Array]) -> Array:
    """Return the light (P, 3) that comes from nowhere along rays of any length."""
    dome = scene.dome
    if dome is None:
        return np.broadcast_to(np.asarray(scene.sky, _F), (len(rays[0]), 3))
    x, y, z = rays
    level = np.sqrt(x * x + z * z) + _TINY
    rise = np.maximum(-y, 0) / np.sqrt(level * level + y * y)
    high = (1 - (1 - np.minimum(rise * _F(1.6), 1)) ** 2)[:, None]
    colour = high * np.asarray(dome.zenith, _F) + (1 - high) * np.asarray(dome.horizon, _F)
    over = 1 / (rise + _F(0.12))  # clouds lie on a flat ceiling, bent a little
    cos, sin = _F(math.cos(dome.turn)), _F(math.sin(dome.turn))
    u, v = (cos * x + sin * z) / level * over, (cos * z - sin * x) / level * over
    texture = np.full(len(u), scene.bank.index(dome.clouds))
    still = np.zeros(len(u), bool)
    dense = scene.bank.sample(texture, u * _F(0.2), v * _F(0.2), over * _F(0.003), still)
    dense = dense[:, :1] * _F(dome.cover) * np.minimum(rise * 6, 1)[:, None]
    white = np.asarray(dome.horizon, _F).max() * _F(1.05)
    return colour + dense * (white - colour)


# What one camera sees and another does not --------------------------------------------------------


def hidden(scene: Scene, eye: ArrayLike, points: NDArray) -> NDArray[np.bool_]:
    """Return (H, W): True where something in the scene is between a point and an eye.

    Args:
        scene: the scene in which to look.
        eye: (3,) position of a camera, metres.
        points: (H, W, 3) points in the world, a little off their surface.
    """
    tiling = _Tiling(*points.shape[:2])
    more = [(0, -length % TILE) for length in points.shape[:2]]
    rays = np.pad(points - np.asarray(eye), (*more, (0, 0)), mode="edge").astype(_F)
    rays = [tiling.cut(rays[..., axis]) for axis in range(3)]
    everywhere, every = np.ones(rays[0].shape, bool), np.ones(len(scene.shapes.kind), bool)
    return tiling.join(_shadows(scene.shapes, np.asarray(eye, _F), rays, everywhere, every))


# Pictures ----------------------------------------------------------------------------------------


def exposure(radiance: Array, brightness: float) -> float:
    """Return the factor that brings the mean sRGB value of linear light to `brightness`."""
    mean = float((np.maximum(radiance, 0) ** (1 / textures.GAMMA)).mean())
    return (brightness / max(mean, 1e-6)) ** textures.GAMMA


def develop(radiance: Array, factor: float) -> Array:
    """Return linear light times `factor` as sRGB in [0, 1], float32; what is brighter is white."""
    return np.clip(radiance * _F(factor), 0, 1) ** _F(1 / textures.GAMMA)


def picture(scene: Scene, hits: Hits, light: tuple[Array, Array], factor: float) -> Frame:
    """Put together what `cast` and `shade` gave, at an exposure of `factor`."""
    radiance, normals = light
    things = np.append(scene.shapes.thing, 0).astype(np.int32)[hits.shape]
    return Frame(
        rgb=develop(radiance, factor),
        depth=hits.depth,
        normals=normals,
        instances=hits.tiling.join(things),
        names=tuple(scene.names),
        K=hits.camera.K,
        camera_to_world=hits.camera.camera_to_world,
    )


def smooth_edges(scene: Scene, hits: Hits, radiance: Array, factor: float) -> Array:
    """Return the light (H, W, 3) with three rays through each pixel on edges of things and light.

    Args:
        scene: what was seen.
        hits: what was hit.
        radiance: (H, W, 3) from `shade`.
        factor: the exposure that the picture will have.
    """
    radiance, bright = np.minimum(radiance, 1 / _F(factor)), develop(radiance, factor).mean(axis=2)
    shape, camera = hits.tiling.join(hits.shape), hits.camera
    edge = np.zeros(shape.shape, bool)
    for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        step = np.abs(bright[here] - bright[there])
        step = (step > STEP) | (shape[here] != shape[there]) & (step > STEP / 2)
        edge[here] |= step
        edge[there] |= step
    rows, columns = np.nonzero(edge)
    if not len(rows):
        return radiance
    tile = rows // TILE * hits.tiling.columns + columns // TILE
    inside = rows % TILE * TILE + columns % TILE
    order = np.lexsort((inside, tile))
    rows, columns, tile, inside = (a[order] for a in (rows, columns, tile, inside))
    each = TILE**2 // len(_WITHIN)
    fill = np.minimum(np.arange(-(-len(rows) // each) * each), len(rows) - 1).reshape(-1, each)
    aside, down = (camera.camera_to_world[:3, k] / camera.K[k, k] for k in (0, 1))
    rays = []
    for axis in range(3):
        middle = hits.rays[axis][tile[fill], inside[fill]][..., None]
        part = middle + _WITHIN[:, 0] * aside[axis] + _WITHIN[:, 1] * down[axis]
        rays.append(part.reshape(len(fill), TILE**2).astype(_F))
    touched = hits.touched[tile[fill]].any(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        eye = camera.camera_to_world[:3, 3]
        distance, met = _first_hits(scene.shapes, eye, rays, touched)
    finer, _ = _lit(scene, Hits(camera, hits.tiling, rays, distance, met, touched))
    finer = np.minimum(finer.reshape(-1, len(_WITHIN), 3), 1 / _F(factor)).sum(axis=1)
    radiance[rows, columns] += finer[: len(rows)]
    radiance[rows, columns] /= 1 + len(_WITHIN)
    return radiance


def render(scene: Scene, camera: Camera, factor: float = 1.0) -> Frame:
    """Return what a camera sees; linear light is multiplied by the exposure `factor`."""
    hits = cast(scene, camera)
    return picture(scene, hits, shade(scene, hits), factor)
