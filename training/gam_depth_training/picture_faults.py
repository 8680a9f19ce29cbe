"""What goes wrong with a camera, done to good pictures: exposure, blur, noise, a covered lens.

Lengths and noise are given for a picture 640 pixels wide and scaled to the width at hand, so that a
small synthetic picture suffers what a full one would after shrinking.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
_REFERENCE_WIDTH = 640.0
_GAMMA = 2.2
_MOTION_DEGREES = 20.0
# Skin in front of the lens, lit through: dark red. The soft rim is a fortieth of the width.
_COVER_RGB = (60.0, 25.0, 20.0)
_COVER_RIM = 1.0 / 40.0
_COVER_SHADING = 0.3
_COVER_NOISE = 1.5


@dataclass(frozen=True)
class Fault:
    """One fault at one severity.

    Attributes:
        condition: The condition of frame health that should see it.
        amount: The severity in ``unit``.
        unit: What the amount counts.
        function: Takes a picture, the amount and a source of randomness, gives a new picture.
    """

    condition: str
    amount: float
    unit: str
    function: Callable[[Picture, float, np.random.Generator], Picture]

    def apply(self, rgb: Picture, rng: np.random.Generator) -> Picture:
        """Return the picture made bad."""
        return self.function(rgb, self.amount, rng)


def expose(rgb: Picture, stops: float, rng: np.random.Generator) -> Picture:
    """Change the exposure: light times 2^stops, clipped at white, through a gamma of 2.2."""
    light = (np.arange(256) / 255.0) ** _GAMMA * 2.0**stops
    table = np.round(255.0 * np.clip(light, 0.0, 1.0) ** (1.0 / _GAMMA)).astype(np.uint8)
    return np.asarray(cv2.LUT(rgb, table), np.uint8)


def defocus(rgb: Picture, sigma_px: float, rng: np.random.Generator) -> Picture:
    """Blur by a Gaussian of this standard deviation."""
    sigma = max(sigma_px * rgb.shape[1] / _REFERENCE_WIDTH, 1e-3)
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)


def shake(rgb: Picture, length_px: float, rng: np.random.Generator) -> Picture:
    """Blur along a line of this length, 20 degrees off the rows."""
    side = max(1, round(length_px * rgb.shape[1] / _REFERENCE_WIDTH)) | 1
    line = np.zeros((side, side), np.float32)
    line[side // 2] = 1.0
    middle = (side - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), _MOTION_DEGREES, 1.0)
    kernel = cv2.warpAffine(line, turn, (side, side))
    return np.asarray(cv2.filter2D(rgb, -1, kernel / kernel.sum()), np.uint8)


def add_noise(rgb: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    """Add Gaussian noise of this standard deviation, grey levels, to every pixel and channel."""
    scaled = sigma * rgb.shape[1] / _REFERENCE_WIDTH
    noise = scaled * rng.standard_normal(rgb.shape, np.float32)
    return np.clip(rgb + noise + 0.5, 0, 255).astype(np.uint8)


def cover(rgb: Picture, share: float, rng: np.random.Generator) -> Picture:
    """Put something out of focus over a share of the picture's width, from the left."""
    height, width = rgb.shape[:2]
    mask = np.zeros((height, width), np.float32)
    mask[:, : round(width * share)] = 1.0
    if share < 1.0:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), width * _COVER_RIM), np.float32)
    colour = np.array(_COVER_RGB, np.float32) * rng.uniform(0.2, 1.5)
    shade = 1.0 + _COVER_SHADING * np.linspace(-1.0, 1.0, height, dtype=np.float32)
    thing = shade[:, None, None] * colour + _COVER_NOISE * rng.standard_normal(
        rgb.shape, np.float32
    )
    mixed = rgb * (1.0 - mask[..., None]) + mask[..., None] * thing
    return np.clip(mixed, 0, 255).astype(np.uint8)


def turn_over(rgb: Picture, degrees: float, rng: np.random.Generator) -> Picture:
    """Turn by 180 degrees, as a camera mounted the other way round."""
    return np.ascontiguousarray(rgb[::-1, ::-1])


def invert(rgb: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Make a negative."""
    return 255 - rgb


def snow(rgb: Picture, cells: float, rng: np.random.Generator) -> Picture:
    """Replace the picture by random colours in so many cells along a row."""
    columns = round(cells)
    rows = max(1, columns * rgb.shape[0] // rgb.shape[1])
    small = rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    size = (rgb.shape[1], rgb.shape[0])
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_NEAREST), np.uint8)


FAULTS: tuple[Fault, ...] = (
    *(Fault("dark", a, "stops", expose) for a in (-2.0, -3.0, -4.0, -5.0, -6.0)),
    *(Fault("over_exposed", a, "stops", expose) for a in (1.0, 2.0, 3.0, 4.0)),
    *(Fault("blurred", a, "px defocus", defocus) for a in (3.0, 6.0, 10.0, 15.0, 20.0)),
    *(Fault("blurred", a, "px shake", shake) for a in (10.0, 20.0, 40.0, 60.0, 90.0)),
    *(Fault("noisy", a, "levels", add_noise) for a in (10.0, 20.0, 40.0, 60.0, 90.0)),
    *(Fault("covered", a, "of the width", cover) for a in (0.25, 0.5, 0.75, 0.9, 1.0)),
    Fault("out_of_distribution", 180.0, "degrees turned", turn_over),
    Fault("out_of_distribution", 1.0, "negative", invert),
    Fault("out_of_distribution", 128.0, "cells of snow", snow),
    Fault("out_of_distribution", 32.0, "cells of snow", snow),
)
"""Every fault at every severity that is measured."""
