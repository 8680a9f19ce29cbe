"""The node stays inside Humble's rclpy: every module that it imports exists there."""

from __future__ import annotations

import ast

import pytest
from ros_harness import REPOSITORY

# rclpy's public modules on the humble branch.
HUMBLE = {
    "callback_groups", "clock", "context", "duration", "exceptions", "executors", "lifecycle",
    "logging", "node", "parameter", "qos", "qos_event", "qos_overriding_options", "serialization",
    "service", "signals", "task", "time", "timer", "topic_endpoint_info", "utilities",
}  # fmt: skip
SHELL = sorted((REPOSITORY / "gam_depth_ros/gam_depth_ros").glob("*.py"))


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.stem)
def test_modules_of_rclpy_are_those_that_humble_has(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 10))
    nodes = list(ast.walk(tree))
    names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [entry.name for node in nodes if isinstance(node, ast.Import) for entry in node.names]
    used = {name.split(".")[1] for name in names if name.startswith("rclpy.")}
    assert used <= HUMBLE
