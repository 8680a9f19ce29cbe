"""The camera's pose at the time of an image, from odometry that comes at times of its own.

Between two poses the position moves on a straight line and the orientation turns about one axis
(slerp: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985). An image that is a
little newer than the newest pose finds the motion of an equal time before carried on.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from dataclasses import dataclass

from gam_depth_ros.core.config import OdometryConfig
from gam_depth_ros.core.transforms import Extrinsics, Matrix, TransformTree

KEPT_NS = 3_000_000_000
"""Poses older than this beside the newest serve no image that is still under way."""
LOOP_NS = 1_000_000_000
"""Stamps that fall back by more than this start anew; less is a pose out of order."""
_KEPT_POSES = 4096
_NEARLY_EQUAL = 0.9995

Quaternion = tuple[float, float, float, float]


class OdometryError(ValueError):
    """Odometry that tells no pose of the camera. One line: got, expected, remedy."""


@dataclass(frozen=True)
class Pose:
    """One message of odometry.

    Attributes:
        stamp_ns: When the pose was held, nanoseconds.
        frame_id: Frame that does not move.
        child_frame_id: Frame that moves, for example base_link.
        frame_T_child: Pose of the second in the first.
    """

    stamp_ns: int
    frame_id: str
    child_frame_id: str
    frame_T_child: Extrinsics  # noqa: N815


def slerp(start: Quaternion, end: Quaternion, share: float) -> Quaternion:
    """Turn from one orientation towards another, the short way round.

    Args:
        start: Unit quaternion (x, y, z, w), given back at share 0.
        end: Unit quaternion, given back (or its negative, the same rotation) at share 1.
        share: How far to turn; beyond 1 the turn goes on about the same axis.
    """
    cosine = sum(a * b for a, b in zip(start, end, strict=True))
    sign = -1.0 if cosine < 0.0 else 1.0
    cosine = min(1.0, abs(cosine))
    if cosine > _NEARLY_EQUAL:  # the sine is too small to divide by, and a chord is as good
        first, second = 1.0 - share, share
    else:
        angle = math.acos(cosine)
        first = math.sin((1.0 - share) * angle) / math.sin(angle)
        second = math.sin(share * angle) / math.sin(angle)
    x, y, z, w = (first * a + second * sign * b for a, b in zip(start, end, strict=True))
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    return x / norm, y / norm, z / norm, w / norm


def between(start: Extrinsics, end: Extrinsics, share: float) -> Extrinsics:
    """Return the pose that is ``share`` of the way from one to another; beyond 1 it goes on."""
    x, y, z = (
        a + share * (b - a) for a, b in zip(start.translation_m, end.translation_m, strict=True)
    )
    return Extrinsics((x, y, z), slerp(start.rotation_xyzw, end.rotation_xyzw, share))


class Odometry:
    """Remembers the last poses and tells the camera's. Adding and asking may be two threads'.

    Args:
        config: Settings.
        transforms: Where the camera stands on what moves.
    """

    def __init__(self, config: OdometryConfig, transforms: TransformTree) -> None:
        self._config = config
        self._transforms = transforms
        self._lock = threading.Lock()
        self._poses: list[Pose] = []

    def configure(self, config: OdometryConfig) -> None:
        """Take over changed settings."""
        self._config = config

    def add(self, pose: Pose) -> None:
        """Take in a pose. Of two stamped alike the first stays, as does one out of order.

        Raises:
            OdometryError: it is no pose, or that of nothing; one line.
        """
        if not (pose.frame_T_child.is_rigid() and pose.child_frame_id):
            at = pose.frame_T_child
            raise OdometryError(
                f"odometry: got position {list(at.translation_m)}, quaternion "
                f"{list(at.rotation_xyzw)} and child_frame_id '{pose.child_frame_id}', expected "
                "finite numbers, a rotation and the frame that moves; this pose is not used"
            )
        with self._lock:
            newest = self._poses[-1] if self._poses else None
            if newest is not None and (
                (newest.frame_id, newest.child_frame_id) != (pose.frame_id, pose.child_frame_id)
                or pose.stamp_ns < newest.stamp_ns - LOOP_NS
            ):
                self._poses, newest = [], None
            if newest is not None and pose.stamp_ns <= newest.stamp_ns:
                return
            self._poses.append(_normalised(pose))
            if len(self._poses) > _KEPT_POSES or (
                self._poses[0].stamp_ns < pose.stamp_ns - 2 * KEPT_NS
            ):
                oldest = bisect_left(self._poses, pose.stamp_ns - KEPT_NS, key=_stamp_ns)
                self._poses = self._poses[max(oldest, len(self._poses) - _KEPT_POSES) :]

    def odom_T_camera(self, stamp_ns: int, camera: str) -> Matrix | None:  # noqa: N802
        """Return the camera's pose at a time, 4×4; None where there is no odometry at all.

        Args:
            stamp_ns: The image's stamp, nanoseconds.
            camera: Its frame.

        Raises:
            OdometryError: there is some, and it does not tell; one line.
        """
        with self._lock:
            poses = self._poses
            if not poses:
                return None
            pose = self._at(poses, stamp_ns)
            child = poses[-1].child_frame_id
        base_T_camera = self._transforms.between(child, camera)  # noqa: N806
        if base_T_camera is None:
            raise OdometryError(
                f"odometry: got the pose of '{child}' and no transform from '{camera}' to it on "
                "/tf_static, expected one; the filter over time goes by optical flow"
            )
        return pose.matrix() @ base_T_camera

    def _at(self, poses: list[Pose], stamp_ns: int) -> Extrinsics:
        """Return the pose of what moves at a time; raises OdometryError where it is not known."""
        newest, ahead_ns = poses[-1], stamp_ns - poses[-1].stamp_ns
        if ahead_ns <= 0:
            return self._within(poses, stamp_ns)
        if ahead_ns > self._config.max_ahead_s * 1e9:
            raise _unknown(ahead_ns, "newest pose", "before", self._config.max_ahead_s)
        known_ns = newest.stamp_ns - poses[0].stamp_ns
        if known_ns < ahead_ns:
            raise OdometryError(
                f"odometry: got the newest pose {ahead_ns / 1e9:.3f} s before the image and the "
                f"motion of {known_ns / 1e9:.3f} s before that, expected as long a motion to "
                "carry on; the filter over time goes by optical flow"
            )
        # Of equal length, so that the noise of poses close together is not blown up.
        before = self._within(poses, newest.stamp_ns - ahead_ns)
        return between(before, newest.frame_T_child, 2.0)

    def _within(self, poses: list[Pose], stamp_ns: int) -> Extrinsics:
        after = bisect_left(poses, stamp_ns, key=_stamp_ns)
        end = poses[after]
        if end.stamp_ns == stamp_ns:
            return end.frame_T_child
        if after == 0:
            raise _unknown(end.stamp_ns - stamp_ns, "oldest pose", "after", 0.0)
        start = poses[after - 1]
        gap_ns = end.stamp_ns - start.stamp_ns
        if gap_ns > self._config.max_gap_s * 1e9:
            raise _unknown(gap_ns, "next pose", "after the one", self._config.max_gap_s)
        share = (stamp_ns - start.stamp_ns) / gap_ns
        return between(start.frame_T_child, end.frame_T_child, share)


def _stamp_ns(pose: Pose) -> int:
    return pose.stamp_ns


def _normalised(pose: Pose) -> Pose:
    x, y, z, w = pose.frame_T_child.rotation_xyzw
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    unit = Extrinsics(pose.frame_T_child.translation_m, (x / norm, y / norm, z / norm, w / norm))
    return Pose(pose.stamp_ns, pose.frame_id, pose.child_frame_id, unit)


def _unknown(off_ns: int, what: str, where: str, limit_s: float) -> OdometryError:
    return OdometryError(
        f"odometry: got the {what} {off_ns / 1e9:.3f} s {where} the image, expected at most "
        f"{limit_s:g} s; the filter over time goes by optical flow"
    )
