"""Running scores of uncertainty over a recording. Memory does not grow with it.

Errors are relative, so intervals are of log depth: sigma_m / depth_m is their half-width. Every
figure is taken per image, then averaged over images.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.metrics import MAX_DEPTH_M, MIN_DEPTH_M
from gam_depth_ros.core.model_calibration import LEVELS
from gam_depth_ros.core.uncertainty_metrics import (
    INTERVALS,
    METRICS,
    SparsificationCurves,
    sparsification_by_metric,
)
from gam_depth_ros.evaluation.frame_pixels import FramePixels, Pixels, Truth, values_at
from gam_depth_ros.evaluation.frame_values import FrameValues
from gam_depth_ros.evaluation.observation import Float, Observation

NOMINAL_COVERAGE = LEVELS[0]
FIGURES = ("coverage_1sigma", "coverage_90", "coverage_2sigma", "sharpness", "interval_score")
SIGMA_LEVELS = tuple(round(0.1 * step, 1) for step in range(1, 31))
RANKED_PIXELS = 20_000
COVERED_PIXELS = 100_000
"""Of a frame with twice as many some count, at even distances: neighbours say the same."""
LEAST_SIGMA_LOG = np.float32(1e-9)
"""A sigma of zero claims to be exact."""
ALIGNED, ONLINE = "per_frame_median", "online_scale"


class UncertaintyScore:
    """Whether sigma keeps its promise, and whether it knows where the errors are.

    Args:
        block_frames: As in :class:`FrameValues`.
    """

    def __init__(self, block_frames: int | None = None) -> None:
        self._coverage = {name: _Coverage(block_frames) for name in (ALIGNED, ONLINE)}
        self._ranked = 0
        self._by_uncertainty = np.zeros((len(METRICS), INTERVALS))
        self._by_error = np.zeros((len(METRICS), INTERVALS))
        self._values = FrameValues(
            block_frames=block_frames, signed=[f"aurg_{metric}" for metric in METRICS]
        )

    def add(self, truth_m: Float, seen: Observation, pixels: FramePixels | None = None) -> float:
        """Score one frame; frames without sigma count nothing.

        Args:
            truth_m: H×W metres, NaN or 0 unknown.
            seen: The frame.
            pixels: Those of both, where other scores need them too.

        Returns:
            The share of pixels within one sigma after median alignment; NaN unknown.
        """
        covered = float("nan")
        pixels = pixels or FramePixels(truth_m, seen)
        intervals = seen.interval_90, seen.interval_95
        # Sigma is that of the depth after the filter over time, which recorded outputs carry alone.
        steady = pixels.depth if seen.steady_depth is None else pixels.steady
        known = _with_sigma(steady, seen.sigma_log)
        if known is not None:
            found, sigma_log = known
            aligned = found.depth * np.float32(found.median_scale)
            np.clip(aligned, MIN_DEPTH_M, MAX_DEPTH_M, out=aligned)
            some = _some(aligned.size)
            log_error = _log_error(aligned[some], found.truth_m[some])
            covered = self._coverage[ALIGNED].add(log_error, sigma_log[some], intervals)
            self._add_ranking(found.truth_m, aligned, sigma_log)
        known = _with_sigma(pixels.metric, seen.metric_sigma_m)
        if known is not None:
            found, sigma_m = known
            some = _some(found.depth.size)
            depth_m = np.clip(found.depth[some], MIN_DEPTH_M, MAX_DEPTH_M)
            log_error = _log_error(depth_m, found.truth_m[some])
            self._coverage[ONLINE].add(log_error, sigma_m[some] / depth_m, intervals)
        return covered

    def _add_ranking(self, truth: Float, aligned: Float, sigma_log: Float) -> None:
        # At random, so that pixels that are equally sure leave in no order of the picture.
        chosen = _shuffled(truth.size)
        found = sparsification_by_metric(truth[chosen], aligned[chosen], sigma_log[chosen])
        for row, (metric, curves) in enumerate(found.items()):
            self._by_uncertainty[row] += curves.by_uncertainty
            self._by_error[row] += curves.by_error
            self._values.add(f"ause_{metric}", curves.ause)
            self._values.add(f"aurg_{metric}", curves.aurg)
        self._ranked += 1

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report, None without a scored frame.

        Coverage is given aligned per image, and with the scale learnt online, which is what the
        published sigma promises. ``coverage_2sigma`` is of the published 95.4 % interval.
        """
        if not any(score.frames for score in self._coverage.values()):
            return None
        figures = {
            name: {key: score.mean(name) for key, score in self._coverage.items()}
            for name in FIGURES
        }
        return {
            "nominal_coverage": NOMINAL_COVERAGE,
            **figures,
            "coverage_curve": {
                "sigmas": list(SIGMA_LEVELS),
                **{key: score.curve() for key, score in self._coverage.items()},
            },
            **self._ranking(),
            "intervals": {
                **self._values.intervals(),
                **{
                    f"{name}.{key}": ends
                    for key, score in self._coverage.items()
                    for name, ends in score.values.intervals().items()
                },
            },
            "frames": self._coverage[ALIGNED].frames,
            "frames_of": {key: score.frames for key, score in self._coverage.items()},
        }

    def _ranking(self) -> dict[str, Any]:
        """Return AUSE and AURG by metric, None without a frame, and the curves they are of."""
        found: dict[str, Any] = {"sparsification": None}
        for row, metric in enumerate(METRICS):
            curves = SparsificationCurves(
                self._by_uncertainty[row] / max(1, self._ranked),
                self._by_error[row] / max(1, self._ranked),
            )
            found[f"ause_{metric}"] = curves.ause if self._ranked else None
            found[f"aurg_{metric}"] = curves.aurg if self._ranked else None
            if self._ranked:
                found["sparsification"] = (found["sparsification"] or {}) | {
                    metric: {
                        "by_uncertainty": curves.by_uncertainty.tolist(),
                        "by_error": curves.by_error.tolist(),
                    }
                }
        return found


