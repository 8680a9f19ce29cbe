"""``~/reload_model`` on the live graph: under 30 Hz, refused, taken back, cancelled."""

from __future__ import annotations

import time

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import GetParameters
from ros_harness import (
    SECOND_NS,
    change_state,
    grey,
    image_message,
    pixels,
    state,
)
from sensor_msgs.msg import Image
from tiny_model import write_tiny_model

from gam_depth_ros import messages

services = pytest.importorskip("gam_depth_msgs.srv", reason="gam_depth_msgs is not built")
if not hasattr(services, "ReloadModel"):
    pytest.skip("gam_depth_msgs is older than ~/reload_model: make setup", allow_module_level=True)

SERVICE, DEPTH = "/gam_depth/reload_model", "/gam_depth/depth/image"
GREY = 102
# Depth of that grey by the model at start and by the other one, scale 2.
FIRST_M, OTHER_M = 5.2, 9.2
PERIOD_S = 1 / 30
PARAMETERS = {
    "scale.source": "fixed",
    "scale.fixed_value": 2.0,
    "max_depth_m": 50.0,
    "engine.threads": 1,
    # Nothing may be lost on the way: then every frame is accounted for by the node.
    "qos_overrides./image.subscription.reliability": "reliable",
    "qos_overrides./image.subscription.depth": 100,
}


class Load:
    """A camera at 30 Hz."""

    def __init__(self, graph):
        self.graph, self.sent_ns, self.due_s = graph, [], time.monotonic()

    def turn(self):
        """Send what is due, and take in what has come."""
        if time.monotonic() >= self.due_s:
            self.due_s = time.monotonic() + PERIOD_S  # a late camera does not catch up
            stamp_ns = SECOND_NS + len(self.sent_ns) * SECOND_NS // 30
            self.sent_ns.append(stamp_ns)
            self.graph.send("/image", image_message(grey(GREY), stamp_ns))
        self.graph.spin(0.003)

    def until(self, met, timeout_s=20.0):
        end_s = time.monotonic() + timeout_s
        while not met():
            assert time.monotonic() < end_s
            self.turn()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "other": write_tiny_model(folder / "other.onnx", depth_offset=3.0),
        "vague": write_tiny_model(folder / "vague.onnx", depth_offset=3.0, sigma=3.0),
        "foreign": write_tiny_model(folder / "foreign.onnx", no_metadata=True),
    }


@pytest.fixture
def ask(graph):
    """Ask for a reload without waiting for the answer."""
    client = graph.node.create_client(services.ReloadModel, SERVICE)

    def request(**fields):
        graph.spin_until(client.service_is_ready, SERVICE, 30.0)
        return client.call_async(services.ReloadModel.Request(**fields))

    yield request
    graph.node.destroy_client(client)


def metres(depths):
    """The first pixel of each depth image."""
    return np.array([pixels(depth)[0, 0] for depth in depths])


def test_under_thirty_hertz_the_swap_costs_no_frame_beyond_those_dropped_for_load(
    graph, start, models, ask
):
    node = start(parameters={**PARAMETERS, "reload.probation_frames": 10})
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    load = Load(graph)
    load.until(lambda: len(depths) >= 10)
    answer = ask(model_path=str(models["other"]), shadow_frames=15)
    load.until(answer.done)
    result = answer.result()
    assert result.success, result.message
    assert (result.frames_compared, len(result.model_sha256)) == (15, 64)
    assert result.scale_ratio == pytest.approx(OTHER_M / FIRST_M, rel=1e-3)
    assert result.depth_difference == pytest.approx(0.0, abs=1e-5)
    assert result.label_agreement == 1.0
    assert 0.0 < result.latency_ms < 500.0
    seen = len(depths)
    load.until(lambda: len(depths) >= seen + 10)
    graph.spin(0.3)

    report = graph.diagnostics_after(
        lambda v: (
            v.get("frames in") == str(len(load.sent_ns))
            and int(v["frames published"]) + int(v["frames dropped"]) == len(load.sent_ns)
        ),
        "every frame published or dropped",
    )
    assert report["frames failed"] == "0"
    assert report["model path"].endswith("other.onnx")
    assert report["reload"] == result.message
    assert len(depths) == int(report["frames published"])
    # The tiny networks leave time for every frame, a busy machine does not: about 0 when quiet.
    assert int(report["frames dropped"]) <= len(load.sent_ns) // 3
    got_m = metres(depths)
    swap = int(np.argmax(got_m > 7.0))
    np.testing.assert_allclose(got_m[:swap], FIRST_M, rtol=1e-5)
    np.testing.assert_allclose(got_m[swap:], OTHER_M, rtol=1e-5)
    assert 10 <= swap < len(depths) - 10
    stamps = [messages.stamp_ns(depth.header) for depth in depths]
    assert stamps == sorted(set(stamps))
    values = graph.call(
        GetParameters,
        "/gam_depth/get_parameters",
        GetParameters.Request(names=["model_path"]),
    ).values
    assert values[0].string_value == str(models["other"])
    assert not node.lines("Traceback")


