"""Score a recording: frames through the pipeline, or outputs that a node already published.

Accounts always add up: ``in = evaluated + dropped + failed + without_truth``.

- evaluated: an output and a reference depth with at least one reading. The depth of a frame whose
  scale was not known yet is scored up to scale only; ``frames_without_scale`` counts those.
- dropped: no output was recorded for the image (``--recorded`` only).
- failed: the image or its outputs could not be read, or the pipeline refused it.
- without_truth: processed, but no reference depth belongs to the image.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.labels import NYU13, LabelSet
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.bag_recording import BagRecording
from gam_depth_ros.evaluation.gallery import Gallery, Picture
from gam_depth_ros.evaluation.observation import (
    Dropped,
    Event,
    Observation,
    fitting_reference,
    observe,
)
from gam_depth_ros.evaluation.recorded import observe_recorded, open_recorded
from gam_depth_ros.evaluation.sample import FrameFailure, Recording
from gam_depth_ros.evaluation.scoring import (
    DepthScore,
    SegmentationScore,
    valid_pixels,
)
from gam_depth_ros.evaluation.uncertainty_scoring import UncertaintyScore

FORMAT_VERSION = 1
PROTOCOL = (
    "Pixels with reference depth > 0, no upper limit; errors per image, mean over images; "
    "predictions clipped to 0.1-10 m. per_frame_median: the network's depth, before scale, fusion "
    "and filter, times median(reference)/median(depth) of the same frame. online_scale: metres "
    "with the scale learnt from references strictly before the frame. constant_floor: a constant "
    "depth that never saw the picture, through the same protocol."
)
NO_TRUTH = "no frame has a reference depth that belongs to its image"
OF_RECORDED = (
    " Recorded outputs: the published metres stand for the network's depth; the two differ by one "
    "factor per frame, and where the node clipped them."
)
KEPT_LINES = 100


@dataclass
class EvaluationResult:
    """What an evaluation found.

    Attributes:
        report: The content of ``report.json``.
        pictures: Title and picture of the frames worth showing.
        labels: The label set that the masks use.
    """

    report: dict[str, Any]
    pictures: list[tuple[str, Picture]]
    labels: LabelSet


@dataclass
class _Tally:
    """Everything that is collected on the way."""

    labels: LabelSet
    pairing_slop_s: float
    depth: DepthScore = field(default_factory=DepthScore)
    exact: DepthScore = field(default_factory=DepthScore)
    uncertainty: UncertaintyScore = field(default_factory=UncertaintyScore)
    gallery: Gallery = field(default_factory=Gallery)
    series: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.segmentation = SegmentationScore(self.labels)
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
        truth_m = fitting_reference(sample, self.pairing_slop_s)
        if truth_m is not None and not valid_pixels(truth_m).any():
            truth_m = None
        status = "evaluated" if truth_m is not None else "without_truth"
        self.counts[status] += 1
        row = _row(index, sample.frame.stamp_ns, status)
        abs_rel = math.nan
        if truth_m is not None:
            scores = self.depth.add(truth_m, seen)
            self.uncertainty.add(truth_m, seen)
            abs_rel = scores["abs_rel"]
            row |= {name: _number(value) for name, value in scores.items()}
        if (
            sample.exact_depth_m is not None
            and sample.exact_depth_m.shape == sample.frame.rgb.shape[:2]
        ):
            self.exact.add(sample.exact_depth_m, seen)
            self.exact_frames += 1
        truth, predicted = sample.labels, seen.labels
        if truth is not None and predicted is not None and truth.shape == predicted.shape:
            self.segmentation.add(truth, predicted)
        self.gallery.add(index, seen, truth_m, abs_rel)
        if np.isfinite(seen.latency_ms):
            self.latencies_ms.append(seen.latency_ms)
        for stage, milliseconds in seen.stage_ms.items():
            self.stages_ms.setdefault(stage, []).append(milliseconds)
        for note in seen.notes:
            if note in self.notes or len(self.notes) < KEPT_LINES:
                self.notes[note] = self.notes.get(note, 0) + 1
        self.scale_source = seen.scale_source or self.scale_source
        row["scale"] = _number(seen.scale)
        row["latency_ms"] = _number(seen.latency_ms)
        self.series.append(row)


def evaluate(
    recording: Recording,
    pipeline: PerceptionPipeline,
    *,
    max_frames: int | None = None,
    on_frame: Callable[[], None] = lambda: None,
    timer: Callable[[], int] = time.perf_counter_ns,
) -> EvaluationResult:
    """Run the pipeline over a recording and score what it gives.

    Args:
        recording: Where frames and truth come from.
        pipeline: The pipeline; its state is reset first.
        max_frames: Stop after so many images; None for all.
        on_frame: Called after every image, for a progress bar.
        timer: Returns nanoseconds, for the latency.
    """
    spec = pipeline.engine.spec
    tally = _Tally(spec.labels, pipeline.config.pairing_slop_s)
    _run(tally, observe(recording, pipeline, timer), max_frames, on_frame)
    info = pipeline.engine.info
    model = {
        "path": info.get("path", ""),
        "name": spec.name,
        "sha256": pipeline.engine.sha256,
        "provider": pipeline.engine.provider,
        "precision": pipeline.engine.precision,
        "input_size_hw": list(spec.input_size_hw),
        "labels": spec.labels.name,
        "licence": spec.licence,
    }
    what = "pipeline, from decoded frame to perception, one frame at a time"
    return _result(recording, "offline", model, tally, what)


def evaluate_recorded(
    recording: Recording,
    *,
    model_path: Path | None = None,
    config: PipelineConfig | None = None,
    max_frames: int | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> EvaluationResult:
    """Score the outputs that lie in a bag against the reference depth in it.

    Args:
        recording: A bag with inputs and outputs.
        model_path: Named in the report; the bag's status topic tells the rest.
        config: Settings of the constant floor.
        max_frames: Stop after so many images; None for all.
        on_frame: Called after every image, for a progress bar.

    Raises:
        BagError: no bag, or no outputs in it.
    """
    if not isinstance(recording, BagRecording):
        raise BagError(
            f"{recording.path}: got a {recording.kind}, expected a bag with recorded outputs; "
            "evaluate without --recorded"
        )
    config = config or PipelineConfig()
    outputs = open_recorded(recording)
    tally = _Tally(NYU13, config.pairing_slop_s)
    _run(tally, observe_recorded(recording, outputs, config), max_frames, on_frame)
    status = outputs.status()
    model = {
        "path": "" if model_path is None else str(model_path),
        "name": "" if status is None else str(status.model_name),
        "sha256": "" if status is None else str(status.model_sha256),
        "provider": "" if status is None else str(status.provider),
        "precision": "" if status is None else str(status.precision),
    }
    what = "live node, from the bag's receive time of the image to that of its depth"
    result = _result(recording, "recorded", model, tally, what)
    if result.report["depth"] is not None:
        result.report["depth"]["protocol"] += OF_RECORDED
    if status is not None:
        counts = ("frames_in", "frames_published", "frames_dropped", "frames_failed")
        result.report["node"] = {name: int(getattr(status, name)) for name in counts}
    return result


def _run(
    tally: _Tally,
    events: Iterable[Event],
    max_frames: int | None,
    on_frame: Callable[[], None],
) -> None:
    for event in itertools.islice(events, max_frames):
        tally.take(event)
        on_frame()


def _result(
    recording: Recording, mode: str, model: dict[str, Any], tally: _Tally, latency_of: str
) -> EvaluationResult:
    scored = tally.counts["evaluated"] > 0
    stamps = [row["stamp_ns"] for row in tally.series if row["status"] != "failed"]
    report: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "mode": mode,
        "recording": {
            "path": str(recording.path),
            "name": recording.path.resolve().stem,
            "kind": recording.kind,
            "topics": recording.topics,
            "duration_s": (max(stamps) - min(stamps)) / 1e9 if stamps else 0.0,
        },
        "model": model,
        "scale_source": tally.scale_source,
        "frames": tally.counts,
        "depth": {"protocol": PROTOCOL, **tally.depth.summary()} if scored else None,
        "depth_reason": None if scored else NO_TRUTH,
        "depth_exact": tally.exact.summary() if tally.exact_frames else None,
        "uncertainty": tally.uncertainty.summary(),
        "segmentation": tally.segmentation.summary() if tally.labels.name == NYU13.name else None,
        "latency_ms": _latency(tally, latency_of),
        "failures": tally.failures,
        "notes": [*recording.notes, *_counted(tally.notes)],
        "series": tally.series,
    }
    return EvaluationResult(report, tally.gallery.choose(), tally.labels)


def _latency(tally: _Tally, what: str) -> dict[str, Any]:
    values = tally.latencies_ms
    if not values:
        return {"p50": None, "p99": None, "mean": None, "frames": 0, "stages_p50": {}, "of": what}
    p50, p99 = np.percentile(values, [50, 99])
    return {
        "p50": float(p50),
        "p99": float(p99),
        "mean": float(np.mean(values)),
        "frames": len(values),
        "stages_p50": {name: float(np.median(part)) for name, part in tally.stages_ms.items()},
        "of": what,
    }


def _counted(notes: dict[str, int]) -> list[str]:
    return [f"{note} ({count} frames)" if count > 1 else note for note, count in notes.items()]


def _row(index: int, stamp_ns: int, status: str) -> dict[str, Any]:
    return {"index": index, "stamp_ns": stamp_ns, "status": status}


def _number(value: float) -> float | None:
    """Return a float that JSON knows: None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None
