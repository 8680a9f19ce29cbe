"""The floor as a plane: how far below the camera the network puts it.

RANSAC (Fischler & Bolles 1981) with a fixed seed, then least squares on the plane's own points. A
plane n·p = −h has the unit normal n, from the floor to the camera, and the distance h in the unit
of the depth; camera height over h is the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_SEED = 20_241
_HYPOTHESES = 64
_MAX_POINTS = 400
_MIN_POINTS = 30
_INLIER_SHARE = 0.06  # of h: how far off the plane a point may lie
_MIN_INLIERS = 0.5
_INDEPENDENT_REGIONS = 64  # an image is worth an 8 by 8 grid of independent readings
_LEAST_SIGMA_LOG = 0.05  # points of one floor share the network's error at their place


@dataclass(frozen=True)
class FloorPlane:
    """A floor.

    Attributes:
        normal: Unit normal in the optical frame (x right, y down, z forward), from floor to camera.
        distance: Camera above the plane, in the unit of the depth.
        inliers: Share of the points that lie on it.
        variance_log: Variance of log distance.
    """

    normal: tuple[float, float, float]
    distance: float
    inliers: float
    variance_log: float


def expected_normal(pitch_deg: float) -> npt.NDArray[np.float64]:
    """Return the up direction in the optical frame of a camera that looks down by an angle."""
    pitch = math.radians(pitch_deg)
    return np.array([0.0, -math.cos(pitch), -math.sin(pitch)])


def fit_floor(
    points: npt.NDArray[Any], up: npt.NDArray[np.float64], tolerance_deg: float, coverage: float
) -> FloorPlane | str:
    """Fit a plane to points that are said to be floor.

    Args:
        points: N×3 points in the optical frame, any unit, finite.
        up: Unit vector, 3 float64: where the normal is expected to point.
        tolerance_deg: Largest angle between the two.
        coverage: Share of the picture that the points stand for, 0 to 1; more is surer.

    Returns:
        The plane, or one line on why there is none.
    """
    if len(points) < _MIN_POINTS:
        return f"floor refused: got {len(points)} points, expected at least {_MIN_POINTS}"
    step = -(-len(points) // _MAX_POINTS)
    sample = np.asarray(points[::step], np.float64)
    normals, distances = _hypotheses(sample)
    level = np.abs(normals @ up) >= math.cos(math.radians(tolerance_deg))
    near = np.abs(sample @ normals.T + distances) <= _INLIER_SHARE * distances
    counts = near.sum(axis=0)
    if not level.any() or counts[level].max() < _MIN_INLIERS * len(sample):
        return _no_floor(normals, counts, up, len(sample))
    best = int(np.where(level, counts, -1).argmax())
    normal, distance = normals[best], float(distances[best])
    for _ in range(2):
        on_plane = np.abs(sample @ normal + distance) <= _INLIER_SHARE * distance
        if on_plane.sum() < 3:
            break
        normal, distance = _least_squares(sample[on_plane])
    tilt = math.degrees(math.acos(min(1.0, float(normal @ up))))
    if tilt > tolerance_deg or distance <= 0.0:
        return _tilted(tilt, tolerance_deg)
    off = np.abs(sample @ normal + distance) / distance
    share = float((off <= _INLIER_SHARE).mean())
    effective = max(1.0, _INDEPENDENT_REGIONS * coverage * share)
    spread = 1.4826 * float(np.median(off))
    variance = _LEAST_SIGMA_LOG**2 + spread**2 / effective
    return FloorPlane(tuple(normal.tolist()), distance, share, variance)


def _hypotheses(
    points: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return planes through three points each: unit normals M×3, distances M, both towards 0."""
    chosen = np.random.default_rng(_SEED).integers(0, len(points), (_HYPOTHESES, 3))
    first, second, third = (points[chosen[:, corner]] for corner in range(3))
    normals = np.cross(second - first, third - first)
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals / np.maximum(lengths, 1e-12)[:, None]
    distances = -(normals * first).sum(axis=1)
    flip = np.where(distances < 0, -1.0, 1.0)
    usable = lengths > 1e-12
    return (normals * flip[:, None])[usable], (distances * flip)[usable]


def _least_squares(points: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """Return the plane of least squared distances, its normal towards the origin."""
    centre = points.mean(axis=0)
    normal = np.linalg.eigh(np.cov((points - centre).T))[1][:, 0]
    distance = -float(normal @ centre)
    return (normal, distance) if distance >= 0 else (-normal, -distance)


def _no_floor(
    normals: npt.NDArray[np.float64],
    counts: npt.NDArray[np.intp],
    up: npt.NDArray[np.float64],
    total: int,
) -> str:
    """Say what was found instead of a level plane."""
    if not len(normals) or counts.max() < _MIN_INLIERS * total:
        return (
            "floor refused: got no plane through half of the points labelled floor, expected one; "
            "the labels or the depth are off"
        )
    tilt = math.degrees(math.acos(min(1.0, abs(float(normals[counts.argmax()] @ up)))))
    return _tilted(tilt, None)


def _tilted(tilt_deg: float, tolerance_deg: float | None) -> str:
    limit = "level" if tolerance_deg is None else f"at most {tolerance_deg:g}"
    return (
        f"floor refused: got a plane tilted by {tilt_deg:.0f} degrees, expected {limit}; a wall "
        "taken for floor, or camera_pitch_deg is off"
    )
