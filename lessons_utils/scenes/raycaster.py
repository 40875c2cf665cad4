"""The course's ray caster: planes, boxes, cylinders and spheres, lit by lamps, in NumPy alone.

World: right-handed, in metres, with the camera's own axes: x to the right, y **down**, z forward.
What lies above the origin has negative y. A turn by `yaw` turns z towards x. A camera looks along
its z axis, has x to the right and y down in the picture, pixel centres at whole numbers, and
stands in the world by `camera_to_world`, a proper rotation and a position; the identity looks
along the world's z. A ray's direction is scaled to z = 1 in the camera, so the ray's parameter at
a hit **is** the z-depth.

The frame is cut into tiles of 8 x 8 pixels. For each tile, NumPy looks at only those shapes whose
outline touches the tile, all tiles at once; shadows are found in the same way, from the lamp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lessons_utils.scenes import textures

Array = NDArray[np.float32]

PLANE, BOX, CYLINDER, SPHERE = range(4)
TILE = 8
NEAR = 1e-4
"""A hit nearer than this, in ray parameters, is the surface that the ray starts on."""

DIM = 0.02
"""Tiles that a lamp lights less than this are searched for no shadows."""

LIFT = 2e-3
"""Shadow rays start this far above a surface, in metres."""

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
    """

    texture: str = "plain"
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    repeat: float = 1.0
    emission: float = 0.0
    fit: bool = False


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


@dataclass
class Scene:
    """Things in a world: planes, boxes, upright cylinders and spheres, and the light on them.

    A plane is seen from the side that its normal points to; a room is six of them.

    Attributes:
        bank: the textures.
        ambient: linear RGB of the light that comes from everywhere.
        lights: the lamps.
        sky: linear RGB where a ray hits nothing.
        names: names of the things, by number; 0 is what is not there.
    """

    bank: textures.TextureBank
    ambient: tuple[float, float, float] = (0.3, 0.3, 0.3)
    lights: list[Light] = field(default_factory=list)
    sky: tuple[float, float, float] = (0.0, 0.0, 0.0)
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

    def _add(
        self,
        kind: int,
        centre: ArrayLike,
        half: ArrayLike,
        yaw: float,
        material: Material,
        thing: int,
        shadow: bool,
    ) -> None:
        self._shapes.append((kind, *centre, *half, yaw, thing, shadow))
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
        table = np.array(rows, np.float64).reshape(-1, 10)
        self.kind = table[:, 0].astype(np.int8)
        self.centre = table[:, 1:4].astype(_F)
        self.half = table[:, 4:7].astype(_F)
        """Half lengths; of a plane, its normal."""
        self.yaw = table[:, 7]
        self.cos, self.sin = np.cos(self.yaw).astype(_F), np.sin(self.yaw).astype(_F)
        self.thing = table[:, 8].astype(np.int32)
        self.shadow = table[:, 9] > 0
        self.texture = np.array([bank.index(m.texture) for m in materials], np.int32)
        self.tint = textures.to_linear([m.tint for m in materials]).reshape(-1, 3)
        self.repeat = np.array([m.repeat for m in materials], _F)
        self.emission = np.array([m.emission for m in materials], _F)
        self.fit = np.array([m.fit for m in materials], bool)

    def of_kind(self, kind: int) -> NDArray[np.intp]:
        return np.flatnonzero(self.kind == kind)

    def corners(self) -> Array:
        """(shapes, 8, 3): the corners of the boxes around the shapes."""
        signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], _F)
        x, y, z = np.moveaxis(signs * self.half[:, None], 2, 0)
        cos, sin = self.cos[:, None], self.sin[:, None]
        return np.stack([cos * x + sin * z, y, cos * z - sin * x], 2) + self.centre[:, None]


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
# Each takes rows of shapes (tiles, shapes), the point `origin` where all rays start, and `ray`, the
# directions' x, y and z, each (tiles, 1, 64). It returns the ray's parameter at the first hit,
# _MISS or more where there is none: (tiles, shapes, 64).


def _starts(shapes: _Shapes, rows: NDArray, origin: Array) -> Array:
    """Return where the rays start, seen from the shapes' centres: (3, tiles, shapes, 1)."""
    return np.moveaxis(origin - shapes.centre[rows], 2, 0)[..., None]


def _halves(shapes: _Shapes, rows: NDArray) -> Array:
    return np.moveaxis(shapes.half[rows], 2, 0)[..., None]


def _meet_planes(shapes: _Shapes, rows: NDArray, origin: Array, ray: list[Array]) -> Array:
    normal, start = _halves(shapes, rows), _starts(shapes, rows, origin)
    away = -(start * normal).sum(axis=0)
    speed = ray[0] * normal[0] + ray[1] * normal[1] + ray[2] * normal[2]
    hit = away / np.minimum(speed, -_TINY)
    return hit + (hit < NEAR) * _MISS


def _meet_boxes(shapes: _Shapes, rows: NDArray, origin: Array, ray: list[Array]) -> Array:
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


