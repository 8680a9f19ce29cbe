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
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.engine import Engine
from gam_depth_ros.core.frame import Perception
from gam_depth_ros.core.labels import NYU13, LabelSet
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.allocation import keep_freed
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.bag_recording import BagRecording
from gam_depth_ros.evaluation.bootstrap import CONFIDENCE
from gam_depth_ros.evaluation.figure_kinds import ALIGNMENTS
from gam_depth_ros.evaluation.figure_table import figure_table
from gam_depth_ros.evaluation.frame_values import MOST_BLOCKS
from gam_depth_ros.evaluation.gallery import Picture
from gam_depth_ros.evaluation.observation import Event, observe
from gam_depth_ros.evaluation.protocols import Protocol, observe_test_set
from gam_depth_ros.evaluation.public_sets import TestSet
from gam_depth_ros.evaluation.recorded import observe_recorded, open_recorded
from gam_depth_ros.evaluation.sample import Recording, Sample
from gam_depth_ros.evaluation.tally import Tally, counted, latency_summary

FORMAT_VERSION = 1
PROCESSED = ("evaluated", "without_truth")
"""What became of an image that got an output."""
PROTOCOL_MODE = "protocol"
"""Mode of a report on a test set's single pictures: no two of them are neighbours."""
PROTOCOL = (
    "Pixels with reference depth > 0, no upper limit; errors per image, mean over images; "
    "predictions clipped to 0.1-10 m. per_frame_median: the network's depth, before scale, fusion "
    "and filter, times median(reference)/median(depth) of the same frame. online_scale: metres "
    "of the depth filtered over time, with the scale learnt from references strictly before the "
    "frame. fusion: on blocks of the sensor's depth that were withheld from it; fusion.exact: with "
    "all of it, against a synthetic recording's exact depth. constant_floor: a constant depth that "
    "never saw the picture, through the same protocol."
)
INTERVALS = {
    "confidence": CONFIDENCE,
    "method": (
        "over this recording's frames: circular block bootstrap of the mean, blocks as long as the "
        "figure's own autocorrelation asks for; for pooled counts (labels, ranges, one scale per "
        "sequence) and for medians, percentiles and spreads blocks of about the cube root of the "
        "number of frames. Other recordings are another question."
    ),
}
OF_PICTURES = (
    "over this set's pictures, each drawn by itself: bootstrap of the mean; for pooled counts "
    f"(labels, ranges, one scale for all) over at most {MOST_BLOCKS} groups of pictures. Another "
    "choice of pictures of the same kind is meant, other places are another question."
)
NO_TRUTH = "no frame has a reference depth that belongs to its image"
OF_RECORDED = (
    " Recorded outputs: the published metres stand for the network's depth; the two differ by one "
    "factor per frame, and where the node clipped them."
)

@dataclass
class EvaluationResult:
    """What an evaluation found.

    Attributes:
        report: The content of ``report.json``.
        pictures: Title and picture of the frames worth showing.
        labels: The label set that the masks use.
        failures: The worst pictures by cause.
        film: Frames at even distances along the recording.
    """

    report: dict[str, Any]
    pictures: list[tuple[str, Picture]]
    labels: LabelSet
    failures: dict[str, list[Picture]] = field(default_factory=dict)
    film: list[Picture] = field(default_factory=list)


def evaluate(
    recording: Recording,
    pipeline: PerceptionPipeline,
    *,
    max_frames: int | None = None,
    on_frame: Callable[[], None] = lambda: None,
    timer: Callable[[], int] = time.perf_counter_ns,
    on_perception: Callable[[Sample, Perception], None] = lambda sample, perception: None,
) -> EvaluationResult:
    """Run the pipeline over a recording and score what it gives.

    Args:
        recording: Where frames and truth come from.
        pipeline: The pipeline; its state is reset first.
        max_frames: Stop after so many images; None for all.
        on_frame: Called after every image, for a progress bar.
        timer: Returns nanoseconds, for the latency.
        on_perception: Called with each frame and what came of it.
    """
    spec = pipeline.engine.spec
    tally = Tally(spec.labels, pipeline.config)
    _run(tally, observe(recording, pipeline, timer, on_perception), max_frames, on_frame)
    what = "pipeline, from decoded frame to perception, one frame at a time"
    return _result(recording, "offline", _model(pipeline.engine), tally, what)


