"""One frame in, one perception out: the only place that composes the rest of core."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.coverage_tracking import CoverageTracker, coverage_of
from gam_depth_ros.core.engine import Engine, EngineError, OnnxEngine
from gam_depth_ros.core.frame import (
    SOURCE_NETWORK,
    SOURCE_NONE,
    Frame,
    Perception,
    ReferenceDepth,
    ScaleState,
)
from gam_depth_ros.core.image_layout import ImageError, check_size
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.pairing import reference_problem
from gam_depth_ros.core.prediction import (
    Prediction,
    calibrated,
    empty_float,
    empty_ids,
    predict,
)
from gam_depth_ros.core.preprocessing import prepare
from gam_depth_ros.core.scale_alignment import ScaleObservation, make_scale_source

STAGES = ("preprocess", "engine", "resize", "scale")


class FrameError(ValueError):
    """A frame cannot be processed; the pipeline goes on. One line: got, expected, remedy."""


@dataclass(frozen=True)
class Outputs:
    """What of a perception is wanted; the rest is not computed and comes as empty 0×0 arrays.

    Attributes:
        network_depth: Depth up to scale.
        depth: Metric depth.
        sigma: Its uncertainty, metres.
        labels: Label ids.
        confidence: The labels' confidence.
        source: Provenance of each depth pixel.
        points: What a cloud needs: depth, sigma and labels.
    """

    network_depth: bool = True
    depth: bool = True
    sigma: bool = True
    labels: bool = True
    confidence: bool = True
    source: bool = True
    points: bool = True

    @staticmethod
    def all() -> Outputs:
        """Return a request for everything."""
        return Outputs()

    @staticmethod
    def none() -> Outputs:
        """Return a request for nothing; the scale still learns from the frame's reference."""
        return Outputs(False, False, False, False, False, False, False)

    @property
    def needs_depth(self) -> bool:
        """Whether metric depth has to be computed."""
        return self.depth or self.needs_sigma

    @property
    def needs_sigma(self) -> bool:
        """Whether metric sigma has to be computed."""
        return self.sigma or self.points

    @property
    def needs_labels(self) -> bool:
        """Whether labels have to be computed."""
        return self.labels or self.points


