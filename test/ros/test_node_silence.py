"""Inputs beside the images that stop, or cannot be heard: named with topic and QoS, and no more."""

from __future__ import annotations

import time

import pytest
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import SECOND_NS, camera_info, diagnostic_values, grey, image_message
from sensor_msgs.msg import Image

QUICK = {"scale.source": "fixed", "scale.fixed_value": 2.0, "watchdog.stale_s": 1.0}
OFFERED = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def camera(graph):
    """Sends images at 10 Hz, and what else is on, until a report is as asked for."""
    sent = []

    def until(report, *others, timeout_s=20.0):
        graph.received["/diagnostics"].clear()
        end_s = time.monotonic() + timeout_s
        while True:
            stamp_ns = SECOND_NS + len(sent) * SECOND_NS // 10
            sent.append(stamp_ns)
            graph.send("/image", image_message(grey(100), stamp_ns))
            for other in others:
                other()
            graph.spin(0.1)
            for array in graph.received["/diagnostics"]:
                if report(values := diagnostic_values(array)):
                    return values
            graph.received["/diagnostics"].clear()
            assert time.monotonic() < end_s

    return until


def named(values):
    return [line for key, line in values.items() if key.startswith("silent input")]


def test_an_input_that_stopped_is_a_warning_with_topic_and_quality_of_service(graph, start, camera):
    node = start(parameters=QUICK)
    interfaces = pytest.importorskip("gam_depth_msgs.msg", reason="gam_depth_msgs is not built")
    statuses = graph.listen(interfaces.PerceptionStatus, "/gam_depth/status")
    info, odometry = camera_info(), Odometry(child_frame_id="base")
    said = camera(
        lambda v: "never" not in (v["last camera_info (s ago)"], v["last odometry (s ago)"]),
        lambda: graph.send("/camera_info", info),
        lambda: graph.send("/odometry", odometry),
    )
    assert not named(said)
    said = camera(lambda v: len(named(v)) == 1, lambda: graph.send("/odometry", odometry))
    (line,) = named(said)
    assert line.startswith("no message on /camera_info for ")
    assert "(subscribed as sensor_msgs/msg/CameraInfo, best_effort, volatile)" in line
    assert line in said["message"]
    assert said["level"] == "1"
    said = camera(
        lambda v: bool(v["frames in"]) and not named(v),
        lambda: graph.send("/odometry", odometry),
        lambda: graph.send("/camera_info", info),
    )
    assert node.lines("no message on /camera_info")
    assert any(line in list(one.silent_inputs) for one in statuses)
    assert list(statuses[-1].qos_faults) == []
    assert statuses[-1].reload == ""


def test_an_input_that_cannot_be_heard_is_named_and_one_nobody_publishes_is_not(
    graph, start, camera
):
    asked = "qos_overrides./reference_depth.subscription.reliability"
    start(parameters={**QUICK, asked: "reliable"})
    deaf = graph.node.create_publisher(Image, "/reference_depth", OFFERED)
    said = camera(lambda v: bool(named(v)))
    (line,) = named(said)
    assert line.startswith("no message yet on /reference_depth (subscribed as sensor_msgs/msg/Im")
    assert "/probe offers best_effort, reliable is asked for" in line
    assert said["QoS fault 1"].startswith("/reference_depth: /probe to /gam_depth")
    assert said["level"] == "1"
    graph.node.destroy_publisher(deaf)


def test_what_came_once_is_not_missed(graph, start, camera):
    start(parameters=QUICK)
    graph.send("/camera_info", camera_info())
    said = camera(lambda v: float(v["last camera_info (s ago)"].replace("never", "0")) > 2.5)
    assert not named(said)
