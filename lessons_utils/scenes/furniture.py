"""What stands, hangs and lies in rooms, each piece built from a few boxes, cylinders and spheres.

A piece is built around its own origin: x along its width, z from its back (negative) to its front,
heights above the floor, metres. `Piece.place` puts it into a scene. Sizes are those of real
furniture, drawn anew for every piece.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lessons_utils.scenes.raycaster import Light, Material, Scene
from lessons_utils.scenes.textures import PICTURES

Generator = np.random.Generator
Colour = tuple[float, float, float]

WHITE: Colour = (0.95, 0.95, 0.93)
BLACK: Colour = (0.10, 0.10, 0.11)
STEEL: Colour = (0.62, 0.63, 0.65)
BULB = (1.0, 0.84, 0.62)
"""Linear colour of a lamp's light."""

CLOTHS: tuple[Colour, ...] = (
    (0.62, 0.20, 0.18),
    (0.20, 0.30, 0.52),
    (0.30, 0.45, 0.30),
    (0.80, 0.66, 0.34),
    (0.55, 0.52, 0.48),
    (0.30, 0.29, 0.31),
    (0.78, 0.70, 0.60),
    (0.45, 0.28, 0.42),
    (0.22, 0.50, 0.52),
    (0.86, 0.50, 0.30),
    (0.90, 0.88, 0.84),
)
VIVID: tuple[Colour, ...] = (
    (0.80, 0.16, 0.14),
    (0.14, 0.34, 0.70),
    (0.16, 0.55, 0.32),
    (0.92, 0.74, 0.16),
    (0.90, 0.46, 0.14),
    (0.52, 0.22, 0.55),
    (0.92, 0.92, 0.90),
    (0.16, 0.16, 0.18),
    (0.25, 0.66, 0.70),
    (0.88, 0.55, 0.62),
)


@dataclass
class Piece:
    """Parts around an origin, to be put into a scene as one thing.

    Attributes:
        name: what it is.
        width: along x, metres; with `depth`, the floor that it needs.
        depth: along z, metres.
        wall: True where its back stands against a wall.
        top: height of its highest box or cylinder, metres.
    """

    name: str
    width: float = 0.4
    depth: float = 0.4
    wall: bool = False
    top: float = 0.0
    _parts: list[tuple] = field(default_factory=list)
    _lights: list[tuple] = field(default_factory=list)

    def box(
        self,
        x: float,
        bottom: float,
        z: float,
        size: tuple[float, float, float],
        material: Material,
        yaw: float = 0.0,
        shadow: bool = True,
    ) -> None:
        """Add a box of (width, height, depth) that stands at height `bottom`."""
        self.top = max(self.top, bottom + size[1])
        self._parts.append(("box", x, bottom + size[1] / 2, z, size, yaw, material, shadow))

    def cylinder(
        self,
        x: float,
        bottom: float,
        z: float,
        radius: float,
        height: float,
        material: Material,
        shadow: bool = True,
    ) -> None:
        """Add an upright cylinder that stands at height `bottom`."""
        self.top = max(self.top, bottom + height)
        size = (radius, height)
        self._parts.append(("cylinder", x, bottom + height / 2, z, size, 0.0, material, shadow))

    def wheel(
        self, x: float, middle: float, z: float, radius: float, width: float, material: Material
    ) -> None:
        """Add a wheel around a point at height `middle`, its axle along x; it throws no shadow."""
        self._parts.append(("wheel", x, middle, z, (radius, width), 0.0, material, False))

    def hip(
        self,
        x: float,
        bottom: float,
        z: float,
        size: tuple[float, float, float],
        lean: tuple[float, float, float],
        material: Material,
        yaw: float = 0.0,
        shadow: bool = True,
    ) -> None:
        """Add a box of (width, height, depth) whose sides lean inwards; see `Scene.hip`."""
        self.top = max(self.top, bottom + size[1])
        part = ("hip", x, bottom + size[1] / 2, z, (size, lean), yaw, material, shadow)
        self._parts.append(part)

    def sphere(self, x: float, middle: float, z: float, radius: float, material: Material) -> None:
        """Add a sphere around a point at height `middle`."""
        self._parts.append(("sphere", x, middle, z, (radius,), 0.0, material, True))

    def light(self, x: float, height: float, z: float, colour: Colour, ahead: bool = False) -> None:
        """Add a lamp; `ahead` shines only to the front."""
        self._lights.append((x, height, z, colour, ahead))

    def legs(self, width: float, depth: float, height: float, thick: float, made: Material) -> None:
        """Add four legs at the corners of a rectangle."""
        for x in (-1, 1):
            for z in (-1, 1):
                at = x * (width - thick) / 2, 0.0, z * (depth - thick) / 2
                self.box(*at, (thick, height, thick), made)

    def place(self, scene: Scene, x: float, z: float, yaw: float) -> int:
        """Put the piece into a scene, its origin at (x, z) on the floor, turned by `yaw`.

        Returns:
            The number of the thing that it is there.
        """
        cos, sin = math.cos(yaw), math.sin(yaw)
        thing = scene.thing(self.name)

        def world(right: float, height: float, front: float) -> tuple[float, float, float]:
            return x + cos * right + sin * front, -height, z - sin * right + cos * front

        for kind, right, height, front, size, turn, material, shadow in self._parts:
            centre = world(right, height, front)
            if kind == "box":
                scene.box(centre, size, yaw + turn, material, thing, shadow)
            elif kind == "cylinder":
                scene.cylinder(centre, *size, material, thing, shadow)
            elif kind == "wheel":
                scene.wheel(centre, *size, yaw + turn, material, thing, shadow)
            elif kind == "hip":
                scene.hip(centre, size[0], yaw + turn, size[1], material, thing, shadow)
            else:
                scene.sphere(centre, *size, material, thing, shadow)
        for right, height, front, colour, ahead in self._lights:
            facing = (sin, 0.0, cos) if ahead else None
            scene.lights.append(Light(world(right, height, front), colour, facing))
        return thing


