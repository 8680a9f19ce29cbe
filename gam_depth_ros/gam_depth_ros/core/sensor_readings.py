"""A depth image as readings with the variance that the sensor and the surroundings give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.fusion_config import FusionConfig
from gam_depth_ros.core.sensor_model import SensorModel

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

LEAST_VARIANCE_M2 = 1e-10
"""A hundredth of a millimetre squared: nothing is surer, and nothing is divided by zero."""

CELL_PX = 4
"""What changes slowly is worked out once per cell of this many pixels squared."""

_HOLE_WINDOW_CELLS = 5
_NOISE_RANGE = 2.06  # expected largest minus smallest of four normal values, in sigmas
_DARK = (10, 30)  # grey levels: full distrust at the first, none at the second
_BRIGHT = (245, 252)  # the other way round
_CORNERS = np.ones((2, 2), np.uint8)


@dataclass(frozen=True)
class Readings:
    """What a sensor says and how far it can be trusted.

    Attributes:
        depth_m: H×W float32 metres, 0 where there is no reading in range.
        hole: H×W uint8, 255 where there is none, else 0.
        variance_m2: One per cell, H/4×W/4 float32 square metres, never 0.
    """

    depth_m: Floats
    hole: Bytes
    variance_m2: Floats


class ReadingModel:
    """Turns depth images into readings.

    Besides the sensor's noise, edges and slants, holes nearby, black and white count: so do
    reflective and dark surfaces show.

    Args:
        config: ``lateral_px``, ``hole_sigma`` and ``extreme_sigma`` are used.
        model: The sensor's own noise and range.
    """

    def __init__(self, config: FusionConfig, model: SensorModel) -> None:
        self._model = model
        self._lateral_px = config.lateral_px
        levels = np.arange(256, dtype=np.float64)
        self._of_valid_share = np.square(config.hole_sigma * (1 - levels / 255)).astype(np.float32)
        dark = (_DARK[1] - levels) / (_DARK[1] - _DARK[0])
        bright = (levels - _BRIGHT[0]) / (_BRIGHT[1] - _BRIGHT[0])
        extreme = np.clip(np.maximum(dark, bright), 0, 1)
        self._of_brightness = np.square(config.extreme_sigma * extreme).astype(np.float32)

    def read(self, depth_m: Floats, rgb: Bytes) -> Readings:
        """Weigh every reading of a frame.

        Args:
            depth_m: H×W float32 metres, NaN or out of range without a reading; H and W multiples
                of CELL_PX.
            rgb: H×W×3 uint8, the picture that the depth is registered to.
        """
        clean_m = cv2.threshold(depth_m, self._model.far_m, 0, cv2.THRESH_TOZERO_INV)[1]
        cv2.patchNaNs(clean_m, 0)
        nearest_m = float(np.nextafter(np.float32(self._model.near_m), np.float32(0)))
        cv2.threshold(clean_m, nearest_m, 0, cv2.THRESH_TOZERO, dst=clean_m)
        hole = cv2.compare(clean_m, 0, cv2.CMP_EQ)
        return Readings(clean_m, hole, self._variance_of(clean_m, rgb))

    def _variance_of(self, depth_m: Floats, rgb: Bytes) -> Floats:
        """Return the variance of the readings of each cell, square metres.

        A reading may have been taken ``lateral_px`` beside its pixel (Nguyen, Izadi and Lovell 2012
        measure 0.8 px on a Kinect, more on slants): that is an error of ``lateral_px`` times the
        local slope of the depth, which at an edge is a good part of the step. The slope is the
        difference between the nearest and the farthest of a cell's four corners.
        """
        corner = np.ascontiguousarray(depth_m[::CELL_PX, ::CELL_PX])
        hole = cv2.compare(corner, 0, cv2.CMP_EQ)
        # A reading between holes may be missed here; it counts as one from the end of the range.
        far_holes = hole.astype(np.float32)
        cv2.scaleAdd(far_holes, self._model.far_m / 255, corner, dst=far_holes)
        highest = cv2.dilate(corner, _CORNERS, anchor=(0, 0))
        relief_m = cv2.erode(far_holes, _CORNERS, anchor=(0, 0))
        cv2.subtract(highest, relief_m, dst=relief_m)
        nothing = cv2.compare(highest, 0, cv2.CMP_EQ)
        cv2.copyTo(far_holes, nothing, dst=highest)
        square = cv2.multiply(highest, highest)
        variance = self._model.variance_of_square(square)
        cv2.scaleAdd(cv2.sqrt(variance), -_NOISE_RANGE, relief_m, dst=relief_m)
        cv2.threshold(relief_m, 0, 0, cv2.THRESH_TOZERO, dst=relief_m)
        relief_m *= np.float32(self._lateral_px / CELL_PX)
        cv2.accumulateSquare(relief_m, variance)
        cv2.accumulateProduct(self._surroundings(hole, rgb), square, variance)
        variance += np.float32(LEAST_VARIANCE_M2)
        return variance

    def _surroundings(self, hole: Bytes, rgb: Bytes) -> Floats:
        """Return the relative variance for holes nearby and for black and white, by cell."""
        around = _HOLE_WINDOW_CELLS, _HOLE_WINDOW_CELLS
        share = cv2.blur(cv2.bitwise_not(hole), around)
        # Most of what the eye calls brightness.
        green = np.ascontiguousarray(rgb[::CELL_PX, ::CELL_PX, 1])
        relative: Floats = cv2.LUT(green, self._of_brightness)
        cv2.add(relative, cv2.LUT(share, self._of_valid_share), dst=relative)
        return relative
