"""Odometry on a live graph: the filter over time goes by the camera's pose at the image's stamp."""

from __future__ import annotations

import numpy as np
import pytest
from plain_pipeline import plain_pipeline
from ros_harness import OPTICAL_FRAME, SECOND_NS, SIZE_HW, camera_info, grey, image_message, pixels
from sensor_msgs.msg import Image

from gam_depth_ros import messages
from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.config import ScaleConfig, TemporalConfig
from gam_depth_ros.core.frame import Frame

nav_msgs = pytest.importorskip("nav_msgs.msg", reason="nav_msgs is not installed")

OUT = "/gam_depth/depth/image"
PARAMETERS = {"scale.source": "fixed", "temporal.mode": "flow"}
FRAME_NS = SECOND_NS // 10
SPEED_M_S = 1.0
FRAMES = 4
GREY = 51  # 1.8 m to the tiny model, whatever the camera does
BASE = "base_link"


def odometry(stamp_ns, forward_m, child=OPTICAL_FRAME):
    message = nav_msgs.Odometry(header=messages.to_header(stamp_ns, "odom"), child_frame_id=child)
    position = message.pose.pose.position
    if child == OPTICAL_FRAME:
        position.z = forward_m
    else:
        position.x = forward_m
    message.pose.pose.orientation.w = 1.0
    return message


def forward_m(stamp_ns):
    return SPEED_M_S * (stamp_ns - SECOND_NS) / 1e9


def stamp_of(index):
    return SECOND_NS + index * FRAME_NS


def expected(model, moves):
    """Return the depths of a pipeline that is handed the poses themselves."""
    pipeline = plain_pipeline(
        model, scale=ScaleConfig(source="fixed"), temporal=TemporalConfig(mode="flow")
    )
    height, width = SIZE_HW
    camera = Intrinsics(width, height, 50.0, 50.0, (width - 1) / 2, (height - 1) / 2)
    depths = []
    for index in range(FRAMES):
        pose = np.eye(4)
        pose[2, 3] = forward_m(stamp_of(index))
        frame = Frame(grey(GREY), stamp_of(index), OPTICAL_FRAME, camera)
        if moves:
            frame = Frame(grey(GREY), stamp_of(index), OPTICAL_FRAME, camera, None, pose)
        depths.append(float(np.median(pipeline.process(frame).depth_m)))
    return depths


def play(graph, child=OPTICAL_FRAME, late_ns=0):
    """Send poses 40 ms apart, of another clock than the images', and the images; return depths."""
    graph.listen(Image, OUT)
    graph.wait_for_publisher(OUT)
    graph.send("/camera_info", camera_info())
    depths = []
    sent_ns = SECOND_NS - 30_000_000
    for index in range(FRAMES):
        while sent_ns <= stamp_of(index) + 20_000_000:
            graph.send("/odometry", odometry(sent_ns - late_ns, forward_m(sent_ns), child))
            sent_ns += 40_000_000
        graph.spin(0.4)  # the node reads the topics in an order of its own
        graph.send("/image", image_message(grey(GREY), stamp_of(index)))
        depths.append(float(np.median(pixels(graph.next(OUT)))))
    return depths


def test_the_filter_follows_the_pose_interpolated_at_the_images_stamp(graph, start, tiny_model):
    node = start(parameters=PARAMETERS)
    depths = play(graph)
    assert depths == pytest.approx(expected(tiny_model, moves=True), rel=1e-5)
    # What is 0.1 m nearer with each frame, though the network says 1.8 m for ever.
    assert depths[-1] < 1.7
    assert expected(tiny_model, moves=False)[-1] == pytest.approx(1.8, rel=1e-3)
    assert not [line for line in node.lines("[gam_depth]") if "odometry" in line]


def test_odometry_that_is_too_old_is_told_once_and_left_out(graph, start, tiny_model):
    node = start(parameters=PARAMETERS)
    depths = play(graph, late_ns=SECOND_NS // 2)
    assert depths == pytest.approx(expected(tiny_model, moves=False), rel=1e-5)
    node.wait_for_line("odometry: got the newest pose")
    assert len(node.lines("odometry: got the newest pose")) == 1


def test_odometry_of_a_base_that_the_camera_is_not_joined_to_is_told_once(
    graph, start, tiny_model
):
    node = start(parameters=PARAMETERS)
    depths = play(graph, child=BASE)
    assert depths == pytest.approx(expected(tiny_model, moves=False), rel=1e-5)
    line = node.wait_for_line("odometry: got the pose of 'base_link'")
    assert f"no transform from '{OPTICAL_FRAME}'" in line
    assert len(node.lines("odometry: got the pose of 'base_link'")) == 1


def test_odometry_of_the_base_is_carried_to_the_camera_by_the_static_transforms(
    graph, start, tiny_model
):
    tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs comes with apt")
    from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
    from rclpy.qos import DurabilityPolicy, QoSProfile

    transform = TransformStamped(
        header=messages.to_header(0, BASE),
        child_frame_id=OPTICAL_FRAME,
        transform=Transform(
            translation=Vector3(x=0.3), rotation=Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
        ),
    )
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = graph.node.create_publisher(tf2_msgs.TFMessage, "/tf_static", latched)
    publisher.publish(tf2_msgs.TFMessage(transforms=[transform]))
    start(parameters=PARAMETERS)
    # The base drives along its x axis, which is the camera's z.
    assert play(graph, child=BASE) == pytest.approx(expected(tiny_model, moves=True), rel=1e-5)
