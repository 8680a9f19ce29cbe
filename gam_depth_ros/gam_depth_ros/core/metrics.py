"""Scores: depth and segmentation. Pure functions of truth and prediction.

Depth follows the protocol of the indoor self-supervised literature (Eigen et al. 2014; GAM-Depth's
evaluation): per image, scale by the ratio of medians, clip the prediction, average over images.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]

MIN_DEPTH_M = 0.1
MAX_DEPTH_M = 10.0
_ACCURACY_BASE = 1.25
_PIECE = 32_768
_FLIP_RAMP_START, _FLIP_RAMP_SLOPE = 0.05, 20.0


@dataclass(frozen=True)
class DepthErrors:
    """Errors of a depth prediction; d is the truth, p the prediction.

    Attributes:
        abs_rel: Mean of |d - p| / d.
        sq_rel: Mean of (d - p)² / d, metres.
        rmse: Root mean square of d - p, metres.
        rmse_log: Root mean square of ln d - ln p.
        log10: Mean of |log10 d - log10 p|.
        d1: Share of pixels with max(d/p, p/d) < 1.25.
        d2: The same below 1.25².
        d3: The same below 1.25³.
    """

    abs_rel: float
    sq_rel: float
    rmse: float
    rmse_log: float
    log10: float
    d1: float
    d2: float
    d3: float


def depth_errors(ground_truth: Floats, prediction: Floats) -> DepthErrors:
    """Score depths as they are: no mask, no scaling, no clipping.

    Args:
        ground_truth: Metres, any shape, all finite and positive.
        prediction: Same shape, all finite and positive.

    Raises:
        ValueError: different shapes, no values, or values that are not finite and positive.
    """
    truth = _positive("ground truth", ground_truth)
    predicted = _positive("prediction", prediction)
    if truth.shape != predicted.shape:
        raise ValueError(
            f"depth errors: got ground truth {truth.shape} and prediction {predicted.shape}, "
            "expected the same shape"
        )
    return _scaled_errors(truth, predicted, 1.0, (0.0, np.inf))


def _scaled_errors(
    truth: Floats, prediction: Floats, scale: float, limits: tuple[float, float]
) -> DepthErrors:
    """Score N pixels, all finite and positive, after scaling and clipping the prediction.

    In pieces that stay in a processor's cache, as precise as the inputs are but float32 at least:
    every pixel is rounded by 6e-8 of itself, a piece's sum, in pairs, no worse, and pieces
    are added up as float64.
    """
    precision = np.result_type(truth, prediction, np.float32)
    truth, prediction = (
        values.ravel().astype(precision, copy=False) for values in (truth, prediction)
    )
    work = np.empty((4, min(_PIECE, truth.size)), precision)
    factor = precision.type(scale)
    sums = np.zeros(len(fields(DepthErrors)))
    for first in range(0, truth.size, _PIECE):
        true = truth[first : first + _PIECE]
        predicted, off, ratio, spare = work[:, : true.size]
        np.multiply(prediction[first : first + _PIECE], factor, out=predicted)
        np.clip(predicted, *limits, out=predicted)
        np.subtract(true, predicted, out=off)
        np.divide(predicted, true, out=ratio)
        worse_ratio = np.maximum(ratio, np.divide(true, predicted, out=predicted), out=predicted)
        close = [np.count_nonzero(worse_ratio < _ACCURACY_BASE**power) for power in (1, 2, 3)]
        log_ratio = np.log(ratio, out=ratio)
        relative = np.divide(off, true, out=predicted)
        # Not as dot products: BLAS would wake its threads for each, which then spin.
        sums += (
            np.abs(relative, out=spare).sum(),
            np.multiply(relative, off, out=spare).sum(),
            np.multiply(off, off, out=spare).sum(),
            np.multiply(log_ratio, log_ratio, out=spare).sum(),
            np.abs(log_ratio, out=spare).sum(),
            *close,
        )
    abs_rel, sq_rel, square, square_log, log, *close = (sums / truth.size).tolist()
    return DepthErrors(
        abs_rel, sq_rel, math.sqrt(square), math.sqrt(square_log), log / math.log(10.0), *close
    )


def median_scale(ground_truth: Floats, prediction: Floats) -> float:
    """Return median(ground truth) / median(prediction), the literature's scale of one image.

    Args:
        ground_truth: Metres, already masked.
        prediction: The same pixels, up to scale, not clipped.
    """
    return median_of(ground_truth) / median_of(prediction)


def evaluate_depth(
    ground_truth_m: Floats,
    prediction: Floats,
    align: str = "median",
    min_depth: float = MIN_DEPTH_M,
    max_depth: float = MAX_DEPTH_M,
) -> DepthErrors | None:
    """Score one image by the literature's protocol.

    Pixels count where the truth is finite and above zero (no upper limit) and the prediction is
    finite and above zero. The scale is taken over them before clipping; then the prediction, not
    the truth, is clipped.

    Args:
        ground_truth_m: H×W metres; 0, NaN or infinite where unknown.
        prediction: H×W depth at the truth's size; NaN where unknown.
        align: ``median`` scales by :func:`median_scale`; ``none`` takes the prediction as metres.
        min_depth: Predictions below are scored as this, metres.
        max_depth: Predictions above are scored as this, metres.

    Returns:
        The errors, None if no pixel counts.

    Raises:
        ValueError: different shapes or an unknown ``align``.
    """
    if align not in ("median", "none"):
        raise ValueError(f"align: got '{align}', expected median or none")
    if ground_truth_m.shape != prediction.shape:
        raise ValueError(
            f"evaluate depth: got ground truth {ground_truth_m.shape} and prediction "
            f"{prediction.shape}, expected the same shape; resize the prediction first"
        )
    mask = _is_positive(ground_truth_m) & _is_positive(prediction)
    if not mask.any():
        return None
    truth, predicted = ground_truth_m[mask], prediction[mask]
    scale = median_scale(truth, predicted) if align == "median" else 1.0
    return _scaled_errors(truth, predicted, scale, (min_depth, max_depth))


def errors_of_pixels(ground_truth_m: Floats, prediction: Floats, scale: float) -> DepthErrors:
    """Score pixels that were picked and whose scale is known, as :func:`evaluate_depth` does.

    Args:
        ground_truth_m: N metres, at least one, all finite and positive.
        prediction: N depths, all finite and positive.
        scale: What predictions are multiplied by, before they are clipped.
    """
    return _scaled_errors(ground_truth_m, prediction, scale, (MIN_DEPTH_M, MAX_DEPTH_M))


def median_of(values: Floats) -> float:
    """Return the median of N finite values, at least one; of two in the middle their mean."""
    upper = values.size // 2
    parted = np.partition(values, upper, axis=None)
    if values.size % 2:
        return float(parted[upper])
    return 0.5 * (float(parted[:upper].max()) + float(parted[upper]))


def mean_errors(errors: list[DepthErrors]) -> DepthErrors | None:
    """Average over images, each with the same weight; None for no image."""
    if not errors:
        return None
    return DepthErrors(*np.mean([astuple(one) for one in errors], axis=0).tolist())


def flip_average(disparity: Floats, disparity_of_mirrored: Floats) -> Floats:
    """Combine a disparity with that of the mirrored picture (Godard et al. 2017).

    The mean of both, except within 5 to 10 % of the left and right edges, where it passes over
    to the one whose network input had that side's occlusions elsewhere.

    Args:
        disparity: …×H×W inverse depth of the picture.
        disparity_of_mirrored: …×H×W inverse depth of the mirrored picture, mirrored back.
    """
    across = np.linspace(0.0, 1.0, disparity.shape[-1])
    left = 1.0 - np.clip(_FLIP_RAMP_SLOPE * (across - _FLIP_RAMP_START), 0.0, 1.0)
    right = left[::-1]
    mean = 0.5 * (disparity + disparity_of_mirrored)
    combined: Floats = (
        right * disparity + left * disparity_of_mirrored + (1.0 - left - right) * mean
    )
    return combined


def confusion_matrix(
    truth: npt.NDArray[np.integer[Any]], labels: npt.NDArray[np.integer[Any]], n: int
) -> npt.NDArray[np.int64]:
    """Count pixels by true and predicted id.

    Args:
        truth: Ids, any shape; ids of ``n`` or more (255 unlabelled) are left out.
        labels: Predicted ids, same shape, each below ``n`` where truth is labelled.
        n: Number of classes.

    Returns:
        n×n int64; row: true id, column: predicted id. Matrices of several images add up.

    Raises:
        ValueError: different shapes, or a predicted id without a class.
    """
    if truth.shape != labels.shape:
        raise ValueError(
            f"confusion matrix: got truth {truth.shape} and labels {labels.shape}, expected the "
            "same shape"
        )
    labelled = (truth >= 0) & (truth < n)
    rows, columns = truth[labelled].astype(np.int64), labels[labelled].astype(np.int64)
    if columns.size and not 0 <= columns.min() <= columns.max() < n:
        raise ValueError(
            f"confusion matrix: got predicted ids {columns.min()} to {columns.max()}, expected 0 "
            f"to {n - 1}; the model's label set is another one"
        )
    counts = np.bincount(rows * n + columns, minlength=n * n)
    return counts.reshape(n, n).astype(np.int64)


def iou(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return each class's intersection over union; NaN for one neither true nor predicted.

    Args:
        matrix: n×n from :func:`confusion_matrix`.
    """
    hits = np.diag(matrix).astype(np.float64)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - hits
    ratio = np.full(len(hits), np.nan)
    np.divide(hits, union, out=ratio, where=union > 0)
    return ratio


def mean_iou(matrix: npt.NDArray[np.int64]) -> float:
    """Return the mean IoU over classes that occur in the truth; NaN if none does.

    A class that is only predicted lowers the IoU of the classes it was mistaken for.
    """
    occurs = matrix.sum(axis=1) > 0
    return float(np.mean(iou(matrix)[occurs])) if occurs.any() else math.nan


def pixel_accuracy(matrix: npt.NDArray[np.int64]) -> float:
    """Return the share of labelled pixels that got their true id; NaN without any."""
    total = int(matrix.sum())
    return float(np.trace(matrix)) / total if total else math.nan


def _is_positive(values: Floats) -> npt.NDArray[np.bool_]:
    usable: npt.NDArray[np.bool_] = (values > 0) & (values < np.inf)
    return usable


def _positive(what: str, values: Floats) -> Floats:
    array = np.asarray(values, np.float64)
    if not array.size or not _is_positive(array).all():
        raise ValueError(
            f"depth errors: got {array.size} values of {what} with some not finite and positive, "
            "or none at all, expected only such; mask them first"
        )
    return array
