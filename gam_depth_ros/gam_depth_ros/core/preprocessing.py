"""Picture to network input, and back to the picture's size.

The picture is stretched to the network's size: the whole field of view is kept, and undoing it is
the opposite stretch. Pixels are areas, so both ways keep the image's edges in place.
"""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", np.float32, np.uint8)


def prepare(rgb: npt.NDArray[np.uint8], size_hw: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize a picture to the network's input.

    Args:
        rgb: H×W×3 uint8 RGB.
        size_hw: Height and width of the network input, pixels.

    Returns:
        1×h×w×3 uint8 RGB. Normalisation is inside the network.
    """
    height, width = size_hw
    if rgb.shape[:2] == (height, width):
        return np.ascontiguousarray(rgb)[None]
    shrinks = rgb.shape[0] >= height and rgb.shape[1] >= width
    # Averaging over the source pixels keeps fine texture from aliasing when shrinking.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: npt.NDArray[Any] = cv2.resize(rgb, (width, height), interpolation=method)
    return resized[None].astype(np.uint8, copy=False)


def to_image_size(
    array: npt.NDArray[Scalar], size_hw: tuple[int, int], nearest: bool = False
) -> npt.NDArray[Scalar]:
    """Resize a network output to the size of the picture it belongs to.

    Args:
        array: h×w float32 or uint8.
        size_hw: Height and width of the picture, pixels.
        nearest: Take the nearest value (ids) instead of interpolating linearly (quantities).

    Returns:
        H×W of the same type; values never leave the range of the input's.
    """
    height, width = size_hw
    if array.shape == (height, width):
        return array
    method = cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_LINEAR
    resized: npt.NDArray[Any] = cv2.resize(array, (width, height), interpolation=method)
    return resized.astype(array.dtype, copy=False)
