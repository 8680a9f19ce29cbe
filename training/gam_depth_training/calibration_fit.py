"""Fit what a model file carries as calibration: half-widths of intervals, shares of right labels.

Split conformal prediction (Vovk et al. 2005; Angelopoulos & Bates 2021) on rooms that did not
train. Pixels of a frame and frames of a room are far from independent, so the distributions of the
rooms are pooled with equal weight (Dunn et al. 2023: "pooling CDFs"): what comes out holds on
average over rooms, and in no single one for certain.

The published interval has the scale's sigma in it. So the factor to the 68.3 % interval is the
quantile of sqrt(max(e² - s², 0)) / width, e the error of log depth with the online scale and s that
scale's sigma: exactly then |e| <= sqrt((k68·width)² + s²). The wider intervals are ratios of that.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.model_calibration import (
    LEVELS,
    ConfidenceCalibration,
    Curve,
    SigmaCalibration,
)
from gam_depth_ros.core.uncertainty_metrics import interval_score
from gam_depth_training.recorded_errors import FrameErrors

Floats = npt.NDArray[Any]
# What calibrates is a function of a frame's own sigma, without the scale's.
Width = Callable[[FrameErrors], Floats]

MIN_FRAMES = 20
# Exponents that are tried: two numbers are what a handful of rooms can fit. A free factor for each
# bucket of sigma and range was no better on the room left out (docs/experiments/calibration.md).
SIGMA_EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
RANGE_EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIGMA_KNOTS = tuple(np.geomspace(0.02, 2.56, 15).round(4).tolist())
RANGE_KNOTS = tuple(np.geomspace(1 / 3, 3.0, 9).round(4).tolist())
SEARCH_PIXELS = 400
CONFIDENCE_KNOTS = 9
_LEAST_FACTOR = 1e-3
_LEAST_WIDTH = 1e-6


def combined(width: Floats, scale_sigma_log: float) -> Floats:
    """Return the half-width that is published: the network's and the scale's, independent."""
    return np.sqrt(np.square(width, dtype=np.float64) + scale_sigma_log**2)


def room_weights(frames: Sequence[FrameErrors]) -> list[float]:
    """Return each frame's weight: rooms weigh the same, frames of a room too; the sum is 1."""
    rooms = [frame.room for frame in frames]
    counts = {room: rooms.count(room) for room in set(rooms)}
    return [1.0 / (len(counts) * counts[room]) for room in rooms]


def conformal_quantile(scores: Sequence[Floats], weights: Sequence[float], level: float) -> float:
    """Return the weighted quantile of scores, a frame's shared alike by its pixels.

    With the correction of a finite sample (n + 1)/n, n the number of frames: a frame is what is
    drawn, its pixels are not.

    Args:
        scores: Of each frame, 1-D, not empty.
        weights: Of each frame, summing to 1.
        level: Share that is to lie at or below.
    """
    values = np.concatenate(scores)
    shares = np.concatenate(
        [np.full(len(s), w / len(s)) for s, w in zip(scores, weights, strict=True)]
    )
    order = np.argsort(values)
    below = np.cumsum(shares[order])
    corrected = min(1.0, level * (len(scores) + 1) / len(scores))
    index = int(np.searchsorted(below, corrected * below[-1] * (1 - 1e-12)))
    return float(values[order[min(index, len(order) - 1)]])


def fit_factors(frames: Sequence[FrameErrors], width: Width, data: str = "") -> SigmaCalibration:
    """Fit the three factors so that published intervals cover, on average over rooms.

    Args:
        frames: Of any number of rooms.
        width: What the factors are on.
        data: Name of the data.

    Returns:
        The factors, without curves.

    Raises:
        ValueError: too few frames, or the scale's sigma alone covers more than 68.3 %.
    """
    if len(frames) < MIN_FRAMES:
        raise ValueError(
            f"calibrate: got {len(frames)} frames with reference depth and a scale, expected at "
            f"least {MIN_FRAMES}; add recordings"
        )
    weights = room_weights(frames)
    errors = [np.abs(frame.log_error().astype(np.float64)) for frame in frames]
    widths = [np.maximum(width(frame).astype(np.float64), _LEAST_WIDTH) for frame in frames]
    scores = [
        np.sqrt(np.maximum(error**2 - frame.scale_sigma_log**2, 0.0)) / wide
        for frame, error, wide in zip(frames, errors, widths, strict=True)
    ]
    k68 = conformal_quantile(scores, weights, LEVELS[0])
    if not k68 > _LEAST_FACTOR:
        raise ValueError(
            f"calibrate: got a scale whose sigma alone covers more than {LEVELS[0]:.1%} of the "
            "readings, expected errors beyond it; there is nothing to fit the network's sigma to"
        )
    ratios = [
        error / combined(k68 * wide, frame.scale_sigma_log)
        for frame, error, wide in zip(frames, errors, widths, strict=True)
    ]
    # The correction may lift the first quantile above a wider one only where all are equal.
    ratio_90, ratio_95 = (max(1.0, conformal_quantile(ratios, weights, p)) for p in LEVELS[1:])
    return SigmaCalibration(k68, k68 * ratio_90, k68 * max(ratio_90, ratio_95), data)


