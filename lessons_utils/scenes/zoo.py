"""A drawn zoo: small pictures of animals, and of things that are none, without a download.

Five animals to tell apart, a bear on which no network is trained, and things of which a network has
never heard. Every picture is drawn from a kind and a seed alone: pose, fur, markings, background,
light and noise differ. `draw` gives one picture, large ones for showing too; `images` gives many
with labels: 1.5 ms each at 32 pixels, on one busy core. They are cartoons, and easier to tell apart
than photographs: a small network learns them in seconds.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from lessons_utils.scenes.pencil import CIRCLE, Colour, Pencil, blend, clipped, symmetric

Generator = np.random.Generator

VERSION = 1
"""Raised whenever the same kind and seed give another picture."""

ANIMALS = ("cat", "dog", "rabbit", "mouse", "owl")
"""The classes, in the order of the labels."""

NEAR = ("bear",)
"""An animal too, but no network is trained on it."""

THINGS = ("car", "house", "tree", "fish", "cup", "ball", "boat", "flower")
"""What has no place in this zoo."""

SPLITS = ("train", "validation", "test")
SPLIT_SIZE = 1_000_000
"""Seeds that belong to each split."""

OVERSAMPLING = 4
"""Pictures are drawn so many times larger, then shrunk, which makes their edges smooth."""

LARGEST = 512
"""Pixels of the largest picture's side."""

# ---- Colours ------------------------------------------------------------------------------------

BLACK: Colour = (26, 22, 24)
WHITE: Colour = (250, 250, 246)
PINK: Colour = (234, 160, 164)
NOSE: Colour = (214, 110, 124)
TONGUE: Colour = (230, 100, 118)
GLASS: Colour = (196, 224, 240)
WOOD: Colour = (106, 72, 44)

FURS: tuple[Colour, ...] = (
    (224, 148, 78),
    (238, 214, 176),
    (238, 236, 230),
    (152, 154, 160),
    (74, 70, 74),
    (138, 96, 62),
    (100, 70, 52),
    (208, 168, 116),
    (122, 132, 150),
)
EYES: tuple[Colour, ...] = ((146, 196, 84), (236, 196, 72), (104, 178, 210), (196, 140, 60))
OWL_EYES: tuple[Colour, ...] = ((244, 196, 50), (240, 150, 40), (236, 220, 120))
PAINTS: tuple[Colour, ...] = (
    (206, 52, 46),
    (44, 96, 180),
    (44, 142, 88),
    (238, 192, 54),
    (232, 122, 42),
    (134, 64, 142),
    (236, 234, 228),
    (60, 62, 70),
    (66, 170, 180),
    (226, 140, 160),
)
GREENS: tuple[Colour, ...] = ((58, 132, 62), (92, 158, 62), (44, 108, 72), (132, 166, 60))
SKIES: tuple[Colour, ...] = ((120, 178, 232), (176, 210, 238), (250, 200, 150), (66, 84, 140))


def _pick(rng: Generator, options: Sequence[Colour]) -> Colour:
    return options[int(rng.integers(len(options)))]


def _two_paints(rng: Generator) -> tuple[Colour, Colour]:
    first, second = rng.choice(len(PAINTS), 2, replace=False)
    return _vary(rng, PAINTS[first]), _vary(rng, PAINTS[second])


