"""Undistort pictures and depth once, so that training sees a pinhole camera without black edges."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import CameraError, Intrinsics


class Rectifier:
    """Takes the lens distortion out of the pictures of one camera.

    The rectified picture has the size of the original and the largest window in which every pixel
    was seen, so its focal lengths differ from the original's.

    Args:
        intrinsics: Calibration of the original picture.

    Raises:
        CameraError: The distortion leaves no window.
    """

    def __init__(self, intrinsics: Intrinsics) -> None:
        self.source = intrinsics
        self.intrinsics = intrinsics
        self._maps: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None
        if intrinsics.distortion_model == "none":
            return
        matrix, maps = _rectify(intrinsics)
        self._maps = maps
        self.intrinsics = replace(
            intrinsics,
            fx=float(matrix[0, 0]),
            fy=float(matrix[1, 1]),
            cx=float(matrix[0, 2]),
            cy=float(matrix[1, 2]),
            distortion_model="none",
            distortion=(),
        )

    def picture(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """H×W×3 uint8 → the same without distortion (cubic interpolation)."""
        self.source.require_size(rgb.shape[:2])
        if self._maps is None:
            return rgb
        image = cv2.remap(rgb, *self._maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(image, np.uint8)

    def depth(self, depth_m: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """H×W float32 z-depth in metres, NaN unknown → the same without distortion (nearest).

        Depth of another size is stretched to the picture's first, nearest value as well.
        """
        if depth_m.shape != self.source.size_hw:
            size = (self.source.width, self.source.height)
            depth_m = cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST_EXACT)
        if self._maps is None:
            return depth_m
        unknown = float("nan")
        depth = cv2.remap(
            depth_m, *self._maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT,
            borderValue=unknown,
        )  # fmt: skip
        return np.asarray(depth, np.float32)


def _rectify(
    intrinsics: Intrinsics,
) -> tuple[npt.NDArray[np.float64], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Return the pinhole matrix, and for each of its pixels where it lies in the original."""
    size = (intrinsics.width, intrinsics.height)
    matrix, lens = intrinsics.matrix(), np.array(intrinsics.distortion, np.float64)
    if intrinsics.distortion_model == "equidistant":
        new = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(
            matrix, lens, size, np.eye(3), balance=0.0
        )
        maps = cv2.fisheye.initUndistortRectifyMap(matrix, lens, np.eye(3), new, size, cv2.CV_32F)
    else:
        new, _ = cv2.getOptimalNewCameraMatrix(matrix, lens, size, 0.0)
        maps = cv2.initUndistortRectifyMap(matrix, lens, np.eye(3), new, size, cv2.CV_32F)
    if not np.isfinite(new).all() or new[0, 0] <= 0 or new[1, 1] <= 0:
        raise CameraError(
            f"camera: got distortion {list(intrinsics.distortion)} that leaves no rectangular "
            "picture, expected a usable lens model; calibrate the camera again"
        )
    return np.asarray(new, np.float64), (maps[0], maps[1])
