"""What a frame is worth, in one: the picture's health, drift, and whether the outputs agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.agreement import boundary_agreement
from gam_depth_ros.core.config import HealthConfig
from gam_depth_ros.core.drift import DriftMonitor
from gam_depth_ros.core.frame import FrameQuality
from gam_depth_ros.core.frame_health import FrameHealth, HealthState, frame_quantities, label_shares
from gam_depth_ros.core.model_spec import ModelSpec, NetworkOutput


@dataclass(frozen=True)
class Judgement:
    """What was found of one frame.

    Attributes:
        quality: For whoever uses the outputs.
        sigma_factor: h×w float32 of at least 1, on the network's grid: how much wider sigma is to
            be; None where it is 1 everywhere.
    """

    quality: FrameQuality
    sigma_factor: npt.NDArray[np.float32] | None


class QualityJudge:
    """Judges frames in their order; remembers the last picture and the running statistics.

    Args:
        config: Settings.
        spec: The model's contract, which may carry its training reference.
    """

    def __init__(self, config: HealthConfig, spec: ModelSpec) -> None:
        self._config = config
        self._spec = spec
        self._health = FrameHealth(config, spec.statistics)
        self._drift = DriftMonitor(spec.statistics, config.drift)

    def configure(self, config: HealthConfig) -> None:
        """Take over changed settings; the running statistics start anew where theirs changed."""
        if config.drift != self._config.drift:
            self._drift = DriftMonitor(self._spec.statistics, config.drift)
        self._config = config
        self._health.configure(config)

    def reset(self) -> None:
        """Forget every frame."""
        self._health.reset()
        self._drift.reset()

    def judge(
        self, picture: npt.NDArray[np.uint8], stamp_ns: int, output: NetworkOutput
    ) -> Judgement:
        """Judge one frame.

        Args:
            picture: h×w×3 uint8 RGB, the network's input.
            stamp_ns: The frame's stamp.
            output: What the network answered, before calibration.
        """
        if not self._config.enabled:
            return Judgement(FrameQuality(), None)
        health = self._health.check(picture, stamp_ns, output.features)
        agreement = boundary_agreement(output.depth, output.label, self._config.agreement)
        factor = agreement.sigma_factor * np.float32(health.sigma_factor)
        return Judgement(self._quality(health, output, agreement.score), factor)

    def _quality(
        self, health: HealthState, output: NetworkOutput, agreement: float
    ) -> FrameQuality:
        drift = self._drift.state()
        # Pictures of a covered lens say nothing of the world: they would count as drift for long.
        if health.picture is not None and not health.withhold:
            shares = label_shares(output.label, len(self._spec.labels))
            drift = self._drift.update(frame_quantities(health.picture, output), shares)
        return FrameQuality(
            conditions=health.conditions,
            scores=health.scores,
            sigma_factor=health.sigma_factor,
            withheld=health.withhold,
            reason=health.reason,
            agreement=agreement,
            drift=drift.psi,
            drift_outside=drift.outside,
            drift_line=drift.line,
        )
