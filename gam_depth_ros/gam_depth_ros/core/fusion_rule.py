"""What two estimates of the same depth give together, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_NETWORK

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Estimate:
    """A depth image with its uncertainty and origin.

    Attributes:
        depth_m: H×W float32 metres.
        variance_m2: H×W float32 square metres.
        source: H×W uint8, SOURCE_* of core.frame.
    """

    depth_m: Floats
    variance_m2: Floats
    source: Bytes


def fuse(sensor: Estimate, prediction: Estimate, aligned: Estimate, gate_sigmas: float) -> Estimate:
    """Combine where sensor and prediction agree, choose the surer one where they do not.

    With variances s, p and difference d they agree if d² <= gate² (s + p). Then the reading is
    averaged with the aligned prediction, weighted by inverse variances, and the variance is
    s p / (s + p), never more than s or p: aligning took the prediction's large errors away but is
    not counted as knowledge. Otherwise the sensor is taken if s <= p, else the aligned prediction,
    and the smaller of s and p grows by 1 + d² / (s + p), as Birge (1932) widens results that
    contradict each other.

    Args:
        sensor: Readings; H×W, variances above 0.
        prediction: What the network claims, not aligned to the sensor.
        aligned: The prediction aligned to the readings around, variances above 0.
        gate_sigmas: The gate.

    Returns:
        The combination; pixels where a depth is NaN, or 0 for want of a reading, have no meaning.
    """
    total = cv2.add(sensor.variance_m2, prediction.variance_m2)
    surprise = cv2.subtract(sensor.depth_m, prediction.depth_m)
    cv2.multiply(surprise, surprise, dst=surprise)
    cv2.divide(surprise, total, dst=surprise)
    agree = cv2.compare(surprise, gate_sigmas**2, cv2.CMP_LE)
    sensor_first = cv2.compare(sensor.variance_m2, prediction.variance_m2, cv2.CMP_LE)

    weight = cv2.add(sensor.variance_m2, aligned.variance_m2)
    cv2.divide(aligned.variance_m2, weight, dst=weight)
    depth_m = aligned.depth_m.copy()
    cv2.accumulateProduct(weight, cv2.subtract(sensor.depth_m, depth_m), depth_m)
    choose = cv2.bitwise_not(agree)
    cv2.copyTo(aligned.depth_m, choose, dst=depth_m)
    cv2.copyTo(sensor.depth_m, cv2.bitwise_and(choose, sensor_first), dst=depth_m)

    smaller = cv2.min(sensor.variance_m2, prediction.variance_m2)
    variance = cv2.multiply(sensor.variance_m2, prediction.variance_m2)
    cv2.divide(variance, total, dst=variance)
    cv2.accumulateProduct(smaller, surprise, smaller)
    cv2.copyTo(smaller, choose, dst=variance)
    # SOURCE_NETWORK is 2 and SOURCE_SENSOR 1; SOURCE_FUSED, 3, is both bits.
    source = np.subtract(SOURCE_NETWORK, np.bitwise_and(sensor_first, 1, out=sensor_first))
    np.bitwise_or(source, np.bitwise_and(agree, SOURCE_FUSED, out=agree), out=source)
    return Estimate(depth_m, variance, source)


def blend(old: Estimate, new: Estimate, share: float) -> Estimate:
    """Go part of the way from one depth to another, in log depth.

    Args:
        old: Where from; H×W, positive depths.
        new: Where to.
        share: 0 gives ``old``, 1 gives ``new``.

    Returns:
        Depth old^(1-share) new^share. Its variance is that of the mixture of the two, so a way
        that is still to go counts as uncertainty. Source as in ``new``.
    """
    ratio = cv2.pow(cv2.divide(new.depth_m, old.depth_m), share)
    depth_m = cv2.multiply(ratio, old.depth_m, dst=ratio)
    variance = cv2.subtract(new.depth_m, old.depth_m)
    cv2.multiply(variance, variance, dst=variance, scale=share * (1 - share))
    cv2.scaleAdd(new.variance_m2, share, variance, dst=variance)
    cv2.scaleAdd(old.variance_m2, 1 - share, variance, dst=variance)
    return Estimate(depth_m, variance, new.source)
