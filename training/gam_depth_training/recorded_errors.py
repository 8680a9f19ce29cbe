"""Errors of a model file on recordings with reference depth, as the robot would make them.

Frames go through the pipeline in order, so that the scale of each comes from references strictly
before it, with the sigma that the pipeline gave it. What is kept is the network's own sigma, before
any calibration, at random readings of each reference; and, as a factor, what the pipeline's later
stages (quality, agreement, the filter over time) made of it, since intervals are published after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import PipelineConfig, UncertaintyConfig
from gam_depth_ros.core.coverage_tracking import on_grid
from gam_depth_ros.core.engine import Engine
from gam_depth_ros.core.engine_wrapper import EngineWrapper
from gam_depth_ros.core.frame import Frame, Perception
from gam_depth_ros.core.frame_check import FrameError
from gam_depth_ros.core.model_calibration import (
    ConfidenceCalibration,
    SigmaCalibration,
    relative_depth,
)
from gam_depth_ros.core.model_spec import ModelSpec, NetworkOutput
from gam_depth_ros.core.pairing import reference_problem
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.core.preprocessing import to_image_size
from gam_depth_ros.core.request import Outputs
from gam_depth_ros.evaluation.bag import Recording, open_recording
from gam_depth_training.sequences import find_recordings, room_of

Floats = npt.NDArray[np.float32]

PIXELS = 4000
MIN_READINGS = 100
# No tracking: a calibration is fitted to what the file alone says.
WANTED = replace(Outputs.none(), network_depth=True, sigma=True)
PLAIN = PipelineConfig(uncertainty=UncertaintyConfig(tracking_rate=0.0))


@dataclass(frozen=True)
class FrameErrors:
    """One frame with reference depth and a scale that did not see it; N readings of the reference.

    Attributes:
        room: Where it was recorded; neighbours in a room are alike, other rooms are not.
        recording: Its recording.
        truth_m: N metres, positive.
        depth: N, up to scale, as the pipeline steadied it.
        sigma: N, the network's own half-width of log depth.
        relative: N, the network's depth over the picture's median.
        stages: N, factor that later stages put on sigma.
        flip: N, |ln depth - ln depth of the mirrored picture|; empty where not asked for.
        scale: Metres per unit of depth.
        scale_sigma_log: Standard deviation of its logarithm.
    """

    room: str
    recording: str
    truth_m: Floats
    depth: Floats
    sigma: Floats
    relative: Floats
    stages: Floats
    flip: Floats
    scale: float
    scale_sigma_log: float

    def log_error(self, limits_m: tuple[float, float] = (0.1, 10.0)) -> Floats:
        """Return ln depth_m - ln truth with the online scale, as published: clipped."""
        depth_m = np.clip(self.depth * np.float32(self.scale), *limits_m)
        return np.log(depth_m / self.truth_m)


class UncalibratedEngine(EngineWrapper):
    """An engine whose file carries no calibration, and that remembers its latest answer.

    Args:
        engine: Runs the network.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._spec = replace(
            engine.spec,
            sigma_calibration=SigmaCalibration(),
            confidence_calibration=ConfidenceCalibration(),
        )
        self.batch: npt.NDArray[np.uint8] | None = None
        self.output: NetworkOutput | None = None

    @property
    def spec(self) -> ModelSpec:
        """The contract without its calibrations."""
        return self._spec

    def run(self, batch: npt.NDArray[np.uint8]) -> NetworkOutput:
        """Run the network and remember its answer."""
        self.batch, self.output = batch, super().run(batch)
        return self.output

    def mirrored_depth(self) -> Floats:
        """Return the depth of the latest picture mirrored, mirrored back."""
        assert self.batch is not None
        return self._engine.run(np.ascontiguousarray(self.batch[:, :, ::-1])).depth[:, ::-1]


def open_recordings(paths: Sequence[Path]) -> list[tuple[str, Recording]]:
    """Open recordings, and all in a folder of sequences; raises BagError, a ValueError.

    The room is ``room`` of sequence.json or the name; all of a TUM laboratory are one room.
    """
    return [(room_of(path), open_recording(path)) for path in find_recordings(paths)]


def read_errors(
    engine: Engine,
    recordings: Sequence[tuple[str, Recording]],
    *,
    flip: bool = False,
    on_frame: Callable[[], None] = lambda: None,
) -> list[FrameErrors]:
    """Run recordings through the pipeline, each from a fresh start.

    Args:
        engine: Runs the network.
        recordings: Room and recording.
        flip: Also run mirrored pictures.
        on_frame: Called after every image, for a progress bar.

    Returns:
        The frames that have both a reference and a scale, in order.

    Raises:
        ValueError: a recording has none.
    """
    found: list[FrameErrors] = []
    raw = UncalibratedEngine(engine)
    for room, recording in recordings:
        pipeline = PerceptionPipeline(raw, PLAIN)
        before = len(found)
        for frame in recording.frames():
            try:
                seen = pipeline.process(frame, WANTED)
            except FrameError:
                continue
            finally:
                on_frame()
            reference_m = fitting_reference(frame)
            published = seen.scale.known and not seen.quality.withheld
            if not published or reference_m is None or raw.output is None:
                continue
            mirrored = raw.mirrored_depth() if flip else None
            rng = np.random.default_rng(len(found))
            errors = _errors_of(raw.output, seen, mirrored, reference_m, rng)
            if errors is not None:
                scale = seen.scale.value, seen.scale.sigma_log
                found.append(FrameErrors(room, recording.path.name, *errors, *scale))
        if len(found) == before:
            raise ValueError(
                f"{recording.path}: got no frame with both reference depth and a scale from an "
                "earlier one, expected some; calibrate on a recording with registered depth"
            )
    return found


def fitting_reference(frame: Frame) -> Floats | None:
    """Return the sensor depth that belongs to a frame pixel by pixel, None where there is none."""
    if frame.reference is None:
        return None
    problem = reference_problem(
        frame.stamp_ns,
        frame.frame_id,
        frame.rgb.shape[:2],
        frame.reference,
        PLAIN.pairing_slop_s,
    )
    return None if problem else frame.reference.depth_m


def _errors_of(
    output: NetworkOutput,
    seen: Perception,
    mirrored: Floats | None,
    reference_m: Floats,
    rng: np.random.Generator,
) -> tuple[Floats, ...] | None:
    """Return the arrays of FrameErrors, in its order, at random readings; None with few."""
    grid = output.depth.shape
    truth_m = on_grid(reference_m, grid).ravel()
    known = np.flatnonzero((truth_m > 0) & np.isfinite(truth_m))
    if len(known) < MIN_READINGS:
        return None
    chosen = rng.permutation(known)[:PIXELS]
    published = on_grid(seen.network_sigma_log, grid)
    own = on_grid(to_image_size(output.sigma, seen.network_sigma_log.shape), grid)
    flip = np.empty(0, np.float32)
    if mirrored is not None:
        flip = np.abs(np.log(output.depth / mirrored)).ravel()[chosen]
    arrays = (
        on_grid(seen.steady_depth, grid),
        output.sigma,
        relative_depth(output.depth),
        published / np.maximum(own, np.float32(1e-6)),
    )
    return (
        truth_m[chosen],
        *(array.ravel()[chosen] for array in arrays),
        flip,
    )
