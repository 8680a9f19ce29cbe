"""Settings of the metric scale."""

from __future__ import annotations

from dataclasses import dataclass

from gam_depth_ros.core.setting import in_order, setting, validate


@dataclass(frozen=True)
class ScaleConfig:
    """Where metres come from."""

    source: str = setting(
        "median_reference",
        "Source of metric scale: median_reference (sensor depth), camera_height (the floor's "
        "distance) or fixed (a known factor).",
        choices=("median_reference", "camera_height", "fixed"),
        live=True,
    )
    fixed_value: float = setting(
        1.0,
        "Metres per unit of network depth when the source is fixed.",
        minimum=1e-3,
        maximum=1e3,
        live=True,
    )
    fixed_sigma_log: float = setting(
        0.0,
        "Standard deviation of the logarithm of fixed_value: 0.1 says it is known to 10 %.",
        minimum=0.0,
        maximum=2.0,
        live=True,
    )
    camera_height_m: float = setting(
        0.0,
        "Height of the camera above the floor, metres, for the source camera_height; 0: not given.",
        minimum=0.0,
        maximum=20.0,
        live=True,
    )
    camera_height_sigma_log: float = setting(
        0.3,
        "How far a scale from the floor is off as a whole: standard deviation of its logarithm. A "
        "network bends floors; three recordings with sensor depth gave 0.28 to 0.39.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    camera_pitch_deg: float = setting(
        0.0,
        "How far the camera looks down from level, degrees; negative looks up.",
        minimum=-60.0,
        maximum=60.0,
        live=True,
    )
    camera_tilt_tolerance_deg: float = setting(
        20.0,
        "Largest angle between a floor's normal and the direction expected of it, degrees.",
        minimum=1.0,
        maximum=60.0,
        live=True,
    )
    min_floor_fraction: float = setting(
        0.03,
        "Share of pixels that must be confident floor for its plane to be fitted.",
        minimum=0.001,
        maximum=1.0,
        live=True,
    )
    min_reference_depth_m: float = setting(
        0.3, "Nearest reference depth used, metres.", minimum=0.0, maximum=100.0, live=True
    )
    max_reference_depth_m: float = setting(
        6.0, "Farthest reference depth used, metres.", minimum=0.1, maximum=100.0, live=True
    )
    min_valid_fraction: float = setting(
        0.05,
        "Share of reference pixels that must be valid and in range for the reference to be used.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    check_registration: bool = setting(
        True,
        "Whether a reference whose edges fit the picture better when shifted is refused.",
        live=True,
    )
    wander_log: float = setting(
        0.3,
        "How far the network's scale strays between views: standard deviation of its logarithm. "
        "A start: the filter follows what it sees.",
        minimum=0.001,
        maximum=3.0,
        live=True,
    )
    wander_time_s: float = setting(
        1.5,
        "How long the scale stays near where it is, seconds: its correlation falls to 1/e.",
        minimum=0.01,
        maximum=600.0,
        live=True,
    )
    gate_sigma: float = setting(
        5.0,
        "A measured scale this many standard deviations off is doubted, not followed.",
        minimum=1.0,
        maximum=100.0,
        live=True,
    )
    gate_log: float = setting(
        0.5,
        "Changes of the logarithm of the scale below this are never doubted.",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    acquire_count: int = setting(
        2,
        "References that must agree before the scale is known.",
        minimum=1,
        maximum=100,
        live=True,
    )
    reacquire_count: int = setting(
        3,
        "Doubted references in a row that must agree for the scale to move to them.",
        minimum=1,
        maximum=100,
        live=True,
    )
    fresh_s: float = setting(
        1.0,
        "Seconds without an accepted reference after which the scale is HOLDING.",
        minimum=0.01,
        maximum=600.0,
        live=True,
    )
    max_age_s: float = setting(
        10.0,
        "Seconds without an accepted reference after which the scale is LOST.",
        minimum=0.1,
        maximum=3600.0,
        live=True,
    )
    max_sigma_log: float = setting(
        1.0,
        "Standard deviation of the logarithm of the scale above which it is LOST.",
        minimum=0.05,
        maximum=10.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
        in_order(self, "min_reference_depth_m", "max_reference_depth_m")
