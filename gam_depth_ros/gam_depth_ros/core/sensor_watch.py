"""Whether a depth sensor is alive: not covered, not frozen."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.fusion_config import FusionConfig

_STEP_PX = 4
_THUMBNAIL_WH = (40, 30)  # means over some pixels, so that a camera's noise goes


class SensorWatch:
    """Looks at each depth image and says why it must not be used.

    Args:
        config: ``min_valid_fraction`` and ``frozen_picture_change`` are used.
        near_m: Nearest depth that the sensor measures, metres.
        far_m: Farthest depth whose reading is used, metres.
    """

    def __init__(self, config: FusionConfig, near_m: float, far_m: float) -> None:
        self._config = config
        self._range_m = near_m, far_m
        self.reset()

    def reset(self) -> None:
        """Forget the last depth image."""
        self._last_depth = b""
        self._picture_then: npt.NDArray[np.uint8] | None = None

    def problem(self, depth_m: npt.NDArray[np.float32], rgb: npt.NDArray[np.uint8]) -> str | None:
        """Return one line saying why a depth image cannot be trusted, None if it can.

        Args:
            depth_m: H×W float32 metres; NaN where there is no reading.
            rgb: H×W×3 uint8, the picture of the same moment.
        """
        sample = np.ascontiguousarray(depth_m[::_STEP_PX, ::_STEP_PX])
        frozen = self._frozen(sample, rgb)
        return self._covered(sample) or frozen

    def _covered(self, sample: npt.NDArray[np.float32]) -> str | None:
        near_m, far_m = self._range_m
        share = cv2.countNonZero(cv2.inRange(sample, near_m, far_m)) / sample.size
        if share >= self._config.min_valid_fraction and share > 0:
            return None
        nearer = float(np.mean(sample < near_m))
        farther = float(np.mean(sample > far_m))
        return (
            f"sensor not fused: got {share:.1%} of the readings from {near_m:g} to {far_m:g} m "
            f"({nearer:.1%} nearer, {farther:.1%} farther), expected at least "
            f"{self._config.min_valid_fraction:.1%}; see whether it is covered, and its unit"
        )

    def _frozen(self, sample: npt.NDArray[np.float32], rgb: npt.NDArray[np.uint8]) -> str | None:
        """Compare with the last depth image, and the picture with the one of its first arrival."""
        depth = sample.tobytes()
        green = np.ascontiguousarray(rgb[::_STEP_PX, ::_STEP_PX, 1])
        picture = np.asarray(
            cv2.resize(green, _THUMBNAIL_WH, interpolation=cv2.INTER_AREA), np.uint8
        )
        if depth != self._last_depth or self._picture_then is None:
            self._last_depth, self._picture_then = depth, picture
            return None
        change = cv2.norm(picture, self._picture_then, cv2.NORM_L1) / picture.size
        if change <= self._config.frozen_picture_change:
            return None
        return (
            f"sensor not fused: got the same readings again while the picture changed by "
            f"{change:.1f} grey levels, expected new ones; restart the depth camera"
        )
