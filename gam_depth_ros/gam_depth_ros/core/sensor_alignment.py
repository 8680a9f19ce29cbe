"""The smooth factor from predicted depth to a sensor's depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.correction_field import smooth_field
from gam_depth_ros.core.sensor_readings import CELL_PX, LEAST_VARIANCE_M2, Readings

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]

_HALF_WEIGHT = 0.05  # relative sigma of a reading that counts half in the field
_PRIOR_VARIANCE = 0.09  # of the log ratio where no reading says anything: (30 %)²
_FLOOR_VARIANCE = 2.5e-5  # of the log ratio, (0.5 %)²: what the sensor's calibration leaves
_RATIO_LIMITS = 1e-3, 1e3
_LEAST_WEIGHT = 1e-6  # of all readings together: nothing is divided by zero

_BLUR_PX = 6.0
"""Error of the prediction at an edge, in units of the sensor's own: networks draw edges blurred."""

_MISSING = 0.8
"""Part of the prediction's sigma that stays in holes: they are not there by chance but where the
surface is difficult, so neighbours tell less of them than of pixels withheld at random. Of five
values tried, 0.2 to 1.0, on the holes of a simulated Kinect and RealSense, 46 and 39 % of them lay
within one sigma at 0.2, 63 and 54 % at this one; blocks withheld at random ask for less."""

_FAR_QUANTILE = 0.95  # of a frame's readings: about where they end
_NEARLY_FAR = 0.4  # log depth before that end from which on a hole may be there for being far
_MOST_BEYOND = 0.5  # relative sigma, at most, for being far
_LEAST_END_M = 0.01
_AROUND_CELLS = 17  # side of the window in which a hole is wide or not


@dataclass(frozen=True)
class Layer:
    """A factor on the prediction, one value per cell.

    Attributes:
        factor: h×w float32.
        sigma_m: h×w float32 metres, of the prediction times the factor.
    """

    factor: Floats
    sigma_m: Floats


@dataclass(frozen=True)
class Alignment:
    """What one frame taught about the factor from prediction to sensor; one value per cell.

    Attributes:
        fine: h×w float32 factor that follows the readings closely: for holes.
        fine_variance: h×w float32, of log ``fine`` in holes.
        coarse: h×w float32 factor, smooth: what it leaves is the prediction's own opinion.
        coarse_variance: h×w float32, of log ``coarse`` at single pixels.
        trust: Weight of all readings over what the sensor's noise alone would leave them, from 0.
        end_m: Depth about which the readings end, metres; 0 without any.
        emptiness: h×w float32, share of cells around without a reading, 0 to 1.
    """

    fine: Floats
    fine_variance: Floats
    coarse: Floats
    coarse_variance: Floats
    trust: float
    end_m: float
    emptiness: Floats

    def filling(self, depth_m: Floats, sigma_m: Floats) -> Layer:
        """Return what fills holes of the frame that the alignment was learnt from.

        What lies beyond the sensor's reach is missing there altogether, and readings from nearer
        say little of it: networks draw the far end too near, so that neither the prediction nor
        the field's spread shows it. With z the filling's depth and e the readings' end, sigma of
        log depth grows by the part of log(z / e) above −0.4, up to 0.5, the more the wider the
        hole. benchmarks/far_holes.py prints what that covers on recordings; its three numbers were
        chosen with these in view.

        Args:
            depth_m: h×w float32 metres, the prediction at the cells.
            sigma_m: h×w float32 metres, its sigma there.
        """
        variance = _variance_m2(self.fine, self.fine_variance, depth_m)
        missing_m = cv2.multiply(sigma_m, _MISSING)
        cv2.patchNaNs(missing_m, 0)
        cv2.accumulateSquare(missing_m, variance)
        cv2.accumulateSquare(self._beyond_m(depth_m), variance)
        return Layer(self.fine, cv2.sqrt(variance, dst=variance))

    def _beyond_m(self, depth_m: Floats) -> Floats:
        """Return the part of a filling's sigma that comes from being past the readings' end."""
        filled_m: Floats = cv2.multiply(depth_m, self.fine)
        cv2.patchNaNs(filled_m, 0)
        start_m = max(self.end_m, _LEAST_END_M) * math.exp(-_NEARLY_FAR)
        beyond: Floats = np.maximum(filled_m * np.float32(1 / start_m), np.float32(1))
        cv2.log(beyond, dst=beyond)
        np.minimum(beyond, np.float32(_MOST_BEYOND), out=beyond)
        beyond *= self.emptiness
        beyond *= filled_m
        return beyond

    def opinion(self, depth_m: Floats, readings: Readings, noise: Floats) -> Layer:
        """Return the prediction's opinion where there are readings too.

        What unsettles a reading beyond the sensor's noise (an edge, a slant) unsettles the
        prediction more.

        Args:
            depth_m: h×w float32 metres, the prediction at the cells.
            readings: Of the whole frame.
            noise: h×w float32 square metres, variance of the sensor's own noise at the cells.
        """
        unrest = cv2.subtract(readings.variance_m2, noise)
        np.maximum(unrest, 0, out=unrest)
        variance = _variance_m2(self.coarse, self.coarse_variance, depth_m)
        cv2.scaleAdd(unrest, _BLUR_PX**2, variance, dst=variance)
        return Layer(self.coarse, cv2.sqrt(variance, dst=variance))

    def memory(self, depth_m: Floats) -> Layer:
        """Return what is left for a later frame without a sensor; ``depth_m`` at the cells."""
        variance = _variance_m2(self.fine, self.coarse_variance, depth_m)
        return Layer(self.fine, cv2.sqrt(variance, dst=variance))


