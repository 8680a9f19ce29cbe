"""The launch file under the real launch and launch_ros, wherever these can be imported."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gam_depth_ros.parameters import specs

REPO = Path(__file__).resolve().parents[2]
LAUNCH = REPO / "launch/gam_depth.launch.py"
LAUNCHER = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [tuple(rule.split(":=", 1)) for rule in sys.argv[2:]]
service = LaunchService()
source = PythonLaunchDescriptionSource(sys.argv[1])
service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments))
sys.exit(service.run())
"""


def test_launch_file_is_python_and_has_the_entry_point_that_launch_looks_for():
    tree = ast.parse(LAUNCH.read_text(), filename=str(LAUNCH), feature_version=(3, 10))
    assert "generate_launch_description" in [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    ]


def test_every_parameter_that_the_launch_file_sets_exists():
    tree = ast.parse(LAUNCH.read_text())
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PARAMETERS"
    )
    assert isinstance(table, ast.Dict)
    set_here = {ast.literal_eval(key) for key in table.keys if key is not None}
    assert set_here == {"model_path", "autostart", "image_transport"}
    assert set_here <= {spec.name for spec in specs()}


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package as colcon installs it, at the head of AMENT_PREFIX_PATH."""
    # .actions: the launch folder of the repository would pass for the package.
    pytest.importorskip("launch.actions", reason="launch comes with apt, not from the index")
    pytest.importorskip("launch_ros.actions", reason="launch_ros comes with apt")
    folder = tmp_path / "install"
    index = folder / "share/ament_index/resource_index/packages/gam_depth_ros"
    index.parent.mkdir(parents=True)
    index.touch()
    shutil.copytree(REPO / "config", folder / "share/gam_depth_ros/config")
    executable = folder / "lib/gam_depth_ros/gam_depth_node"
    executable.parent.mkdir(parents=True)
    executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gam_depth_ros.node "$@"\n')
    executable.chmod(executable.stat().st_mode | stat.S_IXUSR)
    paths = [str(folder), os.environ.get("AMENT_PREFIX_PATH", "") or sys.prefix]
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(paths))
    return folder


@pytest.fixture
def launch(prefix: Path, ros_domain: Any, tmp_path: Path) -> Iterator[Any]:
    """Start the launch file as a terminal does; Ctrl-C, to the whole group, ends it."""
    from ros_harness import environment

    running: list[subprocess.Popen[bytes]] = []
    log = tmp_path / "launch.log"

    def run(**arguments: Any) -> Path:
        command = [sys.executable, "-c", LAUNCHER, str(LAUNCH)]
        command += [f"{name}:={value}" for name, value in arguments.items()]
        with log.open("wb") as stream:
            running.append(
                subprocess.Popen(
                    command,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env=environment(),
                    start_new_session=True,
                )
            )
        return log

    yield run
    for process in running:
        os.killpg(process.pid, signal.SIGINT)
        try:
            assert process.wait(15) == 0, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said = log.read_text()
        assert "process has finished cleanly" in said, said
        assert "escalating" not in said, said


def test_arguments_of_the_launch_file_have_their_defaults(prefix):
    from launch.launch_context import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.utilities import perform_substitutions

    context = LaunchContext()
    description = PythonLaunchDescriptionSource(str(LAUNCH)).get_launch_description(context)
    given = {
        entry.name: perform_substitutions(context, entry.default_value)
        for entry in description.get_launch_arguments()
    }
    assert given == {
        "name": "gam_depth",
        "namespace": "",
        "params_file": str(prefix / "share/gam_depth_ros/config/gam_depth.yaml"),
        "log_level": "info",
        "model_path": "",
        "autostart": "",
        "image_transport": "",
        "image": "image",
        "camera_info": "camera_info",
        "reference_depth": "reference_depth",
        "reference_camera_info": "reference_depth/camera_info",
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
        "    qos_overrides./camera/image_raw.subscription.reliability: reliable\n"
    )
    log = launch(
        name="eye",
        namespace="robot",
        image="/camera/image_raw",
        params_file=parameters,
        autostart="true",  # an argument wins over the file; model_path is left to the file
    )
    graph = Graph(ros_domain.domain_id)
    try:
        graph.listen(Image, "/robot/eye/depth/image")
        graph.spin_until(lambda: "active: waiting" in log.read_text(), "an active node", 30.0)
        graph.wait_for_publisher("/robot/eye/depth/image")
        (offer,) = graph.node.get_subscriptions_info_by_topic("/camera/image_raw")
        assert offer.qos_profile.reliability.name == "RELIABLE"
        graph.send("/camera/image_raw", image_message(grey(102), SECOND_NS))
        depth = graph.next("/robot/eye/depth/image")
    finally:
        graph.close()
    assert depth.encoding == "16UC1"
    np.testing.assert_array_equal(pixels(depth), 5200)
