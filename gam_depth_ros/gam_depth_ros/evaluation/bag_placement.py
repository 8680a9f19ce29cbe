"""Where a bag's cameras stand: unaligned depth brought into the image, the camera's pose told.

The same as the node does with ``/tf_static`` and ``odometry``. Static transforms are latched on a
live graph, so all of a bag's are read before its first image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gam_depth_ros.core.config import OdometryConfig, RegistrationConfig
from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.odometry import Odometry, OdometryError, Pose
from gam_depth_ros.core.registration import Registrar, RegistrationError
from gam_depth_ros.core.transforms import Extrinsics, TransformError, TransformTree
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.rosbag_reader import Bag

MOST_TRANSFORMS = 10_000


class Placement:
    """One pass over a bag: its static transforms, and its odometry as far as it was read.

    Args:
        registration: What to do with depth in another frame or of another size.
        odometry: How poses are told at the time of an image.
        remark: Takes one line for the recording's notes.
    """

    def __init__(
        self,
        registration: RegistrationConfig,
        odometry: OdometryConfig,
        remark: Callable[[str], None],
    ) -> None:
        self._transforms = TransformTree()
        self._registrar = Registrar(registration, self._transforms)
        self._odometry = Odometry(odometry, self._transforms)
        self._remark = remark

    def read_transforms(self, bag: Bag, topic: str | None) -> None:
        """Read every static transform of a bag; what is none costs a remark."""
        if topic is None:
            return
        count = 0
        for raw in bag.messages({topic}):
            try:
                entries = bag.decode(raw).transforms
            except BagError as error:
                self._remark(str(error))
                continue
            count += len(entries)
            if count > MOST_TRANSFORMS:
                self._remark(
                    f"{topic}: got more than {MOST_TRANSFORMS} transforms, expected static ones, "
                    "told once; the rest is not read"
                )
                return
            for entry in entries:
                self._add(entry)

    def add_odometry(self, message: Any, at_ns: int) -> None:
        """Take in a decoded nav_msgs/Odometry of that time; what is no pose costs a remark."""
        held = message.pose.pose
        pose = Pose(
            at_ns,
            str(message.header.frame_id),
            str(message.child_frame_id),
            _extrinsics(held.position, held.orientation),
        )
        try:
            self._odometry.add(pose)
        except OdometryError as error:
            self._remark(str(error))

    def place(self, frame: Frame, notes: list[str]) -> Frame:
        """Return a frame with its reference in its pixels and the camera's pose, where known.

        Args:
            frame: As it was decoded.
            notes: Takes why the reference was left out.
        """
        try:
            frame = replace(frame, reference=self._registrar.register(frame))
        except RegistrationError as error:
            notes.append(str(error))
            frame = replace(frame, reference=None)
        try:
            pose = self._odometry.odom_T_camera(frame.stamp_ns, frame.frame_id)
        except OdometryError as error:
            self._remark(str(error))
            return frame
        return frame if pose is None else replace(frame, odom_T_camera=pose)

    def _add(self, entry: Any) -> None:
        pose = _extrinsics(entry.transform.translation, entry.transform.rotation)
        try:
            self._transforms.add(str(entry.header.frame_id), str(entry.child_frame_id), pose)
        except TransformError as error:
            self._remark(f"{error}; ignored")


def _extrinsics(at: Any, turn: Any) -> Extrinsics:
    return Extrinsics(
        (float(at.x), float(at.y), float(at.z)),
        (float(turn.x), float(turn.y), float(turn.z), float(turn.w)),
    )
