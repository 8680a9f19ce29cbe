"""Settings of the metric scale."""

from __future__ import annotations

from dataclasses import dataclass

from gam_depth_ros.core.setting import in_order, setting, validate


@dataclass(frozen=True)
class ScaleConfig:
    """Where metres come from."""

    source: str = setting(
        "median_reference",
        "Source of metric scale: median_reference (sensor depth) or fixed (a known factor).",
        choices=("median_reference", "fixed"),
    )
    fixed_value: float = setting(
        1.0,
        "Metres per unit of network depth when the source is fixed.",
        minimum=1e-3,
        maximum=1e3,
        live=True,
    )
    min_reference_depth_m: float = setting(
        0.3, "Nearest reference depth used, metres.", minimum=0.0, maximum=100.0
    )
    max_reference_depth_m: float = setting(
        6.0, "Farthest reference depth used, metres.", minimum=0.1, maximum=100.0
    )
    min_valid_fraction: float = setting(
        0.05,
        "Share of reference pixels that must be valid and in range for the reference to be used.",
        minimum=0.0,
        maximum=1.0,
    )
    smoothing_time_s: float = setting(
        0.5, "Time constant of the scale's low-pass filter, seconds.", minimum=0.0, maximum=60.0
    )
    max_age_s: float = setting(
        10.0,
        "Seconds without an accepted reference after which the scale is unknown again.",
        minimum=0.1,
        maximum=3600.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
        in_order(self, "min_reference_depth_m", "max_reference_depth_m")
