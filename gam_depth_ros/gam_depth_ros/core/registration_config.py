"""Settings of the registration of sensor depth to the colour image."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gam_depth_ros.core.setting import setting, validate

_UNIT_TOLERANCE = 0.01


@dataclass(frozen=True)
class RegistrationConfig:
    """Where the depth camera stands in the colour camera's frame."""

    extrinsics: str = setting(
        "tf_static",
        "What to do with reference depth in another frame or size than the image: tf_static "
        "(register it by the transform on /tf_static), parameters (register every reference by "
        "translation_m and rotation_xyzw, whatever its frame says) or none (refuse it).",
        choices=("tf_static", "parameters", "none"),
        live=True,
    )
    translation_m: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0),
        "Position of the depth camera in the colour camera's optical frame (x right, y down, z "
        "forward), metres; as `tf2_echo <colour frame> <depth frame>` prints it.",
        live=True,
    )
    rotation_xyzw: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0, 1.0),
        "Orientation of the depth camera in the colour camera's optical frame, unit quaternion "
        "x, y, z, w.",
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
        _check_numbers("translation_m", self.translation_m, 3)
        _check_numbers("rotation_xyzw", self.rotation_xyzw, 4)
        norm = math.hypot(*self.rotation_xyzw)
        if abs(norm - 1.0) > _UNIT_TOLERANCE:
            raise ValueError(
                f"rotation_xyzw: got {list(self.rotation_xyzw)} of length {norm:.3g}, expected a "
                "unit quaternion; no rotation is [0.0, 0.0, 0.0, 1.0]"
            )


def _check_numbers(name: str, values: tuple[float, ...], count: int) -> None:
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise ValueError(f"{name}: got {list(values)}, expected {count} finite numbers")
