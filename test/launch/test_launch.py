"""gam_depth.launch.py under the real launch and launch_ros, wherever these can be imported."""

from __future__ import annotations

import ast
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest

LAUNCH = Path(__file__).resolve().parents[2] / "launch"
FILES = sorted(path.name for path in LAUNCH.glob("*.launch.py"))


@pytest.mark.parametrize("name", FILES)
def test_launch_file_is_python_and_has_the_entry_point_that_launch_looks_for(name):
    tree = ast.parse((LAUNCH / name).read_text(), filename=name, feature_version=(3, 10))
    assert "generate_launch_description" in [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    ]


def test_arguments_of_the_launch_file_have_their_defaults(installation):
    from launch.launch_context import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.utilities import perform_substitutions

    context = LaunchContext()
    share = installation.share("gam_depth_ros")
    source = PythonLaunchDescriptionSource(str(share / "launch/gam_depth.launch.py"))
    given = {
        entry.name: perform_substitutions(context, entry.default_value)
        for entry in source.get_launch_description(context).get_launch_arguments()
    }
    assert given == {
        "name": "gam_depth",
        "namespace": "",
        "camera": "",
        "camera_base": "",
        "params_file": str(share / "config/gam_depth.yaml"),
        "log_level": "info",
        "respawn": "false",
        "rviz": "false",
        "model_path": "",
        "autostart": "",
        "image_transport": "",
        "use_sim_time": "",
        "image": "",
        "camera_info": "",
        "reference_depth": "",
        "reference_camera_info": "",
        "odometry": "",
    }


def test_launched_node_answers_under_its_names_with_the_parameters_of_its_file(
    launch, ros_domain, tmp_path
):
    from ros_harness import SECOND_NS, SIZE_HW, Graph, grey, image_message, pixels
    from sensor_msgs.msg import Image
    from tiny_model import write_tiny_model

    model = write_tiny_model(tmp_path / "tiny.onnx", SIZE_HW)
    parameters = tmp_path / "mine.yaml"
    parameters.write_text(
        "/**:\n"
        "  ros__parameters:\n"
        f"    model_path: {model}\n"
        "    autostart: false\n"
        "    depth_encoding: 16UC1\n"
        "    scale.source: fixed\n"
        "    scale.fixed_value: 2.0\n"
        "    health.enabled: false\n"  # the picture is no room
        "    qos_overrides./camera/image_raw.subscription.reliability: reliable\n"
    )
    log = launch(
        "gam_depth.launch.py",
        namespace="robot",
        image="/camera/image_raw",
        params_file=parameters,
        autostart="true",  # an argument wins over the file; model_path is left to the file
    )
    graph = Graph(ros_domain.domain_id)
    try:
        graph.listen(Image, "/robot/gam_depth/depth/image")
        graph.spin_until(lambda: "active: waiting" in log.read_text(), "an active node", 30.0)
        graph.wait_for_publisher("/robot/gam_depth/depth/image")
        (offer,) = graph.node.get_subscriptions_info_by_topic("/camera/image_raw")
        assert offer.qos_profile.reliability.name == "RELIABLE"
        graph.send("/camera/image_raw", image_message(grey(102), SECOND_NS))
        depth = graph.next("/robot/gam_depth/depth/image")
    finally:
        graph.close()
    assert depth.encoding == "16UC1"
    np.testing.assert_array_equal(pixels(depth), 5200)


def test_a_node_that_was_killed_comes_back_where_respawn_is_asked_for(launch, ros_domain, tmp_path):
    from ros_harness import SIZE_HW, Graph
    from tiny_model import write_tiny_model

    model = write_tiny_model(tmp_path / "tiny.onnx", SIZE_HW)
    log = launch("gam_depth.launch.py", model_path=model, respawn="true")
    graph = Graph(ros_domain.domain_id)

    def lives() -> int:
        return log.read_text().count("active: waiting")

    def pids() -> list[int]:
        return [int(pid) for pid in re.findall(r"started with pid \[(\d+)\]", log.read_text())]

    try:
        graph.spin_until(lambda: lives() == 1, "an active node", 30.0)
        (first,) = pids()
        os.kill(first, signal.SIGKILL)
        graph.spin_until(lambda: lives() == 2, "the node's second life", 30.0)
        assert len({first, *pids()}) == 2
    finally:
        graph.close()
