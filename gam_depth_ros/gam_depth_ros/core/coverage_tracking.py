"""Sigma that keeps its word in the room it is in: coverage steered by references seen before.

A calibration fitted in some rooms is right on average over rooms, and off in each of them. Where a
reference depth arrives, the share of its pixels that the published interval covered is known
afterwards, and the next interval moves by what was missing (adaptive conformal inference: Gibbs &
Candès 2021, eq. 2, on the logarithm of the width). Over a long run the mean coverage then
approaches the nominal one whatever the room, as long as no limit is reached. Nothing here looks at
the frame that it serves.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import UncertaintyConfig
from gam_depth_ros.core.frame import ScaleState
from gam_depth_ros.core.model_calibration import LEVELS
from gam_depth_ros.core.model_spec import NetworkOutput, SigmaCalibration
from gam_depth_ros.core.sampling import network_step

MIN_PIXELS = 100
"""References with fewer usable pixels on the grid of the network tell nothing."""


@dataclass(frozen=True)
class IntervalGains:
    """Factors on the calibration of the model file.

    Attributes:
        sigma: On the network's part of sigma.
        ratio_90: On the ratio of the 90 % interval to sigma.
        ratio_95: On that of the 95.4 % interval.
    """

    sigma: float = 1.0
    ratio_90: float = 1.0
    ratio_95: float = 1.0

    def intervals(self, calibration: SigmaCalibration) -> tuple[float, float]:
        """Return the factors from sigma to the half-widths of the 90 and 95.4 % intervals."""
        ratio_90 = max(1.0, calibration.ratio_90 * self.ratio_90)
        return ratio_90, max(ratio_90, calibration.ratio_95 * self.ratio_95)


class CoverageTracker:
    """Learns :class:`IntervalGains` from the coverage on frames with a reference.

    A frame serves only frames stamped later than itself. Stamps that go back reset it.
    """

    def __init__(self, config: UncertaintyConfig) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything learnt."""
        self._newest_ns = 0
        self._seen: tuple[int, npt.NDArray[np.float64]] | None = None
        self._log_gains = np.zeros(len(LEVELS))

    def configure(self, config: UncertaintyConfig) -> None:
        """Take over changed settings; what was learnt is kept within the new limits."""
        self._config = config
        self._log_gains = self._limited(self._log_gains)

    def gains(self, stamp_ns: int) -> IntervalGains:
        """Return what frames stamped before this one taught; all 1 before there was one.

        Args:
            stamp_ns: Stamp of the frame to serve, nanoseconds.
        """
        if stamp_ns < self._newest_ns:
            self.reset()
        self._newest_ns = stamp_ns
        if self._seen is not None and self._seen[0] < stamp_ns:
            missing = np.array(LEVELS) - self._seen[1]
            missing[np.isnan(missing)] = 0.0
            moved = self._log_gains + self._config.tracking_rate * missing
            self._log_gains, self._seen = self._limited(moved), None
        if self._config.tracking_rate == 0.0:
            return IntervalGains()
        return IntervalGains(*np.exp(self._log_gains).tolist())

    def update(self, stamp_ns: int, covered: npt.NDArray[np.float64]) -> None:
        """Learn from a frame that was served with the gains for its stamp.

        Args:
            stamp_ns: The frame's stamp.
            covered: Share of the reference's pixels within each published interval, in the order
                of LEVELS; NaN where it is unknown, which teaches nothing.
        """
        self._seen = stamp_ns, covered

    def _limited(self, log_gains: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        limit = math.log(self._config.tracking_limit)
        return np.clip(log_gains, -limit, limit)


def coverage_of(
    reference_m: npt.NDArray[np.float32],
    output: NetworkOutput,
    scale: ScaleState,
    depth_limits_m: tuple[float, float],
    intervals: tuple[float, float],
) -> npt.NDArray[np.float64]:
    """Return the share of a reference's readings within the intervals that a frame was given.

    Taken with the scale of that frame, which had not seen the reference either.

    Args:
        reference_m: H×W metres; NaN, infinite or not positive where there is no reading.
        output: The frame's calibrated output, h×w.
        scale: The frame's scale, known.
        depth_limits_m: Range that published depth is clipped to.
        intervals: Half-widths of the 90 and 95.4 % intervals over that of the 68.3 %.
    """
    step = network_step(output.depth.size)
    some = np.s_[::step, ::step]
    reference_m = on_grid(reference_m, output.depth.shape)[some]
    reference_m = np.where(reference_m > 0, reference_m, np.float32(np.nan))
    depth_m = np.clip(output.depth[some] * np.float32(scale.value), *depth_limits_m)
    sigma_log = np.sqrt(np.square(output.sigma[some]) + np.float32(scale.sigma_log**2))
    return covered_shares(np.log(depth_m / reference_m), sigma_log, intervals)


def covered_shares(
    log_error: npt.NDArray[Any], sigma_log: npt.NDArray[Any], intervals: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Return the share of pixels within the 68.3, 90 and 95.4 % intervals.

    Args:
        log_error: ln depth - ln reference, any shape; NaN where there is no reading.
        sigma_log: Half-width of the 68.3 % interval of log depth, same shape.
        intervals: Half-widths of the 90 and 95.4 % intervals over it.

    Returns:
        3 float64; NaN with fewer than MIN_PIXELS readings.
    """
    in_sigmas = np.abs(log_error) / np.maximum(sigma_log, np.float32(1e-9))
    readings = np.count_nonzero(np.isfinite(in_sigmas))
    if readings < MIN_PIXELS:
        return np.full(len(LEVELS), np.nan)
    # NaN is within nothing.
    within = [np.count_nonzero(in_sigmas <= ratio) for ratio in (1.0, *intervals)]
    return np.array(within) / readings


def on_grid(image: npt.NDArray[np.float32], size_hw: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return the pixel of an image nearest to the centre of each cell of a coarser grid.

    Readings are picked, never mixed: a mean across an edge is a depth where nothing is.

    Args:
        image: H×W.
        size_hw: Height and width of the grid.
    """
    picks = _picks(image.shape, size_hw)
    return image.reshape(-1).take(picks)


@functools.lru_cache(maxsize=8)
def _picks(shape_hw: tuple[int, ...], size_hw: tuple[int, int]) -> npt.NDArray[np.intp]:
    """Return where the pixels that ``on_grid`` takes stand in the image, h×w."""
    rows, columns = (
        ((np.arange(cells) + 0.5) * (side / cells)).astype(np.intp)
        for cells, side in zip(size_hw, shape_hw, strict=True)
    )
    picks: npt.NDArray[np.intp] = rows[:, None] * shape_hw[1] + columns
    picks.setflags(write=False)
    return picks
