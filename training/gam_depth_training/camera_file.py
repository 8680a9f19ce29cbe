"""Read a calibration from a file, for recordings that carry none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gam_depth_ros.core.camera import CameraError, Intrinsics


def read_camera_file(path: Path) -> Intrinsics:
    """Read a calibration.

    Args:
        path: ``intrinsics.json`` of a sequence folder (width, height, fx, fy, cx, cy and optionally
            distortion_k1k2p1p2k3), or the YAML that ROS's camera_calibration writes (image_width,
            image_height, camera_matrix, distortion_model, distortion_coefficients).

    Raises:
        CameraError: The file is missing, malformed or holds no usable calibration.
    """
    try:
        data = yaml.safe_load(path.read_text())  # JSON is YAML
        return _from_ros(data) if "camera_matrix" in data else _from_json(data)
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise CameraError(
            f"{path}: got {error.__class__.__name__} ({' '.join(str(error).split())[:100]}) while "
            "reading it, expected intrinsics.json (width, height, fx, fy, cx, cy) or the YAML of "
            "ROS's camera_calibration; correct the file"
        ) from error
    except (CameraError, ValueError) as error:
        raise CameraError(f"{path}: {error}") from error


def _from_ros(data: dict[str, Any]) -> Intrinsics:
    coefficients = data.get("distortion_coefficients") or {}
    return Intrinsics.from_camera_info_values(
        int(data["image_width"]),
        int(data["image_height"]),
        [float(value) for value in data["camera_matrix"]["data"]],
        str(data.get("distortion_model", "plumb_bob")),
        [float(value) for value in coefficients.get("data", ())],
    )


def _from_json(data: dict[str, Any]) -> Intrinsics:
    k = [data["fx"], 0, data["cx"], 0, data["fy"], data["cy"], 0, 0, 1]
    return Intrinsics.from_camera_info_values(
        int(data["width"]),
        int(data["height"]),
        [float(value) for value in k],
        "plumb_bob",
        [float(value) for value in data.get("distortion_k1k2p1p2k3", ())],
    )
