"""Fusion of some rows of a frame: what is done with each pixel, on arrays that stay in the cache.

Allocating whole images for every step of the arithmetic costs more than the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_NETWORK, SOURCE_NONE, SOURCE_SENSOR
from gam_depth_ros.core.fusion_rule import Estimate, blend, fuse
from gam_depth_ros.core.sensor_alignment import CELL_PX, Layer
from gam_depth_ros.core.sensor_readings import Readings

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Scalar = TypeVar("Scalar", np.float32, np.uint8)


@dataclass(frozen=True)
class Rows:
    """The prediction in some rows of a frame.

    Attributes:
        first: First row, a multiple of CELL_PX.
        depth_m: h×W float32 metres; NaN where unknown. h is a multiple of CELL_PX.
        sigma_m: h×W float32 metres.
    """

    first: int
    depth_m: Floats
    sigma_m: Floats

    def of(self, image: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Return these rows of a whole image."""
        return image[self.first : self.first + len(self.depth_m)]

    def upsampled(self, low: Floats, factor: int) -> Floats:
        """Return these rows of an image that is ``factor`` times as high and wide as ``low``."""
        height, width = self.depth_m.shape
        # One row more on either side, so that strips meet without a seam.
        top = max(self.first // factor - 1, 0)
        bottom = min((self.first + height) // factor + 1, len(low))
        image = cv2.resize(
            low[top:bottom], (width, (bottom - top) * factor), interpolation=cv2.INTER_LINEAR
        )
        return np.asarray(image[self.first - top * factor :][:height], np.float32)

    def prediction(self) -> Estimate:
        """Return the prediction as it came."""
        variance = cv2.multiply(self.sigma_m, self.sigma_m)
        return Estimate(self.depth_m, variance, self._source(SOURCE_NETWORK))

    def aligned(self, layer: Layer) -> Estimate:
        """Return the prediction times a factor."""
        depth_m = cv2.multiply(self.depth_m, self.upsampled(layer.factor, CELL_PX))
        variance = self.upsampled(layer.variance_m2, CELL_PX)
        return Estimate(depth_m, variance, self._source(SOURCE_NETWORK))

    def sensor(self, readings: Readings) -> Estimate:
        """Return the readings with their variance; depth 0 in holes."""
        variance = self.upsampled(readings.variance_m2, 2)
        return Estimate(self.of(readings.depth_m), variance, self._source(SOURCE_SENSOR))

    def unknown(self) -> Bytes:
        """Return 1 where there is no prediction, else 0."""
        return np.isnan(self.depth_m).view(np.uint8)

    def _source(self, source: int) -> Bytes:
        return np.full(self.depth_m.shape, source, np.uint8)


@dataclass(frozen=True)
class SensorFrame:
    """What a sensor adds to one frame.

    Attributes:
        readings: Of the whole frame.
        filling: The prediction for their holes.
        opinion: The prediction to be averaged with readings; None takes readings as they are.
        gate_sigmas: Gate of the average.
        share: How much of all this is let in, 0 to 1.
    """

    readings: Readings
    filling: Layer
    opinion: Layer | None
    gate_sigmas: float
    share: float


def fused_strip(rows: Rows, frame: SensorFrame) -> Estimate:
    """Return sensor and prediction in one image, holes filled."""
    prediction = rows.prediction()
    sensor = rows.sensor(frame.readings)
    hole = rows.of(frame.readings.hole)
    if frame.opinion is None:
        result = _copy(sensor)
    else:
        result = fuse(sensor, prediction, rows.aligned(frame.opinion), frame.gate_sigmas)
    if hole.any():
        _put(result, rows.aligned(frame.filling), hole)
    if frame.share < 1:
        result = _let_in(prediction, result, frame)
    if np.isnan(rows.depth_m).any():
        _put_readings(result, rows, sensor, hole)
    return result


def held_strip(rows: Rows, memory: Layer, share: float) -> Estimate:
    """Return the prediction with a share (0 to 1) of the alignment to a sensor that is gone."""
    result = blend(rows.prediction(), rows.aligned(memory), share)
    unknown = rows.unknown()
    cv2.copyTo(np.full_like(unknown, SOURCE_NONE), unknown, dst=result.source)
    cv2.copyTo(rows.sigma_m, unknown, dst=result.variance_m2)
    return result


def _copy(estimate: Estimate) -> Estimate:
    return Estimate(estimate.depth_m.copy(), estimate.variance_m2.copy(), estimate.source.copy())


def _put(onto: Estimate, other: Estimate, where: Bytes) -> None:
    """Overwrite the pixels of a mask."""
    cv2.copyTo(other.depth_m, where, dst=onto.depth_m)
    cv2.copyTo(other.variance_m2, where, dst=onto.variance_m2)
    cv2.copyTo(other.source, where, dst=onto.source)


def _let_in(prediction: Estimate, target: Estimate, frame: SensorFrame) -> Estimate:
    """Go part of the way to the target; what is clearly nearer there is let in at once."""
    result = blend(prediction, target, frame.share)
    from_network = cv2.compare(target.source, SOURCE_NETWORK, cv2.CMP_EQ)
    both = np.full_like(target.source, SOURCE_FUSED)
    cv2.copyTo(target.source, from_network, dst=both)
    result = Estimate(result.depth_m, result.variance_m2, both)
    sigma = cv2.sqrt(cv2.add(prediction.variance_m2, target.variance_m2))
    limit = cv2.scaleAdd(sigma, -frame.gate_sigmas, prediction.depth_m)
    _put(result, target, cv2.compare(target.depth_m, limit, cv2.CMP_LT))
    return result


def _put_readings(onto: Estimate, rows: Rows, sensor: Estimate, hole: Bytes) -> None:
    """Where there is no prediction, take the reading, or nothing."""
    nothing = np.full_like(sensor.depth_m, np.nan)
    seen = _copy(sensor)
    _put(seen, Estimate(nothing, nothing, np.full_like(hole, SOURCE_NONE)), hole)
    _put(onto, seen, rows.unknown())
