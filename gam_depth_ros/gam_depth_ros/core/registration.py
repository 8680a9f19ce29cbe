"""Sensor depth seen from elsewhere, brought into the colour image's pixels.

Each depth pixel is lifted along its ray, moved into the colour camera's frame, projected with that
camera's own distortion, and the nearest of what lands on a pixel wins (forward warping with a
z-buffer). Where nothing lands is NaN: nothing is filled in.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_ros.core.config import RegistrationConfig
from gam_depth_ros.core.distortion import field_radius_sq, project
from gam_depth_ros.core.frame import Frame, ReferenceDepth
from gam_depth_ros.core.transforms import Extrinsics, TransformTree

_CACHED_PAIRS = 4
_NEAREST_M = 1e-3
_SEEN_MARGIN = 1.02
# Pixels of the colour image per depth pixel up to which neighbours still close up.
_DENSE_ENOUGH = 1.05


class RegistrationError(ValueError):
    """A reference cannot be brought into the image. One line: got, expected, remedy."""


def register_depth(
    depth_m: npt.NDArray[np.float32],
    depth_camera: Intrinsics,
    color_camera: Intrinsics,
    color_T_depth: npt.NDArray[np.float64],  # noqa: N803 - the house's name for a transform
) -> npt.NDArray[np.float32]:
    """Warp a depth image into another camera's pixels.

    Args:
        depth_m: H×W float32 z-depth, metres; NaN where unknown.
        depth_camera: Calibration of ``depth_m``.
        color_camera: Calibration of the image to warp to.
        color_T_depth: 4×4, depth camera's optical frame to the colour camera's.

    Returns:
        Float32 z-depth along the colour camera's axis, metres, at its size, in its (distorted)
        pixels; NaN where no depth pixel lands. Where the colour image has more pixels than the
        depth, one depth pixel fills a block of them, so that no background shows between the
        pixels of what stands before it.

    Raises:
        CameraError: ``depth_m`` has another size than ``depth_camera``.
    """
    depth_camera.require_size(depth_m.shape)
    grid = _grid(depth_camera, color_camera)
    rays, seen_sq = _lifted(depth_camera, grid, tuple(color_T_depth[:3, :3].ravel().tolist()))
    x, y, z_m = rays * depth_m
    shift_x, shift_y, shift_z = color_T_depth[:3, 3].astype(np.float32)
    z_m += shift_z
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x += shift_x
        y += shift_y
        x /= z_m
        y /= z_m
        seen = (z_m > _NEAREST_M) & (x * x + y * y <= seen_sq)
        column, row = project(x, y, grid)
        column += np.float32(0.5)  # cut off, it is then rounded to the nearest
        row += np.float32(0.5)
        seen &= (column >= 0) & (column < grid.width) & (row >= 0) & (row < grid.height)
        target = row.astype(np.int32) * np.int32(grid.width) + column.astype(np.int32)
    # One cell past the end takes what is not seen: cheaper than picking out the rest.
    unseen = ~seen
    target[unseen], z_m[unseen] = grid.width * grid.height, np.inf
    buffer_m = np.full(grid.width * grid.height + 1, np.inf, np.float32)
    np.minimum.at(buffer_m, target.ravel(), z_m.ravel())
    registered: npt.NDArray[np.float32] = buffer_m[:-1].reshape(grid.size_hw)
    registered[np.isinf(registered)] = np.nan
    if grid is not color_camera:
        size_wh = (color_camera.width, color_camera.height)
        registered = np.asarray(cv2.resize(registered, size_wh, interpolation=cv2.INTER_NEAREST))
    return registered


class Registrar:
    """Decides whether a reference needs to be registered, and does it.

    Args:
        config: Settings.
        transforms: Where the cameras stand.
    """

    def __init__(self, config: RegistrationConfig, transforms: TransformTree | None = None) -> None:
        self._config = config
        self._transforms = transforms or TransformTree()

    def configure(self, config: RegistrationConfig) -> None:
        """Take over changed settings, keeping the transforms."""
        self._config = config

    def register(self, frame: Frame) -> ReferenceDepth | None:
        """Return a frame's reference in the image's pixels; as it is if it is there already.

        Args:
            frame: Picture with its calibration and reference, as far as known.

        Raises:
            RegistrationError: it is elsewhere, and its calibration or pose is not known; one line.
        """
        reference, config = frame.reference, self._config
        if reference is None or config.extrinsics == "none":
            return reference
        same_frame = reference.frame_id == frame.frame_id
        same_size = reference.depth_m.shape == frame.rgb.shape[:2]
        if config.extrinsics == "parameters":
            color_T_depth = _of_parameters(config)  # noqa: N806
        elif same_frame and same_size:
            return reference
        else:
            color_T_depth = self._color_T_depth(frame.frame_id, reference.frame_id)  # noqa: N806
        depth_camera, color_camera = _both_cameras(frame, reference)
        try:
            depth_m = register_depth(reference.depth_m, depth_camera, color_camera, color_T_depth)
        except CameraError as error:
            raise RegistrationError(f"reference depth refused: its {error}") from error
        return replace(
            reference, depth_m=depth_m, frame_id=frame.frame_id, intrinsics=frame.intrinsics
        )

    def _color_T_depth(self, color: str, depth: str) -> npt.NDArray[np.float64]:  # noqa: N802
        """Return the pose of the depth frame in the colour frame from the static transforms."""
        color_T_depth = self._transforms.between(color, depth)  # noqa: N806
        if color_T_depth is not None:
            return color_T_depth
        raise RegistrationError(
            f"reference depth refused: got frame '{depth}' and no transform from it to '{color}' "
            "on /tf_static, expected depth in the image's frame or that transform; have the driver "
            "register the depth, publish the transform, or set registration.extrinsics to "
            "parameters"
        )


def _both_cameras(frame: Frame, reference: ReferenceDepth) -> tuple[Intrinsics, Intrinsics]:
    """Return the calibrations of depth and image; raises RegistrationError if one is missing."""
    cameras = {
        "reference_depth/camera_info": reference.intrinsics,
        "camera_info": frame.intrinsics,
    }
    missing = [name for name, camera in cameras.items() if camera is None]
    if reference.intrinsics is None or frame.intrinsics is None:
        height, width = reference.depth_m.shape
        raise RegistrationError(
            f"reference depth refused: got {width}x{height} in frame '{reference.frame_id}' to be "
            f"registered to '{frame.frame_id}' without {' and '.join(missing)}, expected both "
            "calibrations; remap them, or have the driver register the depth to the colour image"
        )
    return reference.intrinsics, frame.intrinsics


def _of_parameters(config: RegistrationConfig) -> npt.NDArray[np.float64]:
    x, y, z = config.translation_m
    qx, qy, qz, qw = config.rotation_xyzw
    return Extrinsics((x, y, z), (qx, qy, qz, qw)).matrix()


def _grid(depth_camera: Intrinsics, color_camera: Intrinsics) -> Intrinsics:
    """Return the colour camera, coarser by a whole factor where depth pixels would lie apart."""
    ratio = max(color_camera.fx / depth_camera.fx, color_camera.fy / depth_camera.fy)
    if ratio <= _DENSE_ENOUGH:
        return color_camera
    factor = math.ceil(ratio)
    return color_camera.resized(
        max(1, color_camera.width // factor), max(1, color_camera.height // factor)
    )


@lru_cache(maxsize=_CACHED_PAIRS)
def _lifted(
    depth_camera: Intrinsics, color_camera: Intrinsics, rotation: tuple[float, ...]
) -> tuple[npt.NDArray[np.float32], float]:
    """Return each depth pixel's ray turned into the colour frame, 3×H×W, and the field of view."""
    matrix = np.array(rotation).reshape(3, 3)
    rays = depth_camera.rays()
    homogeneous = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
    turned = np.einsum("ij,hwj->ihw", matrix, homogeneous).astype(np.float32)
    turned.setflags(write=False)
    return turned, _SEEN_MARGIN * field_radius_sq(color_camera)
