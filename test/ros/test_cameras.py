"""The node in front of each camera driver, on a live graph: values asserted, not mere arrival."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fake_drivers
import numpy as np
import pytest
from fake_drivers import WALL_M, Lens
from ros_harness import SECOND_NS, pixels, set_parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tiny_model import DARK_ID

from gam_depth_ros import messages
from gam_depth_ros.camera_file import INPUTS, read_camera
from gam_depth_ros.core.camera import CLOUD_DTYPE
from gam_depth_ros.core.distortion import project

CAMERAS = Path(__file__).resolve().parents[2] / "config/cameras"
GREY = 102
PATIENCE = 20  # frames: the scale wants references that agree, and a slow machine loses some
OUT = "/gam_depth/depth/image"


def camera_file(name):
    """The topics and parameters of config/cameras, as the launch files apply them."""
    camera = read_camera(name, CAMERAS)
    return {INPUTS[key]: topic for key, topic in camera.resolved().items()}, flat(camera.parameters)


def flat(parameters, prefix=""):
    found = {}
    for name, value in parameters.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


class Rig:
    """A node started with a camera's file, and the fake driver in front of it."""

    def __init__(self, graph, start, name, driver, parameters=None):
        remap, quirks = camera_file(name)
        self.node = start(parameters={**quirks, **(parameters or {})}, remap=remap)
        self.graph, self.driver = graph, driver
        graph.listen(Image, OUT)
        self.stamp_ns = 100 * SECOND_NS
        self.publish = driver.start(graph.node)
        inputs = driver.image, driver.depth, driver.camera_info, driver.depth_info
        for topic in filter(None, inputs):
            graph.spin_until(lambda t=topic: graph.node.count_subscribers(t) > 0, topic)
        graph.wait_for_publisher(OUT)
        graph.spin(0.3)

    def depth(self):
        """Publish the next instant and return what comes of it."""
        self.stamp_ns += SECOND_NS // 10
        self.publish(self.stamp_ns, GREY)
        return self.graph.next(OUT)

    def metric_depth(self):
        """Publish until the scale is known and return the depth image of that instant."""
        for _ in range(PATIENCE):
            depth = self.depth()
            if not np.isnan(pixels(depth)).all():
                return depth
        raise AssertionError(f"no metric depth after {PATIENCE} frames:\n{self.node.log}")

    def newest(self, topic):
        """Return the message of the last instant on a topic."""
        while messages.stamp_ns((message := self.graph.next(topic)).header) < self.stamp_ns:
            pass
        return message


@pytest.mark.parametrize("name", ["realsense", "azure_kinect", "kinect_v2", "orbbec"])
def test_depth_is_metric_after_the_first_reference_of_each_driver(graph, start, name):
    driver = fake_drivers.ALL[name]()
    rig = Rig(graph, start, name, driver)
    graph.listen(PointCloud2, "/gam_depth/points")
    graph.listen(CameraInfo, "/gam_depth/depth/camera_info")
    graph.wait_for_publisher("/gam_depth/points")
    assert np.isnan(pixels(rig.depth())).all()  # a reference serves only later images
    depth = rig.metric_depth()
    assert (depth.height, depth.width) == driver.color.size_hw
    assert messages.stamp_ns(depth.header) == rig.stamp_ns
    assert depth.header.frame_id == driver.color_frame
    np.testing.assert_allclose(pixels(depth), WALL_M, rtol=1e-3)
    seen_through = replace(driver.color, distortion=()) if name == "kinect_v2" else driver.color
    assert_cloud_lies_on_the_rays(rig.newest("/gam_depth/points"), seen_through)
    info = rig.newest("/gam_depth/depth/camera_info")
    assert info.distortion_model == driver.color.model
    assert list(info.d) == list(driver.color.distortion)
    assert not said(rig.node)


def assert_cloud_lies_on_the_rays(cloud, lens):
    """Projected through the lens of the driver's calibration, points are on the input's pixels."""
    points = np.frombuffer(cloud.data, CLOUD_DTYPE).reshape(lens.size_hw)
    camera = messages.to_intrinsics(lens.info(0, ""))
    column, row = project(points["x"] / points["z"], points["y"] / points["z"], camera)
    rows, columns = np.mgrid[: lens.size_hw[0], : lens.size_hw[1]]
    np.testing.assert_allclose(column, columns, atol=0.05)
    np.testing.assert_allclose(row, rows, atol=0.05)


def test_kinect_v1_gets_stamps_a_frame_and_registration_from_its_camera_file(graph, start):
    rig = Rig(graph, start, "kinect_v1", fake_drivers.kinect_v1())
    for _ in range(PATIENCE):
        # The depth's stamps are by another clock: it is paired by receipt, as the image is.
        rig.stamp_ns = graph.node.get_clock().now().nanoseconds - 3 * SECOND_NS
        depth = rig.depth()
        if not np.isnan(pixels(depth)).any():
            break
    np.testing.assert_allclose(pixels(depth), WALL_M, rtol=1e-3)
    assert depth.header.frame_id == "kinect_rgb"
    assert 0 <= graph.node.get_clock().now().nanoseconds - messages.stamp_ns(depth.header) < 5e9
    for words in ("image: got stamp zero", "image: got an empty frame_id"):
        assert len(rig.node.lines(words)) == 1, words


