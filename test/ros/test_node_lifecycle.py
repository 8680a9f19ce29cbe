"""The node's life: transitions, signals, what it leaves behind, services and live parameters."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from ros_harness import (
    SECOND_NS,
    change_state,
    flat_depth,
    grey,
    image_message,
    pixels,
    set_parameter,
    state,
)
from sensor_msgs.msg import Image

GREY, METRES = 102, 5.2
FIXED = {"scale.source": "fixed", "scale.fixed_value": 2.0}


def test_the_whole_walk_publishes_only_while_active(graph, start):
    node = start(active=False, parameters={**FIXED, "autostart": False})
    depths = graph.listen(Image, "/gam_depth/depth/image")
    assert state(graph) == "unconfigured"
    for walk in range(2):
        assert change_state(graph, Transition.TRANSITION_CONFIGURE)
        assert state(graph) == "inactive"
        assert graph.node.count_subscribers("/image") == 0
        assert change_state(graph, Transition.TRANSITION_ACTIVATE)
        graph.spin(0.5)
        graph.send("/image", image_message(grey(GREY), (1 + walk) * SECOND_NS))
        graph.spin_until(lambda seen=walk: len(depths) > seen, "a depth image")
        np.testing.assert_allclose(pixels(depths[walk]), METRES, rtol=1e-5)
        assert change_state(graph, Transition.TRANSITION_DEACTIVATE)
        graph.send("/image", image_message(grey(GREY), 9 * SECOND_NS))
        graph.spin(0.3)
        assert len(depths) == walk + 1
        assert change_state(graph, Transition.TRANSITION_CLEANUP)
        assert state(graph) == "unconfigured"
    assert change_state(graph, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert node.process.wait(10) == 0
    assert not node.lines("Traceback")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_leaves_nothing_behind(graph, start, number):
    node = start(parameters=FIXED)
    graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    graph.send("/image", image_message(grey(GREY), SECOND_NS))
    graph.next("/gam_depth/depth/image")
    used = shared_memory_of(node.process.pid)
    assert node.stop(number) == 0
    # Its own segment is gone; what remains of the files it had open is the probe's.
    remaining = {path for path in used if Path(path).exists()}
    assert remaining < used
    assert remaining <= shared_memory_of("self")
    assert not node.lines("Traceback")


def shared_memory_of(process: int | str) -> set[str]:
    """Return the files of Fast DDS that a process has mapped."""
    lines = Path(f"/proc/{process}/maps").read_text().splitlines()
    return {line.split()[-1] for line in lines if "/dev/shm/fast" in line}


def test_a_refused_parameter_at_start_is_one_line_and_an_exit_status(start):
    node = start(active=False, parameters={"scale.max_age_s": -3.0})
    assert node.process.wait(20) == 1
    line = node.wait_for_line("[FATAL]")
    assert "scale.max_age_s" in line
    assert "0.1 to 3600" in line
    assert not node.lines("Traceback")


@pytest.mark.parametrize(
    ("override", "value", "expected"),
    [
        ("/gam_depth/points.publisher.reliability", "sometimes", "system_default, reliable"),
        ("/gam_depth/points.publisher.depth", -4, "0 to 10000"),
        ("/image.subscription.depth", "many", "0 to 10000"),
    ],
)
def test_a_refused_qos_override_is_one_line_at_configure_and_leaves_no_publisher(
    graph, start, override, value, expected
):
    name = f"qos_overrides.{override}"
    node = start(active=False, parameters={name: value})
    line = node.wait_for_line("[ERROR]")
    assert name in line
    assert expected in line
    assert state(graph) == "unconfigured"
    assert graph.node.count_publishers("/gam_depth/depth/image") == 0
    assert not node.lines("Traceback")
    assert len(node.lines("[ERROR]")) == 1


@pytest.mark.parametrize(
    "arguments",
    [("-p", "use_sim_time:=5"), ("--params-file", "/nowhere.yaml"), ("--no-such-flag",)],
)
def test_ros_arguments_that_cannot_be_read_are_one_line_and_an_exit_status(start, arguments):
    node = start(active=False, arguments=("--ros-args", *arguments, "--"))
    assert node.process.wait(20) == 1
    assert node.lines("got ") or node.lines("[FATAL]")
    assert not node.lines("Traceback")


def test_live_parameters_change_the_next_frame_and_others_are_refused_with_the_reason(graph, start):
    start(parameters=FIXED)
    graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    assert set_parameter(graph, "scale.fixed_value", 3.0).successful
    graph.send("/image", image_message(grey(GREY), SECOND_NS))
    np.testing.assert_allclose(pixels(graph.next("/gam_depth/depth/image")), 7.8, rtol=1e-5)
    assert set_parameter(graph, "depth_encoding", "16UC1").successful
    graph.send("/image", image_message(grey(GREY), 2 * SECOND_NS))
    assert (pixels(graph.next("/gam_depth/depth/image")) == 7800).all()

    refused = {
        "scale.fixed_value": (-1.0, "range"),
        "depth_encoding": ("32SC7", "expected one of 32FC1, 16UC1"),
        "min_depth_m": (10.0, "expected less than max_depth_m"),
        "engine.threads": (1, "the engine is built with it; clean up the node"),
        "image_rectified": (True, "deactivate the node"),
        "autostart": (False, "start the node anew"),
        "model_path": ("other.onnx", "call ~/reload_model"),
    }
    for name, (value, reason) in refused.items():
        result = set_parameter(graph, name, value)
        assert not result.successful
        assert reason in result.reason
    graph.send("/image", image_message(grey(GREY), 3 * SECOND_NS))
    assert (pixels(graph.next("/gam_depth/depth/image")) == 7800).all()
    # Another source starts anew: nothing is known until a reference came.
    assert set_parameter(graph, "scale.source", "median_reference").successful
    graph.send("/image", image_message(grey(GREY), 4 * SECOND_NS))
    assert (pixels(graph.next("/gam_depth/depth/image")) == 0).all()


def test_reset_scale_forgets_and_the_topics_of_our_own_messages_say_so(graph, start):
    messages = pytest.importorskip("gam_depth_msgs.msg", reason="gam_depth_msgs is not built")
    services = pytest.importorskip("gam_depth_msgs.srv")
    start()
    graph.listen(messages.ScaleStatus, "/gam_depth/scale")
    statuses = graph.listen(messages.PerceptionStatus, "/gam_depth/status")
    graph.wait_for_publisher("/gam_depth/scale")

    def scale_at(stamp_ns):
        graph.send("/reference_depth", flat_depth(1300, stamp_ns))
        graph.spin(0.05)
        graph.send("/image", image_message(grey(GREY), stamp_ns))
        return graph.next("/gam_depth/scale")

    first = scale_at(SECOND_NS)
    assert first.state == messages.ScaleStatus.UNKNOWN
    assert np.isnan(first.value)
    assert first.reason == "no reference depth accepted yet"
    second = scale_at(SECOND_NS + 100_000_000)
    assert second.state == messages.ScaleStatus.ACQUIRING
    assert second.reason == "1 of 2 references that agree"
    third = scale_at(SECOND_NS + 200_000_000)
    assert third.state == messages.ScaleStatus.LOCKED
    assert third.value == pytest.approx(0.5, rel=1e-4)
    assert 0.0 < third.sigma_log < 1.0
    assert third.age_s == pytest.approx(0.1)
    answer = graph.call(
        services.ResetScale, "/gam_depth/reset_scale", services.ResetScale.Request()
    )
    assert answer.success
    assert scale_at(SECOND_NS + 300_000_000).state == messages.ScaleStatus.UNKNOWN
    # A report may fall between a frame's arrival and its end.
    graph.spin_until(lambda: statuses and statuses[-1].frames_published == 4, "a status of four")
    status = statuses[-1]
    assert (status.model_name, status.frames_published, status.frames_dropped) == ("tiny", 4, 0)
    assert len(status.model_sha256) == 64
    assert status.provider == "CPUExecutionProvider"
    assert list(status.stage_names).count("engine") == 1
    assert len(status.stage_p50_ms) == len(status.stage_p99_ms) == len(status.stage_names)
    assert status.health.startswith("OK; waiting for camera_info on /camera_info: no ~/points")
