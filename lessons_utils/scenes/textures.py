"""Textures of the scenes: drawn by rule, or photographs that ship inside scikit-image's wheel.

A texture is a square picture that repeats in both directions. A `TextureBank` keeps each at all
its sizes (256, 128, ..., 1 pixels: the mip levels), so that a far surface shows its mean colour
instead of flicker. Pictures enter in sRGB, as one would draw them, and are kept in linear light,
in which lamps may be added up.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import skimage.data
from numpy.typing import NDArray

Array = NDArray[np.float32]

SIDE = 256
"""Pixels along each side of a texture at its full size."""

GAMMA = 2.2
"""linear light = sRGB value ** GAMMA, near enough."""

LEVELS = SIDE.bit_length()

PICTURES = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "camera", "moon")
"""scikit-image's photographs that hang on walls."""


def to_linear(colour: NDArray | tuple | list) -> Array:
    """Return sRGB values in [0, 1] as linear light, float32 of the same shape."""
    return (np.clip(np.asarray(colour, np.float32), 0, None) ** GAMMA).astype(np.float32)


class TextureBank:
    """A set of textures by name, ready to be looked up for many points at once.

    Args:
        pictures: name -> (256, 256, 3) sRGB values in [0, 1].
        blend: mix the two sizes that fit best, so that nothing jumps while a camera comes nearer.

    Raises:
        ValueError: a picture has another shape.
    """

    def __init__(self, pictures: Mapping[str, NDArray], blend: bool = False) -> None:
        self.blend = blend
        self.names = tuple(pictures)
        self._index = {name: index for index, name in enumerate(self.names)}
        level = []
        for name, picture in pictures.items():
            if np.shape(picture) != (SIDE, SIDE, 3):
                raise ValueError(
                    f"Texture {name!r} must be ({SIDE}, {SIDE}, 3), not {np.shape(picture)}."
                )
            level.append(to_linear(np.clip(picture, 0, 1)))
        stack = np.stack(level)
        levels = []
        while stack.shape[1] > 1:
            levels.append(stack.reshape(-1, 3))
            half = stack.shape[1] // 2
            stack = stack.reshape(-1, half, 2, half, 2, 3).mean(axis=(2, 4))
        levels.append(stack.reshape(-1, 3))
        self._texels = np.concatenate(levels)
        counts = [len(texels) for texels in levels]
        self._starts = np.cumsum([0, *counts[:-1]]).astype(np.int32)

    def index(self, name: str) -> int:
        """Return the number of a texture.

        Raises:
            ValueError: the bank has no texture of that name.
        """
        if name not in self._index:
            raise ValueError(f"No texture {name!r}; there are {', '.join(self.names)}.")
        return self._index[name]

    def sample(
        self, texture: NDArray, u: Array, v: Array, footprint: Array, clamp: NDArray
    ) -> Array:
        """Look textures up, between the four nearest pixels of the level that fits.

        Args:
            texture: (N,) numbers of textures.
            u: (N,) position to the right, in repeats of the texture.
            v: (N,) position downwards, in repeats of the texture.
            footprint: (N,) how much of the texture one pixel of the frame covers, in repeats.
            clamp: (N,) bool, True where the texture does not repeat (a picture in its frame).

        Returns:
            (N, 3) linear light in [0, 1].
        """
        level = np.clip(np.log2(np.maximum(footprint * SIDE, 1)) + 0.3, 0, LEVELS - 1)
        if not self.blend:
            return self._at(level.astype(np.int32), texture, u, v, clamp)
        first = np.minimum(level, LEVELS - 1.001).astype(np.int32)
        part = (level - first).astype(np.float32)
        colour = self._at(first, texture, u, v, clamp)
        mixed = np.flatnonzero(part > 0)
        nearby = (a[mixed] for a in (first + 1, texture, u, v, clamp))
        colour[mixed] = _mix(colour[mixed], self._at(*nearby), part[mixed][:, None])
        return colour

    def _at(self, level: NDArray, texture: NDArray, u: Array, v: Array, clamp: NDArray) -> Array:
        """Look textures up at one level each."""
        side = np.right_shift(SIDE, level)
        x, left, right = _neighbours(u, side, clamp)
        y, above, below = _neighbours(v, side, clamp)
        start = self._starts[level] + texture.astype(np.int32) * side * side
        above, below = start + above * side, start + below * side
        upper = _mix(self._texels[above + left], self._texels[above + right], x)
        lower = _mix(self._texels[below + left], self._texels[below + right], x)
        return _mix(upper, lower, y)


