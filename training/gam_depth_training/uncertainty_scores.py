"""Whether an uncertainty knows where the errors are, and how large: core's scores, summed up.

Sparsification per picture and averaged over pictures; coverage after one global conformal factor
(Vovk et al. 2005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.metrics import median_scale
from gam_depth_ros.core.model_calibration import LEVELS
from gam_depth_ros.core.uncertainty_metrics import (
    METRICS,
    SparsificationCurves,
    coverage,
    interval_score,
    sparsification_curves,
)

Floats = npt.NDArray[Any]

LEVEL = LEVELS[0]
# Pixels of each picture that are ranked, drawn at random: ties are then broken at random too.
PIXELS = 20_000
# Of these so many are kept for the factor and its coverage, which look at all pictures at once.
PIXELS_KEPT = 4000
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


def mean_interval_score(pixels: list[Pixels], factor: float, level: float = LEVEL) -> float:
    """Return the mean over pictures of the score of ln d ± factor·sigma; NaN of no picture."""
    if not pixels:
        return math.nan
    return float(
        np.mean([interval_score(_log_error(p), factor * p.sigma_log, level) for p in pixels])
    )


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
        self._curves: dict[str, list[SparsificationCurves]] = {metric: [] for metric in METRICS}

    def add(self, truth_m: Floats, depth: Floats, sigma_log: Floats, room: str = "") -> None:
        """Score a picture; all arrays H×W, see :func:`aligned_pixels`."""
        pixels = aligned_pixels(truth_m, depth, sigma_log, self.clip_m, self._rng)
        if pixels is None:
            return
        self._pixels.setdefault(room, []).append(pixels.first(PIXELS_KEPT))
        for metric, curves in self._curves.items():
            curves.append(
                sparsification_curves(pixels.truth_m, pixels.depth_m, pixels.sigma_log, metric)
            )

    @property
    def count(self) -> int:
        """Pictures scored."""
        return sum(len(pixels) for pixels in self._pixels.values())

    def curves(self, metric: str) -> SparsificationCurves:
        """Return the mean curves over all pictures; at least one must be scored."""
        seen = self._curves[metric]
        return SparsificationCurves(
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
            "interval_score": mean_interval_score(held_out, factor),
        }

    def _halves(self) -> tuple[list[Pixels], list[Pixels]]:
        fitted: list[Pixels] = []
        held_out: list[Pixels] = []
        for pixels in self._pixels.values():
            middle = (len(pixels) + 1) // 2
            fitted += pixels[:middle]
            held_out += pixels[middle:]
        return fitted, held_out