class PerceptionPipeline:
    """Turns camera frames into metric depth with uncertainty and labels.

    Only the scale, and how well sigma covered references, are remembered from frame to frame.
    :meth:`process` is for one thread at a time;
    :meth:`reset` and :meth:`configure` may be called from another.

    Args:
        engine: Runs the network.
        config: Settings; ``config.engine`` is not used here.
        timer: Returns nanoseconds, for ``stage_ms`` only; results never depend on it.
    """

    def __init__(
        self,
        engine: Engine,
        config: PipelineConfig | None = None,
        timer: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._engine = engine
        self._config = config or PipelineConfig()
        self._timer = timer
        self._scale = make_scale_source(self._config.scale)
        self._coverage = CoverageTracker(self._config.uncertainty)
        self._scale_lock = threading.Lock()
        self._last_stamp_ns = 0

    @property
    def engine(self) -> Engine:
        """The engine that runs the network."""
        return self._engine

    @property
    def config(self) -> PipelineConfig:
        """The settings in use."""
        return self._config

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed settings; the scale is kept unless its source changes."""
        with self._scale_lock:
            if config.scale.source == self._config.scale.source:
                self._scale.configure(config.scale)
            else:
                self._scale = make_scale_source(config.scale)
            self._coverage.configure(config.uncertainty)
            self._config = config

    def reset(self) -> None:
        """Forget the scale, and what was learnt of sigma."""
        with self._scale_lock:
            self._scale.reset()
            self._coverage.reset()
            self._last_stamp_ns = 0

    def process(self, frame: Frame, outputs: Outputs | None = None) -> Perception:
        """Process one frame.

        The scale used is learnt from references strictly before this frame, and learns from its
        own afterwards. A reference or a calibration that does not fit costs only a note.

        Args:
            frame: Picture with stamp, frame, and calibration and reference if there are any.
            outputs: What is wanted; everything if None.

        Raises:
            FrameError: the picture, its stamp or the engine's answer cannot be used; nothing is
                remembered of this frame.
        """
        outputs = outputs or Outputs.all()
        config = self._config
        _check(frame)
        intrinsics, notes = _fitting_intrinsics(frame)
        times_ns = [self._timer()]
        batch = prepare(frame.rgb, self._engine.spec.input_size_hw)
        times_ns.append(self._timer())
        raw_output = self._run(batch)
        with self._scale_lock:
            gains = self._coverage.gains(frame.stamp_ns)
        output = calibrated(raw_output, self._engine.spec, gains.sigma)
        times_ns.append(self._timer())
        prediction = self._predict(output, frame, outputs)
        times_ns.append(self._timer())
        scale, scale_notes = self._scale_of(frame, prediction, config)
        depth_m, sigma_m = _metric(prediction, scale, config, outputs)
        intervals = gains.intervals(self._engine.spec.sigma_calibration)
        if not scale_notes:
            self._learn_coverage(frame, output, scale, intervals)
        times_ns.append(self._timer())
        return Perception(
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            intrinsics=intrinsics,
            network_depth=prediction.depth,
            network_sigma_log=prediction.sigma_log,
            depth_m=depth_m,
            sigma_m=sigma_m,
            labels=prediction.labels,
            label_confidence=prediction.label_confidence,
            source=_source(frame, scale) if outputs.source else empty_ids(),
            scale=scale,
            stage_ms=dict(zip(STAGES, (np.diff(times_ns) / 1e6).tolist(), strict=True)),
            notes=(*notes, *scale_notes),
            interval_90=intervals[0],
            interval_95=intervals[1],
        )

    def _run(self, batch: npt.NDArray[np.uint8]) -> NetworkOutput:
        """Run the network; raises FrameError if it fails or answers with no usable numbers."""
        try:
            output = self._engine.run(batch)
        except EngineError as error:
            raise FrameError(str(error)) from error
        usable = bool((output.depth > 0).all() and (output.sigma >= 0).all())
        if not (usable and np.isfinite(output.depth).all() and np.isfinite(output.sigma).all()):
            raise FrameError(
                "network: got depth or sigma that is not finite and positive, expected numbers; "
                "check the model and the provider's precision"
            )
        return output

    def _predict(self, output: NetworkOutput, frame: Frame, outputs: Outputs) -> Prediction:
        """Bring to the picture's size what is wanted, and what the scale learns from."""
        teaches = frame.reference is not None or not self._scale.needs_reference
        floor = teaches and self._scale.needs_labels
        return predict(
            output,
            frame.rgb.shape[:2],
            depth=outputs.network_depth or outputs.needs_depth or teaches,
            sigma=outputs.needs_sigma or teaches,
            labels=outputs.needs_labels or floor,
            confidence=outputs.confidence or floor,
        )

    def _scale_of(
        self, frame: Frame, prediction: Prediction, config: PipelineConfig
    ) -> tuple[ScaleState, list[str]]:
        """Return the scale for this frame, then learn from its reference."""
        notes: list[str] = []
        with self._scale_lock:
            back_ns = self._last_stamp_ns - frame.stamp_ns
            if back_ns > 0:
                self._scale.reset()
                notes.append(f"stamps went back by {back_ns / 1e9:.3f} s: the scale starts anew")
            self._last_stamp_ns = frame.stamp_ns
            scale = self._scale.estimate(frame.stamp_ns)
            reference, problem = frame.reference, None
            if reference is not None:
                size_hw = frame.rgb.shape[:2]
                problem = reference_problem(
                    frame.stamp_ns, frame.frame_id, size_hw, reference, config.pairing_slop_s
                )
            if problem is not None:
                self._scale.refuse(problem)
                reference = None
            if reference is not None or not self._scale.needs_reference:
                observation = self._observation(frame, prediction, reference)
                problem = self._scale.observe(observation) or problem
            if problem is not None:
                notes.append(problem)
        return scale, notes

    def _observation(
        self, frame: Frame, prediction: Prediction, reference: ReferenceDepth | None
    ) -> ScaleObservation:
        names = self._engine.spec.labels.names
        return ScaleObservation(
            stamp_ns=frame.stamp_ns,
            rgb=frame.rgb,
            depth=prediction.depth,
            sigma_log=prediction.sigma_log,
            labels=prediction.labels,
            label_confidence=prediction.label_confidence,
            intrinsics=_fitting_intrinsics(frame)[0],
            reference=reference,
            floor_id=names.index("floor") if "floor" in names else -1,
        )

    def _learn_coverage(
        self, frame: Frame, output: NetworkOutput, scale: ScaleState, intervals: tuple[float, float]
    ) -> None:
        """Learn how much of an accepted reference the intervals of this frame covered."""
        config = self._config
        limits_m = config.min_depth_m, config.max_depth_m
        with self._scale_lock:
            if not scale.known:
                self._coverage.reset()
            elif frame.reference is not None and config.scale.source == "median_reference":
                reference_m = frame.reference.depth_m
                covered = coverage_of(reference_m, output, scale, limits_m, intervals)
                self._coverage.update(frame.stamp_ns, covered)


def _check(frame: Frame) -> None:
    """Raise FrameError unless the picture and the stamp can be used."""
    rgb = frame.rgb
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.shape[2:] != (3,):
        got = f"{rgb.shape} {rgb.dtype}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise FrameError(f"image: got {got}, expected H×W×3 uint8 RGB; decode it with image_codec")
    try:
        check_size(*rgb.shape[:2])
    except ImageError as error:
        raise FrameError(str(error)) from error
    if frame.stamp_ns < 0:
        raise FrameError(
            f"image: got stamp {frame.stamp_ns} ns, expected zero or later; "
            "check the camera's clock"
        )


def _fitting_intrinsics(frame: Frame) -> tuple[Intrinsics | None, tuple[str, ...]]:
    """Return the calibration if it is for the picture's size, else None and a note."""
    if frame.intrinsics is None:
        return None, ()
    try:
        frame.intrinsics.require_size(frame.rgb.shape[:2])
    except CameraError as error:
        return None, (str(error),)
    return frame.intrinsics, ()


def _source(frame: Frame, scale: ScaleState) -> npt.NDArray[np.uint8]:
    """Return where each depth pixel comes from, H×W."""
    source = SOURCE_NETWORK if scale.known else SOURCE_NONE
    return np.full(frame.rgb.shape[:2], source, np.uint8)


def _metric(
    prediction: Prediction, scale: ScaleState, config: PipelineConfig, outputs: Outputs
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return depth_m and sigma_m; NaN while the scale is unknown, empty where not wanted.

    sigma_m = depth_m · sqrt(sigma² + scale.sigma_log²), the network's sigma calibrated. Linear in
    depth, where the exact half-width of the interval would be depth · sinh(s): to a reader
    sigma_m / depth_m is then the log sigma again, which is what fusion and evaluation need, and for
    s = 0.3 they differ by 1.5 %.
    """
    if not outputs.needs_depth:
        return empty_float(), empty_float()
    if not scale.known:
        unknown = np.full(prediction.depth.shape, np.nan, np.float32)
        return unknown, unknown.copy() if outputs.needs_sigma else empty_float()
    depth_m = prediction.depth * np.float32(scale.value)
    np.clip(depth_m, config.min_depth_m, config.max_depth_m, out=depth_m)
    if not outputs.needs_sigma:
        return depth_m, empty_float()
    sigma_m = np.square(prediction.sigma_log)
    sigma_m += np.float32(scale.sigma_log**2)
    np.sqrt(sigma_m, out=sigma_m)
    sigma_m *= depth_m
    return depth_m, sigma_m


def load_pipeline(
    model_path: str | Path | None = None, config: PipelineConfig | None = None
) -> PerceptionPipeline:
    """Load a model and return a pipeline that runs it.

    Args:
        model_path: The ONNX file; None or empty for the shipped one.
        config: Settings.

    Raises:
        ModelContractError: the file is missing or breaks the contract.
        EngineError: the providers asked for are unknown or the model cannot be run.
    """
    config = config or PipelineConfig()
    engine = OnnxEngine(model_path or default_model_path(), config.engine)
    return PerceptionPipeline(engine, config)