def _neighbours(u: Array, side: NDArray, clamp: NDArray) -> tuple[Array, NDArray, NDArray]:
    """Return how far each position lies between two pixels, and these pixels' numbers."""
    half = 0.5 / side
    inside = np.clip(u, half, 1 - half)
    position = np.where(clamp, inside, u - np.floor(u)) * side - 0.5
    first = np.floor(position)
    part = (position - first).astype(np.float32)[:, None]
    first = first.astype(np.int32)
    return part, first & (side - 1), (first + 1) & (side - 1)


def _mix(a: Array, b: Array, part: Array) -> Array:
    return a + (b - a) * part


# Drawing ----------------------------------------------------------------------------------------


def noise(
    rng: np.random.Generator, start: int = 4, octaves: int = 6, stretch: int = 1
) -> NDArray[np.float64]:
    """Draw smooth noise that repeats: a sum of ever finer random grids, each half as strong.

    Args:
        rng: source of the randomness.
        start: cells along the side of the coarsest grid.
        octaves: number of grids, each twice as fine as the one before.
        stretch: how many times longer the blots are downwards than across (wood grain).

    Returns:
        (256, 256), mean about 0, standard deviation 1.
    """
    total = np.zeros((SIDE, SIDE))
    for octave in range(octaves):
        columns = start * 2**octave
        rows = max(2, columns // stretch)
        if columns > SIDE:
            break
        grid = rng.standard_normal((rows, columns))
        total += 0.5**octave * _enlarge(_enlarge(grid, axis=0), axis=1)
    return total / total.std()


def _enlarge(grid: NDArray, axis: int) -> NDArray:
    """Stretch a periodic grid to the texture's side along one axis, smoothly."""
    cells = grid.shape[axis]
    position = np.arange(SIDE) * cells / SIDE
    first = position.astype(int)
    part = position - first
    part = (part * part * (3 - 2 * part))[:, None] if axis == 0 else part * part * (3 - 2 * part)
    near, far = np.take(grid, first, axis), np.take(grid, (first + 1) % cells, axis)
    return near * (1 - part) + far * part


def _gray(values: NDArray) -> NDArray:
    return np.repeat(values[..., None], 3, axis=2)


def _tinted(values: NDArray, colour: tuple) -> NDArray:
    return values[..., None] * np.asarray(colour)


def _across() -> tuple[NDArray, NDArray]:
    """Return y and x of every pixel, in [0, 1)."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    return y, x


def _plasters(rng: np.random.Generator) -> dict[str, NDArray]:
    strengths = (0.012, 0.025, 0.045)
    return {f"plaster{i}": _gray(0.93 + s * noise(rng)) for i, s in enumerate(strengths)}


WOODS = ((0.58, 0.40, 0.25), (0.76, 0.59, 0.41), (0.40, 0.27, 0.18), (0.84, 0.74, 0.58))


def _woods(rng: np.random.Generator) -> dict[str, NDArray]:
    """Boards that run downwards (`boards0`..) and wood without joints (`wood0`..)."""
    _, x = _across()
    drawn = {}
    for i, colour in enumerate(WOODS):
        count = int(rng.integers(4, 8))
        board = (x * count).astype(int)
        tone = rng.uniform(0.82, 1.08, count)[board]
        joint = 1 - 0.45 * ((x * count) % 1 < 0.035)
        drawn[f"boards{i}"] = _tinted(tone * joint * (1 + 0.07 * noise(rng, 16, 5, 8)), colour)
        drawn[f"wood{i}"] = _tinted(0.96 + 0.07 * noise(rng, 16, 5, 8), colour)
    return drawn


def _parquet(rng: np.random.Generator) -> NDArray:
    """Small boards laid in squares, every other square turned."""
    y, x = _across()
    turned = ((x * 4).astype(int) + (y * 4).astype(int)) % 2 == 0
    across = np.where(turned, x, y) * 16
    along = np.where(turned, y, x) * 4
    tone = rng.uniform(0.8, 1.1, (16, 4))[across.astype(int), along.astype(int)]
    joint = 1 - 0.35 * ((across % 1 < 0.08) | (along % 1 < 0.02))
    return _tinted(tone * joint * (1 + 0.05 * noise(rng, 16)), (0.66, 0.47, 0.29))


def _tiles(rng: np.random.Generator) -> dict[str, NDArray]:
    y, x = _across()
    colours = ((0.90, 0.90, 0.88), (0.62, 0.66, 0.69), (0.76, 0.62, 0.50))
    drawn = {}
    for i, (colour, count) in enumerate(zip(colours, (4, 6, 5), strict=True)):
        tone = rng.uniform(0.88, 1.05, (count, count))[
            (y * count).astype(int), (x * count).astype(int)
        ]
        joint = 1 - 0.35 * (((x * count) % 1 < 0.05) | ((y * count) % 1 < 0.05))
        drawn[f"tiles{i}"] = _tinted(tone * joint * (1 + 0.02 * noise(rng)), colour)
    chess = ((x * 4).astype(int) + (y * 4).astype(int)) % 2
    drawn["chess"] = _gray((0.25 + 0.65 * chess) * (1 + 0.03 * noise(rng)))
    return drawn


def _wallpapers(rng: np.random.Generator) -> dict[str, NDArray]:
    """Stripes, dots, diamonds and flowers, all light, so that a tint colours them."""
    y, x = _across()
    wide, thin = (x * 6) % 1, (x * 24) % 1
    stripes = 0.80 + 0.14 * (wide < 0.5) + 0.03 * (thin < 0.5)
    row = (y * 8).astype(int)
    dots = np.hypot((x * 8 + 0.5 * (row % 2)) % 1 - 0.5, (y * 8) % 1 - 0.5) < 0.2
    diamonds = np.abs((x * 5) % 1 - 0.5) + np.abs((y * 5) % 1 - 0.5)
    petals = np.sin(12 * np.pi * x) * np.sin(12 * np.pi * y)
    petals = petals * (0.6 + 0.4 * np.cos(24 * np.pi * (x + y)) * np.cos(24 * np.pi * (x - y)))
    return {
        "paper_stripes": _gray(stripes),
        "paper_dots": _gray(0.92 - 0.2 * dots),
        "paper_diamonds": _gray(0.90 - 0.16 * ((diamonds > 0.42) & (diamonds < 0.5))),
        "paper_flowers": _gray(0.90 - 0.13 * (np.abs(petals) > 0.35)),
    }


def _fabrics(rng: np.random.Generator) -> dict[str, NDArray]:
    y, x = _across()
    weave = 0.05 * np.sin(x * 2 * np.pi * 40) * np.sin(y * 2 * np.pi * 40)
    tartan = ((x * 6) % 1 < 0.5).astype(float) + ((y * 6) % 1 < 0.5)
    ribs = np.sin(x * 2 * np.pi * 24)
    folds = np.sin(x * 2 * np.pi * 5 + 0.6 * noise(rng, 4, 2, 4))
    return {
        "weave": _gray(0.80 + weave + 0.04 * noise(rng, 8)),
        "tartan": _gray(0.55 + 0.2 * tartan + weave),
        "corduroy": _gray(0.78 + 0.09 * ribs + 0.03 * noise(rng, 8)),
        "stripes": _gray(0.50 + 0.42 * ((x * 8) % 1 < 0.5) + weave),
        "blotches": _gray(0.72 + 0.2 * (noise(rng, 6, 2) > 0.5) + weave),
        "carpet": _gray(0.78 + 0.05 * noise(rng, 32, 3)),
        "leather": _gray(0.72 + 0.05 * noise(rng, 16, 4)),
        "folds": _gray(0.74 + 0.16 * folds + 0.02 * noise(rng, 8)),
    }


RUG_COLOURS = (
    (0.58, 0.20, 0.17),
    (0.20, 0.26, 0.42),
    (0.82, 0.76, 0.64),
    (0.34, 0.38, 0.30),
    (0.72, 0.54, 0.30),
    (0.42, 0.40, 0.40),
    (0.50, 0.33, 0.24),
    (0.55, 0.64, 0.66),
)


def _rugs(rng: np.random.Generator) -> dict[str, NDArray]:
    """Rugs with a border, each drawn once over the whole rug."""
    y, x = _across()
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    drawn = {}
    for i in range(4):
        ground, border, figure = np.array(RUG_COLOURS)[rng.permutation(len(RUG_COLOURS))[:3]]
        rings = np.abs(x - 0.5) * rng.uniform(4, 9) + np.abs(y - 0.5) * rng.uniform(4, 9)
        figures = (rings % 1 < 0.35) if i % 2 else (noise(rng, 6, 2) > 0.7)
        rug = np.where(figures[..., None], figure, ground)
        rug = np.where(((edge < 0.1) & (edge > 0.03))[..., None], border, rug)
        drawn[f"rug{i}"] = rug * (0.95 + 0.06 * noise(rng, 32, 3))[..., None]
    return drawn


def _views(rng: np.random.Generator) -> dict[str, NDArray]:
    """What is seen through a window: sky over hills and over houses, by day and at night."""
    y, x = _across()
    hill = 0.62 + 0.06 * np.sin(2 * np.pi * x) + 0.03 * np.sin(6 * np.pi * x + 1)
    clouds = np.clip(noise(rng, 3, 5) * 0.25, 0, 1)[..., None]
    sky = (1 - y[..., None]) * np.array([0.55, 0.72, 0.95]) + y[..., None] * np.ones(3) * 0.97
    sky = sky * (1 - clouds) + clouds
    grass = _tinted(0.8 + 0.15 * noise(rng, 16, 4), (0.42, 0.58, 0.30))
    blocks = rng.uniform(0.35, 0.75, 8)[(x * 8).astype(int)]
    wall = _tinted(rng.uniform(0.6, 1.0, 8)[(x * 8).astype(int)], (0.80, 0.68, 0.60))
    lit = ((x * 32) % 1 < 0.55) & ((y * 24) % 1 < 0.55)
    lights = lit & (rng.random((24, 32))[(y * 24).astype(int), (x * 32).astype(int)] < 0.25)
    night = np.where((y > blocks)[..., None], (0.06, 0.06, 0.09), (0.10, 0.12, 0.22))
    return {
        "view_hills": np.where((y > hill)[..., None], grass, sky),
        "view_houses": np.where(
            (y > blocks)[..., None], wall * np.where(lit, 0.7, 1)[..., None], sky
        ),
        "view_night": np.where((lights & (y > blocks))[..., None], (0.95, 0.85, 0.55), night),
    }


def _things(rng: np.random.Generator) -> dict[str, NDArray]:
    """Doors, screens, printed paper, leaves of a plant, marble."""
    y, x = _across()
    panel = np.zeros((SIDE, SIDE), bool)
    for top, bottom in ((0.06, 0.32), (0.38, 0.62), (0.68, 0.94)):
        for left, right in ((0.10, 0.46), (0.54, 0.90)):
            edge_x = np.minimum(np.abs(x - left), np.abs(x - right))
            edge_y = np.minimum(np.abs(y - top), np.abs(y - bottom))
            within = (x > left - 0.02) & (x < right + 0.02) & (y > top - 0.01) & (y < bottom + 0.01)
            panel |= within & ((edge_x < 0.02) | (edge_y < 0.01))
    lines = (
        ((y * 24) % 1 < 0.45) & (x > 0.1) & (x < 0.35 + 0.55 * rng.random(24)[(y * 24).astype(int)])
    )
    window = (y < 0.08) | (x < 0.02)
    screen = np.where(lines[..., None], (0.75, 0.85, 0.95), (0.12, 0.16, 0.24))
    veins = np.abs(noise(rng, 4, 5))
    return {
        "door": _gray((0.93 - 0.25 * panel) * (1 + 0.03 * noise(rng, 16, 5, 8))),
        "screen": np.where(window[..., None], (0.35, 0.50, 0.75), screen),
        "print": _gray(0.95 - 0.65 * lines),
        "leaves": _tinted(np.clip(0.85 + 0.33 * noise(rng, 32, 3), 0.2, 1.5), (0.36, 0.56, 0.26)),
        "marble": _gray(0.92 - 0.3 * np.exp(-12 * veins)),
        "metal": _gray(0.80 + 0.04 * noise(rng, 4, 6, 64)),
    }


def _shrink(picture: NDArray) -> NDArray:
    """Cut the middle square out of a photograph and bring it to the texture's size."""
    picture = picture.astype(np.float64) / 255
    if picture.ndim == 2:
        picture = _gray(picture)
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    square = picture[top : top + side, left : left + side]
    sums = np.pad(square.cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    edges = np.linspace(0, side, SIDE + 1).astype(int)
    first, last = edges[:-1], np.maximum(edges[1:], edges[:-1] + 1)
    total = (
        sums[np.ix_(last, last)]
        - sums[np.ix_(first, last)]
        - sums[np.ix_(last, first)]
        + sums[np.ix_(first, first)]
    )
    return total / np.multiply.outer(last - first, last - first)[..., None]


def _photographs() -> dict[str, NDArray]:
    tints = {"brick": (1.0, 0.70, 0.58), "gravel": (0.95, 0.93, 0.90), "grass": (0.80, 1.0, 0.75)}
    drawn = {
        name: np.clip((0.3 + 0.85 * _shrink(getattr(skimage.data, name)())) * tint, 0, 1)
        for name, tint in tints.items()
    }
    for name in PICTURES:
        drawn[f"picture_{name}"] = _shrink(getattr(skimage.data, name)())
    return drawn


@functools.cache
def indoor() -> TextureBank:
    """Return the textures of rooms, drawn once per process (about 0.3 s), always the same."""
    rng = np.random.default_rng(20140610)
    pictures = {"plain": np.ones((SIDE, SIDE, 3)), "parquet": _parquet(rng)}
    for draw in (_plasters, _woods, _tiles, _wallpapers, _fabrics, _rugs, _views, _things):
        pictures |= draw(rng)
    return TextureBank(pictures | _photographs())


# Outdoors ---------------------------------------------------------------------------------------

FACADES = 18
"""Textures `facade0`.. of houses, each of 4 x 4 windows that all differ a little."""

SHOPS = 4
"""Textures `shop0`.. of ground floors, each of 4 x 4 shop windows."""

CELL = SIDE // 4

_STONES = (
    (0.72, 0.46, 0.36),
    (0.62, 0.36, 0.29),
    (0.86, 0.80, 0.68),
    (0.78, 0.74, 0.68),
    (0.90, 0.88, 0.84),
    (0.80, 0.66, 0.48),
    (0.66, 0.66, 0.66),
    (0.74, 0.60, 0.52),
    (0.84, 0.72, 0.56),
    (0.56, 0.60, 0.64),
    (0.70, 0.74, 0.66),
    (0.88, 0.78, 0.72),
)
"""Colours of the walls of houses."""


def _bricks(rng: np.random.Generator, wide: int, high: int) -> NDArray:
    """Return the tone (256, 256) of courses of bricks, every other one shifted by half a brick."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    course = y // high
    place = (x + course % 2 * wide // 2) % SIDE
    tone = rng.uniform(0.84, 1.08, (SIDE // high + 1, SIDE // wide + 1))[course, place // wide]
    return tone * (1 + 0.18 * ((y % high == 0) | (place % wide == 0)))


def _wall(rng: np.random.Generator) -> NDArray:
    """Return a wall of bricks, plaster, stone or slabs, (256, 256, 3), still without windows."""
    colour = np.array(_STONES[int(rng.integers(len(_STONES)))]) * rng.uniform(0.85, 1.05)
    kind = rng.integers(4)
    if kind == 0:
        tone = _bricks(rng, 8, 4)
    elif kind == 1:
        tone = 1 - 0.2 * (_bricks(rng, 32, 16) > 1.12) + 0.04 * noise(rng, 8)
    else:
        tone = 1 + (0.02 + 0.03 * (kind == 3)) * noise(rng, 4, 6)
    y, _ = _across()
    streaks = 1 + 0.05 * noise(rng, 8, 5, 8)
    storeys = 1 - 0.12 * ((y * 4) % 1 > 0.955)
    return (tone * streaks * storeys)[..., None] * colour


def _pane(rng: np.random.Generator, rows: int, columns: int, sky: float) -> NDArray:
    """Return a window's glass with what is behind it and mirrored in it, (rows, columns, 3)."""
    y = np.linspace(0, 1, rows)[:, None, None]
    dark = np.array([0.16, 0.19, 0.23]) * rng.uniform(0.6, 1.3)
    glass = dark + sky * (1 - y) * np.array([0.30, 0.38, 0.48]) + np.zeros((rows, columns, 1))
    kind = rng.random()
    if kind < 0.3:  # curtains to the sides
        width = max(2, int(columns * rng.uniform(0.15, 0.3)))
        cloth = np.array([0.85, 0.80, 0.74]) * rng.uniform(0.6, 1.0)
        glass[:, :width] = glass[:, -width:] = cloth
    elif kind < 0.5:  # a blind, down to somewhere
        glass[: int(rows * rng.uniform(0.2, 0.9))] = np.array([0.80, 0.78, 0.72]) * rng.uniform(
            0.6, 1.05
        )
    elif kind < 0.57:  # light inside
        glass = glass * 0.4 + np.array([0.95, 0.80, 0.50]) * 0.6
    return glass


def _facade(rng: np.random.Generator) -> NDArray:
    """Draw 4 x 4 windows of one style in a wall, each with its own curtains and light."""
    wall = _wall(rng)
    if rng.random() < 0.22:
        return _glass_front(rng)
    top, bottom = int(rng.uniform(9, 16)), int(rng.uniform(46, 58))
    half = int(rng.uniform(9, 24))
    frame = np.array(
        ((0.93,) * 3, (0.93,) * 3, (0.30, 0.24, 0.20), (0.25, 0.34, 0.30))[int(rng.integers(4))]
    )
    ledge, bars = rng.random() < 0.7, int(rng.integers(0, 3))
    shutters = rng.random() < 0.25 and half < 17
    shutter = np.array(
        ((0.30, 0.42, 0.34), (0.34, 0.40, 0.52), (0.46, 0.28, 0.22))[int(rng.integers(3))]
    )
    arched, sky = rng.random() < 0.25, rng.uniform(0.1, 0.7)
    double = half > 17 and rng.random() < 0.6
    for row in range(4):
        for column in range(4):
            cell = wall[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
            middle = CELL // 2
            cell[top - 3 : bottom + 2, middle - half - 3 : middle + half + 3] *= rng.uniform(
                0.8, 1.18
            )
            cell[top:bottom, middle - half : middle + half] = frame
            openings = ((-half + 2, -1), (1, half - 2)) if double else ((-half + 2, half - 2),)
            for left, right in openings:
                pane = _pane(rng, bottom - top - 4, right - left, sky)
                if bars:
                    pane[:, (right - left) // 2] = frame
                if bars > 1:
                    pane[(bottom - top) // 3] = frame
                cell[top + 2 : bottom - 2, middle + left : middle + right] = pane
            if arched:
                y, x = np.mgrid[0:half, -half:half]
                above = ((x + 0.5) / half) ** 2 + ((half - y) / half) ** 2 > 1
                corner = cell[top : top + half, middle - half : middle + half]
                corner[above] = cell[top - 5, 3]
            if shutters:
                for left in (middle - half - 9, middle + half + 1):
                    cell[top:bottom, left : left + 8] = shutter
                    cell[top:bottom:4, left : left + 8] *= 0.75
            if ledge:
                cell[bottom : bottom + 2, middle - half - 2 : middle + half + 2] = 0.85
                cell[bottom + 2 : bottom + 4, middle - half - 2 : middle + half + 2] *= 0.6
    return wall


def _glass_front(rng: np.random.Generator) -> NDArray:
    """Draw an office house: bands of glass between bands of panels."""
    colour = np.array(_STONES[int(rng.integers(len(_STONES)))])
    wall = (0.9 + 0.03 * noise(rng, 8, 5))[..., None] * colour
    band, step = int(rng.uniform(30, 54)), int(rng.choice((16, 32, 64)))
    for row in range(4):
        for left in range(0, SIDE, step):
            top = row * CELL + 6
            wall[top : top + band, left + 1 : left + step - 1] = _pane(rng, band, step - 2, 0.8)
    return wall


def _shop(rng: np.random.Generator) -> NDArray:
    """Draw 4 x 4 shop fronts: a sign above a wide window or a door."""
    drawn = np.zeros((SIDE, SIDE, 3))
    for row in range(4):
        for column in range(4):
            cell = drawn[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
            main = rng.uniform(0.12, 0.6) * rng.uniform(0.75, 1.25, 3)
            cell[:] = main
            sign = np.clip(main + rng.uniform(-0.2, 0.4) + rng.uniform(-0.15, 0.15, 3), 0.05, 1)
            cell[3:15] = sign
            letters = rng.random(14) < 0.75
            for number in np.flatnonzero(letters):
                left, high = 5 + number * 4, int(rng.integers(4, 8))
                cell[12 - high : 12, left : left + int(rng.integers(2, 4))] = 1 - sign.round()
            if rng.random() < 0.25:  # a door
                cell[18:62, 4:60] = np.array((0.62, 0.58, 0.54)) * rng.uniform(0.6, 1.1)
                cell[20:, 22:44] = main * 0.5
                cell[23:50, 25:41] = _pane(rng, 27, 16, 0.4)
                continue
            cell[18:56, 3:61] = _pane(rng, 38, 58, 0.4) * 0.8
            for _ in range(rng.integers(5, 13)):  # what they sell
                left, wide, high = rng.integers(4, 52), rng.integers(3, 9), rng.integers(4, 18)
                goods = rng.uniform(0.1, 0.8) + rng.uniform(-0.2, 0.2, 3)
                cell[55 - high : 55, left : left + wide] = goods
            cell[18:56, 31:33] = main
    return drawn * (1 + 0.03 * noise(rng, 16)[..., None])


def _roads(rng: np.random.Generator) -> dict[str, NDArray]:
    """Asphalt, paint, slabs, kerbs, manhole covers, roof tiles, each light enough for a tint."""
    y, x = _across()
    drawn = {}
    for i in range(3):
        cracks = np.exp(-((np.abs(noise(rng, 3, 5)) / 0.02) ** 2)) * (noise(rng, 4, 2) > 0.3)
        grain = 0.09 * rng.standard_normal((SIDE, SIDE))
        tone = 0.72 + 0.09 * noise(rng, 4, 5) + grain - 0.3 * cracks
        drawn[f"asphalt{i}"] = _gray(tone * (1 - 0.05 * np.cos(2 * np.pi * x * (i + 1))))
    worn = noise(rng, 8, 5) + 0.6 * rng.standard_normal((SIDE, SIDE))
    drawn["marking"] = _gray(np.where(worn > 1.5, 0.6, 0.92) + 0.03 * noise(rng, 16))
    for i, count in enumerate((4, 8)):
        row = (y * count).astype(int)
        column = (x * count + 0.5 * (row % 2) * (i == 0)) % count
        tone = rng.uniform(0.80, 1.0, (count, count))[row, column.astype(int)]
        joint = 1 - 0.35 * (((y * count) % 1 < 0.05) | (column % 1 < 0.05))
        drawn[f"slabs{i}"] = _gray(tone * joint + 0.05 * noise(rng, 16))
    rings = np.hypot(x - 0.5, y - 0.5)
    studs = np.sin(x * 2 * np.pi * 9) * np.sin(y * 2 * np.pi * 9) > 0.3
    drawn["cover"] = _gray(np.where(rings > 0.44, 0.35, 0.45 + 0.25 * studs))
    for i, colour in enumerate(((0.66, 0.36, 0.26), (0.42, 0.43, 0.46), (0.50, 0.34, 0.28))):
        row = (y * 16).astype(int)
        column = (x * 12 + 0.5 * (row % 2)) % 12
        tone = rng.uniform(0.75, 1.1, (16, 12))[row, column.astype(int)]
        edge = 1 - 0.35 * ((y * 16) % 1 < 0.2)
        drawn[f"roof{i}"] = _tinted(tone * edge * (1 + 0.06 * noise(rng, 4)), colour)
    return drawn


def _greens(rng: np.random.Generator) -> dict[str, NDArray]:
    """Leaves with gaps of shadow between them, lawns, bark, and clouds."""
    drawn = {}
    for i, colour in enumerate(
        ((0.34, 0.52, 0.22), (0.44, 0.56, 0.24), (0.26, 0.42, 0.24), (0.56, 0.48, 0.22))
    ):
        tone = 0.86 + 0.22 * noise(rng, 32, 4) + 0.12 * noise(rng, 6, 3)
        deep = np.clip(noise(rng, 16, 4) - 1.2, 0, 1)
        drawn[f"foliage{i}"] = _tinted(np.clip(tone - 0.4 * deep, 0.25, 1.5), colour)
    drawn["lawn"] = _tinted(0.80 + 0.12 * noise(rng, 6, 6), (0.44, 0.56, 0.28))
    drawn["bark"] = _tinted(0.75 + 0.2 * noise(rng, 32, 4, 8), (0.46, 0.38, 0.31))
    drawn["clouds"] = _gray(np.clip(0.30 + 0.30 * noise(rng, 3, 6), 0, 1))
    return drawn


def _cars(rng: np.random.Generator) -> dict[str, NDArray]:
    """Bodies and cabins with a quarter for each side (see `Material.faces`), wheels, signs."""
    y, x = np.mgrid[0:128, 0:128] / 128
    glass = np.where((y < 0.55 + 0.2 * x)[..., None], (0.24, 0.28, 0.33), (0.13, 0.15, 0.17))
    drawn = {}
    for i, pillars in enumerate(((0.48,), (0.36, 0.68), (0.30,))):
        body = np.ones((4, 128, 128, 3))
        side, front, back, top = body
        for wheel in (0.19, 0.81):
            side[np.hypot((x - wheel) * 4.3, (y - 1.06) * 0.66) < 0.39] = 0.06
        for seam in (0.36, *pillars[1:], 0.62):
            side[:, int(seam * 128)] *= 0.55
        side[30:34] *= 0.86
        side[112:] *= 0.35
        side[26:30, 58:64] = side[26:30, 84:90] = 0.3  # handles
        front[38:78, 34:94] = 0.12  # grille
        front[42:78:8, 34:94] = 0.4
        front[96:] *= 0.3
        front[30:58, 4:32] = front[30:58, 96:124] = (0.95, 0.97, 1.0)
        back[96:] *= 0.3
        back[20:24] *= 0.7
        back[62:84, 44:84] *= 0.8
        top[:, 20] *= 0.8
        top[:, 108] *= 0.8
        cabin = np.ones((4, 128, 128, 3))
        for quarter in cabin[:3]:
            quarter[14:118, 9:119] = glass[14:118, 9:119]
        for pillar in pillars:
            cabin[0][:, int(pillar * 128) - 4 : int(pillar * 128) + 4] = 1
        cabin[1][6:124, 5:123] = glass[6:124, 5:123]
        for name, parts in (("body", body), ("cabin", cabin)):
            rows = [
                np.concatenate([parts[0], parts[1]], 1),
                np.concatenate([parts[2], parts[3]], 1),
            ]
            drawn[f"car_{name}{i}"] = np.concatenate(rows)
    y, x = _across()
    turn, far = np.arctan2(y - 0.5, x - 0.5), np.hypot(x - 0.5, y - 0.5)
    spokes = (np.sin(turn * 5) > -0.3) & (far < 0.30) | (far < 0.08)
    drawn["wheel"] = _gray(np.where(far < 0.33, np.where(spokes, 0.72, 0.25), 0.10))
    for i, (rim, middle) in enumerate(
        (
            ((0.78, 0.10, 0.10), (0.95, 0.95, 0.95)),
            ((0.10, 0.28, 0.66), (0.16, 0.38, 0.78)),
            ((0.95, 0.95, 0.95), (0.92, 0.74, 0.12)),
            ((0.20, 0.22, 0.24), (0.20, 0.55, 0.30)),
        )
    ):
        edge = np.maximum(np.abs(x - 0.5), np.abs(y - 0.5)) > 0.40
        bar = (np.abs(y - 0.5) < 0.1) & (np.abs(x - 0.5) < 0.26)
        face = np.where(bar[..., None], (0.98, 0.98, 0.98) if i in (1, 3) else (0.1,) * 3, middle)
        drawn[f"sign{i}"] = np.where(edge[..., None], rim, face)
    return drawn


@functools.cache
def outdoor() -> TextureBank:
    """Return the textures of streets, drawn once per process (about 0.6 s), always the same."""
    rng = np.random.default_rng(20180618)
    pictures = {"plain": np.ones((SIDE, SIDE, 3))}
    pictures |= {f"facade{i}": _facade(rng) for i in range(FACADES)}
    pictures |= {f"shop{i}": _shop(rng) for i in range(SHOPS)}
    for draw in (_roads, _greens, _cars, _plasters):
        pictures |= draw(rng)
    return TextureBank(pictures, blend=True)
