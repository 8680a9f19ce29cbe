"""The health check of a container: one question to the live node, one line, one exit status."""

from __future__ import annotations

import subprocess
import sys

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_harness import environment

from gam_depth_ros.cli_health import find_status


def ask(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gam_depth_ros.cli_health", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout.strip()  # what DDS has to say goes to stderr


def test_a_graph_without_the_node_is_unhealthy_after_the_timeout(graph):
    code, said = ask("--timeout", "1")
    assert code == 1
    assert said.startswith("gam_depth: got no diagnostics within 1 s, expected")


def test_a_running_node_answers_with_its_own_words(start):
    start(active=False)
    code, said = ask("--timeout", "60", "--worst", "stale")
    assert code == 0
    assert said.startswith("gam_depth: ")


def test_a_node_without_a_usable_model_is_unhealthy(start, tmp_path):
    start(active=False, parameters={"model_path": str(tmp_path / "missing.onnx")})
    code, said = ask("--timeout", "60")
    assert code == 1
    assert "gam_depth: error: " in said
    assert "missing.onnx" in said


def test_only_the_node_of_that_name_is_heard():
    ours, other = (DiagnosticStatus(name=f"{name}: perception") for name in ("front", "rear"))
    message = DiagnosticArray(status=[other, ours])
    assert find_status(message, "front") is ours
    assert find_status(message, "fro") is None


def test_of_two_cameras_nodes_each_is_asked_by_its_namespace(start):
    start(active=False, remap={"__ns": "/left"})
    code, said = ask("--node", "/left/gam_depth", "--timeout", "60", "--worst", "stale")
    assert code == 0
    assert said.startswith("/left/gam_depth: ")
    assert ask("--node", "gam_depth", "--timeout", "3")[0] == 1
