"""What stands and drives in streets: houses, trees, cars, people, poles, each from a few shapes.

As with furniture, a piece is built around its own origin on the ground: x along its width, z from
its back (negative) to its front; sizes in metres, drawn anew for every piece. Cars and people
look and move along +z.
"""

from __future__ import annotations

import math

import numpy as np

from lessons_utils.scenes.furniture import BLACK, STEEL, WHITE, Colour, Piece, pick, shade
from lessons_utils.scenes.raycaster import Material
from lessons_utils.scenes.textures import FACADES, SHOPS

Generator = np.random.Generator

STOREY = 3.1
"""Metres from floor to floor; a window's cell is as wide."""

PAINTS: tuple[Colour, ...] = (
    (0.86, 0.86, 0.86),
    (0.92, 0.92, 0.90),
    (0.16, 0.17, 0.19),
    (0.36, 0.38, 0.41),
    (0.60, 0.62, 0.65),
    (0.66, 0.12, 0.12),
    (0.14, 0.24, 0.52),
    (0.20, 0.36, 0.60),
    (0.14, 0.36, 0.28),
    (0.80, 0.62, 0.16),
    (0.50, 0.44, 0.36),
    (0.76, 0.36, 0.14),
)
"""Colours of cars, the common ones first."""

CLOTHES: tuple[Colour, ...] = (
    (0.20, 0.24, 0.36),
    (0.56, 0.18, 0.18),
    (0.24, 0.40, 0.34),
    (0.80, 0.76, 0.66),
    (0.16, 0.16, 0.18),
    (0.76, 0.56, 0.22),
)

SHAPES = {
    # length, height of body and roof, length and place of the cabin, lean in front and behind
    "hatchback": (3.9, 0.84, 1.48, 2.65, -0.45, 0.75, 0.35),
    "saloon": (4.5, 0.84, 1.43, 2.75, -0.25, 0.80, 0.65),
    "estate": (4.6, 0.86, 1.50, 3.20, -0.60, 0.75, 0.30),
    "tall": (4.4, 0.98, 1.72, 2.95, -0.55, 0.65, 0.22),
    "van": (5.0, 1.10, 2.05, 4.20, -0.30, 0.70, 0.08),
}
"""Kinds of cars."""


# Cars and people ---------------------------------------------------------------------------------


def car(rng: Generator, detail: bool = True) -> Piece:
    """Return a car: body, cabin with windows, wheels; with `detail`, lamps and plates, too."""
    kind = pick(rng, (*SHAPES, "hatchback", "saloon", "estate"))
    length, waist, top, cabin, place, front, back = SHAPES[kind]
    scale = rng.uniform(0.94, 1.06)
    length, cabin, place = length * scale, cabin * scale, place * scale
    width = rng.uniform(1.70, 1.84) + 0.12 * (kind == "van")
    common = PAINTS[: 5 if rng.random() < 0.5 else None]
    colour, style = shade(rng, pick(rng, common)), rng.integers(3)
    body = Material(f"car_body{style}", colour, fit=True, faces=True, gloss=0.55)
    glass = Material(f"car_cabin{style}", colour, fit=True, faces=True, gloss=0.9)
    piece = Piece("car", width, length)
    piece.hip(0, 0.22, 0, (width, waist - 0.22, length), (0.07, 0.16, 0.09), body)
    size = (width - 0.12, top - waist, cabin)
    piece.hip(0, waist - 0.01, place, size, (0.19, front, back), glass)
    wheel, radius = (
        Material("wheel", fit=True),
        rng.uniform(0.30, 0.34) * (1 + 0.1 * (kind == "van")),
    )
    for x in (-1, 1):
        for z in (-1, 1):
            piece.wheel(x * (width / 2 - 0.10), radius, z * 0.31 * length, radius, 0.22, wheel)
    if detail:
        _lamps(piece, width, length, waist)
    return piece