def test_unregistered_depth_of_unknown_pose_is_refused_and_the_labels_go_on(graph, start):
    driver = fake_drivers.orbbec_unregistered()
    rig = Rig(graph, start, "orbbec", driver)
    masks = graph.listen(Image, "/gam_depth/semantics/mask")
    graph.wait_for_publisher("/gam_depth/semantics/mask")
    for _ in range(3):
        assert np.isnan(pixels(rig.depth())).all()
    line = rig.node.wait_for_line("reference depth refused")
    for words in ("'camera_depth_optical_frame'", "/tf_static", "registration.extrinsics"):
        assert words in line
    graph.spin_until(lambda: len(masks) == 3, "a mask for each image")
    assert set(np.unique(pixels(masks[-1]))) == {DARK_ID}


def test_extrinsics_given_as_parameters_register_and_change_live(graph, start):
    # The depth camera stands 0.5 m in front of the colour camera: its 2 m are 2.5 m from there.
    pose = {
        "registration.extrinsics": "parameters",
        "registration.translation_m": [0.0, 0.0, 0.5],
    }
    driver = fake_drivers.realsense_unaligned()
    rig = Rig(graph, start, "realsense_unaligned", driver, pose)
    np.testing.assert_allclose(pixels(rig.metric_depth()), WALL_M + 0.5, rtol=1e-3)
    assert set_parameter(graph, "registration.translation_m", [0.0, 0.0, 0.25]).successful
    rig.stamp_ns += 20 * SECOND_NS  # the old scale is too old by then
    np.testing.assert_allclose(pixels(rig.metric_depth()), WALL_M + 0.25, rtol=1e-3)
    refused = set_parameter(graph, "registration.rotation_xyzw", [0.0, 0.0, 0.0, 3.0])
    assert not refused.successful
    assert "registration.rotation_xyzw: got" in refused.reason
    assert "expected a unit quaternion" in refused.reason
    assert not said(rig.node)


def test_the_drivers_static_transforms_register_its_depth(graph, start):
    tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs comes with apt")
    from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
    from rclpy.qos import DurabilityPolicy, QoSProfile

    def pose(parent, child, z):
        return TransformStamped(
            header=messages.to_header(0, parent),
            child_frame_id=child,
            transform=Transform(translation=Vector3(z=z), rotation=Quaternion(w=1.0)),
        )

    driver = fake_drivers.realsense_unaligned()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    # Two publishers, as a driver and a robot description are, before the node is there.
    for child, z in ((driver.color_frame, 0.1), (driver.depth_frame, 0.6)):
        publisher = graph.node.create_publisher(tf2_msgs.TFMessage, "/tf_static", latched)
        publisher.publish(tf2_msgs.TFMessage(transforms=[pose("camera_link", child, z)]))
    rig = Rig(graph, start, "realsense_unaligned", driver)
    np.testing.assert_allclose(pixels(rig.metric_depth()), WALL_M + 0.5, rtol=1e-3)


def test_depth_in_metres_and_of_half_the_size_serves_as_well(graph, start):
    driver = fake_drivers.azure_kinect()
    half = Lens((360, 640), 301.4, (317.5, 184.8), driver.color.model, driver.color.distortion)
    driver = replace(driver, depth_encoding="32FC1", depth_lens=half)
    rig = Rig(graph, start, "azure_kinect", driver)
    np.testing.assert_allclose(pixels(rig.metric_depth()), WALL_M, rtol=1e-3)
    assert not said(rig.node)


def test_without_camera_info_depth_and_labels_go_on_and_the_status_says_what_is_missing(
    graph, start
):
    driver = replace(fake_drivers.realsense(), camera_info="", depth_info="")
    rig = Rig(graph, start, "realsense", driver)
    masks = graph.listen(Image, "/gam_depth/semantics/mask")
    clouds = graph.listen(PointCloud2, "/gam_depth/points")
    graph.wait_for_publisher("/gam_depth/semantics/mask")
    np.testing.assert_allclose(pixels(rig.metric_depth()), WALL_M, rtol=1e-3)
    graph.spin_until(lambda: masks, "a mask")
    report = graph.diagnostics_after(lambda v: v["frames published"] != "0", "a frame")
    assert "waiting for camera_info on /camera/camera/color/camera_info" in report["message"]
    assert "no ~/points" in report["message"]
    assert not clouds


def test_resolution_and_calibration_may_change_in_mid_run(graph, start):
    rig = Rig(graph, start, "realsense", fake_drivers.realsense())
    graph.listen(PointCloud2, "/gam_depth/points")
    graph.wait_for_publisher("/gam_depth/points")
    rig.metric_depth()
    small = Lens((240, 424), 306.0, (211.5, 119.5))
    smaller = replace(rig.driver, color=small, depth_lens=small)
    for topic, message in smaller.frame(rig.stamp_ns, GREY).items():
        if message.__class__ is CameraInfo:  # a driver that restarts sends them anew
            graph.send(topic, message)
    graph.spin(0.2)
    rig.stamp_ns += SECOND_NS // 10
    for topic, message in smaller.frame(rig.stamp_ns, GREY).items():
        graph.send(topic, message)
    depth = graph.next(OUT)
    assert (depth.height, depth.width) == (240, 424)
    np.testing.assert_allclose(pixels(depth), WALL_M, rtol=1e-3)
    assert_cloud_lies_on_the_rays(rig.newest("/gam_depth/points"), small)
    assert "changed from 640x480 fx 615.3" in rig.node.wait_for_line("camera info: changed")


def said(node):
    """Warnings and errors of the node itself."""
    return [line for line in node.lines("[gam_depth]") if not line.startswith("[INFO]")]
