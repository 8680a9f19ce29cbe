"""Running scores over a recording: depth and labels. Memory does not grow with it.

Protocol, as published indoor results use it: pixels with truth above zero (no upper limit), the
prediction brought to the truth by the ratio of the medians (or not at all, where the scale was
learnt online), clipped to 0.1-10 m, errors per image, then their mean over images.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.core.metrics import (
    DepthErrors,
    confusion_matrix,
    errors_of_pixels,
    iou,
    mean_iou,
    median_of,
    pixel_accuracy,
)
from gam_depth_ros.evaluation.alignment_scoring import AlignmentScore
from gam_depth_ros.evaluation.frame_pixels import FramePixels, Pixels
from gam_depth_ros.evaluation.frame_values import BlockedSums, FrameValues
from gam_depth_ros.evaluation.observation import Float, Observation
from gam_depth_ros.evaluation.range_scoring import RangeScore

SERIES_ERRORS = ("abs_rel", "rmse", "d1")
"""What the report keeps of every frame; two reports are compared by these."""

RELIABILITY_BINS = 15
MOST_FLOOR_PIXELS = 100_000
LEAST_SPREAD_LOG = 1e-6
"""A truth that varies less is a constant, to the precision of its values."""


class MeanErrors:
    """The mean over images of the eight depth errors.

    Args:
        block_frames: As in :class:`FrameValues`.
    """

    def __init__(self, block_frames: int | None = None) -> None:
        self.frames = 0
        self._sums = np.zeros(len(fields(DepthErrors)))
        self._values = FrameValues(shares=("d1", "d2", "d3"), block_frames=block_frames)

    def add(self, errors: DepthErrors | None) -> None:
        """Take in one image; None (no valid pixel) counts nothing."""
        if errors is not None:
            self.frames += 1
            self._sums += np.array(list(asdict(errors).values()), np.float64)
            for name, value in asdict(errors).items():
                self._values.add(name, value)

    def summary(self) -> dict[str, Any]:
        """Return the means (None without an image), their intervals, the number of images."""
        names = [entry.name for entry in fields(DepthErrors)]
        means = self._sums / self.frames if self.frames else [None] * len(names)
        values = {
            name: None if mean is None else float(mean)
            for name, mean in zip(names, means, strict=True)
        }
        return {**values, "intervals": self._values.intervals(), "frames": self.frames}


class DepthScore:
    """Depth against one truth: the sensor's, or the exact one of a synthetic recording.

    Args:
        block_frames: As in :class:`FrameValues`.
    """

    def __init__(self, block_frames: int | None = None) -> None:
        self.median, self.online = MeanErrors(block_frames), MeanErrors(block_frames)
        self.floor_median, self.floor_online = MeanErrors(block_frames), MeanErrors(block_frames)
        self.without_scale = 0
        self._values = FrameValues(block_frames=block_frames)
        self._alignments = AlignmentScore(block_frames)
        self._ranges = RangeScore(block_frames)

    def add(
        self, truth_m: Float, seen: Observation, pixels: FramePixels | None = None
    ) -> dict[str, float]:
        """Score one frame.

        Args:
            truth_m: H×W metres, NaN or 0 unknown.
            seen: The frame.
            pixels: Those of both, where other scores need them too.

        Returns:
            The errors in ``SERIES_ERRORS``, with ``online_`` before the name for the scale learnt
            online, ``floor_abs_rel`` of a constant, and ``ideal_scale`` (the frame's own, which
            nobody knew online); NaN where there is none.
        """
        pixels = pixels or FramePixels(truth_m, seen)
        floor = self._add_floor(pixels, seen.floor_scale)
        median = online = None
        ideal = float("nan")
        if pixels.depth is not None:
            found = pixels.depth
            median = errors_of_pixels(found.truth_m, found.depth, found.median_scale)
            ideal = self._add_profile(found)
            self._alignments.add(found, ideal)
        if pixels.metric is not None:
            online = errors_of_pixels(pixels.metric.truth_m, pixels.metric.depth, 1.0)
        self.without_scale += seen.metric_depth_m is None
        self.median.add(median)
        self.online.add(online)
        row = {"ideal_scale": ideal, "floor_abs_rel": floor.abs_rel if floor else float("nan")}
        for name in SERIES_ERRORS:
            row[name] = getattr(median, name) if median else float("nan")
            row[f"online_{name}"] = getattr(online, name) if online else float("nan")
        return row

    def _add_floor(self, pixels: FramePixels, floor_scale: float) -> DepthErrors | None:
        """Score a constant, by the frame's own scale and by the one learnt online."""
        truth_m, valid = pixels.truth_m, pixels.valid
        if truth_m.size > MOST_FLOOR_PIXELS and valid[::2, ::2].any():
            # A constant is the same everywhere: a quarter of the pixels tells its errors as well.
            truth_m, valid = truth_m[::2, ::2], valid[::2, ::2]
        truth = truth_m[valid]
        if not truth.size:
            return None
        ones = np.ones_like(truth)
        floor = errors_of_pixels(truth, ones, median_of(truth))
        self.floor_median.add(floor)
        if np.isfinite(floor_scale):
            self.floor_online.add(errors_of_pixels(truth, ones, floor_scale))
        return floor

    def _add_profile(self, found: Pixels) -> float:
        """Add to the contrast and to the error by range.

        Returns:
            The frame's own scale as the online estimator measures it: the median of the ratios,
            where the protocol takes the ratio of the medians.
        """
        spread = _deviation(found.truth.log)
        if spread > LEAST_SPREAD_LOG:
            self._values.add("contrast", _deviation(found.log_ratio + found.truth.log) / spread)
        self._ranges.add(found)
        return found.own_scale

    def summary(self) -> dict[str, Any]:
        """Return the figures for the report."""
        return {
            "per_frame_median": self.median.summary(),
            "online_scale": {
                **self.online.summary(),
                "frames_without_scale": self.without_scale,
            },
            "constant_floor": {
                "per_frame_median": self.floor_median.summary(),
                "online_scale": self.floor_online.summary(),
            },
            **self._alignments.summary(),
            "contrast_ratio": self._values.mean("contrast"),
            "contrast_interval": self._values.interval("contrast"),
            "by_range": self._ranges.rows(),
        }