def _lamps(piece: Piece, width: float, length: float, waist: float) -> None:
    red = Material("plain", (0.72, 0.06, 0.06), emission=0.35, gloss=0.5)
    clear = Material("plain", (0.90, 0.92, 0.95), emission=0.3, gloss=0.5)
    plate, tyre = Material("plain", (0.92, 0.91, 0.84)), Material("plain", (0.13, 0.13, 0.14))
    for x in (-1, 1):
        aside = x * (width / 2 - 0.24)
        piece.box(aside, waist - 0.30, -length / 2 + 0.06, (0.34, 0.17, 0.10), red, shadow=False)
        piece.box(aside, waist - 0.30, length / 2 - 0.09, (0.36, 0.14, 0.12), clear, shadow=False)
    for z in (-1, 1):
        piece.box(0, 0.42, z * (length / 2 - 0.02), (0.50, 0.12, 0.03), plate, shadow=False)
        piece.box(0, 0.24, z * (length / 2 - 0.03), (width - 0.08, 0.14, 0.10), tyre, shadow=False)


def lorry(rng: Generator, detail: bool = True) -> Piece:
    """Return a lorry with a box on its back."""
    width, length = 2.2, rng.uniform(5.6, 6.8)
    piece, colour = Piece("car", width, length), shade(rng, pick(rng, PAINTS))
    load = Material("plaster1", shade(rng, pick(rng, (WHITE, WHITE, *PAINTS))), 2.0)
    cab = Material("car_cabin2", colour, fit=True, faces=True, gloss=0.8)
    dark, wheel = Material("plain", (0.12, 0.12, 0.13)), Material("wheel", fit=True)
    piece.box(0, 0.45, 0, (width - 0.2, 0.35, length), dark)
    piece.box(0, 0.80, -0.95, (width, 2.1, length - 1.9), load)
    piece.box(0, 1.2, -length / 2 + 0.02, (0.05, 1.6, 0.06), dark, shadow=False)
    piece.box(0, 0.50, length / 2 - 0.85, (width - 0.1, 0.75, 1.7), Material("plain", colour))
    piece.hip(0, 1.24, length / 2 - 0.85, (width - 0.1, 1.0, 1.7), (0.1, 0.3, 0.02), cab)
    for x in (-1, 1):
        for z in (-0.3, 0.32):
            piece.wheel(x * (width / 2 - 0.14), 0.42, z * length, 0.42, 0.26, wheel)
    if detail:
        _lamps(piece, width, length, 0.95)
    return piece


def vehicle(rng: Generator, detail: bool = True) -> Piece:
    """Return a car or, seldom, a lorry."""
    return lorry(rng, detail) if rng.random() < 0.09 else car(rng, detail)


def person(rng: Generator) -> Piece:
    """Return somebody who walks along +z."""
    piece, size = Piece("person", 0.5, 0.4), rng.uniform(0.9, 1.06)
    trousers = Material("plaster1", shade(rng, pick(rng, CLOTHES)), 0.5)
    coat = Material("plaster2", shade(rng, pick(rng, CLOTHES)), 0.5)
    skin = Material("plain", shade(rng, pick(rng, ((0.86, 0.66, 0.54), (0.52, 0.36, 0.27)))))
    step = rng.uniform(0.05, 0.2)
    for x, z in ((-0.1, step), (0.1, -step)):
        piece.cylinder(x, 0, z, 0.075, 0.85 * size, trousers)
        piece.cylinder(2.5 * x, 0.75 * size, -z, 0.055, 0.65 * size, coat)
    piece.hip(0, 0.78 * size, 0, (0.46, 0.68 * size, 0.28), (0.05, 0.04, 0.04), coat)
    piece.sphere(0, 1.60 * size, 0.02, 0.125, skin)
    piece.sphere(0, 1.65 * size, -0.02, 0.125, Material("plain", shade(rng, (0.28, 0.20, 0.14))))
    return piece


# Houses ------------------------------------------------------------------------------------------


def _facade(rng: Generator) -> Material:
    texture = f"facade{rng.integers(FACADES)}"
    return Material(texture, shade(rng, (0.95, 0.95, 0.95), 0.12), 4 * STOREY, cells=4)


def _roof(rng: Generator) -> Material:
    return Material(f"roof{rng.integers(3)}", shade(rng, (0.95, 0.95, 0.95), 0.2), 3.2)


