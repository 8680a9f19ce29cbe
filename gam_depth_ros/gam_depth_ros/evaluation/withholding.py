"""Readings kept from the fusion, so that it can be scored where it has not seen the answer."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt


def withhold_blocks(
    depth_m: npt.NDArray[np.float32], size_px: int, share: float, seed: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Take square blocks of a grid out of a depth image.

    The same arguments give the same blocks for any depth image of the size: with one seed for a
    recording, memory of earlier frames does not help in the blocks either.

    Args:
        depth_m: H×W float32 metres; NaN without a reading.
        size_px: Side of a block, pixels.
        share: Share of the blocks that are withheld, 0 to 1; rounded to whole blocks.
        seed: Decides which.

    Returns:
        The depth with NaN in the blocks, H×W float32, and where they are, H×W bool, which is not
        to be written into.

    Raises:
        ValueError: a size below 1 or a share outside 0 to 1.
    """
    if size_px < 1 or not 0 <= share <= 1:
        raise ValueError(
            f"withheld blocks: got size {size_px} px and share {share}, expected at least 1 px and "
            "a share from 0 to 1"
        )
    withheld = _blocks(depth_m.shape, size_px, share, seed)
    kept = depth_m.astype(np.float32)
    kept[withheld] = np.nan
    return kept, withheld


@functools.lru_cache(maxsize=4)
def _blocks(
    size_hw: tuple[int, ...], size_px: int, share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Return where the blocks are, H×W: the same for every frame, so drawn once."""
    height, width = size_hw
    rows, columns = -(-height // size_px), -(-width // size_px)
    chosen = np.zeros(rows * columns, bool)
    order = np.random.default_rng(seed).permutation(rows * columns)
    chosen[order[: round(share * rows * columns)]] = True
    blocks = np.repeat(chosen.reshape(rows, columns), size_px, axis=0)
    withheld = np.ascontiguousarray(np.repeat(blocks, size_px, axis=1)[:height, :width])
    withheld.setflags(write=False)
    return withheld