def _side(rng: Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _vary(rng: Generator, colour: Colour, by: int = 18) -> Colour:
    """Return a colour changed by up to `by` levels in each channel."""
    return clipped(value + rng.integers(-by, by + 1) for value in colour)


# ---- Animals ------------------------------------------------------------------------------------
# In units of the head: it reaches from about -1 to 1, what lies below 1 is the chest.

WINKS = 0.12
"""Share of the animals that wink."""


@dataclass(frozen=True)
class Coat:
    """The colours of an animal."""

    fur: Colour
    dark: Colour
    light: Colour
    edge: Colour
    whiskers: Colour


def _coat(rng: Generator) -> Coat:
    fur = _vary(rng, _pick(rng, FURS))
    is_dark = sum(fur) < 300
    return Coat(
        fur=fur,
        dark=blend(fur, BLACK, rng.uniform(0.3, 0.5)),
        light=blend(fur, WHITE, rng.uniform(0.5, 0.85)),
        edge=blend(fur, BLACK, 0.72),
        whiskers=blend(fur, WHITE, 0.8) if is_dark else blend(fur, BLACK, 0.8),
    )


def _fluff(pencil: Pencil, rng: Generator, coat: Coat, high: float = 0.9) -> None:
    """Draw single hairs, from the middle of the face outwards."""
    turn, far = rng.uniform(0, 2 * math.pi, 36), np.sqrt(rng.uniform(0.1, 0.72, 36))
    roots = np.stack([np.cos(turn), np.sin(turn)], axis=1) * far[:, None] * (0.9, high)
    tips = roots * rng.uniform(1.1, 1.22, (36, 1)) + (0, 0.03)
    hairs = np.stack([roots, tips], axis=1)
    pencil.strokes(hairs[:18], blend(coat.fur, coat.light, 0.35), 0.035)
    pencil.strokes(hairs[18:], blend(coat.fur, coat.dark, 0.3), 0.035)


def _chest(pencil: Pencil, rng: Generator, coat: Coat) -> None:
    outline = [(0, 0.3), (0.5, 0.55), (0.88, 1.1), (1.05, 1.7), (1.1, 2.6), (0, 2.8)]
    pencil.blob(symmetric(outline), blend(coat.fur, coat.dark, 0.25), coat.edge)
    if rng.random() < 0.6:
        pencil.blob(symmetric([(0, 0.7), (0.4, 0.95), (0.38, 1.5), (0, 2.1)]), coat.light)


def _round_eyes(
    face: Pencil, rng: Generator, coat: Coat, apart: float, y: float, size: float
) -> None:
    """Draw dark eyes, with the light in each on the same side; some animals wink."""
    wink = _side(rng) if rng.random() < WINKS else 0
    for side in (-1, 1):
        eye = face.moved(side * apart, y)
        if side == wink:
            _closed_eye(eye, coat, size)
            continue
        eye.oval(0, 0, size, size * 1.2, BLACK)
        eye.oval(-size * 0.3, -size * 0.4, size * 0.36, size * 0.36, WHITE)


def _closed_eye(eye: Pencil, coat: Coat, size: float) -> None:
    eye.curve([(-size, size * 0.2), (0, -size * 0.5), (size, size * 0.2)], coat.edge, 0.07)


def _whiskers(face: Pencil, coat: Coat, y: float, length: float) -> None:
    for half in face.halves():
        for rise in (-0.16, 0.02, 0.2):
            ends = [(0.3, y + 0.2 * rise), (0.3 + length, y + rise)]
            half.line(ends, coat.whiskers, 0.035)


def _mouth(face: Pencil, coat: Coat, y: float, wide: float) -> None:
    """Draw what hangs from the nose: a short line and two bows."""
    face.line([(0, y - 0.14), (0, y)], coat.edge, 0.05)
    for half in face.halves():
        half.curve([(0, y), (wide * 0.55, y + 0.1), (wide, y)], coat.edge, 0.05)


def _cat(head: Pencil, face: Pencil, rng: Generator, coat: Coat) -> None:
    _chest(head, rng, coat)
    if rng.random() < 0.25:
        _bow_tie(head.moved(0, 1.16), _vary(rng, _pick(rng, PAINTS)))
    tip = rng.uniform(1.3, 1.55)
    for half in head.halves():
        half.shape([(0.16, -0.72), (0.78, -tip), (1.0, -0.1)], coat.fur, coat.edge)
        half.shape([(0.42, -0.74), (0.75, -tip + 0.28), (0.88, -0.36)], PINK)
    outline = [(0, -0.84), (0.5, -0.78), (0.88, -0.36), (1.06, 0.22), (0.76, 0.68), (0.3, 0.86)]
    head.blob(symmetric([*outline, (0, 0.88)]), coat.fur, coat.edge)
    _fluff(head, rng, coat)
    _cat_markings(head, rng, coat)
    for half in face.halves():
        half.oval(0.19, 0.46, 0.27, 0.22, coat.light)
    _cat_eyes(face, rng, coat)
    face.blob([(-0.15, 0.24), (0.15, 0.24), (0, 0.4)], NOSE)
    _mouth(face, coat, 0.5, 0.3)
    _whiskers(face, coat, 0.46, rng.uniform(0.85, 1.1))


def _bow_tie(pencil: Pencil, cloth: Colour) -> None:
    edge = blend(cloth, BLACK, 0.6)
    for half in pencil.halves():
        half.shape([(0.04, 0), (0.52, -0.26), (0.52, 0.26)], cloth, edge)
    pencil.oval(0, 0, 0.13, 0.13, blend(cloth, WHITE, 0.2), edge)


def _cat_eyes(face: Pencil, rng: Generator, coat: Coat) -> None:
    iris, slit = _pick(rng, EYES), rng.uniform(0.05, 0.13)
    wink = _side(rng) if rng.random() < WINKS else 0
    for side in (-1, 1):
        eye = face.moved(side * 0.43, -0.08)
        if side == wink:
            _closed_eye(eye, coat, 0.22)
            continue
        eye.oval(0, 0, 0.25, 0.22, iris, coat.edge)
        eye.oval(0, 0, slit, 0.2, BLACK)
        eye.oval(-0.09, -0.08, 0.06, 0.06, WHITE)


def _cat_markings(head: Pencil, rng: Generator, coat: Coat) -> None:
    """Stripe the cat, give it a white blaze or a patch, or none of it."""
    style = rng.random()
    if style < 0.45:
        for x in (-0.24, 0.0, 0.24):
            head.line([(x, -0.82), (x * 0.7, -0.42)], coat.dark, 0.11)
        for half in head.halves():
            half.line([(0.98, 0.1), (0.68, 0.16)], coat.dark, 0.09)
            half.line([(0.94, 0.36), (0.66, 0.34)], coat.dark, 0.09)
    elif style < 0.65:
        head.blob([(0, -0.7), (0.16, 0.1), (0.4, 0.6), (-0.4, 0.6), (-0.16, 0.1)], coat.light)
    elif style < 0.8:
        head.moved(mirror=_side(rng)).oval(0.45, -0.12, 0.42, 0.46, coat.dark)


def _dog(head: Pencil, face: Pencil, rng: Generator, coat: Coat) -> None:
    _chest(head, rng, coat)
    if rng.random() < 0.6:
        collar = _pick(rng, PAINTS)
        head.curve([(-0.78, 0.9), (-0.4, 1.2), (0.4, 1.2), (0.78, 0.9)], collar, 0.24)
        head.oval(0, 1.36, 0.15, 0.15, (240, 200, 80), coat.edge)
    outline = [(0, -0.88), (0.5, -0.8), (0.84, -0.36), (0.84, 0.16), (0.62, 0.66), (0.36, 0.96)]
    head.blob(symmetric([*outline, (0, 1.02)]), coat.fur, coat.edge)
    _fluff(head, rng, coat)
    if rng.random() < 0.4:
        face.moved(mirror=_side(rng)).oval(0.4, -0.18, 0.34, 0.4, coat.dark)
    _muzzle_of_dog(face, rng, coat)
    _round_eyes(face, rng, coat, 0.38, -0.14, rng.uniform(0.12, 0.16))
    for half in face.halves():
        half.curve([(0.24, -0.42), (0.4, -0.5), (0.54, -0.4)], coat.dark, 0.07)
    long = rng.uniform(0.45, 0.85)
    for half in head.halves():
        ear = [(0.42, -0.82), (0.92, -0.78), (1.26, -0.2), (1.24, long), (0.96, long + 0.1)]
        half.blob([*ear, (0.8, 0.1), (0.74, -0.42)], coat.dark, coat.edge)


def _muzzle_of_dog(face: Pencil, rng: Generator, coat: Coat) -> None:
    if rng.random() < 0.35:
        face.blob([(0, -0.84), (0.14, -0.3), (0.2, 0.4), (-0.2, 0.4), (-0.14, -0.3)], coat.light)
    if rng.random() < 0.6:
        tongue = [(-0.16, 0.7), (0.16, 0.7), (0.18, 1.0), (0, 1.16), (-0.18, 1.0)]
        face.blob(tongue, TONGUE, coat.edge)
    face.blob(symmetric([(0, 0.1), (0.34, 0.2), (0.52, 0.52), (0.34, 0.8), (0, 0.8)]), coat.light)
    face.oval(0, 0.26, 0.25, 0.19, BLACK)
    face.oval(-0.08, 0.2, 0.08, 0.05, (150, 146, 150))
    _mouth(face, coat, 0.6, 0.36)


def _rabbit(head: Pencil, face: Pencil, rng: Generator, coat: Coat) -> None:
    _chest(head, rng, coat)
    long, spread = rng.uniform(1.2, 1.55), rng.uniform(4, 24)
    flops = rng.random() < 0.25
    for half in head.moved(mirror=_side(rng)).halves():
        tilt = 62 if flops else spread + rng.uniform(-6, 6)
        flops = False  # one at most
        ear = half.moved(0.4, -0.6, tilt=tilt)
        middle = -long / 2
        ear.oval(0, middle, 0.27, long / 2 + 0.15, coat.fur, coat.edge)
        ear.oval(0, middle, 0.14, long / 2 - 0.05, PINK)
    outline = [(0, -0.84), (0.48, -0.72), (0.78, -0.16), (0.98, 0.36), (0.72, 0.8), (0.3, 0.92)]
    head.blob(symmetric([*outline, (0, 0.94)]), coat.fur, coat.edge)
    _fluff(head, rng, coat)
    if rng.random() < 0.4:
        face.blob([(0, -0.76), (0.12, -0.1), (0.3, 0.4), (-0.3, 0.4), (-0.12, -0.1)], coat.light)
    face.shape([(-0.15, 0.5), (0.15, 0.5), (0.13, 0.84), (-0.13, 0.84)], WHITE, coat.edge)
    face.line([(0, 0.55), (0, 0.82)], coat.edge, 0.03)
    for half in face.halves():
        half.oval(0.22, 0.42, 0.27, 0.21, coat.light)
        half.oval(0.68, 0.3, 0.14, 0.1, blend(coat.fur, PINK, 0.7))
    _round_eyes(face, rng, coat, 0.46, -0.12, rng.uniform(0.15, 0.19))
    face.blob([(-0.13, 0.2), (0.13, 0.2), (0, 0.36)], NOSE)
    face.line([(0, 0.34), (0, 0.5)], coat.edge, 0.05)


def _mouse(head: Pencil, face: Pencil, rng: Generator, coat: Coat) -> None:
    _chest(head.moved(0, 0.1, 0.75), rng, coat)
    big = rng.uniform(0.62, 0.76)
    for half in head.halves():
        half.oval(0.94, -0.72, big, big, coat.fur, coat.edge)
        half.oval(0.96, -0.7, big * 0.7, big * 0.7, PINK)
    outline = [(0, -0.8), (0.54, -0.68), (0.84, -0.14), (0.66, 0.4), (0.34, 0.8)]
    head.blob(symmetric([*outline, (0, 1.0)]), coat.fur, coat.edge)
    _fluff(head, rng, coat, 0.7)
    face.blob(symmetric([(0, 0.34), (0.36, 0.54), (0.24, 0.86), (0, 0.94)]), coat.light)
    _whiskers(face, coat, 0.6, rng.uniform(0.75, 1.0))
    _round_eyes(face, rng, coat, 0.37, 0.02, rng.uniform(0.13, 0.17))
    face.oval(0, 0.8, 0.15, 0.12, NOSE, coat.edge)
    face.oval(-0.05, 0.76, 0.05, 0.03, WHITE)


def _owl(head: Pencil, face: Pencil, rng: Generator, coat: Coat) -> None:
    body = [(0, -0.86), (0.6, -0.9), (0.98, -0.3), (0.98, 0.4), (1.08, 1.2), (0.8, 2.0), (0, 2.2)]
    for half in head.halves():
        half.shape([(0.3, -0.84), (1.02, -1.32), (0.98, -0.3)], coat.fur, coat.edge)
    head.blob(symmetric(body), coat.fur, coat.edge)
    head.oval(0, 1.35, 0.68, 0.82, coat.light)
    for row in range(4):
        for column in range(-2, 3):
            x, y = column * 0.26 + (row % 2) * 0.13, 0.75 + row * 0.28
            scallop = [(x - 0.1, y), (x, y + 0.1), (x + 0.1, y)]
            head.curve(scallop, coat.dark, 0.05)
    for half in head.halves():
        wing = [(0.84, 0.36), (1.16, 0.9), (1.14, 1.7), (0.86, 2.2), (0.64, 1.3)]
        half.blob(wing, coat.dark, coat.edge)
    iris, size = _pick(rng, OWL_EYES), rng.uniform(0.28, 0.34)
    for side in (-1, 1):
        face.oval(side * 0.44, -0.16, 0.52, 0.52, coat.light, coat.dark)
    for side in (-1, 1):
        face.oval(side * 0.44, -0.16, size, size, iris, coat.edge)
        face.oval(side * 0.44, -0.16, size * 0.56, size * 0.56, BLACK)
        face.oval(side * 0.44 - 0.08, -0.26, 0.07, 0.07, WHITE)
    face.blob([(-0.15, 0.06), (0.15, 0.06), (0, 0.46)], (232, 164, 52), coat.edge)
    for half in face.halves():
        half.shape(
            [(0.0, -0.42), (0.46, -0.74), (0.98, -0.78), (0.5, -0.6), (0.04, -0.22)],
            coat.dark,
            None,
        )


def _bear(head: Pencil, face: Pencil, rng: Generator, coat: Coat) -> None:
    _chest(head, rng, coat)
    for half in head.halves():
        half.oval(0.74, -0.7, 0.36, 0.36, coat.fur, coat.edge)
        half.oval(0.76, -0.66, 0.2, 0.2, coat.dark)
    head.oval(0, 0, 1.02, 0.92, coat.fur, coat.edge)
    _fluff(head, rng, coat)
    face.oval(0, 0.42, 0.46, 0.36, coat.light)
    face.oval(0, 0.26, 0.2, 0.14, BLACK)
    face.oval(-0.06, 0.22, 0.06, 0.04, (150, 146, 150))
    _mouth(face, coat, 0.5, 0.24)
    _round_eyes(face, rng, coat, 0.38, -0.12, rng.uniform(0.1, 0.13))


_HEADS = {
    "cat": (_cat, 0.02, 0.56),
    "dog": (_dog, -0.1, 0.58),
    "rabbit": (_rabbit, 0.3, 0.46),
    "mouse": (_mouse, 0.05, 0.54),
    "owl": (_owl, -0.16, 0.56),
    "bear": (_bear, -0.02, 0.58),
}
"""Who draws an animal, where its head is from the top down, and the size of the head."""


def _draw_animal(pencil: Pencil, rng: Generator, kind: str) -> None:
    draw_head, y, size = _HEADS[kind]
    posed = pencil.moved(
        rng.uniform(-0.14, 0.14), y + rng.uniform(-0.06, 0.12), size * rng.uniform(0.8, 1.14)
    )
    head = posed.moved(tilt=rng.uniform(-20, 20))
    face = head.moved(rng.uniform(-0.12, 0.12), rng.uniform(-0.06, 0.08))  # looks that way
    draw_head(head, face, rng, _coat(rng))


# ---- Things -------------------------------------------------------------------------------------
# In units of half the picture's width.


def _car(pencil: Pencil, rng: Generator) -> None:
    paint = _vary(rng, _pick(rng, PAINTS))
    edge, roof = blend(paint, BLACK, 0.65), rng.uniform(0.36, 0.52)
    cabin = [(-0.52, -0.05), (-0.34, -roof), (0.3, -roof), (0.58, -0.02)]
    pencil.shape(cabin, paint, edge)
    pencil.shape(
        [(-0.42, -0.06), (-0.3, -roof + 0.08), (-0.04, -roof + 0.08), (-0.04, -0.06)], GLASS, edge
    )
    pencil.shape(
        [(0.05, -0.06), (0.05, -roof + 0.08), (0.26, -roof + 0.08), (0.46, -0.04)], GLASS, edge
    )
    body = [(-0.84, 0.3), (-0.86, 0.02), (-0.6, -0.1), (0.5, -0.1), (0.84, 0.04), (0.88, 0.32)]
    pencil.blob([*body, (0, 0.36)], paint, edge)
    pencil.oval(0.8, 0.1, 0.06, 0.08, (255, 236, 150), edge)
    pencil.oval(-0.82, 0.12, 0.05, 0.07, (200, 40, 40))
    pencil.line([(-0.0, -0.02), (0.0, 0.3)], edge, 0.02)
    for x in (-0.46, 0.5):
        pencil.oval(x, 0.34, 0.21, 0.21, BLACK)
        pencil.oval(x, 0.34, 0.1, 0.1, (186, 188, 194))


def _house(pencil: Pencil, rng: Generator) -> None:
    wall, roof = _two_paints(rng)
    edge, wide = blend(wall, BLACK, 0.65), rng.uniform(0.52, 0.66)
    pencil.shape([(0.26, -0.25), (0.26, -0.8), (0.44, -0.8), (0.44, -0.2)], roof, edge)
    pencil.shape([(-wide, -0.1), (wide, -0.1), (wide, 0.76), (-wide, 0.76)], wall, edge)
    eaves = wide + 0.16
    pencil.shape([(-eaves, -0.06), (0, -rng.uniform(0.74, 0.9)), (eaves, -0.06)], roof, edge)
    pencil.shape([(-0.14, 0.76), (-0.14, 0.26), (0.14, 0.26), (0.14, 0.76)], WOOD, edge)
    light = GLASS if rng.random() < 0.6 else (255, 232, 140)
    for x in (0.5 * wide + 0.08, -0.5 * wide - 0.08):
        window = pencil.moved(x, 0.24)
        window.shape([(-0.13, -0.13), (0.13, -0.13), (0.13, 0.13), (-0.13, 0.13)], light, edge)
        window.line([(0, -0.13), (0, 0.13)], edge, 0.03)
        window.line([(-0.13, 0), (0.13, 0)], edge, 0.03)


def _tree(pencil: Pencil, rng: Generator) -> None:
    green = _vary(rng, _pick(rng, GREENS))
    edge = blend(green, BLACK, 0.6)
    trunk = [(-0.1, 0.0), (0.1, 0.0), (0.12, 0.7), (0.24, 0.9), (-0.24, 0.9), (-0.12, 0.7)]
    pencil.shape(trunk, _vary(rng, WOOD), blend(WOOD, BLACK, 0.6))
    if rng.random() < 0.4:
        for wide, top in ((0.66, -0.16), (0.54, -0.5), (0.4, -0.84)):
            fir = [(-wide, top + 0.66), (0, top - 0.04), (wide, top + 0.66)]
            pencil.shape(fir, green, edge)
        return
    places = ((-0.4, -0.06), (0.4, -0.06), (-0.28, -0.44), (0.3, -0.44), (0, -0.62), (0, -0.2))
    for x, y in places:
        pencil.oval(x, y, 0.33, 0.3, green, edge)
    for x, y in places:
        pencil.oval(x, y, 0.31, 0.28, _vary(rng, green, 10))
    if rng.random() < 0.5:
        fruit = _pick(rng, PAINTS)
        for _ in range(7):
            pencil.oval(rng.uniform(-0.5, 0.5), rng.uniform(-0.7, 0.1), 0.07, 0.07, fruit)


def _fish(pencil: Pencil, rng: Generator) -> None:
    paint, fin = _two_paints(rng)
    edge, high = blend(paint, BLACK, 0.65), rng.uniform(0.34, 0.5)
    tail = [(0.4, 0.0), (0.88, -0.42), (0.76, 0.0), (0.88, 0.42)]
    pencil.shape(tail, fin, edge)
    pencil.blob([(-0.3, -high + 0.06), (0.0, -high - 0.26), (0.3, -0.2)], fin, edge)
    back = [(-0.82, 0.02), (-0.36, -high), (0.2, -high * 0.8), (0.56, 0)]
    pencil.blob([*back, (0.2, high * 0.8), (-0.36, high)], paint, edge)
    for x in (-0.16, 0.06, 0.28):
        bow = [(x, -high * 0.5), (x + 0.1, 0.0), (x, high * 0.5)]
        pencil.curve(bow, blend(paint, WHITE, 0.5), 0.06)
    pencil.blob([(-0.2, 0.08), (0.08, 0.1), (0.0, 0.3)], fin, edge)
    pencil.oval(-0.5, -0.1, 0.12, 0.12, WHITE, edge)
    pencil.oval(-0.52, -0.1, 0.06, 0.06, BLACK)
    pencil.curve([(-0.76, 0.12), (-0.66, 0.16), (-0.56, 0.14)], edge, 0.04)


def _cup(pencil: Pencil, rng: Generator) -> None:
    paint, band = _two_paints(rng)
    edge = blend(paint, BLACK, 0.6)
    pencil.oval(0, 0.66, 0.84, 0.18, blend(paint, BLACK, 0.12), edge)
    handle = pencil.moved(mirror=_side(rng))
    handle.curve([(0.44, -0.08), (0.78, -0.1), (0.78, 0.28), (0.4, 0.36)], edge, 0.2)
    handle.curve([(0.44, -0.08), (0.78, -0.1), (0.78, 0.28), (0.4, 0.36)], paint, 0.12)
    body = [(0.54, -0.24), (0.54, 0.06), (0.5, 0.28), (0.42, 0.48), (0.28, 0.62), (0, 0.68)]
    pencil.shape(symmetric([(0, -0.24), *body]), paint, edge)
    pencil.shape([(-0.52, 0.04), (0.52, 0.04), (0.49, 0.2), (-0.49, 0.2)], band)
    pencil.oval(0, -0.24, 0.54, 0.15, blend(paint, WHITE, 0.4), edge)
    pencil.oval(0, -0.22, 0.45, 0.1, (92, 58, 36))
    steam = rng.uniform(0.05, 0.12)
    for x in (-0.24, 0.0, 0.24):
        wave = [(x, -0.36), (x + steam, -0.5), (x - steam, -0.66), (x + steam * 0.5, -0.84)]
        pencil.curve(wave, (236, 238, 242), 0.07)


def _ball(pencil: Pencil, rng: Generator) -> None:
    paint, other = _two_paints(rng)
    edge = blend(paint, BLACK, 0.65)
    pencil.oval(0.05, 0.66, 0.6, 0.1, (60, 60, 62))
    ball = pencil.moved(tilt=rng.uniform(0, 360))
    ball.oval(0, 0, 0.64, 0.64, paint)
    if rng.random() < 0.5:  # a beach ball
        ring = CIRCLE * 0.64
        for start in (0, 12, 24):
            ball.shape([(0.1, 0.06), *ring[start : start + 7]], other)
        ball.oval(0.1, 0.06, 0.1, 0.1, WHITE)
    else:  # a football
        for turn in range(5):
            spot = ball.moved(tilt=72 * turn)
            spot.line([(0, 0), (0, -0.42)], edge, 0.04)
            spot.shape(
                [(-0.14, -0.6), (0.14, -0.6), (0.1, -0.46), (0, -0.38), (-0.1, -0.46)], BLACK
            )
        ball.shape(CIRCLE[::7] * 0.2, BLACK)
    ball.line([*(CIRCLE * 0.64), (0.64, 0)], edge, 0.05)
    pencil.oval(-0.24, -0.28, 0.13, 0.1, blend(paint, WHITE, 0.75))


def _boat(pencil: Pencil, rng: Generator) -> None:
    hull, sail = _vary(rng, _pick(rng, PAINTS)), _vary(rng, _pick(rng, (WHITE, *PAINTS)))
    edge = blend(hull, BLACK, 0.65)
    pencil.line([(0, 0.32), (0, -0.88)], WOOD, 0.08)
    pencil.shape([(0.07, -0.82), (0.07, 0.16), (0.68, 0.16)], sail, blend(sail, BLACK, 0.5))
    jib = blend(sail, hull, 0.4)
    pencil.shape([(-0.07, -0.62), (-0.07, 0.16), (-0.5, 0.16)], jib, blend(sail, BLACK, 0.5))
    pencil.shape([(-0.82, 0.28), (0.82, 0.28), (0.56, 0.66), (-0.56, 0.66)], hull, edge)
    pencil.line([(-0.7, 0.42), (0.7, 0.42)], blend(hull, WHITE, 0.7), 0.06)
    water = (70, 134, 190)
    for x in (-0.75, -0.25, 0.25, 0.75):
        wave = [(x - 0.25, 0.64), (x - 0.1, 0.72), (x + 0.1, 0.72), (x + 0.25, 0.64)]
        pencil.curve(wave, water, 0.12)


def _flower(pencil: Pencil, rng: Generator) -> None:
    paint, green = _vary(rng, _pick(rng, PAINTS)), _vary(rng, _pick(rng, GREENS))
    edge = blend(paint, BLACK, 0.55)
    pencil.curve([(0, -0.2), (0.05, 0.4), (0, 1.0)], green, 0.12)
    for half in pencil.halves():
        half.blob(
            [(0.04, 0.76), (0.3, 0.42), (0.56, 0.4), (0.36, 0.7)], green, blend(green, BLACK, 0.5)
        )
    petals = int(rng.integers(5, 9))
    bloom = pencil.moved(0, -0.28, tilt=rng.uniform(0, 72))
    for number in range(petals):
        petal = bloom.moved(tilt=360 * number / petals)
        petal.oval(0, -0.36, 0.9 / petals + 0.04, 0.27, paint, edge)
    bloom.oval(0, 0, 0.21, 0.21, _pick(rng, ((246, 204, 64), (120, 76, 40))), edge)


_THINGS: dict[str, Callable[[Pencil, Generator], None]] = {
    "car": _car,
    "house": _house,
    "tree": _tree,
    "fish": _fish,
    "cup": _cup,
    "ball": _ball,
    "boat": _boat,
    "flower": _flower,
}


def _draw_thing(pencil: Pencil, rng: Generator, kind: str) -> None:
    posed = pencil.moved(
        rng.uniform(-0.12, 0.12),
        rng.uniform(-0.1, 0.1),
        rng.uniform(0.7, 1.0),
        rng.uniform(-14, 14),
        _side(rng),
    )
    _THINGS[kind](posed, rng)


# ---- Backgrounds --------------------------------------------------------------------------------


@functools.cache
def _textures() -> tuple[Image.Image, ...]:
    """Photographs of surfaces that ship with scikit-image, gray, 512 x 512."""
    return tuple(
        Image.fromarray(getattr(skimage.data, name)()) for name in ("brick", "grass", "gravel")
    )


def _background(rng: Generator, side: int) -> Image.Image:
    """Return a photographed surface, a meadow, wallpaper, or a colour that changes slowly."""
    style = rng.random()
    if style < 0.35:
        return _surface(rng, side)
    if style < 0.55:
        return _meadow(rng, side)
    if style < 0.7:
        return _wallpaper(rng, side)
    return _gradient(_any_colour(rng), _any_colour(rng), rng.uniform(0, 2 * math.pi), side)


def _any_colour(rng: Generator) -> Colour:
    red, green, blue = rng.integers(30, 236, 3).tolist()
    return red, green, blue


def _gradient(start: Colour, end: Colour, direction: float, side: int) -> Image.Image:
    """Return a picture that changes from one colour to another in a direction, in radians."""
    across = math.cos(direction), math.sin(direction)
    reach = abs(across[0]) + abs(across[1])
    corners = [
        blend(start, end, 0.5 + (x * across[0] + y * across[1]) / (2 * reach))
        for y in (-1, 1)
        for x in (-1, 1)
    ]
    four = Image.fromarray(np.array(corners, np.uint8).reshape(2, 2, 3))
    return four.resize((side, side), Image.Resampling.BILINEAR, (0.5, 0.5, 1.5, 1.5))


def _surface(rng: Generator, side: int) -> Image.Image:
    texture = _textures()[int(rng.integers(3))]
    cut = rng.uniform(96, 320)
    left, top = rng.uniform(0, 512 - cut, 2)
    box = (left, top, left + cut, top + cut)
    gray = texture.resize((side, side), Image.Resampling.BILINEAR, box)
    colour = _any_colour(rng)
    return ImageOps.colorize(gray, blend(colour, BLACK, 0.7), blend(colour, WHITE, 0.6))


def _meadow(rng: Generator, side: int) -> Image.Image:
    sky = _vary(rng, _pick(rng, SKIES))
    canvas = _gradient(sky, blend(sky, WHITE, 0.6), math.pi / 2, side)
    pencil = Pencil.on(canvas)
    if rng.random() < 0.5:
        pencil.oval(rng.uniform(-0.9, 0.9), rng.uniform(-0.9, -0.4), 0.2, 0.2, (255, 240, 180))
    for _ in range(2):
        hill = _vary(rng, _pick(rng, GREENS), 24)
        pencil.oval(rng.uniform(-1, 1), rng.uniform(1.2, 1.5), 1.8, rng.uniform(0.7, 1.1), hill)
    return canvas


def _wallpaper(rng: Generator, side: int) -> Image.Image:
    ground = _any_colour(rng)
    canvas = Image.new("RGB", (side, side), ground)
    pencil = Pencil.on(canvas).moved(tilt=rng.uniform(-45, 45))
    motif = blend(ground, _pick(rng, (WHITE, BLACK)), rng.uniform(0.2, 0.5))
    places = np.arange(-1.6, 1.6, rng.uniform(0.28, 0.5)).tolist()
    has_stripes = rng.random() < 0.5
    for x in places:
        if has_stripes:
            pencil.line([(x, -1.6), (x, 1.6)], motif, 0.12)
            continue
        for y in places:
            pencil.oval(x, y, 0.09, 0.09, motif)
    return canvas


# ---- Pictures -----------------------------------------------------------------------------------


def draw(kind: str, seed: int, size: int = 32) -> Tensor:
    """Draw one picture.

    Args:
        kind: one of `ANIMALS`, `NEAR`, `THINGS`.
        seed: makes the picture, 0 or more. Seeds below 3,000,000 are those of `images`.
        size: of a side in pixels, from 8 to 512. Another size gives the same drawing, only the
            noise differs.

    Returns:
        (3, size, size) uint8, RGB.

    Raises:
        ValueError: there is no such kind; a seed below 0; a size out of range.

    Example:
        >>> draw("cat", seed=7).shape
        torch.Size([3, 32, 32])
    """
    _check_kinds([kind])
    if seed < 0 or not 8 <= size <= LARGEST:
        raise ValueError(
            f"Expected a seed from 0 and a size of 8 to {LARGEST} pixels; got {seed} and {size}."
        )
    return torch.from_numpy(_picture(kind, seed, size).transpose(2, 0, 1).copy())


def images(kinds: Sequence[str], split: str, count: int, size: int = 32) -> tuple[Tensor, Tensor]:
    """Draw many pictures, each kind in its turn.

    The number of a picture alone decides on it: the first pictures of a larger count are those of
    a smaller one. No seed belongs to two splits.

    Args:
        kinds: what is drawn, from `ANIMALS`, `NEAR`, `THINGS`; their order is that of the labels.
        split: `train`, `validation` or `test`.
        count: of all pictures together, from 1 to 1,000,000 a kind.
        size: of a side in pixels, as for `draw`.

    Returns:
        Pictures (count, 3, size, size) uint8, labels (count,) int64.

    Raises:
        ValueError: no kinds, an unknown or repeated one; no such split; a count or size out of
            range.
    """
    _check_kinds(kinds)
    if split not in SPLITS:
        raise ValueError(f"No split is named {split!r}; there are {', '.join(SPLITS)}.")
    if not 1 <= count <= SPLIT_SIZE * len(kinds) or not 8 <= size <= LARGEST:
        raise ValueError(
            f"Expected 1 to {SPLIT_SIZE} pictures of each kind, of 8 to {LARGEST} pixels; got "
            f"{count} of {len(kinds)} kinds, of {size} pixels."
        )
    first = SPLITS.index(split) * SPLIT_SIZE
    labels = torch.arange(count) % len(kinds)
    pictures = np.empty((count, size, size, 3), np.uint8)
    for number in range(count):
        round_number, label = divmod(number, len(kinds))
        pictures[number] = _picture(kinds[label], first + round_number, size)
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()), labels


