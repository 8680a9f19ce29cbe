"""How far a depth sensor's readings can be trusted, pixel by pixel.

Triangulating sensors measure disparity; an error of a fixed part of a pixel there is an error in
depth that grows with the square of the depth. Time of flight has a floor instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.fusion_config import FusionConfig

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]

KINECT_QUADRATIC_PER_M = 1.425e-3
"""Khoshelham and Elberink (Sensors 2012): 2.85e-5 per cm times half a pixel of disparity."""

CALIBRATION_RELATIVE = 0.005
"""What factory calibration leaves of the depth as an error that does not average out."""


@dataclass(frozen=True)
class SensorModel:
    """Sigma of a reading of depth z: sqrt(floor² + (relative z)² + (quadratic z²)²), metres.

    Attributes:
        floor_m: Sigma that does not depend on depth, metres.
        relative: Sigma per metre of depth.
        quadratic_per_m: Sigma per square metre of depth, 1/m.
        near_m: Nearest depth that the sensor measures, metres.
        far_m: Farthest depth whose reading is used, metres.
    """

    floor_m: float
    relative: float
    quadratic_per_m: float
    near_m: float
    far_m: float

    def variance_m2(self, depth_m: Floats) -> Floats:
        """Return the variance of readings, float32 square metres; 0 for a depth of 0.

        Args:
            depth_m: Any shape, float32 metres, 0 where there is no reading.
        """
        return self.variance_of_square(cv2.multiply(depth_m, depth_m))

    def variance_of_square(self, square_m2: Floats) -> Floats:
        """Return the variance of readings from the squares of their depths."""
        variance: Floats = cv2.multiply(square_m2, square_m2, scale=self.quadratic_per_m**2)
        cv2.scaleAdd(square_m2, self.relative**2, variance, dst=variance)
        if self.floor_m > 0:
            variance += np.float32(self.floor_m**2)
        return variance


def sensor_model(config: FusionConfig) -> SensorModel:
    """Return the error model that the settings name.

    Kinect (v1): Khoshelham and Elberink. RealSense: z² · subpixel error / (focal · baseline), as
    Intel states it for stereo. Azure Kinect: its data sheet's 17 mm of noise and 11 mm + 0.1 % of
    systematic error.
    """
    stereo = config.stereo_subpixel_px / (config.stereo_focal_px * config.stereo_baseline_m)
    models = {
        "kinect": SensorModel(0.0, CALIBRATION_RELATIVE, KINECT_QUADRATIC_PER_M, 0.4, 8.0),
        "realsense": SensorModel(0.0, CALIBRATION_RELATIVE, stereo, 0.2, 10.0),
        "azure_kinect": SensorModel(0.0202, 0.001, 0.0, 0.25, 5.5),
        "custom": SensorModel(
            config.custom_floor_m,
            config.custom_relative,
            config.custom_quadratic_per_m,
            0.05,
            100.0,
        ),
    }
    chosen = models[config.sensor]
    return SensorModel(
        chosen.floor_m,
        chosen.relative,
        chosen.quadratic_per_m,
        config.min_range_m or chosen.near_m,
        config.max_range_m or chosen.far_m,
    )
