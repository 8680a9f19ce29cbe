"""Points of strong gradient, spread over the picture, as direct odometry picks them.

After Engel et al. 2018, "Direct Sparse Odometry", section 3.2, written from its text. P²Net takes
such points for its patches, and the "key points" variant of GAM-Depth's Table IV for its mask.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

SEED = 2020
REGION_PX = 32  # one gradient threshold for each block of this size
ABOVE_MEDIAN = 7.0  # a point exceeds its region's median gradient by this, grey levels per pixel
WEAKER = 0.75  # each coarser pass lowers the threshold by this factor
PASSES = 3
BORDER_PX = 4
BLOCK_PX = 3  # tried first
TOO_FEW, TOO_MANY = 0.8, 4.0  # times the points wanted; beyond, other blocks are tried


def dso_keypoints(picture_uint8: npt.NDArray[np.uint8], count: int = 2000) -> npt.NDArray[np.int64]:
    """Choose at most ``count`` points.

    Each block of d×d pixels gives its pixel of largest gradient if that exceeds its region's
    threshold: the median gradient there plus 7. Blocks of 2d pixels that have none are asked again
    at half the resolution, then blocks of 4d at a quarter, with lower thresholds. d is 3 unless
    that gives far too few or too many; of too many points, a fixed random choice stays.

    Args:
        picture_uint8: H×W grey or H×W×3 RGB. P²Net chooses its 2000 points at 480×640.
        count: Points wanted; a picture with little texture has fewer.

    Returns:
        K×2 (row, column), in raster order. The same picture always gives the same points.

    Raises:
        ValueError: A picture that is not uint8, or neither H×W nor H×W×3.
    """
    levels = _gradient_pyramid(_grey(picture_uint8))
    threshold = _thresholds(levels[0])
    block = BLOCK_PX
    points = _choose(levels, threshold, block)
    while len(points) < TOO_FEW * count and block > 1:
        block -= 1
        points = _choose(levels, threshold, block)
    while len(points) > TOO_MANY * count:
        block += 1
        points = _choose(levels, threshold, block)
    if len(points) > count:
        kept = np.random.default_rng(SEED).choice(len(points), count, replace=False)
        points = points[np.sort(kept)]
    return points


def keypoint_map(
    points: npt.NDArray[np.int64], from_size_hw: tuple[int, int], to_size_hw: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Mark points K×2 (row, column) of a picture in the map of another size, H×W of 0 and 1.

    Coordinates are scaled and rounded down, as the official code does; points may share a pixel.

    Raises:
        ValueError: A point outside the picture it is said to come from.
    """
    if len(points) and ((points < 0).any() or (points >= from_size_hw).any()):
        raise ValueError(
            f"got a point outside {from_size_hw[0]}×{from_size_hw[1]}, expected (row, column) of "
            "the picture in which it was found; pass that picture's size"
        )
    marks = np.zeros(to_size_hw, np.uint8)
    scaled = points * np.array(to_size_hw) // np.array(from_size_hw)
    marks[scaled[:, 0], scaled[:, 1]] = 1
    return marks


def _grey(picture: npt.NDArray[np.uint8]) -> Array:
    coloured = picture.ndim == 3 and picture.shape[2] == 3
    if picture.dtype != np.uint8 or not (coloured or picture.ndim == 2):
        raise ValueError(
            f"got a picture of {picture.shape} {picture.dtype}, expected H×W or H×W×3 uint8; "
            "convert it first"
        )
    return (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if coloured else picture).astype(np.float32)


def _gradient_pyramid(grey: Array) -> list[Array]:
    """Length of the gradient at 1, 1/2 and 1/4 of the resolution, each spread to full size.

    Per pixel of its own level, by central differences; 0 along the borders.
    """
    height, width = grey.shape
    levels = []
    for level in range(PASSES):
        length = np.zeros_like(grey)
        across = (grey[1:-1, 2:] - grey[1:-1, :-2]) / 2
        down = (grey[2:, 1:-1] - grey[:-2, 1:-1]) / 2
        length[1:-1, 1:-1] = np.hypot(across, down)
        full = np.zeros((height, width), np.float32)
        spread = length.repeat(2**level, axis=0).repeat(2**level, axis=1)[:height, :width]
        full[: spread.shape[0], : spread.shape[1]] = spread
        full[:BORDER_PX] = full[-BORDER_PX:] = 0
        full[:, :BORDER_PX] = full[:, -BORDER_PX:] = 0
        levels.append(full)
        rows, columns = grey.shape[0] // 2 * 2, grey.shape[1] // 2 * 2
        quads = grey[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2)
        grey = quads.mean(axis=(1, 3))
    return levels


def _thresholds(gradient: Array) -> Array:
    """Threshold of each pixel's region, H×W, averaged over the region and its neighbours."""
    height, width = gradient.shape
    medians = [
        [
            np.median(gradient[r : r + REGION_PX, c : c + REGION_PX])
            for c in range(0, width, REGION_PX)
        ]
        for r in range(0, height, REGION_PX)
    ]
    above = np.array(medians, np.float32) + np.float32(ABOVE_MEDIAN)
    smooth = cv2.blur(above, (3, 3), borderType=cv2.BORDER_REPLICATE)
    return smooth.repeat(REGION_PX, axis=0).repeat(REGION_PX, axis=1)[:height, :width]


def _choose(levels: list[Array], threshold: Array, block: int) -> npt.NDArray[np.int64]:
    """All passes with blocks of ``block``, twice and four times as many pixels."""
    taken = np.zeros(threshold.shape, bool)
    for level, gradient in enumerate(levels):
        strong = np.where(gradient > WEAKER**level * threshold, gradient, 0)
        size = block * 2**level
        blocks = _blocks(strong, size)
        free = (blocks.max(axis=2) > 0) & ~_blocks(taken, size).any(axis=2)
        row, column = np.nonzero(free)
        inner_row, inner_column = np.divmod(blocks[row, column].argmax(axis=1), size)
        taken[row * size + inner_row, column * size + inner_column] = True
    return np.argwhere(taken)


def _blocks(field: np.ndarray, size: int) -> np.ndarray:
    """Cut H×W into rows×columns×size² (the last ones filled up with zeros)."""
    height, width = field.shape
    padded = np.pad(field, ((0, -height % size), (0, -width % size)))
    rows, columns = padded.shape[0] // size, padded.shape[1] // size
    cut = padded.reshape(rows, size, columns, size).swapaxes(1, 2)
    return cut.reshape(rows, columns, size * size)
