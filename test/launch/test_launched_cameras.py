"""Each camera's launch file run by the real launch, a stand-in for its driver behind it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

FAKE = Path(__file__).resolve().parents[1] / "fake_drivers.py"
INCLUDED = """
from launch import LaunchDescription
from launch_ros.actions import Node

def generate_launch_description():
    return LaunchDescription([Node(package={package!r}, executable="driver")])
"""
# camera: launch file, its arguments, the driver's package and launch file or executable
CASES = {
    "realsense": ("realsense", {}, "realsense2_camera", "rs_launch.py"),
    "azure_kinect": ("azure_kinect", {}, "azure_kinect_ros_driver", "driver.launch.py"),
    "kinect_v1": ("kinect", {}, "kinect_ros2", "kinect_ros2_node"),
    "kinect_v2": ("kinect", {"version": "v2"}, "kinect2_bridge", "kinect2_bridge_node"),
    "orbbec": ("orbbec", {"model": "gemini2"}, "orbbec_camera", "gemini2.launch.py"),
}


@pytest.mark.parametrize("camera", list(CASES))
def test_launch_file_brings_up_driver_and_node_and_depth_is_metric(
    installation, launch, plain, ros_domain, tmp_path, camera
):
    import fake_drivers
    from ros_harness import SIZE_HW, Graph, pixels
    from sensor_msgs.msg import Image
    from tiny_model import write_tiny_model

    name, arguments, package, driver = CASES[camera]
    model = write_tiny_model(tmp_path / "tiny.onnx", SIZE_HW)
    executable = "driver" if driver.endswith(".py") else driver
    share = installation.share(package)
    installation.executable(package, executable, f'exec "{sys.executable}" "{FAKE}" {camera} "$@"')
    if driver.endswith(".py"):
        (share / "launch").mkdir()
        (share / "launch" / driver).write_text(INCLUDED.format(package=package))
    log = launch(f"{name}.launch.py", model_path=model, params_file=plain, **arguments)
    graph = Graph(ros_domain.domain_id)
    try:
        inbox = graph.listen(Image, "/gam_depth/depth/image")
        graph.spin_until(
            lambda: inbox and np.isfinite(pixels(inbox[-1])).all(), "metric depth", 60.0
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{log.read_text()}") from error
    finally:
        graph.close()
    np.testing.assert_allclose(pixels(inbox[-1]), fake_drivers.WALL_M, rtol=1e-3)
