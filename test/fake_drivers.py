"""Stand-ins for the camera drivers: topics, encodings, QoS, stamps, calibration, frames as theirs.

Each looks at a wall that fills both pictures, square to the optical axes, at one distance. What the
drivers do was read from their sources and from what their users print (config/cameras names them).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from gam_depth_ros import messages

WALL_M = 2.0
# What every one of them uses unless told otherwise: SystemDefault or rclcpp's default, reliable.
DRIVER_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_CHANNELS = {"rgb8": 3, "bgr8": 3, "bgra8": 4}


@dataclass(frozen=True)
class Lens:
    """What a camera_info says.

    Attributes:
        size_hw: Height and width, pixels.
        focal_px: Focal length.
        center_px: Principal point, column and row.
        model: Distortion model.
        distortion: Its coefficients.
    """

    size_hw: tuple[int, int]
    focal_px: float
    center_px: tuple[float, float]
    model: str = "plumb_bob"
    distortion: tuple[float, ...] = (0.0,) * 5

    def info(self, stamp_ns: int, frame_id: str) -> CameraInfo:
        """Return the calibration message."""
        (height, width), (cx, cy), focal = self.size_hw, self.center_px, self.focal_px
        return CameraInfo(
            header=messages.to_header(stamp_ns, frame_id),
            height=height,
            width=width,
            distortion_model=self.model,
            d=list(self.distortion),
            k=[focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0],
            r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            p=[focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
        )


@dataclass(frozen=True)
class FakeDriver:
    """One driver's habits.

    Attributes:
        image: Topic of the colour image.
        camera_info: Topic of its calibration.
        depth: Topic of the depth image.
        depth_info: Topic of the depth's calibration; empty where the colour's serves for both.
            An empty topic is not published.
        encoding: Of the colour image.
        color: Lens of the colour camera.
        depth_lens: Lens that the depth is seen through.
        color_frame: frame_id of the colour image.
        info_frame: frame_id of its calibration.
        depth_frame: frame_id of the depth image and its calibration.
        color_stamped: Whether colour image and calibration carry a stamp.
        depth_late_ns: Stamp of the depth less that of the colour image.
        depth_encoding: 16UC1 or 32FC1.
        wall_m: Distance of the wall along the depth camera's axis.
    """

    image: str
    camera_info: str
    depth: str
    depth_info: str
    encoding: str
    color: Lens
    depth_lens: Lens
    color_frame: str
    info_frame: str
    depth_frame: str
    color_stamped: bool = True
    depth_late_ns: int = 0
    depth_encoding: str = "16UC1"
    wall_m: float = WALL_M

    def frame(self, stamp_ns: int, grey: int) -> dict[str, Any]:
        """Return the messages of one instant by topic, in the order in which they are sent."""
        color_ns = stamp_ns if self.color_stamped else 0
        depth_ns = stamp_ns + self.depth_late_ns
        sent = {
            self.depth: self._depth_image(depth_ns),
            self.depth_info: self.depth_lens.info(depth_ns, self.depth_frame),
            self.image: self._color_image(color_ns, grey),
            self.camera_info: self.color.info(color_ns, self.info_frame),
        }
        return {topic: message for topic, message in sent.items() if topic}

    def start(self, node: Any) -> Callable[[int, int], None]:
        """Create the driver's publishers on a node; returns what publishes one instant."""
        kinds = {
            self.image: Image,
            self.camera_info: CameraInfo,
            self.depth: Image,
            self.depth_info: CameraInfo,
        }
        publishers = {
            topic: node.create_publisher(kind, topic, DRIVER_QOS)
            for topic, kind in kinds.items()
            if topic
        }

        def publish(stamp_ns: int, grey: int) -> None:
            for topic, message in self.frame(stamp_ns, grey).items():
                publishers[topic].publish(message)

        return publish

    def _color_image(self, stamp_ns: int, grey: int) -> Image:
        shape = (*self.color.size_hw, _CHANNELS[self.encoding])
        pixels: npt.NDArray[np.uint8] = np.full(shape, grey, np.uint8)
        pixels[..., 3:] = 255  # alpha
        head = messages.to_header(stamp_ns, self.color_frame)
        return messages.to_image(pixels, self.encoding, head)

    def _depth_image(self, stamp_ns: int) -> Image:
        millimetres = self.depth_encoding == "16UC1"
        value = round(self.wall_m * 1000) if millimetres else self.wall_m
        kind = np.uint16 if millimetres else np.float32
        pixels = np.full(self.depth_lens.size_hw, value, kind)
        head = messages.to_header(stamp_ns, self.depth_frame)
        return messages.to_image(pixels, self.depth_encoding, head)


def realsense(name: str = "camera", namespace: str = "camera") -> FakeDriver:
    """realsense2_camera, align_depth.enable and enable_sync on, 640×480 (D435)."""
    base = f"/{namespace}/{name}"
    color = Lens((480, 640), 615.3, (321.4, 241.9))
    return FakeDriver(
        image=f"{base}/color/image_raw",
        camera_info=f"{base}/color/camera_info",
        depth=f"{base}/aligned_depth_to_color/image_raw",
        depth_info=f"{base}/aligned_depth_to_color/camera_info",
        encoding="rgb8",
        color=color,
        depth_lens=color,
        color_frame=f"{name}_color_optical_frame",
        info_frame=f"{name}_color_optical_frame",
        depth_frame=f"{name}_color_optical_frame",
    )


