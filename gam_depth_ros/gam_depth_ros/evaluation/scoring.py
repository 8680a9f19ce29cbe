"""Running scores over a recording: depth and labels. Memory does not grow with it.

Protocol, as published indoor results use it: pixels with truth above zero (no upper limit), the
prediction brought to the truth by the ratio of the medians (or not at all, where the scale was
learnt online), clipped to 0.1-10 m, errors per image, then their mean over images.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.core.metrics import (
    MAX_DEPTH_M,
    MIN_DEPTH_M,
    DepthErrors,
    confusion_matrix,
    evaluate_depth,
    iou,
    mean_iou,
    median_scale,
    pixel_accuracy,
)
from gam_depth_ros.core.scale_alignment import median_scale as median_of_ratios
from gam_depth_ros.evaluation.observation import Float, Observation

RANGE_EDGES_M = tuple(np.arange(0.0, 10.5, 0.5).tolist())
SERIES_ERRORS = ("abs_rel", "rmse", "d1")
"""What the report keeps of every frame; two reports are compared by these."""


class MeanErrors:
    """The mean over images of the eight depth errors."""

    def __init__(self) -> None:
        self.frames = 0
        self._sums = np.zeros(len(fields(DepthErrors)))

    def add(self, errors: DepthErrors | None) -> None:
        """Take in one image; None (no valid pixel) counts nothing."""
        if errors is not None:
            self.frames += 1
            self._sums += np.array(list(asdict(errors).values()), np.float64)

    def summary(self) -> dict[str, Any]:
        """Return the means (None without an image) and the number of images."""
        names = [entry.name for entry in fields(DepthErrors)]
        means = self._sums / self.frames if self.frames else [None] * len(names)
        values = {
            name: None if mean is None else float(mean)
            for name, mean in zip(names, means, strict=True)
        }
        return {**values, "frames": self.frames}


class DepthScore:
    """Depth against one truth: the sensor's, or the exact one of a synthetic recording."""

    def __init__(self) -> None:
        self.median, self.online = MeanErrors(), MeanErrors()
        self.floor_median, self.floor_online = MeanErrors(), MeanErrors()
        self.without_scale = 0
        self._contrasts: list[float] = []
        self._ranges = np.zeros((3, len(RANGE_EDGES_M) - 1))

    def add(self, truth_m: Float, seen: Observation) -> dict[str, float]:
        """Score one frame.

        Returns:
            The errors in ``SERIES_ERRORS``, with ``online_`` before the name for the scale learnt
            online, and ``ideal_scale`` (the frame's own, which nobody knew online); NaN where
            there is none.
        """
        ones = np.ones_like(truth_m)
        self.floor_median.add(evaluate_depth(truth_m, ones, align="median"))
        if np.isfinite(seen.floor_scale):
            constant = np.full_like(truth_m, seen.floor_scale)
            self.floor_online.add(evaluate_depth(truth_m, constant, align="none"))
        median = online = None
        ideal = float("nan")
        if seen.depth is not None:
            median = evaluate_depth(truth_m, seen.depth, align="median")
            ideal = self._add_profile(truth_m, seen.depth)
        if seen.metric_depth_m is not None:
            online = evaluate_depth(truth_m, seen.metric_depth_m, align="none")
        else:
            self.without_scale += 1
        self.median.add(median)
        self.online.add(online)
        row = {"ideal_scale": ideal}
        for name in SERIES_ERRORS:
            row[name] = getattr(median, name) if median else float("nan")
            row[f"online_{name}"] = getattr(online, name) if online else float("nan")
        return row

    def _add_profile(self, truth_m: Float, depth: Float) -> float:
        """Add to the contrast and to the error by range.

        Returns:
            The frame's own scale as the online estimator measures it: the median of the ratios,
            where the protocol takes the ratio of the medians.
        """
        valid = valid_pixels(truth_m) & np.isfinite(depth)
        if not valid.any():
            return float("nan")
        truth, prediction = truth_m[valid], depth[valid]
        ratio = median_scale(truth, prediction)
        spread = float(np.std(np.log(truth)))
        if spread > 0:
            self._contrasts.append(float(np.std(np.log(prediction))) / spread)
        relative = (np.clip(prediction * ratio, MIN_DEPTH_M, MAX_DEPTH_M) - truth) / truth
        for row, values in enumerate((np.abs(relative), relative, np.ones_like(relative))):
            self._ranges[row] += np.histogram(truth, RANGE_EDGES_M, weights=values)[0]
        return median_of_ratios(truth, prediction)

    def summary(self) -> dict[str, Any]:
        """Return the figures for the report."""
        pixels = self._ranges[2]
        by_range = [
            {
                "from_m": RANGE_EDGES_M[index],
                "to_m": RANGE_EDGES_M[index + 1],
                "abs_rel": float(self._ranges[0, index] / pixels[index]),
                "bias": float(self._ranges[1, index] / pixels[index]),
                "pixel_share": float(pixels[index] / pixels.sum()),
            }
            for index in range(len(pixels))
            if pixels[index] > 0
        ]
        contrast = float(np.mean(self._contrasts)) if self._contrasts else None
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
            "contrast_ratio": contrast,
            "by_range": by_range,
        }


class SegmentationScore:
    """Labels against true labels, over the classes that occur in the truth."""

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels
        self.frames = 0
        self._matrix = np.zeros((len(labels), len(labels)), np.int64)

    def add(self, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8]) -> None:
        """Score one frame; pixels without a true label count nothing."""
        self.frames += 1
        known = (truth < len(self.labels)) & (predicted < len(self.labels))
        self._matrix += confusion_matrix(truth[known], predicted[known], len(self.labels))

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report, None without a scored frame."""
        if not self._matrix.any():
            return None
        present = self._matrix.sum(axis=1) > 0
        values = np.where(present, iou(self._matrix), np.nan)
        return {
            "miou": mean_iou(self._matrix),
            "pixel_accuracy": pixel_accuracy(self._matrix),
            "iou": {
                name: float(value)
                for name, value in zip(self.labels.names, values, strict=True)
                if np.isfinite(value)
            },
            "classes_in_truth": int(present.sum()),
            "frames": self.frames,
        }


def valid_pixels(truth_m: Float) -> npt.NDArray[np.bool_]:
    """Return where the truth is a depth: finite and above zero, without an upper limit."""
    return np.asarray(np.isfinite(truth_m) & (truth_m > 0))
