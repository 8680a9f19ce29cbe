"""What two estimates of the same depth give together, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_NETWORK, SOURCE_SENSOR

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Estimate:
    """Depths with their uncertainty and origin.

    Attributes:
        depth_m: float32 metres, mostly H×W.
        sigma_m: float32 metres, of the same shape.
        source: uint8, SOURCE_* of core.frame.
    """

    depth_m: Floats
    sigma_m: Floats
    source: Bytes

    def part(self, pixels: tuple[slice, ...]) -> Estimate:
        """Return a view of some rows and columns."""
        return Estimate(self.depth_m[pixels], self.sigma_m[pixels], self.source[pixels])


@dataclass(frozen=True)
class Weighing:
    """How sensor and prediction are weighed against each other; any one size.

    Attributes:
        gate_m: h×w float32 metres, the largest difference at which they agree.
        sensor_share: h×w float32, 0 to 1, of the reading in the average.
        sigma_m: h×w float32 metres, of the average.
    """

    gate_m: Floats
    sensor_share: Floats
    sigma_m: Floats


def weigh(sensor: Floats, prediction: Floats, aligned: Floats, gate_sigmas: float) -> Weighing:
    """Weigh readings against the prediction where the two agree.

    With variances s, p and difference d they agree if d² <= gate² (s + p). Then the reading is
    averaged with the aligned prediction, weighted by inverse variances, and the variance is
    s p / (s + p), never more than s or p: aligning took the prediction's large errors away but is
    not counted as knowledge.

    Args:
        sensor: h×w float32 square metres, variance s of the readings, above 0.
        prediction: p, of the prediction as the network claims it.
        aligned: Of the prediction aligned to the readings around, above 0.
        gate_sigmas: The gate.
    """
    total = cv2.add(sensor, prediction)
    average = cv2.multiply(sensor, prediction)
    cv2.divide(average, total, dst=average)
    cv2.sqrt(average, dst=average)
    share = cv2.add(sensor, aligned)
    cv2.divide(aligned, share, dst=share)
    total *= np.float32(gate_sigmas**2)
    return Weighing(cv2.sqrt(total, dst=total), share, average)


def average(
    sensor_m: Floats, prediction: Estimate, factor: Floats, weighing: Weighing
) -> tuple[Estimate, Floats]:
    """Return the average of reading and aligned prediction, as if all pixels agreed.

    Args:
        sensor_m: H×W float32 metres.
        prediction: What the network claims, not aligned to the sensor.
        factor: H×W float32, aligns the prediction to the readings around.
        weighing: H×W; its sigma is written over.

    Returns:
        The average, and H×W float32 metres by how much reading and prediction differ.
    """
    depth_m = cv2.multiply(prediction.depth_m, factor)
    part = cv2.subtract(sensor_m, depth_m)
    cv2.accumulateProduct(part, weighing.sensor_share, depth_m)
    # What was weighed on a coarser grid may be a little off between its points; the law holds.
    sigma_m = cv2.min(weighing.sigma_m, prediction.sigma_m, dst=weighing.sigma_m)
    source = np.full(depth_m.shape, SOURCE_FUSED, np.uint8)
    return Estimate(depth_m, sigma_m, source), cv2.absdiff(sensor_m, prediction.depth_m, dst=part)


def choose(
    sensor_m: Floats,
    sensor_variance: Floats,
    claimed_sigma_m: Floats,
    aligned_m: Floats,
    gap_m: Floats,
) -> Estimate:
    """Take the surer one of two that do not agree, and say by how much they contradict.

    The sensor is taken if s <= p, else the aligned prediction, and the smaller of s and p grows by
    1 + d² / (s + p), as Birge (1932) widens results that contradict each other.

    Args:
        sensor_m: N float32 metres.
        sensor_variance: N float32 square metres, s.
        claimed_sigma_m: N float32 metres, of the prediction as the network claims it, √p.
        aligned_m: N float32 metres, the prediction aligned to the readings around.
        gap_m: N float32 metres, the difference d of reading and prediction.

    Returns:
        The choice, N values each.
    """
    claimed = np.square(claimed_sigma_m)
    sensor_first = sensor_variance <= claimed
    surprise = np.square(gap_m) / (sensor_variance + claimed)
    smaller = np.minimum(sensor_variance, claimed)
    return Estimate(
        np.where(sensor_first, sensor_m, aligned_m),
        np.sqrt(smaller + smaller * surprise),
        np.where(sensor_first, np.uint8(SOURCE_SENSOR), np.uint8(SOURCE_NETWORK)),
    )


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
    for part, estimate in ((share, new), (1 - share, old)):
        square = cv2.multiply(estimate.sigma_m, estimate.sigma_m, scale=part)
        cv2.add(variance, square, dst=variance)
    return Estimate(depth_m, cv2.sqrt(variance, dst=variance), new.source)