def _meet_cylinders(shapes: _Shapes, rows: NDArray, origin: Array, ray: list[Array]) -> Array:
    x, y, z = _starts(shapes, rows, origin)
    radius, half, _ = _halves(shapes, rows)
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


def _meet_spheres(shapes: _Shapes, rows: NDArray, origin: Array, ray: list[Array]) -> Array:
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


_MEET: dict[int, Callable] = {
    PLANE: _meet_planes,
    BOX: _meet_boxes,
    CYLINDER: _meet_cylinders,
    SPHERE: _meet_spheres,
}


def _first_hits(
    shapes: _Shapes, origin: Array, rays: list[Array], touched: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.int32]]:
    """Return the nearest hit of every ray of every tile, and the shape that is hit.

    Args:
        shapes: the scene's shapes.
        origin: (3,) where all rays start.
        rays: x, y and z of the directions, each (tiles, 64).
        touched: (tiles, shapes) where a tile's rays might hit a shape.

    Returns:
        (tiles, 64) ray parameters, infinite without a hit; (tiles, 64) rows of shapes, or -1.
    """
    nearest = np.full(rays[0].shape, _FARTHEST, _F)
    hit = np.full(rays[0].shape, -1, np.int32)
    for kind, meet in _MEET.items():
        for tiles, rows in _batches(touched, shapes.of_kind(kind)):
            met = meet(shapes, rows, origin, [axis[tiles][:, None] for axis in rays])
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
    return Hits(camera, tiling, rays, distance, shape)


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
    surface = _surface(scene, hits)
    light = _ambient(scene, surface)
    for lamp in scene.lights:
        light += _lamp(scene, lamp, hits, surface)
    light += scene.shapes.emission[surface.shape][:, None]
    radiance, normals = surface.colour * light, np.stack(surface.normal, axis=1)
    nothing = hits.shape.ravel() < 0
    if nothing.any():
        radiance[nothing], normals[nothing] = np.asarray(scene.sky, _F), 0
    tiles = (*hits.shape.shape, 3)
    return hits.tiling.join(radiance.reshape(tiles)), hits.tiling.join(normals.reshape(tiles))


def _surface(scene: Scene, hits: Hits) -> _Surface:
    shapes, eye = scene.shapes, hits.camera.camera_to_world[:3, 3]
    shape = np.maximum(hits.shape, 0).ravel()
    distance = np.where(hits.shape < 0, 1, hits.distance).ravel()
    rays = [axis.ravel() for axis in hits.rays]
    position = [start + distance * ray for start, ray in zip(eye, rays, strict=True)]
    normal, u, v = _described(shapes, shape, position)
    length = np.sqrt(rays[0] ** 2 + rays[1] ** 2 + rays[2] ** 2)
    slope = np.abs(sum(n * r for n, r in zip(normal, rays, strict=True))) / length
    pixel = distance / (hits.camera.K[0, 0] * np.sqrt(np.maximum(slope, 0.05)))
    fit = shapes.fit[shape]
    repeat = np.where(shapes.fit, 2 * shapes.half.max(1), shapes.repeat)[shape]
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
    cos, sin = shapes.cos[shape], shapes.sin[shape]
    return cos * x + sin * z, y, cos * z - sin * x, u, v


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
    dark = _shadows(scene.shapes, position, [axis.reshape(tiles) for axis in way], lit)
    strength[dark.ravel()] = 0
    return strength[:, None] * np.asarray(lamp.colour, _F)


def _shadows(
    shapes: _Shapes, lamp: Array, rays: list[Array], lit: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return (tiles, 64): True where something stands between the lamp and the surface."""
    tiles = np.flatnonzero(lit.any(axis=1))
    dark = np.zeros(lit.shape, bool)
    if len(tiles):
        rays = [axis[tiles] for axis in rays]
        touched = _between(shapes, lamp, rays, lit[tiles])
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
    radius = np.where(shapes.kind == CYLINDER, np.hypot(shapes.half[:, 0], shapes.half[:, 1]), 0)
    radius = np.where(shapes.kind == BOX, np.linalg.norm(shapes.half, axis=1), radius)
    radius = np.where(shapes.kind == SPHERE, shapes.half[:, 0], radius)
    shape_angle = np.where(distance > radius, np.arcsin(np.minimum(radius / distance, 1)), np.pi)
    unit_shape = to_shape / distance[:, None]
    cosine = sum(np.multiply.outer(a, b) for a, b in zip(mean.T, unit_shape.T, strict=True))
    apart = np.arccos(np.clip(cosine, -1, 1))
    near_enough = (distance - radius) < far[:, None]
    touched = (apart <= tile_angle[:, None] + shape_angle + 1e-3) & near_enough
    return touched & shapes.shadow


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


def render(scene: Scene, camera: Camera, factor: float = 1.0) -> Frame:
    """Return what a camera sees; linear light is multiplied by the exposure `factor`."""
    hits = cast(scene, camera)
    return picture(scene, hits, shade(scene, hits), factor)
