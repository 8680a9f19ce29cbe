"""The node's subscriptions: what arrives is stamped, paired and handed to the worker.

The callbacks run in the executor's thread and stay short; decoding is left to the worker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import ReliabilityPolicy
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from gam_depth_ros import messages, qos, topics
from gam_depth_ros.calibration import Calibration
from gam_depth_ros.core.camera import CameraError
from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.frame import Frame, ReferenceDepth
from gam_depth_ros.core.image_codec import ImageError
from gam_depth_ros.core.odometry import Odometry, OdometryError
from gam_depth_ros.core.registration import Registrar, RegistrationError
from gam_depth_ros.core.transforms import TransformError, TransformTree
from gam_depth_ros.diagnostics import transport_warning
from gam_depth_ros.health import RATE, Health
from gam_depth_ros.log_bridge import Throttle
from gam_depth_ros.outputs import INTERFACES
from gam_depth_ros.parameters import NodeConfig
from gam_depth_ros.silence import SilenceWatch
from gam_depth_ros.topics import Topic
from gam_depth_ros.worker import Intake, Job

log = logging.getLogger(__name__)


class Inputs:
    """Subscriptions from activate to deactivate.

    Args:
        node: The node to subscribe with.
        intake: Where images and references go.
        health: Where arrivals are counted.
        throttle: Thins repeated lines.
        anybody_wants: Whether any output has a subscriber; without one images go no further.
        config: How images arrive, and how references from elsewhere are registered.
    """

    def __init__(
        self,
        node: LifecycleNode,
        intake: Intake,
        health: Health,
        throttle: Throttle,
        anybody_wants: Callable[[], bool],
        config: NodeConfig,
    ) -> None:
        self._node = node
        self._intake = intake
        self._health = health
        self._throttle = throttle
        self._anybody_wants = anybody_wants
        self._once = Throttle(float("inf"))
        self._images_unstamped = False
        self.rate_divider = 1  # every how manieth image is processed
        self._turn = 0
        self._transforms = TransformTree()
        self._registrar = Registrar(config.pipeline.registration, self._transforms)
        self._odometry = Odometry(config.pipeline.odometry, self._transforms)
        self.camera = Calibration(config.image_rectified)
        self.reference_camera = Calibration(config.image_rectified)
        raw = config.image_transport == "raw"
        self.image_topic = topics.IMAGE if raw else topics.IMAGE_COMPRESSED
        rows = (
            (self.image_topic, self._on_image),
            (topics.CAMERA_INFO, self._on_camera_info),
            (topics.REFERENCE_DEPTH, self._on_reference),
            (topics.REFERENCE_CAMERA_INFO, self._on_reference_info),
            (topics.TF_STATIC, self._on_transforms),
            (topics.ODOMETRY, self._on_odometry),
        )
        expected = [row for row, _ in rows if INTERFACES[row.interface] is not None]
        health.expect([row.name for row in expected])
        self._subscriptions = [
            self._subscribe(row, callback)
            for row, callback in rows
            if INTERFACES[row.interface] is not None
        ]
        used = [made.qos_profile for made in self._subscriptions]
        self._watch = SilenceWatch(node, health, list(zip(expected, used, strict=True)))
        self._best_effort = (
            self._subscriptions[0].qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
        )

    def frame(self, job: Job) -> Frame:
        """Decode a job; a calibration or reference that does not fit is left out with one line.

        Raises:
            ImageError: The image cannot be read; one line.
        """
        intrinsics = self.camera.intrinsics
        frame = messages.to_frame(job.image, job.stamp_ns, intrinsics, self._reference(job))
        if intrinsics is not None and frame.intrinsics is None:
            height, width = frame.rgb.shape[:2]
            self.say(
                f"camera_info: got a calibration for {intrinsics.width}x{intrinsics.height}, "
                f"expected {width}x{height} like the image; ignored, publish the camera_info "
                "that belongs to this image"
            )
        return self._registered(self._posed(self._named(frame)))

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed settings."""
        self._registrar.configure(config.registration)
        self._odometry.configure(config.odometry)

    def waiting_for(self) -> str:
        """Name what has not arrived yet; empty when nothing is missing."""
        if not self._health.any_frame():
            return f"images on {self._node.resolve_topic_name(self.image_topic.name)}"
        if self.camera.intrinsics is None:
            name = self._node.resolve_topic_name(topics.CAMERA_INFO.name)
            return f"camera_info on {name}: no ~/points and no ~/depth/camera_info without it"
        return ""

    def silence(self, limit_s: float) -> str:
        """Say why no images arrive where none has for so many seconds (0: never); else nothing."""
        return self._watch.images(limit_s)

    def silent(self, limit_s: float) -> tuple[str, ...]:
        """Say which inputs beside the images stopped, or cannot be heard."""
        return self._watch.others(limit_s)

    def destroy(self) -> None:
        """Unsubscribe from everything."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def say(self, line: str) -> None:
        """Warn once in a while for each kind of line, and keep it for diagnostics."""
        self._health.note(line)
        if (text := self._throttle.line(line)) is not None:
            log.warning(text)

    def _subscribe(self, row: Topic, callback: Callable[[Any], None]) -> Any:
        def arrived(message: Any) -> None:
            self._health.arrived(row.name)
            try:
                callback(message)
            except Exception as error:
                # The border to whoever publishes: what rclpy passes on would end the node.
                line = f"{row.name}: unexpected error {error!r}; this message is not used"
                self._health.note(line)
                if (text := self._throttle.line(line)) is not None:
                    log.exception(text)

        return self._node.create_subscription(
            INTERFACES[row.interface],
            row.name,
            arrived,
            qos.profile(self._node, row, qos.SUBSCRIPTION),
        )

    def _on_image(self, image: Any) -> None:
        wanted = self._anybody_wants()
        self._health.frame_in(wanted)
        self._check_transport(len(image.data))
        if wanted and self._is_due():
            self._intake.put_image(image, self._stamp_ns(image.header, self.image_topic))

    def _is_due(self) -> bool:
        """Whether the rate that is left lets this image through."""
        self._turn = (self._turn + 1) % self.rate_divider
        if self._turn:
            self._health.dropped(RATE)
        return self._turn == 0

    def _on_reference(self, image: Image) -> None:
        # Images without stamps are paired by receipt: their references too, which took as long.
        if self._images_unstamped:
            self._intake.put_reference(image, self._now_ns())
        else:
            self._intake.put_reference(image, self._stamp_ns(image.header, topics.REFERENCE_DEPTH))

    def _on_camera_info(self, info: CameraInfo) -> None:
        # Small enough to arrive where images are lost, so it tells of them before any image does.
        if self.image_topic is topics.IMAGE:
            self._check_transport(info.width * info.height * 3)
        self._calibrate(self.camera, info, "")

    def _on_reference_info(self, info: CameraInfo) -> None:
        self._calibrate(self.reference_camera, info, "reference depth ")

    def _on_transforms(self, message: Any) -> None:
        for entry in message.transforms:
            pose = messages.to_extrinsics(entry.transform)
            try:
                self._transforms.add(entry.header.frame_id, entry.child_frame_id, pose)
            except TransformError as error:
                self.say(f"{error}; ignored")

    def _on_odometry(self, message: Any) -> None:
        try:
            self._odometry.add(messages.to_pose(message))
        except OdometryError as error:
            self.say(str(error))

    def _calibrate(self, camera: Calibration, info: CameraInfo, whose: str) -> None:
        try:
            if change := camera.update(info):
                log.info("%scamera info: %s", whose, change)
        except CameraError as error:
            self.say(f"{whose}{error}; ignored")

    def _named(self, frame: Frame) -> Frame:
        """Return the frame with its calibration's frame_id where the image has none."""
        if frame.frame_id or self.camera.message is None:
            return frame
        frame_id = self.camera.message.header.frame_id
        self._say_once(
            "image: got an empty frame_id, expected the camera's optical frame; that of "
            f"camera_info, '{frame_id}', is used"
        )
        return replace(frame, frame_id=frame_id)

    def _posed(self, frame: Frame) -> Frame:
        """Return the frame with the camera's pose, where odometry tells it."""
        try:
            pose = self._odometry.odom_T_camera(frame.stamp_ns, frame.frame_id)
        except OdometryError as error:
            self._say_once(str(error))
            return frame
        return frame if pose is None else replace(frame, odom_T_camera=pose)

    def _registered(self, frame: Frame) -> Frame:
        """Return the frame with its reference in its pixels, or without it and one line said."""
        try:
            return replace(frame, reference=self._registrar.register(frame))
        except RegistrationError as error:
            self.say(str(error))
            return replace(frame, reference=None)

    def _reference(self, job: Job) -> ReferenceDepth | None:
        if job.reference is None:
            return None
        try:
            return messages.to_reference(
                job.reference, job.reference_stamp_ns, self.reference_camera.intrinsics
            )
        except ImageError as error:
            self.say(f"reference depth {error}; this reference is not used")
            return None

    def _stamp_ns(self, header: Header, topic: Topic) -> int:
        stamp_ns = messages.stamp_ns(header)
        if topic is self.image_topic:
            self._images_unstamped = stamp_ns == 0
        if stamp_ns > 0:
            return stamp_ns
        line = (
            f"{topic.name}: got stamp zero, expected the time of acquisition; the time of "
            "receipt is used, have the driver set its stamps"
        )
        self._say_once(line)
        return self._now_ns()

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _say_once(self, line: str) -> None:
        if (text := self._once.line(line)) is not None:
            log.warning(text)

    def _check_transport(self, image_bytes: int) -> None:
        warning = transport_warning(
            image_bytes, self._best_effort, get_rmw_implementation_identifier()
        )
        if warning and not self._health.transport_warning:
            self._health.transport_warning = warning
            log.warning(warning)
