"""What an explanation is asked about: a picture, and a place in it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.image_codec import ImageError, decode_compressed_color
from gam_depth_ros.evaluation.bag import BagError, open_recording
from gam_depth_ros.evaluation.explain import Region

PICTURES = (".jpg", ".jpeg", ".png")
POINT_SHARE = 32
"""A point stands for a square of this share of the picture's width."""


def load_picture(source: Path, index: int) -> npt.NDArray[np.uint8]:
    """Read a picture file, or one image of a recording.

    Args:
        source: A .jpg or .png file, or a recording.
        index: Which image of a recording; a picture file has but one.

    Returns:
        H×W×3 uint8 RGB.

    Raises:
        BagError: nothing there that can be read, or fewer images.
    """
    if source.suffix.lower() in PICTURES and source.is_file():
        try:
            return decode_compressed_color(source.read_bytes())
        except (ImageError, OSError) as error:
            raise BagError(f"{source}: {error}") from error
    for frame in itertools.islice(open_recording(source).frames(), index, index + 1):
        return frame.rgb
    raise BagError(
        f"{source}: got fewer than {index + 1} readable images, expected --frame below their "
        "number; choose an earlier one"
    )


def read_region(text: str, size_hw: tuple[int, int]) -> Region:
    """Read ``X,Y`` or ``X,Y,WIDTH,HEIGHT``, pixels of a picture of this size.

    Raises:
        ValueError: it is neither, or a point outside the picture.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 4:
        return Region(*numbers)
    if len(numbers) != 2:
        raise ValueError(f"--at: got '{text}', expected X,Y or X,Y,WIDTH,HEIGHT in pixels")
    (x, y), (height, width) = numbers, size_hw
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"--at: got '{text}', expected a place within {width}x{height} pixels")
    side = max(1, width // POINT_SHARE)
    left, top = max(0, x - side // 2), max(0, y - side // 2)
    return Region(left, top, min(side, width - left), min(side, height - top))