def align(readings: Readings, depth_m: Floats, noise: Floats) -> Alignment:
    """Learn the factor from prediction to sensor depth.

    Args:
        readings: Of the frame, H×W.
        depth_m: h×w float32 metres, the prediction at the cells; NaN where unknown.
        noise: h×w float32 square metres, variance of the sensor's own noise at the cells.
    """
    sensor_m = at_cells(readings.depth_m)
    ratio = cv2.divide(sensor_m, depth_m)
    known = cv2.inRange(ratio, *_RATIO_LIMITS)  # neither 0 nor NaN
    log_ratio = np.ones_like(ratio)
    cv2.copyTo(ratio, known, dst=log_ratio)
    cv2.log(log_ratio, dst=log_ratio)
    # The weight a² / (a² + relative variance), with a the relative sigma that counts half.
    strength = cv2.multiply(sensor_m, sensor_m, scale=_HALF_WEIGHT**2)
    given = cv2.divide(strength, cv2.add(strength, readings.variance_m2))
    at_best = cv2.divide(strength, cv2.add(strength, noise) + np.float32(LEAST_VARIANCE_M2))
    weight = np.zeros_like(ratio)
    cv2.copyTo(given, known, dst=weight)
    field = smooth_field(log_ratio, weight, _PRIOR_VARIANCE)
    floor = np.float32(_FLOOR_VARIANCE)
    hole = cv2.compare(sensor_m, 0, cv2.CMP_EQ)
    around = _AROUND_CELLS, _AROUND_CELLS
    emptiness = cv2.blur(hole, around, borderType=cv2.BORDER_REPLICATE).astype(np.float32)
    return Alignment(
        fine=cv2.exp(field.fine),
        fine_variance=field.fine_variance + floor,
        coarse=cv2.exp(field.coarse),
        coarse_variance=field.coarse_variance + floor,
        trust=float(given.sum()) / max(float(at_best.sum()), _LEAST_WEIGHT),
        end_m=_end_m(sensor_m),
        emptiness=cv2.multiply(emptiness, 1 / 255, dst=emptiness),
    )


def _end_m(sensor_m: Floats) -> float:
    """Return the depth that hardly a reading exceeds; 0 without readings."""
    readings = sensor_m[::2, ::2].ravel()
    readings = readings[readings > 0]
    if not readings.size:
        return 0.0
    index = int(_FAR_QUANTILE * (readings.size - 1))
    return float(np.partition(readings, index)[index])


def at_cells(image: Floats) -> Floats:
    """Return the middle value of each cell of an image.

    Args:
        image: H×W float32, its sides multiples of CELL_PX.
    """
    middle = slice(CELL_PX // 2, None, CELL_PX)
    return np.ascontiguousarray(image[middle, middle])


def _variance_m2(factor: Floats, relative_variance: Floats, depth_m: Floats) -> Floats:
    aligned_m = cv2.multiply(depth_m, factor)
    cv2.patchNaNs(aligned_m, 0)  # a NaN would spread to the neighbours when brought to full size
    variance: Floats = cv2.multiply(cv2.multiply(aligned_m, aligned_m), relative_variance)
    variance += np.float32(LEAST_VARIANCE_M2)
    return variance