def town_house(rng: Generator, width: float, storeys: int, depth: float = 11.0) -> Piece:
    """Return a house of a row: its front at z = 0, most with shops below, some with balconies."""
    piece, height = Piece("house", width, depth), storeys * STOREY
    wall, trim = _facade(rng), Material("plaster2", shade(rng, (0.84, 0.82, 0.77)), 2.0)
    bottom = 0.0
    if rng.random() < 0.55:
        bottom = 3.5
        shop = Material(
            f"shop{rng.integers(SHOPS)}", shade(rng, (1, 1, 1)), 16.0, cells=4, gloss=0.5
        )
        piece.box(0, 0, -depth / 2 + 0.06, (width - 0.05, 3.5, depth), shop)
        piece.box(0, 3.5, -depth / 2 + 0.15, (width, 0.18, depth), trim, shadow=False)
        if rng.random() < 0.5:
            _awnings(piece, rng, width)
    piece.box(0, bottom, -depth / 2, (width, height, depth), wall)
    top = bottom + height
    piece.box(0, top, -depth / 2 + 0.15, (width, rng.uniform(0.2, 0.6), depth + 0.1), trim)
    if rng.random() < 0.55:
        _top(piece, rng, width, top + 0.2, depth)
    if rng.random() < 0.3 and storeys > 2:
        _balconies(piece, rng, width, bottom, storeys)
    return piece


def _awnings(piece: Piece, rng: Generator, width: float) -> None:
    cloth = Material("roof0", shade(rng, pick(rng, CLOTHES)), 40.0)
    wide = width / max(1, round(width / 4.2))
    for k in range(round(width / wide)):
        if rng.random() < 0.6:
            x = -width / 2 + (k + 0.5) * wide
            piece.hip(x, 2.5, 0.6, (wide - 0.5, 0.55, 1.4), (0.02, 1.3, 0.0), cloth)


def _top(piece: Piece, rng: Generator, width: float, bottom: float, depth: float) -> None:
    """Add a steep roof with dormers or chimneys."""
    high = rng.uniform(1.8, 3.2)
    lean = (rng.uniform(0.0, 0.3), high * rng.uniform(0.5, 1.2), high * 0.8)
    piece.hip(0, bottom, -depth / 2, (width - 0.1, high, depth - 0.1), lean, _roof(rng))
    brick = Material("roof2", shade(rng, (1, 0.95, 0.9)), 1.6)
    piece.box(rng.uniform(-0.4, 0.4) * width, bottom, -3.5, (0.9, high + 0.9, 0.6), brick)
    pane = Material("plain", (0.16, 0.19, 0.23), gloss=0.7)
    white = Material("plaster0", WHITE)
    for x in np.arange(-width / 2 + 1.6, width / 2 - 1.2, 3.1):
        piece.box(x, bottom + 0.2, -lean[1] * 0.4 - 0.9, (1.3, 1.5, 1.9), white, shadow=False)
        piece.box(x, bottom + 0.4, -lean[1] * 0.4 + 0.06, (0.9, 1.1, 0.02), pane, shadow=False)


def _balconies(piece: Piece, rng: Generator, width: float, bottom: float, storeys: int) -> None:
    slab = Material("plaster2", shade(rng, (0.8, 0.8, 0.8)), 2.0)
    rail = Material("plaster1", shade(rng, pick(rng, (STEEL, WHITE, BLACK))), 1.0)
    column = rng.uniform(-0.3, 0.3) * width
    for storey in range(1 if bottom == 0 else 0, storeys):
        floor = bottom + storey * STOREY
        piece.box(column, floor, 0.5, (2.8, 0.15, 1.1), slab)
        piece.box(column, floor + 0.15, 1.02, (2.8, 0.85, 0.06), rail, shadow=False)


