"""Settings of the published uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

from gam_depth_ros.core.setting import setting, validate


@dataclass(frozen=True)
class UncertaintyConfig:
    """How sigma follows what references showed of it."""

    tracking_rate: float = setting(
        0.3,
        "How fast sigma follows the share of reference pixels that it covered on earlier frames: "
        "log sigma moves by this times the share missing; 0 keeps the model file's calibration.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    tracking_limit: float = setting(
        2.0,
        "Sigma never becomes wider, or narrower, than this many times the model file's "
        "calibration by following references.",
        minimum=1.0,
        maximum=10.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
