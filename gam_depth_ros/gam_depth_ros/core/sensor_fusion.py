"""Sensor depth and predicted depth in one image, with where each pixel came from.

The prediction is first aligned to the sensor: the log ratio of the two, a smooth field, is
interpolated over the whole image (core.correction_field). Holes take the prediction times that
field, so they meet the readings around them; where both are known the two are combined by their
variances (core.fusion_rule). When the sensor goes, the field fades out over ``blend_time_s``; when
it comes back, its weight rises over the same time. A sensor slower than the camera is not gone
between its frames. Times are stamps; no clock is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import FusionConfig
from gam_depth_ros.core.frame import SOURCE_NETWORK, SOURCE_NONE, ReferenceDepth
from gam_depth_ros.core.fused_image import SensorFrame, fused_image, held_image
from gam_depth_ros.core.fusion_rule import Estimate, Weighing, weigh
from gam_depth_ros.core.sensor_alignment import Alignment, Layer, align, at_cells
from gam_depth_ros.core.sensor_model import sensor_model
from gam_depth_ros.core.sensor_readings import CELL_PX, ReadingModel, Readings
from gam_depth_ros.core.sensor_watch import SensorWatch

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Scalar = TypeVar("Scalar", np.float32, np.uint8)

_LEAST_TRUST = 0.2  # depth cameras' recordings have 0.90 and more, noise 0.10 to 0.18
_UNSURE_M = 1e3  # sigma that stands for no prediction next to pixels that have one
_DUE = 0.9  # of its usual interval, after which a sensor is missing: stamps are not that even


@dataclass(frozen=True)
class Fused:
    """The depth to publish.

    Attributes:
        depth_m: H×W float32 metres; NaN where neither source knows.
        sigma_m: H×W float32 metres, half-width of the 68.3 % interval; NaN where depth is.
        source: H×W uint8: SOURCE_NONE where depth is NaN, SENSOR, NETWORK (also when aligned to
            the readings around) or FUSED, where both count.
        notes: One line each: why the sensor was not used.
    """

    depth_m: Floats
    sigma_m: Floats
    source: Bytes
    notes: tuple[str, ...] = ()


class SensorFusion:
    """Combines each frame's prediction with its sensor depth.

    One instance sees the frames of one camera in order. Stamps that go back reset it.

    Args:
        config: Settings.
    """

    def __init__(self, config: FusionConfig) -> None:
        self._config = config
        self._model = sensor_model(config)
        self._reading_model = ReadingModel(config, self._model)
        self._watch = SensorWatch(config, self._model.near_m, self._model.far_m)
        self._last_ns: int | None = None
        self._held: Alignment | None = None
        self._share = 1.0
        # In blending times: since the last sensor frame, and usually between two.
        self._since, self._usual = np.inf, 0.0

    def configure(self, config: FusionConfig) -> None:
        """Take over changed settings; anything but ``blend_time_s`` makes it forget the sensor."""
        if replace(config, blend_time_s=self._config.blend_time_s) != self._config:
            self._model = sensor_model(config)
            self._reading_model = ReadingModel(config, self._model)
            self._watch = SensorWatch(config, self._model.near_m, self._model.far_m)
            self.reset()
        self._config = config

    def reset(self) -> None:
        """Forget the sensor."""
        self._last_ns = None
        self._held = None
        self._share = 1.0
        self._since, self._usual = np.inf, 0.0
        self._watch.reset()

    def update(
        self,
        stamp_ns: int,
        depth_m: Floats,
        sigma_m: Floats,
        reference: ReferenceDepth | None,
        rgb: Bytes,
    ) -> Fused:
        """Fuse one frame.

        Args:
            stamp_ns: The frame's stamp, nanoseconds.
            depth_m: H×W float32 metres, the prediction; NaN while its scale is unknown.
            sigma_m: H×W float32 metres, half-width of its 68.3 % interval.
            reference: The sensor depth paired with this frame, None where there is none.
            rgb: H×W×3 uint8, the picture.

        Returns:
            The depth to publish. Depth and sigma are the inputs themselves in mode ``network``,
            and where no sensor has been seen for ``blend_time_s``.
        """
        if self._config.mode == "network":
            return _prediction_alone(depth_m, sigma_m)
        fade = self._fade(stamp_ns)
        self._since += fade
        if reference is None:
            return self._without_sensor(depth_m, sigma_m, fade)
        problem = _misfit(reference.depth_m, depth_m) or self._watch.problem(reference.depth_m, rgb)
        if problem is not None:
            return self._without_sensor(depth_m, sigma_m, fade, problem)
        return self._with_sensor(depth_m, sigma_m, reference.depth_m, rgb, fade)

    def _fade(self, stamp_ns: int) -> float:
        """Return which part of the blending time has gone by since the last frame."""
        if self._last_ns is not None and stamp_ns < self._last_ns:
            self.reset()
        elapsed_s = 0.0 if self._last_ns is None else (stamp_ns - self._last_ns) / 1e9
        self._last_ns = stamp_ns
        blend_s = self._config.blend_time_s
        return elapsed_s / blend_s if blend_s > 0 else 1.0

    def _with_sensor(
        self, depth_m: Floats, sigma_m: Floats, sensor_m: Floats, rgb: Bytes, fade: float
    ) -> Fused:
        cells_m, sigma_cells_m = (at_cells(_padded(image)) for image in (depth_m, sigma_m))
        readings = self._reading_model.read(_padded(sensor_m), _padded(rgb))
        noise = self._model.variance_m2(at_cells(readings.depth_m))
        alignment = align(readings, cells_m, noise)
        if alignment.trust < _LEAST_TRUST:
            return self._without_sensor(
                depth_m,
                sigma_m,
                fade,
                f"sensor not fused: got readings with {alignment.trust:.1%} of the weight that the "
                f"sensor's noise would leave them, expected at least {_LEAST_TRUST:.0%}: "
                "neighbours contradict each other; check the depth camera",
            )
        if self._since < 1.0:
            self._usual = self._since
        self._share = min(1.0, self._share + max(fade, min(self._since, self._usual)))
        self._since = 0.0
        self._held = alignment
        opinion = None
        if self._config.mode == "fuse":
            layer = alignment.opinion(cells_m, readings, noise)
            opinion = layer, _weighed(readings, sigma_cells_m, layer, self._config.gate_sigmas)
        frame = SensorFrame(
            readings,
            alignment.filling(cells_m, sigma_cells_m),
            opinion,
            self._config.gate_sigmas,
            self._share,
        )
        fused = fused_image(_padded(depth_m), _padded(sigma_m), frame)
        return _published(fused, depth_m.shape)

    def _without_sensor(
        self, depth_m: Floats, sigma_m: Floats, fade: float, problem: str | None = None
    ) -> Fused:
        """Return the prediction, with what is left of the last alignment to the sensor."""
        notes = () if problem is None else (problem,)
        if self._since >= _DUE * self._usual:
            self._share = max(0.0, self._share - fade)
        share = self._share
        held = self._held
        if held is None or share == 0:
            self._held = None
            # Before any depth was published there is nothing that a sensor could jump from.
            self._share = 1.0 if np.isnan(depth_m).all() else 0.0
            return _prediction_alone(depth_m, sigma_m, notes)
        padded_m = _padded(depth_m)
        memory = held.memory(at_cells(padded_m))
        fused = held_image(padded_m, _padded(sigma_m), memory, share)
        return _published(fused, depth_m.shape, notes)


def _misfit(sensor_m: Floats, depth_m: Floats) -> str | None:
    """Say why a depth image does not belong to a prediction, None if it does."""
    if sensor_m.shape == depth_m.shape and sensor_m.dtype == np.float32:
        return None
    return (
        f"sensor not fused: got {sensor_m.dtype} of shape {sensor_m.shape}, expected float32 of "
        f"shape {depth_m.shape}; register the depth to the colour image"
    )


def _weighed(readings: Readings, sigma_m: Floats, layer: Layer, gate_sigmas: float) -> Weighing:
    """Weigh cell by cell: the network's sigma is coarser still."""
    claimed_m = sigma_m.copy()
    cv2.patchNaNs(claimed_m, _UNSURE_M)
    claimed, aligned = (cv2.multiply(a, a) for a in (claimed_m, layer.sigma_m))
    return weigh(readings.variance_m2, claimed, aligned, gate_sigmas)


def _prediction_alone(depth_m: Floats, sigma_m: Floats, notes: tuple[str, ...] = ()) -> Fused:
    """Return the prediction as it came."""
    source = np.full(depth_m.shape, SOURCE_NETWORK, np.uint8)
    if np.isnan(depth_m).any():
        source[np.isnan(depth_m)] = SOURCE_NONE
    return Fused(depth_m, sigma_m, source, notes)


def _published(
    fused: Estimate, size_hw: tuple[int, ...], notes: tuple[str, ...] = ()
) -> Fused:
    """Return what was worked out on a padded frame, at the frame's own size."""
    height, width = size_hw
    own = fused.part(np.s_[:height, :width])
    return Fused(own.depth_m, own.sigma_m, own.source, notes)


def _padded(image: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return an image whose sides are multiples of a cell's; itself if they are."""
    below, right = (-side % CELL_PX for side in image.shape[:2])
    if not below and not right:
        return image
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(padded, image.dtype)