def cottage(rng: Generator, width: float) -> Piece:
    """Return a detached house with a roof, a porch and a chimney, its front at z = 0."""
    depth, storeys = rng.uniform(7, 10), int(rng.integers(1, 3))
    piece, height = Piece("house", width, depth), storeys * STOREY * 0.95
    piece.box(0, 0, -depth / 2, (width, height, depth), _facade(rng))
    high, over, roof = rng.uniform(2.0, 3.6), 0.5, _roof(rng)
    lean = (rng.uniform(0.6, 1.0) * high, depth / 2 + over - 0.05, depth / 2 + over - 0.05)
    if rng.random() < 0.5:  # the gable towards the street
        lean = (width / 2 + over - 0.05, rng.uniform(0.1, 1.0), rng.uniform(0.1, 1.0))
    piece.hip(0, height, -depth / 2, (width + 2 * over, high, depth + 2 * over), lean, roof)
    brick = Material("roof2", shade(rng, (1, 0.95, 0.9)), 1.6)
    piece.box(rng.uniform(-0.3, 0.3) * width, height, -depth / 2, (0.7, high + 0.8, 0.7), brick)
    side = rng.uniform(-0.3, 0.3) * width
    door = Material("plaster1", shade(rng, pick(rng, CLOTHES)), 1.0)
    piece.box(side, 0, 0.02, (1.1, 2.1, 0.08), door, shadow=False)
    piece.hip(side, 2.3, 0.5, (2.0, 0.5, 1.2), (0.6, 0.9, 0.0), roof)
    if rng.random() < 0.4:  # a garage beside it
        piece.box(width / 2 + 1.6, 0, -2.5, (3.0, 2.5, 5.0), Material("plaster1", WHITE, 2.0))
        gate = Material("slabs1", shade(rng, pick(rng, (WHITE, STEEL, CLOTHES[2]))), 2.6)
        piece.box(width / 2 + 1.6, 0, 0.02, (2.5, 2.1, 0.06), gate, shadow=False)
    return piece


# Green -------------------------------------------------------------------------------------------


def leaves(rng: Generator) -> Material:
    """Return a tree's leaves."""
    kind = int(rng.choice(4, p=(0.4, 0.3, 0.22, 0.08)))
    return Material(f"foliage{kind}", shade(rng, (1, 1, 1), 0.2), rng.uniform(1.6, 2.6))


def tree(rng: Generator, detail: bool = True) -> Piece:
    """Return a tree with a round crown or, one in six, a fir."""
    piece, green = Piece("tree", 1.0, 1.0), leaves(rng)
    bark = Material("bark", shade(rng, (1, 1, 1), 0.2), 1.2)
    if rng.random() < 0.17:
        size, turn = rng.uniform(1.1, 1.7), rng.uniform(0, 1.5)
        piece.cylinder(0, 0, 0, 0.14, 1.2, bark)
        for bottom, wide, high in ((0.7, 1.5, 2.2), (2.0, 1.15, 2.0), (3.2, 0.8, 1.9)):
            wide, high = wide * size, high * size
            lean = wide * 0.97
            piece.hip(0, bottom * size, 0, (2 * wide, high, 2 * wide), (lean,) * 3, green, turn)
            turn += 0.7
        return piece
    height, spread = rng.uniform(2.0, 3.4), rng.uniform(0.85, 1.4)
    piece.cylinder(0, 0, 0, rng.uniform(0.10, 0.2), height + spread * 0.6, bark)
    middle = height + spread * 0.7
    count = int(rng.integers(6, 10)) if detail else 4
    turn = rng.uniform(0, 2 * math.pi)
    piece.sphere(0, middle, 0, spread * 0.95, green)
    for k in range(count):
        angle, up = turn + 2.4 * k, rng.uniform(-0.45, 0.85)
        off = spread * rng.uniform(0.5, 0.85) * math.sqrt(1 - 0.6 * up * up)
        at = off * math.cos(angle), middle + up * spread, off * math.sin(angle)
        piece.sphere(*at, spread * rng.uniform(0.42, 0.68), green)
    return piece


def hedge(rng: Generator, length: float) -> Piece:
    """Return a hedge, a wall or a fence along x."""
    piece, kind = Piece("hedge", length, 0.5), rng.random()
    if kind < 0.5:
        high = rng.uniform(0.7, 1.8)
        piece.hip(0, 0, 0, (length, high, 0.8), (0.08, 0.1, 0.1), leaves(rng))
    elif kind < 0.75:
        wall = Material("slabs0", shade(rng, (0.8, 0.74, 0.68)), 1.6)
        piece.box(0, 0, 0, (length, rng.uniform(0.5, 1.1), 0.25), wall)
    else:
        made = Material("plaster1", shade(rng, pick(rng, (WHITE, (0.45, 0.34, 0.26)))), 1.0)
        for x in np.arange(-length / 2 + 0.2, length / 2, 1.0):
            piece.box(x, 0, 0, (0.1, 1.05, 0.1), made)
        for bottom in (0.3, 0.75):
            piece.box(0, bottom, 0, (length, 0.14, 0.05), made)
    return piece


