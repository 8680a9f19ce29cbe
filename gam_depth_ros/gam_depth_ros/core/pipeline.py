"""One frame in, one perception out: the only place that composes the rest of core."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera_motion import CameraMotion
from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.engine import Engine, EngineError, OnnxEngine
from gam_depth_ros.core.frame import Frame, Perception, ReferenceDepth, ScaleState
from gam_depth_ros.core.frame_check import FrameError, check_answer, check_frame, fitting_intrinsics
from gam_depth_ros.core.frame_quality import Judgement, QualityJudge
from gam_depth_ros.core.metric_depth import metric_depth
from gam_depth_ros.core.metric_scale import MetricScale
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.prediction import (
    Prediction,
    calibrated,
    empty_float,
    empty_ids,
    predict,
    unfiltered,
)
from gam_depth_ros.core.preprocessing import prepare
from gam_depth_ros.core.request import Outputs
from gam_depth_ros.core.sensor_fusion import Fused, SensorFusion
from gam_depth_ros.core.temporal_filter import TemporalFilter

__all__ = ["STAGES", "FrameError", "Outputs", "PerceptionPipeline", "load_pipeline"]

STAGES = ("preprocess", "engine", "quality", "filter", "resize", "scale", "fusion")


class PerceptionPipeline:
    """Turns camera frames into metric depth with uncertainty and labels.

    :meth:`process` is for one thread at a time; :meth:`reset` and :meth:`configure` may be called
    from another.

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
        config = config or PipelineConfig()
        self._engine = engine
        self._config = config
        self._timer = timer
        self._lock = threading.Lock()
        self._judge = QualityJudge(config.health, engine.spec)
        self._filter = TemporalFilter(config.temporal)
        self._motion = CameraMotion()
        self._scale = MetricScale(config, engine.spec)
        self._fusion = SensorFusion(config.fusion)
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
        with self._lock:
            self._judge.configure(config.health)
            self._filter.configure(config.temporal)
            self._scale.configure(config)
            self._fusion.configure(config.fusion)
            self._config = config

    def reset(self) -> None:
        """Forget the scale, and everything else that frames have taught."""
        with self._lock:
            self._reset()

    def reset_scale(self) -> None:
        """Forget the scale and what was learnt of sigma; the filter and the rest go on."""
        with self._lock:
            self._scale.reset()

    def adopt_scale(self, scale: ScaleState, stamp_ns: int) -> None:
        """Know at this stamp what another network's scale says of this one's."""
        with self._lock:
            self._scale.adopt(scale, stamp_ns)

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
        check_frame(frame)
        times_ns = [self._timer()]
        batch = prepare(frame.rgb, self._engine.spec.input_size_hw)
        times_ns.append(self._timer())
        try:
            answer = self._engine.run(batch)
        except EngineError as error:
            raise FrameError(str(error)) from error
        check_answer(answer)
        times_ns.append(self._timer())
        with self._lock:
            return self._perceive(frame, batch[0], answer, outputs or Outputs.all(), times_ns)

    def _perceive(
        self,
        frame: Frame,
        picture: npt.NDArray[np.uint8],
        answer: NetworkOutput,
        outputs: Outputs,
        times_ns: list[int],
    ) -> Perception:
        """Do everything after the network."""
        intrinsics, notes = fitting_intrinsics(frame)
        notes += self._notice_step_back(frame.stamp_ns)
        scale, gains = self._scale.known_at(frame.stamp_ns)

        # What the picture is worth widens sigma, which the calibration has made mean something.
        judgement = self._judge.judge(picture, frame.stamp_ns, answer)
        output = _widened(calibrated(answer, self._engine.spec, gains.sigma), judgement)
        times_ns.append(self._timer())

        output, filter_notes = self._steadied(frame, picture, output, scale, judgement)
        times_ns.append(self._timer())

        prediction = self._predict(output, frame, outputs)
        depth_m, sigma_m = self._metric(prediction, scale, judgement, outputs)
        times_ns.append(self._timer())

        # A reference teaches the frames after this one; here it only has to be good enough to fuse.
        intervals = gains.intervals(self._engine.spec.sigma_calibration)
        reference, refusal = self._scale.learn(
            frame, prediction, output, (scale, intervals), judgement.quality
        )
        times_ns.append(self._timer())

        fused = self._fuse(frame, depth_m, sigma_m, reference, outputs)
        times_ns.append(self._timer())
        return Perception(
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            intrinsics=intrinsics,
            network_depth=(
                unfiltered(answer, output, prediction) if outputs.network_depth else empty_float()
            ),
            steady_depth=prediction.depth,
            network_sigma_log=prediction.sigma_log,
            depth_m=fused.depth_m,
            sigma_m=fused.sigma_m if outputs.needs_sigma else empty_float(),
            labels=prediction.labels,
            label_confidence=prediction.label_confidence,
            source=fused.source if outputs.source else empty_ids(),
            scale=scale,
            quality=judgement.quality,
            stage_ms=dict(zip(STAGES, (np.diff(times_ns) / 1e6).tolist(), strict=True)),
            notes=(*notes, *filter_notes, *refusal, *fused.notes),
            interval_90=intervals[0],
            interval_95=intervals[1],
        )

    def _reset(self) -> None:
        for stage in (self._judge, self._filter, self._motion, self._scale, self._fusion):
            stage.reset()
        self._last_stamp_ns = 0

    def _notice_step_back(self, stamp_ns: int) -> tuple[str, ...]:
        """Start anew when stamps go back: what was learnt lies in the future then."""
        back_ns = self._last_stamp_ns - stamp_ns
        if back_ns > 0:
            self._reset()
        self._last_stamp_ns = stamp_ns
        notes = (f"stamps went back by {back_ns / 1e9:.3f} s: the scale starts anew",)
        return notes if back_ns > 0 else ()

    def _steadied(
        self,
        frame: Frame,
        picture: npt.NDArray[np.uint8],
        output: NetworkOutput,
        scale: ScaleState,
        judgement: Judgement,
    ) -> tuple[NetworkOutput, tuple[str, ...]]:
        """Filter over time, on the network's grid; a picture that shows nothing is left out."""
        if judgement.quality.withheld:
            return output, ()
        steady = self._filter.update(
            frame.stamp_ns,
            picture,
            output.depth,
            output.sigma,
            output.label,
            output.label_confidence,
            self._motion.since_last(frame, output.depth, scale.value),
        )
        filtered = replace(
            output,
            depth=steady.depth,
            sigma=steady.sigma_log,
            label=steady.labels,
            label_confidence=steady.label_confidence,
        )
        return filtered, (steady.note,) if steady.note else ()

    def _predict(self, output: NetworkOutput, frame: Frame, outputs: Outputs) -> Prediction:
        """Bring to the picture's size what is wanted, and what the scale learns from."""
        teaches = self._scale.learns_from(frame)
        floor = teaches and self._scale.needs_labels
        return predict(
            output,
            frame.rgb.shape[:2],
            depth=outputs.network_depth or outputs.needs_depth or teaches,
            sigma=outputs.needs_sigma or teaches,
            labels=outputs.needs_labels or floor,
            confidence=outputs.confidence or floor,
        )

    def _metric(
        self, prediction: Prediction, scale: ScaleState, judgement: Judgement, outputs: Outputs
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        if not outputs.needs_depth:
            return empty_float(), empty_float()
        known = scale.known and not judgement.quality.withheld
        # Fusion weighs by sigma, wanted or not.
        sigma = outputs.needs_sigma or self._config.fusion.mode != "network"
        return metric_depth(prediction, scale, self._config, known=known, sigma=sigma)

    def _fuse(
        self,
        frame: Frame,
        depth_m: npt.NDArray[np.float32],
        sigma_m: npt.NDArray[np.float32],
        reference: ReferenceDepth | None,
        outputs: Outputs,
    ) -> Fused:
        """Join prediction and sensor; only where depth is wanted at all."""
        if not depth_m.size:
            return Fused(depth_m, sigma_m, empty_ids())
        fused = self._fusion.update(frame.stamp_ns, depth_m, sigma_m, reference, frame.rgb)
        if self._config.fusion.mode == "network":
            return fused
        # The prediction keeps the limits already; readings and what they were mixed into may not.
        low_m, high_m = self._config.min_depth_m, self._config.max_depth_m
        np.clip(fused.depth_m, low_m, high_m, out=fused.depth_m)
        return fused


def _widened(output: NetworkOutput, judgement: Judgement) -> NetworkOutput:
    factor = judgement.sigma_factor
    return output if factor is None else replace(output, sigma=output.sigma * factor)


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
