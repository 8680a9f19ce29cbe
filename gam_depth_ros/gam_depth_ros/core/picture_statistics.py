"""Cheap figures of a picture: how bright, sharp, noisy and structured it is.

All are taken at one small size, whatever the camera's: there cameras differ least (optics,
demosaicing and JPEG act on single pixels), and it is near what the network sees. What is lost by
shrinking hurts the network as little as it shows here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

WORKING_HW = (96, 128)
SATURATED_FROM = 250
BLACK_TO = 8
# A block of this many pixels a side has structure if its standard deviation exceeds the floor.
_BLOCK = 8
BLOCK_FLOOR = 2.0
# Mean square of the coarse second difference, grey levels squared, under which a picture has no
# edges that sharpness could be told by: twice what rounding to whole levels makes.
_LEAST_EDGES = 1.0
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_NOISE_KERNEL_NORM = 6.0
# Mean of |z| below its median, z standard normal: 4 (φ(0) − φ(0.6745)).
_LOWER_HALF_MEAN = 0.3246
_SECOND_DIFFERENCE_NOISE = 6.0  # 1 + 4 + 1
_ROUNDING_VARIANCE = 1.0 / 12.0


@dataclass(frozen=True)
class PictureStatistics:
    """Figures of one picture at ``WORKING_HW``; luminance is 0 to 255.

    Attributes:
        luminance_low: 5 % quantile of luminance.
        luminance_median: Its median.
        luminance_high: Its 95 % quantile.
        saturated: Share of pixels from ``SATURATED_FROM`` up.
        black: Share of pixels to ``BLACK_TO``.
        contrast: Standard deviation of luminance.
        entropy: Of the histogram of luminance in 256 bins, bits, 0 to 8.
        structure: Share of blocks of 8×8 pixels that are not flat.
        noise: Standard deviation of pixel noise, grey levels.
        sharpness: Energy of second differences over one pixel against that over two, noise taken
            off, in the softest of four directions: 0.2 to 0.4 for a sharp picture, 0.08 and less
            for a blurred one. NaN where there are no edges to judge by: a dull wall is not
            blurred.
    """

    luminance_low: float
    luminance_median: float
    luminance_high: float
    saturated: float
    black: float
    contrast: float
    entropy: float
    structure: float
    noise: float
    sharpness: float


def reduced(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Shrink a picture to ``WORKING_HW``; one of that size is returned as it is.

    In one step and by area, as :func:`~gam_depth_ros.core.preprocessing.prepare` does: halving
    first would be faster, but neighbours that share source pixels look softer and less noisy.

    Args:
        rgb: H×W×3 uint8 RGB.
    """
    if rgb.shape[:2] == WORKING_HW:
        return rgb
    size = (WORKING_HW[1], WORKING_HW[0])
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def picture_statistics(rgb: npt.NDArray[np.uint8]) -> PictureStatistics:
    """Measure a picture.

    Args:
        rgb: H×W×3 uint8 RGB of any size; of ``WORKING_HW`` it costs least.
    """
    grey = np.asarray(cv2.cvtColor(reduced(rgb), cv2.COLOR_RGB2GRAY), np.uint8)
    counts = np.bincount(grey.ravel(), minlength=256)
    shares = counts / grey.size
    below = np.cumsum(counts)
    low, median, high = np.searchsorted(below, np.array((0.05, 0.5, 0.95)) * grey.size)
    occupied = shares[shares > 0]
    levels = np.arange(256)
    mean = float(shares @ levels)
    exact = grey.astype(np.float32)
    noise = noise_sigma(exact)
    return PictureStatistics(
        luminance_low=float(low),
        luminance_median=float(median),
        luminance_high=float(high),
        saturated=float(shares[SATURATED_FROM:].sum()),
        black=float(shares[: BLACK_TO + 1].sum()),
        contrast=float(np.sqrt(max(0.0, float(shares @ levels**2) - mean**2))),
        entropy=float(-(occupied * np.log2(occupied)).sum()) + 0.0,
        structure=structure(exact),
        noise=noise,
        sharpness=sharpness(exact, noise),
    )


def noise_sigma(grey: npt.NDArray[np.float32]) -> float:
    """Estimate the standard deviation of pixel noise.

    Immerkær (1996), "Fast noise variance estimation": the difference of two Laplacians is blind to
    planes and straight edges. Only the weaker half of the responses counts, where his method takes
    all, so that texture on less than half of the picture is not taken for noise.

    Args:
        grey: H×W float32.
    """
    response: npt.NDArray[Any] = cv2.filter2D(grey, cv2.CV_32F, _NOISE_KERNEL)
    magnitude = np.abs(response[1:-1, 1:-1]).ravel()
    half = magnitude.size // 2
    weaker = np.partition(magnitude, half)[:half]
    return float(weaker.mean()) / (_NOISE_KERNEL_NORM * _LOWER_HALF_MEAN)


def structure(grey: npt.NDArray[np.float32]) -> float:
    """Return the share of blocks whose standard deviation exceeds the floor, 0 to 1."""
    return float((_block_moments(grey)[1] > BLOCK_FLOOR**2).mean())


def block_levels(
    grey: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return mean and standard deviation of the blocks of 8×8 pixels, H/8×W/8 float32."""
    mean, variance = _block_moments(grey)
    return mean, np.sqrt(np.maximum(variance, np.float32(0)))


def _block_moments(grey: npt.NDArray[np.float32]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    size = (grey.shape[1] // _BLOCK, grey.shape[0] // _BLOCK)
    mean: npt.NDArray[Any] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    square: npt.NDArray[Any] = cv2.resize(grey * grey, size, interpolation=cv2.INTER_AREA)
    return mean, square - mean * mean


def sharpness(grey: npt.NDArray[np.float32], noise: float) -> float:
    """Return the fine against the coarse second difference in the softest direction.

    Blur takes the fine one first; contrast and the amount of texture cancel. Motion blurs along
    one direction only, so the softest of rows, columns and both diagonals counts.

    Args:
        grey: H×W float32.
        noise: Standard deviation of its noise, whose part is taken off both.
    """
    off = _SECOND_DIFFERENCE_NOISE * max(noise**2, _ROUNDING_VARIANCE)
    twice = 2.0 * grey
    ratios = []
    for step_y, step_x in ((0, 1), (1, 0), (1, 1), (1, -1)):
        coarse = _second_difference_energy(grey, twice, 2 * step_y, 2 * step_x) - off
        if coarse <= _LEAST_EDGES:
            return float("nan")
        fine = _second_difference_energy(grey, twice, step_y, step_x) - off
        ratios.append(max(fine, 0.0) / coarse)
    return min(ratios)


def _second_difference_energy(
    grey: npt.NDArray[np.float32], twice: npt.NDArray[np.float32], dy: int, dx: int
) -> float:
    """Return the mean square of I(p+d) − 2·I(p) + I(p−d); ``twice`` is 2·I."""
    height, width = grey.shape
    if dx < 0:  # upside down, the same line goes to the right
        grey, twice, dx = grey[::-1], twice[::-1], -dx
    difference = grey[2 * dy :, 2 * dx :] + grey[: height - 2 * dy, : width - 2 * dx]
    difference -= twice[dy : height - dy, dx : width - dx]
    flat = difference.ravel()
    return float(flat @ flat) / flat.size
