"""Settings of the fusion of a depth sensor with the prediction."""

from __future__ import annotations

from dataclasses import dataclass

from gam_depth_ros.core.setting import setting, validate


@dataclass(frozen=True)
class FusionConfig:
    """Whether and how sensor depth enters the published depth."""

    mode: str = setting(
        "network",
        "What is published: network (prediction only), fill (sensor, its holes filled from the "
        "prediction) or fuse (both, by their variances).",
        choices=("network", "fill", "fuse"),
        live=True,
    )
    sensor: str = setting(
        "realsense",
        "Error model of the depth sensor: kinect (structured light), realsense (stereo, stereo_*), "
        "azure_kinect (time of flight) or custom (custom_*).",
        choices=("kinect", "realsense", "azure_kinect", "custom"),
        live=True,
    )
    stereo_subpixel_px: float = setting(
        0.08,
        "Error of the disparity of a stereo sensor, pixels.",
        minimum=0.001,
        maximum=5.0,
        live=True,
    )
    stereo_focal_px: float = setting(
        383.0,
        "Focal length of a stereo sensor's own depth image, pixels.",
        minimum=10.0,
        maximum=10000.0,
        live=True,
    )
    stereo_baseline_m: float = setting(
        0.05,
        "Distance between the eyes of a stereo sensor, metres.",
        minimum=0.001,
        maximum=10.0,
        live=True,
    )
    custom_floor_m: float = setting(
        0.01, "Custom sensor: sigma at any depth, metres.", minimum=0.0, maximum=1.0, live=True
    )
    custom_relative: float = setting(
        0.01, "Custom sensor: sigma per metre of depth.", minimum=0.0, maximum=1.0, live=True
    )
    custom_quadratic_per_m: float = setting(
        0.0,
        "Custom sensor: sigma per square metre of depth, 1/m.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    min_range_m: float = setting(
        0.0,
        "Readings nearer than this are not used, metres; 0: the sensor's own limit.",
        minimum=0.0,
        maximum=100.0,
        live=True,
    )
    max_range_m: float = setting(
        0.0,
        "Readings farther than this are not used, metres; 0: the sensor's own limit.",
        minimum=0.0,
        maximum=200.0,
        live=True,
    )
    lateral_px: float = setting(
        0.8,
        "How far sideways a reading may have been taken, pixels: distrust at edges and on slanted "
        "surfaces.",
        minimum=0.0,
        maximum=20.0,
        live=True,
    )
    hole_sigma: float = setting(
        0.1,
        "Relative sigma added to a reading that has nothing but holes around it; less with fewer.",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    extreme_sigma: float = setting(
        0.02,
        "Relative sigma added to readings on black or saturated parts of the picture.",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    gate_sigmas: float = setting(
        3.0,
        "Sensor and prediction agree when they differ by at most this many of their common sigma.",
        minimum=0.1,
        maximum=100.0,
        live=True,
    )
    min_valid_fraction: float = setting(
        0.1,
        "Share of readings in range below which the sensor is taken for covered or dead.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    frozen_picture_change: float = setting(
        1.5,
        "Change of the picture under an unchanged depth image that shows the sensor to be frozen, "
        "mean grey levels of 255.",
        minimum=0.0,
        maximum=255.0,
        live=True,
    )
    blend_time_s: float = setting(
        0.5,
        "Time that hand-over to the prediction and taking back last, seconds; 0: at once.",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
        if 0 < self.max_range_m <= self.min_range_m:
            raise ValueError(
                f"min_range_m: got {self.min_range_m}, expected less than max_range_m, which is "
                f"{self.max_range_m}"
            )
