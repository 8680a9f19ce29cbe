"""The node's publishers: which outputs somebody wants, and one message for each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from gam_depth_ros import messages, qos, topics
from gam_depth_ros.core.frame import Frame, Perception
from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.core.pipeline import Outputs
from gam_depth_ros.topics import Topic

# By interface name; None: the optional package is not installed.
INTERFACES: dict[str, Any] = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
    "sensor_msgs/msg/PointCloud2": PointCloud2,
    "diagnostic_msgs/msg/DiagnosticArray": DiagnosticArray,
    "gam_depth_msgs/msg/ScaleStatus": messages.ScaleStatus,
    "gam_depth_msgs/msg/PerceptionStatus": messages.PerceptionStatus,
    "gam_depth_msgs/srv/ReloadModel": messages.ReloadModel,
    "gam_depth_msgs/srv/ResetScale": messages.ResetScale,
    "vision_msgs/msg/LabelInfo": messages.LabelInfo,
    "tf2_msgs/msg/TFMessage": messages.TFMessage,
    "nav_msgs/msg/Odometry": messages.Odometry,
}


@dataclass(frozen=True)
class Result:
    """What a frame's messages are made of."""

    perception: Perception
    frame: Frame
    camera_info: CameraInfo | None
    labels: LabelSet
    depth_encoding: str
    header: Header


@dataclass(frozen=True)
class Output:
    """One output of every frame: the quantities it needs and how its message is made."""

    topic: Topic
    needs: frozenset[str]
    message: Callable[[Result], Any]
    needs_camera_info: bool = False


PER_FRAME = (
    Output(
        topics.DEPTH,
        frozenset({"depth"}),
        lambda r: messages.to_depth_image(r.perception.depth_m, r.depth_encoding, r.header),
    ),
    Output(
        topics.DEPTH_INFO,
        frozenset(),
        lambda r: messages.restamped(r.camera_info, r.header),
        needs_camera_info=True,
    ),
    Output(
        topics.UNCERTAINTY,
        frozenset({"sigma"}),
        lambda r: messages.to_image(r.perception.sigma_m, "32FC1", r.header),
    ),
    Output(
        topics.SOURCE,
        frozenset({"source"}),
        lambda r: messages.to_image(r.perception.source, "mono8", r.header),
    ),
    Output(
        topics.MASK,
        frozenset({"labels"}),
        lambda r: messages.to_image(r.perception.labels, "mono8", r.header),
    ),
    Output(
        topics.CONFIDENCE,
        frozenset({"confidence"}),
        lambda r: messages.to_confidence_image(r.perception.label_confidence, r.header),
    ),
    Output(
        topics.COLOR,
        frozenset({"labels"}),
        lambda r: messages.to_image(r.labels.colorize(r.perception.labels), "rgb8", r.header),
    ),
    Output(
        topics.POINTS,
        frozenset({"points"}),
        lambda r: messages.to_points(r.perception, r.frame.rgb, r.header),
        needs_camera_info=True,
    ),
    Output(
        topics.SCALE,
        frozenset(),
        lambda r: messages.to_scale_status(r.perception, r.header),
    ),
)


def needed(wanted: list[Output]) -> Outputs:
    """Return what the pipeline has to compute for these outputs."""
    names = {name for output in wanted for name in output.needs}
    return replace(Outputs.none(), **dict.fromkeys(names, True))


def missing_interfaces() -> list[Topic]:
    """List the topics and services that are off because their package is not installed."""
    rows = (*topics.INPUTS, *topics.OUTPUTS, *topics.SERVICES)
    return [row for row in rows if INTERFACES[row.interface] is None]


class Publishers:
    """Every per-frame publisher and ``~/status`` of the node, from configure to cleanup."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._by_name: dict[str, Any] = {}
        self.withheld: frozenset[str] = frozenset()  # topics given up, by name
        for row in topics.OUTPUTS:
            interface = INTERFACES[row.interface]
            if interface is not None and row is not topics.DIAGNOSTICS:
                self._by_name[row.name] = node.create_lifecycle_publisher(
                    interface,
                    row.name,
                    qos.profile(node, row, qos.PUBLISHER),
                )

    def wants(self, topic: Topic) -> bool:
        """Whether anybody subscribes to a topic that is not given up."""
        publisher = self._by_name.get(topic.name)
        if publisher is None or topic.name in self.withheld:
            return False
        return bool(publisher.get_subscription_count() > 0)

    def wanted(self, calibrated: bool = True) -> list[Output]:
        """List the per-frame outputs that anybody subscribes to and that can be made.

        Args:
            calibrated: Whether there is a calibration for the frame.
        """
        return [
            output
            for output in PER_FRAME
            if (calibrated or not output.needs_camera_info) and self.wants(output.topic)
        ]

    def publish(self, topic: Topic, message: Any) -> None:
        """Publish one message, if its topic is on."""
        publisher = self._by_name.get(topic.name)
        if publisher is not None:
            publisher.publish(message)

    def publish_frame(self, wanted: list[Output], result: Result) -> None:
        """Publish the wanted outputs of one frame, all under the input's header."""
        for output in wanted:
            self.publish(output.topic, output.message(result))

    def destroy(self) -> None:
        """Remove every publisher from the node."""
        for publisher in self._by_name.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._by_name.clear()
