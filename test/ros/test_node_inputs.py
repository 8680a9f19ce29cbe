"""What arrives at the node, handed to its subscriptions in this process."""

from __future__ import annotations

import math

import pytest
from ros_harness import camera_info
from sensor_msgs.msg import CameraInfo

from gam_depth_ros.calibration import Calibration


@pytest.fixture
def subscriptions(node):
    """The callbacks of the active node, by topic."""
    node.trigger_configure()
    node.trigger_activate()
    rows = node._perceiver._inputs._subscriptions
    return {row.topic_name: row.callback for row in rows}


def test_what_a_callback_raises_costs_its_message_and_not_the_node(
    node, subscriptions, monkeypatch, capfd
):
    def fails(_self, _info):
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(node._throttle, "_period_s", math.inf)  # whatever the machine is busy with
    with monkeypatch.context() as patch:
        patch.setattr(Calibration, "update", fails)
        for _ in range(3):
            subscriptions["/camera_info"](camera_info())
    line = "camera_info: unexpected error ZeroDivisionError('float division by zero'); this message"
    said = capfd.readouterr().err
    assert said.count(line) == 1
    assert said.count("Traceback") == 1
    assert f"{line} is not used" in node._health.snapshot().notes
    subscriptions["/camera_info"](camera_info())
    assert node._perceiver._inputs.camera.intrinsics is not None


def test_the_same_calibration_with_a_number_that_is_none_is_no_change():
    info = camera_info()
    info.p = [float("nan")] * 12  # of a camera that is not rectified: not used
    calibration = Calibration(rectified=False)
    assert calibration.update(info) == ""
    assert calibration.update(info) == ""
    wider = CameraInfo(width=info.width, height=info.height, k=[99.0, *info.k[1:]])
    assert "fx 99.0" in calibration.update(wider)
