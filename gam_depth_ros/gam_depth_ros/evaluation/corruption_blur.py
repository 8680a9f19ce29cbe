"""Blur: defocus, frosted glass, motion, zoom. Lengths are pixels of the picture at hand.

Borders are mirrored, so that no black frame comes in from outside.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.evaluation.corruption_light import Image, Values, to_image

_SUBPIXELS = 8
_ZOOM_STEPS = 12


def defocus(rgb: Image, radius_px: float) -> Image:
    """Blur by a disk, the image of a point out of focus through a round aperture.

    Args:
        rgb: H×W×3 uint8.
        radius_px: Radius of the disk; 0 is the same picture.
    """
    return _filter(rgb, disk_kernel(radius_px))


def disk_kernel(radius_px: float) -> Values:
    """Return a disk that sums to 1; each weight is the share of its pixel that the disk covers."""
    reach = math.ceil(radius_px)
    size = (2 * reach + 1) * _SUBPIXELS
    # Centres of the subpixels, measured from the centre of the middle pixel.
    places = (np.arange(size) + 0.5) / _SUBPIXELS - (reach + 0.5)
    # A disk smaller than a pixel still has its middle pixel.
    inside = np.hypot(places[:, None], places[None, :]) <= max(radius_px, 0.5)
    blocks = inside.reshape(size // _SUBPIXELS, _SUBPIXELS, size // _SUBPIXELS, _SUBPIXELS)
    covered = blocks.mean(axis=(1, 3))
    return np.asarray(covered / covered.sum(), np.float32)


def frost(
    rgb: Image, blur_px: float, reach_px: int, passes: int, rng: np.random.Generator
) -> Image:
    """Look through frosted glass: each pixel shows one nearby, several times over, between blurs.

    Args:
        rgb: H×W×3 uint8.
        blur_px: Standard deviation of the blur before and after; 0 for none.
        reach_px: Furthest that one pass looks, in rows and in columns; 0 is no displacement.
        passes: How often.
        rng: Where the displacements come from.
    """
    height, width = rgb.shape[:2]
    places = np.indices((height, width), np.int32)
    shown = _gaussian(rgb, blur_px)
    for _ in range(passes):
        offset = rng.integers(-reach_px, reach_px + 1, (2, height, width), np.int32)
        rows = np.clip(places[0] + offset[0], 0, height - 1)
        columns = np.clip(places[1] + offset[1], 0, width - 1)
        shown = shown[rows, columns]
    return to_image(_gaussian(shown, blur_px))


def blur_by_motion(rgb: Image, length_px: float, angle_rad: float) -> Image:
    """Blur along a straight line, as of a camera that moved while the shutter was open.

    Args:
        rgb: H×W×3 uint8.
        length_px: Length of the path; 0 is the same picture.
        angle_rad: Its direction, from the right towards the bottom.
    """
    return _filter(rgb, line_kernel(length_px, angle_rad))


def line_kernel(length_px: float, angle_rad: float) -> Values:
    """Return a line that sums to 1, each of its points shared by the four pixels around it."""
    reach = math.ceil(length_px / 2.0) + 1
    count = max(1, math.ceil(length_px) * _SUBPIXELS)
    along = (np.arange(count) + 0.5) / count * length_px - length_px / 2.0
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    x, y = reach + along * math.cos(angle_rad), reach + along * math.sin(angle_rad)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - down - (y - top)) * np.abs(1 - right - (x - left))
            np.add.at(kernel, (np.minimum(top + down, 2 * reach), left + right), share)
    return np.asarray(kernel / kernel.sum(), np.float32)


def blur_by_zoom(rgb: Image, largest: float) -> Image:
    """Average the picture with itself enlarged about its centre, as of a fast move forward.

    Args:
        rgb: H×W×3 uint8.
        largest: The largest enlargement; 1 is the same picture.
    """
    height, width = rgb.shape[:2]
    total: npt.NDArray[np.float32] = np.zeros(rgb.shape, np.float32)
    for factor in np.linspace(1.0, largest, _ZOOM_STEPS):
        # Pixel centres: (w-1)/2 is the middle, and stays where it is.
        shift_x, shift_y = (1.0 - factor) * (width - 1) / 2.0, (1.0 - factor) * (height - 1) / 2.0
        matrix = np.array([[factor, 0.0, shift_x], [0.0, factor, shift_y]])
        total += cv2.warpAffine(
            rgb,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    return to_image(total / _ZOOM_STEPS)


def _filter(rgb: Image, kernel: Values) -> Image:
    blurred = cv2.filter2D(rgb.astype(np.float32), -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return to_image(np.asarray(blurred, np.float32))


def _gaussian(rgb: npt.NDArray[np.generic], sigma_px: float) -> Values:
    values = rgb.astype(np.float32)
    if sigma_px <= 0.0:
        return values
    blurred = cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32)
