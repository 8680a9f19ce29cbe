"""How a camera moved between two pictures: point tracks, with the rotation taken out.

Depth can be learned from video only where the camera changes its place. Displacement alone does
not tell that: a camera that turns on the spot moves every pixel and shows no depth. All lengths
here are shares of the picture's width, so that they mean the same for every resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics

WORKING_WIDTH = 320
CORNERS = 300
FEWEST_TRACKS = 25
_LUCAS_KANADE: dict[str, Any] = {"winSize": (15, 15), "maxLevel": 4}
_ROUND_TRIP_PX = 0.7
_INLIER_PX = 0.5
_ROTATION_STEPS = 10
# Tracks are good to about a third of a pixel: a smaller residual does not earn more weight.
_TRACK_NOISE_PX = 0.3

Grey = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """What the tracks between two pictures say; lengths are shares of the picture's width.

    Attributes:
        tracks: Points found in both pictures.
        flow: Median displacement, rotation included; NaN without tracks.
        residual: Median displacement that the best rotation leaves. It never says motion where
            there is none, but a rotation can imitate much of a sideways motion: on handheld
            recordings with known poses it is a fifth to a half of the true parallax.
        parallax: Median displacement without the rotation of the epipolar geometry. Right in the
            median over many pairs, unsure for one pair; never below ``residual``.
    """

    tracks: int
    flow: float
    residual: float
    parallax: float

    @property
    def followed(self) -> bool:
        """Whether enough points were found again to say anything."""
        return self.tracks >= FEWEST_TRACKS


LOST = Motion(0, float("nan"), float("nan"), float("nan"))


def working_picture(rgb: npt.NDArray[np.uint8]) -> Grey:
    """Return the small grey picture that motion and sharpness are measured on.

    Args:
        rgb: H×W×3 uint8 RGB.

    Returns:
        h×w uint8, 320 wide or as wide as ``rgb`` where that is narrower.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    if width <= WORKING_WIDTH:
        return np.asarray(grey, np.uint8)
    size = (WORKING_WIDTH, round(height * WORKING_WIDTH / width))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def sharpness(grey: Grey) -> float:
    """Return the variance of the Laplacian, grey levels squared: low in blurred pictures.

    It depends on what is seen, so compare it with that of neighbours in time only.
    """
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def corner_count(grey: Grey) -> int:
    """Return how many points of a picture could be followed; few in dark or blank ones."""
    return len(_corners(grey))


def measure_motion(
    first: Grey, second: Grey, intrinsics: Intrinsics, epipolar: bool = False
) -> Motion:
    """Follow points from one picture to another and take the rotation out.

    Args:
        first: h×w uint8 working picture.
        second: h×w uint8 working picture of the same camera.
        intrinsics: Calibration of the undistorted full picture.
        epipolar: Also estimate ``parallax`` (some milliseconds more); else it is ``residual``.

    Returns:
        The motion; ``LOST`` where fewer than three points could be followed.
    """
    before, after = _tracks(first, second)
    if len(before) < 3:
        return LOST
    height, width = first.shape
    camera = intrinsics.resized(width, height).matrix()
    flow = float(np.median(np.linalg.norm(after - before, axis=1)))
    residual = _residual(before, after, camera, _best_rotation(before, after, camera))
    parallax = residual
    if epipolar and len(before) >= FEWEST_TRACKS:
        parallax = _parallax(before, after, camera, flow, residual)
    return Motion(len(before), flow / width, residual / width, parallax / width)


def _corners(grey: Grey) -> npt.NDArray[np.float32]:
    found = cv2.goodFeaturesToTrack(grey, CORNERS, 0.01, 7)
    if found is None:
        return np.empty((0, 1, 2), np.float32)
    # A relative threshold finds corners in pure noise, too: they must stand out absolutely.
    strength = cv2.cornerMinEigenVal(grey, 3)
    x, y = found[:, 0].astype(int).T
    return np.asarray(found[strength[y, x] > 1e-4], np.float32)


def _tracks(first: Grey, second: Grey) -> tuple[Points, Points]:
    """Return the N×2 pixel positions of points in both pictures, checked by tracking back."""
    start = _corners(first)
    if not len(start):
        return np.empty((0, 2)), np.empty((0, 2))
    end, found, _ = cv2.calcOpticalFlowPyrLK(first, second, start, None, **_LUCAS_KANADE)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(second, first, end, None, **_LUCAS_KANADE)
    returned = np.linalg.norm((back - start)[:, 0], axis=1) < _ROUND_TRIP_PX
    kept = (found[:, 0] == 1) & (found_back[:, 0] == 1) & returned
    return start[kept, 0].astype(np.float64), end[kept, 0].astype(np.float64)


def _bearings(points: Points, camera: npt.NDArray[np.float64]) -> Points:
    """N×2 pixels → N×3 rays with z = 1."""
    rays = (points - camera[:2, 2]) / camera[[0, 1], [0, 1]]
    return np.column_stack([rays, np.ones(len(rays))])


def _best_rotation(before: Points, after: Points, camera: npt.NDArray[np.float64]) -> Points:
    """Return the 3×3 rotation that explains most: Kabsch's, reweighted towards the median."""
    first, second = _bearings(before, camera), _bearings(after, camera)
    units = first / np.linalg.norm(first, axis=1, keepdims=True)
    targets = second / np.linalg.norm(second, axis=1, keepdims=True)
    weights = np.ones(len(units))
    rotation = np.eye(3)
    for _ in range(_ROTATION_STEPS):
        left, _, right = np.linalg.svd((targets * weights[:, None]).T @ units)
        rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
        errors = np.linalg.norm(targets - units @ rotation.T, axis=1) * camera[0, 0]
        weights = 1.0 / np.maximum(errors, _TRACK_NOISE_PX)
    return rotation


def _residual(
    before: Points, after: Points, camera: npt.NDArray[np.float64], rotation: Points
) -> float:
    """Return the median displacement in pixels that a rotation does not explain."""
    turned = _bearings(before, camera) @ rotation.T
    # A ray that a wrong rotation turns behind the camera counts as far off.
    scale = np.where(turned[:, 2] > 1e-3, turned[:, 2], 1e-3)
    pixels = turned[:, :2] / scale[:, None] * camera[[0, 1], [0, 1]] + camera[:2, 2]
    return float(np.median(np.linalg.norm(pixels - after, axis=1)))


def _parallax(
    before: Points,
    after: Points,
    camera: npt.NDArray[np.float64],
    flow: float,
    residual: float,
) -> float:
    """Return the displacement without the rotation of the essential matrix, pixels."""
    essential, inliers = cv2.findEssentialMat(
        before, after, camera, method=cv2.USAC_MAGSAC, prob=0.999, threshold=_INLIER_PX
    )
    if essential is None or essential.shape != (3, 3):
        return residual
    _, rotation, _, _ = cv2.recoverPose(essential, before, after, camera, mask=inliers)
    parallax = _residual(before, after, camera, rotation)
    # A degenerate pair gives any rotation at all, half a turn included; rotation and translation
    # that cancel out to a large part are rarer than that.
    return residual if parallax > 2.0 * flow else max(parallax, residual)