def _check_kinds(kinds: Sequence[str]) -> None:
    known = (*ANIMALS, *NEAR, *THINGS)
    if isinstance(kinds, str) or not kinds or len(set(kinds)) < len(kinds):
        raise ValueError(f"Expected a tuple of kinds, each once; got {kinds!r}.")
    for kind in kinds:
        if kind not in known:
            raise ValueError(f"No kind is named {kind!r}; there are {', '.join(known)}.")


def _picture(kind: str, seed: int, size: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    canvas = _background(rng, size * OVERSAMPLING)
    draw_kind = _draw_animal if kind in _HEADS else _draw_thing
    draw_kind(Pencil.on(canvas), rng, kind)
    small = canvas.resize((size, size), Image.Resampling.LANCZOS)
    return _taken(small, rng)


def _taken(drawing: Image.Image, rng: Generator) -> NDArray[np.uint8]:
    """Return the pixels with another contrast, brightness and noise."""
    contrast, brightness = rng.uniform(0.75, 1.15), rng.uniform(-25, 25)
    noise = rng.uniform(0, 6) * rng.standard_normal((*drawing.size, 3), np.float32)
    pixels = (np.asarray(drawing, np.float32) - 128) * contrast + 128 + brightness + noise
    return pixels.clip(0, 255).round().astype(np.uint8)
