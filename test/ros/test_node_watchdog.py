"""The whole node on a live graph with an engine that hangs, and with a camera that falls silent."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from endless_model import with_endless_loop
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import (
    REPOSITORY,
    SECOND_NS,
    SIZE_HW,
    grey,
    image_message,
    pixels,
)
from sensor_msgs.msg import Image
from steady_camera import Camera
from tiny_model import write_tiny_model

from gam_depth_ros import messages

GREY, METRES, WHITE = 102, 5.2, 255
QUICK = {
    "scale.source": "fixed",
    "scale.fixed_value": 2.0,
    "engine.threads": 1,
    "watchdog.hang_s": 0.6,
    "watchdog.grace_s": 0.3,
}
DEPTH = "/gam_depth/depth/image"


@pytest.fixture
def hanging(start, tmp_path):
    """Start the node whose engine hangs on white pictures."""

    def run(**parameters):
        path = os.pathsep.join(str(REPOSITORY / name) for name in ("test", "gam_depth_ros"))
        env = {"HANGING_NODE": str(tmp_path), "PYTHONPATH": path}
        return start(parameters={**QUICK, **parameters}, module="hanging_node", env=env)

    return run


def send(graph, value, second):
    graph.send("/image", image_message(grey(value), second * SECOND_NS))


def stamps(inbox):
    return [messages.stamp_ns(message.header) // SECOND_NS for message in inbox]


def test_a_hung_engine_is_replaced_and_its_late_answer_is_never_published(
    graph, hanging, tmp_path
):
    node = hanging()
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    send(graph, GREY, 1)
    graph.spin_until(lambda: depths, "depth before the hang")

    send(graph, WHITE, 2)
    said = graph.diagnostics_after(lambda v: v["level"] == "2", "an error")
    assert "inference hangs: 0." in said["message"] or "inference hangs: 1." in said["message"]
    assert "0.6 s allowed" in said["message"]
    node.wait_for_line("new engine:")

    send(graph, GREY, 3)
    graph.spin_until(lambda: len(depths) == 2, "depth from the new engine")
    np.testing.assert_allclose(pixels(depths[1]), METRES, rtol=1e-5)

    (tmp_path / "release").touch()
    node.wait_for_line("its answer came after it was given up")
    send(graph, GREY, 4)
    graph.spin_until(lambda: len(depths) == 3, "depth after the late answer")
    graph.spin(0.3)
    assert stamps(depths) == [1, 3, 4]
    after = graph.diagnostics_after(
        lambda v: v["frames published"] == "3" and v["level"] == "0", "the sums, and all is well"
    )
    assert (after["frames in"], after["frames failed"], after["frames dropped"]) == ("4", "1", "0")
    assert after["engines replaced"] == "1"


def test_under_a_running_camera_it_recovers_by_itself_and_every_image_is_accounted_for(
    graph, hanging, tmp_path
):
    node = hanging()
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    send(graph, GREY, 1)
    camera = Camera(graph, {10: WHITE})
    white_ns = camera.stamp_ns(10)

    def published_ns():
        return [messages.stamp_ns(message.header) for message in depths]

    # Newest wins: on a busy machine the white image may be dropped, and another one must hang.
    graph.spin_until(lambda: depths and published_ns()[-1] > white_ns, "depth after it", 30.0)
    if not node.lines("new engine:"):
        pytest.skip("the white image was dropped before its turn")
    (tmp_path / "release").touch()
    node.wait_for_line("its answer came after it was given up")
    graph.spin(0.5)
    assert white_ns not in published_ns()
    assert published_ns() == sorted(set(published_ns()))
    sums = graph.diagnostics_after(lambda v: v["engines replaced"] == "1", "the sums")
    counts = [int(sums[f"frames {name}"]) for name in ("in", "published", "dropped", "failed")]
    assert 0 <= counts[0] - sum(counts[1:]) <= 2  # in the slot and in the worker's hand
    assert counts[3] == 1


def test_an_inference_that_onnx_runtime_can_end_is_ended_and_the_engine_kept(
    graph, start, tmp_path
):
    model = with_endless_loop(write_tiny_model(tmp_path / "endless.onnx", SIZE_HW))
    node = start(parameters={**QUICK, "model_path": str(model), "watchdog.grace_s": 5.0})
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    send(graph, WHITE, 1)
    node.wait_for_line("it is interrupted")
    send(graph, GREY, 2)
    graph.spin_until(lambda: depths, "depth from the same engine")
    assert stamps(depths) == [2]
    after = graph.diagnostics_after(lambda v: v["frames published"] == "1", "the sums")
    assert (after["engines replaced"], after["frames failed"]) == ("0", "1")
    assert "terminate flag" in node.wait_for_line("frame lost")


def test_engines_replaced_in_vain_are_an_error_that_stays(graph, hanging):
    node = hanging(**{"watchdog.max_replacements": 1})
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    send(graph, WHITE, 1)
    node.wait_for_line("new engine:")
    send(graph, WHITE, 2)
    node.wait_for_line("1 engines were replaced in vain: restart the node")
    graph.diagnostics_after(lambda v: "in vain" in v["message"], "the first report of it")
    graph.received["/diagnostics"].clear()
    said = graph.diagnostics_after(lambda _: True, "the next report")
    assert said["level"] == "2"
    assert "restart the node" in said["message"]
    assert len(node.lines("in vain")) == 1
    assert len(node.lines("new engine:")) == 1


def test_a_silent_topic_is_stale_with_its_qos_and_that_of_who_publishes_there(graph, start):
    reliable = {"qos_overrides./image.subscription.reliability": "reliable"}
    node = start(parameters={**QUICK, **reliable, "watchdog.stale_s": 0.5})
    said = graph.diagnostics_after(lambda v: v["level"] == "3", "a stale node")
    assert said["message"] == (
        "no message yet on /image (subscribed as sensor_msgs/msg/Image, reliable, volatile): "
        "nobody publishes there; check the driver, the remap and ROS_DOMAIN_ID"
    )
    assert said["last image (s ago)"] == "never"

    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    deaf = graph.node.create_publisher(Image, "/image", best_effort)
    said = graph.diagnostics_after(
        lambda v: "/probe offers" in v["message"], "the publisher's name", 30.0
    )
    assert "/probe offers best_effort, reliable is asked for" in said["message"]
    graph.node.destroy_publisher(deaf)

    send(graph, GREY, 1)
    node.wait_for_line("images arrive again")
    said = graph.diagnostics_after(
        lambda v: "no message on /image for" in v["message"], "stale again"
    )
    assert "/probe publishes it reliable, volatile, which fits" in said["message"]
    assert float(said["last image (s ago)"]) >= 0.5


def test_the_status_message_tells_what_diagnostics_tell(graph, start):
    interfaces = pytest.importorskip("gam_depth_msgs.msg", reason="gam_depth_msgs is not built")
    start(parameters={**QUICK, "watchdog.stale_s": 0.5})
    statuses = graph.listen(interfaces.PerceptionStatus, "/gam_depth/status")
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    send(graph, GREY, 1)
    graph.spin_until(lambda: depths, "depth")
    stale = interfaces.PerceptionStatus.STALE
    graph.spin_until(
        lambda: statuses and statuses[-1].level == stale and statuses[-1].frames_published == 1,
        "a status of the silence after one frame",
    )
    status = statuses[-1]
    assert status.health.startswith("no message on /image for ")
    ages_s = dict(zip(status.input_names, status.input_age_s, strict=True))
    assert ages_s["image"] >= 0.5
    assert math.isnan(ages_s["camera_info"])
    assert list(status.drop_reasons) == ["newer image", "ladder", "late stamp", "deactivated"]
    assert list(status.drop_counts) == [0, 0, 0, 0]
    assert (status.scale_state, status.scale_value) == ("LOCKED", 2.0)
    assert (list(status.given_up), list(status.picture)) == ([], [])
    assert status.engines_replaced == 0
    assert 20.0 < status.memory_mb < 700.0