def test_models_that_fail_are_refused_or_taken_back_and_the_running_one_goes_on(
    graph, start, models, ask
):
    start(parameters={**PARAMETERS, "reload.probation_frames": 5})
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    load = Load(graph)
    load.until(lambda: len(depths) >= 2)
    for model, shadow, reason in (
        ("foreign", 0, "gam_depth_model_spec"),
        ("vague", 3, "sigma"),
        ("vague", 0, "sigma"),
    ):
        answer = ask(model_path=str(models[model]), shadow_frames=shadow)
        load.until(answer.done)
        result = answer.result()
        assert not result.success
        assert reason in result.message
        assert "tiny.onnx goes on" in result.message
        seen = len(depths)
        load.until(lambda seen=seen: len(depths) >= seen + 3)
        np.testing.assert_allclose(metres(depths[-1:]), FIRST_M, rtol=1e-5)


def test_one_reload_at_a_time_none_unconfigured_and_a_deactivation_ends_it_with_an_answer(
    graph, start, models, ask
):
    start(active=False, parameters={**PARAMETERS, "autostart": False})
    answer = ask(model_path=str(models["other"]))
    graph.spin_until(answer.done, "an answer")
    assert "not configured" in answer.result().message
    assert change_state(graph, Transition.TRANSITION_CONFIGURE)
    assert change_state(graph, Transition.TRANSITION_ACTIVATE)
    # Nobody sends an image: the comparison waits, and everything else is still served.
    first = ask(model_path=str(models["other"]), shadow_frames=3)
    graph.spin(0.5)
    second = ask(model_path=str(models["other"]))
    graph.spin_until(second.done, "an answer to the second")
    assert "one at a time" in second.result().message
    assert state(graph) == "active"
    assert not first.done()
    graph.diagnostics_after(lambda v: v["reload"] == "comparing, 0 of 3 frames", "its progress")
    assert change_state(graph, Transition.TRANSITION_DEACTIVATE)
    graph.spin_until(first.done, "an answer to the first")
    assert not first.result().success
    assert "deactivated" in first.result().message
    # While inactive there is nothing to compare or to watch: the model is loaded and kept.
    third = ask(model_path=str(models["other"]))
    graph.spin_until(third.done, "an answer to the third")
    assert third.result().success, third.result().message
    assert np.isnan(third.result().scale_ratio)
    assert change_state(graph, Transition.TRANSITION_CLEANUP)
    # The next configure loads what was in use.
    assert change_state(graph, Transition.TRANSITION_CONFIGURE)
    graph.received["/diagnostics"].clear()
    report = graph.diagnostics_after(lambda v: bool(v.get("model path")), "a report")
    assert report["model path"].endswith("other.onnx")


def test_a_signal_while_a_reload_waits_ends_the_node_at_once(graph, start, models, ask):
    node = start(parameters={**PARAMETERS, "reload.frame_wait_s": 600.0})
    waits = ask(model_path=str(models["other"]), shadow_frames=3)
    graph.diagnostics_after(lambda v: v["reload"].startswith("comparing"), "a reload under way")
    assert node.stop() == 0
    assert not waits.done()
    assert not node.lines("Traceback")
    assert not node.lines("never awaited")
