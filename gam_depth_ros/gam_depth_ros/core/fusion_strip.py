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
from gam_depth_ros.core.fusion_rule import Estimate, Weighing, average, blend, choose
from gam_depth_ros.core.sensor_alignment import CELL_PX, Layer
from gam_depth_ros.core.sensor_readings import READINGS_PX, Readings
from gam_depth_ros.core.strips import Scratch

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Scalar = TypeVar("Scalar", np.float32, np.uint8)


@dataclass(frozen=True)
class Rows:
    """The prediction in some rows of a frame.

    Attributes:
        first: First row, a multiple of READINGS_PX.
        depth_m: h×w float32 metres; NaN where unknown. h is a multiple of READINGS_PX.
        sigma_m: h×w float32 metres.
        scratch: Temporary arrays.
    """

    first: int
    depth_m: Floats
    sigma_m: Floats
    scratch: Scratch

    def of(self, image: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Return these rows of a whole image."""
        return image[self.first : self.first + len(self.depth_m)]

    def widened(self, half: Floats, name: str) -> Floats:
        """Return these rows of a half-size plane, h/2×W, in the temporary array of that name.

        Every pixel stands twice, side by side; with :func:`_pairs` it counts for the two by two
        that it was made for. To interpolate would cost more than all the rest.
        """
        first, last = (row // READINGS_PX for row in (self.first, self.first + len(self.depth_m)))
        rows = half[first:last]
        image = self.scratch.floats(name, last - first, self.depth_m.shape[1])
        cv2.merge((rows, rows), dst=image.reshape(*rows.shape, READINGS_PX))
        return image

    def nearest(self, low: Floats, px: int, where: npt.NDArray[np.intp]) -> Floats:
        """Return some pixels of a plane ``px`` times smaller; ``where`` counts from this strip."""
        row, column = np.divmod(where, self.depth_m.shape[1])
        found: Floats = low[(row + self.first) // px, column // px]
        return found

    def prediction(self) -> Estimate:
        """Return the prediction as it came."""
        return Estimate(self.depth_m, self.sigma_m, self._source(SOURCE_NETWORK))

    def aligned(self, layer: Layer) -> Estimate:
        """Return the prediction times a factor; a layer of half size."""
        depth_m, sigma_m = (self.scratch.like(n, self.depth_m) for n in ("depth", "sigma"))
        factor, narrow_m = self.widened(layer.factor, "a"), self.widened(layer.sigma_m, "b")
        for here_m, into_m in zip(_pairs(self.depth_m), _pairs(depth_m), strict=True):
            cv2.multiply(here_m, factor, dst=into_m)
        for into_m in _pairs(sigma_m):
            np.copyto(into_m, narrow_m)
        return Estimate(depth_m, sigma_m, self._source(SOURCE_NETWORK))

    def sensor(self, frame: SensorFrame) -> Estimate:
        """Return the readings with their sigma; any depth in holes."""
        sigma_m = self.scratch.like("sigma", self.depth_m)
        narrow_m = self.widened(frame.readings.variance_m2, "a")
        cv2.sqrt(narrow_m, dst=narrow_m)
        for into_m in _pairs(sigma_m):
            np.copyto(into_m, narrow_m)
        return Estimate(self.of(frame.readings.depth_m), sigma_m, self._source(SOURCE_SENSOR))

    def holes(self, readings: Readings) -> Bytes:
        """Return 255 where there is no reading, else 0."""
        seen = cv2.inRange(self.of(readings.depth_m), *readings.range_m)
        hole: Bytes = cv2.bitwise_not(seen, dst=seen)
        return hole

    def unknown(self) -> Bytes:
        """Return 1 where there is no prediction, else 0."""
        return np.isnan(self.depth_m).view(np.uint8)

    def _source(self, source: int) -> Bytes:
        return np.full(self.depth_m.shape, source, np.uint8)


@dataclass(frozen=True)
class Opinion:
    """The prediction to be averaged with readings.

    Attributes:
        factor: At the cells, aligns the prediction to the readings.
        weighing: On the grid of the readings' variance.
    """

    factor: Floats
    weighing: Weighing


@dataclass(frozen=True)
class SensorFrame:
    """What a sensor adds to one frame.

    Attributes:
        readings: Of the whole frame.
        filling: The prediction for their holes; half size.
        opinion: What readings are averaged with; None takes readings as they are.
        gate_sigmas: Gate of the average.
        share: How much of all this is let in, 0 to 1.
    """

    readings: Readings
    filling: Layer
    opinion: Opinion | None
    gate_sigmas: float
    share: float


def fused_strip(rows: Rows, frame: SensorFrame, out: Estimate) -> None:
    """Write sensor and prediction in one image, holes filled."""
    hole = rows.holes(frame.readings)
    if frame.opinion is None:
        _put_all(out, rows.sensor(frame))
    else:
        _average(rows, frame, frame.opinion, hole, out)
    if cv2.countNonZero(hole):
        _fill(rows, frame.filling, hole, out)
    if frame.share < 1:
        _put_all(out, _let_in(rows.prediction(), out, frame))
    if np.isnan(rows.depth_m.min()):
        _put_readings(out, rows, rows.sensor(frame), hole)


def held_strip(rows: Rows, memory: Layer, share: float, out: Estimate) -> None:
    """Write the prediction with a share (0 to 1) of the alignment to a sensor that is gone."""
    _put_all(out, blend(rows.prediction(), rows.aligned(memory), share))
    unknown = rows.unknown()
    cv2.copyTo(np.full_like(unknown, SOURCE_NONE), unknown, dst=out.source)
    cv2.copyTo(rows.sigma_m, unknown, dst=out.sigma_m)


def _average(
    rows: Rows, frame: SensorFrame, opinion: Opinion, hole: Bytes, out: Estimate
) -> None:
    """Combine where sensor and prediction agree, choose where they do not; holes as they come."""
    low, sensor_m = opinion.weighing, rows.of(frame.readings.depth_m)
    planes = (low.lowest_m, low.highest_m, low.sensor_part, low.prediction_part, low.sigma_m)
    wide = Weighing(*(rows.widened(p, n) for p, n in zip(planes, "abcde", strict=True)))
    apart = np.empty_like(hole)
    for odd in (0, 1):
        part = np.s_[odd::READINGS_PX]
        prediction = Estimate(rows.depth_m[part], rows.sigma_m[part], out.source[part])
        into = Estimate(out.depth_m[part], out.sigma_m[part], out.source[part])
        average(sensor_m[part], prediction, wide, into)
        cv2.inRange(sensor_m[part], wide.lowest_m, wide.highest_m, dst=apart[part])
    out.source.fill(SOURCE_FUSED)
    cv2.bitwise_or(apart, hole, dst=apart)
    where = np.flatnonzero(apart == 0)
    if where.size:
        # Pixel by pixel: on recordings these are a few in a hundred.
        variance = rows.nearest(frame.readings.variance_m2, READINGS_PX, where)
        images = (sensor_m, rows.sigma_m, rows.depth_m)
        sensor, claimed_m, depth_m = (image.reshape(-1)[where] for image in images)
        aligned_m = depth_m * rows.nearest(opinion.factor, CELL_PX, where)
        chosen = choose(sensor, variance, claimed_m, aligned_m, np.abs(sensor - depth_m))
        out.depth_m.reshape(-1)[where] = chosen.depth_m
        out.sigma_m.reshape(-1)[where] = chosen.sigma_m
        out.source.reshape(-1)[where] = chosen.source


def _fill(rows: Rows, filling: Layer, hole: Bytes, out: Estimate) -> None:
    """Write the aligned prediction into holes."""
    factor, sigma_m = rows.widened(filling.factor, "a"), rows.widened(filling.sigma_m, "b")
    filled_m = rows.scratch.like("c", factor)
    for odd in (0, 1):
        part = np.s_[odd::READINGS_PX]
        cv2.multiply(rows.depth_m[part], factor, dst=filled_m)
        cv2.copyTo(filled_m, hole[part], dst=out.depth_m[part])
        cv2.copyTo(sigma_m, hole[part], dst=out.sigma_m[part])
    cv2.copyTo(np.full_like(hole, SOURCE_NETWORK), hole, dst=out.source)


def _pairs(image: Floats) -> tuple[Floats, Floats]:
    """Return every other row, from the first and from the second."""
    return image[::READINGS_PX], image[1::READINGS_PX]


def _put_all(onto: Estimate, other: Estimate) -> None:
    """Overwrite every pixel."""
    np.copyto(onto.depth_m, other.depth_m)
    np.copyto(onto.sigma_m, other.sigma_m)
    np.copyto(onto.source, other.source)


def _put(onto: Estimate, other: Estimate, where: Bytes) -> None:
    """Overwrite the pixels of a mask."""
    cv2.copyTo(other.depth_m, where, dst=onto.depth_m)
    cv2.copyTo(other.sigma_m, where, dst=onto.sigma_m)
    cv2.copyTo(other.source, where, dst=onto.source)


def _let_in(prediction: Estimate, target: Estimate, frame: SensorFrame) -> Estimate:
    """Go part of the way to the target; what is clearly nearer there is let in at once."""
    result = blend(prediction, target, frame.share)
    from_network = cv2.compare(target.source, SOURCE_NETWORK, cv2.CMP_EQ)
    both = np.full_like(target.source, SOURCE_FUSED)
    cv2.copyTo(target.source, from_network, dst=both)
    result = Estimate(result.depth_m, result.sigma_m, both)
    sigma = cv2.magnitude(prediction.sigma_m, target.sigma_m)
    limit = cv2.scaleAdd(sigma, -frame.gate_sigmas, prediction.depth_m)
    _put(result, target, cv2.compare(target.depth_m, limit, cv2.CMP_LT))
    return result


def _put_readings(onto: Estimate, rows: Rows, sensor: Estimate, hole: Bytes) -> None:
    """Where there is no prediction, take the reading, or nothing."""
    nothing = np.full_like(sensor.depth_m, np.nan)
    seen = Estimate(sensor.depth_m.copy(), sensor.sigma_m, sensor.source)
    _put(seen, Estimate(nothing, nothing, np.full_like(hole, SOURCE_NONE)), hole)
    _put(onto, seen, rows.unknown())
