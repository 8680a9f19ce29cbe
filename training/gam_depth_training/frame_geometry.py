"""From a recorded picture to a network's input, with the camera following every step.

Undistort, crop, resize, and, per clip, flip. Pixel centres are at integers, so the edge of a
picture, not the centre of its first pixel, stays in place under a resize, and a flip maps u to
W−1−u. The published code moves the first pixel's centre and flips to W−u: half a pixel off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from gam_depth_ros.core.camera import CameraError, Intrinsics

# A crop to what the lens really saw keeps at least this share of each side; less is a wrong lens.
SMALLEST_KEPT_SHARE = 0.5
_CACHED_MAPS = 16


@dataclass(frozen=True)
class FrameGeometry:
    """What is done to every frame of one camera.

    Attributes:
        camera: Calibration of the recorded pictures, distortion included.
        crop_xywh: Window of the undistorted picture: left, top, width, height.
        size_hw: Height and width of the result.

    Raises:
        CameraError: A crop that leaves the picture, or an empty size.
    """

    camera: Intrinsics
    crop_xywh: tuple[int, int, int, int]
    size_hw: tuple[int, int]

    def __post_init__(self) -> None:
        self.camera.cropped(*self.crop_xywh)
        if min(self.size_hw) < 1:
            raise CameraError(f"size: got {self.size_hw}, expected a positive height and width")

    @staticmethod
    def whole(camera: Intrinsics) -> FrameGeometry:
        """Everything that the camera saw, at its own resolution.

        Undistorted pictures are cropped to the pixels that the lens saw: black corners would teach
        a network that room corners are black.
        """
        x, y, width, height = _seen_window(camera)
        return FrameGeometry(camera, (x, y, width, height), (height, width))

    @staticmethod
    def cropped(camera: Intrinsics, crop_xywh: tuple[int, int, int, int]) -> FrameGeometry:
        """A window of the undistorted picture, at the camera's resolution."""
        return FrameGeometry(camera, crop_xywh, (crop_xywh[3], crop_xywh[2]))

    def resized(self, size_hw: tuple[int, int]) -> FrameGeometry:
        """The same window at another size."""
        return replace(self, size_hw=size_hw)

    @property
    def intrinsics(self) -> Intrinsics:
        """Pinhole calibration of the result."""
        plain = replace(self.camera, distortion_model="none", distortion=())
        return plain.cropped(*self.crop_xywh).resized(self.size_hw[1], self.size_hw[0])

    def matrix(self, flipped: bool = False) -> npt.NDArray[np.float64]:
        """Return the 3×3 camera matrix of the result, or of its mirror image."""
        matrix = self.intrinsics.matrix()
        if flipped:
            matrix[0, 2] = self.size_hw[1] - 1 - matrix[0, 2]
        return matrix

    def apply(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Undistort, crop and resize a recorded picture.

        Args:
            rgb: H×W×3 uint8 of the camera's size.

        Returns:
            h×w×3 uint8 of ``size_hw``, resized with Lanczos' window, which is widened where the
            picture shrinks, so that fine texture does not alias.

        Raises:
            CameraError: A picture of another size than the camera's.
        """
        window = self.rectify(rgb)
        if window.shape[:2] == self.size_hw:
            return window
        picture = Image.fromarray(np.ascontiguousarray(window))
        height, width = self.size_hw
        return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))

    def rectify(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Undistort and crop a recorded picture, without a resize; H×W×3 uint8 in and out."""
        return _window(self, rgb)

    def rectify_depth(self, depth_m: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Undistort and crop a depth image without inventing depth.

        Args:
            depth_m: H×W float32 metres, NaN where unknown. A sensor's resolution may differ from
                the picture's (ScanNet): the geometry is scaled to it.

        Returns:
            h×w float32 metres, NaN where unknown, each value one of the readings.
        """
        height, width = depth_m.shape
        scaled = self if (height, width) == self.camera.size_hw else self._scaled(height, width)
        return _window(scaled, depth_m, nearest=True)

    def _scaled(self, height: int, width: int) -> FrameGeometry:
        sx, sy = width / self.camera.width, height / self.camera.height
        x, y, w, h = self.crop_xywh
        left, top = round(x * sx), round(y * sy)
        crop = (left, top, round((x + w) * sx) - left, round((y + h) * sy) - top)
        return FrameGeometry.cropped(self.camera.resized(width, height), crop)


def _window(geometry: FrameGeometry, image: np.ndarray, nearest: bool = False) -> np.ndarray:
    """Undistort and crop; outside of the recorded picture lies black, or NaN under ``nearest``."""
    camera, (x, y, width, height) = geometry.camera, geometry.crop_xywh
    camera.require_size(image.shape[:2])
    if camera.distortion_model == "none":
        return image[y : y + height, x : x + width]
    map_xy, fraction = _undistortion(camera, geometry.crop_xywh, nearest)
    if nearest:
        return cv2.remap(image, map_xy, fraction, cv2.INTER_NEAREST, borderValue=float("nan"))
    return cv2.remap(image, map_xy, fraction, cv2.INTER_LINEAR)


def _float_maps(camera: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """Where in the recorded picture each undistorted pixel lies, H×W float32 each."""
    matrix, distortion = camera.matrix(), np.array(camera.distortion, np.float64)
    size = (camera.width, camera.height)
    if camera.distortion_model == "equidistant":
        return cv2.fisheye.initUndistortRectifyMap(
            matrix, distortion, np.eye(3), matrix, size, cv2.CV_32FC1
        )
    return cv2.initUndistortRectifyMap(matrix, distortion, None, matrix, size, cv2.CV_32FC1)


@lru_cache(maxsize=_CACHED_MAPS)
def _undistortion(
    camera: Intrinsics, crop_xywh: tuple[int, int, int, int], nearest: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Fixed-point maps of the window, which remap faster than float maps."""
    x, y, width, height = crop_xywh
    window = np.s_[y : y + height, x : x + width]
    map_x, map_y = _float_maps(camera)
    return cv2.convertMaps(map_x[window], map_y[window], cv2.CV_16SC2, nninterpolation=nearest)


@lru_cache(maxsize=_CACHED_MAPS)
def _seen_window(camera: Intrinsics) -> tuple[int, int, int, int]:
    """A large window of the undistorted picture which the lens saw whole: left, top, width, height.

    Sides move in one pixel at a time, the one with the most unseen pixels first.

    Raises:
        CameraError: Less than half of a side would be left.
    """
    if camera.distortion_model == "none":
        return 0, 0, camera.width, camera.height
    map_x, map_y = _float_maps(camera)
    unseen = (map_x < 0) | (map_x > camera.width - 1) | (map_y < 0) | (map_y > camera.height - 1)
    left, top, right, bottom = 0, 0, camera.width, camera.height
    while unseen[top:bottom, left:right].any():
        window = unseen[top:bottom, left:right]
        edges = (window[:, 0], window[0], window[:, -1], window[-1])
        shares = [edge.mean() for edge in edges]
        worst = int(np.argmax(shares))
        left, top = left + (worst == 0), top + (worst == 1)
        right, bottom = right - (worst == 2), bottom - (worst == 3)
        if (
            right - left < SMALLEST_KEPT_SHARE * camera.width
            or bottom - top < SMALLEST_KEPT_SHARE * camera.height
        ):
            raise CameraError(
                f"camera: got {camera.distortion_model} {list(camera.distortion)}, expected "
                "coefficients under which most of the undistorted picture was seen; check their "
                "order (k1 k2 p1 p2 k3) or give a crop"
            )
    return left, top, right - left, bottom - top
