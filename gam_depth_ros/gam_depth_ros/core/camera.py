"""Pinhole camera with lens distortion: intrinsics, rays, back-projection, organised cloud.

Pixel centres are at integer coordinates: the top left pixel covers -0.5 to 0.5. Optical frames
follow REP-103: z forward, x right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_COEFFICIENTS = {
    "none": (0,),
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
_CACHED_CAMERAS = 4
_FISHEYE_PINHOLE_LIMIT = 100.0

CLOUD_DTYPE = np.dtype(
    {
        "names": ["x", "y", "z", "rgb", "sigma", "label"],
        "formats": ["<f4", "<f4", "<f4", "<u4", "<f4", "u1"],
        "offsets": [0, 4, 8, 12, 16, 20],
        "itemsize": 24,
    }
)
"""One point of :func:`organised_cloud`, as it lies in a PointCloud2: no padding between rows."""


class CameraError(ValueError):
    """A calibration cannot be used. The message is one line: got, expected, remedy."""


@dataclass(frozen=True)
class Intrinsics:
    """Calibration of one image.

    Attributes:
        width: Image width, pixels.
        height: Image height, pixels.
        fx: Focal length along x, pixels.
        fy: Focal length along y, pixels.
        cx: Principal point x, pixels.
        cy: Principal point y, pixels.
        distortion_model: ``none``, ``plumb_bob`` (k1 k2 p1 p2 [k3]), ``rational_polynomial``
            (k1 k2 p1 p2 k3 k4 k5 k6 [...]) or ``equidistant`` (fisheye, k1 to k4).
        distortion: Coefficients in the order of ``sensor_msgs/CameraInfo.d``.

    Raises:
        CameraError: a size or focal length that is not positive, a value that is not finite, an
            unknown distortion model or a wrong number of coefficients.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = "none"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise CameraError(
                f"camera info: got size {self.width}x{self.height}, expected a positive width and "
                "height; calibrate the camera or set its camera_info_url"
            )
        if not (np.isfinite([self.fx, self.fy, self.cx, self.cy]).all() and self.fx * self.fy > 0):
            raise CameraError(
                f"camera info: got fx {self.fx:g}, fy {self.fy:g}, cx {self.cx:g}, cy {self.cy:g}, "
                "expected finite values and focal lengths above zero; calibrate the camera or set "
                "its camera_info_url"
            )
        counts = _COEFFICIENTS.get(self.distortion_model)
        if counts is None:
            raise CameraError(
                f"camera info: got distortion model '{self.distortion_model}', expected one of "
                f"{', '.join(_COEFFICIENTS)}; rectify the image or convert the calibration"
            )
        if len(self.distortion) not in counts or not np.isfinite(self.distortion).all():
            raise CameraError(
                f"camera info: got {len(self.distortion)} coefficients {list(self.distortion)} for "
                f"{self.distortion_model}, expected {' or '.join(map(str, counts))} finite ones; "
                "calibrate the camera again"
            )

    @staticmethod
    def from_camera_info_values(
        width: int,
        height: int,
        k: Sequence[float],
        distortion_model: str = "",
        d: Sequence[float] = (),
        *,
        image_size_hw: tuple[int, int] | None = None,
        binning_xy: tuple[int, int] = (0, 0),
        roi_xywh: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> Intrinsics:
        """Read the values of a ``sensor_msgs/CameraInfo``.

        Args:
            width: Full sensor width, pixels.
            height: Full sensor height, pixels.
            k: The nine values of K, row by row.
            distortion_model: As in the message; empty, or no or only zero coefficients, is none.
            d: Distortion coefficients.
            image_size_hw: Height and width of the image it came with, to be checked if given.
            binning_xy: Pixels combined along x and y; 0 means 1, as in the message.
            roi_xywh: Region read from the sensor, full pixels; all zero means the whole sensor.

        Returns:
            The intrinsics of the image as published: region of interest and binning applied.

        Raises:
            CameraError: K all zero or malformed, an unknown distortion model, or another size
                than the image.
        """
        if len(k) != 9 or not np.any(k):
            raise CameraError(
                f"camera info: got K {[float(v) for v in k]}, expected nine values with focal "
                "lengths above zero; calibrate the camera or set its camera_info_url"
            )
        plain = not np.any(d)
        camera = Intrinsics(
            int(width),
            int(height),
            fx=float(k[0]),
            fy=float(k[4]),
            cx=float(k[2]),
            cy=float(k[5]),
            distortion_model="none" if plain else distortion_model,
            distortion=() if plain else tuple(float(value) for value in d),
        )
        x0, y0, roi_width, roi_height = roi_xywh
        if roi_width and roi_height:
            camera = camera.cropped(x0, y0, roi_width, roi_height)
        bin_x, bin_y = max(1, binning_xy[0]), max(1, binning_xy[1])
        if bin_x > 1 or bin_y > 1:
            camera = camera.resized(camera.width // bin_x, camera.height // bin_y)
        if image_size_hw is not None:
            camera.require_size(image_size_hw)
        return camera

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.height, self.width

    def require_size(self, size_hw: tuple[int, int]) -> None:
        """Raise CameraError unless the calibration is for images of this height and width."""
        if self.size_hw != tuple(size_hw):
            raise CameraError(
                f"camera info: got a calibration for {self.width}x{self.height}, expected "
                f"{size_hw[1]}x{size_hw[0]} like the image; publish the camera_info that belongs "
                "to this image"
            )

    def resized(self, width: int, height: int) -> Intrinsics:
        """Return the intrinsics of the image stretched to ``width`` × ``height`` pixels."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(
            width,
            height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            # The image's edge, not the centre of its first pixel, stays in place under a resize.
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
            distortion_model=self.distortion_model,
            distortion=self.distortion,
        )

    def cropped(self, x0: int, y0: int, width: int, height: int) -> Intrinsics:
        """Return the intrinsics of the window at (``x0``, ``y0``); it must lie in the image."""
        inside = x0 >= 0 and y0 >= 0 and x0 + width <= self.width and y0 + height <= self.height
        if not inside:
            raise CameraError(
                f"crop: got {width}x{height} at ({x0}, {y0}), expected a window inside "
                f"{self.width}x{self.height}"
            )
        return Intrinsics(
            width,
            height,
            fx=self.fx,
            fy=self.fy,
            cx=self.cx - x0,
            cy=self.cy - y0,
            distortion_model=self.distortion_model,
            distortion=self.distortion,
        )

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return the 3×3 float64 camera matrix."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def rays(self) -> npt.NDArray[np.float32]:
        """Return each pixel's undistorted ray, H×W×2 float32: x/z and y/z.

        NaN where a fisheye pixel looks sideways or back (beyond 89.4°). Read-only; the last few
        cameras are cached.
        """
        return _rays(self)

    def backproject(self, depth_m: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Lift a depth image to points.

        Args:
            depth_m: H×W float32 z-depth, metres; NaN where unknown.

        Returns:
            H×W×3 float32 points in the optical frame, metres; all NaN where depth is.

        Raises:
            CameraError: depth of another size than the calibration.
        """
        self.require_size(depth_m.shape[:2])
        rays = self.rays()
        points = np.empty((*depth_m.shape, 3), np.float32)
        np.multiply(rays, depth_m[..., None], out=points[..., :2])
        points[..., 2] = depth_m
        points[np.isnan(rays[..., 0])] = np.nan
        return points


@lru_cache(maxsize=_CACHED_CAMERAS)
def _rays(camera: Intrinsics) -> npt.NDArray[np.float32]:
    u, v = np.meshgrid(
        np.arange(camera.width, dtype=np.float64), np.arange(camera.height, dtype=np.float64)
    )
    rays: npt.NDArray[Any]
    if camera.distortion_model == "none":
        rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy], axis=-1)
    else:
        pixels = np.stack([u, v], axis=-1).reshape(-1, 1, 2)
        distortion = np.array(camera.distortion, np.float64)
        if camera.distortion_model == "equidistant":
            rays = cv2.fisheye.undistortPoints(pixels, camera.matrix(), distortion)
            # Towards 90 degrees off the axis x/z runs to infinity; beyond it there is none.
            rays = np.where(np.abs(rays) < _FISHEYE_PINHOLE_LIMIT, rays, np.nan)
            rays[np.isnan(rays).any(axis=-1)] = np.nan
        else:
            criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 40, 1e-7)
            rays = cv2.undistortPointsIter(
                pixels, camera.matrix(), distortion, np.eye(3), np.eye(3), criteria
            )
    result = np.ascontiguousarray(rays.reshape(camera.height, camera.width, 2), dtype=np.float32)
    result.setflags(write=False)
    return result


