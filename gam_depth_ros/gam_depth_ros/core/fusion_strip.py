"""Fusion of some rows of a frame: what is done with each pixel, on arrays that stay in the cache.

Allocating whole images for every step of the arithmetic costs more than the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_NETWORK, SOURCE_NONE, SOURCE_SENSOR
from gam_depth_ros.core.fusion_rule import Estimate, Weighing, average, blend, choose
from gam_depth_ros.core.sensor_alignment import CELL_PX, Layer
from gam_depth_ros.core.sensor_readings import READINGS_PX, Readings

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

    def nearest(self, low: Floats, factor: int, where: npt.NDArray[np.intp]) -> Floats:
        """Return some pixels of such an image without interpolation; ``where`` counts from 0."""
        row, column = np.divmod(where, self.depth_m.shape[1])
        found: Floats = low[(row + self.first) // factor, column // factor]
        return found

    def prediction(self) -> Estimate:
        """Return the prediction as it came."""
        return Estimate(self.depth_m, self.sigma_m, self._source(SOURCE_NETWORK))

    def aligned(self, layer: Layer) -> Estimate:
        """Return the prediction times a factor."""
        factor = self.upsampled(layer.factor, CELL_PX)
        depth_m = cv2.multiply(self.depth_m, factor, dst=factor)
        sigma_m = self.upsampled(layer.sigma_m, CELL_PX)
        return Estimate(depth_m, sigma_m, self._source(SOURCE_NETWORK))

    def sensor(self, frame: SensorFrame) -> Estimate:
        """Return the readings with their sigma; depth 0 in holes."""
        sigma_m = self.upsampled(frame.sigma_m, READINGS_PX)
        return Estimate(self.of(frame.readings.depth_m), sigma_m, self._source(SOURCE_SENSOR))

    def weighing(self, low: Weighing) -> Weighing:
        """Return these rows of a weighing on the grid of the readings' variance."""
        return Weighing(
            self.upsampled(low.gate_m, READINGS_PX),
            self.upsampled(low.sensor_share, READINGS_PX),
            self.upsampled(low.sigma_m, READINGS_PX),
        )

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
        opinion: The prediction to be averaged with readings, and how; None takes readings as they
            are.
        gate_sigmas: Gate of the average.
        share: How much of all this is let in, 0 to 1.
    """

    readings: Readings
    filling: Layer
    opinion: tuple[Layer, Weighing] | None
    gate_sigmas: float
    share: float

    @cached_property
    def sigma_m(self) -> Floats:
        """H/2×W/2 float32 metres of the readings; strips that ask share one square root."""
        sigma_m: Floats = cv2.sqrt(self.readings.variance_m2)
        return sigma_m


def fused_strip(rows: Rows, frame: SensorFrame, out: Estimate) -> None:
    """Write sensor and prediction in one image, holes filled."""
    hole = rows.of(frame.readings.hole)
    if frame.opinion is None:
        _put_all(out, rows.sensor(frame))
    else:
        _average(rows, frame, frame.opinion, out)
    if cv2.countNonZero(hole):
        _fill(rows, frame.filling, hole, out)
    if frame.share < 1:
        _put_all(out, _let_in(rows.prediction(), out, frame))
    if np.isnan(rows.depth_m.min()):  # a minimum is NaN where one of the values is
        _put_readings(out, rows, rows.sensor(frame), hole)


def held_strip(rows: Rows, memory: Layer, share: float, out: Estimate) -> None:
    """Write the prediction with a share (0 to 1) of the alignment to a sensor that is gone."""
    _put_all(out, blend(rows.prediction(), rows.aligned(memory), share))
    unknown = rows.unknown()
    cv2.copyTo(np.full_like(unknown, SOURCE_NONE), unknown, dst=out.source)
    cv2.copyTo(rows.sigma_m, unknown, dst=out.sigma_m)


def _average(
    rows: Rows, frame: SensorFrame, opinion: tuple[Layer, Weighing], out: Estimate
) -> None:
    """Combine where sensor and prediction agree, choose where they do not; holes as they come."""
    prediction = Estimate(rows.depth_m, rows.sigma_m, out.source)
    sensor_m = rows.of(frame.readings.depth_m)
    factor, weighing = rows.upsampled(opinion[0].factor, CELL_PX), rows.weighing(opinion[1])
    gap_m = average(sensor_m, prediction, factor, weighing, out)
    apart = cv2.compare(gap_m, weighing.gate_m, cv2.CMP_GT)
    # Both are 0 or 255, and less than nothing is 0: what remains is apart and no hole.
    cv2.subtract(apart, rows.of(frame.readings.hole), dst=apart)
    if cv2.countNonZero(apart):
        # Pixel by pixel: on recordings these are a few in a hundred.
        where = np.flatnonzero(apart != 0)  # of a mask of truths several times as fast
        variance = rows.nearest(frame.readings.variance_m2, READINGS_PX, where)
        images = (sensor_m, rows.sigma_m, rows.depth_m, factor, gap_m)
        sensor, claimed_m, depth_m, ratio, gap = (image.reshape(-1)[where] for image in images)
        chosen = choose(sensor, variance, claimed_m, depth_m * ratio, gap)
        out.depth_m.reshape(-1)[where] = chosen.depth_m
        out.sigma_m.reshape(-1)[where] = chosen.sigma_m
        out.source.reshape(-1)[where] = chosen.source


def _fill(rows: Rows, filling: Layer, hole: Bytes, out: Estimate) -> None:
    """Write the aligned prediction into holes, worked out for the columns that have any."""
    left, _, width, _ = cv2.boundingRect(hole)
    # A cell more on either side: the outermost pixels lack a neighbour to be interpolated with.
    first, last = max(left // CELL_PX - 1, 0), -(-(left + width) // CELL_PX) + 1
    cells, pixels = np.s_[:, first:last], np.s_[:, first * CELL_PX : last * CELL_PX]
    part = Rows(rows.first, rows.depth_m[pixels], rows.sigma_m[pixels])
    onto = Estimate(out.depth_m[pixels], out.sigma_m[pixels], out.source[pixels])
    layer = Layer(filling.factor[cells], filling.sigma_m[cells])
    _put(onto, part.aligned(layer), hole[pixels])


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
    # Not cv2.magnitude, see metric_depth.
    squares = [cv2.multiply(one.sigma_m, one.sigma_m) for one in (prediction, target)]
    sigma = cv2.sqrt(cv2.add(*squares))
    limit = cv2.scaleAdd(sigma, -frame.gate_sigmas, prediction.depth_m)
    _put(result, target, cv2.compare(target.depth_m, limit, cv2.CMP_LT))
    return result


def _put_readings(onto: Estimate, rows: Rows, sensor: Estimate, hole: Bytes) -> None:
    """Where there is no prediction, take the reading, or nothing."""
    nothing = np.full_like(sensor.depth_m, np.nan)
    seen = Estimate(sensor.depth_m.copy(), sensor.sigma_m, sensor.source)
    _put(seen, Estimate(nothing, nothing, np.full_like(hole, SOURCE_NONE)), hole)
    _put(onto, seen, rows.unknown())
