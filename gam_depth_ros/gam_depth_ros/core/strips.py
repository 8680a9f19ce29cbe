"""An image in strips of rows: temporary arrays of that size stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

BLOCK_PX = 8
"""Strips begin at multiples of this; images worked on have such sides."""

_STRIP_PIXELS = 102_400


def strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield the first row of each strip and the one past its last.

    Args:
        height: Rows of the image, a multiple of BLOCK_PX.
        width: Columns of the image.
    """
    rows = max(1, _STRIP_PIXELS // (BLOCK_PX * width)) * BLOCK_PX
    for first in range(0, height, rows):
        yield first, min(first + rows, height)


class Scratch:
    """Temporary arrays, kept by name from frame to frame.

    Fresh memory costs more than the arithmetic on it. What an array holds is lost when its name is
    asked for again, so nothing of it is to leave the stage that it belongs to.
    """

    def __init__(self) -> None:
        self._held: dict[str, npt.NDArray[np.float32]] = {}

    def floats(self, name: str, height: int, width: int) -> npt.NDArray[np.float32]:
        """Return the H×W float32 array of that name, uninitialised; it grows when it has to."""
        size = height * width
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(size, np.float32)
        return held[:size].reshape(height, width)

    def like(self, name: str, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the array of that name in the size of an image."""
        return self.floats(name, *image.shape)
