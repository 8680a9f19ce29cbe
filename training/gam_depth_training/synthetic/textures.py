"""A bank of procedural textures, made once per seed and shared by many rooms.

Every texture is uint8 256×256×3 RGB. Surface patterns (wood, tiles, fabric) are bright and nearly
grey, because a material tints them; picture-like ones (posters, screens) carry their own colours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from . import pictures

SIZE = 256
Image = NDArray[np.uint8]
Rng = np.random.Generator


def fractal_noise(rng: Rng, octaves: int = 5, cells_xy: tuple[int, int] = (4, 4),
                  persistence: float = 0.55) -> NDArray[np.float32]:  # fmt: skip
    """Tileable noise, float32 SIZE×SIZE, mean about 0, standard deviation 1."""
    total = np.zeros((SIZE, SIZE), np.float32)
    for octave in range(octaves):
        nx, ny = (min(cells << octave, SIZE) for cells in cells_xy)
        grid = rng.standard_normal((ny, nx)).astype(np.float32)
        grid = np.pad(grid, 2, mode="wrap")
        fx, fy = SIZE // nx, SIZE // ny
        large = cv2.resize(grid, ((nx + 4) * fx, (ny + 4) * fy), interpolation=cv2.INTER_CUBIC)
        total += persistence**octave * large[2 * fy : 2 * fy + SIZE, 2 * fx : 2 * fx + SIZE]
    return (total - total.mean()) / (total.std() + 1e-6)


def _colour(grey: np.ndarray, rng: Rng, hue: float = 0.0, *, warm: bool = False) -> Image:
    """Grey 0..1 to RGB; ``hue`` tilts dark parts towards a random (or a warm) colour."""
    tilt = 1 + hue * (np.array([-0.6, 0.1, 0.8]) if warm else rng.uniform(-1, 1, 3))
    value = 1 - (1 - grey[..., None].clip(0, 1)) * tilt
    return (value.clip(0, 1) * 255).astype(np.uint8)


def plain(rng: Rng) -> Image:
    """Paint: nearly textureless."""
    return _colour(0.93 + rng.uniform(0, 0.012) * fractal_noise(rng, 4), rng)


def plaster(rng: Rng) -> Image:
    """Rough paint with stains."""
    fine = fractal_noise(rng, 4, (32, 32))
    grey = 0.88 + rng.uniform(0.003, 0.02) * fractal_noise(rng, 5) + rng.uniform(0, 0.04) * fine
    return _colour(grey, rng, 0.2)


def wood(rng: Rng) -> Image:
    """Grain along x."""
    warp = fractal_noise(rng, 4, (1, 4))
    y = np.arange(SIZE)[:, None] / SIZE
    rings = np.sin(2 * np.pi * (rng.integers(3, 14) * y + rng.uniform(0.2, 1.2) * warp))
    fibre = fractal_noise(rng, 3, (4, 64))
    grey = 0.8 + rng.uniform(0.01, 0.1) * rings + rng.uniform(0.01, 0.07) * fibre
    return _colour(grey, rng, 0.5, warm=True)


def planks(rng: Rng) -> Image:
    """Floor boards along x with gaps."""
    grey = wood(rng)[..., 0] / 255.0
    rows = int(rng.choice([4, 6, 8, 12]))
    height = SIZE / rows
    shade = rng.uniform(0.02, 0.14)
    for row in range(rows):
        y0, y1 = int(row * height), int((row + 1) * height)
        cut = int(rng.integers(0, SIZE))
        strip = np.roll(grey[y0:y1], int(rng.integers(0, SIZE)), axis=1)
        strip[:, :cut] += rng.normal(0, shade)
        strip[:, cut:] += rng.normal(0, shade)
        strip[0] *= 0.6
        strip[:, cut : cut + 1] *= 0.6
        grey[y0:y1] = strip
    return _colour(grey, rng, 0.4, warm=True)


def tiles(rng: Rng) -> Image:
    """A square grid of tiles with grout lines."""
    count = int(rng.choice([2, 4, 8]))
    shade = cv2.resize(
        rng.normal(0, rng.uniform(0, 0.08), (count, count)).astype(np.float32),
        (SIZE, SIZE),
        interpolation=cv2.INTER_NEAREST,
    )
    if rng.random() < 0.25:  # chess board
        board = np.indices((count, count)).sum(0) % 2
        shade -= 0.5 * np.kron(board, np.ones((SIZE // count, SIZE // count)))
    grey = 0.85 + shade + rng.uniform(0, 0.06) * fractal_noise(rng, 5, (8, 8))
    line = int(rng.integers(1, 5))
    inside = np.arange(SIZE) % (SIZE // count) < line
    grout = rng.uniform(0.3, 1.0)
    grey[inside] = grout
    grey[:, inside] = grout
    return _colour(grey, rng, 0.2)


def bricks(rng: Rng) -> Image:
    """Running bond."""
    rows = int(rng.choice([8, 12]))
    grey = 0.7 + 0.06 * fractal_noise(rng, 5, (16, 16))
    height = SIZE / rows
    for row in range(rows):
        y0, y1 = int(row * height), int((row + 1) * height)
        for col in range(5):
            x0 = int((col - 0.5 * (row % 2)) * SIZE / 4)
            x1 = int((col + 1 - 0.5 * (row % 2)) * SIZE / 4)
            grey[y0:y1, max(x0, 0) : max(x1, 0)] += rng.normal(0, 0.08)
            grey[y0:y1, max(x0, 0) : max(x0 + 3, 0)] = 0.9
        grey[y0 : y0 + 3] = 0.9
    return _colour(grey, rng, 0.5, warm=True)


def carpet(rng: Rng) -> Image:
    """Speckled pile with blotches."""
    pile = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    grey = 0.7 + rng.uniform(0.03, 0.16) * pile + rng.uniform(0, 0.07) * fractal_noise(rng, 5)
    return _colour(grey, rng, 0.4)


def fabric(rng: Rng) -> Image:
    """Weave, stripes, checks, dots or flowers."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE * 2 * np.pi
    kind = int(rng.integers(0, 6))
    grey = 0.82 + 0.05 * np.sin(48 * x) * np.sin(48 * y) + 0.03 * fractal_noise(rng, 5)
    contrast = rng.uniform(0.1, 0.55)
    count = int(rng.integers(2, 12))
    if kind == 1:
        grey -= contrast * (np.sin(count * x) > rng.uniform(-0.5, 0.8))
    elif kind == 2:
        grey -= contrast / 2 * ((np.sin(count * x) > 0).astype(float) + (np.sin(count * y) > 0))
    elif kind == 3:
        grey -= contrast * (np.sin(count * x) * np.sin(count * y) > 0.6)
    elif kind == 4:
        grey -= contrast * (fractal_noise(rng, 3, (8, 8)) > 0.7)
    return _colour(grey, rng, 0.8)


