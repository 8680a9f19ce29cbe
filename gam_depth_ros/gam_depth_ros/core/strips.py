"""An image in strips of rows: temporary arrays of that size stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

BLOCK_PX = 8
"""Strips begin at multiples of this; images worked on have such sides."""

_STRIP_PIXELS = 81_920


def strips(height: int, width: int, reduction: int = 1) -> Iterator[tuple[int, int]]:
    """Yield the first row of each strip and the one past its last.

    Args:
        height: Rows of the image, a multiple of BLOCK_PX.
        width: Columns of the image.
        reduction: How much smaller the temporary arrays are than the image, by side.
    """
    rows = max(1, _STRIP_PIXELS * reduction**2 // (BLOCK_PX * width)) * BLOCK_PX
    for first in range(0, height, rows):
        yield first, min(first + rows, height)
