"""gam_depth_msgs: built from one set of sources, and spoken between two processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

SERVER = """
import rclpy
from gam_depth_msgs.msg import PerceptionStatus, ScaleStatus
from gam_depth_msgs.srv import ResetScale

def reset(request, response):
    response.success, response.message = True, "forgotten: 2.5"
    return response

rclpy.init()
node = rclpy.create_node("server")
scales = node.create_publisher(ScaleStatus, "scale", 1)
statuses = node.create_publisher(PerceptionStatus, "status", 1)
node.create_service(ResetScale, "reset_scale", reset)

def publish():
    scales.publish(ScaleStatus(state=ScaleStatus.LOCKED, source="median_reference", value=2.5))
    statuses.publish(PerceptionStatus(frames_in=7, stage_names=["engine"], stage_p50_ms=[31.5]))

node.create_timer(0.05, publish)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    pass
"""


def test_cmake_names_every_interface(repo_dir):
    package = repo_dir / "gam_depth_msgs"
    cmake = (package / "CMakeLists.txt").read_text()
    files = [*package.glob("msg/*.msg"), *package.glob("srv/*.srv")]
    assert {path.name for path in files} == {
        "PerceptionStatus.msg",
        "ScaleStatus.msg",
        "ReloadModel.srv",
        "ResetScale.srv",
    }
    assert all(f'"{path.parent.name}/{path.name}"' in cmake for path in files)


def test_states_of_the_scale_are_numbered_as_agreed():
    messages = pytest.importorskip("gam_depth_msgs.msg", reason="gam_depth_msgs is not built here")
    status = messages.ScaleStatus
    states = [status.UNKNOWN, status.ACQUIRING, status.LOCKED, status.HOLDING, status.LOST]
    assert states == [0, 1, 2, 3, 4]


def test_messages_and_service_cross_from_process_to_process(ros_domain, tmp_path: Path):
    messages = pytest.importorskip("gam_depth_msgs.msg", reason="gam_depth_msgs is not built here")
    services = pytest.importorskip("gam_depth_msgs.srv")
    import rclpy

    script = tmp_path / "server.py"
    script.write_text(SERVER)
    server = subprocess.Popen([sys.executable, script])
    context = rclpy.Context()
    context.init(domain_id=ros_domain.domain_id)
    try:
        node = rclpy.create_node("client", context=context)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(node)
        got = {}
        node.create_subscription(messages.ScaleStatus, "scale", lambda m: got.update(scale=m), 1)
        node.create_subscription(
            messages.PerceptionStatus, "status", lambda m: got.update(status=m), 1
        )
        client = node.create_client(services.ResetScale, "reset_scale")
        assert client.wait_for_service(timeout_sec=20)
        answer = client.call_async(services.ResetScale.Request())
        deadline_s = time.monotonic() + 20
        while not (answer.done() and len(got) == 2) and time.monotonic() < deadline_s:
            executor.spin_once(timeout_sec=0.1)
    finally:
        context.shutdown()
        server.terminate()
        server.wait(timeout=10)
    assert (answer.result().success, answer.result().message) == (True, "forgotten: 2.5")
    assert (got["scale"].state, got["scale"].value) == (2, 2.5)
    assert (got["status"].frames_in, list(got["status"].stage_p50_ms)) == (7, [31.5])