# Materials ---------------------------------------------------------------------------------------


def pick(rng: Generator, choices: tuple | list) -> object:
    """Return one of the choices."""
    return choices[int(rng.integers(len(choices)))]


def shade(rng: Generator, colour: Colour, spread: float = 0.12) -> Colour:
    """Return a colour near the given one."""
    values = np.asarray(colour) * rng.uniform(1 - spread, 1 + spread)
    values = values * rng.uniform(1 - spread / 2, 1 + spread / 2, 3)
    return tuple(np.clip(values, 0.04, 1.0).tolist())


def wood(rng: Generator) -> Material:
    """Return bare, painted white or painted dark wood."""
    kind = rng.random()
    if kind < 0.72:
        return Material(f"wood{rng.integers(4)}", shade(rng, (1, 1, 1), 0.2), 0.7)
    return Material("wood3", shade(rng, (1.0, 1.0, 1.0) if kind < 0.9 else (0.22, 0.2, 0.2)), 0.7)


def cloth(rng: Generator) -> Material:
    """Return a fabric in one of the cloths' colours."""
    texture = pick(rng, ("weave", "weave", "corduroy", "tartan", "blotches", "leather", "stripes"))
    return Material(texture, shade(rng, pick(rng, CLOTHS)), rng.uniform(0.4, 0.8))


def paint(rng: Generator, colour: Colour | None = None) -> Material:
    """Return an even, coloured surface."""
    return Material("plaster0", shade(rng, colour or pick(rng, VIVID)), 0.5)


def metal(rng: Generator) -> Material:
    """Return brushed metal, bright or black."""
    return Material("metal", shade(rng, pick(rng, (STEEL, STEEL, BLACK))), 0.4)


def glow(colour: Colour, emission: float, texture: str = "plain", fit: bool = False) -> Material:
    """Return a surface that shines by itself."""
    return Material(texture, colour, 1.0, emission, fit)


# Clutter -----------------------------------------------------------------------------------------


