"""Scores of an uncertainty: does it rank errors, does it keep its word, how wide is it.

Pure functions of errors and half-widths. Sparsification as in Ilg et al. 2018 and Poggi et al.
2020; interval score as in Gneiting & Raftery 2007; calibration error as in Guo et al. 2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]

METRICS = ("abs_rel", "rmse", "one_minus_d1")
"""Metrics of depth whose sparsification is looked at; smaller is better for each."""

INTERVALS = 50
_D1 = 1.25


def coverage(error: Floats, sigma: Floats, k: float = 1.0) -> float:
    """Return the share of values with |error| <= k·sigma; NaN without any.

    Values where error or sigma is not finite are left out. A calibrated half-width of the 68.3 %
    interval covers 0.683 at k = 1.
    """
    known = np.isfinite(error) & np.isfinite(sigma)
    return float(np.mean(np.abs(error[known]) <= k * sigma[known])) if known.any() else math.nan


def sharpness(half_width: Floats) -> float:
    """Return the mean width of intervals, twice their half-width; NaN without a finite one.

    Among uncertainties that cover the same share, the sharper one knows more.
    """
    known = half_width[np.isfinite(half_width)]
    return 2.0 * float(np.mean(known, dtype=np.float64)) if known.size else math.nan


def interval_score(error: Floats, half_width: Floats, level: float) -> float:
    """Return the mean interval score, in the error's unit; NaN without a finite value.

    The interval's width, and 2/(1 - level) times how far the truth lies outside (Gneiting & Raftery
    2007, eq. 43): proper, so that the smallest is of the half-width that is right pixel by pixel,
    where a constant may cover as much.

    Args:
        error: Signed or absolute errors, any shape.
        half_width: Of the interval that is to cover ``level``, same shape.
        level: Share to cover, below 1.
    """
    known = np.isfinite(error) & np.isfinite(half_width)
    if not known.any():
        return math.nan
    half = half_width[known].astype(np.float64)
    outside = np.maximum(np.abs(error[known]) - half, 0.0)
    return float(np.mean(2.0 * half + 2.0 / (1.0 - level) * outside))


@dataclass(frozen=True)
class SparsificationCurves:
    """How a metric falls while the least sure pixels are removed.

    Attributes:
        by_uncertainty: INTERVALS values of the metric; entry i is for i/INTERVALS removed.
        by_error: The same with the largest errors removed: no order does better.
    """

    by_uncertainty: Floats
    by_error: Floats

    @property
    def ause(self) -> float:
        """Area between the two, in the metric's unit; 0 is a perfect order."""
        return float(np.mean(self.by_uncertainty - self.by_error))

    @property
    def aurg(self) -> float:
        """Area gained on a random order, in the metric's unit; about 0 for a random one."""
        return float(np.mean(self.by_uncertainty[0] - self.by_uncertainty))


def sparsification_curve(error: Floats, order_by: Floats, intervals: int = INTERVALS) -> Floats:
    """Return the mean error of what is left when the largest ``order_by`` are removed.

    Args:
        error: Absolute errors, 1-D.
        order_by: What to remove first, descending, same length. Ties keep their order: a constant
            is judged fairly only on pixels that come in random order.
        intervals: Steps; entry i is for i/intervals removed.

    Returns:
        ``intervals`` float64 values.
    """
    return _curve(error[_removal_order(order_by)], intervals)


def sparsification_curves(
    truth_m: Floats, depth_m: Floats, sigma_log: Floats, metric: str, intervals: int = INTERVALS
) -> SparsificationCurves:
    """Return what :func:`sparsification_by_metric` does, for one of METRICS."""
    return sparsification_by_metric(truth_m, depth_m, sigma_log, (metric,), intervals)[metric]


def sparsification_by_metric(
    truth_m: Floats,
    depth_m: Floats,
    sigma_log: Floats,
    metrics: Sequence[str] = METRICS,
    intervals: int = INTERVALS,
) -> dict[str, SparsificationCurves]:
    """Remove pixels by uncertainty and by error, and follow metrics; what they share is done once.

    Relative metrics go by sigma of log depth; RMSE, whose errors are metres, by sigma times depth.

    Args:
        truth_m: N metres, positive, at least one.
        depth_m: N predicted metres, positive.
        sigma_log: N half-widths of log depth; any common factor drops out.
        metrics: Of METRICS.
        intervals: Steps of the curves.

    Returns:
        The curves by metric.

    Raises:
        ValueError: another metric.
    """
    relative_order = _removal_order(sigma_log)
    found = {}
    for metric in metrics:
        error, order = _errors(truth_m, depth_m, metric), relative_order
        if metric == "rmse":
            order = _removal_order(sigma_log * depth_m)
        # Equal errors are equal in any order: sorting them will do.
        curves = [_curve(error[order], intervals), _curve(np.sort(error)[::-1], intervals)]
        if metric == "rmse":
            # Sums of squares may end a rounding error below 0.
            curves = [np.sqrt(np.maximum(curve, 0.0)) for curve in curves]
        found[metric] = SparsificationCurves(*curves)
    return found


def _errors(truth_m: Floats, depth_m: Floats, metric: str) -> Floats:
    if metric == "abs_rel":
        return np.asarray(np.abs(depth_m - truth_m) / truth_m)
    if metric == "rmse":
        return np.asarray((depth_m - truth_m) ** 2)
    if metric == "one_minus_d1":
        return (np.maximum(depth_m / truth_m, truth_m / depth_m) >= _D1).astype(np.float32)
    raise ValueError(f"got metric '{metric}', expected one of {', '.join(METRICS)}")


def _removal_order(order_by: Floats) -> npt.NDArray[np.intp]:
    """Return places from the largest value to the smallest; equal ones keep their order."""
    if order_by.dtype != np.float32 or not (order_by > 0).all():
        return np.asarray(np.argsort(-order_by, kind="stable"), np.intp)
    # The bits of positive floats sort as the floats do. With the place below them, equal ones stay
    # in order under any sort, and NumPy's of integers is three times as fast as its stable one.
    bits = np.ascontiguousarray(order_by).view(np.uint32).astype(np.uint64)
    keys = ((np.uint64(0xFFFFFFFF) - bits) << np.uint64(32)) | np.arange(bits.size, dtype=np.uint64)
    return np.asarray(np.sort(keys) & np.uint64(0xFFFFFFFF), np.intp)


def _curve(ordered: Floats, intervals: int) -> Floats:
    """Return the mean of what is left when a share is taken from the front, step by step."""
    removed = (np.arange(intervals) * len(ordered)) // intervals
    sums = np.add.reduceat(ordered, removed, dtype=np.float64)
    # Of fewer values than intervals some steps remove none, where reduceat gives the one it is at.
    sums[:-1][np.diff(removed) == 0] = 0.0
    curve: Floats = np.cumsum(sums[::-1])[::-1] / (len(ordered) - removed)
    return curve


def expected_calibration_error(
    confidence: Floats, right: npt.NDArray[np.bool_], bins: int = 15
) -> float:
    """Return the mean gap between confidence and the share of right labels; NaN without a pixel.

    Over bins of equal width, each weighted by its pixels (Guo et al. 2017, eq. 3).

    Args:
        confidence: Any shape, 0 to 1; what is not finite is left out.
        right: Whether the label is the true one, same shape.
        bins: Bins from 0 to 1.
    """
    known = np.isfinite(confidence)
    if not known.any():
        return math.nan
    values = np.asarray(confidence[known], np.float64)
    which = np.minimum((values * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(which, weights=values - right[known], minlength=bins)
    return float(np.abs(gaps).sum() / values.size)