def evaluate_test_set(
    test_set: TestSet,
    protocol: Protocol,
    engine: Engine,
    *,
    flip: bool = False,
    max_frames: int | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> EvaluationResult:
    """Score the network on a public test set by its published protocol.

    Args:
        test_set: Pictures and truth.
        protocol: The data set's.
        engine: Runs the network.
        flip: Average with the mirrored picture.
        max_frames: Stop after so many pictures; None for all.
        on_frame: Called after every picture, for a progress bar.

    Raises:
        BagError: a picture of the split is not there.
    """
    tally = Tally(engine.spec.labels, PipelineConfig(), block_frames=1)
    events = observe_test_set(test_set.frames(), engine, protocol, flip=flip)
    _run(tally, events, max_frames, on_frame)
    result = _result(test_set, PROTOCOL_MODE, _model(engine), tally, "not taken")
    result.report["intervals"] = {**INTERVALS, "method": OF_PICTURES}
    if result.report["depth"] is not None:
        result.report["depth"]["protocol"] = protocol.text(flip=flip)
    return result


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
    tally = Tally(NYU13, config)
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


def _model(engine: Engine) -> dict[str, Any]:
    spec = engine.spec
    return {
        "path": engine.info.get("path", ""),
        "name": spec.name,
        "sha256": engine.sha256,
        "provider": engine.provider,
        "precision": engine.precision,
        "input_size_hw": list(spec.input_size_hw),
        "labels": spec.labels.name,
        "licence": spec.licence,
    }


def _run(
    tally: Tally,
    events: Iterable[Event],
    max_frames: int | None,
    on_frame: Callable[[], None],
) -> None:
    keep_freed()
    for event in itertools.islice(events, max_frames):
        tally.take(event)
        on_frame()


def _result(
    recording: Recording | TestSet, mode: str, model: dict[str, Any], tally: Tally, latency_of: str
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
        "rates_hz": rates(tally.series) if mode != PROTOCOL_MODE else None,
        "model": model,
        "scale_source": tally.scale_source,
        "frames": tally.counts,
        "depth": {"protocol": PROTOCOL, **tally.depth.summary()} if scored else None,
        "depth_reason": None if scored else NO_TRUTH,
        "depth_exact": tally.exact.summary() if tally.exact_frames else None,
        "uncertainty": tally.uncertainty.summary(),
        "scale": tally.scale.summary(),
        "temporal": tally.temporal.summary(),
        "fusion": tally.fusion_summary(),
        "health": tally.health.summary(),
        "segmentation": tally.segmentation.summary() if tally.labels.name == NYU13.name else None,
        **tally.regions.summary(),
        "intervals": INTERVALS,
        "latency_ms": latency_summary(tally, latency_of),
        "failure_causes": tally.causes.summary(),
        "failures": tally.failures,
        "notes": [*recording.notes, *counted(tally.notes)],
        "series": tally.series,
    }
    report |= {"alignments": ALIGNMENTS, "figures": figure_table(report)}
    return EvaluationResult(
        report=report,
        pictures=tally.gallery.choose(),
        labels=tally.labels,
        failures=tally.causes.pictures(),
        film=tally.gallery.film(),
    )


def rates(series: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Return the images that could be read and the outputs, a second; None for fewer than two.

    Args:
        series: One row an image, with ``stamp_ns`` and ``status``.
    """
    # A failed image may have no stamp: its row then has the receive time, of another clock.
    read = [row for row in series if row["status"] != "failed"]
    stamps_ns = {
        "in": [row["stamp_ns"] for row in read],
        "out": [row["stamp_ns"] for row in read if row["status"] in PROCESSED],
    }
    return {
        name: (len(part) - 1) * 1e9 / (max(part) - min(part))
        if len(part) > 1 and max(part) > min(part)
        else None
        for name, part in stamps_ns.items()
    }
