"""An image in parts: strips of rows, whose temporary arrays stay in the cache, and samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

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


def every_green(rgb: npt.NDArray[np.uint8], step: int) -> npt.NDArray[np.uint8]:
    """Return green of every ``step``-th pixel of every ``step``-th row: ``rgb[::step, ::step, 1]``.

    OpenCV takes a channel out several times as fast as NumPy walks in strides of single bytes.

    Args:
        rgb: H×W×3 uint8.
        step: 2 to 4.
    """
    if rgb.shape[1] % step:
        return np.ascontiguousarray(rgb[::step, ::step, 1])
    green: npt.NDArray[Any] = cv2.extractChannel(rgb[::step], 1)
    pixels = green.reshape(len(green), -1, step)
    return np.asarray(cv2.extractChannel(pixels, 0), np.uint8)
