"""Whether an uncertainty knows where the errors are, and how large: pure functions and a sum.

Sparsification as in Ilg et al. 2018 and Poggi et al. 2020, per picture and averaged over pictures;
coverage after one global conformal factor (Vovk et al. 2005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.metrics import coverage, median_scale, sparsification_curve

Floats = npt.NDArray[Any]

METRICS = ("abs_rel", "rmse", "one_minus_d1")
INTERVALS = 50
LEVEL = 0.683
# Pixels of each picture that are ranked, drawn at random: ties are then broken at random too.
PIXELS = 20_000
# Of these so many are kept for the factor and its coverage, which look at all pictures at once.
PIXELS_KEPT = 4000
_D1 = 1.25
# Half-widths of log depth below it count as this: the middle of a mirrored picture agrees exactly.
_LEAST_SIGMA = 1e-6


@dataclass(frozen=True)
class Pixels:
    """Pixels of one picture that have reference depth.

    Attributes:
        truth_m: N metres, positive.
        depth_m: N predicted, brought to the truth's median and clipped.
        sigma_log: N half-widths of log depth, positive, up to one factor for all pictures.
    """

    truth_m: Floats
    depth_m: Floats
    sigma_log: Floats

    def first(self, count: int) -> Pixels:
        """Return the first ``count`` of the pixels, copied."""
        arrays = (self.truth_m, self.depth_m, self.sigma_log)
        return Pixels(*(array[:count].copy() for array in arrays))


@dataclass(frozen=True)
class Curves:
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


def aligned_pixels(
    truth_m: Floats,
    depth: Floats,
    sigma_log: Floats,
    clip_m: tuple[float, float],
    rng: np.random.Generator,
) -> Pixels | None:
    """Take the pixels to score of one picture, at most PIXELS of them in random order.

    Args:
        truth_m: H×W metres, NaN or not positive where unknown.
        depth: H×W, up to scale.
        sigma_log: H×W half-widths of log depth.
        clip_m: The aligned depth is clipped to this range.
        rng: Draws the pixels.

    Returns:
        The pixels, None where no pixel has reference depth.
    """
    known = np.flatnonzero((truth_m > 0) & np.isfinite(truth_m))
    if not len(known):
        return None
    scale = median_scale(truth_m.flat[known], depth.flat[known])
    chosen = rng.permutation(known)[:PIXELS]
    return Pixels(
        truth_m.flat[chosen].astype(np.float64),
        np.clip(scale * depth.flat[chosen].astype(np.float64), *clip_m),
        np.maximum(sigma_log.flat[chosen].astype(np.float64), _LEAST_SIGMA),
    )


def sparsification_curves(pixels: Pixels, metric: str, intervals: int = INTERVALS) -> Curves:
    """Remove pixels by uncertainty and by error, and follow a metric.

    Relative metrics go by sigma of log depth; RMSE, whose errors are metres, by sigma times depth.

    Args:
        pixels: Of one picture.
        metric: One of METRICS.
        intervals: Steps of the curves.

    Raises:
        ValueError: another metric.
    """
    truth, depth, sigma = pixels.truth_m, pixels.depth_m, pixels.sigma_log
    if metric == "abs_rel":
        error = np.abs(depth - truth) / truth
    elif metric == "rmse":
        error, sigma = (depth - truth) ** 2, sigma * depth
    elif metric == "one_minus_d1":
        error = (np.maximum(depth / truth, truth / depth) >= _D1).astype(np.float64)
    else:
        raise ValueError(f"got metric '{metric}', expected one of {', '.join(METRICS)}")
    curves = [sparsification_curve(error, order, intervals) for order in (sigma, error)]
    if metric == "rmse":
        # Sums of squares may end a rounding error below 0.
        curves = [np.sqrt(np.maximum(curve, 0.0)) for curve in curves]
    return Curves(*curves)


def conformal_factor(pixels: list[Pixels], level: float = LEVEL) -> float:
    """Return the one factor on sigma at which intervals cover ``level`` of the pixels; NaN of none.

    The quantile of |ln d − ln d*| / sigma over the pixels of all pictures.
    """
    if not pixels:
        return math.nan
    return float(np.quantile(np.concatenate([_log_error(p) / p.sigma_log for p in pixels]), level))


def covered(pixels: list[Pixels], factor: float) -> float:
    """Return the mean over pictures of the share of pixels within factor·sigma; NaN of none."""
    if not pixels:
        return math.nan
    return float(np.mean([coverage(_log_error(p), p.sigma_log, factor) for p in pixels]))


def interval_score(pixels: list[Pixels], factor: float, level: float = LEVEL) -> float:
    """Return the mean interval score of ln d ± factor·sigma, in log depth; NaN of no picture.

    The interval's width, and 2/(1 − level) times how far the truth lies outside (Gneiting & Raftery
    2007, eq. 43): proper, so that the smallest is of the sigma that is right pixel by pixel, where
    a constant may cover as much.
    """
    if not pixels:
        return math.nan
    scores = []
    for picture in pixels:
        half = factor * picture.sigma_log
        outside = np.maximum(_log_error(picture) - half, 0.0)
        scores.append(float(np.mean(2 * half + 2 / (1 - level) * outside)))
    return float(np.mean(scores))


def _log_error(pixels: Pixels) -> Floats:
    error: Floats = np.abs(np.log(pixels.depth_m / pixels.truth_m))
    return error


class UncertaintyScore:
    """Collects pictures and says how good their uncertainty was.

    The factor is fitted on the first half of each room's pictures, in the order they came in, and
    coverage taken on the second: neighbours in a recording are too alike to be on both sides.

    Args:
        clip_m: See :func:`aligned_pixels`.
        seed: Draws the pixels; the same for all that are compared, so that they rank the same.
    """

    def __init__(self, clip_m: tuple[float, float] = (0.1, 10.0), seed: int = 0) -> None:
        self.clip_m = clip_m
        self._rng = np.random.default_rng(seed)
        self._pixels: dict[str, list[Pixels]] = {}
        self._curves: dict[str, list[Curves]] = {metric: [] for metric in METRICS}

    def add(self, truth_m: Floats, depth: Floats, sigma_log: Floats, room: str = "") -> None:
        """Score a picture; all arrays H×W, see :func:`aligned_pixels`."""
        pixels = aligned_pixels(truth_m, depth, sigma_log, self.clip_m, self._rng)
        if pixels is None:
            return
        self._pixels.setdefault(room, []).append(pixels.first(PIXELS_KEPT))
        for metric, curves in self._curves.items():
            curves.append(sparsification_curves(pixels, metric))

    @property
    def count(self) -> int:
        """Pictures scored."""
        return sum(len(pixels) for pixels in self._pixels.values())

    def curves(self, metric: str) -> Curves:
        """Return the mean curves over all pictures; at least one must be scored."""
        seen = self._curves[metric]
        return Curves(
            np.mean([curves.by_uncertainty for curves in seen], axis=0),
            np.mean([curves.by_error for curves in seen], axis=0),
        )

    def summary(self) -> dict[str, float]:
        """Return the figures by name; empty where nothing was scored.

        For each of METRICS its value ("abs_rel"), AUSE ("ause_abs_rel") and AURG ("aurg_abs_rel");
        "factor" on sigma, fitted on the first halves; "coverage" and "interval_score" on the
        second.
        """
        if not self.count:
            return {}
        figures: dict[str, float] = {}
        for metric in METRICS:
            curves = self.curves(metric)
            figures[metric] = float(curves.by_uncertainty[0])
            figures[f"ause_{metric}"], figures[f"aurg_{metric}"] = curves.ause, curves.aurg
        fitted, held_out = self._halves()
        factor = conformal_factor(fitted)
        return {
            **figures,
            "factor": factor,
            "coverage": covered(held_out, factor),
            "interval_score": interval_score(held_out, factor),
        }

    def _halves(self) -> tuple[list[Pixels], list[Pixels]]:
        fitted: list[Pixels] = []
        held_out: list[Pixels] = []
        for pixels in self._pixels.values():
            middle = (len(pixels) + 1) // 2
            fitted += pixels[:middle]
            held_out += pixels[middle:]
        return fitted, held_out