def mean_score(frames: Sequence[FrameErrors], width: Width, factors: SigmaCalibration) -> float:
    """Return the interval score of the three intervals, mean over frames, rooms alike."""
    total = 0.0
    for frame, weight in zip(frames, room_weights(frames), strict=True):
        error = frame.log_error()
        half = combined(factors.k68 * width(frame), frame.scale_sigma_log)
        pairs = zip((1.0, factors.ratio_90, factors.ratio_95), LEVELS, strict=True)
        scores = [interval_score(error, ratio * half, level) for ratio, level in pairs]
        total += weight * float(np.mean(scores))
    return total


def fit_sigma(frames: Sequence[FrameErrors], data: str) -> SigmaCalibration:
    """Fit the calibration of sigma: width ∝ sigma^p, range factor (depth / median)^q, factors.

    The exponents are those with the smallest interval score, which is proper: p = 1 keeps the
    network's sigma as it is, p = 0 makes it a constant.

    Args:
        frames: With errors, of as many rooms as there are.
        data: Name of the data, written into the model file.

    Raises:
        ValueError: see :func:`fit_factors`.
    """
    typical = float(np.median(np.concatenate([frame.sigma for frame in frames])))
    fewer = [_thinned(frame) for frame in frames]
    best = min(
        (curves_of(p, q, typical) for p, q in itertools.product(SIGMA_EXPONENTS, RANGE_EXPONENTS)),
        key=lambda curves: _search_score(fewer, curves),
    )
    factors = fit_factors(frames, width_of(best), data)
    return replace(factors, width=best.width, range_factor=best.range_factor)


def curves_of(p: float, q: float, typical: float) -> SigmaCalibration:
    """Return the curves of two exponents, with factors still to be fitted.

    Args:
        p: Of sigma; 1 needs no curve.
        q: Of depth / median depth; 0 needs no curve.
        typical: Sigma at which the width is sigma itself.
    """
    width = Curve(SIGMA_KNOTS, tuple(typical * (s / typical) ** p for s in SIGMA_KNOTS))
    factor = Curve(RANGE_KNOTS, tuple(r**q for r in RANGE_KNOTS))
    return SigmaCalibration(
        width=width if p != 1.0 else Curve(), range_factor=factor if q != 0.0 else Curve()
    )


def width_of(calibration: SigmaCalibration) -> Width:
    """Return a calibration's published half-width without its k68 and the scale's part."""
    plain = replace(calibration, k68=1.0, k90=1.0, k95=1.0)
    return lambda frame: plain.half_width(frame.sigma, frame.relative) * frame.stages


def _search_score(frames: Sequence[FrameErrors], curves: SigmaCalibration) -> float:
    width = width_of(curves)
    return mean_score(frames, width, fit_factors(frames, width))


def _thinned(frame: FrameErrors) -> FrameErrors:
    arrays = ("truth_m", "depth", "sigma", "relative", "stages", "flip")
    return replace(frame, **{name: getattr(frame, name)[:SEARCH_PIXELS] for name in arrays})


def fit_confidence(
    confidence: Floats, right: npt.NDArray[np.bool_], data: str
) -> ConfidenceCalibration:
    """Fit the share of right labels over confidence: isotonic, then a few knots.

    Zadrozny & Elkan 2002. A temperature needs the logits of all classes, which the file does not
    give; on the largest probability alone it is one more monotone curve, and this one holds it.

    Args:
        confidence: N, 0 to 1, at least CONFIDENCE_KNOTS different values.
        right: N, whether the label was the true one.
        data: Name of the data, written into the model file.

    Raises:
        ValueError: too few different confidences.
    """
    edges = np.unique(np.quantile(confidence, np.linspace(0.0, 1.0, CONFIDENCE_KNOTS + 1)))
    if len(edges) < CONFIDENCE_KNOTS // 2:
        raise ValueError(
            f"calibrate: got {len(edges)} different confidences of labels, expected at least "
            f"{CONFIDENCE_KNOTS // 2}; the model's confidence says nothing"
        )
    which = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(which, minlength=len(edges) - 1).astype(np.float64)
    filled = counts > 0
    centres = np.bincount(which, weights=confidence, minlength=len(counts))[filled] / counts[filled]
    shares = np.bincount(which, weights=right, minlength=len(counts))[filled] / counts[filled]
    rising = isotonic(shares, counts[filled])
    return ConfidenceCalibration(Curve(tuple(centres.tolist()), tuple(rising.tolist())), data)


def isotonic(values: Floats, weights: Floats) -> Floats:
    """Return the never-falling values nearest to the given, by weighted squares.

    Pool adjacent violators (Ayer et al. 1955).

    Args:
        values: N.
        weights: N, positive.
    """
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, mass, size = blocks.pop()
            total = mass + block[1]
            block = ((mean * mass + block[0] * block[1]) / total, total, size + block[2])
        blocks.append(block)
    return np.concatenate([np.full(size, mean) for mean, _, size in blocks])


def data_name(frames: Sequence[FrameErrors]) -> str:
    """Return what a fit was made on, for the model file."""
    rooms = sorted({frame.room for frame in frames})
    recordings = list(dict.fromkeys(frame.recording for frame in frames))
    count = "1 room" if len(rooms) == 1 else f"{len(rooms)} rooms"
    return f"{len(frames)} frames of {count}: {', '.join(recordings)}"