def organised_cloud(
    depth_m: npt.NDArray[np.float32],
    sigma_m: npt.NDArray[np.float32],
    rgb: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    intrinsics: Intrinsics,
) -> npt.NDArray[np.void]:
    """Build the cloud with one point per pixel, in the image's order.

    Args:
        depth_m: H×W float32 metres; NaN where unknown.
        sigma_m: H×W float32 metres.
        rgb: H×W×3 uint8 RGB.
        labels: H×W uint8 ids.
        intrinsics: Calibration of the image.

    Returns:
        H×W of ``CLOUD_DTYPE``: x, y, z and sigma in metres (NaN where depth is NaN), rgb packed as
        0x00RRGGBB (PCL reads it as a float), label. Unused bytes are zero.

    Raises:
        CameraError: an array of another size than the calibration.
    """
    for array in (depth_m, sigma_m, rgb, labels):
        intrinsics.require_size(array.shape[:2])
    rays = intrinsics.rays()
    cloud = np.zeros(depth_m.shape, CLOUD_DTYPE)
    np.multiply(rays[..., 0], depth_m, out=cloud["x"])
    np.multiply(rays[..., 1], depth_m, out=cloud["y"])
    cloud["z"] = depth_m
    if intrinsics.distortion_model == "equidistant":
        cloud["z"][np.isnan(rays[..., 0])] = np.nan
    cloud["sigma"] = sigma_m
    bgra = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA)
    np.bitwise_and(bgra.view("<u4")[..., 0], np.uint32(0x00FFFFFF), out=cloud["rgb"])
    cloud["label"] = labels
    return cloud
