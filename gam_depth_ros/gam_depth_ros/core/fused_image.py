"""Sensor and prediction in one image: what is done with each pixel of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_NETWORK, SOURCE_NONE, SOURCE_SENSOR
from gam_depth_ros.core.fusion_rule import Estimate, Weighing, average, blend, choose
from gam_depth_ros.core.sensor_alignment import Layer
from gam_depth_ros.core.sensor_readings import CELL_PX, Readings

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


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

    def readings_alone(self) -> Estimate:
        """Return the readings with their sigma, to be written into; depth 0 in holes."""
        sigma_m = _upsampled(cv2.sqrt(self.readings.variance_m2))
        return _all_from(SOURCE_SENSOR, self.readings.depth_m.copy(), sigma_m)


def fused_image(depth_m: Floats, sigma_m: Floats, frame: SensorFrame) -> Estimate:
    """Return sensor and prediction in one image, holes filled.

    Args:
        depth_m: H×W float32 metres, the prediction; NaN where unknown. H and W are multiples of
            CELL_PX.
        sigma_m: H×W float32 metres.
        frame: What the sensor adds.
    """
    prediction = _all_from(SOURCE_NETWORK, depth_m, sigma_m)
    hole = frame.readings.hole
    if frame.opinion is None:
        fused = frame.readings_alone()
    else:
        fused = _averaged(prediction, frame, *frame.opinion)
    if cv2.countNonZero(hole):
        _fill(fused, prediction, frame.filling, hole)
    if frame.share < 1:
        fused = _let_in(prediction, fused, frame)
    if np.isnan(depth_m.min()):  # a minimum is NaN where one of the values is
        _put_readings(fused, frame, _unknown(depth_m))
    return fused


def held_image(depth_m: Floats, sigma_m: Floats, memory: Layer, share: float) -> Estimate:
    """Return the prediction with a share (0 to 1) of the alignment to a sensor that is gone."""
    prediction = _all_from(SOURCE_NETWORK, depth_m, sigma_m)
    held = blend(prediction, _aligned(prediction, memory), share)
    nowhere = _unknown(depth_m)
    cv2.copyTo(np.full_like(nowhere, SOURCE_NONE), nowhere, dst=held.source)
    cv2.copyTo(sigma_m, nowhere, dst=held.sigma_m)
    return held


def _upsampled(cells: Floats) -> Floats:
    """Return an image of what is known for each cell."""
    size_wh = cells.shape[1] * CELL_PX, cells.shape[0] * CELL_PX
    return np.asarray(cv2.resize(cells, size_wh, interpolation=cv2.INTER_LINEAR), np.float32)


def _unknown(depth_m: Floats) -> Bytes:
    """Return 1 where there is no depth, else 0."""
    return np.isnan(depth_m).view(np.uint8)


def _all_from(source: int, depth_m: Floats, sigma_m: Floats) -> Estimate:
    return Estimate(depth_m, sigma_m, np.full(depth_m.shape, source, np.uint8))


def _aligned(prediction: Estimate, layer: Layer) -> Estimate:
    """Return the prediction times a factor."""
    factor = _upsampled(layer.factor)
    depth_m = cv2.multiply(prediction.depth_m, factor, dst=factor)
    return Estimate(depth_m, _upsampled(layer.sigma_m), prediction.source)


def _averaged(
    prediction: Estimate, frame: SensorFrame, layer: Layer, coarse: Weighing
) -> Estimate:
    """Combine where sensor and prediction agree, choose where they do not; holes as they come."""
    sensor_m = frame.readings.depth_m
    factor = _upsampled(layer.factor)
    weighing = Weighing(
        _upsampled(coarse.gate_m),
        _upsampled(coarse.sensor_share),
        _upsampled(coarse.sigma_m),
    )
    fused, gap_m = average(sensor_m, prediction, factor, weighing)
    apart = cv2.compare(gap_m, weighing.gate_m, cv2.CMP_GT)
    # Both are 0 or 255, and less than nothing is 0: what remains is apart and no hole.
    cv2.subtract(apart, frame.readings.hole, dst=apart)
    if cv2.countNonZero(apart):
        # Pixel by pixel: on recordings these are a few in a hundred.
        where = np.flatnonzero(apart != 0)  # of a mask of truths several times as fast
        row, column = np.divmod(where, apart.shape[1])
        variance = frame.readings.variance_m2[row // CELL_PX, column // CELL_PX]
        images = (sensor_m, prediction.sigma_m, prediction.depth_m, factor, gap_m)
        sensor, claimed_m, depth_m, ratio, gap = (image.reshape(-1)[where] for image in images)
        chosen = choose(sensor, variance, claimed_m, depth_m * ratio, gap)
        fused.depth_m.reshape(-1)[where] = chosen.depth_m
        fused.sigma_m.reshape(-1)[where] = chosen.sigma_m
        fused.source.reshape(-1)[where] = chosen.source
    return fused


def _fill(onto: Estimate, prediction: Estimate, filling: Layer, hole: Bytes) -> None:
    """Write the aligned prediction into holes, worked out for the cells around them all."""
    left, top, width, height = cv2.boundingRect(hole)
    # A cell more on either side: the outermost pixels lack a neighbour to be interpolated with.
    cells = tuple(
        slice(max(first // CELL_PX - 1, 0), -(-(first + side) // CELL_PX) + 1)
        for first, side in ((top, height), (left, width))
    )
    pixels = tuple(slice(one.start * CELL_PX, one.stop * CELL_PX) for one in cells)
    layer = Layer(filling.factor[cells], filling.sigma_m[cells])
    _put(onto.part(pixels), _aligned(prediction.part(pixels), layer), hole[pixels])


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


def _put_readings(onto: Estimate, frame: SensorFrame, where: Bytes) -> None:
    """Where there is no prediction, take the reading, or nothing."""
    seen = frame.readings_alone()
    nothing = np.full_like(seen.depth_m, np.nan)
    none = Estimate(nothing, nothing, np.full_like(seen.source, SOURCE_NONE))
    _put(seen, none, frame.readings.hole)
    _put(onto, seen, where)
