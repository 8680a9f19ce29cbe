"""Everything that is collected on the way through a recording."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.evaluation.failures import FailureGallery, FrameScores
from gam_depth_ros.evaluation.frame_pixels import FramePixels
from gam_depth_ros.evaluation.frame_values import Ends, interval_ends, interval_of
from gam_depth_ros.evaluation.fusion_scoring import ExactFusionScore, FusionScore
from gam_depth_ros.evaluation.gallery import Gallery
from gam_depth_ros.evaluation.health_scoring import HealthScore
from gam_depth_ros.evaluation.observation import Dropped, Event, Observation, fitting_reference
from gam_depth_ros.evaluation.region_scoring import RegionScore
from gam_depth_ros.evaluation.sample import FrameFailure
from gam_depth_ros.evaluation.scale_scoring import ScaleScore
from gam_depth_ros.evaluation.scoring import DepthScore, SegmentationScore
from gam_depth_ros.evaluation.temporal_scoring import TemporalScore
from gam_depth_ros.evaluation.uncertainty_scoring import UncertaintyScore

KEPT_LINES = 100


@dataclass
class Tally:
    """Everything that is collected on the way.

    Attributes:
        block_frames: 1 for single pictures, which are resampled one by one; None for video, whose
            neighbours are alike. The scores of time and scale are of video alone.
    """

    labels: LabelSet
    config: PipelineConfig
    block_frames: int | None = None
    scale: ScaleScore = field(default_factory=ScaleScore)
    health: HealthScore = field(default_factory=HealthScore)
    gallery: Gallery = field(default_factory=Gallery)
    causes: FailureGallery = field(default_factory=FailureGallery)
    series: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    latencies_ms: array[float] = field(default_factory=lambda: array("d"))
    stages_ms: dict[str, array[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.depth, self.exact = DepthScore(self.block_frames), DepthScore(self.block_frames)
        self.uncertainty = UncertaintyScore(self.block_frames)
        self.segmentation = SegmentationScore(self.labels, self.block_frames)
        self.regions = RegionScore(self.labels, self.block_frames)
        self.temporal = TemporalScore(self.config.temporal)
        self.fusion = FusionScore(self.config.fusion)
        self.exact_fusion = ExactFusionScore(self.config.fusion)
        self.counts = dict.fromkeys(("in", "evaluated", "dropped", "failed", "without_truth"), 0)
        self.exact_frames = 0
        self.scale_source = ""

    def take(self, event: Event) -> None:
        """Count and score one image."""
        index = self.counts["in"]
        self.counts["in"] += 1
        if isinstance(event, FrameFailure):
            self.counts["failed"] += 1
            if len(self.failures) < KEPT_LINES:
                self.failures.append({"stamp_ns": event.stamp_ns, "reason": event.reason})
            self.series.append(_row(index, event.stamp_ns, "failed"))
        elif isinstance(event, Dropped):
            self.counts["dropped"] += 1
            self.series.append(_row(index, event.sample.frame.stamp_ns, "dropped"))
        else:
            self._score(index, event)

    def _score(self, index: int, seen: Observation) -> None:
        sample = seen.sample
        truth_m = fitting_reference(sample, self.config.pairing_slop_s)
        pixels = None if truth_m is None else FramePixels(truth_m, seen)
        if pixels is None or not pixels.valid.any():
            truth_m = pixels = None
        status = "evaluated" if truth_m is not None else "without_truth"
        self.counts[status] += 1
        row = _row(index, sample.frame.stamp_ns, status)
        abs_rel, found = math.nan, FrameScores()
        if truth_m is not None:
            scores = self.depth.add(truth_m, seen, pixels)
            covered = self.uncertainty.add(truth_m, seen, pixels)
            self.fusion.add(truth_m, seen)
            self.regions.add(truth_m, seen, pixels)
            scale_error = self.scale.add(truth_m, seen, pixels)
            row["scale_log_error"] = number_or_none(scale_error)
            abs_rel = scores["abs_rel"]
            found = FrameScores(abs_rel, scores["floor_abs_rel"], scale_error, covered)
            row |= {name: number_or_none(value) for name, value in scores.items()}
        if (
            sample.exact_depth_m is not None
            and sample.exact_depth_m.shape == sample.frame.rgb.shape[:2]
        ):
            self.exact.add(sample.exact_depth_m, seen)
            self.exact_fusion.add(sample.exact_depth_m, seen)
            self.exact_frames += 1
        truth, predicted = sample.labels, seen.labels
        if truth is not None and predicted is not None and truth.shape == predicted.shape:
            self.segmentation.add(truth, predicted, seen.label_confidence)
            self.regions.add_labels(truth, predicted)
        self.gallery.add(index, seen, truth_m, abs_rel, pixels)
        self.causes.add(index, seen, truth_m, found)
        if np.isfinite(seen.latency_ms):
            self.latencies_ms.append(seen.latency_ms)
        for stage, milliseconds in seen.stage_ms.items():
            self.stages_ms.setdefault(stage, array("d")).append(milliseconds)
        for note in seen.notes:
            if note in self.notes or len(self.notes) < KEPT_LINES:
                self.notes[note] = self.notes.get(note, 0) + 1
        self.scale_source = seen.scale_source or self.scale_source
        self._add_stages(seen, row)
        row["scale"] = number_or_none(seen.scale)
        row["latency_ms"] = number_or_none(seen.latency_ms)
        self.series.append(row)

    def fusion_summary(self) -> dict[str, Any] | None:
        """Return the figures of the fusion, with those against exact depth where that is known."""
        found, exact = self.fusion.summary(), self.exact_fusion.summary()
        return found if found is None or exact is None else {**found, "exact": exact}

    def _add_stages(self, seen: Observation, row: dict[str, Any]) -> None:
        """Score what needs no truth: scale states, time, health."""
        self.scale.count(seen)
        self.temporal.add(seen)
        if seen.scale_state is not None:
            row["scale_state"] = seen.scale_state.state
            row["scale_sigma_log"] = number_or_none(seen.scale_state.sigma_log)
        if seen.quality is not None:
            self.health.add(seen.quality)
            row["conditions"] = list(seen.quality.conditions)


def latency_summary(tally: Tally, what: str) -> dict[str, Any]:
    """Return percentiles of the latency; ``what`` says from where to where it was taken."""
    values = tally.latencies_ms
    if not values:
        nothing: dict[str, Any] = dict.fromkeys(("p50", "p99", "mean"))
        empty = {"intervals": {}, "frames": 0, "stages_p50": {}, "stage_intervals": {}, "of": what}
        return {**nothing, **empty}
    p50, p99 = np.percentile(values, [50, 99])
    return {
        "p50": float(p50),
        "p99": float(p99),
        "mean": float(np.mean(values)),
        "intervals": _latency_intervals(np.array(values, np.float64)),
        "frames": len(values),
        "stages_p50": {name: float(np.median(part)) for name, part in tally.stages_ms.items()},
        "stage_intervals": {
            name: ends
            for name, part in tally.stages_ms.items()
            if (ends := interval_of(np.array(part, np.float64), _median)) is not None
        },
        "of": what,
    }


def _latency_intervals(values: npt.NDArray[np.float64]) -> dict[str, Ends]:
    found = {
        "p50": interval_of(values, _median),
        "p99": interval_of(values, lambda drawn: float(np.percentile(drawn, 99))),
        "mean": interval_ends(values),
    }
    return {name: ends for name, ends in found.items() if ends is not None}


def _median(values: npt.NDArray[np.float64]) -> float:
    return float(np.median(values))


def counted(notes: dict[str, int]) -> list[str]:
    """Return each note once, with the number of frames that it was said of."""
    return [f"{note} ({count} frames)" if count > 1 else note for note, count in notes.items()]


def _row(index: int, stamp_ns: int, status: str) -> dict[str, Any]:
    return {"index": index, "stamp_ns": stamp_ns, "status": status}


def number_or_none(value: float) -> float | None:
    """Return a float that JSON knows: None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None