def stone(rng: Rng) -> Image:
    """Marble, granite or concrete."""
    if rng.random() < 0.4:
        vein = np.abs(np.sin(2 * fractal_noise(rng, 5, (2, 2))))
        return _colour(0.9 - rng.uniform(0.1, 0.4) * (1 - vein) ** 4, rng, 0.3)
    speck = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    grey = 0.75 + rng.uniform(0.005, 0.1) * speck + rng.uniform(0.02, 0.1) * fractal_noise(rng, 6)
    return _colour(grey, rng, 0.25)


def ceiling_tiles(rng: Rng) -> Image:
    """Acoustic panels: a dark grid and pin holes."""
    grey = 0.92 - 0.12 * (rng.random((SIZE, SIZE)) < rng.uniform(0, 0.08))
    line = np.arange(SIZE) % (SIZE // 2) < 3
    grey[line] = grey[:, line] = rng.uniform(0.5, 0.95)
    return _colour(grey.astype(np.float32), rng, 0.1)


def metal(rng: Rng) -> Image:
    """Brushed metal or powder coat."""
    grey = 0.85 + rng.uniform(0, 0.06) * fractal_noise(rng, 3, (2, 128))
    return _colour(grey, rng, 0.05)


def leather(rng: Rng) -> Image:
    """Fine pores and creases."""
    crease = np.abs(fractal_noise(rng, 5, (16, 16)))
    return _colour(0.85 - 0.12 * (crease < 0.15) + 0.03 * fractal_noise(rng, 4), rng, 0.3)


def slats(rng: Rng) -> Image:
    """Blinds, grilles, radiators and drawers seen from afar: lines along x."""
    y = np.arange(SIZE)[:, None] + np.zeros((1, SIZE))
    period = int(rng.choice([8, 16, 32]))
    grey = 0.9 - 0.5 * ((y % period) < period * rng.uniform(0.1, 0.4)) + 0.02 * fractal_noise(rng)
    return _colour(grey, rng, 0.1)


_RECIPES: dict[str, tuple[Callable[[Rng], Image], int]] = {
    "plain": (plain, 3),
    "plaster": (plaster, 5),
    "wood": (wood, 8),
    "planks": (planks, 5),
    "tiles": (tiles, 6),
    "bricks": (bricks, 3),
    "carpet": (carpet, 5),
    "fabric": (fabric, 12),
    "stone": (stone, 6),
    "ceiling_tiles": (ceiling_tiles, 3),
    "metal": (metal, 3),
    "leather": (leather, 3),
    "slats": (slats, 3),
    "poster": (pictures.poster, 14),
    "photo": (pictures.photo, 12),
    "paper": (pictures.paper, 8),
    "screen": (pictures.screen, 10),
    "cover": (pictures.cover, 14),
    "keyboard": (pictures.keyboard, 3),
    "packaging": (pictures.packaging, 8),
    "outdoor": (pictures.outdoor, 8),
}


@dataclass(frozen=True)
class TextureBank:
    """Textures by kind, packed with their mip levels for one gather per lookup.

    images: uint8 T×256×256×3. packed: uint32, RGBA texels of all levels, level after level.
    level_offset: int64 per level, where it starts. kinds: name -> texture ids.
    mean: float32 T×3, mean albedo (linear, 0..1).
    """

    images: Image
    packed: NDArray[np.uint32]
    level_offset: NDArray[np.int64]
    kinds: dict[str, NDArray[np.int64]]
    mean: NDArray[np.float32]


@lru_cache(maxsize=2)
def make_texture_bank(seed: int) -> TextureBank:
    """Draw the whole bank, about a hundred and forty textures, in about two seconds.

    Cached: do not write into the arrays.
    """
    rng = np.random.default_rng([seed, 0x7E87])
    images: list[Image] = []
    kinds: dict[str, NDArray[np.int64]] = {}
    for name, (draw, count) in _RECIPES.items():
        kinds[name] = np.arange(len(images), len(images) + count)
        images += [draw(rng) for _ in range(count)]
    stack = np.stack(images)
    levels, level = [], stack
    while True:
        levels.append(level)
        if level.shape[1] <= 4:
            break
        # Averaged in linear light (albedo = value²), as an eye or a sensor averages.
        linear = level.astype(np.float32) ** 2
        linear = (linear[:, ::2] + linear[:, 1::2]) / 2
        linear = (linear[:, :, ::2] + linear[:, :, 1::2]) / 2
        level = np.sqrt(linear).astype(np.uint8)
    packed, offsets, start = [], [], 0
    for level in levels:
        rgba = np.zeros(level.shape[:3] + (4,), np.uint8)
        rgba[..., :3] = level
        packed.append(rgba.view(np.uint32).ravel())
        offsets.append(start)
        start += packed[-1].size
    mean = ((levels[-1].astype(np.float32) / 255) ** 2).mean((1, 2))
    return TextureBank(stack, np.concatenate(packed), np.array(offsets), kinds, mean)
