"""A depth image as readings with the variance that the sensor and the surroundings give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.fusion_config import FusionConfig
from gam_depth_ros.core.sensor_model import SensorModel
from gam_depth_ros.core.strips import Scratch

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

LEAST_VARIANCE_M2 = 1e-10
"""A hundredth of a millimetre squared: nothing is surer, and nothing is divided by zero."""

READINGS_PX = 2
"""One variance per cell of this many pixels squared."""

_HOLE_WINDOW_PX = 5  # of the quarter-size image
_MIDDLE = np.s_[2::4]  # of the picture, in the quarter-size image
_RELIEF_PX = 4  # three pixels of the half-size image span four
_NOISE_RANGE = 3.0  # expected largest minus smallest of nine normal values, in sigmas
_DARK = (10, 30)  # grey levels: full distrust at the first, none at the second
_BRIGHT = (245, 252)  # the other way round
_BOX = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Readings:
    """What a sensor says and how far it can be trusted.

    Attributes:
        depth_m: H×W float32 metres as delivered: NaN or out of range where there is no reading.
        range_m: Nearest and farthest depth of a reading, metres.
        half_m: H/2×W/2 float32 metres, every second reading of every second row; 0 where there is
            none.
        variance_m2: H/2×W/2 float32 square metres, never 0; pixel (0, 0) is for rows and
            columns 0 and 1.
    """

    depth_m: Floats
    range_m: tuple[float, float]
    half_m: Floats
    variance_m2: Floats


class ReadingModel:
    """Turns depth images into readings.

    Besides the sensor's noise, edges and slants, holes nearby, black and white count: so do
    reflective and dark surfaces show. The arrays that it returns are its own and are written over
    by the next call.

    Args:
        config: ``lateral_px``, ``hole_sigma`` and ``extreme_sigma`` are used.
        model: The sensor's own noise and range.
    """

    def __init__(self, config: FusionConfig, model: SensorModel) -> None:
        self._model = model
        self._lateral_px = config.lateral_px
        levels = np.arange(256, dtype=np.float64)
        self._of_hole_share = np.square(config.hole_sigma * levels / 255).astype(np.float32)
        dark = (_DARK[1] - levels) / (_DARK[1] - _DARK[0])
        bright = (levels - _BRIGHT[0]) / (_BRIGHT[1] - _BRIGHT[0])
        extreme = np.clip(np.maximum(dark, bright), 0, 1)
        self._of_brightness = np.square(config.extreme_sigma * extreme).astype(np.float32)
        self._scratch = Scratch()

    def read(self, depth_m: Floats, rgb: Bytes) -> Readings:
        """Weigh every reading of a frame.

        Args:
            depth_m: H×W float32 metres, NaN or out of range without a reading; H and W multiples
                of BLOCK_PX.
            rgb: H×W×3 uint8, the picture that the depth is registered to.
        """
        near_m, far_m = (float(np.float32(end)) for end in (self._model.near_m, self._model.far_m))
        height, width = depth_m.shape[0] // READINGS_PX, depth_m.shape[1] // READINGS_PX
        half_m = self._scratch.floats("half", height, width)
        np.copyto(half_m, depth_m[::READINGS_PX, ::READINGS_PX])
        cv2.threshold(half_m, far_m, 0, cv2.THRESH_TOZERO_INV, dst=half_m)
        cv2.patchNaNs(half_m, 0)
        below_m = float(np.nextafter(np.float32(near_m), np.float32(0)))
        cv2.threshold(half_m, below_m, 0, cv2.THRESH_TOZERO, dst=half_m)
        variance = self._variance(half_m, np.ascontiguousarray(rgb[_MIDDLE, _MIDDLE, 1]))
        return Readings(depth_m, (near_m, far_m), half_m, variance)

    def _variance(self, half_m: Floats, green: Bytes) -> Floats:
        """Return the variance of readings, square metres.

        A reading may have been taken ``lateral_px`` beside its pixel (Nguyen, Izadi and Lovell 2012
        measure 0.8 px on a Kinect, more on slants): that is an error of ``lateral_px`` times the
        local slope of the depth, which at an edge is a good part of the step.
        """
        spare, highest, relief_m, variance = (
            self._scratch.like(name, half_m) for name in ("spare", "highest", "relief", "variance")
        )
        hole = cv2.compare(half_m, 0, cv2.CMP_EQ)
        # A reading between holes may be missed here; it counts as one from the end of the range.
        np.copyto(spare, hole)
        cv2.scaleAdd(spare, self._model.far_m / 255, half_m, dst=spare)
        cv2.dilate(half_m, _BOX, dst=highest)
        lowest = cv2.erode(spare, _BOX, dst=variance)
        cv2.subtract(highest, lowest, dst=relief_m)
        # Among nothing but holes lowest is that end and highest is zero.
        cv2.max(highest, lowest, dst=highest)
        square = cv2.multiply(highest, highest, dst=highest)
        self._model.variance_of_square(square, variance)
        cv2.scaleAdd(cv2.sqrt(variance, dst=spare), -_NOISE_RANGE, relief_m, dst=relief_m)
        cv2.threshold(relief_m, 0, 0, cv2.THRESH_TOZERO, dst=relief_m)
        cv2.multiply(relief_m, relief_m, dst=relief_m)
        slant = (self._lateral_px / _RELIEF_PX) ** 2
        cv2.addWeighted(variance, 1, relief_m, slant, LEAST_VARIANCE_M2, dst=variance)
        around = cv2.resize(self._surroundings(hole, green), half_m.shape[::-1], dst=spare)
        cv2.accumulateProduct(around, square, variance)
        return variance

    def _surroundings(self, hole: Bytes, green: Bytes) -> Floats:
        """Return the relative variance for holes nearby and for black and white, quarter size."""
        share = cv2.resize(hole, green.shape[::-1], interpolation=cv2.INTER_AREA)
        share = cv2.blur(share, (_HOLE_WINDOW_PX, _HOLE_WINDOW_PX))
        relative: Floats = cv2.LUT(share, self._of_hole_share)
        cv2.add(relative, cv2.LUT(green, self._of_brightness), dst=relative)
        return relative
