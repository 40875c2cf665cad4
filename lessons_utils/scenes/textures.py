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

    Raises:
        ValueError: a picture has another shape.
    """

    def __init__(self, pictures: Mapping[str, NDArray]) -> None:
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
        level = level.astype(np.int32)
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