# Poles and things on the pavement ----------------------------------------------------------------


def lamp_post(rng: Generator) -> Piece:
    """Return a street lamp; its arm reaches along +z."""
    piece, high = Piece("pole", 0.3, 0.3), rng.uniform(4.8, 6.5)
    made = Material("plaster1", shade(rng, pick(rng, (STEEL, (0.2, 0.24, 0.23)))), 1.0)
    piece.cylinder(0, 0, 0, 0.11, 0.9, made, shadow=False)
    piece.cylinder(0, 0, 0, 0.07, high, made)
    piece.box(0, high - 0.08, 0.7, (0.07, 0.08, 1.5), made)
    head = Material("plain", (0.9, 0.9, 0.85), emission=0.2)
    piece.box(0, high - 0.16, 1.4, (0.24, 0.12, 0.6), head)
    return piece


def sign(rng: Generator) -> Piece:
    """Return a traffic sign that is read from -z."""
    piece, high = Piece("pole", 0.3, 0.3), rng.uniform(2.0, 2.6)
    piece.cylinder(0, 0, 0, 0.035, high + 0.5, Material("plaster1", STEEL, 1.0))
    face = Material(f"sign{rng.integers(4)}", (1, 1, 1), fit=True)
    piece.box(0, high - 0.1, -0.05, (0.62, 0.62, 0.03), face)
    return piece


def traffic_light(rng: Generator) -> Piece:
    """Return a traffic light that is seen from -z."""
    piece, dark = Piece("pole", 0.3, 0.3), Material("plain", (0.12, 0.13, 0.13))
    piece.cylinder(0, 0, 0, 0.07, 3.4, Material("plaster1", shade(rng, STEEL), 1.0))
    piece.box(0, 2.4, -0.12, (0.34, 0.95, 0.24), dark)
    lit = int(rng.integers(3))
    for k, colour in enumerate(((0.3, 0.9, 0.4), (0.95, 0.7, 0.2), (0.95, 0.2, 0.15))):
        dim = 1.0 if k == lit else 0.3
        shown = Material("plain", tuple(dim * c for c in colour), emission=1.5 * (k == lit))
        piece.sphere(0, 2.56 + 0.3 * k, -0.22, 0.11, shown)
    return piece


def street_thing(rng: Generator) -> Piece:
    """Return a bin, a bench, a row of posts, a cabinet, a bush in a tub, or posters."""
    piece, kind = Piece("thing", 0.6, 0.6), rng.integers(6)
    made = Material("plaster2", shade(rng, pick(rng, (*CLOTHES, STEEL))), 1.0)
    if kind == 0:
        piece.cylinder(0, 0, 0, 0.26, rng.uniform(0.8, 1.1), made)
    elif kind == 1:
        wood = Material("bark", shade(rng, (1.1, 1.0, 0.9)), 0.8)
        piece.box(0, 0.42, 0, (1.6, 0.06, 0.45), wood)
        piece.box(0, 0.55, -0.22, (1.6, 0.4, 0.05), wood)
        for x in (-0.65, 0.65):
            piece.box(x, 0, 0, (0.08, 0.42, 0.4), made)
    elif kind == 2:
        for x in (-1.2, 0.0, 1.2):
            piece.cylinder(x, 0, 0, 0.08, 0.9, made)
            piece.sphere(x, 0.95, 0, 0.1, made)
    elif kind == 3:
        piece.box(0, 0, 0, (rng.uniform(0.6, 1.3), rng.uniform(0.9, 1.4), 0.4), made)
    elif kind == 4:
        piece.hip(0, 0, 0, (0.8, 0.5, 0.8), (0.0, 0.0, 0.0), made)
        piece.sphere(0, 0.85, 0, 0.52, leaves(rng))
    else:
        poster = Material(f"shop{rng.integers(SHOPS)}", (1, 1, 1), 6.0)
        piece.cylinder(0, 0, 0, 0.6, 2.5, poster)
        piece.cylinder(0, 2.5, 0, 0.68, 0.2, made)
    return piece
