"""Every transition of the node, its faults, and what it leaves in memory."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from plain_pipeline import PLAIN_PARAMETERS
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_harness import SECOND_NS, change_state, grey, image_message
from sensor_msgs.msg import Image
from tiny_model import write_tiny_model

from gam_depth_ros.parameters import specs
from gam_depth_ros.perceiver import Perceiver

DEPTH = "/gam_depth/depth/image"
STARTED_WITH = {"model_path", "autostart", *PLAIN_PARAMETERS}  # what the fixture sets


def state_of(node):
    return node._state_machine.current_state[1]


def resident_mb(process):
    pages = int(Path(f"/proc/{process.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def workers():
    return [one for one in threading.enumerate() if one.name == "gam_depth_worker"]


@pytest.mark.parametrize(
    ("transition", "owner", "method"),
    [
        ("configure", Perceiver, "__init__"),
        ("activate", Perceiver, "start"),
        ("deactivate", Perceiver, "stop"),
        ("cleanup", Perceiver, "destroy"),
    ],
)
def test_a_transition_that_raises_ends_unconfigured_with_a_line_and_can_be_tried_again(
    node, monkeypatch, transition, owner, method
):
    walk = ["configure", "activate", "deactivate", "cleanup"]
    for step in walk[: walk.index(transition)]:
        assert getattr(node, f"trigger_{step}")() == TransitionCallbackReturn.SUCCESS
    healthy, calls = getattr(owner, method), []

    def fails_once(*args, **kwargs):
        calls.append(method)
        if len(calls) == 1:
            raise RuntimeError("out of luck")
        return healthy(*args, **kwargs)

    monkeypatch.setattr(owner, method, fails_once)
    getattr(node, f"trigger_{transition}")()
    assert state_of(node) == "unconfigured"
    assert "configure again" in node._health.problem
    assert not workers()
    assert node.count_publishers(DEPTH) == 0
    for step in walk:
        assert getattr(node, f"trigger_{step}")() == TransitionCallbackReturn.SUCCESS
    assert node._health.problem == ""


def test_a_model_that_cannot_be_loaded_leaves_it_unconfigured_and_says_why(node, tmp_path):
    node.set_parameters([Parameter("model_path", value=str(tmp_path / "none.onnx"))])
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert state_of(node) == "unconfigured"
    assert "none.onnx" in node._health.problem
    assert node.count_publishers(DEPTH) == 0


@pytest.mark.parametrize("steps", [(), ("configure",), ("configure", "activate")])
def test_shutdown_from_every_state_leaves_no_thread_and_no_publisher(node, steps):
    for step in steps:
        getattr(node, f"trigger_{step}")()
    assert node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
    assert state_of(node) == "finalized"
    assert node.finished
    assert not workers()
    assert node.count_publishers(DEPTH) == 0


def test_deactivate_finishes_the_frame_in_hand_and_keeps_the_model(node):
    node.trigger_configure()
    node.trigger_activate()
    pipeline = node._perceiver.exchange.current
    node.trigger_deactivate()
    assert not workers()
    assert node.count_subscribers("/image") == 0
    node.trigger_activate()
    assert node._perceiver.exchange.current is pipeline


def other_value(spec):
    """A valid value near the default that is not the default."""
    value = spec.default
    if isinstance(value, bool):
        return not value
    if spec.choices:
        return next(choice for choice in spec.choices if choice != value)
    if isinstance(value, str):
        return "another"
    if isinstance(value, tuple) and isinstance(value[0], float):
        return [1.0, *(0.0 for _ in value[1:])]  # a place, or a half turn
    if isinstance(value, tuple):
        return list(value[:1]) if len(value) > 1 else ["cuda", "cpu"]
    step = 1 if isinstance(value, int) else max(0.01, abs(value) * 0.01)
    return value + step if spec.maximum is None or value + step <= spec.maximum else value - step


def test_every_parameter_is_taken_over_at_once_or_refused_with_its_moment(node):
    rows = [spec for spec in specs() if spec.name not in STARTED_WITH]

    def put(spec, value):
        return node.set_parameters([Parameter(spec.name, value=list_of(value))])[0]

    for steps, open_moments in (
        ((), {"configure", "activate"}),
        (("configure",), {"activate"}),
        (("activate",), set()),
    ):
        for step in steps:
            assert getattr(node, f"trigger_{step}")() == TransitionCallbackReturn.SUCCESS
        for spec in rows:
            result, moment = put(spec, other_value(spec)), spec.moment
            if moment is None or moment.before in open_moments:
                assert result.successful, result.reason
                assert put(spec, spec.default).successful
                continue
            assert not result.successful, spec.name
            assert f"expected one before {moment.before}: {moment.why}" in result.reason
            assert result.reason.endswith(moment.remedy)
            # The value it has is no change.
            assert put(spec, spec.default).successful


def test_every_live_parameter_of_the_pipeline_reaches_the_running_one(node):
    node.trigger_configure()
    node.trigger_activate()
    pipeline = node._perceiver.exchange.current
    for spec in specs():
        if spec.moment is None and spec.name not in STARTED_WITH:
            value = other_value(spec)
            assert node.set_parameters([Parameter(spec.name, value=value)])[0].successful
            assert pipeline.config == node._config.pipeline
            node.set_parameters([Parameter(spec.name, value=list_of(spec.default))])
    assert pipeline.config == node._config.pipeline


def list_of(value):
    return list(value) if isinstance(value, tuple) else value


def test_cleanup_gives_the_memory_back_cycle_after_cycle(graph, start, tmp_path):
    large = write_tiny_model(tmp_path / "large.onnx", (1200, 1600))
    node = start(
        active=False,
        parameters={
            "model_path": str(large),
            "autostart": False,
            "engine.threads": 1,
            "scale.source": "fixed",
        },
    )
    graph.spin_until(lambda: graph.node.count_publishers("/diagnostics") > 0, "the node", 30.0)
    depths = graph.listen(Image, DEPTH)

    before_mb, configured_mb, cleaned_mb = resident_mb(node), [], []
    for walk in range(3):
        assert change_state(graph, Transition.TRANSITION_CONFIGURE)
        assert change_state(graph, Transition.TRANSITION_ACTIVATE)
        graph.wait_for_publisher(DEPTH)
        graph.spin(0.3)
        graph.send("/image", image_message(grey(102), (1 + walk) * SECOND_NS))
        graph.spin_until(lambda seen=walk: len(depths) > seen, "a depth image")
        configured_mb.append(resident_mb(node))
        assert change_state(graph, Transition.TRANSITION_DEACTIVATE)
        assert change_state(graph, Transition.TRANSITION_CLEANUP)
        cleaned_mb.append(resident_mb(node))
    used_mb = min(configured_mb) - before_mb
    assert used_mb > 20.0
    # The first walk also loads libraries, which stay.
    assert max(cleaned_mb) - before_mb < 0.5 * used_mb
    assert abs(cleaned_mb[2] - cleaned_mb[1]) < 0.1 * used_mb


def test_reloads_leave_no_memory_behind(graph, start, tmp_path):
    services = pytest.importorskip("gam_depth_msgs.srv", reason="gam_depth_msgs is not built")
    large = write_tiny_model(tmp_path / "large.onnx", (1200, 1600))
    parameters = {"engine.threads": 1, "model_path": str(large), "reload.probation_frames": 0}
    node = start(parameters=parameters)
    request = services.ReloadModel.Request(model_path=str(large))
    held_mb = []
    for _ in range(4):
        answer = graph.call(services.ReloadModel, "/gam_depth/reload_model", request, 30.0)
        assert answer.success, answer.message
        held_mb.append(resident_mb(node))
    # The former model goes while the answer is on its way; what is lost would stay.
    graph.spin_until(lambda: resident_mb(node) - held_mb[1] < 8.0, "the memory of the former ones")
