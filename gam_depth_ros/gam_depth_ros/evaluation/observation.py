"""What scoring needs of one frame, whether a pipeline just made it or a bag has it recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.frame import FrameQuality, Perception, ScaleState
from gam_depth_ros.core.pairing import reference_problem
from gam_depth_ros.core.pipeline import FrameError, PerceptionPipeline
from gam_depth_ros.core.prediction import empty_float, empty_ids
from gam_depth_ros.core.scale_alignment import MedianReference, ScaleObservation
from gam_depth_ros.evaluation.sample import FrameFailure, Recording, Sample

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Observation:
    """One frame that was processed, with the truth it can be held against.

    Attributes:
        sample: The frame and its truth.
        depth: H×W float32 predicted depth up to scale, as the network gave it; None where none is
            known (a recorded output without a scale).
        metric_depth_m: H×W float32 metres with the scale known before this frame; None unknown.
        sigma_log: H×W float32 half-width of the 68.3 % interval of log ``depth``, without the
            scale's own uncertainty; None unknown.
        metric_sigma_m: H×W float32 metres, the same with the scale's; None unknown.
        labels: H×W uint8 ids, None where there are none.
        label_confidence: H×W float32, 0 to 1; None unknown.
        scale: Metres per unit of ``depth``; NaN unknown.
        scale_source: Where it comes from: ``median_reference``, ``fixed``, or empty unknown.
        floor_scale: Metres that a picture-free constant would have been given; NaN unknown.
        latency_ms: From frame to outputs; NaN unknown.
        stage_ms: Milliseconds by stage.
        notes: Remarks on the frame.
        interval_90: Factor on sigma to the 90 % interval; NaN unknown.
        interval_95: Factor to the 95.4 % interval; NaN unknown.
        steady_depth: H×W float32, ``depth`` after the filter over time; None unknown.
        published_depth_m: H×W float32 metres as published, with what fusion took from this
            frame's sensor: not to be scored where that sensor is the truth. None unknown.
        published_sigma_m: H×W float32 metres, its sigma; None unknown.
        source: H×W uint8, where each published pixel comes from; None unknown.
        scale_state: State, sigma and reason; None unknown.
        quality: What the picture is worth; None unknown.
    """

    sample: Sample
    depth: Float | None
    metric_depth_m: Float | None
    sigma_log: Float | None
    metric_sigma_m: Float | None
    labels: npt.NDArray[np.uint8] | None
    scale: float = float("nan")
    scale_source: str = ""
    floor_scale: float = float("nan")
    latency_ms: float = float("nan")
    stage_ms: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    interval_90: float = float("nan")
    interval_95: float = float("nan")
    steady_depth: Float | None = None
    published_depth_m: Float | None = None
    published_sigma_m: Float | None = None
    source: npt.NDArray[np.uint8] | None = None
    scale_state: ScaleState | None = None
    quality: FrameQuality | None = None
    label_confidence: Float | None = None


@dataclass(frozen=True)
class Dropped:
    """A frame that got no output: the node was busy with a newer one."""

    sample: Sample


Event = Observation | Dropped | FrameFailure


class ConstantFloor:
    """The metres that a picture-free constant is given online, by the same filter."""

    def __init__(self, config: PipelineConfig) -> None:
        self._config = config
        self._source = MedianReference(config.scale)
        self._enabled = config.scale.source == "median_reference"

    def step(self, sample: Sample) -> float:
        """Return the metres for this frame, from references strictly before it; NaN unknown."""
        if not self._enabled:
            return float("nan")
        frame = sample.frame
        value = self._source.estimate(frame.stamp_ns).value
        if fitting_reference(sample, self._config.pairing_slop_s) is not None:
            assert frame.reference is not None
            ones = np.ones(frame.rgb.shape[:2], np.float32)
            self._source.observe(
                ScaleObservation(
                    stamp_ns=frame.stamp_ns,
                    rgb=frame.rgb,
                    depth=ones,
                    sigma_log=empty_float(),
                    labels=empty_ids(),
                    label_confidence=empty_float(),
                    reference=frame.reference,
                )
            )
        return value


def fitting_reference(sample: Sample, slop_s: float) -> Float | None:
    """Return the sensor depth that belongs to a frame pixel by pixel, None where there is none."""
    frame, reference = sample.frame, sample.frame.reference
    if reference is None:
        return None
    problem = reference_problem(
        frame.stamp_ns, frame.frame_id, frame.rgb.shape[:2], reference, slop_s
    )
    return None if problem else reference.depth_m


def observe(
    recording: Recording,
    pipeline: PerceptionPipeline,
    timer: Callable[[], int],
    on_perception: Callable[[Sample, Perception], None] = lambda sample, perception: None,
) -> Iterator[Event]:
    """Run the pipeline over a recording.

    Args:
        recording: Where the frames come from.
        pipeline: The pipeline; its state is reset first.
        timer: Returns nanoseconds, for the latency.
        on_perception: Called with each frame and what came of it.
    """
    pipeline.reset()
    floor = ConstantFloor(pipeline.config)
    limits_m = pipeline.config.min_depth_m, pipeline.config.max_depth_m
    for sample in recording.samples():
        if isinstance(sample, FrameFailure):
            yield sample
            continue
        started = timer()
        try:
            perception = pipeline.process(sample.frame)
        except FrameError as error:
            yield FrameFailure(sample.frame.stamp_ns, sample.bag_time_ns, str(error))
            continue
        latency_ms = (timer() - started) / 1e6
        on_perception(sample, perception)
        yield _observation(sample, perception, floor.step(sample), latency_ms, limits_m)


def _observation(
    sample: Sample,
    perception: Perception,
    floor_scale: float,
    latency_ms: float,
    limits_m: tuple[float, float],
) -> Observation:
    scale = perception.scale
    metric_depth_m = metric_sigma_m = None
    if scale.known and not perception.quality.withheld:
        # Not perception.depth_m: fusion puts this frame's own sensor depth into that.
        metric_depth_m = perception.steady_depth * np.float32(scale.value)
        spread = np.hypot(perception.network_sigma_log, np.float32(scale.sigma_log))
        metric_sigma_m = np.clip(metric_depth_m, *limits_m) * spread
    return Observation(
        sample=sample,
        depth=perception.network_depth,
        metric_depth_m=metric_depth_m,
        sigma_log=perception.network_sigma_log,
        metric_sigma_m=metric_sigma_m,
        steady_depth=perception.steady_depth,
        published_depth_m=perception.depth_m,
        published_sigma_m=perception.sigma_m,
        source=perception.source,
        scale_state=scale,
        quality=perception.quality,
        labels=perception.labels,
        label_confidence=perception.label_confidence,
        scale=float(scale.value),
        scale_source=scale.source,
        floor_scale=floor_scale,
        latency_ms=latency_ms,
        stage_ms=dict(perception.stage_ms),
        notes=(*sample.notes, *perception.notes),
        interval_90=perception.interval_90,
        interval_95=perception.interval_95,
    )
