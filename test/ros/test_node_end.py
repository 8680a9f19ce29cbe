"""How the node's process ends where it was not told to by a signal."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import change_state
from tiny_model import write_tiny_model

from gam_depth_ros import messages, topics

SUCCESS = TransitionCallbackReturn.SUCCESS
REPOSITORY = Path(__file__).parents[2]
TEST = f"{REPOSITORY / 'test'}:{REPOSITORY / 'gam_depth_ros'}"


@pytest.mark.parametrize("where", ["timer", "service"])
def test_an_unexpected_error_in_a_callback_ends_the_node_in_order_with_status_one(
    graph, start, where
):
    if where == "service" and messages.ResetScale is None:
        pytest.skip("gam_depth_msgs is not built")
    process = start(module="broken_node", env={"BROKEN_NODE": where, "PYTHONPATH": TEST})
    if where == "service":
        graph.spin_until(lambda: graph.node.count_services("/gam_depth/reset_scale"), "it")
        client = graph.node.create_client(messages.ResetScale, "/gam_depth/reset_scale")
        graph.spin_until(client.service_is_ready, "reset_scale", 30.0)
        client.call_async(messages.ResetScale.Request())
    assert process.process.wait(30.0) == 1
    (line,) = process.lines("the node ends")
    assert "unexpected error RuntimeError('out of luck') in a callback" in line
    assert process.lines("broken node: destroyed")


def test_a_shutdown_while_a_model_loads_answers_who_asked_for_it(graph, start, tmp_path):
    if messages.ReloadModel is None:
        pytest.skip("gam_depth_msgs is not built")
    process = start(module="broken_node", env={"BROKEN_NODE": "load", "PYTHONPATH": TEST})
    client = graph.node.create_client(messages.ReloadModel, "/gam_depth/reload_model")
    graph.spin_until(client.service_is_ready, "reload_model", 30.0)
    other = write_tiny_model(tmp_path / "other.onnx", depth_offset=3.0)
    answer = client.call_async(messages.ReloadModel.Request(model_path=str(other)))
    graph.diagnostics_after(lambda v: v["reload"].startswith("loading"), "a reload under way")
    change_state(graph, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    graph.spin_until(answer.done, "an answer", 10.0)
    assert not answer.result().success
    assert "deactivated" in answer.result().message
    assert process.process.wait(30.0) == 0


def test_what_the_ladder_withheld_is_not_withheld_after_the_next_activation(node):
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    node._perceiver._outputs.withheld = frozenset({topics.POINTS.name})
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    assert node._perceiver._outputs.withheld == frozenset()
