"""Shards of noise, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_noise_shards(folder: Path, count: int) -> Path:
    """Write shards of four 64×96 frames each; returns the folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        np.savez(
            folder / f"{index:05d}.npz",
            rgb=rng.integers(0, 256, (4, 64, 96, 3)).astype(np.uint8),
            depth_m=rng.uniform(1, 5, (4, 64, 96)).astype(np.float16),
            label=rng.integers(0, 13, (4, 64, 96)).astype(np.uint8),
        )
    return folder