@functools.lru_cache(maxsize=4)
def _permutation(size: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(0).permutation(size)


def _shuffled(size: int) -> npt.NDArray[np.int64]:
    """Return up to ``RANKED_PIXELS`` of ``size`` places in random order.

    The order is drawn once for each power of two: another number of pixels takes of it what fits.
    """
    order = _permutation(1 << max(0, size - 1).bit_length())
    some = order[: 4 * RANKED_PIXELS]  # at least half of it fits
    return some[some < size][:RANKED_PIXELS]


def _with_sigma(pixels: Pixels | None, sigma: Float | None) -> tuple[Pixels, Float] | None:
    """Return the pixels whose sigma, H×W, is known too, and theirs; None without any."""
    if pixels is None or sigma is None:
        return None
    values = values_at(sigma, pixels.places)
    if -np.inf < values.min() and values.max() < np.inf:  # as a rule; NaN is neither
        return pixels, values
    known = np.isfinite(values)
    if not known.any():
        return None
    truth = Truth(pixels.truth_m[known])
    return Pixels(truth, pixels.depth[known], pixels.places[known]), values[known]


def _some(size: int) -> slice:
    """Return which of ``size`` pixels count for the coverage."""
    return slice(None, None, max(1, size // COVERED_PIXELS))


def _log_error(depth_m: Float, truth_m: Float) -> Float:
    """Return ln(depth / truth), N float32."""
    ratio = np.asarray(depth_m / truth_m)
    return np.asarray(np.log(ratio, out=ratio))


class _Coverage:
    """What intervals of log depth cover and how wide they are, mean over images."""

    def __init__(self, block_frames: int | None) -> None:
        self.frames = 0
        self.values = FrameValues(shares=FIGURES[:3], block_frames=block_frames)
        self._levels = np.zeros(len(SIGMA_LEVELS))

    def add(self, log_error: Float, sigma_log: Float, intervals: tuple[float, float]) -> float:
        """Take in one frame's pixels, all finite; return the share within one sigma.

        The figures are those of :mod:`core.uncertainty_metrics`, without its look for gaps.
        """
        self.frames += 1
        off = np.abs(log_error)
        sigmas_off = off / np.maximum(sigma_log, LEAST_SIGMA_LOG)
        shares = [
            np.count_nonzero(sigmas_off <= width) / off.size if np.isfinite(width) else np.nan
            for width in (1.0, *intervals)
        ]
        # NumPy adds float32 up in pairs: a mean's error stays that of a single value.
        mean_width = 2.0 * float(np.mean(sigma_log))
        off -= sigma_log
        outside = float(np.mean(np.maximum(off, np.float32(0.0), out=off)))
        score = mean_width + 2.0 / (1.0 - NOMINAL_COVERAGE) * outside
        for name, value in zip(FIGURES, (*shares, mean_width, score), strict=True):
            self.values.add(name, float(value))
        some = slice(None, None, max(1, off.size // RANKED_PIXELS))
        ordered = np.sort(sigmas_off[some])
        self._levels += np.searchsorted(ordered, SIGMA_LEVELS, side="right") / ordered.size
        return float(shares[0])

    def mean(self, name: str) -> float | None:
        """Return the mean of one of FIGURES; None where it was never known."""
        return self.values.mean(name)

    def curve(self) -> list[float] | None:
        return [float(v) for v in self._levels / self.frames] if self.frames else None
