"""A pencil that draws flat shapes, straight or curved, on a picture: what `zoo` draws with.

Pillow draws without smooth edges; draw larger and shrink.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

_TURN = np.linspace(0, 2 * math.pi, 36, endpoint=False)
CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
"""(36, 2): points around a circle of radius 1."""

_STEPS = np.linspace(0, 1, 6, endpoint=False)[:, None]
_CATMULL_ROM = (
    np.concatenate(
        [
            -_STEPS + 2 * _STEPS**2 - _STEPS**3,
            2 - 5 * _STEPS**2 + 3 * _STEPS**3,
            _STEPS + 4 * _STEPS**2 - 3 * _STEPS**3,
            -(_STEPS**2) + _STEPS**3,
        ],
        axis=1,
    )
    / 2
)
"""(6, 4): four points in a row -> six points of a smooth curve between the middle two."""


class Pencil:
    """Draws on a picture, in units of its own: x to the right, y down, (0, 0) its own place.

    Args:
        canvas: is drawn on.
        place: (2,), where (0, 0) is, in pixels.
        axes: (2, 2), in pixels: one unit to the right, one unit down.
    """

    EDGE = 0.05
    """Width of a shape's edge."""

    def __init__(self, canvas: ImageDraw.ImageDraw, place: NDArray, axes: NDArray) -> None:
        self._canvas = canvas
        self._place = place
        self._axes = axes

    @classmethod
    def on(cls, picture: Image.Image) -> Pencil:
        """Return a pencil in the middle of a square picture, with half its side as the unit."""
        half = picture.width / 2
        return cls(ImageDraw.Draw(picture), np.full(2, half), np.eye(2) * half)

    def moved(
        self, x: float = 0.0, y: float = 0.0, scale: float = 1.0, tilt: float = 0.0, mirror: int = 1
    ) -> Pencil:
        """Return a pencil whose place is (x, y) of this one.

        Args:
            x: of the place.
            y: of the place.
            scale: its unit in this one's.
            tilt: by how many degrees it is turned clockwise.
            mirror: -1 where its x points to the left.
        """
        cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
        turn = np.array([[cos, sin], [-sin, cos]]) * scale * np.array([[mirror], [1]])
        place = self._place + np.array([x, y]) @ self._axes
        return Pencil(self._canvas, place, turn @ self._axes)

    def halves(self) -> tuple[Pencil, Pencil]:
        """Return pencils for the right half, and for the left one in a mirror."""
        return self, self.moved(mirror=-1)

    def shape(
        self, points: Sequence[Point] | NDArray, fill: Colour, edge: Colour | None = None
    ) -> None:
        """Draw a polygon, with a line along it where `edge` is given."""
        flat = (np.asarray(points) @ self._axes + self._place).ravel().tolist()
        self._canvas.polygon(flat, fill)
        if edge:
            self._canvas.line(flat + flat[:4], edge, self._pixels(self.EDGE), "curve")

    def blob(self, points: Sequence[Point], fill: Colour, edge: Colour | None = None) -> None:
        """Draw a smooth closed curve through points."""
        corners = np.asarray(points)
        four = corners[(np.arange(len(corners))[:, None] + np.arange(-1, 3)) % len(corners)]
        self.shape((_CATMULL_ROM @ four).reshape(-1, 2), fill, edge)

    def oval(
        self,
        x: float,
        y: float,
        wide: float,
        high: float,
        fill: Colour,
        edge: Colour | None = None,
    ) -> None:
        """Draw an ellipse of half axes `wide` and `high`."""
        self.shape(CIRCLE * (wide, high) + (x, y), fill, edge)

    def line(self, points: Sequence[Point] | NDArray, colour: Colour, width: float = 0.05) -> None:
        """Draw straight lines from point to point."""
        flat = (np.asarray(points) @ self._axes + self._place).ravel().tolist()
        self._canvas.line(flat, colour, self._pixels(width), "curve" if len(flat) > 4 else None)

    def strokes(self, ends: NDArray, colour: Colour, width: float) -> None:
        """Draw straight lines that do not touch: (N, 2, 2), the two ends of each."""
        for flat in (ends @ self._axes + self._place).reshape(-1, 4).tolist():
            self._canvas.line(flat, colour, self._pixels(width))

    def curve(self, points: Sequence[Point], colour: Colour, width: float = 0.05) -> None:
        """Draw a smooth open curve through points."""
        ends = np.asarray([points[0], *points, points[-1]])
        four = ends[np.arange(len(points) - 1)[:, None] + np.arange(4)]
        self.line([*(_CATMULL_ROM @ four).reshape(-1, 2), ends[-1]], colour, width)

    def _pixels(self, width: float) -> int:
        return max(1, round(width * math.hypot(*self._axes[0])))


def symmetric(half: Sequence[Point]) -> list[Point]:
    """Return a closed outline from its right half, from top to bottom."""
    return [*half, *((-x, y) for x, y in reversed(half) if x)]


def blend(colour: Colour, other: Colour, share: float) -> Colour:
    """Return a colour with a share of another one in it."""
    return clipped(a + (b - a) * share for a, b in zip(colour, other, strict=True))


def clipped(values: Iterable[float]) -> Colour:
    """Return three values as a colour: whole levels from 0 to 255."""
    red, green, blue = (min(max(int(value), 0), 255) for value in values)
    return red, green, blue
