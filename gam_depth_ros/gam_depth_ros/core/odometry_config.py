"""Settings of the camera's pose from odometry."""

from __future__ import annotations

from dataclasses import dataclass

from gam_depth_ros.core.setting import setting, validate


@dataclass(frozen=True)
class OdometryConfig:
    """How poses are told at the time of an image."""

    max_gap_s: float = setting(
        0.25,
        "Two poses of the odometry further apart than this are not interpolated, seconds.",
        minimum=0.001,
        maximum=2.0,
        live=True,
    )
    max_ahead_s: float = setting(
        0.1,
        "An image later than the newest pose by up to this takes the motion just before as going "
        "on, seconds; later ones go without odometry. 0: a pose must have come after the image.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