def realsense_unaligned() -> FakeDriver:
    """realsense2_camera as it starts by default: depth in its own frame and calibration."""
    return replace(
        realsense(),
        depth="/camera/camera/depth/image_rect_raw",
        depth_info="/camera/camera/depth/camera_info",
        depth_lens=Lens((480, 640), 385.9, (319.7, 238.6)),
        depth_frame="camera_depth_optical_frame",
    )


def azure_kinect() -> FakeDriver:
    """azure_kinect_ros_driver, bgra, 720P: neither picture is undistorted, depth_to_rgb aligned."""
    lens = Lens(
        (720, 1280),
        602.8,
        (635.5, 370.1),
        "rational_polynomial",
        # k1 k2 p1 p2 k3 k4 k5 k6, as a device's factory calibration has them
        (0.72275, -2.88559, 0.00078, -0.00014, 1.63272, 0.60220, -2.71963, 1.56505),
    )
    return FakeDriver(
        image="/rgb/image_raw",
        camera_info="/rgb/camera_info",
        depth="/depth_to_rgb/image_raw",
        depth_info="/depth_to_rgb/camera_info",
        encoding="bgra8",
        color=lens,
        depth_lens=lens,
        color_frame="rgb_camera_link",
        info_frame="rgb_camera_link",
        depth_frame="rgb_camera_link",
        depth_late_ns=160_000,
    )


def kinect_v1() -> FakeDriver:
    """kinect_ros2: empty colour header, calibration without stamp, depth from where it stands."""
    return FakeDriver(
        image="/kinect/image_raw",
        camera_info="/kinect/camera_info",
        depth="/kinect/depth/image_raw",
        depth_info="/kinect/depth/camera_info",
        encoding="rgb8",
        color=Lens((480, 640), 526.6, (318.5, 241.2), distortion=(0.10265, -0.18647, 0.0, 0.0, 0)),
        depth_lens=Lens((480, 640), 587.0, (317.4, 234.3)),
        color_frame="",
        info_frame="kinect_rgb",
        depth_frame="kinect_depth",
        color_stamped=False,
    )


def kinect_v2() -> FakeDriver:
    """kinect2_bridge at qhd: rectified bgr8, registered depth, one camera_info for both.

    That has the lens's distortion, which the pictures no longer have.
    """
    lens = Lens((540, 960), 540.7, (479.7, 269.7), distortion=(0.0526, -0.0639, 0.0, 0.0, 0.0171))
    return FakeDriver(
        image="/kinect2/qhd/image_color_rect",
        camera_info="/kinect2/qhd/camera_info",
        depth="/kinect2/qhd/image_depth_rect",
        depth_info="",
        encoding="bgr8",
        color=lens,
        depth_lens=lens,
        color_frame="kinect2_rgb_optical_frame",
        info_frame="kinect2_rgb_optical_frame",
        depth_frame="kinect2_rgb_optical_frame",
    )


def orbbec() -> FakeDriver:
    """orbbec_camera, depth_registration on: depth in the colour frame, but its D is zero."""
    color = Lens(
        (720, 1280),
        609.3,
        (639.4, 356.2),
        "rational_polynomial",
        (-0.02881, 0.03532, -0.00001, 0.00015, -0.01267, 0.0, 0.0, 0.0),
    )
    return FakeDriver(
        image="/camera/color/image_raw",
        camera_info="/camera/color/camera_info",
        depth="/camera/depth/image_raw",
        depth_info="/camera/depth/camera_info",
        encoding="rgb8",
        color=color,
        depth_lens=replace(color, model="rational_polynomial", distortion=(0.0,) * 8),
        color_frame="camera_color_optical_frame",
        info_frame="camera_color_optical_frame",
        depth_frame="camera_color_optical_frame",
    )


def orbbec_unregistered() -> FakeDriver:
    """orbbec_camera as it starts by default: the same topics, depth from where it stands."""
    return replace(
        orbbec(),
        depth_lens=Lens((576, 640), 504.0, (320.5, 334.1), "rational_polynomial", (0.0,) * 8),
        depth_frame="camera_depth_optical_frame",
    )


ALL = {
    "realsense": realsense,
    "azure_kinect": azure_kinect,
    "kinect_v1": kinect_v1,
    "kinect_v2": kinect_v2,
    "orbbec": orbbec,
}
"""By the names of their files in config/cameras."""


def main(name: str) -> None:
    """Publish as a driver does, ten frames a second, until a signal comes."""
    rclpy.init(args=sys.argv)
    node = rclpy.create_node("driver")
    publish = ALL[name]().start(node)
    node.create_timer(0.1, lambda: publish(node.get_clock().now().nanoseconds, 102))
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
