"""A made-up picture of a room."""

from __future__ import annotations

import numpy as np


def room(seed: int = 0, size_hw: tuple[int, int] = (480, 640)) -> np.ndarray:
    """Boxes of random grey before a slope: sharp edges, flat areas, a little noise."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    picture = np.tile(np.linspace(90, 160, width, dtype=np.float32), (height, 1))
    for _ in range(60):
        y, x = rng.integers(0, height), rng.integers(0, width)
        h, w = rng.integers(height // 16, height // 3), rng.integers(width // 16, width // 3)
        picture[y : y + h, x : x + w] = rng.uniform(10, 235)
    picture += rng.normal(0, 2, picture.shape)
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