def book_pile(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Lay one to four books on each other."""
    for _ in range(rng.integers(1, 5)):
        thick = rng.uniform(0.02, 0.045)
        size = (rng.uniform(0.14, 0.22), thick, rng.uniform(0.2, 0.28))
        piece.box(x, bottom, z, size, paint(rng), rng.uniform(-0.5, 0.5), shadow=False)
        bottom += thick


def mug(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Stand a mug or a glass."""
    piece.cylinder(x, bottom, z, rng.uniform(0.035, 0.05), rng.uniform(0.08, 0.13), paint(rng))


def bottle(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Stand a bottle with its neck."""
    made, radius, height = paint(rng), rng.uniform(0.03, 0.045), rng.uniform(0.15, 0.22)
    piece.cylinder(x, bottom, z, radius, height, made)
    piece.cylinder(x, bottom + height, z, radius * 0.4, 0.08, made, shadow=False)


def vase(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Stand a vase with a bunch of leaves or flowers."""
    height = rng.uniform(0.14, 0.26)
    piece.cylinder(x, bottom, z, rng.uniform(0.04, 0.07), height, paint(rng))
    bunch = Material("leaves", shade(rng, pick(rng, ((1, 1, 1), (1.0, 0.55, 0.6)))), 0.3)
    for _ in range(2):
        dx, dz = rng.uniform(-0.05, 0.05, 2)
        piece.sphere(x + dx, bottom + height + 0.07, z + dz, rng.uniform(0.06, 0.11), bunch)


def bowl(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Stand a bowl with fruit."""
    piece.cylinder(x, bottom, z, 0.12, 0.06, paint(rng))
    fruit = paint(rng, pick(rng, VIVID[:5]))
    for turn in np.arange(3) * 2.1 + rng.uniform(0, 2):
        piece.sphere(
            x + 0.055 * math.cos(turn), bottom + 0.08, z + 0.055 * math.sin(turn), 0.04, fruit
        )


def laptop(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Open a laptop, its screen towards the front."""
    case = Material("metal", shade(rng, pick(rng, (STEEL, BLACK))), 0.4)
    piece.box(x, bottom, z, (0.34, 0.02, 0.24), case)
    piece.box(x, bottom + 0.02, z - 0.11, (0.34, 0.22, 0.012), case)
    piece.box(
        x, bottom + 0.035, z - 0.103, (0.31, 0.19, 0.004), glow((1, 1, 1), 1.0, "screen", True)
    )


def box_pile(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Stand a carton, and often a smaller one on it."""
    side = rng.uniform(0.14, 0.28)
    for _ in range(rng.integers(1, 3)):
        card = Material("weave", shade(rng, pick(rng, ((0.72, 0.56, 0.38), *VIVID))), 0.5)
        height = side * rng.uniform(0.35, 0.8)
        size = (side, height, side * rng.uniform(0.7, 1.1))
        piece.box(x, bottom, z, size, card, rng.uniform(-0.4, 0.4))
        bottom, side = bottom + height, side * 0.7


def papers(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Spread printed sheets."""
    sheet = Material("print", (1, 1, 1), 0.3, fit=True)
    for _ in range(rng.integers(1, 4)):
        dx, dz = rng.uniform(-0.1, 0.1, 2)
        piece.box(x + dx, bottom, z + dz, (0.21, 0.003, 0.30), sheet, rng.uniform(-1, 1), False)
        bottom += 0.003


def table_lamp(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Stand a small lamp with a shade; three in four are on."""
    height, on = rng.uniform(0.2, 0.35), rng.random() < 0.75
    piece.cylinder(x, bottom, z, 0.07, 0.02, metal(rng), shadow=False)
    piece.cylinder(x, bottom, z, 0.018, height, metal(rng), shadow=False)
    made = glow((1.0, 0.9, 0.72), 1.6) if on else Material("weave", (0.9, 0.86, 0.75))
    piece.cylinder(x, bottom + height, z, rng.uniform(0.09, 0.13), 0.17, made, shadow=False)
    if on:
        strength = rng.uniform(0.5, 0.9)
        piece.light(x, bottom + height + 0.09, z, tuple(strength * c for c in BULB))


def small_picture(piece: Piece, rng: Generator, x: float, bottom: float, z: float) -> None:
    """Stand a small photograph in its frame."""
    size = rng.uniform(0.12, 0.2)
    piece.box(x, bottom, z, (size + 0.03, size + 0.03, 0.015), wood(rng))
    shown = Material(f"picture_{pick(rng, PICTURES)}", (1, 1, 1), fit=True)
    piece.box(x, bottom + 0.015, z + 0.01, (size, size, 0.004), shown, shadow=False)


ANYTHING = (book_pile, book_pile, mug, mug, bottle, vase, bowl, box_pile, papers, small_picture)
AT_WORK = (book_pile, papers, papers, mug, laptop, box_pile, bottle)


def clutter(
    piece: Piece,
    rng: Generator,
    area: tuple[float, float, float, float],
    bottom: float,
    count: int,
    kinds: tuple[Callable, ...] = ANYTHING,
) -> None:
    """Lay `count` things on a surface: left, right, back, front of the area, at a height."""
    left, right, back, front = area
    edges = np.linspace(left, right, count + 1)
    for start, end in itertools.pairwise(edges):
        middle = (start + end) / 2 + rng.uniform(-0.15, 0.15) * (end - start)
        pick(rng, kinds)(piece, rng, middle, bottom, rng.uniform(back, front))


# Furniture ---------------------------------------------------------------------------------------


def table(rng: Generator) -> Piece:
    """Return a table, set with things, often under a cloth."""
    width, depth, height = rng.uniform(1.0, 1.9), rng.uniform(0.7, 1.0), rng.uniform(0.7, 0.77)
    piece, made = Piece("table", width, depth), wood(rng)
    if rng.random() < 0.25:
        radius = depth * 0.6
        piece.width = piece.depth = 2 * radius
        piece.cylinder(0, height - 0.04, 0, radius, 0.04, made)
        piece.cylinder(0, 0, 0, 0.05, height - 0.04, made)
        piece.cylinder(0, 0, 0, 0.28, 0.03, made)
        width = depth = radius * 1.2
    else:
        piece.box(0, height - 0.04, 0, (width, 0.04, depth), made)
        piece.legs(width - 0.06, depth - 0.06, height - 0.04, 0.06, made)
        if rng.random() < 0.3:
            size = (width * 0.45, 0.006, depth + 0.01)
            piece.box(0, height, 0, size, cloth(rng), shadow=False)
            piece.box(0, height - 0.2, depth / 2, (size[0], 0.2, 0.012), cloth(rng), shadow=False)
    area = (-0.42 * width, 0.42 * width, -0.3 * depth, 0.3 * depth)
    clutter(piece, rng, area, height, int(rng.integers(1, 5)))
    return piece


def coffee_table(rng: Generator) -> Piece:
    """Return a low table with a lower shelf."""
    width, depth, height = rng.uniform(0.8, 1.2), rng.uniform(0.5, 0.7), rng.uniform(0.36, 0.48)
    piece, made = Piece("coffee table", width, depth), wood(rng)
    piece.box(0, height - 0.04, 0, (width, 0.04, depth), made)
    piece.legs(width, depth, height - 0.04, 0.05, made)
    piece.box(0, 0.12, 0, (width - 0.08, 0.02, depth - 0.08), made)
    area = (-0.4 * width, 0.4 * width, -0.25 * depth, 0.25 * depth)
    clutter(piece, rng, area, height, int(rng.integers(1, 4)))
    return piece


def desk(rng: Generator) -> Piece:
    """Return a desk with drawers, a screen or a laptop, a lamp, paper."""
    width, depth, height = rng.uniform(1.1, 1.7), rng.uniform(0.6, 0.8), rng.uniform(0.71, 0.76)
    piece, made = Piece("desk", width, depth, wall=True), wood(rng)
    piece.box(0, height - 0.03, 0, (width, 0.03, depth), made)
    piece.box(-width / 2 + 0.02, 0, 0, (0.03, height - 0.03, depth), made)
    piece.box(width / 2 - 0.22, 0.05, 0, (0.4, height - 0.08, depth - 0.04), made)
    front = depth / 2 - 0.02
    for k in range(3):
        at = width / 2 - 0.22, 0.07 + k * (height - 0.12) / 3, front + 0.01
        piece.box(*at, (0.37, (height - 0.12) / 3 - 0.02, 0.02), made, shadow=False)
        piece.box(
            at[0], at[1] + 0.09, front + 0.025, (0.12, 0.015, 0.015), metal(rng), shadow=False
        )
    if rng.random() < 0.6:
        _screen(piece, rng, height, -depth / 2 + 0.17)
        area = (-0.45 * width, -0.25 * width, -0.2 * depth, 0.2 * depth)
        clutter(piece, rng, area, height, 1, AT_WORK)
    else:
        laptop(piece, rng, rng.uniform(-0.2, 0.1), height, 0.0)
    if rng.random() < 0.6:
        table_lamp(piece, rng, width / 2 - 0.15, height, -depth / 2 + 0.15)
    else:
        clutter(piece, rng, (0.2 * width, 0.45 * width, -0.2, 0.2), height, 1, AT_WORK)
    return piece


def _screen(piece: Piece, rng: Generator, height: float, z: float) -> None:
    black = Material("plain", BLACK)
    wide, tall = rng.uniform(0.48, 0.62), rng.uniform(0.28, 0.36)
    on = rng.random() < 0.7
    piece.box(0, height, z, (0.22, 0.015, 0.16), black, shadow=False)
    piece.box(0, height, z, (0.05, 0.14, 0.04), black, shadow=False)
    piece.box(0, height + 0.1, z + 0.03, (wide, tall, 0.03), black)
    face = glow((1, 1, 1), 1.1, "screen", True) if on else Material("plain", (0.07, 0.07, 0.08))
    piece.box(0, height + 0.115, z + 0.045, (wide - 0.03, tall - 0.03, 0.006), face, shadow=False)
    piece.box(0, height, z + 0.25, (0.43, 0.02, 0.14), Material("print", (0.3, 0.3, 0.3), fit=True))


def chair(rng: Generator) -> Piece:
    """Return a chair, of wood or of metal, with or without a cushion."""
    side, height = rng.uniform(0.40, 0.48), rng.uniform(0.43, 0.48)
    piece, made = Piece("chair", side + 0.05, side + 0.05), wood(rng)
    seat = cloth(rng) if rng.random() < 0.5 else made
    back = rng.uniform(0.36, 0.52)
    piece.box(0, height - 0.04, 0, (side, 0.05, side), seat)
    piece.legs(side, side, height - 0.04, 0.04, made)
    behind = -side / 2 + 0.02
    if rng.random() < 0.5:
        piece.box(0, height, behind, (side, back, 0.035), seat)
    else:
        for x in (-1, 1):
            piece.box(x * (side / 2 - 0.02), height, behind, (0.04, back, 0.03), made)
        for k in range(3):
            piece.box(0, height + back * (0.3 + 0.28 * k), behind, (side, 0.06, 0.02), made)
    return piece


def office_chair(rng: Generator) -> Piece:
    """Return a swivel chair on one foot."""
    piece, made, black = Piece("chair", 0.6, 0.6), cloth(rng), Material("plain", BLACK)
    piece.cylinder(0, 0.0, 0, 0.28, 0.06, black)
    piece.cylinder(0, 0.06, 0, 0.03, 0.36, Material("metal", STEEL))
    piece.box(0, 0.42, 0, (0.48, 0.09, 0.48), made)
    piece.box(0, 0.58, -0.23, (0.44, rng.uniform(0.4, 0.6), 0.07), made)
    for x in (-1, 1):
        piece.box(x * 0.26, 0.62, 0, (0.04, 0.03, 0.26), black)
        piece.box(x * 0.26, 0.45, 0, (0.03, 0.18, 0.04), black)
    return piece


def stool(rng: Generator) -> Piece:
    """Return a stool, round or square."""
    piece, made, height = Piece("stool", 0.4, 0.4), wood(rng), rng.uniform(0.42, 0.7)
    if rng.random() < 0.5:
        piece.cylinder(0, height - 0.05, 0, 0.17, 0.05, made)
    else:
        piece.box(0, height - 0.06, 0, (0.34, 0.06, 0.34), cloth(rng))
    piece.legs(0.3, 0.3, height - 0.05, 0.035, made)
    return piece


def sofa(rng: Generator) -> Piece:
    """Return a sofa with seat cushions and pillows."""
    width, depth = rng.uniform(1.5, 2.3), rng.uniform(0.8, 0.95)
    piece, made = Piece("sofa", width, depth, wall=True), cloth(rng)
    high = rng.uniform(0.72, 0.9)
    piece.box(0, 0.06, 0, (width, 0.24, depth), made)
    piece.box(0, 0.30, -depth / 2 + 0.11, (width, high - 0.30, 0.22), made)
    for x in (-1, 1):
        piece.box(x * (width / 2 - 0.09), 0.30, 0.0, (0.18, rng.uniform(0.25, 0.32), depth), made)
    seats = 2 if width < 1.9 else 3
    step = (width - 0.38) / seats
    for k in range(seats):
        x = -width / 2 + 0.19 + (k + 0.5) * step
        piece.box(x, 0.30, 0.1, (step - 0.02, 0.15, depth - 0.24), made)
    for _ in range(rng.integers(0, 4)):
        at = rng.uniform(-0.36, 0.36) * width, 0.45, -depth / 2 + 0.3
        piece.box(*at, (0.4, 0.36, 0.13), cloth(rng), rng.uniform(-0.3, 0.3))
    if rng.random() < 0.3:
        x = rng.uniform(-0.3, 0.3) * width
        piece.box(x, high, -depth / 2 + 0.11, (0.5, 0.012, 0.25), cloth(rng), shadow=False)
        piece.box(x, 0.42, -depth / 2 + 0.225, (0.5, high - 0.41, 0.02), cloth(rng), shadow=False)
    return piece


def armchair(rng: Generator) -> Piece:
    """Return an armchair with a pillow."""
    width, depth = rng.uniform(0.75, 0.95), rng.uniform(0.75, 0.9)
    piece, made = Piece("armchair", width, depth), cloth(rng)
    piece.box(0, 0.08, 0, (width, 0.22, depth), made)
    piece.box(0, 0.30, 0.06, (width - 0.3, 0.14, depth - 0.2), made)
    piece.box(0, 0.30, -depth / 2 + 0.09, (width, rng.uniform(0.45, 0.7), 0.18), made)
    for x in (-1, 1):
        piece.box(x * (width / 2 - 0.075), 0.30, 0, (0.15, 0.3, depth), made)
    piece.box(0, 0.44, -depth / 2 + 0.24, (0.38, 0.34, 0.12), cloth(rng), rng.uniform(-0.2, 0.2))
    return piece


def bed(rng: Generator) -> Piece:
    """Return a bed with its head against the wall, made or tousled."""
    width, length = rng.uniform(0.95, 1.8), rng.uniform(1.95, 2.1)
    piece, made = Piece("bed", width, length, wall=True), wood(rng)
    sheet = Material("weave", shade(rng, (0.95, 0.94, 0.92)), 0.5)
    piece.box(0, 0.05, 0, (width, 0.25, length), made)
    piece.box(0, 0.30, 0.01, (width - 0.05, 0.2, length - 0.06), sheet)
    head = cloth(rng) if rng.random() < 0.3 else made
    piece.box(0, 0, -length / 2 + 0.03, (width, rng.uniform(0.8, 1.15), 0.06), head)
    covered = length * rng.uniform(0.5, 0.72)
    cover = cloth(rng)
    piece.box(0, 0.24, length / 2 - covered / 2, (width + 0.02, 0.30, covered), cover)
    piece.box(0, 0.52, length / 2 - covered + 0.1, (width + 0.03, 0.05, 0.22), sheet)
    pillows = 1 if width < 1.3 else 2
    for k in range(pillows):
        x = 0.0 if pillows == 1 else (k - 0.5) * width * 0.48
        at = x, 0.5, -length / 2 + 0.3
        piece.box(*at, (0.62, 0.13, 0.38), sheet, rng.uniform(-0.12, 0.12))
    if rng.random() < 0.5:
        at = rng.uniform(-0.2, 0.2), 0.54, length / 2 - 0.35
        piece.box(*at, (width * 0.7, 0.03, 0.45), cloth(rng), rng.uniform(-0.3, 0.3), shadow=False)
    return piece


def night_table(rng: Generator) -> Piece:
    """Return a night table with a lamp."""
    piece, made, height = (
        Piece("night table", 0.45, 0.4, wall=True),
        wood(rng),
        rng.uniform(0.45, 0.6),
    )
    piece.box(0, 0, 0, (0.42, height, 0.36), made)
    for k in range(2):
        piece.box(0, 0.06 + k * height / 2, 0.185, (0.37, height / 2 - 0.08, 0.015), made)
        piece.box(
            0, 0.02 + (k + 0.5) * height / 2, 0.2, (0.08, 0.02, 0.02), metal(rng), shadow=False
        )
    table_lamp(piece, rng, rng.uniform(-0.08, 0.08), height, -0.05)
    return piece


def cupboard(rng: Generator) -> Piece:
    """Return a wardrobe or a sideboard with doors and handles, things on top."""
    width, depth = rng.uniform(0.8, 1.8), rng.uniform(0.4, 0.6)
    tall = rng.random() < 0.5
    height = rng.uniform(1.7, 2.15) if tall else rng.uniform(0.75, 1.15)
    piece, made = Piece("cupboard", width, depth, wall=True), wood(rng)
    piece.box(0, 0, 0, (width, height, depth), made)
    doors = max(2, round(width / 0.45))
    step, front = width / doors, depth / 2
    lighter = tuple(min(1.0, c * 1.12) for c in made.tint)
    face = Material(made.texture, lighter, made.repeat)
    for k in range(doors):
        x = -width / 2 + (k + 0.5) * step
        piece.box(x, 0.06, front, (step - 0.025, height - 0.1, 0.03), face, shadow=False)
        side = 0.35 if k % 2 == 0 else -0.35
        at = x + side * step, height * 0.5, front + 0.02
        piece.box(*at, (0.02, 0.14, 0.025), Material("metal", STEEL), shadow=False)
    area = (-0.4 * width, 0.4 * width, -0.2 * depth, 0.2 * depth)
    kinds = (box_pile,) if tall else (*ANYTHING, table_lamp)
    clutter(piece, rng, area, height, int(rng.integers(0, 3 if tall else 5)), kinds)
    return piece


def shelf(rng: Generator) -> Piece:
    """Return an open shelf with rows of books and things between them."""
    width, depth, height = rng.uniform(0.7, 1.3), rng.uniform(0.27, 0.36), rng.uniform(1.2, 2.1)
    piece, made = Piece("shelf", width, depth, wall=True), wood(rng)
    for x in (-1, 1):
        piece.box(x * (width - 0.03) / 2, 0, 0, (0.03, height, depth), made)
    piece.box(0, 0, -depth / 2 + 0.01, (width, height, 0.02), made)
    boards = max(3, round(height / 0.38)) + 1
    gap = (height - 0.08) / (boards - 1)
    for k in range(boards):
        bottom = 0.04 + k * gap
        piece.box(0, bottom, 0, (width - 0.04, 0.024, depth), made)
        if k < boards - 1:
            _row_of_books(piece, rng, width, bottom + 0.024, gap - 0.05, depth)
    if rng.random() < 0.5:
        pick(rng, (box_pile, vase, small_picture))(piece, rng, 0.0, height - 0.01, 0.0)
    return piece


def _row_of_books(
    piece: Piece, rng: Generator, width: float, bottom: float, room: float, depth: float
) -> None:
    x, end = -width / 2 + 0.04, width / 2 - 0.05
    if rng.random() < 0.2:  # an open compartment with a thing or two
        area = (x + 0.1, end - 0.1, -0.02, 0.05)
        clutter(piece, rng, area, bottom, 2, (book_pile, mug, small_picture))
        return
    while x < end - 0.05 and rng.random() < 0.93:
        thick = min(rng.uniform(0.05, 0.16), end - x)
        if rng.random() < 0.82:
            colour = pick(rng, (*VIVID, *CLOTHS))
            tall = min(rng.uniform(0.18, 0.29), room)
            size = (thick - 0.006, tall, depth * rng.uniform(0.6, 0.8))
            binding = Material("corduroy", shade(rng, colour), rng.uniform(0.5, 0.9))
            piece.box(x + thick / 2, bottom, -0.02, size, binding, shadow=False)
        x += thick


def drawers(rng: Generator) -> Piece:
    """Return a chest of drawers, things and a mirror or a picture on top."""
    width, depth, height = rng.uniform(0.7, 1.2), rng.uniform(0.4, 0.5), rng.uniform(0.75, 1.1)
    piece, made = Piece("drawers", width, depth, wall=True), wood(rng)
    piece.box(0, 0, 0, (width, height, depth), made)
    count = int(rng.integers(3, 5))
    step = (height - 0.1) / count
    for k in range(count):
        bottom = 0.06 + k * step
        piece.box(0, bottom, depth / 2, (width - 0.06, step - 0.03, 0.03), made, shadow=False)
        for x in (-0.25, 0.25):
            at = x * width, bottom + step * 0.42, depth / 2 + 0.02
            piece.box(*at, (0.1, 0.02, 0.025), metal(rng), shadow=False)
    area = (-0.42 * width, 0.42 * width, -0.1, 0.1)
    clutter(piece, rng, area, height, int(rng.integers(1, 4)), (*ANYTHING, table_lamp))
    return piece


def television(rng: Generator) -> Piece:
    """Return a low board with a television on it."""
    width, depth, height = rng.uniform(1.1, 1.7), 0.42, rng.uniform(0.4, 0.55)
    piece, made = Piece("television", width, depth, wall=True), wood(rng)
    piece.box(0, 0, 0, (width, height, depth), made)
    for k in range(3):
        x = (k - 1) * width / 3
        piece.box(x, 0.05, depth / 2, (width / 3 - 0.03, height - 0.1, 0.02), paint(rng, WHITE))
    wide, black = rng.uniform(0.8, 1.2), Material("plain", BLACK)
    tall = wide * 0.58
    piece.box(0, height, 0, (0.3, 0.05, 0.2), black)
    piece.box(0, height + 0.05, -0.02, (wide, tall, 0.05), black)
    name = f"picture_{pick(rng, PICTURES)}"
    face = glow((1, 1, 1), 0.8, name, True) if rng.random() < 0.5 else Material("plain", BLACK)
    piece.box(0, height + 0.08, 0.01, (wide - 0.05, tall - 0.06, 0.006), face, shadow=False)
    clutter(piece, rng, (-0.48 * width, -0.4 * width, -0.1, 0.1), height, 1)
    return piece


def counter(rng: Generator) -> Piece:
    """Return a run of kitchen cupboards: worktop, sink or stove, cupboards above."""
    width, depth = rng.uniform(1.6, 3.0), 0.62
    piece, made = Piece("kitchen counter", width, depth, wall=True), wood(rng)
    if rng.random() < 0.5:
        made = paint(rng, pick(rng, (WHITE, *CLOTHS)))
    top = Material(pick(rng, ("marble", "gravel", "wood0", "wood3")), shade(rng, WHITE), 0.9)
    piece.box(0, 0.1, -0.02, (width, 0.76, 0.56), made)
    piece.box(0, 0.86, 0, (width, 0.04, depth), top)
    doors = round(width / 0.55)
    step = width / doors
    stove = int(rng.integers(doors))
    black = Material("plain", (0.12, 0.12, 0.13))
    hung = rng.random() < 0.8
    for k in range(doors):
        x = -width / 2 + (k + 0.5) * step
        face = black if k == stove else made
        piece.box(x, 0.14, 0.26, (step - 0.02, 0.68, 0.03), face, shadow=False)
        at = x, 0.74, 0.28
        piece.box(*at, (step * 0.5, 0.02, 0.03), Material("metal", STEEL), shadow=False)
        if hung and k != stove:
            piece.box(x, 1.45, -0.13, (step - 0.012, 0.7, 0.34), made)
    x = -width / 2 + (stove + 0.5) * step
    piece.box(x, 0.9, 0, (step - 0.04, 0.008, 0.5), black, shadow=False)
    if rng.random() < 0.7:
        piece.cylinder(x - 0.1, 0.908, -0.08, 0.1, rng.uniform(0.1, 0.18), metal(rng))
    clutter(piece, rng, (-0.48 * width, 0.48 * width, -0.15, 0.1), 0.9, int(rng.integers(2, 6)))
    return piece


def fridge(rng: Generator) -> Piece:
    """Return a refrigerator with two doors."""
    height, made = (
        rng.uniform(1.5, 1.95),
        Material("metal", shade(rng, pick(rng, (WHITE, STEEL))), 1.0),
    )
    piece = Piece("refrigerator", 0.65, 0.65, wall=True)
    piece.box(0, 0, 0, (0.6, height, 0.6), made)
    for bottom, tall in ((0.05, height * 0.6), (height * 0.63, height * 0.35)):
        piece.box(0, bottom, 0.3, (0.58, tall, 0.04), made, shadow=False)
        piece.box(-0.24, bottom + tall * 0.3, 0.33, (0.03, 0.3, 0.03), metal(rng), shadow=False)
    return piece


def floor_lamp(rng: Generator) -> Piece:
    """Return a standing lamp; three in four are on."""
    height, on = rng.uniform(1.35, 1.7), rng.random() < 0.75
    piece, made = Piece("floor lamp", 0.4, 0.4), metal(rng)
    piece.cylinder(0, 0, 0, 0.15, 0.03, made, shadow=False)
    piece.cylinder(0, 0, 0, 0.015, height, made, shadow=False)
    cover = glow((1.0, 0.9, 0.72), 1.6) if on else Material("weave", (0.92, 0.88, 0.78))
    piece.cylinder(0, height - 0.02, 0, rng.uniform(0.15, 0.22), 0.27, cover, shadow=False)
    if on:
        strength = rng.uniform(0.8, 1.4)
        piece.light(0, height + 0.1, 0, tuple(strength * c for c in BULB))
    return piece


def plant(rng: Generator) -> Piece:
    """Return a plant in its pot: a bush or a small tree."""
    piece, pot = Piece("plant", 0.5, 0.5), rng.uniform(0.12, 0.19)
    piece.cylinder(0, 0, 0, pot, pot * 1.9, paint(rng, (0.70, 0.42, 0.32)))
    leaves = Material("leaves", shade(rng, (1, 1, 1), 0.25), rng.uniform(0.3, 0.6))
    base, tall = pot * 1.9, rng.uniform(0.1, 0.7)
    piece.cylinder(0, base, 0, 0.025, tall + 0.1, Material("wood2"))
    for _ in range(rng.integers(4, 8)):
        x, z = rng.uniform(-0.18, 0.18, 2)
        piece.sphere(x, base + tall + rng.uniform(0.05, 0.45), z, rng.uniform(0.09, 0.2), leaves)
    return piece


def waste_bin(rng: Generator) -> Piece:
    """Return a waste-paper basket."""
    piece, height = Piece("bin", 0.35, 0.35), rng.uniform(0.26, 0.45)
    made = pick(rng, (metal(rng), paint(rng), Material("corduroy", (0.7, 0.55, 0.4), 0.3)))
    piece.cylinder(0, 0, 0, rng.uniform(0.11, 0.17), height, made)
    return piece


def ball(rng: Generator) -> Piece:
    """Return one to three balls."""
    piece = Piece("ball", 0.4, 0.4)
    for k in range(rng.integers(1, 4)):
        radius = rng.uniform(0.06, 0.16)
        texture = pick(rng, ("chess", "stripes", "plaster0"))
        made = Material(texture, shade(rng, pick(rng, VIVID)), radius * 2)
        piece.sphere((k - 1) * 0.25, radius, rng.uniform(-0.15, 0.15), radius, made)
    return piece


def crates(rng: Generator) -> Piece:
    """Return one to three crates or cartons, on and beside each other."""
    piece, bottom = Piece("crate", 0.6, 0.6), 0.0
    made = Material("boards1", shade(rng, (1, 0.95, 0.85)), 0.5)
    if rng.random() < 0.5:
        made = Material("weave", shade(rng, (0.72, 0.56, 0.38)), 0.6)
    side = rng.uniform(0.32, 0.55)
    for _ in range(rng.integers(1, 4)):
        height = side * rng.uniform(0.5, 0.9)
        size = (side, height, side * rng.uniform(0.75, 1.1))
        piece.box(rng.uniform(-0.04, 0.04), bottom, 0, size, made, rng.uniform(-0.3, 0.3))
        bottom, side = bottom + height, side * rng.uniform(0.7, 0.9)
    return piece


def floor_clutter(rng: Generator) -> Piece:
    """Return things that somebody left on the floor: books, a bag, shoes, toys."""
    piece = Piece("clutter", 0.5, 0.5)
    kind = rng.integers(4)
    if kind == 0:
        book_pile(piece, rng, -0.1, 0.0, 0.0)
        book_pile(piece, rng, 0.15, 0.0, 0.1)
    elif kind == 1:
        piece.box(0, 0, 0, (0.34, 0.4, 0.2), cloth(rng))
        piece.box(0, 0.06, 0.11, (0.26, 0.2, 0.08), cloth(rng))
    elif kind == 2:
        made = paint(rng)
        for x in (-0.07, 0.08):
            at = x, 0.0, rng.uniform(-0.05, 0.05)
            piece.box(*at, (0.1, 0.09, 0.28), made, rng.uniform(-0.4, 0.4))
    else:
        for _ in range(rng.integers(3, 7)):
            x, z = rng.uniform(-0.22, 0.22, 2)
            side = rng.uniform(0.05, 0.11)
            piece.box(x, 0, z, (side, side, side), paint(rng), rng.uniform(0, 1.5))
    return piece


PIECES: dict[str, Callable[[Generator], Piece]] = {
    build.__name__: build
    for build in (
        *(table, coffee_table, desk, chair, office_chair, stool, sofa, armchair, bed, night_table),
        *(cupboard, shelf, drawers, television, counter, fridge, floor_lamp, plant, waste_bin),
        *(ball, crates, floor_clutter),
    )
}
"""All that stands on the floor, by name."""


# On walls and ceilings ---------------------------------------------------------------------------


def door(rng: Generator) -> Piece:
    """Return a closed door in its frame."""
    piece, width = Piece("door", 1.05, 0.1, wall=True), rng.uniform(0.78, 0.92)
    made = wood(rng)
    leaf = Material("door", made.tint if rng.random() < 0.5 else (0.96, 0.95, 0.92), fit=True)
    if rng.random() < 0.5:
        leaf = Material("door", pick(rng, ((0.62, 0.43, 0.28), (0.45, 0.30, 0.2))), fit=True)
    trim = Material("plain", tuple(min(1.0, c * 1.05) for c in leaf.tint))
    piece.box(0, 0, -0.03, (width, 2.03, 0.06), leaf, shadow=False)
    for x in (-1, 1):
        piece.box(x * (width / 2 + 0.04), 0, -0.01, (0.08, 2.11, 0.05), trim, shadow=False)
    piece.box(0, 2.03, -0.01, (width, 0.08, 0.05), trim, shadow=False)
    piece.box(width * 0.4, 1.0, 0.02, (0.11, 0.03, 0.05), Material("metal", STEEL), shadow=False)
    return piece


def window(rng: Generator, day: bool) -> Piece:
    """Return a window with its frame, sill, view, often curtains; by day it lights the room."""
    wide, tall = rng.uniform(0.8, 1.9), rng.uniform(1.0, 1.4)
    piece, bottom = Piece("window", wide, 0.1, wall=True), rng.uniform(0.75, 0.95)
    trim = Material("plain", shade(rng, pick(rng, (WHITE, WHITE, (0.5, 0.36, 0.25)))))
    view = pick(rng, ("view_hills", "view_houses")) if day else "view_night"
    pane = glow((1, 1, 1), 2.2 if day else 0.5, view, True)
    piece.box(0, bottom, -0.03, (wide, tall, 0.06), pane, shadow=False)
    for x in (-1, 0, 1):
        at = x * wide / 2, bottom - 0.05, 0.0
        piece.box(*at, (0.06 - 0.02 * (x == 0), tall + 0.1, 0.08), trim, shadow=False)
    for height in (-0.05, tall * 0.62, tall):
        piece.box(0, bottom + height, 0, (wide, 0.05, 0.08), trim, shadow=False)
    piece.box(0, bottom - 0.08, 0.06, (wide + 0.2, 0.04, 0.2), trim)
    if rng.random() < 0.5:
        clutter(
            piece, rng, (-0.4 * wide, 0.4 * wide, 0.08, 0.1), bottom - 0.04, 1, (vase, mug, bottle)
        )
    if rng.random() < 0.65:
        _curtains(piece, rng, wide, bottom, tall)
    if day:
        strength = rng.uniform(2.0, 3.6) * wide * tall / 1.5
        piece.light(0, bottom + tall * 0.6, 0.2, (0.92 * strength, strength, 1.1 * strength), True)
    return piece


def _curtains(piece: Piece, rng: Generator, wide: float, bottom: float, tall: float) -> None:
    made = Material("folds", shade(rng, pick(rng, CLOTHS)), rng.uniform(0.5, 0.8))
    top = bottom + tall + 0.12
    end = 0.04 if rng.random() < 0.5 else bottom - 0.15
    for x in (-1, 1):
        size = (rng.uniform(0.2, 0.38), top - end, 0.07)
        piece.box(x * (wide / 2 + 0.08), end, 0.13, size, made)
    rod = Material("metal", shade(rng, pick(rng, (STEEL, BLACK))))
    piece.box(0, top, 0.13, (wide + 0.7, 0.03, 0.03), rod, shadow=False)


def picture(rng: Generator) -> Piece:
    """Return a framed photograph or painting, a poster, or a mirror-like panel."""
    side = rng.uniform(0.25, 0.75)
    size = side * rng.uniform(0.9, 1.5), side
    piece = Piece("picture", size[0] + 0.1, 0.06, wall=True)
    middle = rng.uniform(1.4, 1.75)
    bottom = middle - size[1] / 2
    shown = Material(f"picture_{pick(rng, PICTURES)}", (1, 1, 1), fit=True)
    if rng.random() < 0.2:
        shown = Material(f"rug{rng.integers(4)}", (1, 1, 1), fit=True)
    if rng.random() < 0.75:
        rim = rng.uniform(0.02, 0.05)
        outer = (size[0] + 2 * rim, size[1] + 2 * rim, 0.05)
        piece.box(0, bottom - rim, 0, outer, wood(rng), shadow=False)
        if rng.random() < 0.4:
            piece.box(0, bottom, 0.01, (*size, 0.05), Material("plain", WHITE), shadow=False)
            size, bottom = (size[0] * 0.7, size[1] * 0.7), bottom + size[1] * 0.15
    piece.box(0, bottom, 0.02, (*size, 0.05), shown, shadow=False)
    return piece


def wall_shelf(rng: Generator) -> Piece:
    """Return a board on the wall with books and things."""
    width, height = rng.uniform(0.6, 1.2), rng.uniform(1.3, 1.7)
    piece = Piece("wall shelf", width, 0.24, wall=True)
    piece.box(0, height, 0, (width, 0.03, 0.22), wood(rng))
    _row_of_books(piece, rng, width * 0.6, height + 0.03, 0.3, 0.22)
    area = (0.32 * width, 0.45 * width, -0.02, 0.02)
    clutter(piece, rng, area, height + 0.03, 1, (vase, mug, small_picture))
    return piece


def radiator(rng: Generator) -> Piece:
    """Return a radiator."""
    width = rng.uniform(0.6, 1.2)
    piece = Piece("radiator", width, 0.12, wall=True)
    piece.box(0, 0.12, 0, (width, 0.58, 0.1), Material("corduroy", (1, 1, 0.98), 0.9))
    return piece


def rug(rng: Generator) -> Piece:
    """Return a rug."""
    piece = Piece("rug", rng.uniform(1.2, 2.4), rng.uniform(1.2, 2.6))
    made = Material(f"rug{rng.integers(4)}", shade(rng, (1, 1, 1)), fit=True)
    if rng.random() < 0.35:
        made = Material("carpet", shade(rng, pick(rng, CLOTHS[4:7])), 0.8)
    piece.box(0, 0, 0, (piece.width, 0.012, piece.depth), made, shadow=False)
    return piece


def ceiling_lamp(rng: Generator, ceiling: float, strength: float) -> Piece:
    """Return a lamp under the ceiling, flush or hanging; `strength` 0 leaves it off."""
    piece, on = Piece("ceiling lamp"), strength > 0
    cover = glow((1.0, 0.95, 0.86), 1.8) if on else Material("plain", (0.9, 0.9, 0.88))
    if rng.random() < 0.55:
        piece.cylinder(0, ceiling - 0.07, 0, rng.uniform(0.14, 0.22), 0.07, cover, shadow=False)
        height = ceiling - 0.12
    else:
        drop = rng.uniform(0.35, 0.6)
        piece.cylinder(0, ceiling - drop, 0, 0.01, drop, Material("plain", BLACK), shadow=False)
        piece.cylinder(
            0, ceiling - drop - 0.16, 0, rng.uniform(0.13, 0.22), 0.18, cover, shadow=False
        )
        height = ceiling - drop - 0.1
    if on:
        warm = rng.uniform(0.0, 1.0)
        colour = tuple(strength * (1 - warm + warm * c) for c in (1.0, 0.88, 0.70))
        piece.light(0, height, 0, colour)
    return piece