def _deviation(values: Float) -> float:
    """Return the standard deviation of N values."""
    _, deviation = cv2.meanStdDev(values)
    return float(deviation[0, 0])


class SegmentationScore:
    """Labels against true labels, over the classes that occur in the truth.

    Args:
        labels: The label set of both.
        block_frames: As in :class:`BlockedSums`.
    """

    def __init__(self, labels: LabelSet, block_frames: int | None = None) -> None:
        self.labels = labels
        self.frames = 0
        self._counts = BlockedSums((len(labels), len(labels)), block_frames)
        self._reliability = BlockedSums((3, RELIABILITY_BINS), block_frames)

    def add(
        self,
        truth: npt.NDArray[np.uint8],
        predicted: npt.NDArray[np.uint8],
        confidence: Float | None = None,
    ) -> None:
        """Score one frame; pixels without a true label count nothing.

        Args:
            truth: H×W ids.
            predicted: H×W ids.
            confidence: H×W, 0 to 1; None where it is not known.
        """
        self.frames += 1
        known = (truth < len(self.labels)) & (predicted < len(self.labels))
        ids = truth[known], predicted[known]
        self._counts.add(confusion_matrix(*ids, len(self.labels)))
        if confidence is not None and confidence.shape == truth.shape:
            self._reliability.add(reliability_counts(confidence[known], ids[0] == ids[1]))

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report, None without a scored frame."""
        matrix = self._counts.total().astype(np.int64)
        if not matrix.any():
            return None
        present = matrix.sum(axis=1) > 0
        values = np.where(present, iou(matrix), np.nan)
        return {
            "miou": mean_iou(matrix),
            "pixel_accuracy": pixel_accuracy(matrix),
            "intervals": self._intervals(),
            "confusion": {"names": list(self.labels.names), "pixels": matrix.tolist()},
            **self._calibration(),
            "iou": {
                name: float(value)
                for name, value in zip(self.labels.names, values, strict=True)
                if np.isfinite(value)
            },
            "iou_intervals": self._iou_intervals(present),
            "classes_in_truth": int(present.sum()),
            "frames": self.frames,
        }

    def _intervals(self) -> dict[str, list[float]]:
        found = {
            "miou": self._counts.interval(lambda sums: mean_iou(sums.astype(np.int64))),
            "pixel_accuracy": self._counts.interval(
                lambda sums: pixel_accuracy(sums.astype(np.int64))
            ),
            "ece": self._reliability.interval(calibration_error),
        }
        return {name: ends for name, ends in found.items() if ends is not None}

    def _iou_intervals(self, present: npt.NDArray[np.bool_]) -> dict[str, list[float]]:
        found = self._counts.intervals(lambda sums: iou(sums.astype(np.int64)))
        rows = zip(self.labels.names, present, found, strict=True)
        return {name: ends for name, known, ends in rows if known and ends is not None}

    def _calibration(self) -> dict[str, Any]:
        counts = self._reliability.total()
        if not counts[0].any():
            return {"ece": None, "reliability": None}
        filled = counts[0] > 0
        return {
            "ece": calibration_error(counts),
            "reliability": {
                "confidence": (counts[1][filled] / counts[0][filled]).tolist(),
                "accuracy": (counts[2][filled] / counts[0][filled]).tolist(),
                "pixel_share": (counts[0][filled] / counts[0].sum()).tolist(),
            },
        }


def reliability_counts(
    confidence: npt.NDArray[np.floating], right: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return 3×B by bin of confidence: pixels, sum of confidence, right ones.

    Args:
        confidence: N values, 0 to 1; what is not finite is left out.
        right: N, whether the label is the true one.
    """
    known = np.isfinite(confidence)
    values = confidence[known].astype(np.float64)
    bins = np.clip((values * RELIABILITY_BINS).astype(np.int64), 0, RELIABILITY_BINS - 1)
    return np.stack(
        [
            np.bincount(bins, weights=weights, minlength=RELIABILITY_BINS)
            for weights in (None, values, right[known].astype(np.float64))
        ]
    ).astype(np.float64)


def calibration_error(counts: npt.NDArray[np.float64]) -> float:
    """Return the expected calibration error (Guo et al. 2017, equation 3); NaN without a pixel.

    Args:
        counts: As :func:`reliability_counts` gives them, summed over images.
    """
    total = float(counts[0].sum())
    return float(np.abs(counts[1] - counts[2]).sum()) / total if total else float("nan")
