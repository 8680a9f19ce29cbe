"""What ``colcon test`` holds: the packages as installed, found and started as ``ros2`` would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

packages = pytest.importorskip("ament_index_python.packages", reason="needs a ROS 2 environment")
EXECUTABLES = {"gam-depth", "gam_depth_node", "gam_depth_health", "bag_player", "bag_recorder"}


@pytest.fixture(scope="module")
def prefix() -> Path:
    """Where colcon installed gam_depth_ros; skips where nobody has."""
    try:
        found = Path(packages.get_package_prefix("gam_depth_ros"))
    except (packages.PackageNotFoundError, OSError):  # OSError: no AMENT_PREFIX_PATH
        found = Path("/nowhere")
    if not (found / "lib/gam_depth_ros").is_dir():
        pytest.skip("gam_depth_ros is not installed by colcon here; colcon test runs this")
    return found


@pytest.fixture(scope="module")
def share(prefix: Path) -> Path:
    return Path(packages.get_package_share_directory("gam_depth_ros"))


def start(executable: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an installed executable away from the sources, which would pass for the package."""
    return subprocess.run(
        [executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )


def test_every_executable_is_where_ros2_run_looks(prefix):
    folder = prefix / "lib/gam_depth_ros"
    assert {path.name for path in folder.iterdir() if os.access(path, os.X_OK)} == EXECUTABLES


def test_the_command_line_names_its_commands(prefix, tmp_path):
    done = start(prefix / "lib/gam_depth_ros/gam-depth", "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("demo", "evaluate", "replay"))


def test_launch_config_and_model_are_found_through_the_index(share):
    assert (share / "launch/gam_depth.launch.py").is_file()
    assert (share / "config/fastdds_large_images.xml").is_file()
    assert (share / "config/cameras/realsense.yaml").is_file()
    assert (share / "models/gam-depth-r18.onnx").is_file()
    assert (share / "models/models.yaml").is_file()


def test_every_shipped_model_is_found_by_its_name(share, tmp_path):
    script = "from gam_depth_ros import model_list as m; " + (
        "from gam_depth_ros.model_names import find_model; "
        "print(*(find_model(name) for name in m.read_lists(m.list_paths()[:1])), sep='\\n')"
    )
    done = start(Path(sys.executable), "-c", script, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    paths = [Path(line).resolve() for line in done.stdout.splitlines()]
    assert set(paths) == {path.resolve() for path in (share / "models").glob("*.onnx")}


def test_an_installed_launch_file_is_whole_python(share):
    for path in (share / "launch").glob("*.launch.py"):
        assert "generate_launch_description" in path.read_text()
        compile(path.read_text(), str(path), "exec")


def test_the_shipped_model_is_the_one_that_the_installed_package_loads(share, tmp_path):
    script = "from gam_depth_ros.core.engine import OnnxEngine as E; " + (
        "from gam_depth_ros.core.model_file import default_model_path as p; "
        "print(p()); print(E(p()).spec.name)"
    )
    done = start(Path(sys.executable), "-c", script, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    path, name = done.stdout.split()
    assert Path(path).resolve() == (share / "models/gam-depth-r18.onnx").resolve()
    assert name == "gam-depth-r18"


def test_messages_and_services_are_importable_beside_the_node():
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from gam_depth_msgs.msg import PerceptionStatus, ScaleStatus
    from gam_depth_msgs.srv import ResetScale

    assert ScaleStatus.LOCKED == 2
    assert PerceptionStatus().frames_in == 0
    assert ResetScale.Request() is not None


def test_the_installed_node_starts_answers_and_ends(prefix, ros_domain, tmp_path):
    import rclpy
    from lifecycle_msgs.srv import GetState

    log = tmp_path / "node.log"
    with log.open("wb") as stream:
        node = subprocess.Popen(
            [prefix / "lib/gam_depth_ros/gam_depth_node"],
            cwd=tmp_path,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    context = rclpy.Context()
    context.init(domain_id=ros_domain.domain_id)
    try:
        probe = rclpy.create_node("probe", context=context)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(probe)
        client = probe.create_client(GetState, "/gam_depth/get_state")
        assert client.wait_for_service(timeout_sec=60), log.read_text(errors="replace")
        state, end_s = "", time.monotonic() + 60
        while state != "active" and time.monotonic() < end_s:
            answer = client.call_async(GetState.Request())
            executor.spin_until_future_complete(answer, timeout_sec=10)
            state = answer.result().current_state.label if answer.done() else ""
    finally:
        context.shutdown()
        node.send_signal(signal.SIGINT)
        code = node.wait(timeout=30)
    assert state == "active", log.read_text(errors="replace")
    assert code == 0, log.read_text(errors="replace")
