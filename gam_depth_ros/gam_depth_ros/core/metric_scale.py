"""What references teach: the scale, and how wide an interval has to be.

Both serve only frames after the one that taught them.
"""

from __future__ import annotations

import math

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.coverage_tracking import CoverageTracker, IntervalGains, coverage_of
from gam_depth_ros.core.frame import Frame, FrameQuality, ReferenceDepth, ScaleState
from gam_depth_ros.core.frame_check import fitting_intrinsics
from gam_depth_ros.core.model_spec import ModelSpec, NetworkOutput
from gam_depth_ros.core.pairing import reference_problem
from gam_depth_ros.core.prediction import Prediction
from gam_depth_ros.core.scale_alignment import ScaleObservation, make_scale_source
from gam_depth_ros.core.scale_filter import ScaleMeasurement


class MetricScale:
    """The scale and the gains on sigma, learnt from frame to frame.

    Args:
        config: Settings of the pipeline.
        spec: The model's contract.
    """

    def __init__(self, config: PipelineConfig, spec: ModelSpec) -> None:
        self._config = config
        self._spec = spec
        self._source = make_scale_source(config.scale)
        self._coverage = CoverageTracker(config.uncertainty)

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed settings; the scale is kept unless its source changes."""
        if config.scale.source == self._config.scale.source:
            self._source.configure(config.scale)
        else:
            self._source = make_scale_source(config.scale)
        self._coverage.configure(config.uncertainty)
        self._config = config

    def reset(self) -> None:
        """Forget the scale and what was learnt of sigma."""
        self._source.reset()
        self._coverage.reset()

    def adopt(self, scale: ScaleState, stamp_ns: int) -> None:
        """Know a scale at once: what another network's says of this one's.

        Args:
            scale: Known, for an image of this stamp; its age is counted on.
            stamp_ns: The image's stamp.
        """
        age_ns = int(scale.age_s * 1e9) if math.isfinite(scale.age_s) else 0
        self._source.adopt(
            ScaleMeasurement(stamp_ns - age_ns, math.log(scale.value), scale.sigma_log**2)
        )

    def known_at(self, stamp_ns: int) -> tuple[ScaleState, IntervalGains]:
        """Return what frames strictly before this stamp taught."""
        return self._source.estimate(stamp_ns), self._coverage.gains(stamp_ns)

    def learns_from(self, frame: Frame) -> bool:
        """Say whether this frame can teach anything: depth and sigma are needed then."""
        return frame.reference is not None or not self._source.needs_reference

    @property
    def needs_labels(self) -> bool:
        """Whether labels and their confidence are needed too, from frames that can teach."""
        return self._source.needs_labels

    def learn(
        self,
        frame: Frame,
        prediction: Prediction,
        output: NetworkOutput,
        used: tuple[ScaleState, tuple[float, float]],
        quality: FrameQuality,
    ) -> tuple[ReferenceDepth | None, tuple[str, ...]]:
        """Learn from a frame.

        Args:
            frame: With its reference, if there is one.
            prediction: Of this frame, at the picture's size.
            output: The same on the network's grid.
            used: The scale and the interval factors that the frame was served with.
            quality: What the picture is worth. One that shows nothing teaches nothing.

        Returns:
            The frame's reference if it was accepted, else None; and why not, if it was refused.
        """
        reference, problem = frame.reference, None
        if reference is not None:
            size_hw = frame.rgb.shape[:2]
            problem = reference_problem(
                frame.stamp_ns, frame.frame_id, size_hw, reference, self._config.pairing_slop_s
            )
        if problem is not None:
            self._source.refuse(problem)
            reference = None
        teaches = reference is not None or not self._source.needs_reference
        if teaches and quality.withheld:
            wrong = ", ".join(quality.conditions)
            self._source.refuse(f"nothing is learnt while the picture is judged {wrong}")
        elif teaches:
            refusal = self._source.observe(self._observation(frame, prediction, reference))
            if refusal is not None:
                reference, problem = None, problem or refusal
        if reference is not None and not quality.conditions:
            self._learn_coverage(frame.stamp_ns, reference, output, *used)
        return reference, () if problem is None else (problem,)

    def _observation(
        self, frame: Frame, prediction: Prediction, reference: ReferenceDepth | None
    ) -> ScaleObservation:
        names = self._spec.labels.names
        return ScaleObservation(
            stamp_ns=frame.stamp_ns,
            rgb=frame.rgb,
            depth=prediction.depth,
            sigma_log=prediction.sigma_log,
            labels=prediction.labels,
            label_confidence=prediction.label_confidence,
            intrinsics=fitting_intrinsics(frame)[0],
            reference=reference,
            floor_id=names.index("floor") if "floor" in names else -1,
        )

    def _learn_coverage(
        self,
        stamp_ns: int,
        reference: ReferenceDepth,
        output: NetworkOutput,
        scale: ScaleState,
        intervals: tuple[float, float],
    ) -> None:
        """Learn how much of an accepted reference the intervals of this frame covered."""
        config = self._config
        if not scale.known:
            self._coverage.reset()
        elif config.scale.source == "median_reference":
            limits_m = config.min_depth_m, config.max_depth_m
            covered = coverage_of(reference.depth_m, output, scale, limits_m, intervals)
            self._coverage.update(stamp_ns, covered)
